//! What a queue holds at one moment, readable beside the machine while that goes on.
//!
//! A view is made under the machine's lock and read without it: rows of applied frames are in the
//! tables, and blocks that are still in memory are shared. So a reader of old messages never holds
//! up the applying of new ones.

use std::ops::ControlFlow;
use std::sync::Arc;

use store::tables::TableStore;
use store::tables::consume_queue::{Block, Entry};

use super::{Machine, MachineFailure};
use crate::limits::{PULL_BYTES_MAX, PULL_MESSAGES_MAX, PULL_SCAN_MAX};
use crate::names::{ConsumerId, QueueKey};
use crate::question::{MessagePlace, PulledPlaces, QueuePlace};
use crate::request::Filter;

/// A queue as a machine had it. What retention takes away meanwhile is told as [`Trimmed`].
pub struct QueueView<T> {
    tables: T,
    pub(super) queue: QueueKey,
    /// The first offset that can be read.
    pub first: u64,
    /// The offset behind the last message.
    pub end: u64,
    /// Blocks in memory from the offset on for which the view was made; none if it is older.
    tail: Vec<Arc<Block>>,
}

/// What the view was made over is gone meanwhile: make another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed;

impl<T: TableStore> Machine<T> {
    /// The queue as it is now, to be read from `from` on.
    pub fn view(&self, queue: QueueKey, from: u64) -> QueueView<T> {
        let (first, end) = self.queues.bounds(queue);
        let tail = self.queues.get(queue).map_or(Vec::new(), |queue| queue.blocks_from(from, PULL_SCAN_MAX));
        QueueView { tables: self.progress.tables().clone(), queue, first, end, tail }
    }

    /// How a queue stands, and whether the consumer group has a place in it.
    pub fn queue_place(&self, queue: QueueKey, consumer: Option<ConsumerId>) -> QueuePlace {
        let key = |consumer| super::cursor::CursorKey { consumer, queue };
        let begun = consumer.is_some_and(|consumer| self.cursors.contains_key(&key(consumer)));
        QueuePlace { state: self.queue_state(queue, consumer), begun }
    }
}

impl<T: TableStore> QueueView<T> {
    /// Whether reading from `from` on goes to the tables: it may block on the disk.
    pub fn is_cold(&self, from: u64) -> bool {
        from < self.end && self.tail.first().is_none_or(|block| block.first > from)
    }

    /// Looks at a bounded number of messages from `from` on, or from the first one if that is behind.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn pull(
        &self,
        from: u64,
        max: usize,
        filter: &Filter,
    ) -> Result<Result<PulledPlaces, Trimmed>, MachineFailure> {
        let (first, end) = (self.first, self.end);
        let max = max.min(PULL_MESSAGES_MAX);
        let mut found = PulledPlaces { places: Vec::new(), next: from.max(first), first, end };
        let (mut scanned, mut bytes) = (0, 0);
        let walked = self.walk(found.next, |place, entry| {
            let wanted = filter.wants(entry.tag_hash);
            let fits = found.places.is_empty() || bytes + entry.length as usize <= PULL_BYTES_MAX;
            if scanned >= PULL_SCAN_MAX || (wanted && (found.places.len() >= max || !fits)) {
                return ControlFlow::Break(());
            }
            scanned += 1;
            found.next = place.offset + 1;
            if wanted {
                bytes += entry.length as usize;
                found.places.push(place);
            }
            ControlFlow::Continue(())
        })?;
        Ok(walked.map(|()| found))
    }

    /// The first offset that was stored at `time_ms` or later, by the log's time; the end if none was.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn first_stored_at(&self, time_ms: u64) -> Result<Result<u64, Trimmed>, MachineFailure> {
        let (mut low, mut high) = (self.first, self.end);
        // Stamps ascend, so halving finds it.
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(block) = self.block(middle)? else { return Ok(Err(Trimmed)) };
            if block.stored_ms >= time_ms {
                high = block.first.max(low);
            } else {
                low = block.end();
            }
        }
        Ok(Ok(low))
    }

    /// Visits the messages from `from` on, by ascending offset, until the visitor breaks.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn walk(
        &self,
        from: u64,
        mut visit: impl FnMut(MessagePlace, &Entry) -> ControlFlow<()>,
    ) -> Result<Result<(), Trimmed>, MachineFailure> {
        let mut offset = from.max(self.first);
        while offset < self.end {
            let Some(block) = self.block(offset)? else { return Ok(Err(Trimmed)) };
            while let Some(entry) = block.entry(offset).filter(|_| offset < self.end) {
                let (position, length) = (entry.position, entry.length);
                let place = MessagePlace { offset, stored_ms: block.stored_ms, position, length };
                if visit(place, entry).is_break() {
                    return Ok(Ok(()));
                }
                offset += 1;
            }
        }
        Ok(Ok(()))
    }

    /// The block that holds `offset`; none if it is gone.
    fn block(&self, offset: u64) -> Result<Option<Arc<Block>>, MachineFailure> {
        let behind = self.tail.partition_point(|block| block.first <= offset);
        let in_memory = behind.checked_sub(1).map(|at| &self.tail[at]);
        if let Some(block) = in_memory.filter(|block| block.entry(offset).is_some()) {
            return Ok(Some(block.clone()));
        }
        let found = Block::at_or_before(&self.tables, self.queue.numbers(), offset)?;
        Ok(found.filter(|block| block.entry(offset).is_some()).map(Arc::new))
    }
}
