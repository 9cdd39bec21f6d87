//! How far consumer groups are behind, on all nodes together.

use proto::admin::{Lag, ListLagsRequest, ListLagsResponse};
use raft::access::{Action, Target};
use tokio::time::Instant;

use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::session::remote::{self, LagTold};

/// Those that the caller may list, farthest behind first.
pub(super) async fn list(
    edge: &EdgeState,
    caller: &Caller,
    request: ListLagsRequest,
    deadline: Instant,
) -> ListLagsResponse {
    let wanted = |lag: &LagTold| {
        (request.group.is_empty() || request.group == lag.group)
            && (request.topic.is_empty() || request.topic == lag.topic)
            && edge.may(caller, Action::List, Target::group(&lag.group))
            && edge.may(caller, Action::List, Target::topic(&lag.topic))
    };
    let told = remote::lags(edge, deadline).await;
    let mut total = Lag::default();
    let mut lags: Vec<Lag> = told.into_iter().filter(wanted).map(wire).collect();
    for lag in &lags {
        total.messages += lag.messages;
        total.in_flight += lag.in_flight;
        total.ready += lag.ready;
        total.oldest_unix_ms = total.oldest_unix_ms.into_iter().chain(lag.oldest_unix_ms).min();
    }
    lags.sort_by(|one, other| other.messages.cmp(&one.messages).then_with(|| one.group.cmp(&other.group)));
    if request.limit > 0 {
        lags.truncate(request.limit as usize);
    }
    ListLagsResponse { lags, total: Some(total) }
}

fn wire(told: LagTold) -> Lag {
    Lag {
        group: told.group,
        topic: told.topic,
        messages: told.messages,
        in_flight: told.in_flight,
        ready: told.ready,
        oldest_unix_ms: told.oldest_ms.map(|ms| ms as i64),
    }
}
