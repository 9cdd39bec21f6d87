//! State digest: replicas that have applied the same entries have the same state.

use crate::evidence::Evidence;
use crate::verdict::{Tally, Verdict};

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut states: Vec<_> = evidence.history.states.iter().collect();
    states.sort_by_key(|state| (state.group, state.applied_index, state.node));
    let mut tally = Tally::default();
    for same in states.chunk_by(|a, b| (a.group, a.applied_index) == (b.group, b.applied_index)) {
        let first = same[0];
        for other in &same[1..] {
            tally.checked += 1;
            if other.digest != first.digest {
                tally.violated(None, || {
                    format!(
                        "after entry {} of group {} the state of node {} is {}, that of node {} is {}",
                        first.applied_index,
                        evidence.text(first.group),
                        first.node,
                        evidence.text(first.digest),
                        other.node,
                        evidence.text(other.digest)
                    )
                });
            }
        }
    }
    tally.verdict("no two replicas were asked for their digest at the same applied entry")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Story;

    #[test]
    fn equal_digests_hold() {
        let mut story = Story::new();
        story.state(1, 10, "aa").state(2, 10, "aa").state(3, 11, "bb").state(1, 11, "bb");
        assert_eq!(story.check(check), Verdict::Held { checked: 2 });
    }

    #[test]
    fn digests_at_different_entries_prove_nothing() {
        let mut story = Story::new();
        story.state(1, 10, "aa").state(2, 11, "bb");
        assert!(matches!(story.check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn a_replica_that_went_astray_is_found() {
        let mut story = Story::new();
        story.state(1, 10, "aa").state(2, 10, "aa").state(3, 10, "xx");
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn one_replica_that_changes_its_mind_is_found() {
        let mut story = Story::new();
        story.state(1, 10, "aa").state(1, 10, "xx");
        assert!(story.check(check).is_violated());
    }
}
