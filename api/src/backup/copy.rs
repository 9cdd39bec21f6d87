//! The client's side of a copy: one group of one node, step by step.

use std::time::Duration;

use bytes::Bytes;
use proto::admin::copy_request::{
    Begin, File, Frames, Snapshot as MakeSnapshot, Step, Stretch as AskStretch,
};
use proto::admin::copy_response::{End, Part, Snapshot, Stretch};
use proto::admin::{CopyRequest, CopyResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::cli::exit::Failure;
use crate::client::access::{Broker, ClientError};

/// Nothing comes for so long: the node is not there any more. The reading of a snapshot's rows is in it.
const SILENCE_MAX: Duration = Duration::from_secs(1800);
/// A replica gets so long to have what is committed.
const CATCH_UP: Duration = Duration::from_secs(10);

/// A group of a node that is being copied.
pub struct GroupCopy {
    broker: Broker,
    steps: mpsc::Sender<CopyRequest>,
    answers: Streaming<CopyResponse>,
}

impl GroupCopy {
    /// Begins to copy a group from a node, once it has an entry.
    ///
    /// # Errors
    /// The node cannot be reached, or refuses.
    pub async fn begin(
        broker: &Broker,
        group: &str,
        at_least: u64,
    ) -> Result<(GroupCopy, Stretch), ClientError> {
        let (steps, receiver) = mpsc::channel(1);
        let timeout_ms = CATCH_UP.as_millis() as u64;
        let begin = Step::Begin(Begin { group: group.to_owned(), at_least, timeout_ms });
        let first = CopyRequest { step: Some(begin), only_checksum: false };
        let _ = steps.send(first).await;
        // Without a deadline: a backup takes as long as it takes.
        let answers = broker.admin().copy_replica(ReceiverStream::new(receiver)).await;
        let answers = broker.answer(answers)?;
        let mut copy = GroupCopy { broker: broker.clone(), steps, answers };
        match copy.next().await? {
            Part::Stretch(stretch) => Ok((copy, stretch)),
            _ => Err(odd()),
        }
    }

    async fn ask(&self, step: Step, only_checksum: bool) {
        // Whoever does not take it any more has said why.
        let _ = self.steps.send(CopyRequest { step: Some(step), only_checksum }).await;
    }

    async fn next(&mut self) -> Result<Part, ClientError> {
        let message = tokio::time::timeout(SILENCE_MAX, self.answers.message()).await;
        let message = message.map_err(|_| ClientError::Unreachable {
            endpoint: self.broker.endpoint.clone(),
            reason: format!("it said nothing for {} s", SILENCE_MAX.as_secs()),
        })?;
        let message = message.map_err(|status| ClientError::of_call(&self.broker.endpoint, status))?;
        message.and_then(|message| message.part).ok_or_else(odd)
    }

    /// What of the log can be copied now.
    ///
    /// # Errors
    /// The node refuses, or is gone.
    pub async fn stretch(&mut self) -> Result<Stretch, ClientError> {
        self.ask(Step::Stretch(AskStretch {}), false).await;
        match self.next().await? {
            Part::Stretch(stretch) => Ok(stretch),
            _ => Err(odd()),
        }
    }

    /// Has a snapshot made.
    ///
    /// # Errors
    /// The node cannot, or is gone.
    pub async fn snapshot(&mut self) -> Result<Snapshot, ClientError> {
        self.ask(Step::Snapshot(MakeSnapshot {}), false).await;
        match self.next().await? {
            Part::Snapshot(snapshot) => Ok(snapshot),
            _ => Err(odd()),
        }
    }

    /// Asks what something would be.
    ///
    /// # Errors
    /// The node cannot give it, or is gone.
    pub async fn checksum(&mut self, what: Wanted) -> Result<End, ClientError> {
        self.ask(what.step(), true).await;
        match self.next().await? {
            Part::End(end) => Ok(end),
            _ => Err(odd()),
        }
    }

    /// Asks for something; it comes with [`GroupCopy::part`].
    pub async fn want(&mut self, what: Wanted) {
        self.ask(what.step(), false).await;
    }

    /// The next bytes of it, or what it was.
    ///
    /// # Errors
    /// The node cannot give it, or is gone.
    pub async fn part(&mut self) -> Result<Result<Bytes, End>, ClientError> {
        match self.next().await? {
            Part::Data(data) => Ok(Ok(data.bytes)),
            Part::End(end) => Ok(Err(end)),
            _ => Err(odd()),
        }
    }
}

/// What can be asked for.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// Frames from one up to another one, as long as they begin before a position.
    Frames {
        /// The first one.
        from: u64,
        /// The last one.
        to: u64,
        /// The position.
        before: u64,
    },
    /// A file of the snapshot.
    File(u32),
}

impl Wanted {
    fn step(self) -> Step {
        match self {
            Wanted::Frames { from, to, before } => Step::Frames(Frames { from, to, before_position: before }),
            Wanted::File(number) => Step::File(File { number }),
        }
    }
}

fn odd() -> ClientError {
    let status = tonic::Status::internal("the node ended the copy, or answered something else than asked");
    ClientError::Status(Box::new(status))
}

/// Whether another try from the beginning can help: what was to be copied went by retention meanwhile.
pub fn is_outrun(error: &ClientError) -> bool {
    matches!(error, ClientError::Status(status) if status.code() == tonic::Code::Aborted)
}

/// As the command ends with it.
pub fn failure(group: &str, error: ClientError) -> Failure {
    match Failure::from(error) {
        Failure::Unreachable(reason) => Failure::Unreachable(format!("{group}: {reason}")),
        other => Failure::Failed(format!("{group}: {other}")),
    }
}
