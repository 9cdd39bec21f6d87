//! What is read when the run is over, through the public interface: every queue, and all dead letters.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use checkers::history::{Dead, Drained, Line, Place, QueueRead, State, Stored, Subscription, Voters};
use proto::admin;
use tokio::time::Instant;

use crate::client::{AdminError, Client, Ended};
use crate::limits::{POLL_INTERVAL, PULL_WAIT, RECEIVE_PATIENCE, STATES_PATIENCE, VOTERS_PATIENCE};
use crate::membership::group_voters;
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

    /// Asks every replica for a checksum over its tables, until all replicas of each group were at the same entry.
    /// Nobody sends any more, but what waits for its time may still come.
    pub async fn states(&mut self, arena: &Rc<Arena>) {
        let mut client = Client::new("jepsen-reader", &arena.addresses, 0);
        let begun = Instant::now();
        loop {
            let replicas = match client.digests().await {
                Ok(replicas) => replicas,
                Err(error) => return self.failures.push(error.to_string()),
            };
            let settled = are_level(&replicas, arena.addresses.len());
            let errors = replicas.iter().filter(|replica| !replica.error.is_empty()).map(|replica| {
                format!("the tables of {} on node {}: {}", replica.group, replica.node, replica.error)
            });
            let errors: Vec<String> = errors.collect();
            self.lines.extend(replicas.into_iter().filter(|replica| replica.error.is_empty()).map(
                |replica| {
                    Line::State(State {
                        node: replica.node as u32,
                        group: replica.group,
                        applied_index: replica.applied_index,
                        digest: format!("{:016x}/{}", replica.checksum, replica.rows),
                    })
                },
            ));
            if settled {
                return;
            }
            if begun.elapsed() > STATES_PATIENCE {
                // The coverage says that they were not compared.
                return self.failures.extend(errors);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Asks every node who has a vote, until it names a leader of each group and has heard of all replicas.
    pub async fn voters(&mut self, arena: &Rc<Arena>) {
        let nodes = arena.addresses.len();
        for node in 0..nodes {
            let mut client = Client::new("jepsen-reader", &arena.addresses, node);
            let begun = Instant::now();
            let groups = loop {
                client.prefer(node);
                let groups = client.view_once().await.ok().map_or(Vec::new(), |view| group_voters(&view));
                let is_whole = groups.iter().all(|of| of.leader != 0 && of.replicas as usize == nodes);
                if is_whole && !groups.is_empty() {
                    break groups;
                }
                if begun.elapsed() > VOTERS_PATIENCE {
                    self.failures.push(format!("node {} did not tell who has a vote", node + 1));
                    break Vec::new();
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            };
            let at_ns = arena.recorder.now_ns();
            self.lines.extend(groups.into_iter().map(|of| {
                let (through, group, voters) = (node as u32 + 1, of.group, of.voters);
                Line::Voters(Voters { through, group, voters, at_ns })
            }));
        }
    }

    /// How many replicas of each group were compared at one entry: the most that there were.
    pub fn compared(&self) -> BTreeMap<&str, u64> {
        let mut at: BTreeMap<(&str, u64), BTreeSet<u32>> = BTreeMap::new();
        for line in &self.lines {
            if let Line::State(state) = line {
                at.entry((&state.group, state.applied_index)).or_default().insert(state.node);
            }
        }
        let mut compared = BTreeMap::new();
        for ((group, _), nodes) in at {
            let most = compared.entry(group).or_insert(0);
            *most = nodes.len().max(*most as usize) as u64;
        }
        compared
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

/// Whether all replicas of each group have answered, and are at the same entry.
fn are_level(replicas: &[admin::ReplicaDigest], nodes: usize) -> bool {
    let mut at: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for replica in replicas.iter().filter(|replica| replica.error.is_empty()) {
        at.entry(&replica.group).or_default().push(replica.applied_index);
    }
    let level = |entries: &Vec<u64>| entries.len() == nodes && entries.iter().all(|at| *at == entries[0]);
    !at.is_empty() && at.values().all(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(group: &str, node: u64, applied_index: u64) -> admin::ReplicaDigest {
        admin::ReplicaDigest { group: group.into(), node, applied_index, ..Default::default() }
    }

    #[test]
    fn replicas_are_level_when_all_of_a_group_are_at_one_entry() {
        let level = [replica("meta", 1, 4), replica("meta", 2, 4), replica("g1", 1, 9), replica("g1", 2, 9)];
        assert!(are_level(&level, 2));
        assert!(!are_level(&level, 3), "one is missing");
        assert!(!are_level(&[replica("g1", 1, 9), replica("g1", 2, 8)], 2));
        assert!(!are_level(&[], 2));
        let failed = admin::ReplicaDigest { error: "no".into(), ..replica("g1", 2, 9) };
        assert!(!are_level(&[replica("g1", 1, 9), failed], 2));
    }

    #[test]
    fn what_was_compared_is_counted_by_group() {
        let state = |node, applied_index| {
            Line::State(State { node, group: "g1".into(), applied_index, digest: "aa".into() })
        };
        let mut reads = FinalReads::default();
        reads.lines.extend([state(1, 5), state(2, 6), state(1, 6), state(1, 6), state(3, 7)]);
        assert_eq!(reads.compared(), BTreeMap::from([("g1", 2)]));
    }
}
