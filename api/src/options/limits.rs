//! `[limits]`: what callers may hold of a node.

use serde::{Deserialize, Serialize};

use super::values::ByteCount;
use crate::edge_options::EdgeLimits;

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitsSection {
    /// Connections of clients at once.
    pub connections: usize,
    /// Requests under way, long polls and streams among them.
    pub requests: usize,
    /// Bytes of requests that are not yet read to their end.
    pub request_bytes: ByteCount,
    /// Receives and pulls under way.
    pub long_polls: usize,
    /// Bytes of bodies that are sent and not yet answered.
    pub send_bytes: ByteCount,
    /// Bytes of messages that clients were given and have not yet read.
    pub answer_bytes: ByteCount,
    /// How much of each of these one address may hold, in percent; /64 networks of IPv6 count as one. 100 where all clients
    /// come through one gateway.
    pub address_share_percent: u8,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let limits = EdgeLimits::default();
        LimitsSection {
            connections: limits.connections,
            requests: limits.requests,
            request_bytes: ByteCount(limits.request_bytes as u64),
            long_polls: limits.long_polls,
            send_bytes: ByteCount(limits.send_bytes as u64),
            answer_bytes: ByteCount(limits.answer_bytes as u64),
            address_share_percent: limits.address_share_percent,
        }
    }
}

impl LimitsSection {
    /// Lays them over others.
    pub fn over(&self, others: EdgeLimits) -> EdgeLimits {
        let bytes = |count: ByteCount| usize::try_from(count.0).unwrap_or(usize::MAX);
        EdgeLimits {
            connections: self.connections,
            requests: self.requests,
            request_bytes: bytes(self.request_bytes),
            long_polls: self.long_polls,
            send_bytes: bytes(self.send_bytes),
            answer_bytes: bytes(self.answer_bytes),
            address_share_percent: self.address_share_percent,
            ..others
        }
    }

    /// Adds a sentence for everything that is wrong.
    pub fn check(&self, wrong: &mut Vec<String>) {
        let invalid = self.over(EdgeLimits::default()).check_holdings();
        wrong.extend(invalid.into_iter().map(|it| format!("{} is {}", it.key, it.reason)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Options;

    #[test]
    fn the_share_of_an_address_holds_a_request() {
        let parse = |text: &str| Options::parse(text, "test", []).map_err(|error| error.to_string());
        assert!(parse("[limits]\nsend_bytes = \"32MiB\"\n").is_ok());
        let refused = parse("[limits]\nsend_bytes = \"31MiB\"\nconnections = 0\n").unwrap_err();
        assert!(
            refused.contains("limits.send_bytes is 31MiB") && refused.contains("at least 32MiB"),
            "{refused}"
        );
        assert!(refused.contains("limits.connections is 0"), "{refused}");
        assert!(parse("[limits]\naddress_share_percent = 0\n").unwrap_err().contains("within 1 and 100"));
        assert!(parse("[limits]\naddress_share_percent = 100\nsend_bytes = \"16MiB\"\n").is_ok());
    }
}
