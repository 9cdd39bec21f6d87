//! Whether a configuration makes sense. Says what is wrong, all of it at once, and changes nothing.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use store::limits::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

use super::Options;

/// How many broker groups one cluster begins with at most.
const BROKER_GROUPS_MAX: u32 = 64;
/// How many nodes a cluster has at most.
const MEMBERS_MAX: usize = 64;
/// Queues of one topic.
const QUEUES_MAX: u32 = 4096;
/// Less memory than this and RocksDB thrashes.
const TABLE_MEMORY_BYTES_MIN: u64 = 8 << 20;
/// A snapshot flushes the tables: more often than this is all overhead.
const SNAPSHOT_LOG_BYTES_MIN: u64 = 1 << 20;
/// Slower, and a part of a snapshot takes longer than whoever waits for it waits.
const SNAPSHOT_BYTES_PER_SECOND_MIN: u64 = 1 << 20;
/// A shorter heartbeat is all overhead.
const HEARTBEAT_MS_MIN: u64 = 10;
/// An election timeout has to outlast so many heartbeats, or a single late one starts an election.
const HEARTBEATS_IN_ELECTION_MIN: u64 = 3;
const NAME_BYTES_MAX: usize = 64;

impl Options {
    /// Everything that is wrong, a sentence each.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        self.check_cluster(&mut wrong);
        self.check_addresses(&mut wrong);
        self.check_storage(&mut wrong);
        self.check_raft(&mut wrong);
        self.retention.check(self.log.segment_bytes, &mut wrong);
        self.disk.check(&mut wrong);
        self.tracing.check(&mut wrong);
        self.check_peer_tls(&mut wrong);
        self.access.check(self.cluster.seeds.is_empty() && self.cluster.members.len() < 2, &mut wrong);
        let queues = self.messaging.default_queues;
        if !(1..=QUEUES_MAX).contains(&queues) {
            wrong
                .push(format!("messaging.default_queues is {queues}: it must lie within 1 and {QUEUES_MAX}"));
        }
        self.limits.check(&mut wrong);
        if self.transactions.check_interval_ms.0 < 100 || self.transactions.check_limit == 0 {
            wrong.push(
                "transactions.check_interval_ms must be at least 100ms, and transactions.check_limit at least 1".to_owned(),
            );
        }
        if self.messaging.default_max_attempts == 0 {
            wrong
                .push("messaging.default_max_attempts is 0: a message is delivered at least once".to_owned());
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn check_cluster(&self, wrong: &mut Vec<String>) {
        check_name("cluster.name", &self.cluster.name, wrong);
        let groups = self.cluster.broker_groups;
        if !(1..=BROKER_GROUPS_MAX).contains(&groups) {
            wrong.push(format!(
                "cluster.broker_groups is {groups}: it must lie within 1 and {BROKER_GROUPS_MAX}"
            ));
        }
        if !self.node.name.is_empty() {
            check_name("node.name", &self.node.name, wrong);
        }
        let members = &self.cluster.members;
        if !self.cluster.seeds.is_empty() {
            self.check_seeds(wrong);
            return;
        }
        if members.is_empty() {
            return;
        }
        if members.len() > MEMBERS_MAX {
            wrong.push(format!("cluster.members lists {} nodes: at most {MEMBERS_MAX}", members.len()));
        }
        if !members.iter().any(|member| member.id == self.node_id()) {
            wrong.push(format!("node.id is {}, but cluster.members lists no such node", self.node_id()));
        }
        let mut seen = BTreeSet::new();
        for member in members {
            check_name("cluster.members.name", &member.name, wrong);
            if member.id == 0 {
                wrong.push(format!("cluster.members: {} has id 0: ids begin at 1", member.name));
            }
            for (what, value) in [
                ("id", member.id.to_string()),
                ("name", member.name.clone()),
                ("grpc", member.grpc.clone()),
                ("peer", member.peer.clone()),
            ] {
                if !seen.insert((what, value.clone())) {
                    wrong.push(format!("cluster.members: {what} {value} occurs twice"));
                }
            }
            for (key, address) in [("grpc", &member.grpc), ("http", &member.http), ("peer", &member.peer)] {
                check_host_port(&format!("cluster.members.{key} of {}", member.name), address, wrong);
            }
        }
    }

    fn check_peer_tls(&self, wrong: &mut Vec<String>) {
        let peer = &self.peer;
        let set =
            [&peer.tls_authority, &peer.tls_cert, &peer.tls_key].map(|path| !path.as_os_str().is_empty());
        if set.contains(&true) && set.contains(&false) {
            wrong.push(
                "peer.tls_authority, peer.tls_cert and peer.tls_key belong together: set all of them, or none".to_owned(),
            );
        }
        if !set.contains(&true) && !peer.tls_names.is_empty() {
            wrong
                .push("peer.tls_names says who may be a peer, but there is no peer.tls_authority".to_owned());
        }
    }

    /// Where ids are given out by the cluster.
    fn check_seeds(&self, wrong: &mut Vec<String>) {
        let seeds = &self.cluster.seeds;
        if !self.cluster.members.is_empty() {
            wrong.push(
                "cluster.seeds and cluster.members are both set: with seeds the cluster keeps its own list of members"
                    .to_owned(),
            );
        }
        if self.node.id != 0 {
            wrong.push(format!(
                "node.id is {}, but with cluster.seeds the cluster gives out ids: leave node.id out",
                self.node.id
            ));
        }
        if self.node.name.is_empty() {
            wrong.push(
                "node.name is empty: with cluster.seeds every node needs a name of its own that stays (the pod's or the \
                 machine's)"
                    .to_owned(),
            );
        }
        if seeds.len() > MEMBERS_MAX {
            wrong.push(format!("cluster.seeds lists {} nodes: at most {MEMBERS_MAX}", seeds.len()));
        }
        let mut seen = BTreeSet::new();
        for seed in seeds {
            check_host_port("cluster.seeds", seed, wrong);
            if !seen.insert(seed) {
                wrong.push(format!("cluster.seeds: {seed} occurs twice"));
            }
        }
        let nobody = |address: &str| address.starts_with("0.0.0.0:") || address.starts_with("[::]:");
        for (key, address) in
            [("peer.advertise", self.peer_address()), ("grpc.advertise", self.grpc_address())]
        {
            if nobody(&address) {
                wrong.push(format!(
                    "{key} is empty, and nobody can dial {address}: write the host and port that others reach this \
                     node at"
                ));
            }
        }
    }

    fn grpc_address(&self) -> String {
        match self.grpc.advertise.is_empty() {
            true => self.grpc.bind.clone(),
            false => self.grpc.advertise.clone(),
        }
    }

    fn check_addresses(&self, wrong: &mut Vec<String>) {
        let binds =
            [("grpc.bind", &self.grpc.bind), ("http.bind", &self.http.bind), ("peer.bind", &self.peer.bind)];
        for (key, bind) in binds {
            if bind.parse::<SocketAddr>().is_err() {
                wrong
                    .push(format!("{key} is `{bind}`: write an IP address and a port, such as 0.0.0.0:8081"));
            }
        }
        for (index, (key, bind)) in binds.iter().enumerate() {
            for (other, other_bind) in &binds[index + 1..] {
                if bind == other_bind && !bind.ends_with(":0") {
                    wrong.push(format!("{key} and {other} are both {bind}"));
                }
            }
        }
        for (key, address) in [
            ("grpc.advertise", &self.grpc.advertise),
            ("http.advertise", &self.http.advertise),
            ("peer.advertise", &self.peer.advertise),
        ] {
            if !address.is_empty() {
                check_host_port(key, address, wrong);
            }
        }
        for neighbour in &self.grpc.stand_in_for {
            if !neighbour.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback()) {
                wrong.push(format!(
                    "grpc.stand_in_for has `{neighbour}`: write a loopback address and a port"
                ));
            }
        }
        let (cert, key) = (&self.grpc.tls_cert, &self.grpc.tls_key);
        if cert.as_os_str().is_empty() != key.as_os_str().is_empty() {
            wrong.push("grpc.tls_cert and grpc.tls_key belong together: one is set, the other is not".into());
        }
    }

