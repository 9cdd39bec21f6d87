//! Receive linearizability: for each consumer group a message goes available → leased → available →
//! ... → acknowledged or dead-lettered, and all answers fit into one such course.
//!
//! Attempts number the leases, so there is one possible order of what was confirmed: the leases by
//! attempt, each with its changes, and at the end the settlement of the last lease. The question is
//! whether points in time can be found, one within each call, that ascend in this order; taking the
//! earliest possible one each time answers it. That a lease ends by itself can be at any time here:
//! [`crate::redelivery`] and [`crate::acknowledgement`] judge the times.

use crate::evidence::{Course, Evidence, LeaseSpan, SettleKind, SettleRef, seconds};
use crate::history::Outcome;
use crate::verdict::{Tally, Verdict};

/// A step of the course that was confirmed.
#[derive(Clone, Copy)]
struct Step {
    attempt: u32,
    settles: bool,
    invoke_ns: u64,
    return_ns: u64,
}

impl Step {
    fn name(&self) -> String {
        let of = if self.settles { "the settlement of " } else { "" };
        format!("{of}attempt {}", self.attempt)
    }
}

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut tally = Tally::default();
    for (course, deliveries, settles) in evidence.courses() {
        let mut leases = evidence.leases(deliveries, settles);
        if leases.is_empty() {
            continue;
        }
        tally.checked += 1;
        leases.sort_by_key(|lease| (lease.attempt, lease.began_ns));
        if let Err((at_ns, why)) = find_course(&leases, settles) {
            tally.violated(Some(at_ns), || {
                let Course { group, message } = course;
                format!("message {} for consumer group {}: {why}", evidence.id(message), evidence.text(group))
            });
        }
    }
    tally.verdict("no message was delivered with a lease")
}

fn find_course(leases: &[LeaseSpan], settles: &[SettleRef]) -> Result<(), (u64, String)> {
    if let Some(twice) = leases.windows(2).find(|pair| pair[0].attempt == pair[1].attempt) {
        return Err((twice[1].told_ns, format!("attempt {} is two leases", twice[0].attempt)));
    }
    let mut steps: Vec<Step> = Vec::with_capacity(leases.len() + 1);
    let mut settled: Option<(&SettleRef, u32)> = None;
    for lease in leases {
        if let Some((settle, attempt)) = settled {
            let at = seconds(settle.return_ns);
            let why = format!("attempt {} although attempt {attempt} was settled at {at}", lease.attempt);
            return Err((lease.told_ns, why));
        }
        let (invoke_ns, return_ns) = (lease.began_ns, lease.told_ns);
        steps.push(Step { attempt: lease.attempt, settles: false, invoke_ns, return_ns });
        let confirmed = settles.iter().filter(|one| one.outcome == Outcome::Ok && lease.has(one.receipt));
        for settle in confirmed {
            settled = settled_by(settle, settled, lease, &mut steps)?;
        }
    }
    let mut now_ns = 0;
    let mut before: Option<Step> = None;
    for step in &steps {
        now_ns = now_ns.max(step.invoke_ns);
        if now_ns > step.return_ns {
            let (began, ended) = (seconds(now_ns), seconds(step.return_ns));
            let before = before.map_or(String::new(), |before| before.name());
            let why =
                format!("{} had ended at {ended}, so it cannot be after {before} at {began}", step.name());
            return Err((step.return_ns, why));
        }
        before = Some(*step);
    }
    Ok(())
}

type Settled<'s> = Option<(&'s SettleRef, u32)>;

fn settled_by<'s>(
    settle: &'s SettleRef,
    settled: Settled<'s>,
    lease: &LeaseSpan,
    steps: &mut Vec<Step>,
) -> Result<Settled<'s>, (u64, String)> {
    let (invoke_ns, return_ns) = (settle.invoke_ns, settle.return_ns);
    match (settle.kind, settled) {
        // Changes may overlap each other; they are between this lease's beginning and the next one's.
        (SettleKind::Change { .. }, _) => Ok(settled),
        (kind, Some((first, _))) if kind != first.kind => {
            Err((return_ns, "it was acknowledged, and moved to the dead letters".to_owned()))
        }
        (_, Some(_)) => Ok(settled),
        (_, None) => {
            steps.push(Step { attempt: lease.attempt, settles: true, invoke_ns, return_ns });
            Ok(Some((settle, lease.attempt)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, ack, bury, got, receive, send};

    fn story() -> Story {
        let mut story = Story::new();
        story.op(send("a").at(0, 5)).op(receive([got("a")]).invisible(1000).at(10, 20));
        story
    }

    #[test]
    fn a_course_to_its_end_is_linearizable() {
        let mut story = story();
        story.op(ack("a#1").fail().at(2000, 2010)).op(receive([got("a").attempt(2)]).at(1900, 2020));
        story.op(ack("a#2").at(2030, 2040)).op(ack("a#2").at(2050, 2060)).op(receive([got("b")]).at(0, 3000));
        assert_eq!(story.check(check), Verdict::Held { checked: 2 });
        assert!(matches!(Story::new().check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn a_missing_attempt_was_lost_on_its_way() {
        let mut story = story();
        story.op(receive([got("a").attempt(4)]).at(4000, 4010));
        assert!(story.check(check).is_held());
    }

    #[test]
    fn two_leases_at_once_are_found() {
        let mut story = story();
        story.op(receive([got("a").receipt("a#other")]).by(2).at(10, 20));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn two_settlements_are_found() {
        let mut both = story();
        both.op(receive([got("a").attempt(2)]).at(2000, 2010));
        both.op(ack("a#1").at(30, 5000)).op(ack("a#2").at(2020, 2030));
        assert!(both.check(check).is_violated());
        let mut kinds = story();
        kinds.op(ack("a#1").at(30, 40)).op(bury("a#1").at(30, 40));
        assert!(kinds.check(check).is_violated());
    }

    #[test]
    fn a_lease_after_the_settlement_is_found_even_when_calls_overlap() {
        let mut story = story();
        story.op(ack("a#1").at(30, 5000)).op(receive([got("a").attempt(2)]).at(2000, 2010));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn an_order_against_time_is_found() {
        let mut story = Story::new();
        story.op(send("a").at(0, 5)).op(receive([got("a").attempt(2)]).at(10, 20));
        story.op(receive([got("a")]).at(30, 40));
        assert!(story.check(check).is_violated());
        let mut early = Story::new();
        early.op(send("a").at(0, 5)).op(receive([got("a")]).at(50, 60)).op(ack("a#1").at(10, 20));
        early.op(ack("a#1").at(70, 80));
        assert!(early.check(check).is_violated(), "acknowledged before it was leased");
    }
}
