//! Delay: nothing is delivered before it is due, and nothing that was taken back is delivered.
//!
//! The broker's own stamp is compared without tolerance: a message that gets its place a millisecond
//! early is a violation. The consumer's clock is compared too, with the run's tolerance, because a
//! broker whose clock jumped believes itself.

use crate::evidence::{Evidence, MessageNumber, Source, ns, seconds};
use crate::history::{Kind, Outcome};
use crate::verdict::{Tally, Verdict};

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut tally = Tally::default();
    let due_of = |number: MessageNumber| match evidence.first_send(number)?.call.kind {
        Kind::Delay { due_unix_ms } => Some(due_unix_ms),
        Kind::Normal | Kind::Transaction => None,
    };
    for reference in &evidence.deliveries {
        let number = reference.course.message;
        let Some(due_unix_ms) = due_of(number) else { continue };
        let stored_unix_ms = evidence.delivered(*reference).delivery.stored_unix_ms;
        let Some(stored_unix_ms) = stored_unix_ms.filter(|stored| *stored < due_unix_ms) else { continue };
        tally.violated(Some(evidence.delivered(*reference).operation.return_ns), || {
            format!(
                "message {} got its place {} ms before it was due, by the broker's clock",
                evidence.id(number),
                due_unix_ms - stored_unix_ms
            )
        });
    }
    for number in 0..evidence.messages.len() as MessageNumber {
        if let Some(due_unix_ms) = due_of(number) {
            look_at(evidence, number, due_unix_ms, &mut tally);
        }
    }
    tally.verdict("no delayed message was delivered")
}

fn look_at(evidence: &Evidence<'_>, number: MessageNumber, due_unix_ms: u64, tally: &mut Tally) {
    let header = &evidence.history.header;
    let tolerance_ms = header.rules.clock_tolerance_ms;
    let earliest_ns = ns(due_unix_ms.saturating_sub(header.started_unix_ms).saturating_sub(tolerance_ms));
    let sources = [Source::Delivery, Source::Pull, Source::Stored];
    let mut visible = evidence.seen_of(number).filter(|seen| sources.contains(&seen.source)).peekable();
    if let Some(seen) = visible.peek() {
        tally.checked += 1;
        let recalled = evidence.messages[number as usize].recalled;
        if let Some((began_ns, Outcome::Ok)) = recalled {
            tally.violated(seen.at_ns, || {
                let (id, by) = (evidence.id(number), seen.source.word());
                format!("{by} has message {id}, which was taken back at {}", seconds(began_ns))
            });
        }
    }
    let early = visible.filter_map(|seen| seen.at_ns).find(|at_ns| *at_ns < earliest_ns);
    if let Some(at_ns) = early {
        tally.violated(Some(at_ns), || {
            let due_ns = ns(due_unix_ms.saturating_sub(header.started_unix_ms));
            format!(
                "message {} was delivered at {}, but due at {} (tolerance {tolerance_ms} ms)",
                evidence.id(number),
                seconds(at_ns),
                seconds(due_ns)
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, got, pull, recall, receive, send};

    fn delayed() -> Story {
        let mut story = Story::new();
        story.op(send("a").due_in(1000).at(0, 5));
        story
    }

    #[test]
    fn a_delivery_when_it_is_due_holds() {
        let mut story = delayed();
        story.op(receive([got("a").stored_at(1000)]).at(900, 1001));
        assert_eq!(story.check(check), Verdict::Held { checked: 1 });
    }

    #[test]
    fn undelivered_and_undelayed_messages_prove_nothing() {
        let mut story = delayed();
        story.op(send("b").at(0, 5)).op(receive([got("b")]).at(6, 9));
        assert!(matches!(story.check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn one_millisecond_early_by_the_brokers_clock_is_found() {
        let mut story = delayed();
        story.op(receive([got("a").stored_at(999)]).at(900, 1001));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn the_consumers_clock_has_its_tolerance() {
        let mut story = delayed();
        story.op(receive([got("a").stored_at(1000)]).at(890, 900));
        assert!(story.check(check).is_held(), "100 ms are allowed");
        let mut story = delayed();
        story.op(receive([got("a").stored_at(1000)]).at(890, 899));
        assert!(story.check(check).is_violated(), "the broker's clock was wrong");
        let mut story = delayed();
        story.op(pull(0, [("a", 0)]).at(100, 200));
        assert!(story.check(check).is_violated(), "a pull is a delivery too");
    }

    #[test]
    fn an_early_first_delivery_is_found_behind_a_late_one() {
        let mut story = delayed();
        story.op(receive([got("a").attempt(2)]).at(1900, 2000)).op(receive([got("a")]).at(100, 200));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn what_was_taken_back_is_not_delivered() {
        let mut story = delayed();
        story.op(recall("a").info().at(10, 20)).op(receive([got("a")]).at(1100, 1200));
        assert!(story.check(check).is_held(), "nobody knows whether it was taken back");
        let mut story = delayed();
        story.op(recall("a").at(10, 20)).op(receive([got("a")]).at(1100, 1200));
        assert!(story.check(check).is_violated());
    }
}
