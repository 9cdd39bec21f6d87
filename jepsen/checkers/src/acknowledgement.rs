//! Acknowledgement: what is acknowledged is never delivered again to that consumer group, and a
//! receipt is accepted only while its lease lives. A repetition of what may have happened already is
//! answered like the first time, and so is no violation.

use crate::evidence::{Course, Evidence, LeaseSpan, SettleKind, SettleRef, seconds};
use crate::history::Outcome;
use crate::verdict::{Tally, Verdict};

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut tally = Tally::default();
    for (course, deliveries, settles) in evidence.courses() {
        if settles.is_empty() {
            continue;
        }
        let leases = evidence.leases(deliveries, settles);
        for settle in settles {
            tally.checked += u64::from(settle.outcome != Outcome::Info);
            if settle.outcome == Outcome::Ok {
                let why = why_stale(&leases, settles, settle);
                if let Some(why) = why {
                    tally.violated(Some(settle.return_ns), || {
                        format!("{}: a receipt was accepted that {why}", describe(evidence, course, settle))
                    });
                }
            }
        }
        let is_done = |settle: &&SettleRef| {
            settle.outcome == Outcome::Ok && !matches!(settle.kind, SettleKind::Change { .. })
        };
        let Some(done) = settles.iter().filter(is_done).min_by_key(|settle| settle.return_ns) else {
            continue;
        };
        for reference in deliveries {
            let operation = evidence.delivered(*reference).operation;
            if operation.invoke_ns > done.return_ns {
                tally.violated(Some(operation.return_ns), || {
                    let at = seconds(operation.return_ns);
                    format!("{}: delivered again at {at}", describe(evidence, course, done))
                });
            }
        }
    }
    tally.verdict("nothing was acknowledged")
}

fn describe(evidence: &Evidence<'_>, course: Course, settle: &SettleRef) -> String {
    let done = match settle.kind {
        SettleKind::Acknowledge => "acknowledged",
        SettleKind::DeadLetter => "moved to the dead letters",
        SettleKind::Change { .. } => "changed in its lease",
    };
    let (id, group) = (evidence.id(course.message), evidence.text(course.group));
    format!("message {id}, {done} for consumer group {group} at {}", seconds(settle.return_ns))
}

/// Why a receipt cannot have been valid when it was accepted.
fn why_stale(leases: &[LeaseSpan], settles: &[SettleRef], settle: &SettleRef) -> Option<String> {
    if is_repetition(settles, settle) {
        return None;
    }
    let Some(lease) = leases.iter().find(|lease| lease.has(settle.receipt)) else {
        return Some("nobody was given".to_owned());
    };
    let useless_ns = lease.useless_ns(settle.receipt);
    if settle.invoke_ns > useless_ns {
        let ended = seconds(useless_ns);
        return Some(format!(
            "had expired: its lease had ended at {ended}, and it was used at {}",
            seconds(settle.invoke_ns)
        ));
    }
    let is_later = |other: &&LeaseSpan| other.attempt > lease.attempt && other.told_ns < settle.invoke_ns;
    if let Some(later) = leases.iter().find(is_later) {
        let (mine, other) = (lease.attempt, later.attempt);
        return Some(format!(
            "was of attempt {mine}, after attempt {other} was delivered at {}",
            seconds(later.told_ns)
        ));
    }
    let replaced = settles.iter().find(|change| {
        let is_change =
            matches!(change.kind, SettleKind::Change { new_receipt: Some(new), .. } if new != settle.receipt);
        is_change
            && change.receipt == settle.receipt
            && change.outcome == Outcome::Ok
            && change.return_ns < settle.invoke_ns
    });
    replaced.map(|change| format!("had been replaced at {}", seconds(change.return_ns)))
}

/// Whether the same was asked for before with the same receipt, and may have happened then.
fn is_repetition(settles: &[SettleRef], settle: &SettleRef) -> bool {
    settles.iter().any(|other| {
        other.receipt == settle.receipt
            && std::mem::discriminant(&other.kind) == std::mem::discriminant(&settle.kind)
            && other.outcome.may_have_happened()
            && other.invoke_ns < settle.invoke_ns
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, ack, bury, change, got, receive, send};

    /// Leased from 10-20 for a second.
    fn leased() -> Story {
        let mut story = Story::new();
        story.op(send("a").at(0, 5)).op(receive([got("a")]).invisible(1000).at(10, 20));
        story
    }

    #[test]
    fn an_acknowledged_message_that_rests_holds() {
        let mut story = leased();
        story.op(ack("a#1").at(30, 40)).op(ack("a#1").at(50, 60)).op(ack("a#1").at(5000, 5010));
        assert_eq!(story.check(check), Verdict::Held { checked: 3 });
        assert!(matches!(leased().check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn a_delivery_after_the_acknowledgement_is_found() {
        for settle in [ack("a#1"), bury("a#1")] {
            let mut story = leased();
            story.op(settle.at(30, 40)).op(receive([got("a").attempt(2)]).at(41, 50));
            assert!(story.check(check).is_violated());
        }
    }

    #[test]
    fn a_delivery_that_overlaps_may_have_been_first() {
        let mut story = leased();
        story.op(ack("a#1").at(30, 40)).op(receive([got("a")]).at(35, 50));
        assert!(story.check(check).is_held());
    }

    #[test]
    fn an_unknown_acknowledgement_may_not_have_happened() {
        let mut story = leased();
        story.op(ack("a#1").info().at(30, 40)).op(receive([got("a").attempt(2)]).at(2000, 2010));
        story.op(ack("a#2").at(2020, 2030));
        assert_eq!(story.check(check), Verdict::Held { checked: 1 });
        let mut refused = leased();
        refused.op(ack("a#1").fail().at(30, 40)).op(receive([got("a").attempt(2)]).at(2000, 2010));
        assert!(refused.check(check).is_held());
    }

    #[test]
    fn a_receipt_beyond_its_lease_is_found() {
        // 1020 is the latest end, and 100 are tolerated.
        let mut story = leased();
        story.op(ack("a#1").at(1120, 1130));
        assert!(story.check(check).is_held());
        let mut story = leased();
        story.op(ack("a#1").at(1121, 1130));
        assert!(story.check(check).is_violated());
        let mut story = leased();
        story.op(change("a#1", 1000, "a#1'").at(1121, 1130));
        assert!(story.check(check).is_violated(), "not for a change either");
        let mut story = leased();
        story.op(ack("a#1").info().at(900, 950)).op(ack("a#1").at(1121, 1130));
        assert!(story.check(check).is_held(), "a repetition of what may have happened in time");
    }

    #[test]
    fn a_receipt_after_the_next_delivery_is_found() {
        let mut story = leased();
        story.op(receive([got("a").attempt(2)]).by(2).at(1000, 1030)).op(ack("a#1").at(1031, 1040));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn a_replaced_receipt_is_found() {
        let mut story = leased();
        story.op(change("a#1", 1000, "a#1'").at(30, 40)).op(ack("a#1").at(50, 60));
        assert!(story.check(check).is_violated());
        let mut story = leased();
        story.op(change("a#1", 1000, "a#1'").at(30, 40)).op(ack("a#1'").at(50, 60));
        assert!(story.check(check).is_held());
        let mut story = leased();
        story.op(change("a#1", 1000, "a#1'").at(30, 40)).op(ack("a#1").at(35, 60));
        assert!(story.check(check).is_held(), "the acknowledgement may have been first");
    }

    #[test]
    fn a_receipt_from_nowhere_is_found() {
        let mut story = leased();
        story.op(ack("a#forged").at(30, 40));
        assert!(story.check(check).is_violated());
    }
}
