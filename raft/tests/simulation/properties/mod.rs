//! What must hold of the clients' history. One property a file, each with a planted violation that it must see.

mod delays;
mod leases;
mod offsets;
mod order;
mod reads;
mod settled;
mod transactions;

use std::time::Duration;

use crate::history::History;

/// A lease that ended so long ago by a client's time has ended by everybody's.
pub const LATE: Duration = Duration::from_secs(2);

/// All of them, when the run is over and everything was drained.
pub fn check(history: &History) -> Result<(), String> {
    offsets::check(history)?;
    leases::check(history)?;
    settled::check(history)?;
    order::check(history)?;
    delays::check(history)?;
    transactions::check(history)?;
    reads::check(history)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use raft::names::{NodeId, QueueKey, TopicId};

    use crate::history::{Ending, Got, Kind, Sent, Settled};

    pub const QUEUE: QueueKey = QueueKey { topic: TopicId(1), number: 0 };

    pub fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    pub fn sent(id: &str, kind: Kind, offset: u64) -> Sent {
        Sent { id: id.into(), kind, node: NodeId(1), ending: Ending::Done(Some((QUEUE, offset))) }
    }

    pub fn got(id: &str, offset: u64, from_ms: u64, until_ms: u64) -> Got {
        Got {
            id: id.into(),
            consumer: 1,
            queue: QUEUE,
            offset,
            attempt: 1,
            begun: at(1),
            at: at(1),
            leased_ms: (from_ms, until_ms),
        }
    }

    pub fn settled(id: &str, given: u64, begun: u64) -> Settled {
        Settled {
            id: id.into(),
            consumer: 1,
            given: at(given),
            begun: at(begun),
            ended: at(begun + 1),
            ending: Ending::Done(()),
        }
    }
}
