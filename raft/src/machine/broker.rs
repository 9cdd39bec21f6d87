//! The machine of a broker group: what it holds, how it opens, and how a frame goes through it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use store::planted::{PlantedBug, planted};
use store::position::LogPosition;
use store::tables::acknowledged::AcknowledgedRow;
use store::tables::cursor::CursorRow;
use store::tables::dedup::DedupRow;
use store::tables::deleted::Deleted;
use store::tables::held::Floor;
use store::tables::{RowKind, TableStore, lease};

use super::busy::Busy;
use super::cursor::{Cursor, CursorKey};
use super::dead_letter::DeadLetters;
use super::ended::EndedWindow;
use super::held::Held;
use super::journal::Journal;
use super::keys::KeyIndex;
use super::lite::LiteTopics;
use super::progress::Progress;
use super::queues::Queues;
use super::settled_window::SettledWindow;
use super::spread::Spreads;
use super::subscription::Left;
use super::timers::Timers;
use super::transactions::Halves;
use super::window::DedupWindow;
use super::{AppliedFrame, Effects, FRAME_HEADER_BYTES, FrameContext, MachineFailure, StateMachine};
use crate::command::{Command, CommandError, Commands};
use crate::names::{ConsumerId, QueueKey, TopicId};
use crate::outcome::Outcome;
use crate::request::Rejection;

/// The deterministic state machine of a broker group.
pub struct Machine<T> {
    pub(super) progress: Progress<T>,
    pub(super) queues: Queues,
    pub(super) cursors: BTreeMap<CursorKey, Cursor>,
    /// Those of them that have something unsettled.
    pub(super) busy: Busy,
    pub(super) dedup: DedupWindow,
    pub(super) settled: SettledWindow,
    pub(super) deleted: BTreeSet<Deleted>,
    /// Records that are needed although their part of the log may be old.
    pub(super) held: Held,
    /// Nothing refers to what lies below in the log.
    pub(super) floor: LogPosition,
    pub(super) timers: Timers,
    pub(super) halves: Halves,
    pub(super) ended: EndedWindow,
    pub(super) lite: LiteTopics,
    pub(super) left: Left,
    pub(super) spreads: Spreads,
    /// Dead letters that the frame in hand has made or changed.
    pub(super) dead_letters: DeadLetters,
    pub(super) keys: KeyIndex,
    pub(super) journal: Journal,
    /// Cursors that the frame in hand has changed.
    pub(super) touched: BTreeSet<CursorKey>,
    /// Effects of the frame in hand.
    pub(super) effects: Effects,
}

impl<T: TableStore> Machine<T> {
    /// The machine as its rows say.
    ///
    /// # Errors
    /// The tables cannot be read, or are damaged.
    pub fn open(tables: T) -> Result<Machine<T>, MachineFailure> {
        let mut machine = Machine {
            queues: Queues::open(&tables)?,
            timers: Timers::open(&tables)?,
            halves: Halves::open(&tables)?,
            ended: EndedWindow::open(&tables)?,
            keys: KeyIndex::open(&tables)?,
            journal: Journal::open(&tables)?,
            lite: LiteTopics::open(&tables)?,
            left: Left::open(&tables)?,
            spreads: Spreads::open(&tables)?,
            progress: Progress::open(tables)?,
            cursors: BTreeMap::new(),
            busy: Busy::default(),
            dedup: DedupWindow::default(),
            settled: SettledWindow::default(),
            deleted: BTreeSet::new(),
            held: Held::default(),
            floor: LogPosition::default(),
            dead_letters: DeadLetters::default(),
            touched: BTreeSet::new(),
            effects: Effects::default(),
        };
        machine.load_cursors()?;
        machine.load_windows()?;
        machine.floor = Floor::get(machine.progress.tables())?.0;
        Ok(machine)
    }

