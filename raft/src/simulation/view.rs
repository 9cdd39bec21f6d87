//! How a replica stands, for invariants: what no client may see.

use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use store::commit_log::LogPointers;
use store::tables::TableError;

use crate::machine::MachineFailure;
use crate::names::{GroupId, NodeId};
use crate::node::Node;

/// A replica at one moment.
#[derive(Clone, Debug)]
pub struct ReplicaView {
    /// Of which group.
    pub group: GroupId,
    /// On which node.
    pub node: NodeId,
    /// The term it knows of.
    pub term: u64,
    /// Whether it says that it leads.
    pub leads: bool,
    /// Where its log stands.
    pub log: LogPointers,
    /// The last entry that its tables have.
    pub applied: Option<u64>,
    /// The last entry that its tables have durably.
    pub applied_durably: Option<u64>,
    /// The last entry of its latest snapshot.
    pub snapshot: Option<u64>,
}

/// What an entry is, and a hash over what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryView {
    /// The term it was proposed in.
    pub term: u64,
    /// Who proposed it.
    pub leader: u64,
    /// Where it lies.
    pub position: u64,
    /// Over its kind, its stamp and its body.
    pub hash: u64,
}

/// All replicas of a node.
pub fn replicas(node: &Node) -> Vec<ReplicaView> {
    let groups = node.inner.groups.values();
    groups
        .map(|group| {
            let metrics = group.raft.metrics().borrow_watched().clone();
            let replica = group.replica();
            ReplicaView {
                group: group.id,
                node: node.id(),
                term: metrics.current_term,
                leads: metrics.state == ServerState::Leader,
                log: group.store.log().pointers(),
                applied: replica.applied().map(|mark| mark.index),
                applied_durably: replica.durability().durable_applied(),
                snapshot: group.dirs.current().map(|snapshot| snapshot.meta().last.index),
            }
        })
        .collect()
}

/// One entry of a replica's log, if it is there.
pub fn entry(node: &Node, group: GroupId, index: u64) -> Option<EntryView> {
    let frames = node.inner.groups.get(group)?.store.log().frames(index..index + 1, 0).ok()?;
    let frame = frames.first()?;
    let mut bytes = format!("{:?} {} ", frame.kind, frame.stamp_ms).into_bytes();
    bytes.extend_from_slice(&frame.body);
    Some(EntryView {
        term: frame.term,
        leader: frame.leader,
        position: frame.position()?.0,
        hash: crate::hash::hash64(&bytes),
    })
}

/// The applied index of a replica, and a checksum over all its rows.
///
/// # Errors
/// The tables cannot be read.
pub fn digest(node: &Node, group: GroupId) -> Option<Result<(u64, u64), MachineFailure>> {
    let digest = node.inner.groups.get(group)?.digest(&mut || true);
    Some(digest.map(|digest| {
        let (applied, digest) = digest.expect("it was wanted to its end");
        (applied, digest.checksum)
    }))
}

/// Brings the tables of a replica to disk.
///
/// # Errors
/// The disk failed.
pub fn flush(node: &Node, group: GroupId) -> Result<(), TableError> {
    let Some(group) = node.inner.groups.get(group) else { return Ok(()) };
    let durability = group.replica().durability();
    durability.flush().map(|_| ())
}
