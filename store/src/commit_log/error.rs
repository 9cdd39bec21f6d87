//! What can go wrong, one enum an operation.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::LogIdentity;
use crate::position::LogPosition;

/// Bytes of the log that are not what was written. Never repaired by dropping them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the log is damaged: segment {segment}, position {position}: {reason}")]
pub struct Damage {
    /// The segment's file name.
    pub segment: String,
    /// Where in the log.
    pub position: LogPosition,
    /// What is wrong.
    pub reason: String,
}

/// Why a log was not opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The disk refused.
    #[error("cannot open the log: {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{dir} is in use by another process")]
    Locked {
        /// The log's directory.
        dir: PathBuf,
    },
    /// It is the log of somebody else.
    #[error("{dir} holds the log of {found}, not of {expected}: check the data directory of this node")]
    Identity {
        /// The log's directory.
        dir: PathBuf,
        /// Whose it is.
        found: LogIdentity,
        /// Who asked.
        expected: LogIdentity,
    },
    /// The options contradict each other or the limits.
    #[error("the log's options cannot be used: {reason}")]
    Options {
        /// Which, and why.
        reason: String,
    },
    /// A file that says who voted for whom, or whose log it is, is there but cannot be read, or is missing
    /// where data is.
    #[error(
        "{path} cannot be read: {reason}. Without it this replica might break a promise that it made, so it cannot be \
         rebuilt as it is. Restore the file. If that cannot be: move the whole directory of the group away, and start the \
         node while the others run: it begins with nothing, and has no voice before it has everything"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What was durable has changed or is missing.
    #[error(
        "{0}. It was durable, so it is not cut off. Nothing was changed. The other replicas have the data: have this one \
         rebuilt from them with `ledgermq cluster repair NODE --data DIR` on this machine, and start the node"
    )]
    Damaged(#[from] Damage),
}

/// Why the log takes no more: a failed write or sync is never tried again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogFailure {
    /// The disk failed; the node must stop.
    #[error("the log failed and must not be used any more: {reason}")]
    Poisoned {
        /// What failed.
        reason: String,
    },
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
    /// A frame that no segment of this log can hold. Nothing was appended.
    #[error("frame {index} has {len} bytes; {max} are the most")]
    TooLarge {
        /// The frame's index.
        index: u64,
        /// Its length.
        len: u64,
        /// The longest.
        max: u64,
    },
}

/// Why something could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Raft has given it up and it is gone.
    #[error("index {index} is gone; the log holds {first} and what follows")]
    Purged {
        /// What was asked for.
        index: u64,
        /// The first index that is held.
        first: u64,
    },
    /// The log does not hold these bytes: deleted, jumped over, or not yet written.
    #[error("the log does not hold {len} bytes at {position}")]
    NotHeld {
        /// Where.
        position: LogPosition,
        /// How many.
        len: u32,
    },
    /// They are not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The disk refused.
    #[error("cannot read segment {segment}: {source}")]
    Io {
        /// The segment's file name.
        segment: String,
        /// What the disk said.
        source: io::Error,
    },
}

/// What a process lacks for a while, and no disk: files it may have open, memory, a call that was not interrupted.
const PASSING: [rustix::io::Errno; 5] = [
    rustix::io::Errno::MFILE,
    rustix::io::Errno::NFILE,
    rustix::io::Errno::NOMEM,
    rustix::io::Errno::INTR,
    rustix::io::Errno::AGAIN,
];

impl ReadError {
    /// Whether the disk has failed with what it was given: not if the caller asked for what is gone or never was, nor
    /// if the process is short of something for a while.
    pub fn is_disk_fault(&self) -> bool {
        match self {
            ReadError::Purged { .. } | ReadError::NotHeld { .. } => false,
            ReadError::Damaged(_) => true,
            ReadError::Io { source, .. } => {
                !PASSING.iter().any(|errno| source.raw_os_error() == Some(errno.raw_os_error()))
            }
        }
    }
}
