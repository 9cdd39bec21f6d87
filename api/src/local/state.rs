//! What is known of a local cluster between two commands.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::process::ProcessId;
use crate::access::first;
use crate::access::seal::{SealError, SealKey};
use crate::cli::exit::Failure;
use crate::client::credentials::Credentials;
use crate::options::{Member, Options, SMALL_SEGMENT_BYTES};

const STATE_FILE: &str = "local.json";
const LOCK_FILE: &str = "local.lock";
const NEXT_FILE: &str = "local.json.new";
/// Between the ports of two nodes.
const PORT_STEP: u16 = 10;
/// The most nodes of a local cluster.
pub const NODES_MAX: u16 = 9;

/// A local cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalCluster {
    /// How many broker groups.
    pub groups: u32,
    /// The port of the first node's gRPC server.
    pub base_port: u16,
    /// Whether access is controlled.
    #[serde(default)]
    pub access: bool,
    /// Its nodes.
    pub nodes: Vec<LocalNode>,
}

/// One of its nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalNode {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// `host:port` for clients.
    pub grpc: String,
    /// `host:port` for HTTP.
    pub http: String,
    /// `host:port` for peers.
    pub peer: String,
    /// The process that was started last.
    pub process: Option<ProcessId>,
}

impl LocalNode {
    /// Whether its process runs.
    pub fn is_alive(&self) -> bool {
        self.process.is_some_and(ProcessId::is_alive)
    }
}

/// A directory with a local cluster.
#[derive(Clone, Debug)]
pub struct LocalDirectory(PathBuf);

impl LocalDirectory {
    /// At this path, absolute from now on.
    pub fn new(path: &Path) -> Result<LocalDirectory, Failure> {
        let absolute = std::path::absolute(path)
            .map_err(|error| Failure::io(format!("use the directory {}", path.display()), &error))?;
        Ok(LocalDirectory(absolute))
    }

    /// For messages.
    pub fn display(&self) -> std::path::Display<'_> {
        self.0.display()
    }

    /// What a node has to itself.
    pub fn of_node(&self, node: &LocalNode) -> PathBuf {
        self.0.join(&node.name)
    }

    /// What a node prints.
    pub fn log_of(&self, node: &LocalNode) -> PathBuf {
        self.of_node(node).join("log")
    }

    /// A node's configuration.
    pub fn config_of(&self, node: &LocalNode) -> PathBuf {
        self.of_node(node).join("node.toml")
    }

    /// The file with the key that secrets are sealed with.
    fn seal_key(&self) -> PathBuf {
        self.0.join("access").join("seal-key")
    }

    /// The file with the first administrator's secret.
    pub fn admin_secret(&self) -> PathBuf {
        self.0.join("access").join("admin-secret")
    }

    /// Makes the key and the secret of the first administrator, if they are not there.
    pub fn make_access(&self) -> Result<(), Failure> {
        let failed = |error: SealError| Failure::Failed(error.to_string());
        if !self.seal_key().exists() {
            SealKey::make(&self.seal_key()).map_err(failed)?;
        }
        if !self.admin_secret().exists() {
            // Any key will do for a secret.
            SealKey::make(&self.admin_secret()).map_err(failed)?;
        }
        Ok(())
    }

    /// Who this command is to the nodes.
    pub fn credentials(&self, cluster: &LocalCluster) -> Result<Option<Credentials>, Failure> {
        if !cluster.access {
            return Ok(None);
        }
        let read = Credentials::with_secret_of(first::NAME, &self.admin_secret());
        read.map(Some).map_err(Failure::Failed)
    }

    /// What is there; `None` if no cluster was ever started here.
    pub fn read(&self) -> Result<Option<LocalCluster>, Failure> {
        let path = self.0.join(STATE_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io(format!("read {}", path.display()), &error)),
        };
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|error| Failure::Failed(format!("{} is damaged: {error}", path.display())))
    }

    /// What is there, or a failure that says how to make it.
    pub fn existing(&self) -> Result<LocalCluster, Failure> {
        self.read()?.ok_or_else(|| {
            Failure::Nothing(format!(
                "no local cluster in {}: start one with `ledgermq local start --nodes 3`, or name its directory with --data",
                self.display()
            ))
        })
    }

    /// Writes the state whole, or not at all.
    pub fn write(&self, cluster: &LocalCluster) -> Result<(), Failure> {
        let (next, path) = (self.0.join(NEXT_FILE), self.0.join(STATE_FILE));
        let text = serde_json::to_string_pretty(cluster).expect("plain structs of strings and numbers");
        std::fs::write(&next, text)
            .and_then(|()| std::fs::rename(&next, &path))
            .map_err(|error| Failure::io(format!("write {}", path.display()), &error))
    }

    /// Held while processes are started or stopped, so that two commands do not mix.
    pub fn lock(&self) -> Result<File, Failure> {
        let path = self.0.join(LOCK_FILE);
        let failed = |error: std::io::Error| Failure::io(format!("lock {}", path.display()), &error);
        std::fs::create_dir_all(&self.0).map_err(failed)?;
        let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        Ok(file)
    }

    /// Makes a node's directory and writes its configuration.
    pub fn write_config(&self, cluster: &LocalCluster, node: &LocalNode) -> Result<(), Failure> {
        let path = self.config_of(node);
        std::fs::create_dir_all(self.of_node(node))
            .and_then(|()| std::fs::write(&path, self.options(cluster, node).to_toml()))
            .map_err(|error| Failure::io(format!("write {}", path.display()), &error))
    }

    /// What a node is configured with.
    pub fn options(&self, cluster: &LocalCluster, node: &LocalNode) -> Options {
        let mut options = Options::default();
        options.cluster.name = "local".to_owned();
        options.cluster.broker_groups = cluster.groups;
        options.cluster.members = cluster.nodes.iter().map(LocalNode::member).collect();
        options.node.id = node.id;
        options.node.name.clone_from(&node.name);
        options.node.data = self.of_node(node).join("data");
        options.grpc.bind.clone_from(&node.grpc);
        let neighbours = cluster.nodes.iter().filter(|other| other.id != node.id);
        options.grpc.stand_in_for = neighbours.map(|other| other.grpc.clone()).collect();
        options.http.bind.clone_from(&node.http);
        options.peer.bind.clone_from(&node.peer);
        options.log.segment_bytes = SMALL_SEGMENT_BYTES;
        if cluster.access {
            options.access.enabled = true;
            options.access.seal_key = self.seal_key();
            options.access.admin_secret = self.admin_secret();
        }
        options
    }
}

