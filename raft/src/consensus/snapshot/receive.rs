//! The receiving side of a snapshot.
//!
//! Frames go into the log as they come, ahead of what openraft knows of: they are committed, so they are what
//! it would get anyway (see [`LogStore::append_absent`]). The checkpoint goes into a directory of its own. Only when the
//! log reaches up to the snapshot, durably, and the checkpoint is whole, openraft is told to install it. Whatever fails
//! before that leaves the replica as it was, but for a log that is longer by committed entries.

use std::sync::Arc;

use bytes::Bytes;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use proto::peer;
use proto::peer::snapshot_chunk::Part;
use proto::peer::snapshot_refusal::Kind;
use store::commit_log::{Frame, LogMark};
use store::position::LogPosition;
use store::snapshot::{SnapshotError, SnapshotMeta, Unfinished};
use store::tables::applied::Membership;
use thiserror::Error;
use tonic::Streaming;

use crate::consensus::convert::{log_id_in, log_id_out, vote_in, vote_out};
use crate::consensus::entry::Entry;
use crate::consensus::log_store::{AbsentError, completion, flushed};
use crate::consensus::snapshot::rebuild::{self, Beginning};
use crate::consensus::snapshot::{applied_of, snapshot_out};
use crate::consensus::types::{TypeConfig, Vote, id_of, mark_of};
use crate::group::Group;
use crate::limits::SNAPSHOT_FILES_MAX;

/// Why a snapshot was not taken.
#[derive(Debug, Error)]
pub(crate) enum ReceiveError {
    /// The sender does not lead any more.
    #[error("there is a newer leader")]
    HigherVote(Vote),
    /// It is meant for somebody else.
    #[error("{0}")]
    WrongTarget(String),
    /// One at a time.
    #[error("another snapshot of this group is being received")]
    Busy,
    /// What came is not what was sent.
    #[error("{0}")]
    Damaged(String),
    /// A part is missing or does not belong there.
    #[error("{0}")]
    Malformed(String),
    /// The frames do not fit the log here.
    #[error("{0}")]
    Log(String),
    /// The environment failed here.
    #[error("{0}")]
    Failed(String),
}

impl ReceiveError {
    fn kind(&self) -> Kind {
        match self {
            ReceiveError::HigherVote(_) => Kind::Unspecified,
            ReceiveError::WrongTarget(_) => Kind::WrongTarget,
            ReceiveError::Busy => Kind::Busy,
            ReceiveError::Damaged(_) => Kind::Damaged,
            ReceiveError::Malformed(_) => Kind::Malformed,
            ReceiveError::Log(_) => Kind::Log,
            ReceiveError::Failed(_) => Kind::Failed,
        }
    }

    /// As the sender hears of it.
    pub(crate) fn refusal(&self) -> peer::SnapshotRefusal {
        peer::SnapshotRefusal { kind: self.kind().into(), reason: self.to_string() }
    }
}

fn malformed(reason: &str) -> ReceiveError {
    ReceiveError::Malformed(reason.to_owned())
}

fn failed(error: impl ToString) -> ReceiveError {
    ReceiveError::Failed(error.to_string())
}

fn not_written(error: SnapshotError) -> ReceiveError {
    match error {
        SnapshotError::Name { .. } => ReceiveError::Malformed(error.to_string()),
        other => failed(other),
    }
}

/// Where the log of this replica stands.
pub(crate) fn stands(group: &Group) -> peer::SnapshotOfferResponse {
    let pointers = group.store.log().pointers();
    let id = |mark: LogMark| log_id_out(&id_of(&mark));
    peer::SnapshotOfferResponse {
        last: pointers.last.map(id),
        committed: pointers.committed.map(id),
        refusal: None,
    }
}

/// Receives and installs a snapshot; `header` is its first part.
pub(crate) async fn receive(
    group: &Group,
    header: peer::SnapshotHeader,
    parts: Streaming<peer::SnapshotChunk>,
) -> peer::SnapshotResponse {
    match take(group, header, parts).await {
        Ok(vote) | Err(ReceiveError::HigherVote(vote)) => {
            peer::SnapshotResponse { vote: Some(vote_out(&vote)), refusal: None }
        }
        Err(error) => {
            tracing::warn!(group = %group.id, %error, "a snapshot is refused");
            peer::SnapshotResponse { vote: None, refusal: Some(error.refusal()) }
        }
    }
}

