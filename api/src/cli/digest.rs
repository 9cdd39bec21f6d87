//! `ledgermq cluster digest`

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use proto::admin;
use serde::Serialize;
use serde_json::json;

use super::exit::Failure;
use super::output::table;
use super::topic::CommonArgs;
use crate::client::access::Broker;
use crate::options::values::parse_duration;

/// Between two tries, where replicas are at different entries.
const PAUSE: Duration = Duration::from_millis(200);
/// The way there and back, for the request.
const WAY: Duration = Duration::from_secs(5);

/// Arguments of `cluster digest`.
#[derive(Debug, Args)]
pub struct DigestArgs {
    /// Only this group: g1, g2, ..., meta
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Ask again for so long while replicas are at different entries
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = parse_duration)]
    wait: Duration,
    /// A node gives up after so long; at most 10m
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    common: CommonArgs,
}

impl DigestArgs {
    pub async fn run(self) -> Result<(), Failure> {
        let broker = self.common.target.connect().await?;
        let begun = Instant::now();
        let groups = loop {
            let groups = self.ask(&broker).await?;
            let settled = groups.iter().all(|group| group.verdict != Verdict::NotCompared);
            let differs = groups.iter().any(|group| group.verdict == Verdict::Different);
            if settled || differs || begun.elapsed() + PAUSE > self.wait {
                break groups;
            }
            tokio::time::sleep(PAUSE).await;
        };
        self.common.output.print(&json!({ "groups": groups }), || text(&groups));
        outcome(&groups)
    }

    async fn ask(&self, broker: &Broker) -> Result<Vec<GroupDigests>, Failure> {
        let request = admin::DigestReplicasRequest {
            group: self.group.clone().unwrap_or_default(),
            timeout_ms: self.timeout.as_millis() as u64,
        };
        let request = broker.headers.request(request, self.timeout + WAY);
        Ok(compare(broker.answer(broker.admin().digest_replicas(request).await)?.replicas))
    }
}

/// What comes of comparing the replicas of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// All are at the same entry, and have the same rows.
    Equal,
    /// Two are at the same entry, and have other rows.
    Different,
    /// They are at different entries, or one did not answer.
    NotCompared,
}

#[derive(Clone, Debug, Serialize)]
struct GroupDigests {
    group: String,
    verdict: Verdict,
    replicas: Vec<Digest>,
}

#[derive(Clone, Debug, Serialize)]
struct Digest {
    node: u64,
    /// Null where `error` says why.
    applied_index: Option<u64>,
    digest: Option<String>,
    rows: Option<u64>,
    took_ms: Option<u64>,
    error: Option<String>,
}

fn compare(replicas: Vec<admin::ReplicaDigest>) -> Vec<GroupDigests> {
    let mut groups: Vec<GroupDigests> = Vec::new();
    for replica in replicas {
        let answered = replica.error.is_empty();
        let digest = Digest {
            node: replica.node,
            applied_index: answered.then_some(replica.applied_index),
            digest: answered.then(|| format!("{:016x}", replica.checksum)),
            rows: answered.then_some(replica.rows),
            took_ms: answered.then_some(replica.took_ms),
            error: (!answered).then_some(replica.error),
        };
        match groups.last_mut().filter(|group| group.group == replica.group) {
            Some(group) => group.replicas.push(digest),
            None => groups.push(GroupDigests {
                group: replica.group,
                verdict: Verdict::NotCompared,
                replicas: vec![digest],
            }),
        }
    }
    for group in &mut groups {
        group.verdict = verdict(&group.replicas);
    }
    groups
}

fn verdict(replicas: &[Digest]) -> Verdict {
    let mut by_entry: BTreeMap<Option<u64>, Vec<&Digest>> = BTreeMap::new();
    for replica in replicas {
        by_entry.entry(replica.applied_index).or_default().push(replica);
    }
    let differ = |same: &Vec<&Digest>| same.iter().any(|replica| replica.digest != same[0].digest);
    match by_entry.values().any(differ) {
        true => Verdict::Different,
        false if by_entry.len() == 1 && !by_entry.contains_key(&None) => Verdict::Equal,
        false => Verdict::NotCompared,
    }
}

