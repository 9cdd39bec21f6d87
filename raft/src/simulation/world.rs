//! What all hosts of a run share: chance, the trace, and who is who.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use store::disk::Disk;
use tokio::runtime::{Handle, Id};

use crate::clock::ProcessClock;
use crate::names::{GroupId, NodeId};

/// Wall clocks show this when a run begins: milliseconds since 1970.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// What a node is surrounded by.
#[derive(Clone)]
pub struct Host {
    /// Which one.
    pub node: NodeId,
    /// Its disk.
    pub disk: Arc<dyn Disk>,
    /// How far its wall clock is ahead of the others', in milliseconds.
    pub wall_ahead_ms: i64,
    /// How long its disk takes for what waits in a log's queue, in milliseconds. Whole ones: a paused runtime of tokio
    /// begins some nanoseconds off its own grid, and rounds what lies between up or down.
    pub disk_delay_ms: Range<u64>,
}

/// A vote that a node granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// In which group.
    pub group: GroupId,
    /// Who granted it.
    pub voter: NodeId,
    /// For which term.
    pub term: u64,
    /// To whom.
    pub candidate: u64,
}

struct Entered {
    runtime: Id,
    host: Host,
    clock: Arc<ProcessClock>,
}

#[derive(Default)]
struct World {
    random: u64,
    hosts: Vec<Entered>,
    votes: Vec<Vote>,
    /// Whose disks take nothing.
    stalled: BTreeSet<NodeId>,
    /// The time between ticks, when no host runs.
    now: Duration,
    hash: u64,
    notes: u64,
    /// The last notes as text, if they are kept.
    text: Option<Vec<String>>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

fn world<T>(look: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(look)
}

/// Begins a run on this thread. With `keep_text` the trace is kept as text too.
pub fn begin(seed: u64, keep_text: bool) {
    let text = keep_text.then(Vec::new);
    world(|world| *world = World { random: seed, text, ..World::default() });
}

/// A number that the seed decides (SplitMix64).
pub fn random() -> u64 {
    world(|world| {
        world.random = world.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (world.random ^ (world.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// The runtime that this is called on is this host's from now on. Before the node is started.
pub fn enter(host: Host) {
    let runtime = Handle::current().id();
    let wall = wall_of(Some(&host));
    note(format_args!("{} starts, its wall clock shows {wall}", host.node));
    // A clock looks at the host that it is on.
    let clock = Arc::new(ProcessClock::of(wall as u64, super::surroundings::monotonic()));
    world(|world| {
        world.hosts.retain(|entered| entered.host.node != host.node);
        world.hosts.push(Entered { runtime, host, clock });
    });
}

fn here<T>(look: impl FnOnce(&Entered) -> T) -> Option<T> {
    let runtime = Handle::try_current().ok()?.id();
    world(|world| world.hosts.iter().find(|entered| entered.runtime == runtime).map(look))
}

pub(super) fn host() -> Option<Host> {
    here(|entered| entered.host.clone())
}

pub(super) fn clock() -> Option<Arc<ProcessClock>> {
    here(|entered| entered.clock.clone())
}

fn wall_of(host: Option<&Host>) -> i64 {
    let elapsed = turmoil::sim_elapsed().unwrap_or_default().as_millis() as i64;
    EPOCH_MS + elapsed + host.map_or(0, |host| host.wall_ahead_ms)
}

/// Milliseconds since 1970 by the wall clock of this host.
pub(super) fn wall_ms() -> u64 {
    wall_of(host().as_ref()) as u64
}

/// Between two ticks: so much has passed.
pub fn passed(now: Duration) {
    world(|world| world.now = now);
}

/// Adds a line to the trace.
pub fn note(what: impl std::fmt::Display) {
    let at = turmoil::sim_elapsed().unwrap_or_else(|| world(|world| world.now));
    let line = format!("{:>10.3} ms {what}", at.as_secs_f64() * 1000.0);
    world(|world| {
        world.hash = crate::hash::hash64(format!("{:016x} {line}", world.hash).as_bytes());
        world.notes += 1;
        if let Some(text) = &mut world.text {
            text.push(line);
        }
    });
}

/// A hash over the trace, and how many lines it has.
pub fn trace_hash() -> (u64, u64) {
    world(|world| (world.hash, world.notes))
}

/// The lines of the trace, if they were kept.
pub fn trace_text() -> Vec<String> {
    world(|world| world.text.clone().unwrap_or_default())
}

/// From now on a node's disk takes nothing, neither frames nor votes, or goes on.
pub fn stall_disk(node: NodeId, stalls: bool) {
    world(|world| match stalls {
        true => _ = world.stalled.insert(node),
        false => _ = world.stalled.remove(&node),
    });
}

pub(super) fn disk_stalls(node: NodeId) -> bool {
    world(|world| world.stalled.contains(&node))
}

/// The votes that were granted since this was last asked.
pub fn votes_granted() -> Vec<Vote> {
    world(|world| std::mem::take(&mut world.votes))
}

pub(super) fn vote_granted(vote: Vote) {
    note(format_args!("{} {} votes for {} in term {}", vote.group, vote.voter, vote.candidate, vote.term));
    world(|world| world.votes.push(vote));
}
