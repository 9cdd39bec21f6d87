//! What was done, as it is done: the history, and how much is still open.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use checkers::history::{Finish, Header, History, Line, Operation, Outcome, Rules, VERSION, Writer};
// A std mutex: it is held for a few instructions, never across an await.
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long an unacknowledged message stays with its reader.
pub const LEASE: Duration = Duration::from_secs(10);
/// When nothing came for so long although the brokers answered, nothing is left: leases have ended,
/// timers are due, and a poll or two came back empty since.
const QUIET: Duration = Duration::from_secs(17);

/// Records a run.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    history: History,
    file: Option<Writer<File>>,
    failed: Option<io::Error>,
    state: State,
    /// Messages whose send was acknowledged, and that no reader has settled yet.
    open: HashSet<String>,
    /// Messages that were settled before their send returned.
    early: HashSet<String>,
    /// Since when nothing came, and nothing failed.
    quiet_since: Instant,
}

/// How far a run is.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Sends that were acknowledged.
    pub acknowledged: u64,
    /// Sends of which nobody knows.
    pub unknown: u64,
    /// Messages that a reader has acknowledged.
    pub settled: u64,
    /// What went wrong last, if something did.
    pub last_error: Option<String>,
}

impl Recorder {
    /// Begins a run; its history goes to a file too, if one is named.
    pub fn new(command: String, rules: Rules, file: Option<&Path>) -> io::Result<Recorder> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let header = Header {
            version: VERSION,
            seed: 0,
            workload: "verify".to_owned(),
            nemesis: Vec::new(),
            nodes: 0,
            commit: env!("CARGO_PKG_VERSION").to_owned(),
            command,
            started_unix_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            rules,
        };
        let began = Instant::now();
        let file = file.map(|path| Writer::new(File::create(path)?, &header)).transpose()?;
        let inner = Inner {
            history: History::new(header),
            file,
            failed: None,
            state: State::default(),
            open: HashSet::new(),
            early: HashSet::new(),
            quiet_since: began,
        };
        Ok(Recorder { began, inner: Mutex::new(inner) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the run began, in milliseconds since 1970.
    #[cfg(test)]
    pub fn started_unix_ms(&self) -> u64 {
        self.lock().history.header.started_unix_ms
    }

    /// Nanoseconds since the run began.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Adds a line.
    pub fn push(&self, line: Line) {
        self.lock().push(line);
    }

    /// Adds a send of a message.
    pub fn sent(&self, id: &str, operation: Operation) {
        let mut inner = self.lock();
        match operation.outcome {
            Outcome::Ok => {
                inner.state.acknowledged += 1;
                if !inner.early.remove(id) {
                    inner.open.insert(id.to_owned());
                }
            }
            Outcome::Fail | Outcome::Info => inner.state.unknown += 1,
        }
        inner.push(Line::Op(operation));
    }

    /// A reader has acknowledged a message.
    pub fn settled(&self, id: &str) {
        let mut inner = self.lock();
        inner.state.settled += 1;
        if !inner.open.remove(id) {
            inner.early.insert(id.to_owned());
        }
    }

    /// Something came, or failed: what is left may still come.
    pub fn disturbed(&self, error: Option<String>) {
        let mut inner = self.lock();
        inner.quiet_since = Instant::now();
        if error.is_some() {
            inner.state.last_error = error;
        }
    }

    /// How far the run is.
    pub fn state(&self) -> State {
        self.lock().state.clone()
    }

    /// Whether nothing is left to come: everything that was acknowledged was settled, or it was
    /// quiet for longer than anything takes.
    pub fn is_drained(&self) -> bool {
        let inner = self.lock();
        let is_settled = inner.open.is_empty() && inner.state.unknown == 0;
        is_settled || inner.quiet_since.elapsed() >= QUIET
    }

    /// Ends the run.
    pub fn finish(&self) -> io::Result<History> {
        let mut inner = self.lock();
        let operations = inner.history.operations.len() as u64;
        let header = inner.history.header.clone();
        let mut history = std::mem::replace(&mut inner.history, History::new(header));
        history.push::<String>(Line::Finish(Finish { operations }));
        if let Some(error) = inner.failed.take() {
            return Err(error);
        }
        if let Some(file) = inner.file.take() {
            file.finish()?;
        }
        Ok(history)
    }
}

impl Inner {
    fn push(&mut self, line: Line) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write(&line)
        {
            self.failed.get_or_insert(error);
            self.file = None;
        }
        self.history.push(line);
    }
}
