//! Every bound of this crate (rule R9), and how they relate.

/// Length of a frame's header, in bytes.
pub const FRAME_HEADER_BYTES: u64 = 64;
/// The longest frame, header included. A batch of messages has at most 8 MiB; the rest is room for
/// the commands around it.
pub const FRAME_BYTES_MAX: u64 = 9 << 20;
/// The longest body of a frame.
pub const FRAME_BODY_BYTES_MAX: u64 = FRAME_BYTES_MAX - FRAME_HEADER_BYTES;

/// Where the frames of a segment begin: behind the header's page and the two watermark pages.
pub const SEGMENT_DATA_START: u64 = 3 * 4096;
/// Length of the footer that seals a segment.
pub const SEGMENT_FOOTER_BYTES: u64 = 64;
/// The smallest segment that may be configured.
pub const SEGMENT_BYTES_MIN: u64 = 64 << 20;
/// The smallest segment that the log works with at all (tests); its frames are bounded by half its room.
pub const SEGMENT_BYTES_FLOOR: u64 = 16 << 10;
/// The largest segment: frame offsets in the index file have 32 bits.
pub const SEGMENT_BYTES_MAX: u64 = u32::MAX as u64;
/// The size of a segment if nothing else is said.
pub const SEGMENT_BYTES_DEFAULT: u64 = 1 << 30;

/// Recent frames kept in memory if nothing else is said.
pub const TAIL_CACHE_BYTES_DEFAULT: usize = 64 << 20;
/// Bytes of frames that wait for the writer thread; who appends beyond it waits.
pub const QUEUE_BYTES_MAX: u64 = 256 << 20;
/// What the writer thread takes from its queue for one sync.
pub const WRITE_BATCH_BYTES_MAX: u64 = 32 << 20;
/// So much behind the log's end stays in the system's cache; twice as much at most.
pub const CACHED_BEHIND_BYTES: u64 = 8 << 20;
/// Slices in one vectored write (Linux `IOV_MAX`).
pub const WRITE_SLICES_MAX: usize = 1024;
/// Sealed segments whose files are kept open for readers.
pub const OPEN_SEGMENT_FILES_MAX: usize = 64;
/// Index entries read at once when frames of a sealed segment are looked up.
pub const INDEX_ENTRIES_READ_MAX: u64 = 4096;
/// Bytes read at once while the headers of a segment are scanned.
pub const SCAN_WINDOW_BYTES: u64 = 256 << 10;

const _: () = assert!(FRAME_BYTES_MAX <= SEGMENT_BYTES_MIN / 4);
const _: () = assert!(SEGMENT_BYTES_FLOOR > SEGMENT_DATA_START + SEGMENT_FOOTER_BYTES);
const _: () = assert!(SEGMENT_BYTES_DEFAULT <= SEGMENT_BYTES_MAX);
const _: () = assert!(SEGMENT_BYTES_DEFAULT >= SEGMENT_BYTES_MIN);
const _: () = assert!(WRITE_BATCH_BYTES_MAX >= FRAME_BYTES_MAX);
const _: () = assert!(QUEUE_BYTES_MAX >= WRITE_BATCH_BYTES_MAX);
const _: () = assert!(SCAN_WINDOW_BYTES >= FRAME_HEADER_BYTES);

/// The longest frame that a log with segments of `segment_bytes` takes.
pub const fn frame_bytes_max(segment_bytes: u64) -> u64 {
    if segment_bytes >= SEGMENT_BYTES_MIN {
        return FRAME_BYTES_MAX;
    }
    (segment_bytes - SEGMENT_DATA_START - SEGMENT_FOOTER_BYTES) / 2
}
