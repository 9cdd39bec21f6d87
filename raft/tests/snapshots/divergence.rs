//! A replica whose log ends with entries that nobody committed. Made-up leaders speak to a real replica.

use std::sync::Arc;

use bytes::Bytes;
use proto::peer::peer_client::PeerClient;
use proto::peer::snapshot_chunk::Part;
use proto::peer::snapshot_refusal::Kind;
use proto::peer::{
    AppendRequest, Ballot, LogId, SnapshotChunk, SnapshotFrames, SnapshotHeader, SnapshotOffer,
};
use store::commit_log::{CommitLog, Frame, FrameKind, LogIdentity, LogMark, LogOptions, OpenError};
use store::disk::RealDisk;
use store::position::LogPosition;
use tokio::time::Instant;
use tonic::Request;

use crate::cluster::{Cluster, GROUP, LOOK_EVERY, soon};

/// Entries without content, as they stand in a log that goes on at `position`.
fn blanks(indexes: std::ops::Range<u64>, ballot: Ballot, position: LogPosition) -> Vec<Bytes> {
    let frame = |index| Frame::new(FrameKind::Blank, index, ballot.term, ballot.node, 0, 0, Bytes::new());
    let first = indexes.start;
    let wire = |index: u64| {
        let frame: Frame = frame(index);
        let at = position + (index - first) * frame.encoded_len();
        Bytes::copy_from_slice(&frame.encode_header(at))
    };
    indexes.map(wire).collect()
}

fn id(mark: LogMark) -> LogId {
    LogId { term: mark.term, leader: mark.leader, index: mark.index }
}

/// The log of a node that was stopped. What a peer had under way there may hold it for another moment.
async fn log_of(cluster: &Cluster, node: u64) -> CommitLog {
    let dir = cluster.group_dir(node, GROUP).join("log");
    let deadline = soon();
    loop {
        let identity = LogIdentity { cluster: "test".to_owned(), node, group: GROUP.0 };
        let options = LogOptions { segment_bytes: 1 << 20, ..LogOptions::default() };
        match CommitLog::open(Arc::new(RealDisk), &dir, identity, options) {
            Err(OpenError::Locked { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            opened => return opened.expect("the log opens"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uncommitted_tail_gives_way_to_the_frames_of_a_snapshot() {
    let mut cluster = Cluster::start(3, 1 << 30).await;
    let topic = cluster.topic(1, "orders").await;
    cluster.send(1, &topic, 0..10).await;
    let mut live = cluster.node(1).live_nodes();
    live.wait_for(|live| live.len() == 3).await.expect("the node runs");
    // The one of the test last: without it nobody commits anything, so what it has is all that there is.
    for id in [3, 2, 1] {
        cluster.stop(id).await;
    }
    let (last, position) = {
        let log = log_of(&cluster, 1).await;
        let pointers = log.pointers();
        log.close();
        (pointers.last.expect("an entry"), pointers.next_position)
    };
    cluster.start_node(1).await;
    let options = cluster.options(1);
    let tag = format!("{:016x}", options.fingerprint());
    let mut client =
        PeerClient::connect(format!("http://{}", options.members[0].peer)).await.expect("connected");
    let first = last.index + 1;

    // A leader that nobody else ever heard puts four entries there.
    let lost = Ballot { term: last.term + 10, node: 2, committed: true };
    let append = AppendRequest {
        group: GROUP.0,
        vote: Some(lost),
        previous: Some(id(last)),
        leader_commit: None,
        frames: blanks(first..first + 4, lost, position),
        target: 1,
    };
    let mut request = Request::new(tokio_stream::iter([append]));
    request.metadata_mut().insert("x-ledgermq-cluster", tag.parse().expect("ASCII"));
    let mut answers = client.append(request).await.expect("answered").into_inner();
    let answer = answers.message().await.expect("an answer").expect("one answer");
    assert_eq!(answer.kind(), proto::peer::append_response::Kind::Success, "{answer:?}");

    // The next one has others in their place, and sends a snapshot with nothing but its frames.
    let next = Ballot { term: last.term + 11, node: 3, committed: true };
    let end = first + 2;
    let header = SnapshotHeader {
        group: GROUP.0,
        target: 1,
        vote: Some(next),
        last: Some(LogId { term: next.term, leader: next.node, index: end - 1 }),
        log_end: (position + 2 * 64).0,
        ..SnapshotHeader::default()
    };
    let frames = SnapshotFrames { frames: blanks(first..end, next, position) };
    let parts = [Part::Header(header), Part::Frames(frames)].map(|part| SnapshotChunk { part: Some(part) });
    let mut request = Request::new(tokio_stream::iter(parts));
    request.metadata_mut().insert("x-ledgermq-cluster", tag.parse().expect("ASCII"));
    let answer = client.install_snapshot(request).await.expect("answered").into_inner();
    let refusal = answer.refusal.expect("there are no tables in it");
    assert_eq!(refusal.kind(), Kind::Damaged, "{refusal:?}");

    let mut request = Request::new(SnapshotOffer { group: GROUP.0, target: 1 });
    request.metadata_mut().insert("x-ledgermq-cluster", tag.parse().expect("ASCII"));
    let stands = client.offer_snapshot(request).await.expect("answered").into_inner();
    let expected = LogId { term: next.term, leader: next.node, index: end - 1 };
    assert_eq!(stands.last, Some(expected), "its own two entries are gone, and the two behind them");

    for id in 2..=3 {
        cluster.start_node(id).await;
    }
    cluster.node(1).ready(soon()).await.expect("a leader");
    cluster.send(1, &topic, 10..20).await;
    for other in 2..=3 {
        cluster.same_digest(1, other, GROUP).await;
    }
}
