//! What a node is configured with: a TOML file with defaults that run, and overrides from the
//! environment (`LEDGERMQ_SECTION__KEY`). Every section stands for its consumer.

pub mod access;
pub mod exposure;
pub mod keys;
pub mod limits;
pub mod ports;
pub mod retention;
pub mod tracing;
pub mod transactions;
pub mod validate;
pub mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use raft::node::Tuning;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use access::AccessSection;
use limits::LimitsSection;
use ports::{GrpcSection, HttpSection, PeerSection};
use retention::{DiskSection, RetentionSection};
use tracing::TracingSection;
use transactions::TransactionsSection;
use values::{ByteCount, Millis};

/// What overrides of the environment begin with.
pub const ENV_PREFIX: &str = "LEDGERMQ_";

/// Everything that a node is configured with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// The cluster: the same on every node.
    pub cluster: ClusterOptions,
    /// This node.
    pub node: NodeSection,
    /// The port of the clients.
    pub grpc: GrpcSection,
    /// The port of health, metrics and the console.
    pub http: HttpSection,
    /// The port of the peers.
    pub peer: PeerSection,
    /// The CommitLog.
    pub log: LogSection,
    /// The tables derived from it.
    pub tables: TablesSection,
    /// Raft's timing.
    pub raft: RaftSection,
    /// How long messages stay.
    pub retention: RetentionSection,
    /// What a disk that fills up calls for.
    pub disk: DiskSection,
    /// Who may do what.
    pub access: AccessSection,
    /// What callers may hold of a node.
    pub limits: LimitsSection,
    /// What clients may do.
    pub messaging: MessagingSection,
    /// What becomes of transactions that nobody ends.
    pub transactions: TransactionsSection,
    /// Where traces go.
    pub tracing: TracingSection,
}

/// `[cluster]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterOptions {
    /// The cluster's name; a peer of another cluster is refused.
    pub name: String,
    /// How many broker groups the cluster begins with.
    pub broker_groups: u32,
    /// `host:port` of the peer ports of the nodes that found the cluster at its first start, the same on every node.
    /// Later nodes find the cluster by them. Ids are then given out by the cluster. Empty: `members` lists the nodes.
    pub seeds: Vec<String>,
    /// Every node at the first start, this one included. Empty, and no seeds: this node alone.
    pub members: Vec<Member>,
}

/// `[[cluster.members]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Allocated once, never reused; from 1.
    pub id: u64,
    /// For people.
    pub name: String,
    /// `host:port` that clients dial.
    pub grpc: String,
    /// `host:port` of the HTTP server.
    pub http: String,
    /// `host:port` that peers dial.
    pub peer: String,
}

/// `[node]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeSection {
    /// This node's id, one of the members'; 0: with `cluster.seeds` the cluster gives it one, else it is 1.
    pub id: u64,
    /// Its name; empty: the one in the member list, else `node<id>`. With `cluster.seeds` it must be set: a node that lost
    /// its data takes the place of the one that had its name.
    pub name: String,
    /// Where everything is kept.
    pub data: PathBuf,
}

/// Segments of nodes that are played with: two of each log are allocated at once, and such a node should not
/// take gigabytes of somebody's laptop.
pub const SMALL_SEGMENT_BYTES: ByteCount = ByteCount(128 << 20);

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogSection {
    /// Size of a segment.
    pub segment_bytes: ByteCount,
    /// How many of the last bytes of a log stay in memory, for each group.
    pub tail_cache_bytes: ByteCount,
}

/// `[tables]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TablesSection {
    /// Memory of a group's tables: cache and memtables together.
    pub memory_bytes: ByteCount,
}

/// `[raft]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RaftSection {
    /// How often a leader says that it is there.
    pub heartbeat_ms: Millis,
    /// A leader that says nothing is replaced after 2.5 to 3 times this.
    pub election_timeout_ms: Millis,
    /// A snapshot of a group is made after so much log. A replica that lags behind it catches up from
    /// the snapshot.
    pub snapshot_log_bytes: ByteCount,
    /// So many entries before a snapshot stay, for replicas that are a little behind: they are sent
    /// the log, others the snapshot.
    pub snapshot_entries_kept: u64,
    /// Snapshots leave the node at so many bytes a second at most, all together; 0: as fast as it goes.
    pub snapshot_bytes_per_second: ByteCount,
}

