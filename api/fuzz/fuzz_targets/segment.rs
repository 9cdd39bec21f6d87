//! A log whose files were changed under it: it is refused, or has nothing but what was appended, without a hole.
//!
//! The first byte says how many frames were appended; then each four bytes are a change: which file, where (two
//! bytes), and what is flipped there.
#![no_main]

use std::path::Path;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use store::commit_log::{CommitLog, Frame, FrameKind, LogIdentity, LogOptions};
use store::disk::simulated::SimulatedDisk;

const CHANGES_MAX: usize = 16;

fn options() -> LogOptions {
    LogOptions { segment_bytes: 64 << 10, tail_cache_bytes: 1 << 20, prepare_ahead: false }
}

fn identity() -> LogIdentity {
    LogIdentity { cluster: "fuzz".to_owned(), node: 1, group: 1 }
}

fn frames(count: u64) -> Vec<Frame> {
    let frame = |index| {
        let body = Bytes::from(vec![index as u8; 100 + index as usize % 7]);
        Frame::new(FrameKind::Commands, index, 1, 1, index, 1, body)
    };
    (0..count).map(frame).collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((count, changes)) = data.split_first() else { return };
    let count = u64::from(*count) + 1;
    let (disk, dir) = (SimulatedDisk::new(1), Path::new("/log"));
    let log = CommitLog::open(Arc::new(disk.clone()), dir, identity(), options()).expect("a new log");
    let (done, durable) = mpsc::channel();
    log.append(frames(count), Box::new(move |result| _ = done.send(result))).expect("appended");
    durable.recv().expect("called back").expect("durable");
    log.close();

    let files = disk.files();
    let mut changed = false;
    for change in changes.chunks_exact(4).take(CHANGES_MAX) {
        let (path, len) = &files[usize::from(change[0]) % files.len()];
        if *len > 0 && change[3] != 0 {
            let at = usize::from(u16::from_le_bytes([change[1], change[2]])) % len;
            disk.flip(path, at, change[3]);
            changed = true;
        }
    }
    let Ok(log) = CommitLog::open(Arc::new(disk), dir, identity(), options()) else {
        assert!(changed, "nothing was changed, and it is refused");
        return;
    };
    // A body below the watermark is checked by whoever reads it.
    if let Ok(found) = log.frames(0..u64::MAX, usize::MAX) {
        let (found, wanted) = (found.iter(), frames(count));
        for (at, (found, wanted)) in found.zip(&wanted).enumerate() {
            assert_eq!((found.index, &found.body), (at as u64, &wanted.body), "frame {at} is another one");
        }
    }
    let last = log.pointers().last.map_or(0, |last| last.index + 1);
    assert!(last <= count, "{last} frames of {count}");
    if !changed {
        assert_eq!(last, count, "nothing was changed, and frames are gone");
    }
    log.close();
});
