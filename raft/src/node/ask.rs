//! Questions to groups: at the leader, from here or through a peer, or at this node's own replica.

use std::time::Duration;

use bytes::Bytes;
use proto::peer::{self, ask_response::Kind};
use store::commit_log::CommitLog;
use store::position::LogPosition;
use tokio::time::{Instant, timeout_at};

use crate::clock;
use crate::group::Group;
use crate::limits::READING_KIB_MAX;
use crate::names::{GroupId, NodeId};
use crate::node::NodeInner;
use crate::node::peers::Lane;
use crate::node::route::Leader;
use crate::node::transactions;
use crate::question::{Answer, Question};
use crate::request::RequestError;

/// Margin for the way back of a peer's answer.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);
/// Soon after an election, when the new leader has nothing of its own term applied yet.
const SERVES_SOON: Duration = Duration::from_millis(5);

/// Why a question was not answered.
#[derive(Debug)]
pub(crate) enum AskError {
    /// Another node leads, or nobody.
    NotLeader,
    /// The disk, the network, or a peer that does not understand.
    Failed(String),
}

/// An answer, and the records of its messages.
pub(crate) type Answered = (Answer, Vec<Bytes>);

/// Who is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The leader.
    Leader,
    /// This node's own replica, with what it has applied.
    Replica,
}

impl NodeInner {
    /// Asks a group until somebody answers, or until the deadline. A question changes nothing, so it may be repeated.
    pub(crate) async fn ask(
        &self,
        group: GroupId,
        question: Question,
        source: Source,
        wait_until: Instant,
        deadline: Instant,
    ) -> Result<Answered, RequestError> {
        let (mut doubt, mut waited) = (None, None);
        // What this node does not hold its leader answers.
        let source = if self.groups.get(group).is_some() { source } else { Source::Leader };
        loop {
            let answer = match (source, self.leader(group)) {
                (Source::Replica, _) | (Source::Leader, Leader::Here) => {
                    let group = self.group(group)?;
                    self.answer(group, question.clone(), source, wait_until).await
                }
                (Source::Leader, Leader::At(id)) => {
                    self.ask_peer(id, group, &question, wait_until, deadline).await
                }
                (Source::Leader, Leader::Nobody) => Err(AskError::NotLeader),
            };
            match answer {
                Ok(answered) => return Ok(answered),
                Err(AskError::Failed(reason)) => doubt = Some(reason),
                Err(AskError::NotLeader) => {}
            }
            if self.is_stopping() {
                return Err(RequestError::Stopping);
            }
            if Instant::now() >= deadline {
                return Err(match doubt {
                    Some(reason) => RequestError::Unknown { reason },
                    None => RequestError::NoLeader { group },
                });
            }
            waited.get_or_insert_with(|| self.counters.wait_for_leader());
            self.leader_may_change(group, deadline).await;
        }
    }

    /// Answers from this node's replica, and as the leader only if it serves (rule R8).
    async fn answer(
        &self,
        group: &Group,
        question: Question,
        source: Source,
        wait_until: Instant,
    ) -> Result<Answered, AskError> {
        match question {
            Question::Pull(pull) => {
                let (found, records) = self.pull_here(group, pull, source, wait_until).await?;
                Ok((Answer::Pulled(found), records))
            }
            Question::Transactions { max } => {
                self.until_serving(group, source, wait_until).await?;
                let found = transactions::places(group.replica().broker(), max);
                let found = self.confirmed(group, source, found).await?;
                let places = found.iter().map(|it| (it.message.position, it.message.length)).collect();
                let records = self.read_records(group.store.log(), places).await?;
                Ok((Answer::Transactions(found), records))
            }
            other => {
                self.until_serving(group, source, wait_until).await?;
                let held = group.clone();
                let answer = blocking(move || answer_at_once(&held, other)).await?;
                let answer = self.confirmed(group, source, answer).await?;
                let places = match &answer {
                    Answer::Found(found) => found.places.iter().map(|at| (at.position, at.length)).collect(),
                    Answer::Timers(found) => found.places.iter().map(|at| (at.position, at.length)).collect(),
                    _ => Vec::new(),
                };
                let records = self.read_records(group.store.log(), places).await?;
                Ok((answer, records))
            }
        }
    }