/// `[messaging]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MessagingSection {
    /// Whether a topic is made when a client first asks for it.
    pub auto_create_topics: bool,
    /// Whether a consumer group is made when a client first asks for it.
    pub auto_create_groups: bool,
    /// How many queues such a topic gets.
    pub default_queues: u32,
    /// Deliveries before a message becomes a dead letter, in such a group.
    pub default_max_attempts: u16,
    /// Where such a group begins.
    pub default_start: DefaultStart,
    /// How far ahead a delivery time may lie.
    pub max_delay_days: u32,
    /// Messages that one client may send to this node in a second; 0: no bound.
    pub client_messages_per_second: u32,
    /// Bytes of bodies that one client may send to this node in a second; 0: no bound.
    pub client_bytes_per_second: ByteCount,
}

/// Where a consumer group begins that is made by its first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DefaultStart {
    /// At the first message that is still there.
    First,
    /// Behind the last message.
    Last,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        ClusterOptions { name: "ledgermq".into(), broker_groups: 1, seeds: Vec::new(), members: Vec::new() }
    }
}

impl Default for NodeSection {
    fn default() -> Self {
        NodeSection { id: 0, name: String::new(), data: PathBuf::from("ledgermq-data") }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        let tuning = Tuning::default();
        LogSection {
            segment_bytes: ByteCount(tuning.segment_bytes),
            tail_cache_bytes: ByteCount(tuning.tail_cache_bytes as u64),
        }
    }
}

impl Default for TablesSection {
    fn default() -> Self {
        TablesSection { memory_bytes: ByteCount(Tuning::default().table_memory_bytes as u64) }
    }
}

impl Default for RaftSection {
    fn default() -> Self {
        let tuning = Tuning::default();
        let millis = |duration: Duration| Millis(duration.as_millis() as u64);
        RaftSection {
            heartbeat_ms: millis(tuning.heartbeat),
            election_timeout_ms: millis(tuning.election_timeout),
            snapshot_log_bytes: ByteCount(tuning.snapshot_log_bytes),
            snapshot_entries_kept: tuning.snapshot_entries_kept,
            snapshot_bytes_per_second: ByteCount(tuning.snapshot_bytes_per_s),
        }
    }
}

impl Default for MessagingSection {
    fn default() -> Self {
        MessagingSection {
            auto_create_topics: true,
            auto_create_groups: true,
            default_queues: 8,
            default_max_attempts: 16,
            default_start: DefaultStart::First,
            max_delay_days: 365,
            client_messages_per_second: 0,
            client_bytes_per_second: ByteCount(0),
        }
    }
}

/// Why a node cannot be configured.
#[derive(Debug, Error)]
pub enum OptionsError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Not TOML, or a value of a wrong type.
    #[error("{origin}: {reason}")]
    Syntax {
        /// The file, or the variable.
        origin: String,
        /// What the parser says.
        reason: String,
    },
    /// Keys that do not exist.
    #[error("{}", .0.join("\n"))]
    UnknownKeys(Vec<String>),
    /// Values that make no sense.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

impl Options {
    /// Reads a file, lays the environment's overrides over it, and checks the whole.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Options, OptionsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| OptionsError::Read { path: path.to_owned(), source })?;
        Options::parse(&text, &path.display().to_string(), environment)
    }

    /// The same from text; `origin` names it in errors.
    pub fn parse(
        text: &str,
        origin: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Options, OptionsError> {
        let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| OptionsError::Syntax {
            origin: origin.to_owned(),
            reason: error.to_string(),
        })?;
        let mut unknown = keys::unknown_in(&table);
        unknown.extend(keys::overlay(&mut table, environment));
        if !unknown.is_empty() {
            return Err(OptionsError::UnknownKeys(unknown));
        }
        let options: Options = table.try_into().map_err(|error: toml::de::Error| OptionsError::Syntax {
            origin: origin.to_owned(),
            reason: error.to_string(),
        })?;
        options.validate().map_err(OptionsError::Invalid)?;
        Ok(options)
    }

    /// The whole configuration as TOML, defaults included.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("options are plain tables of strings and numbers")
    }

    /// The members, this node alone if none are listed.
    pub fn members(&self) -> Vec<Member> {
        if !self.cluster.members.is_empty() {
            return self.cluster.members.clone();
        }
        vec![Member {
            id: self.node_id(),
            name: self.node_name(),
            grpc: self.advertised(),
            http: first_of(&self.http.advertise, &self.http.bind),
            peer: self.peer_address(),
        }]
    }

    /// This node's id, as far as it is configured: 0 means that the cluster gives it one.
    pub fn node_id(&self) -> u64 {
        match self.cluster.seeds.is_empty() {
            true => self.node.id.max(1),
            false => 0,
        }
    }

    /// `host:port` that the other nodes dial.
    pub fn peer_address(&self) -> String {
        first_of(&self.peer.advertise, &self.peer.bind)
    }

    /// This node's name.
    pub fn node_name(&self) -> String {
        match (&self.node.name, self.own_member()) {
            (name, _) if !name.is_empty() => name.clone(),
            (_, Some(member)) => member.name.clone(),
            _ => format!("node{}", self.node_id()),
        }
    }

    /// `host:port` that clients are told to dial.
    pub fn advertised(&self) -> String {
        match (&self.grpc.advertise, self.own_member()) {
            (advertise, _) if !advertise.is_empty() => advertise.clone(),
            (_, Some(member)) => member.grpc.clone(),
            // Nobody can dial 0.0.0.0; on the machine itself this works.
            _ => self.grpc.bind.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:"),
        }
    }

    fn own_member(&self) -> Option<&Member> {
        self.cluster.members.iter().find(|member| member.id == self.node_id())
    }
}

