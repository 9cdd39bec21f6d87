//! Dead letters: what there is, from their leader, and sending them again.

use std::time::Duration;

use bytes::Bytes;
use proto::peer;
use store::tables::dead_letter::{DeadLetterRow, Resent};
use tokio::time::{Instant, timeout_at};

use crate::command;
use crate::group::Group;
use crate::limits::{DEAD_LETTERS_PAGE_BYTES_MAX, DEAD_LETTERS_PAGE_MAX};
use crate::names::{ConsumerId, GroupId, NodeId, QueueKey, QueueOffset, TopicId};
use crate::node::peers::Lane;
use crate::node::route::Leader;
use crate::node::{NodeInner, unexpected};
use crate::outcome::Outcome;
use crate::request::{DeadLetter, DeadLettersWanted, RequestError, ResendResult};

/// A leader that does not answer for so long is asked again.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

impl NodeInner {
    /// See [`crate::node::Node::dead_letters`].
    pub(crate) async fn dead_letters(
        &self,
        wanted: &DeadLettersWanted,
        deadline: Instant,
    ) -> Result<Vec<DeadLetter>, RequestError> {
        loop {
            let found = match self.leader(wanted.group) {
                Leader::Here => self.dead_letters_here(self.group(wanted.group)?, wanted).await,
                Leader::At(id) => self.dead_letters_there(id, wanted, deadline).await,
                Leader::Nobody => None,
            };
            if let Some(found) = found {
                return Ok(found);
            }
            if self.is_stopping() {
                return Err(RequestError::Stopping);
            }
            if Instant::now() >= deadline {
                return Err(RequestError::NoLeader { group: wanted.group });
            }
            self.leader_may_change(wanted.group, deadline).await;
        }
    }

    /// `None` if this node does not lead the group, or cannot read its log.
    async fn dead_letters_here(&self, group: &Group, wanted: &DeadLettersWanted) -> Option<Vec<DeadLetter>> {
        if !group.serves(self.id) {
            return None;
        }
        let max = wanted.max.min(DEAD_LETTERS_PAGE_MAX);
        let rows = group.replica().broker().dead_letters(wanted.queue, wanted.from, max);
        let rows = rows.map_err(|error| tracing::error!(%error, "dead letters cannot be read")).ok()?;
        if !wanted.with_records {
            return Some(rows.into_iter().map(|(row, _)| letter(&row, Bytes::new())).collect());
        }
        let log = group.store.log().clone();
        let read = crate::seams::spawn_blocking(move || {
            let mut letters: Vec<DeadLetter> = Vec::with_capacity(rows.len());
            let mut bytes = 0;
            for (row, record) in rows {
                bytes += record.map_or(0, |(_, length)| length as usize);
                if !letters.is_empty() && bytes > DEAD_LETTERS_PAGE_BYTES_MAX {
                    break;
                }
                // Its record may have gone with the beginning of the queue meanwhile.
                let record = match record {
                    Some((position, length)) => log.read_record(position, length)?,
                    None => Bytes::new(),
                };
                letters.push(letter(&row, record));
            }
            Ok::<_, store::commit_log::ReadError>(letters)
        });
        match read.await {
            Ok(Ok(letters)) => Some(letters),
            Ok(Err(error)) => {
                tracing::error!(%error, "the records of dead letters cannot be read");
                None
            }
            Err(_) => None,
        }
    }

    async fn dead_letters_there(
        &self,
        leader: NodeId,
        wanted: &DeadLettersWanted,
        deadline: Instant,
    ) -> Option<Vec<DeadLetter>> {
        let mut client = self.peers.client(leader, Lane::Requests).ok()?;
        let request = peer::DeadLettersRequest {
            group: wanted.group.0,
            target: leader.0,
            topic: wanted.queue.topic.0,
            queue: wanted.queue.number,
            from: wanted.from,
            max: wanted.max as u32,
            with_records: wanted.with_records,
        };
        let until = deadline.min(Instant::now() + ANSWER_WAIT_MAX);
        let response = timeout_at(until, client.dead_letters(request)).await.ok()?.ok()?.into_inner();
        response.serves.then(|| response.letters.into_iter().map(letter_in).collect())
    }

    /// Answers a peer that takes this node for the leader.
    pub(crate) async fn dead_letters_for_peer(
        &self,
        group: &Group,
        request: &peer::DeadLettersRequest,
    ) -> peer::DeadLettersResponse {
        let wanted = DeadLettersWanted {
            group: GroupId(request.group),
            queue: QueueKey { topic: TopicId(request.topic), number: request.queue },
            from: request.from,
            max: request.max as usize,
            with_records: request.with_records,
        };
        match self.dead_letters_here(group, &wanted).await {
            None => peer::DeadLettersResponse::default(),
            Some(letters) => peer::DeadLettersResponse {
                serves: true,
                letters: letters.into_iter().map(letter_out).collect(),
            },
        }
    }

    /// See [`crate::node::Node::resend_dead_letters`].
    pub(crate) async fn resend_dead_letters(
        &self,
        group: GroupId,
        queue: QueueKey,
        offsets: &[u64],
        deadline: Instant,
    ) -> Result<Vec<ResendResult>, RequestError> {
        let command = command::encode_resend(queue, offsets);
        match self.submit(group, command, deadline).await? {
            Outcome::Resent(results) if results.len() == offsets.len() => Ok(results),
            other => Err(unexpected(other)),
        }
    }
}

fn letter(row: &DeadLetterRow, record: Bytes) -> DeadLetter {
    let queue = |numbers: (u32, u32)| QueueKey { topic: TopicId(numbers.0), number: numbers.1 };
    DeadLetter {
        queue: queue(row.queue),
        offset: QueueOffset(row.offset),
        consumer: ConsumerId(row.consumer),
        from: queue(row.from),
        from_offset: QueueOffset(row.from_offset),
        attempts: row.attempts,
        buried_ms: row.buried_ms,
        resent: row.resent.map(|Resent { offset, resent_ms }| (QueueOffset(offset), resent_ms)),
        record,
    }
}

fn letter_out(letter: DeadLetter) -> peer::DeadLetter {
    peer::DeadLetter {
        topic: letter.queue.topic.0,
        queue: letter.queue.number,
        offset: letter.offset.0,
        consumer: letter.consumer.0,
        from_topic: letter.from.topic.0,
        from_queue: letter.from.number,
        from_offset: letter.from_offset.0,
        attempts: u32::from(letter.attempts),
        buried_ms: letter.buried_ms,
        resent_offset: letter.resent.map(|(offset, _)| offset.0),
        resent_ms: letter.resent.map_or(0, |(_, resent_ms)| resent_ms),
        record: letter.record,
    }
}

fn letter_in(letter: peer::DeadLetter) -> DeadLetter {
    DeadLetter {
        queue: QueueKey { topic: TopicId(letter.topic), number: letter.queue },
        offset: QueueOffset(letter.offset),
        consumer: ConsumerId(letter.consumer),
        from: QueueKey { topic: TopicId(letter.from_topic), number: letter.from_queue },
        from_offset: QueueOffset(letter.from_offset),
        attempts: u16::try_from(letter.attempts).unwrap_or(u16::MAX),
        buried_ms: letter.buried_ms,
        resent: letter.resent_offset.map(|offset| (QueueOffset(offset), letter.resent_ms)),
        record: letter.record,
    }
}
