//! Transactions: a half message is visible only after its commit began, and never after a rollback;
//! a commit that was confirmed makes it visible, once; no end touches another transaction.

use std::collections::HashMap;

use crate::evidence::{Ending, Evidence, MessageNumber, Source, seconds};
use crate::history::{Kind, Outcome, Symbol};
use crate::verdict::{Tally, Verdict};

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut tally = Tally::default();
    let mut ids: HashMap<Symbol, MessageNumber> = HashMap::new();
    for number in 0..evidence.messages.len() as MessageNumber {
        let is_half = evidence.first_send(number).is_some_and(|send| send.call.kind == Kind::Transaction);
        if !is_half {
            continue;
        }
        tally.checked += 1;
        for transaction in evidence.sends_of(number).filter_map(|send| send.call.transaction) {
            let owner = *ids.entry(transaction).or_insert(number);
            if owner != number {
                tally.violated(None, || {
                    format!(
                        "messages {} and {} were told the same transaction id {}",
                        evidence.id(owner),
                        evidence.id(number),
                        evidence.text(transaction)
                    )
                });
            }
        }
        look_at(evidence, number, &mut tally);
    }
    tally.verdict("no half message was sent")
}

fn look_at(evidence: &Evidence<'_>, number: MessageNumber, tally: &mut Tally) {
    let id = evidence.id(number);
    let endings = evidence.endings_of(number);
    let may = |ending: &&Ending| ending.outcome.may_have_happened();
    let commit_began_ns = endings.iter().filter(may).filter(|end| end.commits).map(|end| end.invoke_ns).min();
    let rolled_back_ns = endings
        .iter()
        .filter(|end| !end.commits && end.outcome == Outcome::Ok)
        .map(|end| end.return_ns)
        .min();
    let visible = || {
        let sources = [Source::Delivery, Source::Pull, Source::Stored];
        evidence.seen_of(number).filter(move |seen| sources.contains(&seen.source))
    };
    if let Some(seen) = visible().next() {
        let by = seen.source.word();
        match (commit_began_ns, rolled_back_ns) {
            (None, None) => {
                tally.violated(seen.at_ns, || format!("{by} has message {id}, which nobody committed"));
            }
            (None, Some(back_ns)) => tally.violated(seen.at_ns, || {
                format!("{by} has message {id}, which was rolled back at {}", seconds(back_ns))
            }),
            (Some(began_ns), Some(back_ns)) if back_ns < began_ns => tally.violated(seen.at_ns, || {
                let (back, began) = (seconds(back_ns), seconds(began_ns));
                format!("{by} has message {id}, rolled back at {back}, before its commit began at {began}")
            }),
            (Some(_), _) => {}
        }
    }
    let early = |began_ns: u64| visible().find(move |seen| seen.at_ns.is_some_and(|at_ns| at_ns < began_ns));
    if let Some((began_ns, seen)) = commit_began_ns.and_then(|began_ns| Some((began_ns, early(began_ns)?))) {
        tally.violated(seen.at_ns, || {
            let began = seconds(began_ns);
            format!("{} has message {id} before its commit began at {began}", seen.source.word())
        });
    }
    let mut places: Vec<_> = visible().filter_map(|seen| seen.place).collect();
    places.dedup();
    if places.len() > 1 {
        tally.violated(None, || format!("message {id} became visible twice: {places:?}"));
    }
    look_for_lost_commit(evidence, number, tally);
}

/// A confirmed commit before which no rollback can have happened makes the message visible.
fn look_for_lost_commit(evidence: &Evidence<'_>, number: MessageNumber, tally: &mut Tally) {
    let Some(send) = evidence.first_send(number) else { return };
    let endings = evidence.endings_of(number);
    let committed = endings.iter().find(|end| end.commits && end.outcome == Outcome::Ok);
    let Some(committed) = committed.filter(|_| evidence.was_read(send.call.topic)) else { return };
    let may_be_back = endings
        .iter()
        .any(|end| !end.commits && end.outcome.may_have_happened() && end.invoke_ns < committed.return_ns);
    let is_there = evidence.seen_of(number).any(|seen| seen.source == Source::Stored);
    if !may_be_back && !is_there {
        tally.violated(Some(committed.return_ns), || {
            let (id, topic) = (evidence.id(number), evidence.text(send.call.topic));
            format!(
                "message {id} was committed at {}, but is not in topic {topic}",
                seconds(committed.return_ns)
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, commit, got, receive, rollback, send};

    /// One committed, one rolled back, one left open.
    fn good() -> Story {
        let mut story = Story::new();
        story.op(send("a").half("ta").at(0, 5)).op(commit("a", "ta").at(10, 20));
        story.op(receive([got("a")]).at(0, 15)).store("a", 0, 0).read_queue(0, 0, 1);
        story.op(send("b").half("tb").at(0, 5)).op(rollback("b", "tb").at(10, 20));
        story.op(send("c").half("tc").at(0, 5));
        story
    }

    #[test]
    fn ended_and_open_transactions_hold() {
        assert_eq!(good().check(check), Verdict::Held { checked: 3 });
        let mut none = Story::new();
        none.op(send("a").at(0, 5));
        assert!(matches!(none.check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn a_delivery_before_the_commit_began_is_found() {
        let mut story = good();
        story.op(receive([got("a")]).at(6, 9));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn a_visible_half_message_is_found() {
        for id in ["b", "c"] {
            let mut delivered = good();
            delivered.op(receive([got(id).placed(0, 1)]).at(30, 40));
            assert!(delivered.check(check).is_violated(), "{id} was delivered");
            let mut stored = good();
            stored.store(id, 0, 1);
            assert!(stored.check(check).is_violated(), "{id} was stored");
        }
    }

    #[test]
    fn a_commit_after_a_rollback_changes_nothing() {
        let mut story = good();
        story.op(commit("b", "tb").at(30, 40));
        assert!(story.check(check).is_held());
        story.store("b", 0, 1);
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn ends_that_overlap_may_go_either_way() {
        for visible in [false, true] {
            let mut story = good();
            story.op(commit("b", "tb").at(15, 40));
            if visible {
                story.store("b", 0, 1);
            }
            assert!(story.check(check).is_held(), "visible: {visible}");
        }
    }

    #[test]
    fn an_unknown_commit_may_go_either_way_but_a_refused_one_not() {
        let mut story = good();
        story.op(commit("c", "tc").info().at(30, 40));
        assert!(story.check(check).is_held());
        story.store("c", 0, 1);
        assert!(story.check(check).is_held());
        let mut story = good();
        story.op(commit("c", "tc").fail().at(30, 40)).store("c", 0, 1);
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn a_lost_commit_is_found() {
        let mut story = good();
        story.op(commit("c", "tc").at(30, 40));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn a_second_appearance_is_found() {
        let mut story = good();
        story.store("a", 0, 1);
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn a_transaction_id_given_twice_is_found() {
        let mut story = good();
        story.op(send("d").half("tc").at(50, 60));
        assert!(story.check(check).is_violated());
    }
}
