//! What a snapshot says of itself: the file `meta`.
//!
//! ```text
//! 0        4       6       8              16            24              32        40
//! +--------+-------+-------+--------------+-------------+---------------+---------+
//! | "LMQC" | ver 1 | flags | last index   | last term   | last leader   | log end |
//! +--------+-------+-------+--------------+-------------+---------------+---------+
//! | membership index | membership term | membership leader | length | bytes | CRC |
//! +------------------+-----------------+-------------------+--------+-------+-----+
//! 40                 48                56                  64       68
//! ```

use crate::commit_log::field::{is_sealed, put_u16, put_u32, put_u64, seal, u16_at, u32_at, u64_at};
use crate::position::LogPosition;
use crate::tables::applied::{AppliedMark, Membership};

const MAGIC: u32 = u32::from_le_bytes(*b"LMQC");
const VERSION: u16 = 1;
const HAS_MEMBERSHIP: u16 = 1;
const FIXED: usize = 68;

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The last entry that the tables in it have applied.
    pub last: AppliedMark,
    /// Where the log goes on behind that entry.
    pub log_end: LogPosition,
    /// The membership that held at that entry, if there was one.
    pub membership: Option<Membership>,
}

impl SnapshotMeta {
    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = self.membership.as_ref().map_or(&[][..], |membership| &membership.bytes);
        let mut block = vec![0; FIXED];
        put_u32(&mut block, 0, MAGIC);
        put_u16(&mut block, 4, VERSION);
        put_mark(&mut block, 8, self.last);
        put_u64(&mut block, 32, self.log_end.0);
        if let Some(membership) = &self.membership {
            put_u16(&mut block, 6, HAS_MEMBERSHIP);
            put_mark(&mut block, 40, membership.mark);
        }
        put_u32(&mut block, 64, bytes.len() as u32);
        block.extend_from_slice(bytes);
        block.extend_from_slice(&[0; 4]);
        seal(&mut block);
        block
    }

    /// The inverse of [`SnapshotMeta::encode`]; the error says what is wrong.
    ///
    /// # Errors
    /// The bytes are cut short, damaged, or of a newer version.
    pub fn decode(block: &[u8]) -> Result<SnapshotMeta, String> {
        if block.len() < FIXED + 4 || u32_at(block, 0) != MAGIC || !is_sealed(block) {
            return Err("it does not match its checksum".to_owned());
        }
        let version = u16_at(block, 4);
        if version != VERSION {
            return Err(format!("it has version {version}; this build reads {VERSION}"));
        }
        let bytes = &block[FIXED..block.len() - 4];
        if bytes.len() != u32_at(block, 64) as usize {
            return Err("its length is wrong".to_owned());
        }
        let has_membership = u16_at(block, 6) & HAS_MEMBERSHIP != 0;
        Ok(SnapshotMeta {
            last: mark_at(block, 8),
            log_end: LogPosition(u64_at(block, 32)),
            membership: has_membership
                .then(|| Membership { mark: mark_at(block, 40), bytes: bytes.to_vec() }),
        })
    }
}

fn put_mark(block: &mut [u8], at: usize, mark: AppliedMark) {
    put_u64(block, at, mark.index);
    put_u64(block, at + 8, mark.term);
    put_u64(block, at + 16, mark.leader);
}

fn mark_at(block: &[u8], at: usize) -> AppliedMark {
    AppliedMark { index: u64_at(block, at), term: u64_at(block, at + 8), leader: u64_at(block, at + 16) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_comes_back_and_every_flipped_bit_is_noticed() {
        let mark = |index| AppliedMark { term: 3, leader: 2, index };
        let with = SnapshotMeta {
            last: mark(70),
            log_end: LogPosition(9_000),
            membership: Some(Membership { mark: mark(1), bytes: b"three nodes".to_vec() }),
        };
        let without = SnapshotMeta { membership: None, ..with.clone() };
        for meta in [with, without] {
            let bytes = meta.encode();
            assert_eq!(SnapshotMeta::decode(&bytes), Ok(meta));
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 4;
                assert!(SnapshotMeta::decode(&damaged).is_err(), "a flipped bit at {at}");
                assert!(SnapshotMeta::decode(&bytes[..at]).is_err(), "cut at {at}");
            }
        }
    }
}