    fn load_cursors(&mut self) -> Result<(), MachineFailure> {
        let cursors = &mut self.cursors;
        each_row(self.progress.tables(), RowKind::Cursor, |key, value| {
            let row = CursorRow::read(key, value)?;
            cursors.insert(CursorKey::of(row.cursor), Cursor::at(row.next, row.last_lease));
            Some(())
        })?;
        each_row(self.progress.tables(), RowKind::Leases, |key, value| {
            let (numbers, slots) = lease::read_row(key, value)?;
            let cursor = cursors.get_mut(&CursorKey::of(numbers))?;
            for (offset, slot) in slots {
                cursor.insert(offset, slot);
            }
            Some(())
        })?;
        for (key, cursor) in cursors {
            cursor.take_dirty_rows();
            cursor.moved = false;
            self.busy.note(*key, cursor);
        }
        Ok(())
    }

    fn load_windows(&mut self) -> Result<(), MachineFailure> {
        let tables = self.progress.tables();
        let dedup = &mut self.dedup;
        let forgets = planted(PlantedBug::DedupWindowMissingFromSnapshot);
        each_row(tables, RowKind::Dedup, |key, value| {
            if forgets {
                return Some(());
            }
            dedup.load(DedupRow::read(key, value)?);
            Some(())
        })?;
        let (settled, cursors, left) = (&mut self.settled, &mut self.cursors, &self.left);
        each_row(tables, RowKind::Acknowledged, |key, value| {
            settled.load(AcknowledgedRow::read(key, value)?, cursors, left);
            Some(())
        })?;
        let deleted = &mut self.deleted;
        each_row(tables, RowKind::Deleted, |key, _| {
            deleted.insert(Deleted::read(key)?);
            Some(())
        })
    }

    /// Applies one command; `at` is where it begins in the body.
    fn apply_command(
        &mut self,
        frame: &FrameContext,
        at: usize,
        command: Command,
    ) -> Result<Outcome, MachineFailure> {
        match command {
            Command::Publish(message) => {
                let record_at = at as u64 + u64::from(message.record_at);
                Ok(self.publish(&message, frame.position + (FRAME_HEADER_BYTES + record_at)))
            }
            Command::ReleaseDue { up_to_ms, max } => self.release_due(up_to_ms, max),
            Command::Recall { due_ms, number, id } => self.recall(due_ms, number, id),
            Command::EndTransaction { number, id, resolution } => {
                Ok(self.end_transaction(number, id, resolution))
            }
            Command::NoteChecks { numbers, again_after_ms, counted } => {
                Ok(self.note_checks(&numbers, again_after_ms, counted))
            }
            Command::Receive(receive) => self.receive(&receive),
            Command::Acknowledge(leases) => Ok(self.acknowledge(&leases)),
            Command::ChangeLease { lease, invisible_ms } => Ok(self.change_lease(&lease, invisible_ms)),
            Command::DeadLetter { lease, dead_letters } => self.dead_letter(&lease, dead_letters),
            Command::Resend { queue, offsets } => self.resend(queue, &offsets),
            Command::ReleaseClient { client } => Ok(self.release_client(client)),
            Command::RenewLeases { clients, ending_by_ms, extend_ms } => {
                Ok(self.renew_leases(clients, ending_by_ms, extend_ms))
            }
            Command::DoubtLeases { given_from_ms, end_within_ms } => {
                Ok(self.doubt_leases(given_from_ms, end_within_ms))
            }
            Command::SetOffset { consumer, queue, to } => self.set_offset(consumer, queue, to),
            Command::Trim { queue, first } => self.trim(queue, first),
            Command::Carry { from, record } => {
                let to = frame.position + (FRAME_HEADER_BYTES + super::retention::record_at(at));
                self.carry(from, to, record.len())
            }
            Command::ExpireLite { topic, idle_ms, name_hashes } => {
                self.expire_lite(topic, idle_ms, &name_hashes)
            }
            Command::SealSpread { topic, generation, from, to } => {
                Ok(self.seal_spread(topic, generation, from, to))
            }
            Command::ClearSpread { topic, consumer, generation, asked_ms } => {
                Ok(self.clear_spread(topic, consumer, generation, asked_ms))
            }
            Command::RaiseFloor(floor) => self.raise_floor(frame, floor),
            Command::DeleteTopic(topic) => Ok(self.delete_topic(topic)),
            Command::DeleteConsumer(consumer) => Ok(self.delete_consumer(consumer)),
            Command::DeleteSubscription { consumer, topic } => Ok(self.delete_subscription(consumer, topic)),
            Command::Meta { .. } => Ok(Outcome::Rejected(Rejection::Invalid(
                "a broker group takes no commands of the meta group".into(),
            ))),
        }
    }

