//! Redelivery: attempts count up, not beyond the maximum, and nobody gets a message inside somebody's live lease.
//!
//! A lease lives from its grant, which is after its receive was called, until it has run out by the
//! run's tolerance, was changed, or its client said goodbye. A delivery with the same receipt is the
//! same lease told again.

use crate::evidence::{Course, Evidence, LeaseSpan, MessageNumber, seconds};
use crate::history::Symbol;
use crate::verdict::{Tally, Verdict};

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut tally = Tally::default();
    for (course, deliveries, settles) in evidence.courses() {
        let leases = evidence.leases(deliveries, settles);
        tally.checked += leases.len() as u64;
        let about = About { evidence, course };
        about.look_at_attempts(&leases, &mut tally);
        for (at, lease) in leases.iter().enumerate() {
            for later in &leases[at + 1..] {
                about.compare(lease, later, &mut tally);
            }
        }
    }
    tally.verdict("no message was delivered with a lease")
}

struct About<'e, 'h> {
    evidence: &'e Evidence<'h>,
    course: Course,
}

impl About<'_, '_> {
    fn name(&self) -> String {
        let Course { group, message } = self.course;
        format!("message {} to consumer group {}", self.evidence.id(message), self.evidence.text(group))
    }

    fn look_at_attempts(&self, leases: &[LeaseSpan], tally: &mut Tally) {
        let most = attempts_max(self.evidence, self.course.group, self.course.message);
        for lease in leases {
            if lease.attempt == 0 || most.is_some_and(|most| lease.attempt > most) {
                tally.violated(Some(lease.told_ns), || {
                    let most = most.map_or("any number of".to_owned(), |most| most.to_string());
                    format!("{} was delivered as attempt {} of {most}", self.name(), lease.attempt)
                });
            }
        }
    }

    /// Two leases, of which `later` was asked for later (or at the same time).
    fn compare(&self, lease: &LeaseSpan, later: &LeaseSpan, tally: &mut Tally) {
        let is_apart = lease.told_ns < later.began_ns;
        if lease.attempt == later.attempt || (is_apart && later.attempt < lease.attempt) {
            tally.violated(Some(later.told_ns), || {
                let (first, second) = (lease.attempt, later.attempt);
                let (told, again) = (seconds(lease.told_ns), seconds(later.told_ns));
                format!("{} was attempt {first} at {told}, and attempt {second} at {again}", self.name())
            });
            return;
        }
        let (first, second) = if lease.attempt < later.attempt { (lease, later) } else { (later, lease) };
        if second.told_ns < first.ends_ns_min {
            tally.violated(Some(second.told_ns), || {
                format!(
                    "{} was delivered again at {}, inside a lease of attempt {} that was asked for at {} and lives \
                     to {} at least",
                    self.name(),
                    seconds(second.told_ns),
                    first.attempt,
                    seconds(first.began_ns),
                    seconds(first.ends_ns_min)
                )
            });
        }
    }
}