fn text(groups: &[GroupDigests]) -> String {
    let dash = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    let mut rows = Vec::new();
    for group in groups {
        let verdict = match group.verdict {
            Verdict::Equal => "equal",
            Verdict::Different => "DIFFERENT",
            Verdict::NotCompared => "not compared",
        };
        let mut head = Some([group.group.clone(), verdict.to_owned()]);
        for replica in &group.replicas {
            let [name, verdict] = head.take().unwrap_or_default();
            rows.push([
                name,
                verdict,
                replica.node.to_string(),
                dash(replica.applied_index.map(|index| index.to_string())),
                replica.error.clone().unwrap_or_else(|| dash(replica.digest.clone())),
                dash(replica.rows.map(|rows| rows.to_string())),
                dash(replica.took_ms.map(|took_ms| took_ms.to_string())),
            ]);
        }
    }
    table(["GROUP", "REPLICAS", "NODE", "ENTRY", "DIGEST", "ROWS", "MS"], &rows)
}

fn outcome(groups: &[GroupDigests]) -> Result<(), Failure> {
    let named = |verdict| {
        let groups = groups.iter().filter(|group| group.verdict == verdict);
        groups.map(|group| group.group.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (different, not_compared) = (named(Verdict::Different), named(Verdict::NotCompared));
    match (different.as_str(), not_compared.as_str()) {
        ("", "") => Ok(()),
        ("", groups) => Err(Failure::Nothing(format!(
            "not all replicas of {groups} could be compared: they are at different entries, or did not answer; ask \
             again when less is sent, or with a longer --wait or --timeout"
        ))),
        (groups, _) => Err(Failure::Failed(format!(
            "replicas of {groups} differ although they have applied the same entries. That is a defect of LedgerMQ: \
             keep the data of all nodes, and report it. `ledgermq cluster repair NODE` rebuilds a node from the others"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(node: u64, applied_index: u64, checksum: u64) -> admin::ReplicaDigest {
        admin::ReplicaDigest { group: "g1".into(), node, applied_index, checksum, ..Default::default() }
    }

    fn judged(replicas: &[admin::ReplicaDigest]) -> Verdict {
        let groups = compare(replicas.to_vec());
        assert_eq!(groups.len(), 1);
        groups[0].verdict
    }

    #[test]
    fn only_replicas_at_the_same_entry_are_compared() {
        assert_eq!(judged(&[replica(1, 9, 7), replica(2, 9, 7), replica(3, 9, 7)]), Verdict::Equal);
        assert_eq!(judged(&[replica(1, 9, 7), replica(2, 9, 7), replica(3, 9, 8)]), Verdict::Different);
        assert_eq!(judged(&[replica(1, 9, 7), replica(2, 9, 7), replica(3, 8, 8)]), Verdict::NotCompared);
        assert_eq!(judged(&[replica(1, 9, 7), replica(2, 9, 8), replica(3, 8, 8)]), Verdict::Different);
    }

    #[test]
    fn a_replica_that_does_not_answer_is_not_equal() {
        let silent = admin::ReplicaDigest { error: "gone".into(), ..replica(3, 0, 0) };
        let replicas = [replica(1, 9, 7), replica(2, 9, 7), silent];
        assert_eq!(judged(&replicas), Verdict::NotCompared);
        let groups = compare(replicas.to_vec());
        assert!(text(&groups).contains("gone"), "{}", text(&groups));
        assert!(matches!(outcome(&groups), Err(Failure::Nothing(_))));
    }

    #[test]
    fn replicas_that_differ_are_a_failure() {
        let groups = compare(vec![replica(1, 9, 7), replica(2, 9, 8)]);
        assert!(matches!(outcome(&groups), Err(Failure::Failed(_))));
        let value = serde_json::to_string(&groups).unwrap();
        assert!(value.contains(r#""verdict":"different""#), "{value}");
        assert!(value.contains(r#""digest":"0000000000000007""#), "{value}");
    }
}