async fn take(
    group: &Group,
    header: peer::SnapshotHeader,
    mut parts: Streaming<peer::SnapshotChunk>,
) -> Result<Vote, ReceiveError> {
    let _one = group.receiving.try_lock().map_err(|_| ReceiveError::Busy)?;
    let (vote, meta) = described(&header)?;
    tracing::info!(group = %group.id, index = meta.last.index, "receiving a snapshot");
    let dirs = group.dirs.clone();
    let staged = blocking(move || dirs.begin().map_err(failed)).await?;
    let mut intake =
        Intake { group, vote, meta, staged: Arc::new(staged), files: header.files, file: 0, offset: 0 };
    intake.heed_leader(None, Vec::new()).await?;
    if let Some(behind) = &header.begins_behind {
        let begins = Beginning { behind: mark_of(&log_id_in(behind)), at: LogPosition(header.begins_at) };
        intake.begin_behind(begins).await?;
    }
    loop {
        let part = parts.message().await.map_err(|status| failed(status.message()))?;
        match part.map(|chunk| chunk.part) {
            None => return intake.install().await,
            Some(Some(Part::Frames(frames))) => intake.frames(frames.frames).await?,
            Some(Some(Part::File(part))) => intake.file_part(part).await?,
            Some(Some(Part::Header(_))) => return Err(malformed("a second header")),
            Some(None) => return Err(malformed("a part without content")),
        }
    }
}

/// Who sends what.
fn described(header: &peer::SnapshotHeader) -> Result<(Vote, SnapshotMeta), ReceiveError> {
    let vote = vote_in(header.vote.as_ref()).map_err(|error| malformed(&error.to_string()))?;
    let last = header.last.as_ref().ok_or_else(|| malformed("a snapshot without a last entry"))?;
    // A snapshot from beyond its leader's term cannot be, and would take the consensus down.
    let own_term = vote.leader_id.term == last.term && vote.leader_id.node_id == last.leader;
    if !vote.committed || !(last.term < vote.leader_id.term || own_term) {
        return Err(malformed("the snapshot is not that leader's"));
    }
    if header.files.len() > SNAPSHOT_FILES_MAX {
        return Err(malformed("too many files"));
    }
    let membership = header
        .membership_id
        .as_ref()
        .map(|id| Membership { mark: applied_of(&log_id_in(id)), bytes: header.membership.to_vec() });
    let meta =
        SnapshotMeta { last: applied_of(&log_id_in(last)), log_end: LogPosition(header.log_end), membership };
    Ok((vote, meta))
}

/// What has come so far.
struct Intake<'a> {
    group: &'a Group,
    vote: Vote,
    meta: SnapshotMeta,
    staged: Arc<Unfinished>,
    files: Vec<peer::SnapshotFile>,
    /// Which file is due, and where in it.
    file: usize,
    offset: u64,
}

