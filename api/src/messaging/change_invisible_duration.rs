//! `ChangeInvisibleDuration`: give a message back after a while, or keep it longer.

use std::time::Duration;

use proto::v2::{ChangeInvisibleDurationRequest, ChangeInvisibleDurationResponse, ClientType, Resource};
use raft::settings::RetryPolicy;

use crate::convert::name::full_name;
use crate::convert::receipt::Handle;
use crate::convert::status::{ClientLanguage, Fault, ok};
use crate::convert::time;
use crate::edge::EdgeState;
use crate::limits::INVISIBLE_MAX;
use crate::messaging::caller::Caller;
use crate::messaging::settle;

/// Answers with the handle that is valid from now on, or with the old one if nothing changed.
pub async fn change_invisible_duration(
    edge: &EdgeState,
    caller: &Caller,
    request: ChangeInvisibleDurationRequest,
) -> ChangeInvisibleDurationResponse {
    match change(edge, caller, &request).await {
        Ok(handle) => ChangeInvisibleDurationResponse { status: Some(ok()), receipt_handle: handle.encode() },
        Err(fault) => ChangeInvisibleDurationResponse {
            status: Some(fault.status(caller.language())),
            receipt_handle: request.receipt_handle,
        },
    }
}

async fn change(
    edge: &EdgeState,
    caller: &Caller,
    request: &ChangeInvisibleDurationRequest,
) -> Result<Handle, Fault> {
    let client_id = &*edge.admit_client(caller, request)?;
    let asked = request.invisible_duration.as_ref().map_or(Some(Duration::ZERO), time::duration);
    let Some(asked) = asked.filter(|asked| *asked <= INVISIBLE_MAX) else {
        return Err(Fault::IllegalInvisibleTime(format!(
            "the invisible duration must lie between 0 and {} s",
            INVISIBLE_MAX.as_secs()
        )));
    };
    let (group, topic) = (request.group.as_ref(), request.topic.as_ref());
    let handle = settle::handle(edge, caller, group, topic, &request.receipt_handle)?;
    let pushes = edge.sessions.kind(client_id) == Some(ClientType::PushConsumer);
    let name = full_name(group.unwrap_or(&Resource::default()), caller.namespace()).into_owned();
    let catalog = edge.node.catalog();
    let default = RetryPolicy::default();
    let retry = catalog.consumers.get(&name).map_or(&default, |consumer| &consumer.settings.retry);
    let invisible = floor(asked, retry, handle.attempt, (caller.language(), pushes));
    let receipt =
        edge.node.change_lease(handle.receipt, invisible.as_millis() as u64, caller.deadline()).await?;
    Ok(Handle { receipt, ..handle })
}

/// The Node client's push consumer gives messages back after 0 to 5 ms, whatever its settings say: it gets the pause
/// that the consumer group's policy has for this attempt, unless it asks for a longer one. All others mean what they
/// ask for.
fn floor(
    asked: Duration,
    retry: &RetryPolicy,
    attempt: u16,
    (language, pushes): (ClientLanguage, bool),
) -> Duration {
    match language {
        ClientLanguage::Node if pushes => asked.max(Duration::from_millis(retry.pause_ms(attempt))),
        _ => asked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nodes_push_consumer_is_slowed_down() {
        let blink = Duration::from_millis(5);
        let levels = RetryPolicy::default();
        let node = (ClientLanguage::Node, true);
        assert_eq!(floor(blink, &levels, 1, node), Duration::from_secs(1));
        assert_eq!(floor(blink, &levels, 3, node), Duration::from_secs(10));
        assert_eq!(floor(blink, &levels, 3, (ClientLanguage::Node, false)), blink);
        assert_eq!(floor(Duration::ZERO, &levels, 3, (ClientLanguage::Java, true)), Duration::ZERO);
        let long = Duration::from_secs(40);
        assert_eq!(floor(long, &levels, 1, node), long);
        assert_eq!(floor(blink, &RetryPolicy::Levels(vec![20]), 9, node), Duration::from_millis(20));
    }
}
