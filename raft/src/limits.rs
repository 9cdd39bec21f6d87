//! Every bound of this crate (rule R9).

/// The body of a frame is never larger. A message of 4 MiB fits.
pub const FRAME_BODY_BYTES_MAX: usize = 8 << 20;

// The state machine. These decide outcomes: every node must have the same (rule R4).

/// So many message ids are remembered to recognize a repeated send.
pub const DEDUP_IDS_MAX: usize = 1 << 20;
/// A message id is remembered so long, by the log's time.
pub const DEDUP_WINDOW_MS: u64 = 10 * 60 * 1000;
/// So many runs of settled leases are remembered to recognize a repeated acknowledgement.
pub const ACKNOWLEDGED_RUNS_MAX: usize = 1 << 18;
/// A settled lease is remembered so long, by the log's time.
pub const ACKNOWLEDGED_WINDOW_MS: u64 = 60 * 1000;
/// A consumer group has so many unsettled messages in a queue before it gets no fresh ones.
pub const UNSETTLED_MAX: usize = 1 << 15;
/// So many of them wait for an earlier message of their message group.
pub const PARKED_MAX: usize = 4096;
/// A receive leases no more messages, whatever it asks for.
pub const RECEIVE_MESSAGES_MAX: usize = 1024;
/// A receive looks at no more messages.
pub const RECEIVE_SCAN_MAX: usize = 4096;
/// A lease is renewed for so long at most.
pub const RENEWAL_MS_MAX: u64 = 3 * 60 * 60 * 1000;
/// So many topics and consumer groups that are gone are remembered.
pub const DELETED_MAX: usize = 1 << 16;
/// A topic has no more queues.
pub const QUEUES_MAX: u32 = 4096;
/// `meta` remembers so many requests, to recognize a repeated one.
pub const META_REQUESTS_MAX: usize = 1024;

// The state machine's caches. They decide nothing but speed.

/// So many of the newest consume-queue entries stay in memory, over all queues.
pub const TAIL_ENTRIES_MAX: usize = 1 << 17;
/// So many entries of older blocks stay in memory, over all queues.
pub const BLOCK_CACHE_ENTRIES_MAX: usize = 1 << 15;

const _: () = assert!(PARKED_MAX < UNSETTLED_MAX);
const _: () = assert!(RECEIVE_MESSAGES_MAX <= RECEIVE_SCAN_MAX);
