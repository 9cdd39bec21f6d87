//! What the suite asks of the admin service: topics, consumer groups, who leads.

use std::time::Duration;

use proto::admin;
use thiserror::Error;
use tokio::time::Instant;
use tonic::Status;

use super::{Attempt, Client};
use crate::limits::{ADMIN_TIMEOUT, DIGEST_TIMEOUT, POLL_INTERVAL};

/// Why an admin call was not done.
#[derive(Debug, Error)]
pub enum AdminError {
    /// No node did it in time.
    #[error("{what} was not done within {} s: {why}", .after.as_secs())]
    OutOfTime {
        /// What was asked.
        what: String,
        /// The time there was.
        after: Duration,
        /// The last failure.
        why: String,
    },
    /// It was refused.
    #[error("{what} was refused: {why}")]
    Refused {
        /// What was asked.
        what: String,
        /// The broker's sentence.
        why: String,
    },
}

/// A topic to create.
#[derive(Clone, Debug)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: admin::TopicType,
    /// How many queues.
    pub queues: u32,
}

/// A consumer group to create.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    /// Its name.
    pub name: String,
    /// In order within a message group.
    pub fifo: bool,
    /// Deliveries before a message becomes a dead letter.
    pub max_attempts: u32,
    /// The pause before each further delivery, in milliseconds.
    pub retry_ms: Vec<u64>,
}

/// What a node says of the cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterView {
    /// The nodes that are alive, by id.
    pub alive: Vec<u64>,
    /// For each group its name, its leader (0: none) and its term.
    pub groups: Vec<GroupView>,
}

/// One Raft group.
#[derive(Clone, Debug, Default)]
pub struct GroupView {
    /// `meta`, `g1`, ...
    pub name: String,
    /// The node that leads it; 0 if none does.
    pub leader: u64,
    /// Its term.
    pub term: u64,
    /// The last committed entry.
    pub committed: u64,
    /// Node and the last entry that it applied.
    pub applied: Vec<(u64, u64)>,
    /// The nodes that say that they lead.
    pub leading: Vec<u64>,
    /// The nodes with a vote, as the leader knows them.
    pub voters: Vec<u64>,
}

impl GroupView {
    /// The leader, if it says so itself and nobody else says it of itself.
    pub fn sole_leader(&self) -> Option<u64> {
        (self.leader != 0 && self.leading == [self.leader]).then_some(self.leader)
    }
}

impl ClusterView {
    /// The leader of a group, if there is one.
    pub fn leader_of(&self, group: &str) -> Option<u64> {
        let found = self.groups.iter().find(|view| view.name == group)?;
        (found.leader != 0).then_some(found.leader)
    }

    /// Whether every one of `nodes` is alive, and every group has a leader and all replicas.
    pub fn is_whole(&self, nodes: usize) -> bool {
        let is_led = |group: &GroupView| group.leader != 0 && group.applied.len() == nodes;
        self.alive.len() == nodes && !self.groups.is_empty() && self.groups.iter().all(is_led)
    }

    /// How far each group is.
    pub fn committed(&self) -> Vec<(String, u64)> {
        self.groups.iter().map(|group| (group.name.clone(), group.committed)).collect()
    }

    /// Whether every replica has applied so much.
    pub fn has_applied(&self, goal: &[(String, u64)]) -> bool {
        goal.iter().all(|(name, index)| {
            let group = self.groups.iter().find(|group| group.name == *name);
            group.is_some_and(|group| group.applied.iter().all(|(_, applied)| applied >= index))
        })
    }
}

impl From<admin::ClusterStatusResponse> for ClusterView {
    fn from(status: admin::ClusterStatusResponse) -> ClusterView {
        let leading = |replicas: &[admin::Replica]| {
            let leading = replicas.iter().filter(|replica| replica.role == "leader");
            leading.map(|replica| replica.node).collect()
        };
        let group = |group: admin::BrokerGroup| GroupView {
            name: group.name,
            leader: group.leader,
            term: group.term,
            committed: group.committed,
            applied: group.replicas.iter().map(|replica| (replica.node, replica.applied_index)).collect(),
            leading: leading(&group.replicas),
            voters: group.voters,
        };
        ClusterView {
            alive: status.nodes.iter().filter(|node| node.alive).map(|node| node.id).collect(),
            groups: status.groups.into_iter().map(group).collect(),
        }
    }
}

