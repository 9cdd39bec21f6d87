//! Takes nodes their votes and gives them back, and records both.
//!
//! One at a time does it ([`Arena::votes`]): a cluster of three keeps two voters, one of five keeps three.
//!
//! [`Arena::votes`]: crate::workload::Arena::votes

use std::time::Duration;

use checkers::history::{Call, ChangeVotes, GroupVoters, ReadVoters};
use tokio::time::Instant;

use crate::client::{Changed, Client, ClusterView, Ended, VoteChange};
use crate::limits::POLL_INTERVAL;
use crate::recorder::Recorder;

/// Who asks for votes: a process of the history.
#[derive(Debug)]
pub struct Registrar<'a> {
    recorder: &'a Recorder,
    process: u32,
    client: &'a mut Client,
}

/// What became of several changes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// All of them were done.
    Done,
    /// Nothing was done.
    Refused {
        /// Why the first one was not.
        why: String,
    },
    /// Some were done, or nobody knows.
    Unknown {
        /// About the first one that was not done.
        why: String,
    },
}

impl Changes {
    fn of(ended: &[Ended<Vec<u64>>]) -> Changes {
        let not_done = ended.iter().find(|ended| !matches!(ended, Ended::Ok(_)));
        let Some(not_done) = not_done else { return Changes::Done };
        let why = not_done.why().to_owned();
        match ended.iter().all(|ended| matches!(ended, Ended::Fail { .. })) {
            true => Changes::Refused { why },
            false => Changes::Unknown { why },
        }
    }
}

impl<'a> Registrar<'a> {
    /// Asks as this process.
    pub fn new(recorder: &'a Recorder, process: u32, client: &'a mut Client) -> Registrar<'a> {
        Registrar { recorder, process, client }
    }

    /// Takes nodes their votes in these groups, one group after the other. A refusal is taken for an answer.
    pub async fn take(&mut self, groups: &[String], nodes: &[usize], patience: Duration) -> Changes {
        self.change_all(groups, nodes, false, patience).await
    }

    /// Gives nodes votes in these groups, one group after the other, and asks again if it is refused: a node may have to
    /// come back first.
    pub async fn give(&mut self, groups: &[String], nodes: &[usize], patience: Duration) -> Changes {
        self.change_all(groups, nodes, true, patience).await
    }

    async fn change_all(
        &mut self,
        groups: &[String],
        nodes: &[usize],
        votes: bool,
        patience: Duration,
    ) -> Changes {
        let deadline = Instant::now() + patience;
        let mut ended = Vec::new();
        for group in groups {
            for node in nodes {
                let change = VoteChange { group: group.clone(), node: *node as u64, votes };
                // Each is tried once at least.
                let left = deadline.saturating_duration_since(Instant::now());
                ended.push(self.change(&change, left).await);
            }
        }
        Changes::of(&ended)
    }

    async fn change(&mut self, change: &VoteChange, patience: Duration) -> Ended<Vec<u64>> {
        let begun = self.recorder.begin(self.process);
        let Changed { ended, doubt } = self.client.change_votes(change, patience, change.votes).await;
        tracing::info!(?change, ?ended, ?doubt, "votes");
        let call = |voters: Option<&Vec<u64>>| {
            Call::ChangeVotes(ChangeVotes {
                group: change.group.clone(),
                node: change.node as u32,
                votes: change.votes,
                voters: voters.map(|voters| numbers(voters)),
            })
        };
        if let (Some(why), Ended::Ok(_)) = (doubt, &ended) {
            // A try without an answer may happen after the one that was answered.
            self.recorder.end(begun, &Ended::<()>::Info { why }, call(None));
        }
        let voters = match &ended {
            Ended::Ok(voters) => Some(voters),
            _ => None,
        };
        self.recorder.end(begun, &ended, call(voters));
        ended
    }

    /// Gives every node that lacks a vote somewhere its vote back.
    ///
    /// # Errors
    /// It was not done in time, and why.
    pub async fn restore(&mut self, nodes: usize, patience: Duration) -> Result<(), String> {
        let deadline = Instant::now() + patience;
        loop {
            let view = led_view(self.client, deadline.saturating_duration_since(Instant::now())).await;
            let view = view.ok_or("nobody told who has a vote")?;
            let missing = missing(&view, nodes);
            if missing.is_empty() {
                return Ok(());
            }
            for (group, node) in missing {
                let left = deadline.saturating_duration_since(Instant::now());
                let given = self.give(std::slice::from_ref(&group), &[node], left).await;
                if let Changes::Refused { why } | Changes::Unknown { why } = given {
                    return Err(format!("node {node} did not get its vote in {group} back: {why}"));
                }
            }
        }
    }

    /// Asks a node who has a vote, and records it.
    pub async fn read(&mut self, through: usize) {
        self.client.prefer(through);
        let begun = self.recorder.begin(self.process);
        let ended = self.client.view_once().await;
        let groups = match &ended {
            Ended::Ok(view) => group_voters(view),
            _ => Vec::new(),
        };
        let call = Call::ReadVoters(ReadVoters { through: through as u32 + 1, groups });
        self.recorder.end(begun, &ended, call);
    }
}

