//! Who has a vote in the groups of replicas: asking, and changing it.

use std::time::Duration;

use proto::admin;
use tokio::time::Instant;
use tonic::Code;

use super::{Attempt, Client, ClusterView, Ended};
use crate::limits::{ADMIN_TIMEOUT, POLL_INTERVAL, VOTES_TIMEOUT};

/// A node that is to have a vote in a group, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoteChange {
    /// `meta`, `g1`, ...
    pub group: String,
    /// The node's id.
    pub node: u64,
    /// Whether it is to have a vote.
    pub votes: bool,
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// How it ended: with the nodes that have a vote.
    pub ended: Ended<Vec<u64>>,
    /// Whether, and why, a try of it may still happen, however it ended.
    pub doubt: Option<String>,
}

/// One try.
#[derive(Debug)]
enum Try {
    Done(Vec<u64>),
    NotYet { behind: u64 },
    Refused { why: String },
    Unsent { why: String },
    Unknown { why: String, silent: bool },
}

/// What the tries of a change came to so far.
#[derive(Debug, Default)]
struct Tries {
    /// One was answered, but not done: a part of it may have been.
    begun: bool,
    /// Of one nobody knows.
    doubt: Option<String>,
}

impl Tries {
    fn given_up(self, why: String) -> Changed {
        let ended = match self.begun || self.doubt.is_some() {
            true => Ended::Info { why },
            false => Ended::Fail { code: None, why },
        };
        Changed { ended, doubt: self.doubt }
    }
}

impl Client {
    /// Changes a vote: asks one node after the other until it is done, or `patience` is over. A refusal ends it, unless
    /// the caller `insists`.
    pub async fn change_votes(&mut self, change: &VoteChange, patience: Duration, insists: bool) -> Changed {
        let deadline = Instant::now() + patience;
        let mut tries = Tries::default();
        loop {
            let why = match self.try_to_change_votes(change).await {
                Try::Done(voters) => return Changed { ended: Ended::Ok(voters), doubt: tries.doubt },
                Try::NotYet { behind } => {
                    tries.begun = true;
                    format!("not done yet, {behind} entries behind")
                }
                Try::Refused { why } if !insists => return tries.given_up(why),
                Try::Refused { why } | Try::Unsent { why } => {
                    self.turn(false);
                    why
                }
                Try::Unknown { why, silent } => {
                    tries.doubt.get_or_insert_with(|| why.clone());
                    self.turn(silent);
                    why
                }
            };
            if Instant::now() >= deadline {
                return tries.given_up(why);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn try_to_change_votes(&self, change: &VoteChange) -> Try {
        let VoteChange { group, node, votes } = change.clone();
        let wire = admin::ChangeVotersRequest { node: node.to_string(), group, votes };
        let call = async { self.admin().change_voters(self.request(wire, VOTES_TIMEOUT)).await };
        let answer = match tokio::time::timeout(VOTES_TIMEOUT, call).await {
            Ok(answer) => answer,
            Err(_) => return Try::Unknown { why: "no answer in time".to_owned(), silent: true },
        };
        let status = match answer.map(tonic::Response::into_inner) {
            Ok(answer) if answer.done => return Try::Done(answer.voters),
            Ok(answer) => return Try::NotYet { behind: answer.behind },
            Err(status) => status,
        };
        if matches!(status.code(), Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition) {
            return Try::Refused { why: status.message().to_owned() };
        }
        match Attempt::<()>::of_grpc(&status) {
            Attempt::Unsent { why } => Try::Unsent { why },
            Attempt::Unknown { why, silent } => Try::Unknown { why, silent },
            other => unreachable!("a gRPC status is {other:?}"),
        }
    }

    /// Asks the next node, and no other one, about the cluster.
    pub async fn view_once(&mut self) -> Ended<ClusterView> {
        let call = async {
            self.admin().cluster_status(self.request(admin::ClusterStatusRequest {}, ADMIN_TIMEOUT)).await
        };
        match tokio::time::timeout(ADMIN_TIMEOUT, call).await {
            Ok(Ok(status)) => Ended::Ok(status.into_inner().into()),
            Ok(Err(status)) => Ended::Info { why: format!("{:?}: {}", status.code(), status.message()) },
            Err(_) => {
                self.turn(true);
                Ended::Info { why: "no answer in time".to_owned() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_refused_outright_did_not_happen() {
        let given_up = |begun, doubt: Option<&str>| {
            let tries = Tries { begun, doubt: doubt.map(str::to_owned) };
            tries.given_up("why".to_owned()).ended
        };
        assert!(matches!(given_up(false, None), Ended::Fail { .. }));
        assert!(matches!(given_up(true, None), Ended::Info { .. }), "it had begun");
        assert!(matches!(given_up(false, Some("time-out")), Ended::Info { .. }), "a try is in doubt");
    }

    #[tokio::test]
    async fn a_node_that_is_not_there_leaves_no_doubt() {
        // Nobody listens on port 1.
        let mut client = Client::new("x", &["127.0.0.1:1".to_owned()], 0);
        let change = VoteChange { group: "g1".into(), node: 1, votes: false };
        let changed = client.change_votes(&change, Duration::ZERO, true).await;
        assert!(matches!(changed, Changed { ended: Ended::Fail { .. }, doubt: None }), "{changed:?}");
    }
}
