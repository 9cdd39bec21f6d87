//! `SyncLiteSubscription`: which lite topics of a topic a client reads. Soft state of the nodes: clients say it
//! at their start, when it changes, and every 30 s; some to every node, some to one, which tells the others.

use proto::v2::offset_option::{OffsetType, Policy};
use proto::v2::{
    LiteSubscriptionAction, OffsetOption, SyncLiteSubscriptionRequest, SyncLiteSubscriptionResponse,
};
use raft::catalog::{StartFrom, TopicType};

use crate::check::message::lite_topic;
use crate::convert::name::full_name;
use crate::convert::status::{Fault, ok};
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::messaging::resolve;
use crate::session::lite::Change;
use crate::session::remote;

/// Notes what the client subscribes to.
pub async fn sync_lite_subscription(
    edge: &EdgeState,
    caller: &Caller,
    request: SyncLiteSubscriptionRequest,
) -> SyncLiteSubscriptionResponse {
    let status = match sync(edge, caller, request).await {
        Ok(()) => ok(),
        Err(fault) => fault.status(caller.language()),
    };
    SyncLiteSubscriptionResponse { status: Some(status) }
}

async fn sync(edge: &EdgeState, caller: &Caller, request: SyncLiteSubscriptionRequest) -> Result<(), Fault> {
    let client_id = &*edge.admit_client(caller, &request)?;
    let deadline = caller.deadline();
    let action = request.action();
    let start = start(request.offset_option.as_ref());
    let (topic, group) = (request.topic.unwrap_or_default(), request.group.unwrap_or_default());
    let topic = resolve::known_topic(edge, &full_name(&topic, caller.namespace()), deadline).await?;
    if topic.kind != TopicType::Lite {
        return Err(Fault::IllegalTopic(format!("topic {} has no lite topics", topic.name)));
    }
    let group = resolve::consumer(edge, caller, &full_name(&group, caller.namespace()), deadline).await?;
    for name in &request.lite_topic_set {
        lite_topic(name)?;
    }
    edge.client_seen(client_id, caller);
    let names = request.lite_topic_set;
    let change = match action {
        LiteSubscriptionAction::PartialAdd => Change::Add(names),
        LiteSubscriptionAction::PartialRemove => Change::Remove(names),
        LiteSubscriptionAction::CompleteAdd => Change::Replace(names),
        LiteSubscriptionAction::CompleteRemove => Change::Replace(Vec::new()),
    };
    let subscription = edge.lite.change(client_id, topic.id, group.id, change, start)?;
    remote::share_lite(edge, client_id, (topic.id, group.id), subscription, deadline).await;
    Ok(())
}

/// Where to begin in a lite topic that the consumer group has not read yet.
fn start(option: Option<&OffsetOption>) -> StartFrom {
    match option.and_then(|option| option.offset_type.as_ref()) {
        // From now on: also in a lite topic that is made later.
        Some(OffsetType::Policy(policy)) if *policy == Policy::Max as i32 => {
            StartFrom::Time(raft::clock::now_ms())
        }
        Some(OffsetType::Timestamp(at_ms)) => StartFrom::Time((*at_ms).max(0) as u64),
        _ => StartFrom::First,
    }
}
