//! Messages that wait for their time.

use proto::admin::{ListTimersRequest, ListTimersResponse, RecallTimerRequest, RecallTimerResponse, Timer};
use raft::access::{Action, Target};
use raft::node::WaitingMessage;
use raft::question::TimersWanted;
use store::record::MessageRecord;
use tokio::time::Instant;

use super::find::known_topic;
use crate::convert::status::Fault;
use crate::convert::waiting::recall_handle;
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::messaging::recall_message::by_handle;

/// How many are listed of each broker group where nobody says.
const LISTED: usize = 100;
/// At most.
const LISTED_MAX: usize = 1_000;

/// Those of topics that the caller may list.
pub(super) async fn list(
    edge: &EdgeState,
    caller: &Caller,
    request: ListTimersRequest,
    deadline: Instant,
) -> Result<ListTimersResponse, Fault> {
    let topic = match request.topic.as_str() {
        "" => None,
        name => Some(known_topic(edge, name)?.id),
    };
    let max = match request.limit as usize {
        0 => LISTED,
        limit => limit.min(LISTED_MAX),
    };
    let from_ms = u64::try_from(request.from_unix_ms).unwrap_or(0);
    let waiting = edge.node.timers(TimersWanted { topic, from_ms, max }, deadline).await?;
    let may_be_listed = |timer: &Timer| edge.may(caller, Action::List, Target::topic(&timer.topic));
    let timers = waiting.messages.iter().map(wire).filter(may_be_listed).collect();
    // On the empty name nobody has a right who has none on all.
    let all = edge.may(caller, Action::List, Target::topic(""));
    Ok(ListTimersResponse { timers, total: all.then_some(waiting.total), more: waiting.more })
}

fn wire(waiting: &WaitingMessage) -> Timer {
    // A record that cannot be read is shown without its names: it is there all the same.
    let record = MessageRecord::decode(&waiting.record).unwrap_or_default();
    Timer {
        recall_handle: recall_handle(&waiting.timer, &record.message_id),
        topic: record.topic,
        message_id: record.message_id,
        born_unix_ms: record.born_ms as i64,
        due_unix_ms: waiting.timer.due_ms as i64,
    }
}

/// Nobody gets it any more.
pub(super) async fn recall(
    edge: &EdgeState,
    request: RecallTimerRequest,
    deadline: Instant,
) -> Result<RecallTimerResponse, Fault> {
    let message_id = by_handle(edge, &request.topic, &request.recall_handle, deadline).await?;
    Ok(RecallTimerResponse { message_id })
}
