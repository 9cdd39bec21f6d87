//! A copy of this node's replica of a group, for a backup: the client asks step by step.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use proto::admin::copy_request::{Begin, Frames, Step};
use proto::admin::copy_response::{Data, End, File, Part, Snapshot, Stretch};
use proto::admin::{CopyMark, CopyRequest, CopyResponse};
use raft::node::{CopyError, LogStretch, ReplicaCopy};
use sha2::{Digest, Sha256};
use store::commit_log::LogMark;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::cluster::parse_group;
use crate::access::demands::WholeReplica;
use crate::convert::told::without_paths;
use crate::edge::EdgeState;
use crate::limits::{COPY_DATA_BYTES_MAX, COPY_PARTS_IN_FLIGHT_MAX, COPY_WAIT_MAX};
use crate::messaging::caller::Caller;

/// What the client is answered.
pub(super) type Answers = Pin<Box<dyn Stream<Item = Result<CopyResponse, Status>> + Send>>;
type Sender = mpsc::Sender<Result<CopyResponse, Status>>;

/// Answers the steps of a copy, in order, for as long as the caller may have it.
pub(super) fn answer(edge: Arc<EdgeState>, caller: Caller, mut steps: Streaming<CopyRequest>) -> Answers {
    let (sender, receiver) = mpsc::channel(COPY_PARTS_IN_FLIGHT_MAX);
    tokio::spawn(async move {
        let worked = tokio::select! {
            worked = work(&edge, &mut steps, &sender) => worked,
            // Whoever asked is gone.
            () = sender.closed() => return,
            fault = edge.until_refused(&caller, &WholeReplica), if edge.gate.is_closed() => Err(fault.grpc()),
        };
        if let Err(status) = worked {
            let _ = sender.send(Err(status)).await;
        }
    });
    Box::pin(ReceiverStream::new(receiver))
}

async fn work(edge: &EdgeState, steps: &mut Streaming<CopyRequest>, sender: &Sender) -> Result<(), Status> {
    let first = steps.message().await?.and_then(|request| request.step);
    let Some(Step::Begin(begin)) = first else {
        return Err(Status::invalid_argument("a copy begins with Begin"));
    };
    let mut copying = begun(edge, begin, sender.clone()).await?;
    copying.stretch().await?;
    while let Some(request) = steps.message().await? {
        copying.bytes_wanted = !request.only_checksum;
        match request.step {
            Some(Step::Stretch(_)) => copying.stretch().await?,
            Some(Step::Frames(wanted)) => copying.frames(&wanted).await?,
            Some(Step::Snapshot(_)) => copying.make_snapshot().await?,
            Some(Step::File(wanted)) => copying.file(wanted.number).await?,
            Some(Step::Begin(_)) | None => return Err(Status::invalid_argument("no step of a copy")),
        }
    }
    Ok(())
}

async fn begun(edge: &EdgeState, begin: Begin, sender: Sender) -> Result<Copying, Status> {
    let group = parse_group(&begin.group).map_err(|fault| fault.grpc())?;
    let deadline = Instant::now() + Duration::from_millis(begin.timeout_ms).min(COPY_WAIT_MAX);
    let copy = edge.node.copy_replica(group, begin.at_least, deadline).await.map_err(refused)?;
    Ok(Copying {
        copy,
        snapshot: None,
        cluster: edge.options.cluster.clone(),
        node: edge.node.id().0,
        bytes_wanted: true,
        sender,
    })
}

struct Copying {
    copy: ReplicaCopy,
    snapshot: Option<(store::snapshot::Snapshot, Vec<(String, u64)>)>,
    cluster: String,
    node: u64,
    bytes_wanted: bool,
    sender: Sender,
}

impl Copying {
    async fn put(&self, part: Part) -> Result<(), Status> {
        let sent = self.sender.send(Ok(CopyResponse { part: Some(part) })).await;
        sent.map_err(|_| Status::cancelled("whoever asked is gone"))
    }

