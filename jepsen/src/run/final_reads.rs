//! What is read when the run is over, through the public interface: every queue, and all dead letters.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use checkers::history::{Dead, Drained, Line, Place, QueueRead, Stored, Subscription};

use crate::client::{AdminError, Client, Ended};
use crate::limits::{PULL_WAIT, RECEIVE_PATIENCE};
use crate::recorder::digest;
use crate::workload::{Arena, Needs};

/// Lines of the history that are written after the operations.
#[derive(Debug, Default)]
pub struct FinalReads {
    /// The lines.
    pub lines: Vec<Line>,
    /// How long convergence took after healing; nothing if it did not come.
    pub convergence: Option<Duration>,
    /// What could not be read, and why.
    pub failures: Vec<String>,
    /// What was found to be wrong while reading.
    pub defects: Vec<String>,
    queues: HashMap<String, u32>,
}

impl FinalReads {
    /// The queue in which a message was found.
    pub fn queue_of(&self, message: &str) -> Option<u32> {
        self.queues.get(message).copied()
    }

    /// Says that a consumer group could not read to the end.
    pub fn not_drained(
        &mut self,
        arena: &Rc<Arena>,
        subscription: &Subscription,
        error: &AdminError,
    ) -> Drained {
        self.failures.push(error.to_string());
        Drained {
            group: subscription.group.clone(),
            topic: subscription.topic.clone(),
            complete: false,
            dead_read: false,
            at_ns: arena.recorder.now_ns(),
        }
    }

    /// Reads every queue of every topic from its first offset to its end.
    pub async fn queues(&mut self, arena: &Rc<Arena>, needs: &Needs) {
        let mut client = Client::new("jepsen-reader", &arena.addresses, 0);
        for topic in &needs.topics {
            match client.queues(&topic.name).await {
                Err(error) => self.failures.push(error.to_string()),
                Ok(queues) => {
                    for queue in queues {
                        let bounds = (queue.first_offset, queue.next_offset);
                        self.queue(arena, &mut client, &topic.name, queue.queue, bounds).await;
                    }
                }
            }
        }
    }

    async fn queue(
        &mut self,
        arena: &Rc<Arena>,
        client: &mut Client,
        topic: &str,
        queue: u32,
        (first, next): (u64, u64),
    ) {
        let at_ns = arena.recorder.now_ns();
        let mut at = first;
        while at < next {
            match client.pull(topic, queue, at, 32, PULL_WAIT, RECEIVE_PATIENCE).await {
                Ended::Ok(pulled) => {
                    for message in &pulled.messages {
                        self.queues.insert(message.message_id.clone(), queue);
                        self.lines.push(Line::Stored(Stored {
                            topic: topic.to_owned(),
                            place: Place { queue, offset: message.offset },
                            message: message.message_id.clone(),
                            body: digest(&message.body),
                            message_group: message.message_group.clone(),
                        }));
                    }
                    if pulled.next_offset <= at {
                        self.failures.push(format!(
                            "queue {queue} of {topic}: nothing at {at}, which is before its end {next}"
                        ));
                        break;
                    }
                    at = pulled.next_offset;
                }
                Ended::Fail { why, .. } | Ended::Info { why } => {
                    self.failures.push(format!("queue {queue} of {topic} at {at}: {why}"));
                    break;
                }
            }
        }
        let complete = at >= next;
        let line = QueueRead { topic: topic.to_owned(), queue, first, next, complete, at_ns };
        self.lines.push(Line::Queue(line));
    }

    /// Lists the dead letters of every consumer group, and notes of each that drained whether they were all read.
    pub async fn dead_letters(&mut self, arena: &Rc<Arena>, needs: &Needs) {
        let mut client = Client::new("jepsen-reader", &arena.addresses, 0);
        for subscription in &needs.subscriptions {
            match client.dead_letters(&subscription.group).await {
                Err(error) => self.failures.push(error.to_string()),
                Ok(letters) => {
                    self.lines.extend(letters.into_iter().map(|letter| {
                        Line::Dead(Dead {
                            group: subscription.group.clone(),
                            topic: letter.topic,
                            message: letter.message_id,
                            body: digest(&letter.body),
                        })
                    }));
                    for line in &mut self.lines {
                        if let Line::Drained(drained) = line
                            && drained.group == subscription.group
                        {
                            drained.dead_read = true;
                        }
                    }
                }
            }
        }
    }
}
