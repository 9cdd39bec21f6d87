//! Who measures the syncs of a log is told of every frame and every byte once, with the time that they took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use store::commit_log::{CommitLog, Frame, FrameKind, LogIdentity, LogOptions, SyncMeter};
use store::disk::RealDisk;

#[derive(Default)]
struct Told {
    clock: AtomicU64,
    syncs: AtomicU64,
    frames: AtomicU64,
    bytes: AtomicU64,
}

struct Meter(Arc<Told>);

impl SyncMeter for Meter {
    fn begins(&self) -> u64 {
        self.0.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn ended(&self, begun: u64, frames: u64, bytes: u64) {
        assert_eq!(
            begun + 1,
            self.0.clock.load(Ordering::SeqCst),
            "one sync at a time, and its own beginning"
        );
        assert!(frames > 0 && bytes > 0, "a sync of nothing: {frames} frames of {bytes} bytes");
        self.0.syncs.fetch_add(1, Ordering::SeqCst);
        self.0.frames.fetch_add(frames, Ordering::SeqCst);
        self.0.bytes.fetch_add(bytes, Ordering::SeqCst);
    }
}

#[test]
fn every_frame_and_byte_is_told_of_once_over_many_segments() {
    let dir = tempfile::tempdir().expect("a directory");
    let identity = LogIdentity { cluster: "test".into(), node: 1, group: 7 };
    let options = LogOptions { segment_bytes: 64 << 10, tail_cache_bytes: 4 << 10, ..LogOptions::default() };
    let log = CommitLog::open(Arc::new(RealDisk), dir.path(), identity, options).expect("it opens");
    let told = Arc::<Told>::default();
    log.measure_syncs(Box::new(Meter(told.clone())));
    let frame = |index| {
        let body = Bytes::from(vec![7; 1_000 + index as usize]);
        Frame::new(FrameKind::Commands, index, 1, 1, 1_000, 1, body)
    };
    let mut bytes = 0;
    for first in (0..300).step_by(3) {
        let frames: Vec<Frame> = (first..first + 3).map(frame).collect();
        bytes += frames.iter().map(Frame::encoded_len).sum::<u64>();
        let (sender, receiver) = mpsc::channel();
        log.append(frames, Box::new(move |done| sender.send(done).expect("somebody waits"))).expect("room");
        receiver.recv().expect("an answer").expect("durable");
    }
    assert!(log.segments().len() > 3, "syncs at the end of a segment count too");
    let counted = |count: &AtomicU64| count.load(Ordering::SeqCst);
    assert_eq!((counted(&told.frames), counted(&told.bytes)), (300, bytes));
    assert!(counted(&told.syncs) >= 100, "{} syncs", counted(&told.syncs));
    assert!(log.cached_bytes() > 0 && log.cached_bytes() < bytes);
    log.close();
}
