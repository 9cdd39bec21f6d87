//! The queues: where they begin and end, the newest entries in memory, and older blocks on demand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use store::position::LogPosition;
use store::tables::consume_queue::{Block, Entry, QueueNumbers, QueueRow};
use store::tables::kept::KeptRow;
use store::tables::{Batch, RowKind, TableStore};

use super::MachineFailure;
use super::beginnings::{Beginning, Beginnings};
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
    /// What is noted of where it begins.
    pub(super) beginning: Beginning,
    /// When the last message was stored; counts only while there is one.
    newest_ms: u64,
}

/// All queues of the group.
#[derive(Default)]
pub(super) struct Queues {
    queues: BTreeMap<QueueKey, Queue>,
    /// Queues that got messages in the frame in hand.
    open: Vec<QueueKey>,
    /// Queues that the frame in hand made or trimmed.
    changed: BTreeSet<QueueKey>,
    /// Blocks of earlier frames, one of whose entries the frame in hand has moved; by first offset.
    moved: BTreeMap<(QueueKey, u64), Arc<Block>>,
    /// What consumer groups have not settled below the first offsets.
    pub kept: BTreeMap<QueueKey, BTreeMap<u64, (Entry, u64)>>,
    /// The blocks in all tails, in the order of frames, with their lengths: the oldest goes first.
    tails: VecDeque<(QueueKey, usize)>,
    tail_entries: usize,
    cache: BlockCache,
    pub(super) beginnings: Beginnings,
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
            let newest_ms = last.as_ref().map_or(0, |block| block.stored_ms);
            let end_at_least = row.end_at_least;
            let end = last.as_ref().map_or(end_at_least, |block| block.end().max(end_at_least));
            let key = QueueKey { topic: TopicId(row.queue.0), number: row.queue.1 };
            queues.queues.insert(key, Queue { first: row.first, end, newest_ms, ..Queue::default() });
            queues.note_opened(key, last.as_ref());
        }
        let kept = &mut queues.kept;
        each_row(tables, RowKind::Kept, |key, value| {
            let row = KeptRow::read(key, value)?;
            let queue = QueueKey { topic: TopicId(row.queue.0), number: row.queue.1 };
            kept.entry(queue).or_default().insert(row.offset, (row.entry, row.stored_ms));
            Some(())
        })?;
        Ok(queues)
    }

    pub(super) fn get(&self, key: QueueKey) -> Option<&Queue> {
        self.queues.get(&key)
    }

    /// Those with keys in a range, ascending.
    pub(super) fn range(&self, keys: std::ops::Range<QueueKey>) -> impl Iterator<Item = (&QueueKey, &Queue)> {
        self.queues.range(keys)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.queues.len()
    }

    /// First and end of a queue; a queue that nobody has written to is empty.
    pub(super) fn bounds(&self, key: QueueKey) -> (u64, u64) {
        self.get(key).map_or((0, 0), |queue| (queue.first, queue.end))
    }

    /// Puts an entry at the end of a queue, and makes the queue if it is not there.
    pub(super) fn append(&mut self, key: QueueKey, entry: Entry, stamp_ms: u64) -> u64 {
        let queue = self.queues.entry(key).or_insert_with(|| {
            self.changed.insert(key);
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
        queue.newest_ms = stamp_ms;
        let offset = queue.end - 1;
        if queue.beginning.lacks(&entry) {
            self.note_appended(key, offset, &entry, stamp_ms);
        }
        offset
    }

    /// Ends the frame in hand: its blocks become rows.
    pub(super) fn seal(&mut self, batch: &mut Batch) {
        for key in std::mem::take(&mut self.changed) {
            let first = self.queues[&key].first;
            // A queue without a block ends where it begins.
            QueueRow { queue: key.numbers(), first, end_at_least: first }.put(batch);
        }
        for ((key, _), block) in std::mem::take(&mut self.moved) {
            block.put(key.numbers(), batch);
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
                if queue.tail.is_empty() {
                    // Its buffer too: most of a million queues have nothing in memory.
                    queue.tail = VecDeque::new();
                }
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
        if let Some(block) = self.in_memory(key, offset) {
            return Ok(Some(block));
        }
        let block = Arc::new(stored_block(tables, key, offset)?);
        self.cache.put(key, block.clone());
        Ok(Some(block))
    }

    /// The same as [`Queues::entry`], without keeping what is read from the tables.
    pub(super) fn peek(
        &self,
        tables: &impl TableStore,
        key: QueueKey,
        offset: u64,
    ) -> Result<Option<(Entry, u64)>, MachineFailure> {
        let (first, end) = self.bounds(key);
        if offset < first || offset >= end {
            return Ok(self.kept.get(&key).and_then(|kept| kept.get(&offset)).copied());
        }
        let block = match self.in_memory(key, offset) {
            Some(block) => block,
            None => Arc::new(stored_block(tables, key, offset)?),
        };
        Ok(block.entry(offset).map(|entry| (*entry, block.stored_ms)))
    }

    /// The block that holds `offset`, if it is in memory.
    pub(super) fn in_memory(&self, key: QueueKey, offset: u64) -> Option<Arc<Block>> {
        if let Some(block) = self.queues.get(&key).and_then(|queue| queue.tail_block(offset)) {
            return Some(block.clone());
        }
        // What the frame in hand moved is in the cache too, unless it had no room for it.
        let moved = self.moved.range((key, 0)..=(key, offset)).next_back();
        let moved = moved.filter(|(_, block)| block.entry(offset).is_some());
        moved.map(|(_, block)| block.clone()).or_else(|| self.cache.get(key, offset))
    }

    /// What is known of the message at `offset` and when it was stored: also of one that the queue
    /// has let go of and somebody has not settled.
    pub(super) fn entry(
        &mut self,
        tables: &impl TableStore,
        key: QueueKey,
        offset: u64,
    ) -> Result<Option<(Entry, u64)>, MachineFailure> {
        if let Some(block) = self.block(tables, key, offset)? {
            return Ok(block.entry(offset).map(|entry| (*entry, block.stored_ms)));
        }
        Ok(self.kept.get(&key).and_then(|kept| kept.get(&offset)).copied())
    }

    /// Lets go of what is before `first`, which lies between the bounds.
    pub(super) fn trim(
        &mut self,
        tables: &impl TableStore,
        key: QueueKey,
        first: u64,
        batch: &mut Batch,
    ) -> Result<(), MachineFailure> {
        // The block that holds it stays whole.
        let stays = self.block(tables, key, first)?.map_or(first, |block| block.first);
        let queue = self.queues.get_mut(&key).expect("a queue with bounds");
        queue.first = first;
        self.changed.insert(key);
        self.moved.retain(|(moved, block), _| *moved != key || *block >= stays);
        Block::delete_before(key.numbers(), stays, batch);
        Ok(())
    }

    /// Notes that the record of the entry at `offset`, which is there, lies at `to` now.
    pub(super) fn move_entry(
        &mut self,
        tables: &impl TableStore,
        key: QueueKey,
        offset: u64,
        to: LogPosition,
    ) -> Result<(), MachineFailure> {
        let Some(mut block) = self.block(tables, key, offset)? else { return Ok(()) };
        let at = (offset - block.first) as usize;
        Arc::make_mut(&mut block).entries[at].position = to;
        let queue = self.queues.get_mut(&key).expect("a queue with a block");
        if let Some(held) = queue.tail_block_mut(offset) {
            *held = block.clone();
            if queue.open && block.end() == queue.end {
                // The frame in hand ends it, and writes it then.
                return Ok(());
            }
        } else {
            self.cache.replace(key, &block);
        }
        self.moved.insert((key, block.first), block);
        Ok(())
    }

    /// When the newest of the messages was stored that the queue holds, or that somebody has not settled of
    /// it; `None` if there is none.
    pub(super) fn newest_ms(&self, key: QueueKey) -> Option<u64> {
        match self.queues.get(&key).filter(|queue| queue.first < queue.end) {
            Some(queue) => Some(queue.newest_ms),
            None => self.kept.get(&key)?.values().map(|(_, stored_ms)| *stored_ms).max(),
        }
    }

    /// Whether the frame in hand put something into it.
    pub(super) fn is_open(&self, key: QueueKey) -> bool {
        self.queues.get(&key).is_some_and(|queue| queue.open)
    }

    /// Forgets a queue that the frame in hand put nothing into.
    pub(super) fn remove(
        &mut self,
        tables: &impl TableStore,
        key: QueueKey,
        batch: &mut Batch,
    ) -> Result<(), MachineFailure> {
        self.forget_beginning(key);
        let queue = self.queues.remove(&key);
        assert!(queue.is_some_and(|queue| !queue.open), "{key:?} is not there, or got a message just now");
        self.changed.remove(&key);
        self.moved.retain(|(moved, _), _| *moved != key);
        self.cache.delete_queue(key);
        QueueRow::delete(key.numbers(), batch);
        Ok(Block::delete_queue(tables, key.numbers(), batch)?)
    }

    /// Adds up the bytes of the records from `from` on, of so many blocks; answers up to which offset.
    pub(super) fn add_up(
        &self,
        tables: &impl TableStore,
        key: QueueKey,
        from: u64,
        blocks: usize,
    ) -> Result<(u64, u64), MachineFailure> {
        let (first, end) = self.bounds(key);
        let (mut at, mut bytes) = (from.max(first), 0);
        for _ in 0..blocks {
            if at >= end {
                break;
            }
            let block = match self.in_memory(key, at) {
                Some(block) => block,
                None => Arc::new(stored_block(tables, key, at)?),
            };
            let entries = block.entries.iter().skip((at - block.first) as usize);
            bytes += entries.map(|entry| u64::from(entry.length)).sum::<u64>();
            at = block.end();
        }
        Ok((at, bytes))
    }

    pub(super) fn beginning_mut(&mut self, key: QueueKey) -> Option<&mut Beginning> {
        self.queues.get_mut(&key).map(|queue| &mut queue.beginning)
    }

    /// Forgets a topic, in the frame in hand too.
    pub(super) fn delete_topic(&mut self, topic: TopicId, batch: &mut Batch) {
        self.queues.retain(|key, _| key.topic != topic);
        self.open.retain(|key| key.topic != topic);
        self.changed.retain(|key| key.topic != topic);
        self.moved.retain(|(key, _), _| key.topic != topic);
        self.cache.delete_topic(topic);
        self.beginnings.delete_topic(topic);
        QueueRow::delete_topic(topic.0, batch);
        Block::delete_topic(topic.0, batch);
    }
}

impl Queue {
    /// The blocks in memory that hold `from` and what is behind it, for `entries` messages at least if
    /// there are so many; none if `from` is older than what is in memory.
    pub(super) fn blocks_from(&self, from: u64, entries: usize) -> Vec<Arc<Block>> {
        let mut blocks: Vec<Arc<Block>> = Vec::new();
        if self.tail.front().is_none_or(|front| front.first > from) {
            return blocks;
        }
        let behind = self.tail.partition_point(|block| block.first <= from);
        for block in self.tail.range(behind - 1..) {
            if block.first > from.saturating_add(entries as u64) {
                break;
            }
            blocks.push(block.clone());
        }
        blocks
    }

    /// The block that holds `offset`, if it is in memory.
    pub(super) fn tail_block(&self, offset: u64) -> Option<&Arc<Block>> {
        if self.tail.front()?.first > offset {
            return None;
        }
        let behind = self.tail.partition_point(|block| block.first <= offset);
        self.tail.get(behind - 1)
    }

    fn tail_block_mut(&mut self, offset: u64) -> Option<&mut Arc<Block>> {
        if self.tail.front()?.first > offset {
            return None;
        }
        let behind = self.tail.partition_point(|block| block.first <= offset);
        self.tail.get_mut(behind - 1)
    }
}

pub(super) fn stored_block(
    tables: &impl TableStore,
    key: QueueKey,
    offset: u64,
) -> Result<Block, MachineFailure> {
    let found = Block::at_or_before(tables, key.numbers(), offset)?;
    let block = found.filter(|block| block.entry(offset).is_some());
    // An offset between the bounds has a block: its absence is damage, never "no message" (R6).
    Ok(block.ok_or_else(|| RowKind::Block.malformed(&offset.to_be_bytes()))?)
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

    /// Takes a block in the place of the one that it is a changed copy of, if that one is here.
    fn replace(&mut self, key: QueueKey, block: &Arc<Block>) {
        if let Some(held) = self.blocks.get_mut(&(key, block.first)) {
            *held = block.clone();
        }
    }

    fn delete_queue(&mut self, key: QueueKey) {
        let firsts = self.blocks.range((key, 0)..=(key, u64::MAX)).map(|(place, _)| *place);
        let places = firsts.collect::<Vec<_>>();
        if places.is_empty() {
            return;
        }
        for place in places {
            let gone = self.blocks.remove(&place);
            self.entries -= gone.map_or(0, |block| block.entries.len());
        }
        self.order.retain(|(of, _)| *of != key);
    }

    fn delete_topic(&mut self, topic: TopicId) {
        self.order.retain(|(key, _)| key.topic != topic);
        self.blocks.retain(|(key, _), _| key.topic != topic);
        self.entries = self.blocks.values().map(|block| block.entries.len()).sum();
    }
}
