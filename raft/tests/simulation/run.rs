//! One seed, from an empty cluster to the verdict.

use std::rc::Rc;
use std::time::Duration;

use raft::simulation;

use crate::cluster::{Cluster, End, Shape};
use crate::dice::Dice;
use crate::history::Ending;
use crate::invariants::Invariants;
use crate::plan::{self, Fault, Step};
use crate::properties;
use crate::workload::{Clients, INVISIBLE};

/// A cluster that is well makes a topic within this.
const BEGUN_WITHIN: Duration = Duration::from_secs(30);
/// After everything is healed every node takes a send within this.
const ALIVE_WITHIN: Duration = Duration::from_secs(30);
/// And everything is delivered and settled within this.
const DRAINED_WITHIN: Duration = Duration::from_secs(60);
/// In every so many seeds disks stand still, too.
const STALLS_EVERY: u64 = 4;
/// Digests are compared every so many ticks.
const DIGESTS_EVERY: u64 = 200;
/// Tables go to disk every so many ticks, on one node or another.
const FLUSH_EVERY: u64 = 700;

/// Seeds from here on are about leaders that are cut off.
pub const LEADER_SEEDS_FROM: u64 = 1_000_000;

/// What a seed stands for.
#[derive(Clone, Debug)]
pub struct Settings {
    pub seed: u64,
    pub shape: Shape,
    pub load: Duration,
    pub plan: Vec<Step>,
    pub keep_trace: bool,
}

impl Settings {
    pub fn for_seed(seed: u64) -> Settings {
        let mut dice = Dice::of(seed, 1);
        let nodes = if dice.once_in(4) { 5 } else { 3 };
        let wall_ahead_ms = (0..nodes).map(|_| dice.within(0..800) as i64 - 400).collect();
        let slowest_ms = *dice.pick(&[1, 2, 10, 30]);
        let disk_delay_ms = 0..slowest_ms;
        let load = Duration::from_secs(dice.within(6..16));
        let mut plan = match seed {
            LEADER_SEEDS_FROM.. => plan::leaders_cut_off(&mut dice, load),
            _ => plan::plan(&mut dice, nodes, load),
        };
        if seed < LEADER_SEEDS_FROM && seed.is_multiple_of(STALLS_EVERY) {
            plan::add_stalls(&mut plan, &mut Dice::of(seed, 2), nodes, load);
        }
        let shape = Shape { nodes, wall_ahead_ms, disk_delay_ms };
        Settings { seed, shape, load, plan, keep_trace: false }
    }
}

/// A run in which everything held.
#[derive(Clone, Debug)]
pub struct Report {
    /// A hash over all events, and their number.
    pub trace: (u64, u64),
    /// The events, if they were kept.
    pub text: Vec<String>,
    pub simulated: Duration,
    pub nodes: usize,
    pub acked: usize,
    pub delivered: usize,
    pub faults: usize,
    pub entries: usize,
    pub digests_compared: usize,
    /// The longest time of the load in which no send succeeded.
    pub longest_gap: Duration,
    /// Leaderships that nodes gave away because their disks stood still, since they last started.
    pub gave_way: u64,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Report { acked, delivered, faults, entries, digests_compared, nodes, .. } = self;
        write!(
            f,
            "{:.1} s simulated, {nodes} nodes, {faults} faults, {acked} acked, {delivered} delivered, {entries} entries, \
             {digests_compared} digests compared, trace {:016x}",
            self.simulated.as_secs_f64(),
            self.trace.0
        )
    }
}

/// What did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    pub at: Duration,
    pub what: String,
    pub text: Vec<String>,
}

struct Run<'a> {
    cluster: Cluster<'a>,
    clients: Rc<Clients>,
    invariants: Invariants,
    ticks: u64,
    injected: usize,
    /// When the load began, and when everything was healed.
    begun: Duration,
    healed: Duration,
    /// Nodes that stopped by themselves are started again so long after.
    starts: Vec<(u64, usize)>,
}

/// Runs a seed.
pub fn run(settings: &Settings) -> Result<Report, Box<Failure>> {
    simulation::begin(settings.seed, settings.keep_trace);
    let clients = Clients::new(settings.seed);
    let mut run = Run {
        cluster: Cluster::start(settings.seed, &settings.shape, &clients),
        clients,
        invariants: Invariants::default(),
        ticks: 0,
        injected: 0,
        begun: Duration::ZERO,
        healed: Duration::ZERO,
        starts: Vec::new(),
    };
    let held = run.phases(settings);
    let at = run.cluster.sim.elapsed();
    match held {
        Ok(()) => Ok(run.report(at)),
        Err(what) => {
            let text = simulation::trace_text();
            Err(Box::new(Failure { at, what, text }))
        }
    }
}

