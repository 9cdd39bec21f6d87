//! The bytes of a log are a promise: what this test shows is on the disks of users.

use std::path::Path;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use store::commit_log::{Ballot, CommitLog, Completion, Frame, FrameKind, LogIdentity, LogMark, LogOptions};
use store::disk::simulated::SimulatedDisk;
use store::disk::{Disk, DiskFile};

/// A file in hex, 32 bytes a line, lines of zeros left out.
fn hex(file: &dyn DiskFile) -> String {
    let bytes = file.read_at(0, 1 << 20).unwrap();
    let lines = bytes.chunks(32).enumerate().filter(|(_, line)| line.iter().any(|byte| *byte != 0));
    let hex = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines: Vec<String> = lines.map(|(at, line)| format!("{:05x} {}\n", at * 32, hex(line))).collect();
    format!("{} bytes\n{}", bytes.len(), lines.concat())
}

fn wait(ask: impl FnOnce(Completion)) {
    let (sender, receiver) = mpsc::channel();
    ask(Box::new(move |result| sender.send(result).unwrap()));
    receiver.recv().unwrap().unwrap();
}

#[test]
fn the_files_of_a_log_are_as_they_always_were() {
    let disk = SimulatedDisk::new(1);
    let dir = Path::new("/log");
    let identity = LogIdentity { cluster: "golden".into(), node: 0x1122, group: 3 };
    let options = LogOptions { segment_bytes: 16 << 10, tail_cache_bytes: 1 << 20, prepare_ahead: false };
    let log = CommitLog::open(Arc::new(disk.clone()), dir, identity, options).unwrap();
    let frame = |kind, index, body: &'static [u8]| {
        Frame::new(kind, index, 0x5566, 0x1122, 1_700_000_000_123, 2, Bytes::from_static(body))
    };
    let frames = vec![
        frame(FrameKind::Blank, 0, b""),
        frame(FrameKind::Membership, 1, b"who belongs to the group"),
        frame(FrameKind::Commands, 2, b"commands and records"),
        frame(FrameKind::Commands, 3, &[0xab; 1900]),
    ];
    wait(|done| log.append(frames, done).unwrap());
    log.save_committed(LogMark { term: 0x5566, leader: 0x1122, index: 2 });
    wait(|done| log.save_ballot(Ballot { term: 0x7788, node: 0x1122, committed: true }, done));
    wait(|done| log.append(vec![frame(FrameKind::Commands, 4, &[0xcd; 1950])], done).unwrap());
    wait(|done| log.purge(LogMark { term: 0x5566, leader: 0x1122, index: 1 }, done));
    log.close();

    let mut found = String::new();
    for name in disk.list(dir).unwrap() {
        let file = disk.open_read(&dir.join(&name)).unwrap();
        if name == "identity" {
            let text = file.read_at(0, 4096).unwrap();
            found += &format!("{name}: {}", std::str::from_utf8(&text).unwrap());
        } else {
            found += &format!("{name}: {}", hex(&*file));
        }
    }
    let golden = Path::new("tests/golden/commit_log.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
        std::fs::write(golden, &found).unwrap();
    }
    let due = std::fs::read_to_string(golden).unwrap();
    assert!(found == due, "the format changed: give it a new version, and read the old one too\n{found}");
}
