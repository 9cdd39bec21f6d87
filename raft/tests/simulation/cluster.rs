//! The hosts of a run: started, crashed, started again, cut off.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::NodeInfo;
use raft::features::FeatureLevel;
use raft::names::{GroupId, NodeId};
use raft::node::{Node, NodeOptions, Retention, Tuning};
use raft::simulation::{self, Host};
use store::disk::simulated::SimulatedDisk;
use turmoil::Sim;

use crate::workload::{self, Clients};

/// One step of the simulated network and of every host.
pub const TICK: Duration = Duration::from_millis(1);
const PORT: u16 = 9000;

/// How a node that does not run came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It did not start.
    Refused(String),
    /// It stopped by itself.
    Failed(String),
}

/// What the outside sees of a host.
pub struct Slot {
    pub name: String,
    pub disk: SimulatedDisk,
    pub node: RefCell<Option<Node>>,
    pub end: RefCell<Option<End>>,
    pub wall_ahead_ms: Cell<i64>,
    options: NodeOptions,
}

/// How large and how skewed the clusters of a run are.
#[derive(Clone, Debug)]
pub struct Shape {
    pub nodes: u64,
    pub wall_ahead_ms: Vec<i64>,
    pub disk_delay_ms: std::ops::Range<u64>,
}

pub struct Cluster<'a> {
    pub sim: Sim<'a>,
    pub slots: Vec<Rc<Slot>>,
    up: Vec<bool>,
    // Removed when the run ends: tables and snapshots are there.
    _dir: tempfile::TempDir,
}

/// In memory where there is such a place: the simulation is not about this machine's disk.
fn directory() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.expect("a directory")
}

fn options(id: u64, members: &[NodeInfo], data: PathBuf) -> NodeOptions {
    NodeOptions {
        cluster: "simulated".to_owned(),
        id: NodeId(id),
        members: members.to_vec(),
        seeds: Vec::new(),
        peer_bind: format!("0.0.0.0:{PORT}").parse().expect("an address"),
        data,
        broker_groups: 1,
        tuning: Tuning {
            segment_bytes: 1 << 20,
            tail_cache_bytes: 64 << 10,
            table_memory_bytes: 1 << 20,
            snapshot_log_bytes: 32 << 10,
            snapshot_entries_kept: 16,
            retention: Retention { look_every: Duration::from_secs(600), ..Retention::default() },
            ..Tuning::default()
        },
        transaction_checks: Default::default(),
        reads_up_to: FeatureLevel::NEWEST,
        tls: Default::default(),
    }
}

impl Cluster<'_> {
    pub fn start(seed: u64, shape: &Shape, clients: &Rc<Clients>) -> Cluster<'static> {
        let mut builder = turmoil::Builder::new();
        builder
            .rng_seed(seed)
            .tick_duration(TICK)
            .simulation_duration(Duration::from_secs(3600))
            .min_message_latency(Duration::from_micros(200))
            .max_message_latency(Duration::from_millis(3))
            .tcp_capacity(1 << 16)
            .enable_random_order();
        let mut sim = builder.build();
        let dir = directory();
        let names: Vec<String> = (1..=shape.nodes).map(|id| format!("node{id}")).collect();
        let members: Vec<NodeInfo> = names
            .iter()
            .zip(1..)
            .map(|(name, id)| NodeInfo {
                id: NodeId(id),
                name: name.clone(),
                grpc: format!("{name}:1"),
                http: String::new(),
                peer: format!("{name}:{PORT}"),
                incarnation: 0,
            })
            .collect();
        let mut slots = Vec::new();
        for (name, id) in names.into_iter().zip(1..=shape.nodes) {
            let slot = Rc::new(Slot {
                options: options(id, &members, dir.path().join(&name)),
                name: name.clone(),
                disk: SimulatedDisk::new(seed.wrapping_mul(31).wrapping_add(id)),
                node: RefCell::default(),
                end: RefCell::default(),
                wall_ahead_ms: Cell::new(shape.wall_ahead_ms[id as usize - 1]),
            });
            slots.push(slot.clone());
            let (clients, delay_ms) = (clients.clone(), shape.disk_delay_ms.clone());
            sim.host(name, move || live(slot.clone(), clients.clone(), delay_ms.clone()));
        }
        let up = vec![true; slots.len()];
        Cluster { sim, slots, up, _dir: dir }
    }

    pub fn size(&self) -> usize {
        self.slots.len()
    }

    pub fn is_up(&self, at: usize) -> bool {
        self.up[at]
    }

    /// The nodes that run.
    pub fn nodes(&self) -> Vec<Node> {
        self.slots.iter().filter_map(|slot| slot.node.borrow().clone()).collect()
    }

    /// Ends a node's process. What it wrote stays, synced or not.
    pub fn kill(&mut self, at: usize) {
        self.slots[at].disk.end_process();
        self.drop_host(at);
    }

    /// Takes the power of a node away. What it did not sync is there, or not, or in part.
    pub fn power_off(&mut self, at: usize) {
        self.slots[at].disk.power_off();
        self.drop_host(at);
        self.slots[at].disk.restart();
    }

    fn drop_host(&mut self, at: usize) {
        if std::mem::replace(&mut self.up[at], false) {
            // The process and all that it holds ends with its runtime.
            self.slots[at].node.take();
            self.slots[at].end.take();
            // Whatever comes up later finds a disk that works.
            self.stall_disk(at, false);
            self.sim.crash(self.slots[at].name.as_str());
        }
    }

    /// Lets the disk of a node stand still, or go on.
    pub fn stall_disk(&self, at: usize, stalls: bool) {
        simulation::stall_disk(self.slots[at].options.id, stalls);
    }

    /// The node that says that it leads the broker group; of several that say so the one of the newest term.
    pub fn leader(&self) -> Option<usize> {
        let replicas = self.nodes().into_iter().flat_map(|node| simulation::view::replicas(&node));
        let leaders = replicas.filter(|replica| replica.group == GroupId(1) && replica.leads);
        leaders.max_by_key(|replica| replica.term).map(|replica| replica.node.0 as usize - 1)
    }

    /// Starts a node that does not run.
    pub fn restart(&mut self, at: usize) {
        if !std::mem::replace(&mut self.up[at], true) {
            self.sim.bounce(self.slots[at].name.as_str());
        }
    }
}

/// The life of a process: a node and its clients.
async fn live(
    slot: Rc<Slot>,
    clients: Rc<Clients>,
    disk_delay_ms: std::ops::Range<u64>,
) -> Result<(), Box<dyn std::error::Error>> {
    simulation::enter(Host {
        node: slot.options.id,
        disk: Arc::new(slot.disk.clone()),
        wall_ahead_ms: slot.wall_ahead_ms.get(),
        disk_delay_ms,
    });
    let end = match Node::start(slot.options.clone()).await {
        Err(error) => End::Refused(error.to_string()),
        Ok(node) => {
            slot.node.replace(Some(node.clone()));
            workload::start(&clients, &node);
            End::Failed(node.failed().await)
        }
    };
    // Where the files lie is another place in every run.
    let text = format!("{end:?}").replace(&slot.options.data.display().to_string(), "");
    simulation::note(format_args!("{} ended: {text}", slot.name));
    slot.end.replace(Some(end));
    // Whoever looks at the slots ends it.
    std::future::pending().await
}
