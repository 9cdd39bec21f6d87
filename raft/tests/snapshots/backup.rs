//! A copy of every group, taken from followers, and a cluster that is made of it.

use std::path::PathBuf;

use raft::catalog::NodeInfo;
use raft::names::{GroupId, NodeId};
use raft::node::{CopyError, LogStretch, Node};
use raft::restore::{Restore, RestoreError, RestoreTarget};
use store::snapshot::SnapshotDirs;
use store::tables::{GroupTables, TableStore};
use tempfile::TempDir;

use crate::cluster::{Cluster, GROUP, lease, read_all, soon};
use crate::retention::{eager, let_go, until_deleted};
use crate::waiting::Waiting;

const SEGMENT_BYTES: u64 = 1 << 20;
const LOG_BYTES: u64 = 1 << 30;

/// What a backup holds of a group.
struct Copied {
    group: GroupId,
    stretch: LogStretch,
    log: Vec<u8>,
    meta: Vec<u8>,
    tables: Vec<(String, Vec<u8>)>,
}

async fn copy(node: &Node, group: GroupId, at_least: u64) -> Copied {
    let copy = node.copy_replica(group, at_least, soon()).await.expect("it can be copied");
    let stretch = copy.stretch().await.expect("it has a log");
    assert!(stretch.last.index >= at_least, "{stretch:?}");
    let mut next = stretch.behind.map_or(0, |behind| behind.index + 1);
    let (snapshot, mut log) = (copy.snapshot().await.expect("a snapshot"), Vec::new());
    let last = snapshot.meta().last.index;
    while next <= last {
        for frame in copy.frames(next, last).await.expect("frames") {
            next = frame.index + 1;
            log.extend_from_slice(&frame.to_wire());
        }
    }
    let mut tables = Vec::new();
    for (name, length) in snapshot.files().expect("files") {
        let bytes = copy.file_part(&snapshot, &name, 0, length as usize).await.expect("a file");
        tables.push((name, bytes));
    }
    let busy = node.copy_replica(group, 0, soon()).await;
    assert!(matches!(busy, Err(CopyError::Busy(it)) if it == group), "one at a time");
    Copied { group, stretch, log, meta: snapshot.meta().encode(), tables }
}

/// Of every group from a follower of it, `meta` last.
async fn copy_all(cluster: &Cluster) -> Vec<Copied> {
    let mut copies = Vec::new();
    for group in [GROUP, GroupId::META] {
        let leader = cluster.leader(group);
        let follower = (1..=3).find(|id| *id != leader).expect("a follower");
        let committed = cluster.replica(leader, leader, group).await.expect("it answers").applied_index;
        copies.push(copy(cluster.node(follower), group, committed).await);
    }
    copies
}

fn target(members: &[NodeInfo], id: u64, data: PathBuf) -> RestoreTarget {
    let members = members.iter().map(|info| (info.id, info.peer.clone())).collect();
    RestoreTarget {
        cluster: "test".to_owned(),
        node: NodeId(id),
        members,
        data,
        segment_bytes: SEGMENT_BYTES,
    }
}

/// Gives the log in pieces that know nothing of frames.
fn make(restore: &Restore, copied: &Copied) -> Result<(), RestoreError> {
    let mut group = restore.group(copied.group, copied.stretch.behind, copied.stretch.at)?;
    for piece in copied.log.chunks(10_007) {
        group.log_bytes(piece)?;
    }
    for (name, bytes) in &copied.tables {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        group.file_part(name, 0, first)?;
        group.file_part(name, first.len() as u64, second)?;
    }
    group.finish(&copied.meta)
}

fn restore_all(cluster: &Cluster, copies: &[Copied]) {
    for id in 1..=cluster.members().len() as u64 {
        let restore = Restore::begin(target(cluster.members(), id, cluster.options(id).data)).expect("begun");
        copies.iter().for_each(|copied| make(&restore, copied).expect("made"));
        restore.finish().expect("in place");
    }
}

