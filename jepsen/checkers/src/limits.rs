//! Every bound of this crate.

/// A violated property shows so many examples.
pub const EXAMPLES_MAX: usize = 10;

/// Buffers of the reader and the writer.
pub const READ_BUFFER_BYTES: usize = 1 << 20;
/// See [`READ_BUFFER_BYTES`].
pub const WRITE_BUFFER_BYTES: usize = 1 << 18;

/// The longest line: a receive of a thousand messages, or a replica's digests, with room to spare.
pub const LINE_BYTES_MAX: u64 = 16 << 20;
