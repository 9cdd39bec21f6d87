//! Who measures the syncs of a log. This crate knows no clock: whoever has one looks at it.

/// Called on the thread that writes the log, around each sync of frames. It must not block.
pub trait SyncMeter: Send + Sync {
    /// A sync begins. What is answered is handed to [`SyncMeter::ended`].
    fn begins(&self) -> u64;

    /// It is done: so many frames, of so many bytes together, are durable with it.
    fn ended(&self, begun: u64, frames: u64, bytes: u64);
}