    async fn stretch(&self) -> Result<(), Status> {
        let LogStretch { behind, at, last, end } = self.copy.stretch().await.map_err(refused)?;
        self.put(Part::Stretch(Stretch {
            cluster: self.cluster.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: self.node,
            behind: behind.as_ref().map(mark),
            at: at.0,
            last: Some(mark(&last)),
            end: end.0,
        }))
        .await
    }

    async fn frames(&self, wanted: &Frames) -> Result<(), Status> {
        let mut sum = Sum::default();
        let (mut next, mut next_position) = (wanted.from, 0);
        'parts: while next <= wanted.to {
            let frames = self.copy.frames(next, wanted.to).await.map_err(refused)?;
            if frames.is_empty() {
                return Err(Status::out_of_range(format!("the log ends before entry {}", wanted.to)));
            }
            for frame in frames {
                let position = frame.position().expect("a frame of the log has its position");
                if position.0 >= wanted.before_position {
                    break 'parts;
                }
                (next, next_position) = (frame.index + 1, position.0 + frame.encoded_len());
                let bytes = frame.to_wire();
                sum.add(&bytes);
                // A frame can be longer than a message may be.
                let mut rest = bytes;
                while self.bytes_wanted && !rest.is_empty() {
                    let part = rest.split_to(rest.len().min(COPY_DATA_BYTES_MAX));
                    self.put(Part::Data(Data { bytes: part })).await?;
                }
            }
        }
        self.put(Part::End(sum.end(next, next_position))).await
    }

    async fn make_snapshot(&mut self) -> Result<(), Status> {
        self.snapshot = None;
        let snapshot = self.copy.snapshot().await.map_err(refused)?;
        let files = snapshot.files().map_err(|error| refused(error.into()))?;
        let meta = snapshot.meta();
        let last = LogMark { term: meta.last.term, leader: meta.last.leader, index: meta.last.index };
        let answer = Snapshot {
            last: Some(mark(&last)),
            log_end: meta.log_end.0,
            meta: meta.encode().into(),
            files: files.iter().map(|(name, length)| File { name: name.clone(), length: *length }).collect(),
        };
        self.snapshot = Some((snapshot, files));
        self.put(Part::Snapshot(answer)).await
    }

    async fn file(&self, number: u32) -> Result<(), Status> {
        let unknown = || Status::invalid_argument(format!("there is no file {number} to copy"));
        let (snapshot, files) = self.snapshot.as_ref().ok_or_else(unknown)?;
        let (name, length) = files.get(number as usize).ok_or_else(unknown)?;
        let (mut sum, mut offset) = (Sum::default(), 0);
        while offset < *length {
            let wanted = (length - offset).min(COPY_DATA_BYTES_MAX as u64) as usize;
            let bytes = self.copy.file_part(snapshot, name, offset, wanted).await.map_err(refused)?;
            sum.add(&bytes);
            offset += bytes.len() as u64;
            if self.bytes_wanted {
                self.put(Part::Data(Data { bytes: bytes.into() })).await?;
            }
        }
        self.put(Part::End(sum.end(0, 0))).await
    }
}

/// A checksum that is being made.
#[derive(Default)]
struct Sum {
    sha256: Sha256,
    length: u64,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.length += bytes.len() as u64;
    }

    fn end(self, next: u64, next_position: u64) -> End {
        let sha256 = self.sha256.finalize().to_vec().into();
        End { sha256, length: self.length, next, next_position }
    }
}

fn mark(mark: &LogMark) -> CopyMark {
    CopyMark { term: mark.term, leader: mark.leader, index: mark.index }
}

fn refused(error: CopyError) -> Status {
    let sentence = without_paths(error.to_string());
    match error {
        CopyError::NotHere(_) => Status::not_found(sentence),
        CopyError::Busy(_) | CopyError::Behind { .. } | CopyError::Empty(_) => {
            Status::failed_precondition(sentence)
        }
        // What was to be copied is gone: another try begins later in the log.
        CopyError::Log { source: store::commit_log::ReadError::Purged { .. }, .. } => {
            Status::aborted(sentence)
        }
        CopyError::Stopping => Status::unavailable(sentence),
        CopyError::Log { .. } | CopyError::Snapshot { .. } | CopyError::File(_) => Status::internal(sentence),
    }
}
