//! Message ids of the official clients' shape: 17 bytes as 34 uppercase hex digits.
//!
//! ```text
//! 0x01 | MAC (6) | process id (2) | seconds since 2021-01-01T00:00:00Z (4) | sequence (4)
//! ```
//!
//! A random number stands for the MAC: it says nothing about the machine and is unique enough.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// 2021-01-01T00:00:00Z in seconds since 1970.
const EPOCH_UNIX_SECONDS: u64 = 1_609_459_200;
const VERSION: u64 = 1;

/// Length of an id as text.
pub const ID_CHARS: usize = 34;
/// Length of the part that all ids of one maker have in common: version, MAC, process.
const HEAD_CHARS: usize = 18;

/// Makes the ids of one process, each once.
#[derive(Debug)]
pub struct MessageIds {
    head: [u8; HEAD_CHARS],
    sequence: AtomicU32,
}

impl MessageIds {
    /// A maker whose ids no other maker's equal.
    pub fn new() -> Self {
        let mut head = [0; HEAD_CHARS];
        let mac: u64 = rand::random();
        let process = u64::from(std::process::id()) & 0xFFFF;
        write_hex(VERSION, &mut head[..2]);
        write_hex(mac, &mut head[2..14]);
        write_hex(process, &mut head[14..]);
        MessageIds { head, sequence: AtomicU32::new(rand::random()) }
    }

    /// The next id.
    pub fn next(&self) -> String {
        let mut id = [0; ID_CHARS];
        self.write(&mut id);
        id.iter().map(|digit| char::from(*digit)).collect()
    }

    /// Writes the next id.
    ///
    /// # Panics
    /// If `id` is not [`ID_CHARS`] long.
    pub fn write(&self, id: &mut [u8]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        id[..HEAD_CHARS].copy_from_slice(&self.head);
        write_hex(now.saturating_sub(EPOCH_UNIX_SECONDS), &mut id[HEAD_CHARS..HEAD_CHARS + 8]);
        write_hex(self.sequence.fetch_add(1, Ordering::Relaxed).into(), &mut id[HEAD_CHARS + 8..]);
    }
}

/// Writes as many of the lowest hex digits as there is room for.
fn write_hex(number: u64, digits: &mut [u8]) {
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        *digit = b"0123456789ABCDEF"[(number >> (4 * place)) as usize & 15];
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_id_has_the_official_shape() {
        let ids = MessageIds::new();
        let id = ids.next();
        assert_eq!(id.len(), ID_CHARS, "{id}");
        assert!(id.starts_with("01"), "{id}");
        assert!(id.bytes().all(|c| c.is_ascii_digit() || (b'A'..=b'F').contains(&c)), "{id}");
        assert_eq!(u16::from_str_radix(&id[14..18], 16).unwrap(), std::process::id() as u16);
        let seconds = u64::from(u32::from_str_radix(&id[18..26], 16).unwrap());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(seconds + EPOCH_UNIX_SECONDS) <= 2, "{id} is not of this second");
    }

    #[test]
    fn no_id_comes_twice() {
        let ids = MessageIds::new();
        let made: HashSet<String> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 10_000);
    }
}
