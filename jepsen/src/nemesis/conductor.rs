//! Plays scripts on a cluster, and keeps a record of what really happened.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use chaos::{Fault, Guard, Injected, Target};
use checkers::history::{Call, Fault as FaultLine, FaultStatus};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use super::votes::Voteless;
use super::{Move, Nemesis, Script};
use crate::client::{Client, Ended};
use crate::cluster::{BROKER_GROUP, Brokers, Death};
use crate::limits::{NEMESIS_PAUSE_MAX_MS, NEMESIS_PAUSE_MIN_MS, NEMESIS_START, STOP_PATIENCE};
use crate::workload::Arena;

/// With this a node ends whose disk failed.
const DISK_EXIT_CODE: i32 = 74;

/// What happened to a cluster.
#[derive(Debug, Default)]
pub struct Troubles {
    /// The faults, with the nemesis that made each.
    pub faults: Vec<(Nemesis, FaultLine)>,
    /// The nodes that ended although no fault ends them.
    pub deaths: Vec<Death>,
    /// How many nodes stopped because of their disk, as they should ([`DISK_EXIT_CODE`]).
    pub stopped_by_disk: u64,
    /// What could not be healed.
    pub unhealed: Vec<String>,
}

/// While all is to become whole again.
const LOOK_FOR_DEAD_EVERY: Duration = Duration::from_secs(1);

/// Plays scripts.
#[derive(Debug)]
pub struct Conductor {
    pub(super) brokers: Rc<Brokers>,
    pub(super) arena: Rc<Arena>,
    pub(super) troubles: RefCell<Troubles>,
    /// Held while processes are ended or started: who looks for dead ones must not see one that is about to start.
    hands: tokio::sync::Mutex<()>,
    /// Whether a fault was installed under which nodes end by themselves.
    ends_nodes: bool,
}

/// A fault that is there.
struct Active {
    guard: Option<Guard>,
    /// Whether healing starts processes.
    holds_down: bool,
    line: usize,
    nodes: Vec<usize>,
}

impl Conductor {
    /// For a run in which these make trouble.
    pub fn new(brokers: Rc<Brokers>, arena: Rc<Arena>, nemeses: &[Nemesis]) -> Rc<Conductor> {
        let ends_nodes = nemeses.iter().any(|nemesis| nemesis.ends_nodes());
        let (troubles, hands) = Default::default();
        Rc::new(Conductor { brokers, arena, troubles, hands, ends_nodes })
    }

    /// Makes trouble until `until`: one nemesis after the other, each at least once; with `overlap` all at once, each
    /// by itself. Everything is healed at the end.
    pub async fn play(self: &Rc<Self>, nemeses: &[Nemesis], overlap: bool, until: Instant) {
        tokio::time::sleep(NEMESIS_START).await;
        let tracks: Vec<Vec<Nemesis>> = match overlap {
            true => nemeses.iter().map(|nemesis| vec![*nemesis]).collect(),
            false => vec![nemeses.to_vec()],
        };
        let tracks =
            tracks.into_iter().filter(|track| !track.is_empty()).enumerate().map(|(number, track)| {
                let conductor = self.clone();
                tokio::task::spawn_local(async move { conductor.track(number as u64, &track, until).await })
            });
        for track in tracks.collect::<Vec<_>>() {
            track.await.expect("a nemesis does not panic");
        }
        if let Err(error) = self.brokers.heal().await {
            self.troubles.borrow_mut().unhealed.push(format!("{error:#}"));
        }
        if nemeses.contains(&Nemesis::Membership) {
            self.restore_votes().await;
        }
    }

    /// What happened.
    pub fn take(&self) -> Troubles {
        self.troubles.take()
    }