    /// Writes what the frame changed into the batch.
    fn collect_rows(&mut self, frame: &FrameContext) {
        self.release_settled();
        let stamp_ms = self.progress.stamp_ms();
        let batch = self.progress.batch();
        self.queues.seal(batch);
        self.held.end_frame(batch);
        std::mem::take(&mut self.dead_letters).into_values().for_each(|row| row.put(batch));
        for key in std::mem::take(&mut self.touched) {
            if let Some(cursor) = self.cursors.get_mut(&key) {
                cursor.put_rows(key, batch);
                cursor.fold();
                self.busy.note(key, cursor);
            }
        }
        self.dedup.end_frame(frame.index, stamp_ms, batch);
        self.journal.end_frame(frame.index, stamp_ms, batch);
        self.settled.end_frame(frame.index, stamp_ms, &mut self.cursors, batch);
    }

    pub(super) fn topic_is_gone(&self, topic: TopicId) -> Option<Outcome> {
        self.deleted
            .contains(&Deleted::Topic(topic.0))
            .then(|| Outcome::Rejected(Rejection::TopicNotFound { name: format!("number {}", topic.0) }))
    }

    pub(super) fn consumer_is_gone(&self, consumer: ConsumerId) -> Option<Outcome> {
        self.deleted.contains(&Deleted::Consumer(consumer.0)).then(|| {
            Outcome::Rejected(Rejection::ConsumerNotFound { name: format!("number {}", consumer.0) })
        })
    }

    /// A consumer group has fewer messages in flight.
    pub(super) fn free(&mut self, consumer: ConsumerId) {
        if self.effects.freed.last() != Some(&consumer) {
            self.effects.freed.push(consumer);
        }
    }

    pub(super) fn wake(&mut self, queue: QueueKey) {
        if self.effects.ready.last() != Some(&queue) {
            self.effects.ready.push(queue);
        }
    }
}

impl<T: TableStore> StateMachine for Machine<T> {
    type Tables = T;

    fn apply(&mut self, frame: FrameContext, body: &Bytes) -> Result<AppliedFrame, MachineFailure> {
        self.progress.begin(&frame)?;
        let stamp_ms = self.progress.stamp_ms();
        self.dedup.begin_frame(stamp_ms, self.progress.batch());
        self.settled.begin_frame(stamp_ms, &mut self.cursors, self.progress.batch());
        self.ended.begin_frame(stamp_ms, self.progress.batch());
        self.journal.begin_frame(stamp_ms, self.progress.batch());
        self.timers.begin_frame();
        let mut outcomes = Vec::new();
        for command in Commands::new(body) {
            outcomes.push(match command {
                Ok((at, command)) => self.apply_command(&frame, at, command)?,
                Err(source @ CommandError::UnknownKind { .. }) => {
                    return Err(MachineFailure::Unreadable { index: frame.index, source });
                }
                Err(error) => Outcome::Rejected(Rejection::Invalid(error.to_string())),
            });
        }
        self.collect_rows(&frame);
        self.progress.commit(&frame)?;
        let mut effects = std::mem::take(&mut self.effects);
        effects.ready.sort_unstable();
        effects.ready.dedup();
        effects.freed.sort_unstable();
        effects.freed.dedup();
        Ok(AppliedFrame { outcomes, effects })
    }

    fn progress(&self) -> &Progress<T> {
        &self.progress
    }

    fn progress_mut(&mut self) -> &mut Progress<T> {
        &mut self.progress
    }
}

/// Hands every row of a kind to `read`, which answers `None` if it is malformed.
pub(super) fn each_row(
    tables: &impl TableStore,
    kind: RowKind,
    mut read: impl FnMut(&[u8], &[u8]) -> Option<()>,
) -> Result<(), MachineFailure> {
    let mut malformed = None;
    tables.scan(&kind.first_key(), Some(&kind.end_key()), &mut |key, value| match read(key, value) {
        Some(()) => ControlFlow::Continue(()),
        None => {
            malformed = Some(kind.malformed(key));
            ControlFlow::Break(())
        }
    })?;
    malformed.map_or(Ok(()), |error| Err(error.into()))
}