/// A checksum over the rows that a replica has that does not run.
fn digest_of(cluster: &Cluster, id: u64, group: GroupId) -> u64 {
    let dirs = SnapshotDirs::open(&cluster.group_dir(id, group)).expect("a group");
    let tables = GroupTables::open_read_only(&dirs.tables().expect("tables")).expect("tables");
    tables.digest().expect("read")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_made_of_a_copy_goes_on_where_it_was() {
    let mut source = Cluster::start_with(3, eager).await;
    let topic = source.topic(1, "orders").await;
    let consumer = source.consumer(1, "workers").await;
    let waiting = Waiting::begin(&source).await;
    source.send(1, &topic, 0..700).await;
    let_go(&source, &topic).await;
    until_deleted(&source, 1..=3).await;
    source.send(1, &topic, 700..760).await;
    let leased = lease(source.node(1), &topic, &consumer, 5, 1).await;
    assert_eq!(leased.len(), 5);
    let copies = copy_all(&source).await;
    let brokers = &copies[0];
    assert!(
        brokers.stretch.behind.is_some(),
        "what retention took away is not copied: {:?}",
        brokers.stretch
    );
    for id in 1..=3 {
        source.stop(id).await;
    }

    for size in [3, 1] {
        let mut cluster = Cluster::unstarted(size, source.tuning());
        restore_all(&cluster, &copies);
        for group in [GROUP, GroupId::META] {
            let digests: Vec<u64> = (1..=size).map(|id| digest_of(&cluster, id, group)).collect();
            assert!(digests.iter().all(|digest| *digest == digests[0]), "{group}: {digests:?}");
        }
        cluster.start_all().await;
        let node = cluster.node(1);
        for published in node.publish(vec![crate::cluster::message(&topic, 750)], soon()).await {
            assert!(published.expect("answered").duplicate, "the window of ids is restored");
        }
        cluster.send(1, &topic, 760..800).await;
        read_all(node, &topic, &consumer, 705..800).await;
        let receipts = leased.iter().map(|delivered| delivered.receipt).collect();
        for settled in node.acknowledge(receipts, soon()).await {
            settled.expect("a lease from before is as good as ever");
        }
        waiting.clone().goes_on(&cluster, 1).await;
        let fresh = cluster.topic(1, "made-afterwards").await;
        assert!(fresh.id > topic.id && fresh.id > waiting.topic.id, "ids are not given out twice");
        for id in 2..=size {
            cluster.same_digest(1, id, GROUP).await;
            cluster.same_digest(1, id, GroupId::META).await;
        }
        // It survives a restart, and a replica that lost everything gets it back from the others.
        cluster.stop(1).await;
        if size > 1 {
            std::fs::remove_dir_all(cluster.options(1).data).expect("removed");
        }
        cluster.start_node(1).await;
        cluster.node(1).ready(soon()).await.expect("leaders");
        if size > 1 {
            cluster.same_digest(1, 2, GROUP).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rows_of_a_copy_are_those_of_its_source() {
    let source = Cluster::start(3, LOG_BYTES).await;
    let topic = source.topic(1, "orders").await;
    source.send(1, &topic, 0..50).await;
    let copies = copy_all(&source).await;
    assert_eq!(copies[0].stretch.behind, None, "the log is there from its beginning");
    let cluster = Cluster::unstarted(5, source.tuning());
    restore_all(&cluster, &copies);
    for (group, copied) in [GROUP, GroupId::META].into_iter().zip(&copies) {
        let last = copied.stretch.last.index;
        source.until("the copied entry", 1, group, |replica| replica.applied_index >= last).await;
        let (at, digest) = source.node(1).replica_digest(group).await.expect("a digest");
        assert_eq!(at, last, "nothing came after the copy");
        for id in 1..=5 {
            assert_eq!(digest_of(&cluster, id, group), digest, "{group} of node {id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_copy_makes_no_data_directory() {
    let source = Cluster::start(1, LOG_BYTES).await;
    let topic = source.topic(1, "orders").await;
    source.send(1, &topic, 0..20).await;
    let copied = copy(source.node(1), GROUP, 0).await;

    let live = Restore::begin(target(source.members(), 1, source.options(1).data)).err().expect("refused");
    assert!(live.to_string().contains("is in use by another process"), "{live}");
    let scratch = TempDir::new().expect("a directory");
    let data = scratch.path().join("data");
    std::fs::create_dir_all(data.join("groups")).expect("made");
    let full = Restore::begin(target(source.members(), 1, data.clone())).err().expect("refused");
    assert!(matches!(&full, RestoreError::NotEmpty { found, .. } if found == "groups"), "{full}");
    std::fs::remove_dir(data.join("groups")).expect("removed");

    type Spoil = fn(&mut Copied);
    let cases: [(&str, Spoil); 6] = [
        ("does not match its checksum", |it| it.log[200] ^= 1),
        ("the log ends with", |it| it.log.truncate(it.log.len() - 10)),
        ("comes where", |it| it.stretch.behind = Some(it.stretch.last)),
        ("does not match its checksum", |it| it.meta[20] ^= 1),
        ("does not hold its tables", |it| {
            let (_, bytes) = it.tables.iter_mut().find(|(name, _)| name.ends_with(".sst")).expect("a table");
            bytes[100] ^= 1;
        }),
        ("is no name", |it| it.tables[0].0 = "../outside".to_owned()),
    ];
    for (number, (expected, spoil)) in cases.into_iter().enumerate() {
        let mut spoiled = Copied {
            group: copied.group,
            stretch: copied.stretch,
            log: copied.log.clone(),
            meta: copied.meta.clone(),
            tables: copied.tables.clone(),
        };
        spoil(&mut spoiled);
        let restore = Restore::begin(target(source.members(), 1, data.clone())).expect("begun");
        let error = make(&restore, &spoiled).expect_err("refused").to_string();
        assert!(error.contains(expected), "{number}: {expected:?} is not in {error:?}");
        drop(restore);
        let left: Vec<_> =
            std::fs::read_dir(&data).expect("read").map(|it| it.unwrap().file_name()).collect();
        assert_eq!(left, ["LOCK"], "case {number} left something");
    }
}
