//! Who makes trouble, and when: faults one at a time, over each other, and in choreographies that chance would
//! hardly find.

mod conductor;
mod script;
mod votes;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use conductor::{Conductor, Troubles};
pub use script::{Move, Script, kind_of};

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nemesis {
    /// SIGKILL, mostly the leader
    Kill,
    /// SIGSTOP for a while, then SIGCONT
    Pause,
    /// SIGTERM, and started again
    Terminate,
    /// SIGKILL, and started again at once
    Restart,
    /// Every node is asked to stop and started again, one after the other
    RollingRestart,
    /// Leadership is handed on, again and again
    Transfer,
    /// A node, mostly the leader's or any, or two of five, loses its votes for a while
    Membership,
    /// The power goes: what was not synced is gone
    PowerFailure,
    /// A node, or the leader, is cut off from all others; clients still reach it
    Partition,
    /// A minority is cut off from the majority
    Halves,
    /// Nothing that the leader sends arrives, but it hears everybody
    OneWayOut,
    /// Nothing reaches the leader, but what it sends arrives
    OneWayIn,
    /// Two halves that see only a node in the middle
    Bridge,
    /// A ring in which everybody sees a majority, no two the same one (five nodes)
    Ring,
    /// The leader is cut off from its peers and from clients
    BlackHole,
    /// Packets are lost
    Loss,
    /// Packets are late
    Delay,
    /// A wall clock jumps by an hour
    ClockJump,
    /// A wall clock is too fast
    ClockDrift,
    /// A disk is full
    DiskFull,
    /// Writes to a disk wait
    DiskStall,
    /// A disk is slow
    DiskSlow,
    /// fsync fails with EIO
    FsyncError,
    /// A follower is stopped, the others crash one after the other: the one that lags joins the next quorum
    PauseThenKill,
    /// The same with the power going instead of a kill
    PauseThenPower,
    /// Killed again while it starts
    KillDuringRestart,
    /// The leader is killed, and then its successor
    DoubleKill,
    /// The followers are killed, then the leader that was left alone; they come back before it does
    LeaderLast,
    /// All nodes are killed at once
    KillAll,
    /// The power goes everywhere at once
    PowerAll,
    /// The leader, cut off one way, is killed while its successor leads
    LeaderAlone,
    /// A node's log is damaged while it does not run: it must refuse to start, and is rebuilt from the others
    CorruptLog,
    /// The same with its tables
    CorruptTables,
    /// A minority lags, another node has lost the end of its log while it did not run, and those of them that start are
    /// to elect: what was acknowledged must not depend on the lost
    LostTail,
    /// All nodes start without what the metadata group has on disk, and then with it again: messages must stay
    LostMetadata,
}

impl Nemesis {
    /// All of them.
    pub fn all() -> &'static [Nemesis] {
        Nemesis::value_variants()
    }

    /// As it is written on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().expect("no kind is hidden").get_name().to_owned()
    }

    /// Whether each node needs a network and a file system of its own.
    pub fn needs_namespaces(self) -> bool {
        use Nemesis::{
            BlackHole, Bridge, Delay, DiskFull, DiskSlow, DiskStall, Halves, LeaderAlone, Loss, OneWayIn,
            OneWayOut, Partition, PauseThenPower, PowerAll, PowerFailure, Ring,
        };
        matches!(
            self,
            PowerFailure
                | Partition
                | Halves
                | OneWayOut
                | OneWayIn
                | Bridge
                | Ring
                | BlackHole
                | Loss
                | Delay
                | DiskFull
                | DiskStall
                | DiskSlow
                | PauseThenPower
                | PowerAll
                | LeaderAlone
        )
    }

    /// Whether the nodes need the libraries for clock and fsync faults.
    pub fn needs_libraries(self) -> bool {
        matches!(self, Nemesis::ClockJump | Nemesis::ClockDrift | Nemesis::FsyncError)
    }

    /// Whether a node that has it ends by itself, as it should.
    pub fn ends_nodes(self) -> bool {
        matches!(
            self,
            Nemesis::FsyncError
                | Nemesis::DiskFull
                | Nemesis::CorruptLog
                | Nemesis::CorruptTables
                | Nemesis::LostTail
        )
    }

    /// Whether nothing else may happen meanwhile: it needs every node as it left it, or takes all that may be lost.
    pub fn stands_alone(self) -> bool {
        matches!(self, Nemesis::LostTail | Nemesis::LostMetadata)
    }

    /// Whether a replica is lost until it is rebuilt from a quorum of the others. Nobody may take votes meanwhile: three
    /// nodes without one vote and one replica have no quorum left to rebuild it from. Or the voters themselves are lost.
    pub fn loses_replicas(self) -> bool {
        use Nemesis::{CorruptLog, CorruptTables, LostMetadata, LostTail};
        matches!(self, CorruptLog | CorruptTables | LostTail | LostMetadata)
    }

    /// Whether the two must not make trouble at once.
    pub fn clashes_with(self, other: Nemesis) -> bool {
        let votes_go_and_replicas =
            |one: Nemesis, other: Nemesis| one == Nemesis::Membership && other.loses_replicas();
        votes_go_and_replicas(self, other) || votes_go_and_replicas(other, self)
    }

    /// Why a cluster of so many nodes cannot have it.
    pub fn unfit_for(self, nodes: usize) -> Option<&'static str> {
        (self == Nemesis::Ring && nodes < 5).then_some("majorities that differ need five nodes")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn every_nemesis_has_a_script_that_installs_something_and_leaves_nothing() {
        for &nemesis in Nemesis::all() {
            for seed in 0..20 {
                let script = Script::of(nemesis, 3, &mut StdRng::seed_from_u64(seed));
                let mut open = std::collections::BTreeSet::new();
                let mut installs = 0;
                for step in &script.moves {
                    match step {
                        Move::Inject { slot, .. } | Move::TakeVotes { slot, .. } => {
                            installs += 1;
                            assert!(open.insert(*slot), "{nemesis:?} fills slot {slot} twice: {script:?}");
                        }
                        Move::Heal { slot } | Move::GiveVotes { slot } => {
                            assert!(
                                open.remove(slot),
                                "{nemesis:?} heals slot {slot}, which is empty: {script:?}"
                            );
                        }
                        Move::Transfer => installs += 1,
                        Move::Wait(_) | Move::Repair => {}
                    }
                }
                let first = Script::of(nemesis, 3, &mut StdRng::seed_from_u64(0));
                assert_eq!(script.kinds(), first.kinds(), "{nemesis:?}");
                assert!(installs > 0 && open.is_empty(), "{nemesis:?} leaves {open:?}: {script:?}");
            }
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_trouble() {
        for &nemesis in Nemesis::all() {
            let script = |seed| format!("{:?}", Script::of(nemesis, 3, &mut StdRng::seed_from_u64(seed)));
            assert_eq!(script(3), script(3));
        }
    }
}