    fn check_storage(&self, wrong: &mut Vec<String>) {
        if self.node.data.as_os_str().is_empty() {
            wrong.push("node.data is empty: name a directory".to_owned());
        }
        let segment = self.log.segment_bytes;
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&segment.0) {
            wrong.push(format!("log.segment_bytes is {segment}: it must lie within 64MiB and 4095MiB"));
        }
        let cache = self.log.tail_cache_bytes;
        if cache.0 > 4 << 30 {
            wrong.push(format!("log.tail_cache_bytes is {cache}: it must be at most 4GiB"));
        }
        let memory = self.tables.memory_bytes;
        if memory.0 < TABLE_MEMORY_BYTES_MIN {
            wrong.push(format!("tables.memory_bytes is {memory}: it must be at least 8MiB"));
        }
    }

    fn check_raft(&self, wrong: &mut Vec<String>) {
        let (heartbeat, election) = (self.raft.heartbeat_ms.0, self.raft.election_timeout_ms.0);
        if heartbeat < HEARTBEAT_MS_MIN {
            wrong.push(format!("raft.heartbeat_ms is {heartbeat}: it must be at least {HEARTBEAT_MS_MIN}"));
        }
        if election < heartbeat.saturating_mul(HEARTBEATS_IN_ELECTION_MIN) {
            wrong.push(format!(
                "raft.election_timeout_ms is {election}: it must be at least {HEARTBEATS_IN_ELECTION_MIN} \
                 heartbeats of {heartbeat} ms"
            ));
        }
        let snapshot = self.raft.snapshot_log_bytes;
        if snapshot.0 < SNAPSHOT_LOG_BYTES_MIN {
            wrong.push(format!("raft.snapshot_log_bytes is {snapshot}: it must be at least 1MiB"));
        }
        let rate = self.raft.snapshot_bytes_per_second;
        if rate.0 > 0 && rate.0 < SNAPSHOT_BYTES_PER_SECOND_MIN {
            wrong.push(format!(
                "raft.snapshot_bytes_per_second is {rate}: it must be at least 1MiB, or 0 for as fast as it goes"
            ));
        }
    }
}

