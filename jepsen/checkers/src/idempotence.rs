//! Idempotence: a message id that comes again within the window is recognized: one place, and that answered.

use crate::evidence::{Evidence, MessageNumber, Seen, ns};
use crate::verdict::{Tally, Verdict};

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut tally = Tally::default();
    for number in 0..evidence.messages.len() as MessageNumber {
        let calls: u64 = evidence.sends_of(number).map(|send| u64::from(send.call.attempts)).sum();
        if calls == 0 || !is_within_window(evidence, number) {
            continue;
        }
        tally.checked += u64::from(calls > 1);
        let mut placed = evidence.seen_of(number).filter(|seen| seen.place.is_some());
        let Some(first) = placed.next() else { continue };
        if let Some(other) = placed.find(|seen| (seen.topic, seen.place) != (first.topic, first.place)) {
            tally.violated(other.at_ns, || describe(evidence, number, calls, [first, other]));
        }
    }
    tally.verdict("no message id was sent twice within the window")
}

/// Whether all sends of a message, as far as anybody knows, took effect within the window.
fn is_within_window(evidence: &Evidence<'_>, number: MessageNumber) -> bool {
    let rules = &evidence.history.header.rules;
    let began_ns = evidence.sends_of(number).map(|send| send.invoke_ns).min().unwrap_or(0);
    let ended_ns = evidence.sends_of(number).map(|send| send.return_ns).max().unwrap_or(0);
    ended_ns - began_ns < ns(rules.dedup_window_ms.saturating_sub(rules.clock_tolerance_ms))
}

fn describe(evidence: &Evidence<'_>, number: MessageNumber, calls: u64, places: [&Seen; 2]) -> String {
    let [first, other] = places.map(|seen| {
        let place = seen.place.expect("only those with a place");
        format!(
            "offset {} of queue {} of topic {} (says {})",
            place.offset,
            place.queue,
            evidence.text(seen.topic),
            seen.source.word()
        )
    });
    format!("message {}, sent in {calls} calls, is at {first} and at {other}", evidence.id(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, got, receive, send};

    #[test]
    fn a_repetition_with_the_same_answer_holds() {
        let mut story = Story::new();
        story.op(send("a").placed(0, 0).at(0, 5)).op(send("a").placed(0, 0).at(10, 15));
        story.op(send("b").placed(0, 1).attempts(3).at(20, 25)).op(send("c").placed(0, 2).at(30, 35));
        story.op(receive([got("a")]).at(0, 50)).store("a", 0, 0);
        assert_eq!(story.check(check), Verdict::Held { checked: 2 });
    }

    #[test]
    fn single_sends_prove_nothing() {
        let mut story = Story::new();
        story.op(send("a").placed(0, 0).at(0, 5)).op(send("b").placed(0, 1).at(10, 15));
        assert!(matches!(story.check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn another_answer_is_found() {
        let mut story = Story::new();
        story.op(send("a").placed(0, 0).at(0, 5)).op(send("a").placed(0, 1).at(10, 15));
        assert!(story.check(check).is_violated());
        let mut story = Story::new();
        story.op(send("a").placed(0, 0).at(0, 5)).op(send("a").placed(1, 0).at(10, 15));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn a_message_stored_twice_is_found_even_if_it_was_sent_once() {
        let mut story = Story::new();
        story.op(send("a").placed(0, 0).at(0, 5)).store("a", 0, 0).store("a", 0, 7);
        assert!(story.check(check).is_violated());
        let mut story = Story::new();
        story.op(send("a").info().at(0, 5)).op(receive([got("a").placed(0, 3)]).at(0, 9)).store("a", 0, 7);
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn beyond_the_window_a_repetition_is_another_message() {
        let mut story = Story::new();
        let beyond_ms = 11 * 60 * 1000;
        story.op(send("a").placed(0, 0).at(0, 5)).op(send("a").placed(0, 1).at(beyond_ms, beyond_ms + 5));
        assert!(matches!(story.check(check), Verdict::NotChecked { .. }));
    }
}
