//! What a replica does not take, and that nothing changes then. A made-up leader speaks to a real replica.

use std::fs;

use proto::peer::peer_client::PeerClient;
use proto::peer::snapshot_chunk::Part;
use proto::peer::snapshot_refusal::Kind;
use proto::peer::{
    Ballot, LogId, SnapshotChunk, SnapshotFile, SnapshotFilePart, SnapshotFrames, SnapshotHeader,
    SnapshotResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use crate::cluster::{Cluster, GROUP, soon};

struct Forger {
    client: PeerClient<tonic::transport::Channel>,
    tag: String,
    /// The node that it speaks to.
    target: u64,
    header: SnapshotHeader,
}

impl Forger {
    /// Speaks to a follower in the name of its leader.
    async fn new(cluster: &Cluster) -> Forger {
        let leader = cluster.leader(GROUP);
        let target = (1..=3).find(|id| *id != leader).expect("a follower");
        let options = cluster.options(target);
        let client =
            PeerClient::connect(format!("http://{}", options.members[target as usize - 1].peer)).await;
        let status = cluster.node(target).status().await;
        let group = status.groups.iter().find(|status| status.group == GROUP).expect("the group");
        let last = group.replicas[0].last_index + 10;
        Forger {
            client: client.expect("connected"),
            tag: format!("{:016x}", options.fingerprint()),
            target,
            header: SnapshotHeader {
                group: GROUP.0,
                target,
                vote: Some(Ballot { term: group.term, node: leader, committed: true }),
                last: Some(LogId { term: group.term, leader, index: last }),
                log_end: 1 << 20,
                membership_id: None,
                membership: Default::default(),
                files: vec![SnapshotFile { name: "000001.sst".to_owned(), length: 4 }],
                begins_behind: None,
                begins_at: 0,
            },
        }
    }

    async fn send(&self, header: SnapshotHeader, parts: Vec<Part>) -> Result<SnapshotResponse, Status> {
        let parts = std::iter::once(Part::Header(header)).chain(parts);
        let chunks: Vec<_> = parts.map(|part| SnapshotChunk { part: Some(part) }).collect();
        let mut request = Request::new(tokio_stream::iter(chunks));
        request.metadata_mut().insert("x-ledgermq-cluster", self.tag.parse().expect("ASCII"));
        self.client.clone().install_snapshot(request).await.map(tonic::Response::into_inner)
    }

    async fn refused(&self, header: SnapshotHeader, parts: Vec<Part>) -> (Kind, String) {
        let answer = self.send(header, parts).await.expect("an answer");
        let refusal = answer.refusal.expect("a refusal");
        (refusal.kind(), refusal.reason)
    }
}

fn part(data: &'static [u8], crc32c: u32) -> Part {
    Part::File(SnapshotFilePart { file: 0, data: data.into(), crc32c })
}

fn whole(data: &'static [u8]) -> Part {
    part(data, store::snapshot::checksum(data))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_or_a_missing_part_is_refused_and_changes_nothing() {
    let cluster = Cluster::start(3, 1 << 30).await;
    let topic = cluster.topic(1, "orders").await;
    cluster.send(1, &topic, 0..10).await;
    let forger = Forger::new(&cluster).await;
    let header = &forger.header;
    let (leader, target) = (cluster.leader(GROUP), forger.target);
    cluster.same_digest(leader, target, GROUP).await;
    let before = cluster.replica(target, target, GROUP).await.expect("it answers");

    let flipped = store::snapshot::checksum(b"abcd") ^ 1;
    let cases: Vec<(&str, Vec<Part>, Kind)> = vec![
        ("a flipped bit in a file", vec![part(b"abcd", flipped)], Kind::Damaged),
        ("a flipped bit in a frame", vec![frames(b"LMQF and so on")], Kind::Damaged),
        ("a file cut short", vec![whole(b"abc")], Kind::Malformed),
        ("a file too long", vec![whole(b"abcde")], Kind::Malformed),
        ("one file too many", vec![whole(b"abcd"), whole(b"x")], Kind::Malformed),
        ("a second header", vec![Part::Header(header.clone())], Kind::Malformed),
        ("no frames up to it", vec![whole(b"abcd")], Kind::Log),
    ];
    for (what, parts, expected) in cases {
        let (kind, reason) = forger.refused(header.clone(), parts).await;
        assert_eq!(kind, expected, "{what}: {reason}");
    }
    let outside = SnapshotFile { name: "../../LOCK".to_owned(), length: 4 };
    let header_outside = SnapshotHeader { files: vec![outside], ..header.clone() };
    let (kind, reason) = forger.refused(header_outside, vec![whole(b"abcd")]).await;
    assert_eq!(kind, Kind::Malformed, "{reason}");
    assert!(reason.contains("is no name"), "{reason}");

    let after = cluster.replica(target, target, GROUP).await.expect("it answers");
    assert_eq!(after, before);
    let left = fs::read_dir(cluster.group_dir(target, GROUP).join("snapshot")).expect("a directory").count();
    assert_eq!(left, 0, "nothing is left of what was refused");
    cluster.send(1, &topic, 10..20).await;
    cluster.same_digest(leader, target, GROUP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_for_somebody_else_is_refused() {
    let cluster = Cluster::start(3, 1 << 30).await;
    let mut forger = Forger::new(&cluster).await;
    let (leader, header) = (cluster.leader(GROUP), forger.header.clone());
    let (kind, _) = forger.refused(SnapshotHeader { target: leader, ..header.clone() }, Vec::new()).await;
    assert_eq!(kind, Kind::WrongTarget);
    let (kind, _) = forger.refused(SnapshotHeader { group: 9, ..header.clone() }, Vec::new()).await;
    assert_eq!(kind, Kind::WrongTarget);
    let beyond = LogId { term: 1 << 40, leader, index: 1 << 40 };
    let (kind, _) = forger.refused(SnapshotHeader { last: Some(beyond), ..header.clone() }, Vec::new()).await;
    assert_eq!(kind, Kind::Malformed);
    let stale = Ballot { term: 0, node: leader, committed: true };
    let old = LogId { term: 0, leader, index: 1 << 40 };
    let stale = SnapshotHeader { vote: Some(stale), last: Some(old), ..header.clone() };
    let answer = forger.send(stale, Vec::new()).await.expect("an answer");
    assert_eq!(answer.refusal, None);
    assert!(answer.vote.expect("a vote").term >= header.vote.expect("a vote").term, "it is told who leads");
    forger.tag = "0123456789abcdef".to_owned();
    let status = forger.send(header, Vec::new()).await.expect_err("refused");
    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    assert_eq!(cluster.leader(GROUP), leader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stops_in_the_middle_of_a_snapshot_starts_again() {
    let mut cluster = Cluster::start(3, 1 << 30).await;
    let topic = cluster.topic(1, "orders").await;
    cluster.send(1, &topic, 0..10).await;
    let forger = Forger::new(&cluster).await;
    let target = forger.target;
    let (parts, receiver) = mpsc::channel(8);
    for part in [Part::Header(forger.header.clone()), whole(b"ab")] {
        parts.send(SnapshotChunk { part: Some(part) }).await.expect("room");
    }
    let mut request = Request::new(ReceiverStream::new(receiver));
    request.metadata_mut().insert("x-ledgermq-cluster", forger.tag.parse().expect("ASCII"));
    let mut client = forger.client.clone();
    let call = tokio::spawn(async move { client.install_snapshot(request).await });
    // The half of a file is on disk.
    let half = cluster.group_dir(target, GROUP).join("snapshot/unfinished-0/tables/000001.sst");
    let deadline = soon();
    while fs::metadata(&half).map_or(0, |found| found.len()) < 2 {
        assert!(tokio::time::Instant::now() < deadline, "nothing was staged");
        tokio::task::yield_now().await;
    }
    let (kind, _) = forger.refused(forger.header.clone(), Vec::new()).await;
    assert_eq!(kind, Kind::Busy, "one at a time");
    cluster.stop(target).await;
    assert!(call.await.expect("no panic").is_err(), "the sender learns of it");
    cluster.start_node(target).await;
    assert!(!half.exists());
    cluster.send(target, &topic, 10..20).await;
    cluster.same_digest(cluster.leader(GROUP), target, GROUP).await;
}

fn frames(bytes: &'static [u8]) -> Part {
    Part::Frames(SnapshotFrames { frames: vec![bytes.into()] })
}
