//! What a nemesis does, move by move.

use std::collections::BTreeSet;
use std::time::Duration;

use chaos::{Corruption, Fault, Shape, Target};
use rand::Rng;
use rand::rngs::StdRng;

use super::Nemesis;

/// What the history calls it when nodes lose their votes for a while.
pub(super) const VOTES_TAKEN: &str = "membership";

/// One move.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    /// A fault is installed; `slot` is its number in the script.
    Inject {
        /// What is healed by this number.
        slot: usize,
        /// The fault.
        fault: Fault,
        /// Whom it happens to, resolved when it is its turn.
        target: Target,
    },
    /// The fault of a slot is healed.
    Heal {
        /// The number.
        slot: usize,
    },
    /// Nothing, for a while.
    Wait(Duration),
    /// The leadership of the broker group is handed on.
    Transfer,
    /// Nodes lose their votes in all groups; `slot` is the number in the script.
    TakeVotes {
        /// What is given back by this number.
        slot: usize,
        /// The nodes, resolved when it is its turn.
        target: Target,
    },
    /// The votes of a slot are given back.
    GiveVotes {
        /// The number.
        slot: usize,
    },
    /// Nodes that refuse to start because of damage are rebuilt from the others, and started.
    Repair,
}

/// All moves, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// Who makes the trouble.
    pub nemesis: Nemesis,
    /// What it does. Nothing is left when it is over.
    pub moves: Vec<Move>,
}

/// Writes scripts.
struct Author<'a> {
    choices: &'a mut StdRng,
    moves: Vec<Move>,
}

impl Author<'_> {
    fn inject(&mut self, slot: usize, fault: Fault, target: Target) {
        self.moves.push(Move::Inject { slot, fault, target });
    }

    fn heal(&mut self, slot: usize) {
        self.moves.push(Move::Heal { slot });
    }

    fn wait_ms(&mut self, low: u64, high: u64) {
        self.moves.push(Move::Wait(Duration::from_millis(self.choices.random_range(low..=high))));
    }

    /// One fault for a while.
    fn simple(&mut self, fault: Fault, target: Target, (low, high): (u64, u64)) {
        self.inject(0, fault, target);
        self.wait_ms(low, high);
        self.heal(0);
    }

    /// Mostly the leader, else one by chance.
    fn mostly_leader(&mut self) -> Target {
        match self.choices.random_range(0..10) {
            0..7 => leader(),
            _ => Target::One,
        }
    }
}

fn leader() -> Target {
    Target::Role("leader".to_owned())
}

fn partition(shape: Shape, clients: bool) -> Fault {
    Fault::Partition { shape, clients }
}

/// What kind of fault it is, of how it is written: what stands before its parameters.
pub fn kind_of(fault: &str) -> &str {
    fault.split(':').next().unwrap_or(fault)
}

impl Script {
    /// What a nemesis does next, in a cluster of so many nodes.
    pub fn of(nemesis: Nemesis, nodes: usize, choices: &mut StdRng) -> Script {
        let mut author = Author { choices, moves: Vec::new() };
        author.write(nemesis, nodes);
        Script { nemesis, moves: author.moves }
    }

    /// The kinds of faults that it installs, as [`kind_of`] calls them. They do not depend on chance.
    pub fn kinds(&self) -> BTreeSet<String> {
        let kind = |step: &Move| match step {
            Move::Inject { fault, .. } => Some(kind_of(&fault.to_string()).to_owned()),
            Move::Transfer => Some("transfer".to_owned()),
            Move::TakeVotes { .. } => Some(VOTES_TAKEN.to_owned()),
            Move::Heal { .. } | Move::GiveVotes { .. } | Move::Wait(_) | Move::Repair => None,
        };
        self.moves.iter().filter_map(kind).collect()
    }
}

