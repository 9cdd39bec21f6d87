//! Message ids of the official clients' shape: 17 bytes as 34 uppercase hex digits: 0x01, 6 bytes that
//! stand for a MAC address, 2 bytes of process id, 4 bytes of seconds since 2021-01-01 UTC, 4 bytes of
//! a sequence.

use std::time::{SystemTime, UNIX_EPOCH};

/// 2021-01-01T00:00:00Z in seconds since 1970.
const EPOCH_UNIX_SECONDS: u64 = 1_609_459_200;

/// Makes the ids of one producer. Two makers with different numbers never make the same id.
#[derive(Clone, Debug)]
pub struct MessageIds {
    maker: u64,
    sequence: u32,
}

impl MessageIds {
    /// A maker for the run `run` and its producer `producer`.
    pub fn new(run: u64, producer: u16) -> MessageIds {
        // 32 bits of the run and 16 of the producer stand for the MAC address.
        MessageIds { maker: (run & 0xFFFF_FFFF) << 16 | u64::from(producer), sequence: 0 }
    }

    /// The next id.
    pub fn next_id(&mut self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let seconds = now.saturating_sub(EPOCH_UNIX_SECONDS) as u32;
        let process = std::process::id() as u16;
        self.sequence = self.sequence.wrapping_add(1);
        format!("01{:012X}{process:04X}{seconds:08X}{:08X}", self.maker, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_official_shape_and_differ() {
        let (mut one, mut other) = (MessageIds::new(7, 1), MessageIds::new(7, 2));
        let ids: std::collections::HashSet<String> =
            (0..1_000).flat_map(|_| [one.next_id(), other.next_id()]).collect();
        assert_eq!(ids.len(), 2_000);
        for id in &ids {
            let hex = id.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte));
            assert!(id.len() == 34 && id.starts_with("01") && hex, "{id} is not of the official shape");
        }
    }
}
