//! Messages that wait for their time, listed.

use bytes::Bytes;
use tokio::time::Instant;

use crate::names::{GroupId, TopicId};
use crate::node::Node;
use crate::node::ask::Source;
use crate::question::{Answer, Question, TimerPlace, TimersFound, TimersWanted};
use crate::request::{RequestError, Timer};

/// A message that waits for its time, with its record.
#[derive(Clone, Debug)]
pub struct WaitingMessage {
    /// What names it.
    pub timer: Timer,
    /// The record, as it was published.
    pub record: Bytes,
}

/// What waits for its time.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// By ascending time.
    pub messages: Vec<WaitingMessage>,
    /// How many wait in all, of every topic.
    pub total: u64,
    /// Not everything was looked at that waits longer.
    pub more: bool,
}

impl Node {
    /// Messages that wait for their time, at most `wanted.max` of each broker group, by ascending time.
    ///
    /// # Errors
    /// [`RequestError::NoLeader`] if a group had no leader until the deadline.
    pub async fn timers(&self, wanted: TimersWanted, deadline: Instant) -> Result<Waiting, RequestError> {
        let mut waiting = Waiting::default();
        let mut cut_at_ms = None;
        for group in self.inner.all_groups().into_iter().filter(|group| *group != GroupId::META) {
            let question = Question::Timers(wanted);
            let answer = self.inner.ask(group, question, Source::Leader, deadline, deadline).await?;
            let (Answer::Timers(TimersFound { places, total, cut_at_ms: cut }), records) = answer else {
                return Err(RequestError::Unknown {
                    reason: "a question was answered with another's answer".into(),
                });
            };
            let named = |(place, record): (TimerPlace, Bytes)| {
                let TimerPlace { due_ms, number, topic, id, .. } = place;
                let timer = Timer { group, topic: TopicId(topic), due_ms, number, id };
                WaitingMessage { timer, record }
            };
            waiting.messages.extend(places.into_iter().zip(records).map(named));
            waiting.total += total;
            cut_at_ms = cut_at_ms.into_iter().chain(cut).min();
        }
        // What one group has beyond where another one was cut comes with a later page.
        if let Some(cut_at_ms) = cut_at_ms {
            waiting.messages.retain(|message| message.timer.due_ms <= cut_at_ms);
            waiting.more = true;
        }
        waiting
            .messages
            .sort_by_key(|message| (message.timer.due_ms, message.timer.group, message.timer.number));
        Ok(waiting)
    }
}
