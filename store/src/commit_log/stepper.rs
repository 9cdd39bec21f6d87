//! A log without a thread: for simulations, where one thread does everything in an order that a seed decides.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::state::OnWork;
use super::writer::Writer;
use super::{CommitLog, LogIdentity, LogOptions, OpenError};
use crate::disk::Disk;

/// Does the work of a log that has no thread, a step at a time. Clones are the same.
#[derive(Clone)]
pub struct Stepper {
    // None once the log is closed. Held for a step: who is called back must not step.
    writer: Arc<Mutex<Option<Writer>>>,
}

impl Stepper {
    pub(super) fn of(writer: Writer) -> Stepper {
        Stepper { writer: Arc::new(Mutex::new(Some(writer))) }
    }

    /// Does what is in the queue now. False when the log was closed: there will never be more.
    pub fn step(&self) -> bool {
        let mut writer = self.writer.lock().expect("no panic while it is held");
        let Some(writer) = writer.as_mut() else { return false };
        writer.step();
        true
    }

    pub(super) fn finish(&self) {
        // Held, if the last handle is dropped by who is called back: then there is nothing left to bring to disk but
        // what the next start finds out by itself.
        let Some(mut writer) = self.writer.try_lock().ok().and_then(|mut writer| writer.take()) else {
            return;
        };
        while writer.step() {}
        writer.finish();
    }
}

impl CommitLog {
    /// As [`CommitLog::open`], but without a thread: whenever there is something to do `on_work` is called, and the
    /// stepper does it. For simulations. Set `prepare_ahead` to false, or there is a thread after all.
    ///
    /// # Errors
    /// As [`CommitLog::open`].
    pub fn open_stepped(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: LogIdentity,
        options: LogOptions,
        on_work: Box<OnWork>,
    ) -> Result<(CommitLog, Stepper), OpenError> {
        let log = CommitLog::recover(disk, dir, identity, options, Some(on_work))?;
        let stepper = log.inner.stepper.clone().expect("it was opened with one");
        Ok((log, stepper))
    }

    /// Does what is queued, if the log has no thread that does: before somebody waits for it without letting others
    /// run. See [`CommitLog::open_stepped`].
    pub fn step_if_threadless(&self) {
        if let Some(stepper) = &self.inner.stepper {
            stepper.step();
        }
    }
}
