//! The sending side of a snapshot.
//!
//! First the receiver says where its log stands. Then go a header, the frames that it lacks, as the bytes that
//! are on disk, and the files of the checkpoint. Frames come first, because they stay at the receiver if the rest
//! fails, and are not sent again.

use std::sync::Arc;

use openraft::raft::SnapshotResponse;
use proto::peer;
use proto::peer::snapshot_chunk::Part;
use store::commit_log::{CommitLog, Frame, LogMark, ReadError};
use store::snapshot::{Snapshot as Stored, SnapshotError};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::consensus::convert::{log_id_in, log_id_out, vote_in, vote_out};
use crate::consensus::snapshot::pace::Pace;
use crate::consensus::snapshot::rebuild::{self, Beginning};
use crate::consensus::types::{TypeConfig, Vote, id_of, mark_of};
use crate::limits::{
    PEER_RPC_WAIT_MIN, SNAPSHOT_INSTALL_WAIT_MAX, SNAPSHOT_PART_BYTES_MAX, SNAPSHOT_PART_WAIT_MAX,
    SNAPSHOT_PARTS_IN_FLIGHT_MAX,
};
use crate::names::{GroupId, NodeId};
use crate::node::peers::Client;

/// Why a snapshot was not sent.
#[derive(Debug, Error)]
pub(crate) enum SendError {
    /// The receiver cannot be reached, or the connection broke.
    #[error("{0}")]
    Unreachable(String),
    /// The receiver did not go on.
    #[error("the receiver takes no more of the snapshot")]
    Stalled,
    /// The receiver refused it.
    #[error("the receiver refuses the snapshot: {0}")]
    Refused(String),
    /// What came at the receiver is no sound snapshot.
    #[error("the receiver refuses the snapshot: {0}")]
    Damaged(String),
    /// The frames before the snapshot cannot be read here.
    #[error("the log before the snapshot: {0}")]
    Log(#[from] ReadError),
    /// The snapshot cannot be read here.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The snapshot is beyond this log.
    #[error("the log ends before the snapshot's entry {0}")]
    LogEnds(u64),
}

/// What is sent, and to whom.
pub(crate) struct Sending {
    pub group: GroupId,
    pub target: NodeId,
    pub vote: Vote,
    pub log: CommitLog,
    pub snapshot: Stored,
    pub pace: Arc<Pace>,
}

type Parts = mpsc::Sender<peer::SnapshotChunk>;

impl Sending {
    /// Sends the snapshot and waits until it is installed.
    ///
    /// # Errors
    /// The receiver has no more of it than frames then.
    pub(crate) async fn send(self, mut client: Client) -> Result<SnapshotResponse<TypeConfig>, SendError> {
        let offer = peer::SnapshotOffer { group: self.group.0, target: self.target.0 };
        let stands = tokio::time::timeout(PEER_RPC_WAIT_MIN, client.offer_snapshot(offer));
        let stands = stands.await.map_err(|_| SendError::Stalled)?.map_err(unreachable)?.into_inner();
        if let Some(refusal) = stands.refusal {
            return Err(SendError::Refused(refusal.reason));
        }
        let sending = Arc::new(self);
        let this = sending.clone();
        let (first, files) = blocking(move || {
            let last = stands.last.as_ref().map(|id| mark_of(&log_id_in(id)));
            let committed = stands.committed.as_ref().map(|id| mark_of(&log_id_in(id)));
            Ok((this.first_lacking(last, committed)?, this.snapshot.files()?))
        })
        .await?;
        let this = sending.clone();
        let begins = blocking(move || this.begins(first)).await?;
        let first = begins.map_or(first, |begins| begins.behind.index + 1);
        tracing::info!(group = %sending.group, node = %sending.target, first, ?begins, "sending a snapshot");
        let (parts, receiver) = mpsc::channel(SNAPSHOT_PARTS_IN_FLIGHT_MAX);
        let answer = client.install_snapshot(ReceiverStream::new(receiver));
        tokio::pin!(answer);
        let fed = sending.feed(parts, (first, begins), files);
        let answered = tokio::select! {
            biased;
            // A refusal comes before everything is sent.
            answered = &mut answer => answered,
            fed = fed => {
                fed?;
                let waited = tokio::time::timeout(SNAPSHOT_INSTALL_WAIT_MAX, &mut answer).await;
                waited.map_err(|_| SendError::Stalled)?
            }
        };
        let response = answered.map_err(unreachable)?.into_inner();
        if let Some(refusal) = response.refusal {
            return Err(match refusal.kind() {
                peer::snapshot_refusal::Kind::Damaged => SendError::Damaged(refusal.reason),
                _ => SendError::Refused(refusal.reason),
            });
        }
        let vote = vote_in(response.vote.as_ref());
        Ok(SnapshotResponse::new(vote.map_err(|error| SendError::Refused(error.to_string()))?))
    }

