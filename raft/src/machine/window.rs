//! The window in which a repeated message id is recognized, bounded by count and by the log's time.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use store::tables::Batch;
use store::tables::dedup::{DedupEntry, DedupRow};

use crate::limits::{DEDUP_IDS_MAX, DEDUP_WINDOW_MS};
use crate::names::{QueueKey, QueueOffset, TopicId};
use crate::request::Place;

/// Set in the place of a message that is not in its queue yet.
const WAITING: u64 = 1 << 63;

/// The ids of a frame, in its order.
struct Frame {
    index: u64,
    stamp_ms: u64,
    ids: Vec<u128>,
}

/// Message ids and where their messages are. Whole frames leave it, the oldest first.
#[derive(Default)]
pub(super) struct DedupWindow {
    /// Looked up, never iterated: its order is not that of another replica (rule R4).
    places: HashMap<u128, (QueueKey, u64), BuildHasherDefault<IdHasher>>,
    frames: VecDeque<Frame>,
    /// When the ids came whose age counts: those with a window of their own, and those that came again behind it.
    /// An id that is not here is of the one frame that has it.
    stamps: HashMap<u128, u64, BuildHasherDefault<IdHasher>>,
    /// The frame in hand.
    entries: Vec<DedupEntry>,
}

/// The window of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// The log's time.
    pub now_ms: u64,
    /// How long a repetition is recognized, if that is shorter than for all others.
    pub length_ms: Option<u64>,
}

impl DedupWindow {
    /// Where the message with this id is, if it came within the window.
    pub(super) fn get(&self, topic: TopicId, id: u128, window: Window) -> Option<(QueueKey, Place)> {
        let id = id_within(topic, id)?;
        let (queue, place) = self.places.get(&id)?;
        if let Some(length_ms) = window.length_ms
            && self.came_at(id, window.now_ms).saturating_add(length_ms) < window.now_ms
        {
            return None;
        }
        Some((*queue, from_number(*place)))
    }

    /// When an id came that is there.
    fn came_at(&self, id: u128, now_ms: u64) -> u64 {
        if let Some(stamp_ms) = self.stamps.get(&id) {
            return *stamp_ms;
        }
        // Rare: after a start, or where the topic's window was set a moment ago.
        let frame = self.frames.iter().rev().find(|frame| frame.ids.contains(&id));
        frame.map_or(now_ms, |frame| frame.stamp_ms)
    }

    /// Remembers an id that is not there, or no more by its own window. The id 0 is none.
    pub(super) fn put(&mut self, queue: QueueKey, place: Place, id: u128, window: Window) {
        if let Some(id) = id_within(queue.topic, id) {
            let place = to_number(place);
            let again = self.places.insert(id, (queue, place)).is_some();
            if again || window.length_ms.is_some() {
                self.stamps.insert(id, window.now_ms);
            }
            self.entries.push(DedupEntry { id, queue: queue.numbers(), place });
        }
    }

    /// Lets go of the frames that are too old at `stamp_ms`.
    pub(super) fn begin_frame(&mut self, stamp_ms: u64, batch: &mut Batch) {
        while self.frames.front().is_some_and(|frame| frame.stamp_ms + DEDUP_WINDOW_MS < stamp_ms) {
            self.let_go(batch);
        }
    }

    /// Writes the row of the frame in hand, and lets go of the oldest frames if there are too many ids.
    pub(super) fn end_frame(&mut self, index: u64, stamp_ms: u64, batch: &mut Batch) {
        if self.entries.is_empty() {
            return;
        }
        let row = DedupRow { index, stamp_ms, entries: std::mem::take(&mut self.entries) };
        row.put(batch);
        self.frames.push_back(frame_of(&row));
        self.entries = row.entries;
        self.entries.clear();
        while self.places.len() > DEDUP_IDS_MAX {
            self.let_go(batch);
        }
    }

    /// Takes a row in again. Rows come in the order of their frames.
    pub(super) fn load(&mut self, row: DedupRow) {
        for entry in &row.entries {
            let queue = QueueKey { topic: TopicId(entry.queue.0), number: entry.queue.1 };
            if self.places.insert(entry.id, (queue, entry.place)).is_some() {
                self.stamps.insert(entry.id, row.stamp_ms);
            }
        }
        self.frames.push_back(frame_of(&row));
    }

    fn let_go(&mut self, batch: &mut Batch) {
        let frame = self.frames.pop_front().expect("ids belong to frames");
        for id in &frame.ids {
            // It may have come again since then.
            if self.stamps.get(id).is_some_and(|stamp_ms| *stamp_ms > frame.stamp_ms) {
                continue;
            }
            self.stamps.remove(id);
            self.places.remove(id);
        }
        DedupRow::delete(frame.index, batch);
    }
}

/// A place in 64 bits: an offset, or the number of a message that waits, with the highest bit set.
fn to_number(place: Place) -> u64 {
    match place {
        Place::Queued(offset) => offset.0,
        Place::Waiting(number) => number | WAITING,
    }
}

fn from_number(place: u64) -> Place {
    match place & WAITING {
        0 => Place::Queued(QueueOffset(place)),
        _ => Place::Waiting(place & !WAITING),
    }
}

fn frame_of(row: &DedupRow) -> Frame {
    let ids = row.entries.iter().map(|entry| entry.id).collect();
    Frame { index: row.index, stamp_ms: row.stamp_ms, ids }
}

/// An id counts within its topic: the same id in another topic is another message.
fn id_within(topic: TopicId, id: u128) -> Option<u128> {
    // Odd factors from the digits of pi: distinct topics give distinct, spread values.
    let low = u64::from(topic.0).wrapping_add(1).wrapping_mul(0x2438_6a88_85a3_08d3 | 1);
    let high = u64::from(topic.0).wrapping_add(1).wrapping_mul(0x1319_8a2e_0370_7344 | 1);
    (id != 0).then_some(id ^ (u128::from(high) << 64 | u128::from(low)))
}

/// The ids are hashes already: folding them is enough.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn write_u128(&mut self, id: u128) {
        let folded = (id as u64) ^ ((id >> 64) as u64).rotate_left(29);
        let mixed = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