fn check_name(key: &str, name: &str, wrong: &mut Vec<String>) {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(fits) {
        wrong.push(format!("{key} is `{name}`: 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`"));
    }
}

fn check_host_port(key: &str, address: &str, wrong: &mut Vec<String>) {
    let valid = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
    if !valid {
        wrong.push(format!("{key} is `{address}`: write host:port, such as broker1.example.com:8081"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Member;
    use super::super::values::{ByteCount, Millis};
    use super::*;

    fn complaints(change: impl FnOnce(&mut Options)) -> String {
        let mut options = Options::default();
        change(&mut options);
        let before = options.clone();
        let complaints = options.validate().unwrap_err().join("\n");
        assert_eq!(options, before, "validate() rewrote something");
        complaints
    }

    fn member(id: u64) -> Member {
        let port = |offset: u64| format!("127.0.0.1:{}", 8080 + offset + 10 * id);
        Member { id, name: format!("node{id}"), grpc: port(1), http: port(2), peer: port(3) }
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Options::default().validate(), Ok(()));
    }

    #[test]
    fn each_wrong_value_is_named() {
        type Change = fn(&mut Options);
        let cases: [(&str, Change); 27] = [
            ("cluster.name", |o| o.cluster.name = "a b".into()),
            ("cluster.broker_groups", |o| o.cluster.broker_groups = 0),
            ("node.data", |o| o.node.data = "".into()),
            ("lists no such node", |o| o.cluster.members = vec![member(2), member(3)]),
            ("id 1 occurs twice", |o| o.cluster.members = vec![member(1), member(1)]),
            ("cluster.members.grpc of node1", |o| {
                o.cluster.members = vec![Member { grpc: "nowhere".into(), ..member(1) }];
            }),
            ("grpc.bind is `localhost`", |o| o.grpc.bind = "localhost".into()),
            ("both 127.0.0.1:8082", |o| o.grpc.bind = "127.0.0.1:8082".into()),
            ("grpc.stand_in_for has `10.0.0.1:8081`", |o| {
                o.grpc.stand_in_for = vec!["10.0.0.1:8081".into()];
            }),
            ("belong together", |o| o.grpc.tls_cert = "cert.pem".into()),
            ("log.segment_bytes is 1KiB", |o| o.log.segment_bytes = ByteCount(1024)),
            ("tables.memory_bytes", |o| o.tables.memory_bytes = ByteCount(1)),
            ("retention.keep_ms", |o| o.retention.keep_ms = Millis(0)),
            ("retention.log_bytes is 1GiB", |o| o.retention.log_bytes = ByteCount(1 << 30)),
            ("retention.clean_at is `4 am`", |o| o.retention.clean_at = "4 am".into()),
            ("disk.refuse_percent are 75, 95 and 90", |o| o.disk.clean_percent = 95),
            ("disk.look_every_ms is 1ms", |o| o.disk.look_every_ms = Millis(1)),
            ("raft.election_timeout_ms", |o| o.raft.election_timeout_ms = Millis(200)),
            ("raft.snapshot_bytes_per_second is 1KiB", |o| {
                o.raft.snapshot_bytes_per_second = ByteCount(1024)
            }),
            ("raft.snapshot_log_bytes is 1KiB", |o| o.raft.snapshot_log_bytes = ByteCount(1024)),
            ("node.id is 3, but with cluster.seeds", |o| {
                (o.cluster.seeds, o.node.name, o.node.id) = (vec!["a:1".into()], "a".into(), 3);
            }),
            ("node.name is empty", |o| o.cluster.seeds = vec!["a:1".into()]),
            ("a:1 occurs twice", |o| o.cluster.seeds = vec!["a:1".into(), "a:1".into()]),
            ("cluster.seeds and cluster.members are both set", |o| {
                (o.cluster.seeds, o.cluster.members) = (vec!["a:1".into()], vec![member(1)]);
            }),
            ("nobody can dial 0.0.0.0:8083", |o| {
                (o.cluster.seeds, o.peer.bind) = (vec!["a:1".into()], "0.0.0.0:8083".into());
            }),
            ("messaging.default_queues", |o| o.messaging.default_queues = 0),
            ("messaging.default_max_attempts", |o| o.messaging.default_max_attempts = 0),
        ];
        for (expected, change) in cases {
            let complaints = complaints(change);
            assert!(complaints.contains(expected), "{expected:?} is not in {complaints:?}");
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let complaints = complaints(|o| {
            o.cluster.broker_groups = 99;
            o.messaging.default_queues = 0;
        });
        assert_eq!(complaints.lines().count(), 2, "{complaints}");
    }
}