impl Client {
    /// Makes a topic; one that is there already is kept.
    ///
    /// # Errors
    /// It was refused, or no node did it in time.
    pub async fn create_topic(&mut self, topic: &TopicSpec) -> Result<(), AdminError> {
        let wire = admin::CreateTopicRequest {
            name: topic.name.clone(),
            r#type: topic.kind as i32,
            queues: topic.queues,
            if_not_exists: true,
            settings: None,
        };
        let call = async |client: &Client| {
            client.admin().create_topic(client.request(wire.clone(), ADMIN_TIMEOUT)).await.map(|_| ())
        };
        self.insist(&format!("creating topic {}", topic.name), call).await
    }

    /// Makes a consumer group that begins at the first message; one that is there already is kept.
    ///
    /// # Errors
    /// It was refused, or no node did it in time.
    pub async fn create_group(&mut self, group: &GroupSpec) -> Result<(), AdminError> {
        let wire = admin::CreateGroupRequest {
            name: group.name.clone(),
            fifo: group.fifo,
            max_attempts: group.max_attempts,
            start_from: admin::StartFrom::First as i32,
            if_not_exists: true,
            retry: Some(admin::RetryPolicy { levels_ms: group.retry_ms.clone(), exponential: None }),
            ..Default::default()
        };
        let call = async |client: &Client| {
            client.admin().create_group(client.request(wire.clone(), ADMIN_TIMEOUT)).await.map(|_| ())
        };
        self.insist(&format!("creating consumer group {}", group.name), call).await
    }

    /// What the next node says of the cluster; goes on to the next one if it does not answer.
    pub async fn cluster_status(&mut self) -> Option<ClusterView> {
        let asked = async {
            self.admin().cluster_status(self.request(admin::ClusterStatusRequest {}, ADMIN_TIMEOUT)).await
        };
        match tokio::time::timeout(ADMIN_TIMEOUT, asked).await {
            Ok(Ok(status)) => Some(status.into_inner().into()),
            Ok(Err(_)) => {
                self.turn(false);
                None
            }
            Err(_) => {
                self.turn(true);
                None
            }
        }
    }

    /// First and next offset of each queue of a topic.
    ///
    /// # Errors
    /// No node answered in time.
    pub async fn queues(&mut self, topic: &str) -> Result<Vec<admin::QueueStatus>, AdminError> {
        let wire = admin::DescribeTopicRequest { name: topic.to_owned() };
        let call = async |client: &Client| {
            let request = client.request(wire.clone(), ADMIN_TIMEOUT);
            client.admin().describe_topic(request).await.map(|answer| answer.into_inner().queues)
        };
        self.insist(&format!("describing topic {topic}"), call).await
    }

    /// Where a consumer group stands in the queues of a topic.
    ///
    /// # Errors
    /// No node answered in time.
    pub async fn group_offsets(
        &mut self,
        group: &str,
        topic: &str,
    ) -> Result<Vec<admin::GroupQueueStatus>, AdminError> {
        let wire = admin::GroupOffsetsRequest { group: group.to_owned(), topic: topic.to_owned() };
        let call = async |client: &Client| {
            let request = client.request(wire.clone(), ADMIN_TIMEOUT);
            client.admin().group_offsets(request).await.map(|answer| answer.into_inner().queues)
        };
        self.insist(&format!("asking where consumer group {group} stands"), call).await
    }