    /// The first frame that the receiver lacks: behind its last one if that is ours, else behind what it knows
    /// to be committed, because that is ours for sure.
    fn first_lacking(&self, last: Option<LogMark>, committed: Option<LogMark>) -> Result<u64, ReadError> {
        for mark in [last, committed].into_iter().flatten() {
            if self.log.log_mark(mark.index)? == Some(mark) {
                return Ok(mark.index + 1);
            }
        }
        Ok(0)
    }

    /// Where this log begins, if the first frame that the receiver lacks is not there any more.
    fn begins(&self, first: u64) -> Result<Option<Beginning>, SendError> {
        if first > self.snapshot.meta().last.index || rebuild::holds(&self.log, first)? {
            return Ok(None);
        }
        Ok(rebuild::beginning(&self.log))
    }

    fn header(&self, files: &[(String, u64)], begins: Option<Beginning>) -> peer::SnapshotHeader {
        let meta = self.snapshot.meta();
        let id = |mark: &store::tables::applied::AppliedMark| peer::LogId {
            term: mark.term,
            leader: mark.leader,
            index: mark.index,
        };
        let membership = meta.membership.as_ref();
        peer::SnapshotHeader {
            group: self.group.0,
            target: self.target.0,
            vote: Some(vote_out(&self.vote)),
            last: Some(id(&meta.last)),
            log_end: meta.log_end.0,
            membership_id: membership.map(|membership| id(&membership.mark)),
            membership: membership.map(|membership| membership.bytes.clone().into()).unwrap_or_default(),
            files: files
                .iter()
                .map(|(name, length)| peer::SnapshotFile { name: name.clone(), length: *length })
                .collect(),
            begins_behind: begins.map(|begins| log_id_out(&id_of(&begins.behind))),
            begins_at: begins.map_or(0, |begins| begins.at.0),
        }
    }

    async fn feed(
        self: &Arc<Self>,
        parts: Parts,
        (first, begins): (u64, Option<Beginning>),
        files: Vec<(String, u64)>,
    ) -> Result<(), SendError> {
        put(&parts, Part::Header(self.header(&files, begins))).await?;
        let end = self.snapshot.meta().last.index + 1;
        let mut next = first;
        while next < end {
            let this = self.clone();
            let frames = blocking(move || Ok(this.log.frames(next..end, SNAPSHOT_PART_BYTES_MAX)?)).await?;
            let last = frames.last().ok_or(SendError::LogEnds(end - 1))?;
            next = last.index + 1;
            let frames: Vec<_> = frames.iter().map(Frame::to_wire).collect();
            self.pace.take(frames.iter().map(|frame| frame.len() as u64).sum()).await;
            put(&parts, Part::Frames(peer::SnapshotFrames { frames })).await?;
        }
        for (number, (name, length)) in files.into_iter().enumerate() {
            let mut offset = 0;
            while offset < length {
                let part_bytes = (length - offset).min(SNAPSHOT_PART_BYTES_MAX as u64);
                self.pace.take(part_bytes).await;
                let (this, name) = (self.clone(), name.clone());
                let data =
                    blocking(move || Ok(this.snapshot.read(&name, offset, part_bytes as usize)?)).await?;
                let crc32c = store::snapshot::checksum(&data);
                let part = peer::SnapshotFilePart { file: number as u32, data: data.into(), crc32c };
                put(&parts, Part::File(part)).await?;
                offset += part_bytes;
            }
        }
        Ok(())
    }
}

async fn put(parts: &Parts, part: Part) -> Result<(), SendError> {
    let sent = parts.send(peer::SnapshotChunk { part: Some(part) });
    match tokio::time::timeout(SNAPSHOT_PART_WAIT_MAX, sent).await {
        Ok(Ok(())) => Ok(()),
        // The answer says why.
        Ok(Err(_)) => std::future::pending().await,
        Err(_) => Err(SendError::Stalled),
    }
}

fn unreachable(status: tonic::Status) -> SendError {
    SendError::Unreachable(status.message().to_owned())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SendError> + Send + 'static,
) -> Result<T, SendError> {
    match crate::seams::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(SendError::Unreachable(error.to_string())),
    }
}
