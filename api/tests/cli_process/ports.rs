//! Ports of this machine that no other test has.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

const FIRST_PORT: u16 = 10_000;
/// Three of them are used.
const PORTS_A_NODE: u16 = 10;

/// The ports that this process has.
static CLAIMS: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port such that it and those of the other servers and nodes are free now, and no other test takes them while this
/// process lives: a port that was seen free may be another's before its server has come.
pub fn free_base_port(nodes: u16) -> u16 {
    for _ in 0..1000 {
        // Below the range from which the system gives ports to connections.
        let base = FIRST_PORT + rand::random_range(0..2_000 - nodes) * PORTS_A_NODE;
        let starts: Vec<u16> = (0..nodes).map(|node| base + PORTS_A_NODE * node).collect();
        let Some(claims) = starts.iter().map(|start| claim(*start)).collect::<Option<Vec<File>>>() else {
            continue;
        };
        let mut ports = starts.iter().flat_map(|start| (0..3).map(move |offset| start + offset));
        if ports.all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            CLAIMS.lock().expect("no test panics here").extend(claims);
            return base;
        }
    }
    panic!("no free ports");
}

/// The ports of one node, if no test of any process has them: its claim ends with the process at the latest.
fn claim(start: u16) -> Option<File> {
    let dir = std::env::temp_dir().join("ledgermq-ports-of-tests");
    std::fs::create_dir_all(&dir).expect("a directory for claims");
    let claim = File::options().create(true).append(true).open(dir.join(start.to_string())).expect("a claim");
    claim.try_lock().is_ok().then_some(claim)
}
