//! What a node takes from its surroundings: threads, sockets, time, chance, the disk.
//!
//! With the feature `simulation` all of it comes from [`crate::simulation`], under the same names: the choice is made when
//! the crate is built, and costs nothing when it runs.

#[cfg(not(feature = "simulation"))]
pub(crate) use real::*;

#[cfg(feature = "simulation")]
pub(crate) use crate::simulation::surroundings::*;

#[cfg(not(feature = "simulation"))]
mod real {
    use std::path::Path;
    use std::sync::{Arc, OnceLock};
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    use store::commit_log::{CommitLog, LogIdentity, LogOptions, OpenError};
    use store::disk::{Disk, RealDisk};

    use crate::clock::ProcessClock;
    use crate::names::{GroupId, NodeId};

    /// What openraft runs on.
    pub(crate) type Runtime = openraft::TokioRuntime;

    pub(crate) use tokio::net::TcpListener;
    pub(crate) use tokio::task::spawn_blocking;

    /// A number that nobody else has.
    pub(crate) fn random() -> u128 {
        rand::random()
    }

    /// The disk of this node.
    pub(crate) fn disk() -> Arc<dyn Disk> {
        Arc::new(RealDisk)
    }

    /// Opens a group's log: see [`CommitLog::open`].
    pub(crate) fn open_log(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: LogIdentity,
        options: LogOptions,
    ) -> Result<CommitLog, OpenError> {
        CommitLog::open(disk, dir, identity, options)
    }

    pub(crate) use crate::tls::{connect, connect_lazy, incoming};

    /// The service as it is.
    pub(crate) fn dated<S>(service: S) -> S {
        service
    }

    /// Time that only goes forward.
    pub(crate) fn monotonic() -> Instant {
        Instant::now()
    }

    /// Milliseconds since 1970 by the wall clock of this machine.
    pub(crate) fn wall_ms() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
    }

    /// The clock of this process: all groups of a node stamp by the same one.
    pub(crate) fn process_clock() -> &'static ProcessClock {
        static CLOCK: OnceLock<ProcessClock> = OnceLock::new();
        CLOCK.get_or_init(ProcessClock::start)
    }

    /// A vote is on its way to the candidate that asked for it.
    pub(crate) fn vote_granted(_group: GroupId, _voter: NodeId, _term: u64, _candidate: u64) {}
}