    /// The dead letters of a consumer group: message id, queue and offset of each.
    ///
    /// # Errors
    /// No node answered in time.
    pub async fn dead_letters(&mut self, group: &str) -> Result<Vec<admin::DeadLetter>, AdminError> {
        let (mut letters, mut cursor) = (Vec::new(), String::new());
        loop {
            let wire = admin::ListDeadLettersRequest {
                group: group.to_owned(),
                cursor: cursor.clone(),
                resent: true,
                places_only: false,
                ..Default::default()
            };
            let call = async |client: &Client| {
                let request = client.request(wire.clone(), ADMIN_TIMEOUT);
                client.admin().list_dead_letters(request).await.map(tonic::Response::into_inner)
            };
            let page = self.insist(&format!("listing dead letters of {group}"), call).await?;
            letters.extend(page.letters);
            if page.cursor.is_empty() {
                return Ok(letters);
            }
            cursor = page.cursor;
        }
    }

    /// A checksum over the tables of each replica of each group, and the entry that it is of.
    ///
    /// # Errors
    /// No node answered in time.
    pub async fn digests(&mut self) -> Result<Vec<admin::ReplicaDigest>, AdminError> {
        let timeout_ms = DIGEST_TIMEOUT.as_millis() as u64;
        let wire = admin::DigestReplicasRequest { group: String::new(), timeout_ms };
        let call = async |client: &Client| {
            let request = client.request(wire.clone(), ADMIN_TIMEOUT + DIGEST_TIMEOUT);
            client.admin().digest_replicas(request).await.map(|answer| answer.into_inner().replicas)
        };
        self.insist_for(ADMIN_TIMEOUT + DIGEST_TIMEOUT, "comparing the tables of all replicas", call).await
    }

    /// Hands the leadership of a group to a node; empty: to the most caught-up one.
    ///
    /// # Errors
    /// The broker's status.
    pub async fn transfer_leader(&mut self, group: &str, to: &str) -> Result<u64, Status> {
        let wire = admin::TransferLeaderRequest { group: group.to_owned(), to: to.to_owned() };
        let answer = self.admin().transfer_leader(self.request(wire, ADMIN_TIMEOUT)).await?;
        Ok(answer.into_inner().leader)
    }

    /// Repeats an admin call, at one node after the other, while it may yet be done.
    async fn insist<T>(
        &mut self,
        what: &str,
        call: impl AsyncFnMut(&Client) -> Result<T, Status>,
    ) -> Result<T, AdminError> {
        self.insist_for(ADMIN_TIMEOUT, what, call).await
    }

    /// The same, with so much time for each try.
    async fn insist_for<T>(
        &mut self,
        timeout: Duration,
        what: &str,
        mut call: impl AsyncFnMut(&Client) -> Result<T, Status>,
    ) -> Result<T, AdminError> {
        let begun = Instant::now();
        let after = crate::limits::ADMIN_PATIENCE;
        loop {
            let status = match tokio::time::timeout(timeout, call(self)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer in time"),
            };
            let definite = matches!(
                status.code(),
                tonic::Code::InvalidArgument | tonic::Code::NotFound | tonic::Code::FailedPrecondition
            );
            if definite {
                let why = status.message().to_owned();
                return Err(AdminError::Refused { what: what.to_owned(), why });
            }
            let silent = matches!(Attempt::<()>::of_grpc(&status), Attempt::Unknown { silent: true, .. });
            self.turn(silent);
            if begun.elapsed() >= after {
                let why = status.message().to_owned();
                return Err(AdminError::OutOfTime { what: what.to_owned(), after, why });
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(committed: u64, applied: &[u64]) -> ClusterView {
        let applied: Vec<(u64, u64)> = (1..).zip(applied.iter().copied()).collect();
        let alive = applied.iter().map(|(node, _)| *node).collect();
        let group = GroupView { name: "g1".into(), leader: 1, committed, applied, ..GroupView::default() };
        ClusterView { alive, groups: vec![group] }
    }

    #[test]
    fn replicas_have_converged_when_they_have_what_was_committed_at_first() {
        let first = view(10, &[10, 9, 4]);
        let goal = first.committed();
        assert!(first.is_whole(3) && !first.has_applied(&goal));
        assert!(!view(15, &[15, 14, 9]).has_applied(&goal), "one lags");
        assert!(view(20, &[20, 19, 10]).has_applied(&goal), "what came since counts");
        assert!(!view(20, &[20, 19]).is_whole(3), "a replica does not answer");
    }
}