    async fn track(&self, number: u64, nemeses: &[Nemesis], until: Instant) {
        let mut choices = StdRng::seed_from_u64(self.arena.seed ^ (0x6e65_6d65 + number));
        let mut played = 0;
        while Instant::now() < until {
            // Each once in their order, then by chance.
            let next = match nemeses.get(played) {
                Some(next) => *next,
                None => nemeses[choices.random_range(0..nemeses.len())],
            };
            let script = Script::of(next, self.brokers.size(), &mut choices);
            self.script(&script, &mut choices, until).await;
            self.bury(next).await;
            played += 1;
            let pause = choices.random_range(NEMESIS_PAUSE_MIN_MS..=NEMESIS_PAUSE_MAX_MS);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Plays one script; once time is over it only heals.
    async fn script(&self, script: &Script, choices: &mut StdRng, until: Instant) {
        let mut active: BTreeMap<usize, Active> = BTreeMap::new();
        let mut voteless: BTreeMap<usize, Voteless> = BTreeMap::new();
        let (mut touched, mut damaged): (Vec<usize>, Vec<usize>) = Default::default();
        for step in &script.moves {
            match step {
                Move::Wait(pause) => tokio::time::sleep(*pause).await,
                Move::Transfer => self.transfer(script.nemesis).await,
                Move::Repair => self.repair(script.nemesis, &damaged).await,
                Move::TakeVotes { slot, target } => {
                    if Instant::now() >= until {
                        return;
                    }
                    let taken = self.take_votes(script.nemesis, target, (choices.random(), &touched)).await;
                    voteless.extend(taken.map(|taken| (*slot, taken)));
                }
                Move::GiveVotes { slot } => {
                    if let Some(taken) = voteless.remove(slot) {
                        self.give_votes(taken).await;
                    }
                }
                Move::Inject { slot, fault, target } => {
                    if Instant::now() >= until && active.is_empty() {
                        return;
                    }
                    let seed = choices.random();
                    let installed = self.inject(script.nemesis, fault, target, seed, &touched).await;
                    touched.extend(&installed.nodes);
                    if matches!(fault, Fault::Corrupt { .. }) {
                        damaged.extend(&installed.nodes);
                    }
                    active.insert(*slot, installed);
                }
                Move::Heal { slot } => {
                    if let Some(fault) = active.remove(slot) {
                        self.heal(fault).await;
                    }
                }
            }
        }
        for fault in active.into_values() {
            self.heal(fault).await;
        }
    }

    async fn inject(
        &self,
        nemesis: Nemesis,
        fault: &Fault,
        target: &Target,
        seed: u64,
        touched: &[usize],
    ) -> Active {
        let from_ns = self.arena.recorder.now_ns();
        let (nodes, guard, status) = match self.whom(target, seed, touched).await {
            Err(why) => (Vec::new(), None, FaultStatus::Skipped { why }),
            Ok(nodes) => match self.install(fault, &nodes).await {
                Injected::Installed(guard) => (nodes, Some(guard), FaultStatus::Installed),
                Injected::Skipped { why } => (nodes, None, FaultStatus::Skipped { why }),
                Injected::Indeterminate { why } => (nodes, None, FaultStatus::Indeterminate { why }),
            },
        };
        tracing::info!(%fault, ?nodes, ?status, "fault");
        let line = FaultLine {
            fault: fault.to_string(),
            target: target.to_string(),
            nodes: nodes.iter().map(|node| *node as u32).collect(),
            status,
            from_ns,
            to_ns: self.arena.recorder.now_ns(),
        };
        let mut troubles = self.troubles.borrow_mut();
        troubles.faults.push((nemesis, line));
        Active { guard, holds_down: fault.holds_down(), line: troubles.faults.len() - 1, nodes }
    }

    async fn install(&self, fault: &Fault, nodes: &[usize]) -> Injected {
        let _hands = self.hands.lock().await;
        self.brokers.inject(fault, nodes).await
    }

    /// The nodes of a target. Besides the roles of [`Brokers::resolve`] there are those that a script gave: `last`, the
    /// node that was touched last; `untouched`, one that was not touched; and `rest`, all that were not.
    pub(super) async fn whom(
        &self,
        target: &Target,
        seed: u64,
        touched: &[usize],
    ) -> Result<Vec<usize>, String> {
        match target {
            Target::Role(name) if name == "last" => {
                touched.last().map(|node| vec![*node]).ok_or_else(|| "no node was touched yet".to_owned())
            }
            Target::Role(name) if name == "untouched" => {
                let rest = (1..=self.brokers.size()).find(|node| !touched.contains(node));
                rest.map(|node| vec![node]).ok_or_else(|| "every node was touched".to_owned())
            }
            Target::Role(name) if name == "rest" => {
                let rest = (1..=self.brokers.size()).filter(|node| !touched.contains(node));
                let rest: Vec<usize> = rest.collect();
                if rest.is_empty() { Err("every node was touched".to_owned()) } else { Ok(rest) }
            }
            target => self.brokers.resolve(target, seed).await.map_err(|error| format!("{error:#}")),
        }
    }

    async fn heal(&self, active: Active) {
        if let Some(guard) = active.guard {
            // Whoever has them may be waiting for this: a repair, for a disk that stands still.
            let _hands = match active.holds_down {
                true => Some(self.hands.lock().await),
                false => None,
            };
            let healed = self.brokers.blocking(move |_| guard.heal()).await;
            if let Err(error) = healed {
                self.troubles.borrow_mut().unhealed.push(error.to_string());
            }
        }
        let now_ns = self.arena.recorder.now_ns();
        self.troubles.borrow_mut().faults[active.line].1.to_ns = now_ns;
    }

    async fn transfer(&self, nemesis: Nemesis) {
        let mut client = Client::new("jepsen-transfer", &self.arena.addresses, 0);
        let process = self.arena.recorder.process();
        let begun = self.arena.recorder.begin(process);
        let from_ns = self.arena.recorder.now_ns();
        let (ended, status) = match client.transfer_leader(BROKER_GROUP, "").await {
            Ok(_) => (Ended::Ok(()), FaultStatus::Installed),
            Err(status) => {
                let why = status.message().to_owned();
                (Ended::Info { why: why.clone() }, FaultStatus::Indeterminate { why })
            }
        };
        let what = format!("transfer of the leadership of {BROKER_GROUP}");
        self.arena.recorder.end(begun, &ended, Call::Administer { what });
        let line = FaultLine {
            fault: "transfer".to_owned(),
            target: "role:leader".to_owned(),
            nodes: Vec::new(),
            status,
            from_ns,
            to_ns: self.arena.recorder.now_ns(),
        };
        self.troubles.borrow_mut().faults.push((nemesis, line));
    }

    /// Has the nodes whose files were damaged looked through, rebuilt from the others where they are damaged, and started;
    /// and waits until all is whole again: another one that is damaged before would be one too many. A node need not
    /// notice at its start what lies in the body of an old frame, so those that run are stopped for it.
    async fn repair(&self, nemesis: Nemesis, damaged: &[usize]) {
        let nodes: std::collections::BTreeSet<usize> = damaged.iter().copied().collect();
        let hands = self.hands.lock().await;
        for node in nodes {
            let stopped = self.brokers.blocking(move |cluster| cluster.stop(node, STOP_PATIENCE)).await;
            tracing::info!(node, ?stopped, "looking for damage");
            if let Err(error) = self.brokers.repair(node).await {
                self.troubles.borrow_mut().unhealed.push(format!("{error:#}"));
            }
        }
        if let Err(error) = self.brokers.start_stopped().await {
            self.troubles.borrow_mut().unhealed.push(format!("{error:#}"));
        }
        drop(hands);
        // If it does not come, the end of the run says so. A node that another fault ended meanwhile is needed for it, and
        // whose nemesis has looked for it already may just have been about to end.
        let whole = self.brokers.converged_after_healing();
        tokio::pin!(whole);
        loop {
            tokio::select! {
                _ = &mut whole => return,
                () = tokio::time::sleep(LOOK_FOR_DEAD_EVERY) => self.bury(nemesis).await,
            }
        }
    }

    /// Starts nodes again that have ended by themselves, and remembers those that should not have.
    async fn bury(&self, nemesis: Nemesis) {
        let _hands = self.hands.lock().await;
        let dead = self.brokers.dead().await;
        if dead.is_empty() {
            return;
        }
        let by_disk = dead.iter().filter(|death| death.code == Some(DISK_EXIT_CODE)).count();
        self.troubles.borrow_mut().stopped_by_disk += by_disk as u64;
        if !(nemesis.ends_nodes() || self.ends_nodes) {
            self.troubles.borrow_mut().deaths.extend(dead);
        }
        if let Err(error) = self.brokers.start_stopped().await {
            self.troubles.borrow_mut().unhealed.push(format!("{error:#}"));
        }
    }
}