fn first_of(one: &str, other: &str) -> String {
    if one.is_empty() { other.to_owned() } else { one.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, OptionsError> {
        Options::parse(text, "node.toml", [])
    }

    #[test]
    fn an_empty_file_runs() {
        assert_eq!(parse("").unwrap(), Options::default());
    }

    #[test]
    fn what_is_printed_reads_back() {
        let mut options = Options::default();
        options.cluster.members = vec![Member {
            id: 1,
            name: "node1".into(),
            grpc: "127.0.0.1:8081".into(),
            http: "127.0.0.1:8082".into(),
            peer: "127.0.0.1:8083".into(),
        }];
        assert_eq!(parse(&options.to_toml()).unwrap(), options);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_one() {
        let error = parse("[node]\nnmae = \"a\"\n").unwrap_err().to_string();
        assert_eq!(error, "unknown key `node.nmae`: did you mean `node.name`?");
        let error = parse("[messagign]\nauto_create_topics = true\n").unwrap_err().to_string();
        assert_eq!(error, "unknown section `[messagign]`: did you mean `[messaging]`?");
        let error = parse("[[cluster.members]]\nid = 1\nnaem = \"x\"\n").unwrap_err().to_string();
        assert_eq!(error, "unknown key `cluster.members.naem`: did you mean `cluster.members.name`?");
        let error = parse("[node]\nzzzzzzzzzz = 1\n").unwrap_err().to_string();
        assert_eq!(error, "unknown key `node.zzzzzzzzzz`: the keys are data, id, name");
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let environment = [
            ("LEDGERMQ_NODE__NAME".to_owned(), "blue".to_owned()),
            ("LEDGERMQ_LOG__SEGMENT_BYTES".to_owned(), "64MiB".to_owned()),
            ("LEDGERMQ_RAFT__HEARTBEAT_MS".to_owned(), "70".to_owned()),
            ("LEDGERMQ_MESSAGING__AUTO_CREATE_TOPICS".to_owned(), "false".to_owned()),
            ("LEDGERMQ_ENDPOINT".to_owned(), "not:1".to_owned()),
            ("PATH".to_owned(), "/bin".to_owned()),
        ];
        let options = Options::parse("[node]\nname = \"red\"\n", "node.toml", environment).unwrap();
        assert_eq!(options.node.name, "blue");
        assert_eq!(options.log.segment_bytes, ByteCount(64 << 20));
        assert_eq!(options.raft.heartbeat_ms, Millis(70));
        assert!(!options.messaging.auto_create_topics);
    }

    #[test]
    fn an_unknown_variable_is_refused_too() {
        let environment = [("LEDGERMQ_NODE__NMAE".to_owned(), "blue".to_owned())];
        let error = Options::parse("", "node.toml", environment).unwrap_err().to_string();
        assert_eq!(error, "unknown variable `LEDGERMQ_NODE__NMAE`: did you mean `LEDGERMQ_NODE__NAME`?");
    }

    #[test]
    fn a_wrong_type_names_the_file() {
        let error = parse("[cluster]\nbroker_groups = \"many\"\n").unwrap_err().to_string();
        assert!(error.starts_with("node.toml: "), "{error}");
        let error = parse("[log]\nsegment_bytes = \"5 parsecs\"\n").unwrap_err().to_string();
        assert!(error.contains("is not a size"), "{error}");
    }
}
