//! Nodes that do not belong together say so, and harm nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli_process::ports::free_base_port;
use crate::cli_process::{Background, Ended, command, ledgermq};

/// A node of a cluster of two whose other member is at `base + 10`.
fn config(dir: &Path, id: u16, base: u16, cluster: &str, groups: u32) -> String {
    let own = base + 10 * (id - 1);
    let members: String = (1..=2u16)
        .map(|member| {
            let at = base + 10 * (member - 1);
            format!(
                "[[cluster.members]]\nid = {member}\nname = \"node{member}\"\ngrpc = \"127.0.0.1:{at}\"\n\
                 http = \"127.0.0.1:{}\"\npeer = \"127.0.0.1:{}\"\n",
                at + 1,
                at + 2
            )
        })
        .collect();
    let text = format!(
        "[cluster]\nname = \"{cluster}\"\nbroker_groups = {groups}\n[node]\nid = {id}\nname = \"node{id}\"\ndata = {:?}\n\
         [grpc]\nbind = \"127.0.0.1:{own}\"\n[http]\nbind = \"127.0.0.1:{}\"\n[peer]\nbind = \"127.0.0.1:{}\"\n\
         [log]\nsegment_bytes = \"64MiB\"\n{members}",
        dir.join(format!("data{id}")),
        own + 1,
        own + 2
    );
    let path = dir.join(format!("{cluster}-{id}-{groups}.toml"));
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// Starts a node and waits until its log says `sentence`.
fn until_logged(args: &[&str], dir: &Path, sentence: &str) -> String {
    let log = dir.join("stderr");
    let file = std::fs::File::create(&log).expect("a file");
    let mut child = command(args).stdout(Stdio::null()).stderr(file).spawn().expect("the binary runs");
    let deadline = Instant::now() + Duration::from_secs(30);
    let text = loop {
        let text = std::fs::read_to_string(&log).expect("UTF-8");
        if text.contains(sentence) || Instant::now() > deadline {
            break text;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let _ = child.kill();
    let _ = child.wait();
    assert!(text.contains(sentence), "no `{sentence}` in: {text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[test]
fn a_peer_of_another_cluster_or_with_other_options_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let base = free_base_port(2);
    let first = config(dir.path(), 1, base, "one", 1);
    // A node of two cannot be ready alone, so it is awaited by its port.
    let mut node = command(&["serve", "--config", &first])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    for (cluster, groups) in [("other", 1), ("one", 2)] {
        let second = config(dir.path(), 2, base, cluster, groups);
        until_logged(&["serve", "--config", &second], dir.path(), "a peer refuses this node");
        std::fs::remove_dir_all(dir.path().join("data2")).expect("it was made");
    }
    assert!(node.try_wait().expect("it was started here").is_none(), "the first node goes on");
    let _ = node.kill();
    let _ = node.wait();
}

#[test]
fn the_data_directory_of_another_node_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let base = free_base_port(2);
    let data = dir.path().join("data2");
    let data = data.to_str().expect("UTF-8");
    let endpoint = format!("127.0.0.1:{base}");
    let node = Background::start(&["dev", "--bind", &endpoint, "--data", data], "is ready");
    ledgermq(&["send", "demo", "--body", "kept", "--endpoint", &endpoint]).code(0);

    let second = config(dir.path(), 2, base + 10, "one", 1);
    let in_use: Ended = ledgermq(&["serve", "--config", &second]);
    assert!(in_use.code != 0 && in_use.err.contains("is held by process"), "{in_use:?}");
    assert_eq!(node.signal("TERM"), Some(0));
    let refused = ledgermq(&["serve", "--config", &second]);
    assert!(refused.code != 0 && refused.err.contains("check the data directory"), "{refused:?}");

    // Nothing in it was changed.
    let _node = Background::start(&["dev", "--bind", &endpoint, "--data", data], "is ready");
    let received = ledgermq(&["receive", "demo", "-g", "g", "--endpoint", &endpoint]).code(0);
    assert!(received.out.contains("kept"), "{received:?}");
}

#[test]
fn a_malformed_file_in_the_place_of_the_log_is_damage_and_not_an_empty_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let endpoint = format!("127.0.0.1:{}", free_base_port(1));
    let data = dir.path().join("data");
    let args = ["dev", "--bind", &endpoint, "--data", data.to_str().expect("UTF-8")];
    let node = Background::start(&args, "is ready");
    ledgermq(&["send", "demo", "--body", "kept", "--endpoint", &endpoint]).code(0);
    node.kill();
    let log = data.join("groups/g1/log");
    let vote = Command::new("find").arg(&log).args(["-type", "f"]).output().expect("find runs");
    let files = String::from_utf8(vote.stdout).expect("UTF-8");
    let segment = files.lines().find(|path| path.ends_with(".seg") || path.ends_with(".log"));
    let segment = segment.unwrap_or_else(|| panic!("no segment among {files}"));
    let bytes = std::fs::read(segment).expect("read");
    std::fs::write(segment, vec![0xAA; bytes.len().min(1 << 20)]).expect("written");
    let refused = ledgermq(&args);
    assert!(refused.code != 0 && refused.err.contains(segment.rsplit('/').next().unwrap()), "{refused:?}");
}
