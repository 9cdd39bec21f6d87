//! What the client edge is told at start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{StartFrom, TopicType};
use serde::Deserialize;
use thiserror::Error;

use crate::access::gate::AccessControl;
use crate::limits;
use crate::options::values::ByteCount;
use crate::traces::Traces;

/// Options of the client edge. The address that clients dial is the catalog's
/// [`raft::catalog::NodeInfo::grpc`], not an option here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeOptions {
    /// Where the gRPC port listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Client ports of the other nodes on this machine, on loopback: when one of them dies, this
    /// node answers there (see [`crate::client_port`]).
    pub stand_in_for: Vec<SocketAddr>,
    /// TLS on the same port.
    pub tls: TlsOptions,
    /// Make a topic when it is first used.
    pub auto_create_topics: bool,
    /// Make a consumer group when it is first used. Such a group is never FIFO.
    pub auto_create_groups: bool,
    /// Queues of a topic made by its first use.
    pub default_queues: u32,
    /// Type of a topic made by its first use.
    pub default_topic_type: TopicType,
    /// Deliveries before a message becomes a dead letter, for a group made by its first use.
    pub default_max_attempts: u16,
    /// Where a group made by its first use begins. `first`, unlike the reference (`last`): a message
    /// that is sent before the first consumer starts is not lost to it.
    pub default_start: StartFrom,
    /// How far ahead a delivery time may lie, in days.
    pub max_delay_days: u32,
    /// A producer is asked about its open transaction after so long, unless the message names a time.
    #[serde(skip)]
    pub transaction_check_after: Duration,
    /// Bounds.
    pub limits: EdgeLimits,
    /// The cluster's name, for `ledgermq cluster status`. Set by the boot code, not by the file.
    #[serde(skip)]
    pub cluster: String,
    /// Whether access is controlled. Set by the boot code, not by the file.
    #[serde(skip)]
    pub access: AccessControl,
    /// What traces calls; none: nothing does. Set by the boot code, not by the file.
    #[serde(skip)]
    pub traces: Option<Arc<Traces>>,
}

/// TLS on the gRPC port. Plaintext is spoken too, unless [`TlsOptions::only`]: the first byte tells them apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsOptions {
    /// A certificate chain in PEM. Without one, a self-signed certificate is made at first start.
    pub cert: Option<PathBuf>,
    /// Its private key in PEM.
    pub key: Option<PathBuf>,
    /// The authority that signs users' certificates, in PEM; without one none is asked for.
    pub client_authority: Option<PathBuf>,
    /// Who does not speak TLS is not spoken to.
    pub only: bool,
    /// Where a self-signed certificate is kept. Set by the boot code, not by the file.
    #[serde(skip)]
    pub directory: PathBuf,
}

/// Bounds that an operator may want to move (rule R9). The rest is in [`crate::limits`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeLimits {
    /// Connections at once.
    pub connections: usize,
    /// Requests at once, streams and long polls among them.
    pub requests: usize,
    /// Bytes of requests that are not yet read to their end.
    pub request_bytes: usize,
    /// Long polls at once.
    pub long_polls: usize,
    /// Bodies of sends that are not yet answered, in bytes.
    pub send_bytes: usize,
    /// Bytes of messages that their receivers have not yet read.
    pub answer_bytes: usize,
    /// Topics and consumer groups that are being made by their first use.
    pub creates: usize,
    /// How much of each of these one address may hold, in percent.
    pub address_share_percent: u8,
    /// Largest body, in bytes; at most 4 MiB.
    pub body_bytes: usize,
    /// Messages that one client may send in a second; 0 for no bound.
    pub client_messages_per_s: u32,
    /// Bytes of bodies that one client may send in a second; 0 for no bound.
    pub client_bytes_per_s: u64,
    /// Shortest long poll, in milliseconds.
    pub long_poll_min_ms: u64,
    /// Longest long poll, in milliseconds.
    pub long_poll_max_ms: u64,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        EdgeOptions {
            bind: SocketAddr::from(([0, 0, 0, 0], 8081)),
            stand_in_for: Vec::new(),
            tls: TlsOptions::default(),
            auto_create_topics: true,
            auto_create_groups: true,
            default_queues: 8,
            default_topic_type: TopicType::Mixed,
            default_max_attempts: 16,
            default_start: StartFrom::First,
            max_delay_days: 365,
            transaction_check_after: limits::TRANSACTION_CHECK_AFTER,
            limits: EdgeLimits::default(),
            cluster: String::new(),
            access: AccessControl::Off,
            traces: None,
        }
    }
}

