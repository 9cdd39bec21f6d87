//! What a consumer group has not settled: a row for 64 offsets, absent if they are all settled.
//!
//! ```text
//! key: 21 | u32 consumer | u32 topic | u32 queue | u64 block       (big endian; block = offset / 64)
//! value: for each unsettled offset, ascending:
//!   u8 offset within the block
//!   u8 flags: 1 order hash, 2 the same order hash as before, 4 leased, 8 like the lease before
//!   u64 order hash if flag 1
//!   if flag 4: zigzag distance of the lease from the one before (from 0 for the first), and, without
//!     flag 8: varint revision | varint attempt | varint until_ms | varint renew_until_ms
//!             | u64 client | u64 request
//! ```
//! Without flag 4 the message waits behind others of its message group and was never delivered.

use super::cursor::{CursorNumbers, cursor_key, cursor_numbers};
use super::row_kind::key_u64;
use super::{Batch, RowKind};
use crate::coding::{Reader, put_varint, put_zigzag};

/// So many offsets share a row.
pub const OFFSETS_PER_ROW: u64 = 64;

const HAS_ORDER: u8 = 1;
const SAME_ORDER: u8 = 2;
const LEASED: u8 = 4;
const LIKE_BEFORE: u8 = 8;

/// A message that was delivered, or that waits for its message group. All zero but the order hash
/// while it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsettled {
    /// Hash of its message group, 0 if order does not matter.
    pub order_hash: u64,
    /// The lease, from 1; 0 if it was never delivered.
    pub lease: u64,
    /// How often a client changed the lease's end.
    pub revision: u32,
    /// How often it was delivered.
    pub attempt: u16,
    /// When the lease ends, by the log's time, in milliseconds since 1970.
    pub until_ms: u64,
    /// The leader may renew the lease up to here; 0 if it does not renew it.
    pub renew_until_ms: u64,
    /// Hash of the client that holds it.
    pub client: u64,
    /// Hash of the receive's attempt id.
    pub request: u64,
}

impl Unsettled {
    /// Whether it was delivered at least once.
    pub fn is_leased(&self) -> bool {
        self.lease != 0
    }

    /// Whether all but lease and order are those of `other`.
    fn is_like(&self, other: &Unsettled) -> bool {
        let like = Unsettled { order_hash: other.order_hash, lease: other.lease, ..*self };
        like == *other
    }
}

/// Writes the row of a block, or removes it if `slots` is empty. `slots`: offsets of the block, ascending.
///
/// # Panics
/// If an offset is not of the block.
pub fn put_row<'a>(
    cursor: CursorNumbers,
    block: u64,
    slots: impl Iterator<Item = (u64, &'a Unsettled)>,
    batch: &mut Batch,
) {
    let key = row_key(cursor, block);
    let mut value = Vec::with_capacity(128);
    let mut before = Unsettled::default();
    for (offset, slot) in slots {
        assert_eq!(offset / OFFSETS_PER_ROW, block, "offset {offset} is not of block {block}");
        value.push((offset % OFFSETS_PER_ROW) as u8);
        let order = match slot.order_hash {
            0 => 0,
            hash if hash == before.order_hash => SAME_ORDER,
            _ => HAS_ORDER,
        };
        let like = if slot.is_like(&before) { LIKE_BEFORE } else { 0 };
        let leased = if slot.is_leased() { LEASED | like } else { 0 };
        value.push(order | leased);
        if order == HAS_ORDER {
            value.extend_from_slice(&slot.order_hash.to_le_bytes());
        }
        if leased != 0 {
            put_lease(slot, &before, like != 0, &mut value);
            before = *slot;
        }
        before.order_hash = slot.order_hash;
    }
    match value.is_empty() {
        true => batch.delete(&key),
        false => batch.put(&key, &value),
    }
}

fn put_lease(slot: &Unsettled, before: &Unsettled, like_before: bool, value: &mut Vec<u8>) {
    put_zigzag(value, slot.lease.wrapping_sub(before.lease) as i64);
    if like_before {
        return;
    }
    put_varint(value, u64::from(slot.revision));
    put_varint(value, u64::from(slot.attempt));
    put_varint(value, slot.until_ms);
    put_varint(value, slot.renew_until_ms);
    value.extend_from_slice(&slot.client.to_le_bytes());
    value.extend_from_slice(&slot.request.to_le_bytes());
}