impl Run<'_> {
    fn phases(&mut self, settings: &Settings) -> Result<(), String> {
        let begun = |run: &Self| run.clients.made.borrow().is_some();
        self.until("a topic is made", BEGUN_WITHIN, begun)?;
        self.load(settings)?;
        self.heal()?;
        self.clients.sending.set(true);
        self.alive()?;
        self.clients.sending.set(false);
        let drained = |run: &Self| run.is_drained();
        self.until("nothing is delivered any more", DRAINED_WITHIN, drained)?;
        let nodes = self.cluster.nodes();
        self.invariants.compare_digests(&nodes)?;
        properties::check(&self.clients.history.borrow())
    }

    fn load(&mut self, settings: &Settings) -> Result<(), String> {
        self.begun = self.cluster.sim.elapsed();
        let begun = self.begun;
        let mut steps = settings.plan.iter().peekable();
        while self.cluster.sim.elapsed() < begun + settings.load {
            while let Some(step) = steps.next_if(|step| begun + step.at <= self.cluster.sim.elapsed()) {
                plan::inject(&mut self.cluster, &step.fault);
                self.injected += 1;
            }
            self.tick()?;
        }
        Ok(())
    }

    /// Takes all faults away and starts what does not run.
    fn heal(&mut self) -> Result<(), String> {
        simulation::note("heal");
        self.healed = self.cluster.sim.elapsed();
        plan::heal_links(&mut self.cluster);
        plan::inject(&mut self.cluster, &Fault::DisksGoOn);
        for node in 0..self.cluster.size() {
            // What was armed and did not happen must not happen later.
            if self.cluster.is_up(node) {
                self.cluster.slots[node].disk.disarm();
            }
            plan::inject(&mut self.cluster, &Fault::Start(node));
        }
        Ok(())
    }

    /// Every node takes a send that begins after the healing.
    fn alive(&mut self) -> Result<(), String> {
        let from = self.clients.history.borrow().sent.len();
        let nodes = self.cluster.size();
        let alive = move |run: &Self| {
            let history = run.clients.history.borrow();
            let done = history.sent[from..].iter().filter(|sent| matches!(sent.ending, Ending::Done(_)));
            done.map(|sent| sent.node).collect::<std::collections::BTreeSet<_>>().len() == nodes
        };
        self.until("every node takes a send", ALIVE_WITHIN, alive)
    }

    /// Nothing has come for longer than a lease lasts: everything is settled, or lost.
    fn is_drained(&self) -> bool {
        let history = self.clients.history.borrow();
        let last = history.got.last().map_or(self.healed, |got| got.at.max(self.healed));
        self.cluster.sim.elapsed() > last + 2 * INVISIBLE
    }

    fn until(&mut self, what: &str, within: Duration, holds: impl Fn(&Self) -> bool) -> Result<(), String> {
        let deadline = self.cluster.sim.elapsed() + within;
        while !holds(self) {
            if self.cluster.sim.elapsed() > deadline {
                return Err(format!("not within {within:?}: {what}"));
            }
            // Not after every tick: it is looked at the whole history.
            for _ in 0..20 {
                self.tick()?;
            }
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), String> {
        self.cluster.sim.step().map_err(|error| format!("a host ended: {error}"))?;
        self.ticks += 1;
        simulation::passed(self.cluster.sim.elapsed());
        self.heed_ends()?;
        let nodes = self.cluster.nodes();
        self.invariants.look(&nodes)?;
        if self.ticks.is_multiple_of(DIGESTS_EVERY) {
            self.invariants.compare_digests(&nodes)?;
        }
        if self.ticks.is_multiple_of(FLUSH_EVERY) {
            let node = (self.ticks / FLUSH_EVERY) as usize % self.cluster.size();
            plan::flush(&self.cluster, node);
        }
        Ok(())
    }

    /// A node whose power went, or that stopped because its disk failed, is started again soon.
    fn heed_ends(&mut self) -> Result<(), String> {
        for at in 0..self.cluster.size() {
            if !self.cluster.is_up(at) {
                continue;
            }
            if self.cluster.slots[at].disk.is_off() {
                simulation::note(format_args!("the power of {} went", self.cluster.slots[at].name));
                self.cluster.power_off(at);
                self.starts.push((self.ticks + 500, at));
                continue;
            }
            let end = self.cluster.slots[at].end.borrow().clone();
            match end {
                None => {}
                // Its disk failed while it started.
                Some(End::Refused(why)) if why.contains("os error 5") => {
                    self.cluster.kill(at);
                    self.starts.push((self.ticks + 500, at));
                }
                Some(End::Refused(why)) => {
                    return Err(format!("{} does not start: {why}", self.cluster.slots[at].name));
                }
                Some(End::Failed(_)) => {
                    self.cluster.kill(at);
                    self.starts.push((self.ticks + 500, at));
                }
            }
        }
        let ticks = self.ticks;
        let due: Vec<usize> =
            self.starts.extract_if(.., |start| start.0 <= ticks).map(|start| start.1).collect();
        due.into_iter().for_each(|at| self.cluster.restart(at));
        Ok(())
    }

    fn report(&self, simulated: Duration) -> Report {
        let history = self.clients.history.borrow();
        for slot in &self.cluster.slots {
            for call in slot.disk.take_trace() {
                // Where the files lie is another place in every run.
                let call = call.rsplit('/').next().unwrap_or_default();
                simulation::note(format_args!("{} {call}", slot.name));
            }
        }
        let (entries, digests_compared) = self.invariants.seen();
        Report {
            trace: simulation::trace_hash(),
            text: simulation::trace_text(),
            simulated,
            nodes: self.cluster.size(),
            acked: history.sent.iter().filter(|sent| matches!(sent.ending, Ending::Done(_))).count(),
            delivered: history.got.len(),
            faults: self.injected,
            entries,
            digests_compared,
            longest_gap: self.longest_gap(&history.acked),
            gave_way: self.cluster.nodes().iter().map(raft::node::Node::stalls).sum(),
        }
    }

    fn longest_gap(&self, acked: &[Duration]) -> Duration {
        let within = acked.iter().copied().filter(|at| (self.begun..self.healed).contains(at));
        let ends: Vec<Duration> = [self.begun].into_iter().chain(within).chain([self.healed]).collect();
        ends.windows(2).map(|ends| ends[1] - ends[0]).max().unwrap_or_default()
    }
}
