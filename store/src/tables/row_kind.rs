//! The first byte of every key.

use super::TableError;

/// The kind of a row: the first byte of its key. Part of the format: never change or reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RowKind {
    /// The last applied log id: see [`super::applied`].
    Applied = 0x01,
    /// The last applied membership: see [`super::applied`].
    Membership = 0x02,
    /// A queue: see [`super::consume_queue`].
    Queue = 0x10,
    /// A block of a consume queue: see [`super::consume_queue`].
    Block = 0x11,
    /// Where a consumer group stands in a queue: see [`super::cursor`].
    Cursor = 0x20,
    /// What a consumer group has not settled in 64 offsets: see [`super::lease`].
    Leases = 0x21,
    /// Message ids of one frame: see [`super::dedup`].
    Dedup = 0x30,
    /// Acknowledgements of one frame: see [`super::acknowledged`].
    Acknowledged = 0x31,
    /// A topic or consumer group that is gone: see [`super::deleted`].
    Deleted = 0x40,
    /// Something that `meta` keeps: see [`super::catalog`].
    Catalog = 0x50,
    /// A record that somebody refers to out of the order of a queue: see [`super::held`].
    Held = 0x61,
    /// A message that its queue has let go of, but not every consumer group: see [`super::kept`].
    Kept = 0x62,
    /// How far the log is not needed any more: see [`super::held`].
    Floor = 0x66,
    /// A message that waits for its time: see [`super::timer`].
    Timer = 0x60,
    /// A message of a transaction that has not ended: see [`super::half`].
    Half = 0x63,
    /// Where a dead letter came from: see [`super::dead_letter`].
    DeadLetter = 0x68,
    /// Where a message is by one of its keys: see [`super::key_index`].
    Key = 0x64,
    /// What a frame leased and settled: see [`super::journal`].
    Journal = 0x65,
    /// A lite topic: see [`super::lite`].
    Lite = 0x67,
    /// Where the numbers of a topic's next lite topics begin: see [`super::lite`].
    LiteNumber = 0x6a,
    /// How a timer or a transaction ended: see [`super::ended`].
    Ended = 0x69,
    /// The newest lease of a consumer group in a topic that it left: see [`super::left`].
    Left = 0x6d,
    /// Where the queues of a topic stood when its message groups were spread anew: see [`super::spread`].
    Spread = 0x70,
    /// What a consumer group has settled of what came before that: see [`super::spread`].
    Cleared = 0x71,
}

impl RowKind {
    /// The least key of this kind.
    pub fn first_key(self) -> [u8; 1] {
        [self as u8]
    }

    /// The key behind the last of this kind.
    pub fn end_key(self) -> [u8; 1] {
        [self as u8 + 1]
    }

    /// The error for a row of this kind that cannot be read.
    pub fn malformed(self, key: &[u8]) -> TableError {
        let kind = match self {
            RowKind::Applied => "applied",
            RowKind::Membership => "membership",
            RowKind::Queue => "queue",
            RowKind::Block => "consume queue",
            RowKind::Cursor => "cursor",
            RowKind::Leases => "lease",
            RowKind::Dedup => "dedup",
            RowKind::Acknowledged => "acknowledged",
            RowKind::Deleted => "deleted",
            RowKind::Catalog => "catalog",
            RowKind::Held => "held",
            RowKind::Kept => "kept",
            RowKind::Floor => "floor",
            RowKind::Timer => "timer",
            RowKind::Half => "half message",
            RowKind::DeadLetter => "dead letter",
            RowKind::Lite => "lite topic",
            RowKind::LiteNumber => "lite topic number",
            RowKind::Ended => "ended",
            RowKind::Left => "left topic",
            RowKind::Spread => "spread",
            RowKind::Cleared => "cleared",
            RowKind::Key => "key",
            RowKind::Journal => "journal",
        };
        TableError::Malformed { kind, key: key.to_vec() }
    }
}

/// Four bytes of a key, from `at`.
pub(super) fn key_u32(key: &[u8], at: usize) -> Option<u32> {
    key.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// Eight bytes of a key, from `at`.
pub(super) fn key_u64(key: &[u8], at: usize) -> Option<u64> {
    key.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes)
}
