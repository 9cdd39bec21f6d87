//! Exactly the bytes change that are said to.

use std::path::Path;

use chaos::{Backend, Cluster, ClusterOptions, Damage, Fault, Injected};

use crate::probe::cluster;

/// One node without a process, with a log of two files and something else.
fn node(root: &Path) -> Cluster {
    let options = ClusterOptions { nodes: 1, root: root.join("cluster"), backend: Backend::Loopback };
    let cluster = Cluster::create(&options).unwrap();
    let log = cluster.node(1).directory().join("log");
    std::fs::create_dir_all(&log).unwrap();
    for name in ["1.segment", "2.segment"] {
        // Allocated ahead, as logs are.
        let mut bytes = vec![b'a'; 10_000];
        bytes.resize(100_000, 0);
        std::fs::write(log.join(name), bytes).unwrap();
    }
    std::fs::write(cluster.node(1).directory().join("other"), "other").unwrap();
    cluster
}

fn damage(cluster: &Cluster, fault: &str) -> Damage {
    let guard = cluster.inject(&fault.parse::<Fault>().unwrap(), &[1]).installed().expect(fault);
    guard.effects()[0].damage.clone().expect("damage")
}

#[test]
fn a_bit_flips_where_it_is_said_and_nowhere_else() {
    let root = tempfile::tempdir().unwrap();
    let cluster = node(root.path());
    let damage = damage(&cluster, "corrupt:how=bit-flip,files=log/*.segment,seed=3");
    let bytes = std::fs::read(&damage.file).unwrap();
    let changed: Vec<usize> = (0..10_000).filter(|at| bytes[*at] != b'a').collect();
    assert_eq!(changed, [damage.offset as usize], "what is zero is not worth a flip");
    assert_eq!((bytes[changed[0]] ^ b'a').count_ones(), 1);
    assert_eq!(damage.before, "61");
    assert_eq!(damage.after, format!("{:02x}", bytes[changed[0]]));
    assert!(bytes[10_000..].iter().all(|byte| *byte == 0));
}

#[test]
fn the_same_seed_damages_the_same_byte() {
    let damages = [5, 5, 6].map(|seed| {
        let root = tempfile::tempdir().unwrap();
        let cluster = node(root.path());
        let damage = damage(&cluster, &format!("corrupt:files=log/**,seed={seed}"));
        (damage.file.file_name().unwrap().to_owned(), damage.offset, damage.after)
    });
    assert_eq!(damages[0], damages[1]);
    assert_ne!(damages[0], damages[2]);
}

#[test]
fn a_file_is_cut_within_what_was_written() {
    let root = tempfile::tempdir().unwrap();
    let cluster = node(root.path());
    let damage = damage(&cluster, "corrupt:how=truncate,files=log/2.*,seed=1");
    assert!(damage.file.ends_with("log/2.segment") && damage.offset < 10_000, "{damage:?}");
    assert_eq!(std::fs::metadata(&damage.file).unwrap().len(), damage.offset);
    assert_eq!(damage.bytes, 100_000 - damage.offset);
}

#[test]
fn a_stale_chunk_is_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let cluster = node(root.path());
    let stale = "corrupt:how=stale-chunk,files=log/1.*";
    match cluster.inject(&stale.parse().unwrap(), &[1]) {
        Injected::Skipped { why } => assert!(why.contains("remember_files"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(cluster.remember_files(1).unwrap(), 3);
    let path = cluster.node(1).directory().join("log/1.segment");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8192..12_288].fill(b'b');
    bytes[90_000] = b'b';
    std::fs::write(&path, &bytes).unwrap();
    let damage = damage(&cluster, stale);
    let after = std::fs::read(&path).unwrap();
    let chunk = damage.offset as usize..(damage.offset + damage.bytes) as usize;
    assert!([8192..12_288, 86_016..90_112].contains(&chunk), "{damage:?}");
    let changed = (0..bytes.len()).filter(|at| after[*at] != bytes[*at]).all(|at| chunk.contains(&at));
    assert!(changed && after[chunk] != bytes[damage.offset as usize..][..4096]);
}

#[test]
fn a_running_node_is_spared_unless_told_otherwise() {
    let root = tempfile::tempdir().unwrap();
    let cluster = cluster(root.path(), Backend::Loopback);
    std::fs::write(cluster.node(1).directory().join("file"), "bytes").unwrap();
    match cluster.inject(&"corrupt".parse().unwrap(), &[1]) {
        Injected::Skipped { why } => assert!(why.contains("node 1 runs"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read(cluster.node(1).directory().join("file")).unwrap(), b"bytes");
    damage(&cluster, "corrupt:running=true");
    assert_ne!(std::fs::read(cluster.node(1).directory().join("file")).unwrap(), b"bytes");
}

#[test]
fn a_lost_tail_is_what_was_written_last() {
    let root = tempfile::tempdir().unwrap();
    let cluster = node(root.path());
    let damage = damage(&cluster, "corrupt:how=lost-tail,files=log/*.segment");
    let bytes = std::fs::read(&damage.file).unwrap();
    assert!(damage.file.ends_with("log/2.segment"), "the newest of them: {damage:?}");
    // Of the 10,000 bytes that were written half, at most.
    assert_eq!((damage.offset, damage.bytes), (5_000, 5_000));
    assert!(bytes[..5_000].iter().all(|byte| *byte == b'a') && bytes[5_000..].iter().all(|byte| *byte == 0));
}

#[test]
fn what_is_hidden_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let cluster = node(root.path());
    let log = cluster.node(1).directory().join("log");
    let guard = cluster.inject(&"hide:path=log".parse().unwrap(), &[1]).installed().expect("hidden");
    assert!(!log.exists());
    std::fs::create_dir(&log).unwrap();
    std::fs::write(log.join("new"), "in its place").unwrap();
    guard.heal().unwrap();
    assert!(log.join("1.segment").exists() && !log.join("new").exists());
    for (path, reason) in [("none", "has no none"), ("../elsewhere", "no path"), ("/etc", "no path")] {
        match cluster.inject(&format!("hide:path={path}").parse().unwrap(), &[1]) {
            Injected::Skipped { why } => assert!(why.contains(reason), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn nothing_of_a_running_node_is_hidden() {
    let root = tempfile::tempdir().unwrap();
    let cluster = cluster(root.path(), Backend::Loopback);
    let file = cluster.node(1).directory().join("file");
    std::fs::write(&file, "bytes").unwrap();
    match cluster.inject(&"hide:path=file".parse().unwrap(), &[1]) {
        Injected::Skipped { why } => assert!(why.contains("node 1 runs"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(file.exists());
}
