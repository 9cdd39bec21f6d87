//! A table of what can become of a replica's files while its node does not run, and what the node does about each.
//!
//! Of every part (the log of `g1`, of `meta`, the tables, the snapshot, the vote) and every fault (a flipped bit, a cut
//! file, an older copy, a missing file). Whatever it is, a start says what is wrong and what to do, or is harmless;
//! nothing that was acknowledged is lost, and all replicas are equal in the end.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use store::limits::SEGMENT_DATA_START;

use crate::cli_process::ledgermq;
use crate::cli_process::local::Local;
use crate::damage::{
    FILLER_BYTES, FIRST_SEGMENT, ended, flip, group_dir, receive, refuses, stop, whole_and_equal,
};
use crate::repair::{MESSAGES, PATIENCE, repair, send};

/// A snapshot soon, and what begins a log small.
const NODES: [(&str, &str); 2] =
    [("LEDGERMQ_RAFT__SNAPSHOT_LOG_BYTES", "1MiB"), ("LEDGERMQ_LOG__SEGMENT_BYTES", "64MiB")];
/// The vote is in two copies.
const COPIES_AT: [u64; 2] = [0, 4096];

/// What a node does that is started with the fault.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// It does not start, says this, and is repaired.
    Refuses(&'static str),
    /// It does not start, says this, and cannot be repaired: without its vote it could break a promise.
    Lost(&'static str),
    /// It starts, ends when somebody reads all of it, does not start again, and is repaired.
    Stops(&'static str),
    /// It starts, and nobody reads that; `cluster repair` finds it.
    Found(&'static str),
    /// It starts, and is whole.
    Starts,
}

struct Case {
    what: &'static str,
    fault: fn(&Rig),
    then: Then,
}

struct Rig {
    local: Local,
    node: u64,
    /// The groups of the node as they were at an older time.
    before: tempfile::TempDir,
}

impl Rig {
    /// The node is stopped.
    fn new() -> Rig {
        let (local, _) = Local::start_with(3, 1, &NODES);
        local.client(&["topic", "create", "orders", "--queues", "1"]).code(0);
        send(&local, MESSAGES / 2);
        let filler = "x".repeat(FILLER_BYTES);
        let fill = || local.client(&["send", "filler", "--body", &filler, "--count", "20"]).code(0);
        local.client(&["topic", "create", "filler", "--queues", "1"]).code(0);
        fill();
        let node = if local.leader("g1") == 3 { 2 } else { 3 };
        let rig = Rig { local, node, before: tempfile::tempdir().expect("a directory") };
        rig.has_snapshot();
        stop(&rig.local, node);
        copy_all(&rig.groups(), rig.before.path());
        rig.restart();
        send(&rig.local, MESSAGES / 2);
        // Many rows that nobody reads at a start.
        let keys = ["--key", "a", "--key", "b", "--key", "c", "--key", "d", "--key", "e", "--key", "f"];
        let keyed = ["send", "filler", "--body", "keyed", "--count", "500"];
        rig.local.client(&[&keyed[..], &keys].concat()).code(0);
        rig.local.client(&["topic", "create", "later", "--queues", "1"]).code(0);
        let filler = "y".repeat(FILLER_BYTES);
        rig.local.client(&["send", "filler", "--body", &filler, "--count", "20"]).code(0);
        whole_and_equal(&rig.local, node);
        rig.has_snapshot();
        stop(&rig.local, node);
        rig
    }

    fn groups(&self) -> PathBuf {
        group_dir(&self.local, self.node, "")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.groups().join(name)
    }

    fn segment(&self, group: &str) -> PathBuf {
        self.path(group).join("log").join(FIRST_SEGMENT)
    }

    fn vote(&self) -> PathBuf {
        self.path("g1/log/superblock")
    }

    /// The tables, which have another name once a snapshot was installed.
    fn tables(&self) -> PathBuf {
        let names = fs::read_dir(self.path("g1")).expect("a directory");
        let paths = names.map(|entry| entry.expect("an entry").path());
        let mut tables: Vec<_> =
            paths.filter(|path| path.ends_with("tables") || is_installed(path)).collect();
        tables.sort();
        tables.pop().expect("tables")
    }

    /// The largest file of rows.
    fn rows(&self) -> PathBuf {
        let files = fs::read_dir(self.tables()).expect("tables");
        let paths = files.map(|entry| entry.expect("an entry").path());
        let rows = paths.filter(|path| path.extension().is_some_and(|extension| extension == "sst"));
        rows.max_by_key(|path| fs::metadata(path).expect("a file").len()).expect("tables on disk")
    }

    fn snapshot(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.path("g1/snapshot")).ok()?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.filter(|path| path.join("meta").exists()).max()
    }

    fn snapshot_meta(&self) -> PathBuf {
        self.snapshot().expect("a snapshot").join("meta")
    }

    /// Puts a file or directory back as it was.
    fn put_back(&self, name: &str) {
        let (from, to) = (self.before.path().join(name), self.path(name));
        match from.is_dir() {
            true => {
                let _ = fs::remove_dir_all(&to);
                copy_all(&from, &to);
            }
            false => _ = fs::copy(from, to).expect("copied"),
        }
    }

    fn has_snapshot(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.snapshot().is_none() {
            assert!(Instant::now() < deadline, "there is no snapshot");
        }
    }

    fn restart(&self) {
        self.local.restart_with(self.node, &NODES);
    }

    fn repaired(&self, what: &str) {
        let repaired = repair(&self.local, self.node, 0);
        assert!(repaired.to_string().contains(what), "no {what:?} in {repaired}");
        self.restart();
    }

    /// Holds a case to what it should come to; the node is stopped before and afterwards.
    fn run(&self, case: &Case) {
        println!("{}", case.what);
        let vote = fs::read(self.vote()).expect("a vote");
        (case.fault)(self);
        match case.then {
            Then::Starts => self.restart(),
            Then::Refuses(what) => {
                refuses(&self.local, self.node, &[what]);
                self.repaired("");
            }
            Then::Found(what) => self.repaired(what),
            Then::Stops(what) => {
                self.restart();
                let _ = self.local.client(&["cluster", "digest", "--wait", "0s"]);
                ended(&self.local, self.node);
                refuses(&self.local, self.node, &[what]);
                self.repaired(what);
            }
            Then::Lost(what) => {
                self.is_lost(what);
                fs::write(self.vote(), vote).expect("restored");
                self.restart();
            }
        }
        whole_and_equal(&self.local, self.node);
        self.has_snapshot();
        stop(&self.local, self.node);
    }

    fn is_lost(&self, what: &str) {
        let (data, node) = (self.local.data.path().to_str().expect("UTF-8"), self.node.to_string());
        let started = self.local.local(&["restart", &node]).code(1);
        let repaired = ledgermq(&["cluster", "repair", &node, "--data", data, "--yes"]).code(1);
        for said in [started.err, repaired.err] {
            for part in [
                "g1",
                "superblock",
                what,
                "might break a promise",
                "move the whole directory of the group away",
            ] {
                assert!(said.contains(part), "no {part:?} in: {said}");
            }
        }
        for marker in ["rejoining", "rebuilding"] {
            assert!(!self.path("g1").join(marker).exists(), "something was changed");
        }
    }
}

fn is_installed(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tables-"))
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a directory") {
        let source = entry.expect("an entry").path();
        let target = to.join(source.file_name().expect("a name"));
        match source.is_dir() {
            true => copy_all(&source, &target),
            false => _ = fs::copy(&source, &target).expect("copied"),
        }
    }
}

fn cut(path: &Path, length: u64) {
    fs::File::options().write(true).open(path).and_then(|file| file.set_len(length)).expect("cut");
}

fn halve(path: &Path) {
    cut(path, fs::metadata(path).expect("a file").len() / 2);
}

fn remove(path: &Path) {
    fs::remove_file(path).expect("removed");
}

/// What a write that was never synced leaves behind the last frame.
fn tear(segment: &Path) {
    let bytes = fs::read(segment).expect("a segment");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("frames") + 1;
    let file = fs::File::options().write(true).open(segment).expect("a segment");
    file.write_all_at(&[0xAA; 100], end as u64 + 8).expect("written");
}

/// In the body of the first message.
fn flip_body(segment: &Path) {
    let bytes = fs::read(segment).expect("a segment");
    let at = bytes.windows(crate::damage::BODY.len()).position(|window| window == crate::damage::BODY);
    flip(segment, at.expect("a message") as u64);
}

const HEADER: u64 = SEGMENT_DATA_START + 20;
const FRAMES: u64 = SEGMENT_DATA_START + 200;

fn cases() -> Vec<Case> {
    use Then::{Found, Lost, Refuses, Starts, Stops};
    let case = |what, fault, then| Case { what, fault, then };
    vec![
        case(
            "log: a bit of a frame's header",
            |rig| flip(&rig.segment("g1"), HEADER),
            Refuses(FIRST_SEGMENT),
        ),
        case("log: a bit of a message", |rig| flip_body(&rig.segment("g1")), Found("checksum")),
        case("log: cut", |rig| cut(&rig.segment("g1"), FRAMES), Refuses(FIRST_SEGMENT)),
        case("log: an older copy", |rig| rig.put_back("g1/log"), Refuses("the log is lost")),
        case("log: missing", |rig| remove(&rig.segment("g1")), Refuses(FIRST_SEGMENT)),
        case("log: a torn tail", |rig| tear(&rig.segment("g1")), Starts),
        case(
            "meta: a bit of a frame's header",
            |rig| flip(&rig.segment("meta"), HEADER),
            Refuses(FIRST_SEGMENT),
        ),
        case("meta: cut", |rig| cut(&rig.segment("meta"), FRAMES), Refuses(FIRST_SEGMENT)),
        case("meta: an older copy", |rig| rig.put_back("meta/log"), Refuses("the log is lost")),
        case("meta: missing", |rig| remove(&rig.segment("meta")), Refuses(FIRST_SEGMENT)),
        case("tables: a bit", |rig| halfway(&rig.rows()), Stops("tables")),
        case("tables: cut", |rig| halve(&rig.rows()), Refuses("the tables of g1")),
        case("tables: an older copy", |rig| rig.put_back_tables(), Starts),
        case("tables: missing", |rig| remove(&rig.rows()), Refuses("the tables of g1")),
        case("snapshot: a bit", |rig| flip(&rig.snapshot_meta(), 9), Refuses("the snapshots of g1")),
        case("snapshot: cut", |rig| halve(&rig.snapshot_meta()), Refuses("the snapshots of g1")),
        case("snapshot: an older copy", |rig| rig.put_back("g1/snapshot"), Starts),
        case("snapshot: missing", |rig| remove(&rig.snapshot_meta()), Refuses("the file meta is missing")),
        case("vote: a bit of one copy", |rig| flip(&rig.vote(), 20), Starts),
        case(
            "vote: a bit of both",
            |rig| COPIES_AT.iter().for_each(|at| flip(&rig.vote(), at + 20)),
            Lost("copy A"),
        ),
        case("vote: cut", |rig| cut(&rig.vote(), 10), Lost("copy A")),
        case("vote: missing", |rig| remove(&rig.vote()), Lost("missing")),
        // It may be the vote of an earlier term: nothing on this disk can tell.
        case("vote: an older copy", |rig| rig.put_back("g1/log/superblock"), Starts),
    ]
}

impl Rig {
    fn put_back_tables(&self) {
        let now = self.tables();
        fs::remove_dir_all(&now).expect("removed");
        copy_all(&self.before.path().join("g1/tables"), &now);
    }
}

fn halfway(path: &Path) {
    flip(path, fs::metadata(path).expect("a file").len() / 2);
}

#[test]
fn whatever_becomes_of_a_replica_on_disk_it_says_so_and_nothing_is_lost() {
    let rig = Rig::new();
    for case in cases() {
        rig.run(&case);
    }
    // A vote that is lost for good, as the refusal says.
    fs::rename(rig.path("g1"), rig.before.path().join("lost")).expect("moved away");
    rig.restart();
    whole_and_equal(&rig.local, rig.node);

    rig.local.client(&["cluster", "transfer-leader", "g1", "--to", &rig.node.to_string()]).code(0);
    let (got, _) = receive(&rig.local, rig.node, "audit");
    assert_eq!(got.len(), MESSAGES, "what was acknowledged");
}
