//! Clusters of processes.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::ports::free_base_port;
use super::{Ended, by, command, ended, ledgermq};

/// A cluster on this machine, in a directory of its own. Stopped when it is dropped.
pub struct Local {
    pub data: tempfile::TempDir,
    pub endpoint: String,
}

impl Local {
    /// Starts it; and what `local start` printed.
    pub fn start(nodes: u16, groups: u32) -> (Local, Value) {
        Local::start_with(nodes, groups, &[])
    }

    /// As [`Local::start`], with more in the environment of its nodes.
    pub fn start_with(nodes: u16, groups: u32, environment: &[(&str, &str)]) -> (Local, Value) {
        Local::start_as(env!("CARGO_BIN_EXE_ledgermq"), nodes, groups, environment, &[])
    }

    /// With access control, and one broker group.
    pub fn guarded(nodes: u16) -> Local {
        Local::start_as(env!("CARGO_BIN_EXE_ledgermq"), nodes, 1, &[], &["--access"]).0
    }

    /// As [`Local::start`], with nodes of another binary.
    pub fn start_by(binary: &str, nodes: u16, groups: u32) -> (Local, Value) {
        Local::start_as(binary, nodes, groups, &[], &[])
    }

    fn start_as(
        binary: &str,
        nodes: u16,
        groups: u32,
        environment: &[(&str, &str)],
        more: &[&str],
    ) -> (Local, Value) {
        let port = free_base_port(nodes);
        let data = tempfile::tempdir().unwrap();
        let local = Local { data, endpoint: format!("127.0.0.1:{port}") };
        let (nodes, groups, port) = (nodes.to_string(), groups.to_string(), port.to_string());
        let data = local.data.path().to_str().expect("UTF-8");
        let mut start = by(binary, &["local", "start", "--nodes", &nodes, "--groups", &groups, "--detach"]);
        start.args(["--base-port", &port, "--data", data, "-o", "json"]).args(more);
        start.envs(environment.iter().copied());
        let started = ended(start).code(0).json();
        (local, started)
    }

    /// `ledgermq local ...` on it.
    pub fn local(&self, args: &[&str]) -> Ended {
        ledgermq(&[&["local"], args, &["--data", self.data.path().to_str().unwrap()]].concat())
    }

    /// Stops a node and starts it again, with more in its environment.
    pub fn restart_with(&self, node: u64, environment: &[(&str, &str)]) {
        let data = self.data.path().to_str().unwrap();
        let mut command = command(&["local", "restart", &node.to_string(), "--data", data]);
        command.envs(environment.iter().copied());
        ended(command).code(0);
    }

    /// What a node has said so far.
    pub fn log_of(&self, node: u64) -> String {
        let path = self.data.path().join(format!("node{node}")).join("log");
        std::fs::read_to_string(path).expect("the log of a node")
    }

    /// A client command, at the first node.
    pub fn client(&self, args: &[&str]) -> Ended {
        ledgermq(&[args, &["--endpoint", &self.endpoint]].concat())
    }

    /// A client command, at this node.
    pub fn client_of(&self, node: u64, args: &[&str]) -> Ended {
        ledgermq(&[args, &["--endpoint", &self.endpoint_of(node)]].concat())
    }

    /// Where a node answers clients.
    pub fn endpoint_of(&self, node: u64) -> String {
        let (host, port) = self.endpoint.rsplit_once(':').expect("an address");
        let first: u64 = port.parse().expect("a port");
        format!("{host}:{}", first + 10 * (node - 1))
    }

    /// What `local status` says.
    pub fn status(&self) -> Value {
        self.local(&["status", "-o", "json"]).code(0).json()
    }

    /// Waits until `group` has a leader that is alive.
    pub fn leader(&self, group: &str) -> u64 {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.status();
            let leader = status["groups"]
                .as_array()
                .unwrap()
                .iter()
                .find(|view| view["name"] == group)
                .and_then(|view| view["leader"].as_u64());
            let alive = |id: u64| {
                status["nodes"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|node| node["id"] == id && node["alive"] == true)
            };
            if let Some(leader) = leader.filter(|leader| alive(*leader)) {
                return leader;
            }
            assert!(Instant::now() < deadline, "no leader of {group}: {status}");
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        ledgermq(&["local", "stop", "--data", self.data.path().to_str().unwrap()]);
    }
}
