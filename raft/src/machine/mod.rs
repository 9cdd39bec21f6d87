//! The deterministic state machines: [`Machine`] of a broker group, [`MetaMachine`] of `meta`.
//!
//! A frame goes in, outcomes and effects come out, and one atomic batch of rows is written. The
//! machine sees the commands, its tables and the leader's stamp, and nothing else (rule R4): no
//! clock, no randomness, no local option. What it keeps in memory is derived from the rows, so a
//! machine opened from them goes on as the one that wrote them would have.
//!
//! A refusal is an outcome ([`crate::outcome::Outcome::Rejected`]); an error of the environment is a
//! [`MachineFailure`], and the node stops (rule R5).

mod access;
mod acknowledge;
mod beginnings;
mod broker;
mod busy;
mod consumers;
mod cursor;
mod dead_letter;
mod delete;
mod delivery;
mod ended;
mod fifo;
mod find;
mod flow;
mod held;
mod journal;
mod keys;
mod lag;
mod lease;
mod lite;
mod lite_idle;
mod metadata;
mod nodes;
mod offset;
mod priority;
mod progress;
mod publish;
mod queues;
mod read;
mod receive;
mod retention;
mod settled_window;
mod spread;
mod spread_steps;
mod subscription;
mod timers;
mod transactions;
mod view;
mod window;

use std::path::Path;

use bytes::Bytes;
use store::position::LogPosition;
use store::tables::{TableError, TableStore};
use thiserror::Error;

use crate::command::CommandError;
use crate::names::{ConsumerId, QueueKey, TopicId};
use crate::outcome::Outcome;
use crate::request::Resolution;

pub use access::AccessAction;
pub use beginnings::Age;
pub use broker::Machine;
pub use dead_letter::FoundDeadLetter;
pub use find::Keyed;
pub use journal::JournalView;
pub use lag::{CursorLag, MachineSizes};
pub use lite_idle::IdleLook;
pub use metadata::{MetaAction, MetaCommand, MetaMachine};
pub use progress::{Durability, Progress};
pub use read::Fresh;
pub use retention::ExpiredLook;
pub use spread_steps::SpreadAction;
pub use store::tables::applied::AppliedMark;
pub use store::tables::ended::{End, EndedRow};
pub use store::tables::half::HalfRow;
pub use view::{QueueView, Trimmed};

pub use store::limits::FRAME_HEADER_BYTES;

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameContext {
    /// The index of the entry.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// The node that led the term.
    pub leader: u64,
    /// Where the frame begins in the log; its body begins [`FRAME_HEADER_BYTES`] later.
    pub position: LogPosition,
    /// The leader's stamp, in milliseconds since 1970. One that is behind an earlier frame's counts
    /// as the earlier one.
    pub stamp_ms: u64,
}

impl FrameContext {
    /// The id of the entry.
    pub fn mark(&self) -> AppliedMark {
        AppliedMark { term: self.term, leader: self.leader, index: self.index }
    }
}

/// A message that went to the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLettered {
    /// Whose delivery failed.
    pub consumer: ConsumerId,
    /// The queue it was in, and its offset there.
    pub from: (QueueKey, u64),
    /// The queue of dead letters, and its offset there.
    pub to: (QueueKey, u64),
}

/// A transaction that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionEnded {
    /// The topic of its message.
    pub topic: TopicId,
    /// How.
    pub resolution: Resolution,
    /// How long after its half message was stored, in milliseconds of the log's time.
    pub waited_ms: u64,
}