    /// Waits until this replica may answer; not at all if another node leads. What it answers as the leader holds only
    /// if it is still the leader after it looked: see [`NodeInner::confirmed`].
    pub(crate) async fn until_serving(
        &self,
        group: &Group,
        source: Source,
        wait_until: Instant,
    ) -> Result<(), AskError> {
        while source == Source::Leader && !group.serves(self.id) {
            match self.leader(group.id) {
                // Elected, but nothing of its own term is applied yet.
                Leader::Here if Instant::now() < wait_until => {
                    tokio::time::sleep_until((Instant::now() + SERVES_SOON).min(wait_until)).await;
                }
                _ => return Err(AskError::NotLeader),
            }
        }
        Ok(())
    }

    /// Stands behind what was read from this replica as the leader: whoever was deposed meanwhile may have read what
    /// is no longer so.
    pub(crate) async fn confirmed<T>(&self, group: &Group, source: Source, read: T) -> Result<T, AskError> {
        match source == Source::Replica || group.still_leads().await {
            true => Ok(read),
            false => Err(AskError::NotLeader),
        }
    }

    async fn ask_peer(
        &self,
        leader: NodeId,
        group: GroupId,
        question: &Question,
        wait_until: Instant,
        deadline: Instant,
    ) -> Result<Answered, AskError> {
        let mut client = self.peers.client(leader, Lane::Requests).map_err(|_| AskError::NotLeader)?;
        let question = serde_json::to_vec(question).expect("a question has no map with odd keys");
        let wait = wait_until.saturating_duration_since(Instant::now());
        let request = peer::AskRequest {
            group: group.0,
            question: question.into(),
            wait_ms: wait.as_millis() as u32,
            target: leader.0,
        };
        let superseded = self.superseded(group, leader);
        let response = tokio::select! {
            biased;
            response = timeout_at(deadline + ANSWER_MARGIN, client.ask(request)) => response,
            () = superseded => return Err(AskError::Failed("another node leads meanwhile".to_owned())),
        };
        let response = match response {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Err(AskError::Failed(status.message().to_owned())),
            Err(_) => return Err(AskError::Failed("the leader does not answer".to_owned())),
        };
        match response.kind() {
            Kind::Answered => {
                let answer = serde_json::from_slice(&response.answer);
                let answer = answer.map_err(|error| AskError::Failed(format!("node {leader}: {error}")))?;
                Ok((answer, response.records))
            }
            Kind::NotLeader => Err(AskError::NotLeader),
            Kind::Failed | Kind::Unspecified => Err(AskError::Failed(response.reason)),
        }
    }

    /// Answers a peer that takes this node for the leader.
    pub(crate) async fn answer_peer(&self, request: peer::AskRequest) -> peer::AskResponse {
        let wait_until = Instant::now() + Duration::from_millis(u64::from(request.wait_ms));
        let answered = match (self.groups.get(GroupId(request.group)), request.question) {
            (None, _) => Err(AskError::NotLeader),
            (Some(group), question) => match serde_json::from_slice(&question) {
                Ok(question) => self.answer(group, question, Source::Leader, wait_until).await,
                Err(error) => Err(AskError::Failed(format!("node {} does not understand: {error}", self.id))),
            },
        };
        let mut response = peer::AskResponse::default();
        match answered {
            Ok((answer, records)) => {
                response.set_kind(Kind::Answered);
                response.answer =
                    serde_json::to_vec(&answer).expect("an answer has no map with odd keys").into();
                response.records = records;
            }
            Err(AskError::NotLeader) => response.set_kind(Kind::NotLeader),
            Err(AskError::Failed(reason)) => {
                response.set_kind(Kind::Failed);
                response.reason = reason;
            }
        }
        response
    }
}