impl LocalNode {
    fn member(&self) -> Member {
        Member {
            id: self.id,
            name: self.name.clone(),
            grpc: self.grpc.clone(),
            http: self.http.clone(),
            peer: self.peer.clone(),
        }
    }
}

impl LocalCluster {
    /// A cluster that never ran. Node `i` (from 1) has the ports `base_port + 10 (i - 1)`, +1 and +2.
    pub fn new(nodes: u16, groups: u32, base_port: u16) -> LocalCluster {
        let node = |index: u16| {
            let at = |offset: u16| format!("127.0.0.1:{}", base_port + PORT_STEP * index + offset);
            LocalNode {
                id: u64::from(index) + 1,
                name: format!("node{}", index + 1),
                grpc: at(0),
                http: at(1),
                peer: at(2),
                process: None,
            }
        };
        LocalCluster { groups, base_port, access: false, nodes: (0..nodes).map(node).collect() }
    }

    /// The node with this id or name.
    pub fn node_mut(&mut self, id_or_name: &str) -> Result<&mut LocalNode, Failure> {
        let names: Vec<String> = self.nodes.iter().map(|node| node.name.clone()).collect();
        let found = |node: &&mut LocalNode| node.name == id_or_name || node.id.to_string() == id_or_name;
        self.nodes.iter_mut().find(found).ok_or_else(|| {
            Failure::Usage(format!("no node {id_or_name}: the nodes are {}", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_go_up_by_ten() {
        let cluster = LocalCluster::new(3, 2, 8081);
        let ports: Vec<&str> = cluster.nodes.iter().map(|node| node.grpc.as_str()).collect();
        assert_eq!(ports, ["127.0.0.1:8081", "127.0.0.1:8091", "127.0.0.1:8101"]);
        assert_eq!(cluster.nodes[2].peer, "127.0.0.1:8103");
    }

    #[test]
    fn every_node_gets_a_valid_configuration() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = LocalDirectory::new(scratch.path()).unwrap();
        let cluster = LocalCluster::new(NODES_MAX, 3, 8081);
        for node in &cluster.nodes {
            directory.write_config(&cluster, node).unwrap();
            let options = Options::load(&directory.config_of(node), []).unwrap();
            assert_eq!((options.node_name(), options.cluster.broker_groups), (node.name.clone(), 3));
            assert_eq!(options.advertised(), node.grpc);
            assert_eq!(options.grpc.stand_in_for.len(), usize::from(NODES_MAX) - 1);
            assert!(!options.grpc.stand_in_for.contains(&node.grpc));
        }
    }

    #[test]
    fn the_state_survives_and_nodes_are_found_by_id_and_name() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = LocalDirectory::new(scratch.path()).unwrap();
        assert!(directory.read().unwrap().is_none());
        let mut cluster = LocalCluster::new(3, 1, 9001);
        cluster.node_mut("2").unwrap().process = ProcessId::of(std::process::id());
        directory.write(&cluster).unwrap();
        let mut read = directory.existing().unwrap();
        assert_eq!(read, cluster);
        assert!(read.node_mut("node2").unwrap().is_alive());
        let error = read.node_mut("node7").unwrap_err().to_string();
        assert_eq!(error, "no node node7: the nodes are node1, node2, node3");
    }
}