/// What is to be done, outside, once a frame is applied. Losing effects loses no data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Queues in which there may be something to deliver now, or in which a lease ends earlier than
    /// before: those who wait should look again. Ascending, each once.
    pub ready: Vec<QueueKey>,
    /// Consumer groups that have fewer messages in flight than before: see [`crate::settings::GroupSettings`].
    /// Ascending, each once.
    pub freed: Vec<ConsumerId>,
    /// What went to the dead letters, in order.
    pub dead_lettered: Vec<DeadLettered>,
    /// A message came that waits for its time, or for the end of its transaction.
    pub waiting_changed: bool,
    /// So many messages were settled unread because their time to live was over.
    pub expired: u64,
    /// How long behind its due time each message was released, in milliseconds.
    pub released_late_ms: Vec<u64>,
    /// Transactions that ended, in order.
    pub transactions_ended: Vec<TransactionEnded>,
    /// The catalog is another one.
    pub catalog_changed: bool,
}

/// The answer to a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedFrame {
    /// One for each command, in order.
    pub outcomes: Vec<Outcome>,
    /// What is to be done.
    pub effects: Effects,
}

/// Why a machine cannot go on. Not a refusal: the node must stop.
#[derive(Debug, Error)]
pub enum MachineFailure {
    /// The tables cannot be read or written, or are damaged.
    #[error(transparent)]
    Tables(#[from] TableError),
    /// A frame came twice, or one was left out.
    #[error("frame {found} came, but frame {expected} is the next to apply")]
    OutOfOrder {
        /// The index that should have come.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// A newer version wrote the frame; going on would make this replica differ.
    #[error("frame {index} cannot be applied by this build: {source}")]
    Unreadable {
        /// The frame.
        index: u64,
        /// What is wrong.
        source: CommandError,
    },
}

/// What both machines have in common: the way a group drives its machine.
pub trait StateMachine: Send + 'static {
    /// The tables it keeps its rows in.
    type Tables: TableStore;

    /// Applies a frame of commands.
    ///
    /// # Errors
    /// The node must stop: see [`MachineFailure`].
    fn apply(&mut self, frame: FrameContext, body: &Bytes) -> Result<AppliedFrame, MachineFailure>;

    /// How far the machine is.
    fn progress(&self) -> &Progress<Self::Tables>;

    /// How far the machine is, to move it on.
    fn progress_mut(&mut self) -> &mut Progress<Self::Tables>;

    /// Applies an entry that only moves the log on.
    ///
    /// # Errors
    /// The node must stop: see [`MachineFailure`].
    fn apply_blank(&mut self, frame: FrameContext) -> Result<(), MachineFailure> {
        self.progress_mut().begin(&frame)?;
        self.progress_mut().commit(&frame)
    }

    /// Applies a change of the group's members. The bytes are kept as they are.
    ///
    /// # Errors
    /// The node must stop: see [`MachineFailure`].
    fn apply_membership(&mut self, frame: FrameContext, bytes: &[u8]) -> Result<(), MachineFailure> {
        self.progress_mut().begin(&frame)?;
        self.progress_mut().set_membership(&frame, bytes);
        self.progress_mut().commit(&frame)
    }

    /// The last applied entry.
    fn applied(&self) -> Option<AppliedMark> {
        self.progress().applied()
    }

    /// The log's time: the greatest stamp so far, in milliseconds since 1970.
    fn stamp_ms(&self) -> u64 {
        self.progress().stamp_ms()
    }

    /// The last applied membership and the entry that brought it.
    fn membership(&self) -> Option<(AppliedMark, Bytes)> {
        self.progress().membership()
    }

    /// A handle that flushes the tables, from any thread, and knows what is on disk.
    fn durability(&self) -> Durability<Self::Tables> {
        self.progress().durability()
    }

    /// A checksum over all rows: equal on two replicas with the same applied entry (rule R4).
    ///
    /// # Errors
    /// The tables cannot be read.
    fn digest(&self) -> Result<u64, MachineFailure> {
        Ok(self.progress().tables().digest()?)
    }

    /// Puts a copy of the tables, as they are at [`StateMachine::applied`], into the directory `to`,
    /// which must not exist.
    ///
    /// # Errors
    /// The copy cannot be written.
    fn checkpoint(&self, to: &Path) -> Result<(), MachineFailure> {
        Ok(self.progress().tables().checkpoint(to)?)
    }
}