impl Intake<'_> {
    /// Appends as any leader does: openraft looks at the vote, and cuts off what differs from the leader's log.
    async fn heed_leader(&self, previous: Option<LogMark>, entries: Vec<Entry>) -> Result<(), ReceiveError> {
        let request = AppendEntriesRequest::<TypeConfig> {
            vote: self.vote,
            prev_log_id: previous.as_ref().map(id_of),
            // What is committed is applied, and that is what the snapshot is to save.
            leader_commit: None,
            entries,
        };
        match self.group.raft.append_entries(request).await {
            Ok(AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_)) => Ok(()),
            Ok(AppendEntriesResponse::HigherVote(vote)) => Err(ReceiveError::HigherVote(vote)),
            Ok(AppendEntriesResponse::Conflict) => {
                Err(ReceiveError::Log("the frames do not continue the log here".to_owned()))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Goes on where the sender's log begins, unless this log reaches up to there: see [`rebuild`].
    async fn begin_behind(&self, begins: Beginning) -> Result<(), ReceiveError> {
        let Beginning { behind, at } = begins;
        let last = &self.meta.last;
        if behind.index > last.index || behind.term > last.term || at > self.meta.log_end {
            return Err(malformed("the frames begin behind the snapshot"));
        }
        let (log, store, dir) =
            (self.group.store.log().clone(), self.group.store.clone(), self.group.dir.clone());
        let (done, durable) = completion();
        let begun = blocking(move || {
            let held = log.log_mark(behind.index).map_err(failed)?;
            if held == Some(behind) && rebuild::beginning(&log).is_none_or(|own| own.at <= at) {
                return Ok(false);
            }
            tracing::warn!(at = %at, "the others' logs begin behind the end of this one: it goes on there");
            store.rebuild();
            rebuild::note(&dir, log.ballot()).map_err(failed)?;
            store.begin_behind(behind, at, done);
            Ok(true)
        })
        .await?;
        if begun { flushed(durable).await.map_err(failed) } else { Ok(()) }
    }

    /// Takes frames into the log, and returns when they are durable.
    async fn frames(&mut self, wire: Vec<Bytes>) -> Result<(), ReceiveError> {
        let end = self.meta.last.index;
        let mut due = blocking(move || {
            let frames = wire.into_iter().map(Frame::decode).collect::<Result<Vec<_>, _>>();
            frames.map_err(|error| ReceiveError::Damaged(error.to_string()))
        })
        .await?;
        if due.iter().any(|frame| frame.index > end) {
            return Err(malformed("a frame from behind the snapshot"));
        }
        loop {
            let store = self.group.store.clone();
            let (done, durable) = completion();
            let taken = blocking(move || Ok(store.append_absent(due, done))).await?;
            match taken {
                Ok(()) => return flushed(durable).await.map_err(failed),
                Err(AbsentError::Differs { frame, rest }) => {
                    self.replace(*frame).await?;
                    due = rest;
                }
                Err(other) => return Err(ReceiveError::Log(other.to_string())),
            }
        }
    }

    /// The log has something else there, which nobody ever committed: the consensus has to give it up.
    async fn replace(&self, frame: Frame) -> Result<(), ReceiveError> {
        let log = self.group.store.log().clone();
        let before = frame.index.checked_sub(1);
        let previous = blocking(move || match before {
            None => Ok(None),
            Some(index) => log.log_mark(index).map_err(failed),
        })
        .await?;
        let entry = Entry::of(frame).map_err(|error| ReceiveError::Damaged(error.to_string()))?;
        self.heed_leader(previous, vec![entry]).await
    }

    async fn file_part(&mut self, part: peer::SnapshotFilePart) -> Result<(), ReceiveError> {
        self.pass_ended_files().await?;
        let file = self.files.get(self.file).ok_or_else(|| malformed("more files than announced"))?;
        let end = self.offset + part.data.len() as u64;
        if part.file as usize != self.file || part.data.is_empty() || end > file.length {
            return Err(malformed("a part of another file"));
        }
        let (staged, name, offset) = (self.staged.clone(), file.name.clone(), self.offset);
        blocking(move || {
            if store::snapshot::checksum(&part.data) != part.crc32c {
                let reason = format!("{name}, byte {offset}: the part does not match its checksum");
                return Err(ReceiveError::Damaged(reason));
            }
            staged.write(&name, offset, &part.data).map_err(not_written)
        })
        .await?;
        self.offset = end;
        Ok(())
    }

    async fn pass_ended_files(&mut self) -> Result<(), ReceiveError> {
        while let Some(file) = self.files.get(self.file).filter(|file| file.length == self.offset) {
            if file.length == 0 {
                let (staged, name) = (self.staged.clone(), file.name.clone());
                blocking(move || staged.write(&name, 0, &[]).map_err(not_written)).await?;
            }
            self.file += 1;
            self.offset = 0;
        }
        Ok(())
    }

    /// Everything has come: puts it in place.
    async fn install(mut self) -> Result<Vote, ReceiveError> {
        self.pass_ended_files().await?;
        if self.file < self.files.len() {
            return Err(malformed("the snapshot ends before its files do"));
        }
        let (log, meta) = (self.group.store.log().clone(), self.meta.clone());
        let staged =
            Arc::into_inner(self.staged).ok_or_else(|| failed("the snapshot is still written to"))?;
        let stored = blocking(move || {
            let LogEnd { mark, end } = log_end(&log, meta.last.index)?;
            if applied_of(&id_of(&mark)) != meta.last || end != meta.log_end {
                let (index, due) = (mark.index, meta.log_end);
                return Err(ReceiveError::Log(format!("entry {index} ends at {end} here, not at {due}")));
            }
            staged.finish(meta).map_err(|error| ReceiveError::Damaged(error.to_string()))
        })
        .await?;
        let snapshot = snapshot_out(stored).map_err(|error| malformed(&error.to_string()))?;
        let installed = self.group.raft.install_full_snapshot(self.vote, snapshot).await;
        installed.map(|response| response.vote).map_err(failed)
    }
}

struct LogEnd {
    mark: LogMark,
    end: LogPosition,
}

/// An entry of the log, and where the next one goes.
fn log_end(log: &store::commit_log::CommitLog, index: u64) -> Result<LogEnd, ReceiveError> {
    let frames = log.frames(index..index + 1, 0).map_err(|error| ReceiveError::Log(error.to_string()))?;
    let placed = frames.first().and_then(|frame| Some((frame, frame.position()?)));
    let (frame, position) =
        placed.ok_or_else(|| ReceiveError::Log(format!("the log lacks entry {index}")))?;
    Ok(LogEnd { mark: frame.mark(), end: position + frame.encoded_len() })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReceiveError> + Send + 'static,
) -> Result<T, ReceiveError> {
    crate::seams::spawn_blocking(work).await.map_err(failed)?
}