/// Questions that are answered at once.
fn answer_at_once(group: &Group, question: Question) -> Result<Answer, AskError> {
    match question {
        Question::Places { queues, consumer } => {
            let replica = group.replica();
            let places = queues.into_iter().map(|queue| replica.broker().queue_place(queue, consumer));
            Ok(Answer::Places(places.collect()))
        }
        Question::OffsetAt { queue, time_ms } => {
            super::pull::look(group, queue, 0, |view| view.first_stored_at(time_ms)).map(Answer::Offset)
        }
        Question::Find(search) => super::find::find(group, &search).map(Answer::Found),
        Question::Frame { position } => {
            super::find::frame_at(group.store.log(), LogPosition(position)).map(Answer::Frame)
        }
        Question::Journal { queue, offset, consumer, since_ms } => {
            let journal = group.replica().broker().journal();
            let found = journal.find(queue, offset, consumer, since_ms);
            found.map(Answer::Journal).map_err(|failure| AskError::Failed(failure.to_string()))
        }
        Question::Delivery { consumer, queue, offset, order_hash } => {
            let replica = group.replica();
            Ok(Answer::Delivery(replica.broker().delivery(
                consumer,
                queue,
                offset,
                order_hash,
                clock::now_ms(),
            )))
        }
        Question::Timers(wanted) => {
            let found = group.replica().broker().timers(wanted);
            found.map(Answer::Timers).map_err(|failure| AskError::Failed(failure.to_string()))
        }
        Question::Unsettled { topic, generation, consumers } => {
            let replica = group.replica();
            let unsettled = |consumer| replica.broker().unsettled_before(topic, generation, consumer);
            Ok(Answer::Unsettled(consumers.into_iter().map(unsettled).collect()))
        }
        Question::Known { topic, generation, ids } => {
            let replica = group.replica();
            let machine = replica.broker();
            let known =
                |(id, window_ms)| machine.known(topic, id, window_ms, clock::now_ms()).map(Into::into);
            let is_sealed = machine.spread_generation(topic) >= generation;
            Ok(Answer::Known(is_sealed.then(|| ids.into_iter().map(known).collect())))
        }
        Question::Pull(_) | Question::Transactions { .. } => {
            Err(AskError::Failed("this question is answered elsewhere".to_owned()))
        }
    }
}

/// Runs what may block on the disk where it holds up nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AskError> + Send + 'static,
) -> Result<T, AskError> {
    let done = crate::seams::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(AskError::Failed(error.to_string())))
}

impl NodeInner {
    /// Reads records of the log: from memory if they are new, else from disk. Waits while many are being read: who asked for
    /// those counts them once he has them.
    pub(crate) async fn read_records(
        &self,
        log: &CommitLog,
        places: Vec<(LogPosition, u32)>,
    ) -> Result<Vec<Bytes>, AskError> {
        let bytes: u64 = places.iter().map(|(_, length)| u64::from(*length)).sum();
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(READING_KIB_MAX);
        let room = self.reading.acquire_many(kib).await;
        let _room = room.map_err(|_| AskError::Failed("the node stops".to_owned()))?;
        read_records(log, places).await
    }
}

async fn read_records(log: &CommitLog, places: Vec<(LogPosition, u32)>) -> Result<Vec<Bytes>, AskError> {
    let mut records = Vec::with_capacity(places.len());
    for (position, length) in &places {
        match log.read_cached(*position, *length) {
            Some(record) => records.push(record),
            None => break,
        }
    }
    if records.len() == places.len() {
        return Ok(records);
    }
    let log = log.clone();
    let done = records.len();
    let rest = blocking(move || {
        let read = places[done..].iter().map(|(position, length)| log.read_record(*position, *length));
        let read: Result<Vec<Bytes>, _> = read.collect();
        read.map_err(|error| AskError::Failed(format!("the log cannot be read: {error}")))
    });
    records.extend(rest.await?);
    Ok(records)
}
