//! The directories of snapshots and tables: what is kept, what is removed, and what a crash leaves.

use std::fs;
use std::path::Path;

use store::position::LogPosition;
use store::snapshot::{Snapshot, SnapshotDirs, SnapshotError, SnapshotMeta};
use store::tables::applied::{Applied, AppliedMark};
use store::tables::{Batch, RocksTables, TableOptions, TableStore};
use tempfile::TempDir;

fn mark(index: u64) -> AppliedMark {
    AppliedMark { term: 2, leader: 1, index }
}

fn meta(index: u64) -> SnapshotMeta {
    SnapshotMeta { last: mark(index), log_end: LogPosition(index * 100), membership: None }
}

fn apply(tables: &RocksTables, index: u64) {
    let mut batch = Batch::default();
    batch.put(format!("row {index}").as_bytes(), b"of that entry");
    Applied { mark: mark(index), stamp_ms: 0 }.put(&mut batch);
    tables.write(&batch).expect("written");
}

fn open_tables(dirs: &SnapshotDirs) -> RocksTables {
    RocksTables::open(&dirs.tables().expect("a path"), TableOptions::default()).expect("the tables open")
}

fn applied(dirs: &SnapshotDirs) -> Option<u64> {
    Applied::get(&open_tables(dirs)).expect("a row").map(|applied| applied.mark.index)
}

fn build(dirs: &SnapshotDirs, tables: &RocksTables, index: u64) -> Snapshot {
    let building = dirs.begin().expect("begun");
    tables.checkpoint(&building.tables()).expect("a checkpoint");
    dirs.keep(building, meta(index)).expect("kept")
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for name in names(from) {
        let (source, target) = (from.join(&name), to.join(&name));
        match source.is_dir() {
            true => copy_all(&source, &target),
            false => _ = fs::copy(&source, &target).expect("copied"),
        }
    }
}

/// A receiver at entry 10 with a snapshot of entry 5, and a snapshot of entry 90 that came from elsewhere.
struct Rig {
    receiver: TempDir,
    sender: TempDir,
}

impl Rig {
    fn new() -> Rig {
        let rig = Rig {
            receiver: tempfile::tempdir().expect("a directory"),
            sender: tempfile::tempdir().expect("a directory"),
        };
        let dirs = rig.open();
        let tables = open_tables(&dirs);
        apply(&tables, 5);
        build(&dirs, &tables, 5);
        apply(&tables, 10);
        tables.flush().expect("flushed");
        rig
    }

    fn open(&self) -> SnapshotDirs {
        SnapshotDirs::open(self.receiver.path()).expect("opened")
    }

    fn sent(&self) -> Snapshot {
        let dirs = SnapshotDirs::open(self.sender.path()).expect("opened");
        let tables = open_tables(&dirs);
        apply(&tables, 90);
        build(&dirs, &tables, 90)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.receiver.path().join(name)
    }
}

const OLD: &str = "snapshot/00000000000000000005";
const NEW: &str = "snapshot/00000000000000000090";
const NEW_TABLES: &str = "tables-00000000000000000090";

#[test]
fn the_latest_snapshot_is_found_again_and_the_one_before_goes_with_its_last_reader() {
    let rig = Rig::new();
    let dirs = rig.open();
    let old = dirs.current().expect("found again");
    assert_eq!(old.meta(), &meta(5));
    let tables = open_tables(&dirs);
    build(&dirs, &tables, 10);
    let (name, length) = old.files().expect("files").remove(0);
    assert_eq!(old.read(&name, 0, length as usize).expect("still there").len() as u64, length);
    drop(old);
    assert_eq!(names(&rig.path("snapshot")), ["00000000000000000010"]);
    assert_eq!(rig.open().current().expect("a snapshot").meta(), &meta(10));
}

