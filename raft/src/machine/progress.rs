//! How far a machine is: the applied entry, the log's time, the membership, and what is on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use store::planted::{PlantedBug, planted};
use store::tables::applied::{Applied, AppliedMark, Membership};
use store::tables::{Batch, TableError, TableStore};

use super::{FrameContext, MachineFailure};

/// For a planted bug: in entries.
const DIVERGES_EVERY: u64 = 16;

/// The part of a machine that every kind of entry moves on, and the batch that an entry writes.
pub struct Progress<T> {
    pub(super) durability: Durability<T>,
    applied: Option<AppliedMark>,
    stamp_ms: u64,
    membership: Option<(AppliedMark, Bytes)>,
    pub(super) batch: Batch,
}

/// Flushes tables, and knows which applied entries are on disk. A handle: cheap to clone, usable
/// from any thread while the machine goes on.
#[derive(Clone)]
pub struct Durability<T> {
    tables: T,
    /// The applied index that is on disk, plus one; 0 for none.
    durable: Arc<AtomicU64>,
}

impl<T: TableStore> Durability<T> {
    pub(super) fn tables(&self) -> &T {
        &self.tables
    }

    /// Brings the tables to disk, and answers with the applied index that is there now.
    ///
    /// # Errors
    /// The disk failed: the node must stop.
    pub fn flush(&self) -> Result<Option<u64>, TableError> {
        let applied = Applied::get(&self.tables)?;
        self.tables.flush()?;
        if let Some(applied) = applied {
            self.durable.fetch_max(applied.mark.index + 1, Ordering::Release);
        }
        Ok(self.durable_applied())
    }

    /// An applied index that is on disk for sure. Nothing above it may be purged (rule R2).
    pub fn durable_applied(&self) -> Option<u64> {
        self.durable.load(Ordering::Acquire).checked_sub(1)
    }
}

impl<T: TableStore> Progress<T> {
    /// Reads the progress from the tables. What is there was on disk: there is no other log.
    pub(super) fn open(tables: T) -> Result<Progress<T>, MachineFailure> {
        let applied = Applied::get(&tables)?;
        let membership = Membership::get(&tables)?;
        let durable = applied.map_or(0, |applied| applied.mark.index + 1);
        Ok(Progress {
            durability: Durability { tables, durable: Arc::new(AtomicU64::new(durable)) },
            applied: applied.map(|applied| applied.mark),
            stamp_ms: applied.map_or(0, |applied| applied.stamp_ms),
            membership: membership.map(|membership| (membership.mark, membership.bytes.into())),
            batch: Batch::default(),
        })
    }

    pub(super) fn applied(&self) -> Option<AppliedMark> {
        self.applied
    }

    pub(super) fn stamp_ms(&self) -> u64 {
        self.stamp_ms
    }

    pub(super) fn membership(&self) -> Option<(AppliedMark, Bytes)> {
        self.membership.clone()
    }

    pub(super) fn durability(&self) -> Durability<T> {
        self.durability.clone()
    }

    pub(crate) fn tables(&self) -> &T {
        &self.durability.tables
    }

    pub(super) fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Begins an entry: checks that it is the next one, and moves the log's time on.
    pub(super) fn begin(&mut self, frame: &FrameContext) -> Result<(), MachineFailure> {
        if let Some(applied) = self.applied
            && frame.index != applied.index + 1
        {
            return Err(MachineFailure::OutOfOrder { expected: applied.index + 1, found: frame.index });
        }
        self.batch.clear();
        self.stamp_ms = self.stamp_ms.max(frame.stamp_ms);
        Ok(())
    }

    pub(super) fn set_membership(&mut self, frame: &FrameContext, bytes: &[u8]) {
        self.membership = Some((frame.mark(), Bytes::copy_from_slice(bytes)));
        Membership { mark: frame.mark(), bytes: bytes.to_vec() }.put(&mut self.batch);
    }

    /// Ends an entry: one batch with everything, the applied row too.
    pub(super) fn commit(&mut self, frame: &FrameContext) -> Result<(), MachineFailure> {
        self.applied = Some(frame.mark());
        Applied { mark: frame.mark(), stamp_ms: self.stamp_ms }.put(&mut self.batch);
        if planted(PlantedBug::ReplicaDiverges) && frame.index.is_multiple_of(DIVERGES_EVERY) {
            // Each process has its own; no row has such a kind.
            self.batch.put(&[u8::MAX], &std::process::id().to_be_bytes());
        }
        self.durability.tables.write(&self.batch)?;
        Ok(())
    }
}
