//! `[limits]`: what callers may hold of a node.

use serde::{Deserialize, Serialize};

use super::values::ByteCount;
use crate::edge_options::EdgeLimits;
use crate::limits::INBOUND_MESSAGE_BYTES_MAX;

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
            send_bytes: ByteCount(limits.send_bytes_in_flight as u64),
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
            send_bytes_in_flight: bytes(self.send_bytes),
            answer_bytes: bytes(self.answer_bytes),
            address_share_percent: self.address_share_percent,
            ..others
        }
    }

    /// Adds a sentence for everything that is wrong.
    pub fn check(&self, wrong: &mut Vec<String>) {
        let percent = self.address_share_percent;
        if !(1..=100).contains(&percent) {
            wrong.push(format!("limits.address_share_percent is {percent}: it must lie within 1 and 100"));
            return;
        }
        for (key, value) in
            [("connections", self.connections), ("requests", self.requests), ("long_polls", self.long_polls)]
        {
            if value == 0 {
                wrong.push(format!("limits.{key} is 0: it must be at least 1"));
            }
        }
        let least = (INBOUND_MESSAGE_BYTES_MAX as u64 * 100).div_ceil(u64::from(percent));
        for (key, value) in [
            ("request_bytes", self.request_bytes),
            ("send_bytes", self.send_bytes),
            ("answer_bytes", self.answer_bytes),
        ] {
            if value.0 < least {
                wrong.push(format!(
                    "limits.{key} is {value}: the share of one address must hold the largest request, so with \
                     limits.address_share_percent = {percent} it must be at least {}",
                    ByteCount(least)
                ));
            }
        }
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