#[test]
fn an_installed_snapshot_has_the_place_of_the_tables_before() {
    let rig = Rig::new();
    let (dirs, sent) = (rig.open(), rig.sent());
    let before = open_tables(&dirs);
    let kept = dirs.adopt(&sent).expect("adopted");
    let path = dirs.install(&kept).expect("installed");
    let tables = RocksTables::open(&path, TableOptions::default()).expect("the tables open");
    before.retire();
    let reader = before.clone();
    drop(before);
    assert_eq!(reader.get(b"row 10").expect("still open"), Some(b"of that entry".to_vec()));
    drop(reader);
    assert!(!rig.path("tables").exists(), "nobody has them open any more");
    // What goes on in the tables does not reach the snapshot.
    apply(&tables, 91);
    tables.flush().expect("flushed");
    drop(tables);
    assert_eq!(applied(&dirs), Some(91));
    assert_eq!(applied(&rig.open()), Some(91));
    let copy = tempfile::tempdir().expect("a directory");
    let other = SnapshotDirs::open(copy.path()).expect("opened");
    other.install(&other.adopt(&kept).expect("adopted")).expect("installed");
    assert_eq!(applied(&other), Some(90));
    assert!(
        matches!(dirs.install(&kept), Err(SnapshotError::Content { .. })),
        "never twice, never backwards"
    );
}

/// Each moment of adopting and installing at which the power can go.
#[test]
fn r6_a_crash_leaves_the_old_tables_or_the_new_ones() {
    type Step = fn(&Rig, &Path);
    let steps: [(&str, Step, u64, u64); 6] = [
        (
            "while files are copied",
            |rig, _| {
                fs::create_dir_all(rig.path("snapshot/unfinished-0/tables")).expect("made");
                fs::write(rig.path("snapshot/unfinished-0/tables/CURRENT"), b"MAN").expect("written");
            },
            5,
            10,
        ),
        (
            "before the snapshot has its name",
            |rig, before| {
                copy_all(&before.join(OLD), &rig.path(OLD));
                fs::rename(rig.path(NEW), rig.path("snapshot/unfinished-0")).expect("renamed");
                fs::remove_dir_all(rig.path(NEW_TABLES)).expect("removed");
            },
            5,
            10,
        ),
        (
            "before the snapshot before is removed",
            |rig, before| {
                copy_all(&before.join(OLD), &rig.path(OLD));
                fs::remove_dir_all(rig.path(NEW_TABLES)).expect("removed");
            },
            90,
            10,
        ),
        (
            "while tables are made of it",
            |rig, _| {
                fs::rename(rig.path(NEW_TABLES), rig.path("tables.unfinished")).expect("renamed");
                fs::remove_file(rig.path("tables.unfinished/CURRENT")).expect("removed");
            },
            90,
            10,
        ),
        (
            "before the tables have their name",
            |rig, _| {
                fs::rename(rig.path(NEW_TABLES), rig.path("tables.unfinished")).expect("renamed");
            },
            90,
            10,
        ),
        ("before the tables before are removed", |_, _| {}, 90, 90),
    ];
    for (what, undo, snapshot, tables) in steps {
        let rig = Rig::new();
        let before = tempfile::tempdir().expect("a directory");
        copy_all(rig.receiver.path(), before.path());
        if what != "while files are copied" {
            let dirs = rig.open();
            dirs.install(&dirs.adopt(&rig.sent()).expect("adopted")).expect("installed");
        }
        undo(&rig, before.path());
        let dirs = rig.open();
        let current = dirs.current().map(|current| current.meta().last.index);
        assert_eq!(current, Some(snapshot), "the snapshot, {what}");
        assert_eq!(applied(&dirs), Some(tables), "the tables, {what}");
        assert_eq!(names(&rig.path("snapshot")).len(), 1, "{what}: {:?}", names(&rig.path("snapshot")));
        assert_eq!(names(rig.receiver.path()).len(), 2, "{what}: {:?}", names(rig.receiver.path()));
        // Whatever was there, it can be installed from here on.
        if tables < 90 {
            let kept = dirs.adopt(&rig.sent()).expect("adopted");
            dirs.install(&kept).expect("installed");
            assert_eq!(applied(&rig.open()), Some(90), "{what}");
        }
    }
}

