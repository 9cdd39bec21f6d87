//! The queues: where they begin and end, the newest entries in memory, and older blocks on demand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use store::tables::consume_queue::{Block, Entry, QueueNumbers, QueueRow};
use store::tables::{Batch, RowKind, TableStore};

use super::MachineFailure;
use super::broker::each_row;
use crate::limits::{BLOCK_CACHE_ENTRIES_MAX, TAIL_ENTRIES_MAX};
use crate::names::{QueueKey, TopicId};

/// A queue in memory.
#[derive(Default)]
pub(super) struct Queue {
    /// The first offset that can still be read.
    pub first: u64,
    /// The offset that the next message gets.
    pub end: u64,
    /// The newest blocks, ascending and without a gap up to `end`.
    tail: VecDeque<Arc<Block>>,
    /// Whether the last block of the tail belongs to the frame in hand.
    open: bool,
}

/// All queues of the group.
#[derive(Default)]
pub(super) struct Queues {
    queues: BTreeMap<QueueKey, Queue>,
    /// Queues that got messages in the frame in hand.
    open: Vec<QueueKey>,
    /// Queues that the frame in hand made.
    made: Vec<QueueKey>,
    /// The blocks in all tails, in the order of frames, with their lengths: the oldest goes first.
    tails: VecDeque<(QueueKey, usize)>,
    tail_entries: usize,
    cache: BlockCache,
}

impl QueueKey {
    pub(super) fn numbers(self) -> QueueNumbers {
        (self.topic.0, self.number)
    }
}

impl Queues {
    pub(super) fn open(tables: &impl TableStore) -> Result<Queues, MachineFailure> {
        let mut rows = Vec::new();
        each_row(tables, RowKind::Queue, |key, value| {
            rows.push(QueueRow::read(key, value)?);
            Some(())
        })?;
        let mut queues = Queues::default();
        for row in rows {
            let last = Block::at_or_before(tables, row.queue, u64::MAX)?;
            let end = last.map_or(row.end_at_least, |block| block.end().max(row.end_at_least));
            let key = QueueKey { topic: TopicId(row.queue.0), number: row.queue.1 };
            queues.queues.insert(key, Queue { first: row.first, end, ..Queue::default() });
        }
        Ok(queues)
    }

    pub(super) fn get(&self, key: QueueKey) -> Option<&Queue> {
        self.queues.get(&key)
    }

    /// First and end of a queue; a queue that nobody has written to is empty.
    pub(super) fn bounds(&self, key: QueueKey) -> (u64, u64) {
        self.get(key).map_or((0, 0), |queue| (queue.first, queue.end))
    }

    /// Puts an entry at the end of a queue, and makes the queue if it is not there.
    pub(super) fn append(&mut self, key: QueueKey, entry: Entry, stamp_ms: u64) -> u64 {
        let queue = self.queues.entry(key).or_insert_with(|| {
            self.made.push(key);
            Queue::default()
        });
        if !queue.open {
            queue.open = true;
            self.open.push(key);
            let block = Block { first: queue.end, stored_ms: stamp_ms, entries: Vec::new() };
            queue.tail.push_back(Arc::new(block));
        }
        let block = queue.tail.back_mut().expect("an open queue has a block");
        Arc::make_mut(block).entries.push(entry);
        queue.end += 1;
        queue.end - 1
    }

    /// Ends the frame in hand: its blocks become rows.
    pub(super) fn seal(&mut self, batch: &mut Batch) {
        for key in self.made.drain(..) {
            QueueRow { queue: key.numbers(), first: 0, end_at_least: 0 }.put(batch);
        }
        for key in self.open.drain(..) {
            let queue = self.queues.get_mut(&key).expect("an open queue is there");
            queue.open = false;
            let block = queue.tail.back().expect("an open queue has a block");
            block.put(key.numbers(), batch);
            self.tails.push_back((key, block.entries.len()));
            self.tail_entries += block.entries.len();
        }
        while self.tail_entries > TAIL_ENTRIES_MAX {
            let (key, entries) = self.tails.pop_front().expect("entries belong to blocks");
            self.tail_entries -= entries;
            if let Some(queue) = self.queues.get_mut(&key) {
                queue.tail.pop_front();
            }
        }
    }

    /// The block that holds `offset`, from memory or from the tables; `None` if the queue does not
    /// have that offset.
    pub(super) fn block(
        &mut self,
        tables: &impl TableStore,
        key: QueueKey,
        offset: u64,
    ) -> Result<Option<Arc<Block>>, MachineFailure> {
        let Some(queue) = self.queues.get(&key) else { return Ok(None) };
        if offset < queue.first || offset >= queue.end {
            return Ok(None);
        }
        if let Some(block) = queue.tail_block(offset) {
            return Ok(Some(block.clone()));
        }
        if let Some(block) = self.cache.get(key, offset) {
            return Ok(Some(block));
        }
        let found = Block::at_or_before(tables, key.numbers(), offset)?;
        let block = found.filter(|block| block.entry(offset).is_some());
        // An offset between the bounds has a block: its absence is damage, never "no message" (R6).
        let block = Arc::new(block.ok_or_else(|| RowKind::Block.malformed(&offset.to_be_bytes()))?);
        self.cache.put(key, block.clone());
        Ok(Some(block))
    }

    /// Forgets a topic, in the frame in hand too.
    pub(super) fn delete_topic(&mut self, topic: TopicId, batch: &mut Batch) {
        self.queues.retain(|key, _| key.topic != topic);
        self.open.retain(|key| key.topic != topic);
        self.made.retain(|key| key.topic != topic);
        self.cache.delete_topic(topic);
        QueueRow::delete_topic(topic.0, batch);
        Block::delete_topic(topic.0, batch);
    }
}

impl Queue {
    /// The block that holds `offset`, if it is in memory.
    pub(super) fn tail_block(&self, offset: u64) -> Option<&Arc<Block>> {
        if self.tail.front()?.first > offset {
            return None;
        }
        let behind = self.tail.partition_point(|block| block.first <= offset);
        self.tail.get(behind - 1)
    }
}

/// Blocks that were read from the tables. The one that came first goes first.
#[derive(Default)]
struct BlockCache {
    blocks: BTreeMap<(QueueKey, u64), Arc<Block>>,
    order: VecDeque<(QueueKey, u64)>,
    entries: usize,
}

impl BlockCache {
    fn get(&self, key: QueueKey, offset: u64) -> Option<Arc<Block>> {
        let (_, block) = self.blocks.range((key, 0)..=(key, offset)).next_back()?;
        block.entry(offset).is_some().then(|| block.clone())
    }

    fn put(&mut self, key: QueueKey, block: Arc<Block>) {
        let place = (key, block.first);
        self.entries += block.entries.len();
        if self.blocks.insert(place, block).is_none() {
            self.order.push_back(place);
        }
        while self.entries > BLOCK_CACHE_ENTRIES_MAX && self.order.len() > 1 {
            let oldest = self.order.pop_front().expect("there are two at least");
            let gone = self.blocks.remove(&oldest);
            self.entries -= gone.map_or(0, |block| block.entries.len());
        }
    }

    fn delete_topic(&mut self, topic: TopicId) {
        self.order.retain(|(key, _)| key.topic != topic);
        self.blocks.retain(|(key, _), _| key.topic != topic);
        self.entries = self.blocks.values().map(|block| block.entries.len()).sum();
    }
}