/// A view in which every group has a leader that says so itself, waited for.
pub async fn led_view(client: &mut Client, patience: Duration) -> Option<ClusterView> {
    let deadline = Instant::now() + patience;
    loop {
        let view = client.cluster_status().await;
        let is_led = |view: &ClusterView| {
            !view.groups.is_empty() && view.groups.iter().all(|group| group.sole_leader().is_some())
        };
        if let Some(view) = view.filter(is_led) {
            return Some(view);
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The names of all groups, as some node knows them.
pub async fn groups(client: &mut Client, patience: Duration) -> Option<Vec<String>> {
    let view = led_view(client, patience).await?;
    Some(view.groups.into_iter().map(|group| group.name).collect())
}

/// Who has no vote where.
fn missing(view: &ClusterView, nodes: usize) -> Vec<(String, usize)> {
    let groups = view.groups.iter();
    let missing = groups.flat_map(|group| {
        let without = (1..=nodes).filter(|node| !group.voters.contains(&(*node as u64)));
        without.map(|node| (group.name.clone(), node))
    });
    missing.collect()
}

/// A view as a history has it.
pub fn group_voters(view: &ClusterView) -> Vec<GroupVoters> {
    let of = |group: &crate::client::GroupView| GroupVoters {
        group: group.name.clone(),
        leader: group.sole_leader().unwrap_or(0) as u32,
        term: group.term,
        replicas: group.applied.len() as u32,
        voters: numbers(&group.voters),
    };
    view.groups.iter().map(of).collect()
}

/// Nodes as a history has them.
pub fn numbers(nodes: &[u64]) -> Vec<u32> {
    nodes.iter().map(|node| *node as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::GroupView;

    #[test]
    fn changes_are_done_when_all_are_and_refused_when_none_was() {
        let ok = || Ended::Ok(vec![1, 2]);
        let fail = || Ended::Fail { code: None, why: "no".into() };
        let info = || Ended::Info { why: "late".into() };
        assert_eq!(Changes::of(&[ok(), ok()]), Changes::Done);
        assert_eq!(Changes::of(&[fail(), fail()]), Changes::Refused { why: "no".into() });
        assert_eq!(Changes::of(&[ok(), fail()]), Changes::Unknown { why: "no".into() });
        assert_eq!(Changes::of(&[info()]), Changes::Unknown { why: "late".into() });
    }

    #[test]
    fn who_lacks_a_vote_is_seen_group_by_group() {
        let group = |name: &str, voters: &[u64]| GroupView {
            name: name.into(),
            voters: voters.to_vec(),
            ..GroupView::default()
        };
        let view = ClusterView {
            groups: vec![group("meta", &[1, 2, 3]), group("g1", &[3])],
            ..ClusterView::default()
        };
        assert_eq!(missing(&view, 3), [("g1".to_owned(), 1), ("g1".to_owned(), 2)]);
    }
}