#[test]
fn what_is_received_must_be_the_tables_it_should_be() {
    let rig = Rig::new();
    let (dirs, sent) = (rig.open(), rig.sent());
    let files = sent.files().expect("files");
    let receive = |skip: &str, flip: &str| {
        let staged = dirs.begin().expect("begun");
        for (name, length) in files.iter().filter(|(name, _)| !name.ends_with(skip)) {
            let mut bytes = sent.read(name, 0, *length as usize).expect("read");
            if name.ends_with(flip) {
                let at = bytes.len() / 2;
                bytes[at] ^= 1;
            }
            let (head, tail) = bytes.split_at(bytes.len() / 2);
            staged.write(name, 0, head).expect("written");
            staged.write(name, head.len() as u64, tail).expect("written");
        }
        staged
    };
    let whole = receive("nothing", "nothing").finish(meta(90)).expect("whole");
    assert_eq!(whole.files().expect("files"), files);
    for (what, staged, index) in [
        ("of another entry", receive("nothing", "nothing"), 91),
        ("without its rows", receive(".sst", "nothing"), 90),
        ("without its beginning", receive("CURRENT", "nothing"), 90),
        ("with another bit in its rows", receive("nothing", ".sst"), 90),
    ] {
        let refused = staged.finish(meta(index));
        assert!(matches!(refused, Err(SnapshotError::Content { .. })), "{what}: {refused:?}");
    }
    for name in ["", "..", "../meta", "a/b", ".hidden", "LOCK", "a\0b"] {
        let refused = dirs.begin().expect("begun").write(name, 0, b"x");
        assert!(matches!(refused, Err(SnapshotError::Name { .. })), "{name:?}: {refused:?}");
    }
    drop(whole);
    assert_eq!(names(&rig.path("snapshot")), ["00000000000000000005"], "nothing is left of what is dropped");
}

#[test]
fn r6_a_snapshot_that_cannot_be_read_is_not_removed() {
    let rig = Rig::new();
    let path = rig.path(OLD).join("meta");
    let mut bytes = fs::read(&path).expect("read");
    bytes[9] ^= 1;
    fs::write(&path, bytes).expect("written");
    let refused = SnapshotDirs::open(rig.receiver.path()).map(|_| ());
    let sentence = refused.expect_err("refused").to_string();
    assert!(sentence.contains("Remove this directory"), "{sentence}");
    assert!(rig.path(OLD).join("tables/CURRENT").exists());
}

#[test]
fn a_snapshot_of_many_blocks_is_read_to_its_last_row_before_it_is_taken() {
    let rig = Rig::new();
    let dirs = SnapshotDirs::open(rig.sender.path()).expect("opened");
    let tables = open_tables(&dirs);
    let mut batch = Batch::default();
    for row in 0..2_000_u64 {
        // Nothing that a block could be made smaller of.
        let value: Vec<u8> = (0..64).flat_map(|at| (row * 7919 + at).wrapping_pow(5).to_le_bytes()).collect();
        batch.put(format!("row {row:06}").as_bytes(), &value);
    }
    tables.write(&batch).expect("written");
    apply(&tables, 90);
    let sent = build(&dirs, &tables, 90);
    sent.check().expect("sound");
    tables.check().expect("sound");

    let file = |extension: &str| {
        let names = sent.files().expect("files").into_iter().map(|(name, _)| name);
        let found: Vec<_> = names.filter(|name| name.ends_with(extension)).collect();
        rig.sender.path().join(NEW).join("tables").join(&found[0])
    };
    let path = file(".sst");
    let sound = fs::read(&path).expect("read");
    assert!(sound.len() > 32 * (16 << 10), "many blocks: {} bytes", sound.len());
    for part in 1..8 {
        let at = sound.len() * part / 8;
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        // In place: the tables in use have the same file under another name.
        fs::write(&path, &bytes).expect("written");
        let damage = sent.check();
        assert!(matches!(damage, Err(SnapshotError::Content { .. })), "the sender, byte {at}: {damage:?}");
        let staged = rig.open().begin().expect("begun");
        for (name, length) in sent.files().expect("files") {
            staged.write(&name, 0, &sent.read(&name, 0, length as usize).expect("read")).expect("written");
        }
        let refused = staged.finish(meta(90));
        assert!(
            matches!(refused, Err(SnapshotError::Content { .. })),
            "the receiver, byte {at}: {refused:?}"
        );
    }
    drop(tables);
    let tables = open_tables(&dirs);
    let (tell, told) = std::sync::mpsc::channel();
    tables.on_disk_fault(Box::new(move |fault| tell.send(fault).expect("heard")));
    assert!(tables.digest().is_err(), "a damaged block was read");
    assert!(told.recv().expect("told").contains("tables"), "the listener hears of it");
}
