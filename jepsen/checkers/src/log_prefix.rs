//! CommitLog prefix: replicas have the same bytes below the smaller of their commit points.

use std::collections::HashMap;

use crate::evidence::Evidence;
use crate::history::{History, Replica, Symbol};
use crate::verdict::{Tally, Verdict};

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut tally = Tally::default();
    compare_bytes(evidence, &mut tally);
    compare_records(evidence, &mut tally);
    tally.verdict("no two logs of one group were read over the same entries")
}

fn compare_bytes(evidence: &Evidence<'_>, tally: &mut Tally) {
    let mut digests = Vec::new();
    for replica in &evidence.history.replicas {
        for digest in &replica.bytes {
            digests.push((replica.group, digest.from_index, digest.to_index, replica.node, digest));
        }
    }
    digests.sort_by_key(|(group, from, to, node, _)| (*group, *from, *to, *node));
    for same in digests.chunk_by(|a, b| (a.0, a.1, a.2) == (b.0, b.1, b.2)) {
        let (group, from, to, node, first) = same[0];
        for (_, _, _, other_node, other) in &same[1..] {
            tally.checked += 1;
            if (&other.digest, other.bytes) != (&first.digest, first.bytes) {
                tally.violated(None, || {
                    format!(
                        "the logs of group {} differ within entries {from} to {to}: node {node} has {} bytes ({}), \
                         node {other_node} {} ({})",
                        evidence.text(group),
                        first.bytes,
                        first.digest,
                        other.bytes,
                        other.digest
                    )
                });
            }
        }
    }
}

/// What one replica has below the smallest commit point, all have.
fn compare_records(evidence: &Evidence<'_>, tally: &mut Tally) {
    let replicas = readable(evidence.history);
    let records = &evidence.history.records;
    let mut order: Vec<usize> = (0..records.len()).collect();
    let key = |at: &usize| (records[*at].group, records[*at].index, records[*at].message);
    order.sort_unstable_by_key(key);
    for same in order.chunk_by(|a, b| key(a) == key(b)) {
        let record = &records[same[0]];
        let Some(replicas) = replicas.get(&record.group).filter(|replicas| replicas.len() > 1) else {
            continue;
        };
        let common = replicas.iter().map(|replica| replica.committed_index.min(replica.last_index)).min();
        if common.is_none_or(|common| record.index > common) {
            continue;
        }
        tally.checked += 1;
        let has = |node: u32| same.iter().any(|at| records[*at].nodes.contains(&node));
        let lacks = |replica: &&&Replica<Symbol>| replica.first_index <= record.index && !has(replica.node);
        if let Some(replica) = replicas.iter().find(lacks) {
            tally.violated(None, || {
                format!(
                    "entry {} of group {} holds message {} elsewhere, but not on node {}, below every commit point",
                    record.index,
                    evidence.text(record.group),
                    evidence.text(record.message),
                    replica.node
                )
            });
        }
    }
}

fn readable(history: &History) -> HashMap<Symbol, Vec<&Replica<Symbol>>> {
    let mut replicas: HashMap<Symbol, Vec<_>> = HashMap::new();
    for replica in history.replicas.iter().filter(|replica| replica.unreadable.is_none()) {
        replicas.entry(replica.group).or_default().push(replica);
    }
    replicas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Story;

    fn good() -> Story {
        let mut story = Story::new();
        story.replica(1, 1, 20).replica(2, 1, 19).replica(3, 1, 20);
        for node in 1..=3 {
            story.bytes_of(node, (1, 10), "aa").bytes_of(node, (1, 19), "bb");
        }
        story.record(&[1, 2, 3], "a", 7);
        story
    }

    #[test]
    fn equal_bytes_are_a_common_prefix() {
        assert_eq!(good().check(check), Verdict::Held { checked: 5 });
    }

    #[test]
    fn one_log_alone_proves_nothing() {
        let mut story = Story::new();
        story.replica(1, 1, 20).bytes_of(1, (1, 10), "aa").record(&[1], "a", 7);
        story.replica(2, 1, 20).bytes_of(2, (5, 10), "cc");
        story.unrecord("a");
        assert!(matches!(story.check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn different_bytes_are_found_and_located() {
        let mut story = Story::new();
        story.replicas(3, 1, 20);
        for (node, digest) in [(1, "bb"), (2, "bb"), (3, "xx")] {
            story.bytes_of(node, (1, 10), "aa").bytes_of(node, (1, 19), digest);
        }
        let Verdict::Violated { examples, total, .. } = story.check(check) else { panic!("not found") };
        assert_eq!(total, 1);
        assert!(examples[0].what.contains("entries 1 to 19"), "{examples:?}");
        assert!(examples[0].what.contains("node 3"), "{examples:?}");
    }

    #[test]
    fn a_record_that_one_replica_lacks_is_found_below_the_commit_point_only() {
        let mut story = good();
        story.record(&[1, 3], "b", 20);
        assert!(story.check(check).is_held(), "node 2 has not got so far");
        story.record(&[1, 3], "c", 19);
        assert!(story.check(check).is_violated());
    }
}