impl Default for EdgeLimits {
    fn default() -> Self {
        EdgeLimits {
            connections: 20_000,
            requests: 100_000,
            request_bytes: 256 << 20,
            long_polls: 50_000,
            send_bytes: 256 << 20,
            answer_bytes: 320 << 20,
            creates: 64,
            address_share_percent: 50,
            body_bytes: limits::BODY_BYTES_MAX,
            client_messages_per_s: 0,
            client_bytes_per_s: 0,
            long_poll_min_ms: 5_000,
            long_poll_max_ms: 20_000,
        }
    }
}

impl EdgeLimits {
    /// Every bound of what callers may hold that makes no sense; what is wrong begins with its value.
    pub fn check_holdings(&self) -> Vec<InvalidOption> {
        let percent = self.address_share_percent;
        if !(1..=100).contains(&percent) {
            let reason = format!("{percent}: it must lie within 1 and 100");
            return vec![InvalidOption { key: "limits.address_share_percent", reason }];
        }
        let counts = [
            ("limits.connections", self.connections),
            ("limits.requests", self.requests),
            ("limits.long_polls", self.long_polls),
            ("limits.creates", self.creates),
        ];
        let none = counts.into_iter().filter(|(_, count)| *count == 0);
        let least = (limits::INBOUND_MESSAGE_BYTES_MAX as u64 * 100).div_ceil(u64::from(percent));
        let bytes = [
            ("limits.request_bytes", self.request_bytes as u64),
            ("limits.send_bytes", self.send_bytes as u64),
            ("limits.answer_bytes", self.answer_bytes as u64),
        ];
        let few = bytes.into_iter().filter(|(_, bytes)| *bytes < least).map(|(key, bytes)| InvalidOption {
            key,
            reason: format!(
                "{}: the share of one address must hold the largest request, so with limits.address_share_percent = \
                 {percent} it must be at least {}",
                ByteCount(bytes),
                ByteCount(least)
            ),
        });
        let none = none.map(|(key, _)| InvalidOption { key, reason: "0: it must be at least 1".to_owned() });
        none.chain(few).collect()
    }
}

/// Why options make no sense together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key}: {reason}")]
pub struct InvalidOption {
    /// The option's key.
    pub key: &'static str,
    /// What is wrong with its value.
    pub reason: String,
}

impl EdgeOptions {
    /// Every option that makes no sense. Changes nothing.
    pub fn validate(&self) -> Vec<InvalidOption> {
        let mut found = Vec::new();
        let mut check = |good: bool, key: &'static str, reason: String| {
            if !good {
                found.push(InvalidOption { key, reason });
            }
        };
        let queues = self.default_queues;
        check(
            (1..=limits::QUEUES_MAX).contains(&queues),
            "default_queues",
            format!("{queues} is not between 1 and {}", limits::QUEUES_MAX),
        );
        check(self.default_max_attempts > 0, "default_max_attempts", "must be at least 1".into());
        check(
            self.tls.cert.is_some() == self.tls.key.is_some(),
            "tls",
            "cert and key belong together: set both or neither".into(),
        );
        let bounds = &self.limits;
        check(
            (1..=limits::BODY_BYTES_MAX).contains(&bounds.body_bytes),
            "limits.body_bytes",
            format!("{} is not between 1 and {}", bounds.body_bytes, limits::BODY_BYTES_MAX),
        );
        check(
            bounds.long_poll_min_ms <= bounds.long_poll_max_ms,
            "limits.long_poll_min_ms",
            format!("{} is above long_poll_max_ms {}", bounds.long_poll_min_ms, bounds.long_poll_max_ms),
        );
        found.extend(bounds.check_holdings());
        found
    }

    /// How far ahead a delivery time may lie.
    pub fn max_delay(&self) -> Duration {
        Duration::from_secs(u64::from(self.max_delay_days) * 24 * 3600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(EdgeOptions::default().validate(), []);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let mut options = EdgeOptions { default_queues: 0, ..EdgeOptions::default() };
        options.tls.cert = Some("cert.pem".into());
        options.limits.long_poll_min_ms = 30_000;
        let keys: Vec<_> = options.validate().into_iter().map(|invalid| invalid.key).collect();
        assert_eq!(keys, ["default_queues", "tls", "limits.long_poll_min_ms"]);
    }

    #[test]
    fn unknown_keys_are_refused_and_known_ones_are_read() {
        let read: EdgeOptions = toml::from_str("default_start = 'last'\n[limits]\nlong_polls = 7").unwrap();
        assert_eq!((read.default_start, read.limits.long_polls), (StartFrom::Last, 7));
        let refused = toml::from_str::<EdgeOptions>("defualt_queues = 3").unwrap_err();
        assert!(refused.message().contains("defualt_queues"), "{refused}");
    }
}