impl Author<'_> {
    fn write(&mut self, nemesis: Nemesis, nodes: usize) {
        /// How long a fault lasts, in milliseconds: long enough for an election, and for clients to notice.
        const LASTING: (u64, u64) = (1_500, 4_000);
        let term = Fault::Terminate { grace_ms: 20_000 };
        let chance = self.mostly_leader();
        match nemesis {
            Nemesis::Kill => self.simple(Fault::Kill {}, chance, LASTING),
            Nemesis::Pause => self.simple(Fault::Pause {}, chance, LASTING),
            Nemesis::Terminate => self.simple(term, chance, (300, 1_500)),
            Nemesis::Restart => self.simple(Fault::Restart {}, chance, (500, 1_500)),
            Nemesis::PowerFailure => self.simple(Fault::PowerFailure {}, chance, LASTING),
            Nemesis::Partition => self.simple(partition(Shape::Isolate, false), chance, LASTING),
            Nemesis::Halves => self.simple(partition(Shape::Split, false), Target::Minority, LASTING),
            Nemesis::OneWayOut => self.simple(partition(Shape::OneWayOut, false), leader(), LASTING),
            Nemesis::OneWayIn => self.simple(partition(Shape::OneWayIn, false), leader(), LASTING),
            Nemesis::Bridge => self.simple(partition(Shape::Bridge, false), Target::One, LASTING),
            Nemesis::Ring => self.simple(partition(Shape::MajoritiesRing, false), Target::All, LASTING),
            Nemesis::BlackHole => self.simple(partition(Shape::Isolate, true), leader(), LASTING),
            Nemesis::Loss => {
                let percent = self.choices.random_range(5..=30);
                self.simple(Fault::Loss { percent }, Target::Minority, LASTING);
            }
            Nemesis::Delay => {
                let delay_ms = self.choices.random_range(20..=250);
                self.simple(Fault::Delay { delay_ms, jitter_ms: delay_ms / 3 }, chance, LASTING);
            }
            Nemesis::ClockJump => {
                let by_ms = *[-3_600_000, -2_000, 2_000, 3_600_000]
                    .get(self.choices.random_range(0..4usize))
                    .expect("one of four");
                self.simple(Fault::ClockJump { by_ms }, chance, LASTING);
            }
            Nemesis::ClockDrift => {
                let ppm = self.choices.random_range(-200_000..=200_000);
                self.simple(Fault::ClockDrift { ppm }, chance, LASTING);
            }
            Nemesis::DiskFull => self.simple(Fault::DiskFull { leave_bytes: 0 }, chance, LASTING),
            Nemesis::DiskStall => self.simple(Fault::DiskStall {}, chance, LASTING),
            Nemesis::DiskSlow => {
                let bytes_per_second = self.choices.random_range(200_000..=2_000_000);
                self.simple(Fault::DiskSlow { bytes_per_second }, chance, LASTING);
            }
            Nemesis::FsyncError => self.simple(Fault::FsyncError {}, chance, (500, 1_500)),
            Nemesis::KillAll => self.simple(Fault::Kill {}, Target::All, (200, 1_500)),
            Nemesis::PowerAll => self.simple(Fault::PowerFailure {}, Target::All, (200, 1_500)),
            Nemesis::Transfer => {
                for _ in 0..3 {
                    self.moves.push(Move::Transfer);
                    self.wait_ms(300, 900);
                }
            }
            Nemesis::Membership => {
                let target = match self.choices.random_range(0..6) {
                    0..3 => leader(),
                    // Two of five: a quorum of those that are left is two.
                    3..5 if nodes >= 5 => Target::Minority,
                    _ => Target::One,
                };
                self.moves.push(Move::TakeVotes { slot: 0, target });
                self.wait_ms(300, 4_000);
                self.moves.push(Move::GiveVotes { slot: 0 });
            }
            Nemesis::RollingRestart
            | Nemesis::PauseThenKill
            | Nemesis::PauseThenPower
            | Nemesis::KillDuringRestart
            | Nemesis::DoubleKill
            | Nemesis::LeaderLast
            | Nemesis::LeaderAlone
            | Nemesis::LostTail
            | Nemesis::LostMetadata => self.choreograph(nemesis, nodes),
            Nemesis::CorruptLog => self.corrupt("data/groups/g1/log/*.log"),
            Nemesis::CorruptTables => self.corrupt("data/groups/g1/tables/*.sst"),
        }
    }

    fn choreograph(&mut self, nemesis: Nemesis, nodes: usize) {
        match nemesis {
            Nemesis::RollingRestart => {
                for node in 1..=nodes {
                    self.inject(node, Fault::Terminate { grace_ms: 20_000 }, Target::Nodes(vec![node]));
                    self.wait_ms(100, 400);
                    self.heal(node);
                    self.wait_ms(800, 1_800);
                }
            }
            Nemesis::PauseThenKill => self.pause_then(Fault::Kill {}),
            Nemesis::PauseThenPower => self.pause_then(Fault::PowerFailure {}),
            Nemesis::KillDuringRestart => {
                let target = self.mostly_leader();
                self.inject(0, Fault::Kill {}, target);
                self.wait_ms(100, 1_000);
                self.heal(0);
                for slot in 1..=3 {
                    // It has begun to read its log, or to vote, or to follow.
                    self.wait_ms(5, 400);
                    self.inject(slot, Fault::Restart {}, Target::Role("last".to_owned()));
                    self.heal(slot);
                }
                self.wait_ms(500, 1_500);
            }
            Nemesis::DoubleKill => {
                self.inject(0, Fault::Kill {}, leader());
                self.wait_ms(50, 1_500);
                self.inject(1, Fault::Kill {}, leader());
                self.wait_ms(300, 2_000);
                // The first one to die has the shorter log: it comes back first.
                self.heal(0);
                self.wait_ms(300, 2_000);
                self.heal(1);
            }
            Nemesis::LeaderLast => {
                self.inject(0, Fault::Kill {}, Target::Role("followers".to_owned()));
                // Whatever it acknowledges now nobody else has.
                self.wait_ms(1_000, 2_500);
                self.inject(1, Fault::Kill {}, Target::Role("untouched".to_owned()));
                self.heal(0);
                self.wait_ms(2_000, 3_500);
                self.heal(1);
            }
            Nemesis::LeaderAlone => {
                self.inject(0, partition(Shape::OneWayOut, false), leader());
                self.wait_ms(1_500, 3_000);
                self.inject(1, Fault::Kill {}, Target::Role("last".to_owned()));
                self.wait_ms(100, 1_000);
                self.heal(0);
                self.heal(1);
            }
            Nemesis::LostTail => self.lose_tail(),
            Nemesis::LostMetadata => {
                self.inject(0, Fault::Kill {}, Target::All);
                self.inject(1, Fault::Hide { path: "data/groups/meta".to_owned() }, Target::All);
                self.heal(0);
                // Long enough for leaders, and for several looks at what may go.
                self.wait_ms(4_000, 6_000);
                self.inject(2, Fault::Kill {}, Target::All);
                self.heal(1);
                self.heal(2);
                self.wait_ms(1_000, 2_000);
            }
            other => unreachable!("{other:?} is no choreography"),
        }
    }

    /// A node is killed, a file of it is damaged, and it is started: it runs if the damage lies where nothing is kept,
    /// and refuses otherwise.
    fn corrupt(&mut self, files: &str) {
        let how = match self.choices.random_range(0..3) {
            0 => Corruption::Truncate,
            _ => Corruption::BitFlip,
        };
        let seed = self.choices.random();
        let files = files.to_owned();
        self.inject(0, Fault::Kill {}, Target::One);
        self.wait_ms(300, 1_000);
        let fault = Fault::Corrupt { how, files, seed, running: false };
        self.inject(1, fault, Target::Role("last".to_owned()));
        self.heal(1);
        self.heal(0);
        self.wait_ms(2_000, 3_000);
        self.moves.push(Move::Repair);
        self.wait_ms(1_000, 3_000);
    }

    /// What some nodes acknowledged while a minority was away is missing from the log of one of them. It must not start;
    /// if it did it would elect with the minority, and what is missing would be gone.
    fn lose_tail(&mut self) {
        self.inject(0, Fault::Kill {}, Target::Minority);
        self.wait_ms(2_000, 3_500);
        self.inject(1, Fault::Kill {}, Target::Role("untouched".to_owned()));
        let (how, files) = (Corruption::LostTail, "data/groups/g1/log/*.log".to_owned());
        let fault = Fault::Corrupt { how, files, seed: 0, running: false };
        self.inject(2, fault, Target::Role("last".to_owned()));
        self.inject(3, Fault::Kill {}, Target::Role("rest".to_owned()));
        self.heal(0);
        self.heal(1);
        self.wait_ms(3_000, 4_500);
        self.heal(3);
        self.wait_ms(2_000, 3_000);
        self.moves.push(Move::Repair);
        // Only now it has what it lost.
        self.heal(2);
        self.wait_ms(1_000, 2_000);
    }

    /// A follower stops and lags; the leader crashes and comes back; another one crashes. What is left of a quorum is
    /// the one that lags and the one that crashed.
    fn pause_then(&mut self, crash: Fault) {
        self.inject(0, Fault::Pause {}, Target::Role("follower".to_owned()));
        self.wait_ms(800, 2_000);
        self.inject(1, crash.clone(), leader());
        self.wait_ms(50, 600);
        self.heal(1);
        self.wait_ms(200, 1_200);
        self.inject(2, crash, Target::Role("untouched".to_owned()));
        self.heal(0);
        self.wait_ms(1_500, 3_500);
        self.heal(2);
    }
}