/// How often a message may be delivered to a consumer group, where the history says so.
pub(crate) fn attempts_max(evidence: &Evidence<'_>, group: Symbol, message: MessageNumber) -> Option<u32> {
    let topic = evidence.first_send(message)?.call.topic;
    let subscriptions = &evidence.history.subscriptions;
    let subscription = subscriptions.iter().find(|of| of.group == group && of.topic == topic)?;
    Some(subscription.max_attempts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, change, farewell, got, receive, send};

    fn leased() -> Story {
        let mut story = Story::new();
        story.op(send("a").placed(0, 0).at(0, 5)).subscribe_as(false, 3);
        story.op(receive([got("a")]).invisible(1000).at(10, 20));
        story
    }

    fn again(at_ms: u64) -> crate::story::Op {
        receive([got("a").attempt(2)]).invisible(1000).by(2).at(at_ms - 5, at_ms)
    }

    #[test]
    fn a_redelivery_after_the_lease_holds() {
        let mut story = leased();
        story.op(again(1011)).op(receive([got("a").attempt(3)]).at(2100, 2200));
        assert_eq!(story.check(check), Verdict::Held { checked: 3 });
        assert!(matches!(Story::new().check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn a_redelivery_inside_the_lease_is_found() {
        let mut story = leased();
        // 1010 is when it may end, less 100 of tolerance.
        story.op(again(909));
        assert!(story.check(check).is_violated());
        let mut story = leased();
        story.op(again(910));
        assert!(story.check(check).is_held());
    }

    #[test]
    fn the_same_receipt_again_is_the_same_lease() {
        let mut story = leased();
        story.op(receive([got("a")]).at(21, 30));
        assert_eq!(story.check(check), Verdict::Held { checked: 1 });
    }

    #[test]
    fn a_message_that_was_given_back_may_come_at_once() {
        let mut story = leased();
        story.op(change("a#1", 0, "a#1'").at(30, 40)).op(again(41));
        assert!(story.check(check).is_held());
        let mut story = leased();
        story.op(change("a#1", 0, "a#1'").info().at(30, 40)).op(again(41));
        assert!(story.check(check).is_held(), "it may have been given back");
        let mut story = leased();
        story.op(change("a#1", 0, "a#1'").fail().at(30, 40)).op(again(41));
        assert!(story.check(check).is_violated(), "it was not given back");
    }

    #[test]
    fn a_longer_lease_is_respected() {
        let mut story = leased();
        story.op(change("a#1", 5000, "a#1'").at(30, 40)).op(again(1200));
        assert!(story.check(check).is_violated());
        let mut twice = leased();
        twice.op(change("a#1", 5000, "a#1'").at(30, 40)).op(change("a#1'", 100, "a#1''").at(50, 60));
        twice.op(again(151));
        assert!(twice.check(check).is_held());
    }

    #[test]
    fn a_repeated_change_changes_nothing() {
        let mut told = leased();
        told.op(change("a#1", 300, "a#1'").at(30, 40)).op(change("a#1", 300, "a#1'").at(200, 210));
        told.op(again(240));
        assert!(told.check(check).is_held(), "the first one counts: 30 + 300 less 100");
        let mut unknown = leased();
        unknown.op(change("a#1", 300, "a#1'").info().at(30, 40)).op(change("a#1", 300, "a#1'").at(200, 210));
        unknown.op(again(240));
        assert!(unknown.check(check).is_held(), "the first one may have counted");
        let mut once = leased();
        once.op(change("a#1", 300, "a#1'").fail().at(30, 40)).op(change("a#1", 300, "a#1'").at(200, 210));
        once.op(again(240));
        assert!(once.check(check).is_violated(), "the first one was refused");
    }

    #[test]
    fn a_goodbye_ends_the_clients_own_leases_only() {
        let mut story = leased();
        story.op(farewell().at(30, 40)).op(again(41));
        assert!(story.check(check).is_held());
        let mut story = leased();
        story.op(farewell().by(9).at(30, 40)).op(again(41));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn attempts_count_up() {
        let mut equal = leased();
        equal.op(receive([got("a").receipt("a#other")]).at(1995, 2000));
        assert!(equal.check(check).is_violated(), "the same number twice");
        let mut down = leased();
        down.op(receive([got("a").attempt(3)]).invisible(100).at(2000, 2010)).op(again(3000));
        assert!(down.check(check).is_violated(), "a lower number later");
        let mut overlapping = leased();
        overlapping.op(receive([got("a").attempt(3)]).at(1500, 4010)).op(again(1600));
        assert!(overlapping.check(check).is_held(), "attempt 3 came after attempt 2 had ended");
    }

    #[test]
    fn there_is_a_last_attempt() {
        let mut story = leased();
        story.op(receive([got("a").attempt(4)]).at(5000, 5010));
        assert!(story.check(check).is_violated());
        let mut story = leased();
        story.op(receive([got("a").attempt(0)]).at(5000, 5010));
        assert!(story.check(check).is_violated());
    }
}