/// Reads a row: whose it is, and the unsettled offsets. `None` if it is not one.
pub fn read_row(key: &[u8], value: &[u8]) -> Option<(CursorNumbers, Vec<(u64, Unsettled)>)> {
    let cursor = cursor_numbers(key)?;
    let first = key_u64(key, 13)?.checked_mul(OFFSETS_PER_ROW)?;
    let mut reader = Reader::new(value);
    let mut slots = Vec::new();
    let mut before = Unsettled::default();
    while !reader.is_empty() {
        let offset = first + u64::from(reader.u8()?);
        let flags = reader.u8()?;
        let order_hash = match flags & (HAS_ORDER | SAME_ORDER) {
            0 => 0,
            SAME_ORDER => before.order_hash,
            _ => reader.u64()?,
        };
        before.order_hash = order_hash;
        if flags & LEASED == 0 {
            slots.push((offset, Unsettled { order_hash, ..Unsettled::default() }));
            continue;
        }
        before.lease = before.lease.wrapping_add(reader.zigzag()? as u64);
        if flags & LIKE_BEFORE == 0 {
            before.revision = reader.varint32()?;
            before.attempt = reader.varint()?.try_into().ok()?;
            before.until_ms = reader.varint()?;
            before.renew_until_ms = reader.varint()?;
            before.client = reader.u64()?;
            before.request = reader.u64()?;
        }
        slots.push((offset, before));
    }
    Some((cursor, slots))
}

/// Removes the row of a block.
pub fn delete_row(cursor: CursorNumbers, block: u64, batch: &mut Batch) {
    batch.delete(&row_key(cursor, block));
}

/// Removes every row of a consumer group in a queue.
pub fn delete_rows(cursor: CursorNumbers, batch: &mut Batch) {
    let mut end = row_key(cursor, u64::MAX);
    end.push(0);
    batch.delete_range(&row_key(cursor, 0), &end);
}

fn row_key(cursor: CursorNumbers, block: u64) -> Vec<u8> {
    let mut key = cursor_key(RowKind::Leases, cursor);
    key.extend_from_slice(&block.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Unsettled, put_row, read_row};
    use crate::tables::{Batch, Operation};

    fn slot() -> impl Strategy<Value = Unsettled> {
        let hashes = (0u64..3, 0u64..3, 0u64..3);
        (hashes, 0u64..9, 0u32..2, 0u16..3, 0u64..3, 0u64..2).prop_map(
            |((order_hash, client, request), lease, revision, attempt, until_ms, renew_until_ms)| match lease
            {
                0 => Unsettled { order_hash, ..Unsettled::default() },
                _ => Unsettled {
                    order_hash,
                    lease,
                    revision,
                    attempt,
                    until_ms,
                    renew_until_ms,
                    client,
                    request,
                },
            },
        )
    }

    proptest! {
        #[test]
        fn a_row_survives_its_encoding(slots in proptest::collection::btree_map(640u64..704, slot(), 1..64)) {
            let mut batch = Batch::default();
            put_row((1, 2, 3), 10, slots.iter().map(|(offset, slot)| (*offset, slot)), &mut batch);
            let Some(Operation::Put(key, value)) = batch.operations().next() else { panic!("no put") };
            let expected = slots.into_iter().collect::<Vec<_>>();
            prop_assert_eq!(read_row(key, value), Some(((1, 2, 3), expected)));
        }
    }

    #[test]
    fn the_bytes_of_a_row_are_part_of_the_format() {
        let lease = Unsettled {
            order_hash: 5,
            lease: 8,
            revision: 1,
            attempt: 2,
            until_ms: 300,
            renew_until_ms: 0,
            client: 6,
            request: 7,
        };
        let next = Unsettled { lease: 9, ..lease };
        let waits = Unsettled { order_hash: 5, ..Unsettled::default() };
        let slots = [(64, lease), (65, next), (127, waits)];
        let mut batch = Batch::default();
        put_row((1, 2, 3), 1, slots.iter().map(|(offset, slot)| (*offset, slot)), &mut batch);
        let Some(Operation::Put(key, value)) = batch.operations().next() else { panic!("no put") };
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(key), "210000000100000002000000030000000000000001");
        assert_eq!(
            hex(value),
            "00050500000000000000100102ac0200060000000000000007000000000000000\
             10e023f02"
        );
    }

    #[test]
    fn a_row_without_slots_is_removed() {
        let mut batch = Batch::default();
        put_row((1, 2, 3), 1, std::iter::empty(), &mut batch);
        assert!(matches!(batch.operations().next(), Some(Operation::Delete(_))));
    }
}
