//! FIFO: for each consumer group and message group, a message is delivered only together with, or
//! after the settlement of, all earlier ones. Across failovers too, and whatever becomes of leases:
//! one that ran out settles nothing.
//!
//! So no two batches of a message group are under way at once, and first deliveries are in order.

use std::collections::HashMap;

use crate::evidence::{Course, Evidence, Fate, MessageNumber, SettleKind, seconds};
use crate::history::{Subscription, Symbol};
use crate::redelivery::attempts_max;
use crate::verdict::{Tally, Verdict};

/// A message in the order of its message group.
struct Member {
    topic: Symbol,
    message_group: Symbol,
    offset: u64,
    message: MessageNumber,
}

/// A delivery of one.
struct Step {
    message_group: Symbol,
    operation: u32,
    at: u32,
    /// Where the message is in its message group.
    rank: usize,
}

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let members = members(evidence);
    let mut tally = Tally::default();
    for subscription in evidence.history.subscriptions.iter().filter(|subscription| subscription.fifo) {
        let from = members.partition_point(|member| member.topic < subscription.topic);
        let len = members[from..].partition_point(|member| member.topic == subscription.topic);
        Order::new(evidence, subscription, &members[from..from + len]).check(&mut tally);
    }
    tally.verdict("no consumer group that reads in order got a message of a message group")
}

fn members(evidence: &Evidence<'_>) -> Vec<Member> {
    let mut members = Vec::new();
    for message in 0..evidence.messages.len() as MessageNumber {
        let Some(send) = evidence.first_send(message) else { continue };
        let (Some(message_group), Fate::At(place)) = (send.call.message_group, evidence.fate(message)) else {
            continue;
        };
        members.push(Member { topic: send.call.topic, message_group, offset: place.offset, message });
    }
    members.sort_unstable_by_key(|member| (member.topic, member.message_group, member.offset));
    members
}

/// All message groups of a topic, as one consumer group reads them.
struct Order<'e, 'h> {
    evidence: &'e Evidence<'h>,
    subscription: &'e Subscription<Symbol>,
    members: &'e [Member],
    /// When each may first have been settled; `u64::MAX` if never.
    settled_ns: Vec<u64>,
    /// The member among the earlier ones of its message group that was settled last, if there are earlier ones.
    last_before: Vec<Option<usize>>,
}

impl<'e, 'h> Order<'e, 'h> {
    fn new(
        evidence: &'e Evidence<'h>,
        subscription: &'e Subscription<Symbol>,
        members: &'e [Member],
    ) -> Order<'e, 'h> {
        let settled = |member: &Member| settled_ns(evidence, subscription.group, member.message);
        let mut order = Order {
            evidence,
            subscription,
            members,
            settled_ns: members.iter().map(settled).collect(),
            last_before: vec![None; members.len()],
        };
        if !subscription.from_first {
            order.skip_what_was_before();
        }
        for at in 1..members.len() {
            if members[at - 1].message_group == members[at].message_group {
                let before = at - 1;
                let earlier =
                    order.last_before[before].filter(|one| order.settled_ns[*one] > order.settled_ns[before]);
                order.last_before[at] = Some(earlier.unwrap_or(before));
            }
        }
        order
    }

    /// Nobody knows where it began to read: what is before the first delivery does not count.
    fn skip_what_was_before(&mut self) {
        let mut is_before = HashMap::new();
        for (at, member) in self.members.iter().enumerate() {
            let before = is_before.entry(member.message_group).or_insert(true);
            let course = Course { group: self.subscription.group, message: member.message };
            *before &= self.evidence.deliveries_of(course).is_empty();
            if *before {
                self.settled_ns[at] = 0;
            }
        }
    }

    fn check(&self, tally: &mut Tally) {
        let mut steps = Vec::new();
        for (rank, member) in self.members.iter().enumerate() {
            let course = Course { group: self.subscription.group, message: member.message };
            steps.extend(self.evidence.deliveries_of(course).iter().map(|delivery| Step {
                message_group: member.message_group,
                operation: delivery.operation,
                at: delivery.at,
                rank,
            }));
        }
        steps.sort_unstable_by_key(|step| (step.message_group, step.operation, step.at));
        for batch in steps.chunk_by(|a, b| (a.message_group, a.operation) == (b.message_group, b.operation)) {
            tally.checked += batch.len() as u64;
            self.look_at(batch, tally);
        }
        for member in self.members {
            self.look_for_two_at_once(member, tally);
        }
    }

    /// A message that comes again while its first lease lives is two batches of its message group at once.
    fn look_for_two_at_once(&self, member: &Member, tally: &mut Tally) {
        let course = Course { group: self.subscription.group, message: member.message };
        let deliveries = self.evidence.deliveries_of(course);
        if deliveries.len() < 2 {
            return;
        }
        let mut leases = self.evidence.leases(deliveries, self.evidence.settles_of(course));
        leases.sort_by_key(|lease| lease.attempt);
        for pair in leases.windows(2).filter(|pair| pair[1].told_ns < pair[0].ends_ns_min) {
            tally.violated(Some(pair[1].told_ns), || {
                format!(
                    "consumer group {} got message {} of message group {} at {} while it was leased from {} to {} at \
                     least",
                    self.evidence.text(self.subscription.group),
                    self.evidence.id(member.message),
                    self.evidence.text(member.message_group),
                    seconds(pair[1].told_ns),
                    seconds(pair[0].told_ns),
                    seconds(pair[0].ends_ns_min)
                )
            });
        }
    }

    /// What came of one message group in one receive.
    fn look_at(&self, batch: &[Step], tally: &mut Tally) {
        let return_ns = self.evidence.history.operations[batch[0].operation as usize].return_ns;
        let violated = |tally: &mut Tally, rank: usize, what: &str, other: usize| {
            tally.violated(Some(return_ns), || {
                format!(
                    "consumer group {} got message {} of message group {} at {}, {what} {}",
                    self.evidence.text(self.subscription.group),
                    self.evidence.id(self.members[rank].message),
                    self.evidence.text(self.members[rank].message_group),
                    seconds(return_ns),
                    self.evidence.id(self.members[other].message)
                )
            });
        };
        if let Some(pair) = batch.windows(2).find(|pair| pair[0].rank >= pair[1].rank) {
            violated(tally, pair[1].rank, "in one batch behind the later", pair[0].rank);
            return;
        }
        let first = batch[0].rank;
        let blocking = self.last_before[first].filter(|before| self.settled_ns[*before] > return_ns);
        if let Some(before) = blocking {
            violated(tally, first, "before the earlier one was settled:", before);
        }
        for pair in batch.windows(2) {
            let mut between = pair[0].rank + 1..pair[1].rank;
            if let Some(skipped) = between.find(|rank| self.settled_ns[*rank] > return_ns) {
                violated(tally, pair[1].rank, "before the earlier one was settled:", skipped);
            }
        }
    }
}

/// When a message may first have been settled for a consumer group; `u64::MAX` if that cannot be.
fn settled_ns(evidence: &Evidence<'_>, group: Symbol, message: MessageNumber) -> u64 {
    let course = Course { group, message };
    let settles = evidence.settles_of(course);
    let confirmed = settles
        .iter()
        .filter(|settle| settle.outcome.may_have_happened())
        .filter(|settle| !matches!(settle.kind, SettleKind::Change { .. }))
        .map(|settle| settle.invoke_ns)
        .min()
        .unwrap_or(u64::MAX);
    // After its last attempt the broker moves it to the dead letters by itself.
    let most = attempts_max(evidence, group, message).unwrap_or(u32::MAX);
    let leases = evidence.leases(evidence.deliveries_of(course), settles);
    let last = leases.iter().filter(|lease| lease.attempt >= most).map(|lease| lease.ends_ns_min).min();
    let topic = evidence.first_send(message).map(|send| send.call.topic);
    let trimmed =
        match (topic, evidence.fate(message)) {
            (Some(topic), Fate::At(place)) => evidence.history.queues.iter().any(|queue| {
                (queue.topic, queue.queue) == (topic, place.queue) && place.offset < queue.first
            }),
            _ => false,
        };
    // Retention settles too, nobody knows when.
    if trimmed { 0 } else { confirmed.min(last.unwrap_or(u64::MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Got, Op, Story, ack, got, receive, send};

    /// Four messages of message group `o`, and one of `p`, in one queue.
    fn story() -> Story {
        let mut story = Story::new();
        story.subscribe_as(true, 3);
        for (offset, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
            story.op(send(id).ordered("o").placed(0, offset as u64).at(0, 5));
        }
        story.op(send("x").ordered("p").placed(0, 4).at(0, 5));
        story
    }

    fn one(id: &str) -> Got {
        let offset = ["a", "b", "c", "d", "x"].iter().position(|other| *other == id).unwrap() as u64;
        got(id).placed(0, offset).ordered(if id == "x" { "p" } else { "o" })
    }

    fn story_with<const N: usize>(operations: [Op; N]) -> Verdict {
        let mut story = story();
        for operation in operations {
            story.op(operation);
        }
        story.check(check)
    }

    #[test]
    fn in_order_one_by_one_and_in_batches_holds() {
        let verdict = story_with([
            receive([one("a"), one("b")]).at(10, 20),
            receive([one("x")]).by(2).at(10, 20),
            ack("a#1").at(21, 25),
            ack("b#1").at(21, 25),
            receive([one("c")]).by(2).at(15, 30),
            ack("c#1").at(31, 35),
            receive([one("d")]).at(36, 40),
        ]);
        assert_eq!(verdict, Verdict::Held { checked: 5 });
        assert!(matches!(story().check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn two_batches_at_once_are_found() {
        assert!(
            story_with([receive([one("a")]).at(10, 20), receive([one("b")]).by(2).at(30, 40)]).is_violated()
        );
        let after = [receive([one("a")]).at(10, 20), receive([one("b")]).at(30, 40), ack("a#1").at(41, 50)];
        assert!(story_with(after).is_violated());
        let refused =
            [receive([one("a")]).at(10, 20), ack("a#1").fail().at(21, 25), receive([one("b")]).at(30, 40)];
        assert!(story_with(refused).is_violated());
    }

    #[test]
    fn the_same_batch_twice_at_once_is_found() {
        let twice = [receive([one("a")]).at(10, 20), receive([one("a").attempt(2)]).by(2).at(30, 40)];
        assert!(story_with(twice).is_violated());
        let later = [
            receive([one("a")]).invisible(100).at(10, 20),
            receive([one("a").attempt(2)]).by(2).at(130, 140),
        ];
        assert!(story_with(later).is_held());
    }

    #[test]
    fn an_acknowledgement_under_way_may_have_happened() {
        let overlapping =
            [receive([one("a")]).at(10, 20), receive([one("b")]).at(15, 40), ack("a#1").at(39, 50)];
        assert!(story_with(overlapping).is_held());
        let unknown =
            [receive([one("a")]).at(10, 20), ack("a#1").info().at(21, 25), receive([one("b")]).at(30, 40)];
        assert!(story_with(unknown).is_held());
    }

    #[test]
    fn a_lease_that_ran_out_settles_nothing() {
        let skipped = [receive([one("a")]).invisible(100).at(10, 20), receive([one("b")]).at(1000, 1010)];
        assert!(story_with(skipped).is_violated());
        let together = [
            receive([one("a")]).invisible(100).at(10, 20),
            receive([one("a").attempt(2), one("b")]).at(1000, 1010),
        ];
        assert!(story_with(together).is_held());
    }

    #[test]
    fn first_deliveries_out_of_order_are_found() {
        assert!(story_with([receive([one("b")]).at(10, 20)]).is_violated());
        assert!(story_with([receive([one("b"), one("a")]).at(10, 20)]).is_violated());
        assert!(story_with([receive([one("a"), one("c")]).at(10, 20)]).is_violated());
        let far = [receive([one("a")]).at(10, 20), ack("a#1").at(21, 25), receive([one("d")]).at(30, 40)];
        assert!(story_with(far).is_violated());
    }

    #[test]
    fn the_first_of_a_batch_blocks_until_it_is_settled_too() {
        let verdict = story_with([
            receive([one("a"), one("b")]).at(10, 20),
            ack("b#1").at(21, 25),
            receive([one("c")]).at(30, 40),
        ]);
        assert!(verdict.is_violated());
        // Given back alone, while the settled one between stays away.
        let verdict = story_with([
            receive([one("a"), one("b")]).invisible(100).at(10, 20),
            ack("b#1").at(21, 25),
            receive([one("a").attempt(2), one("c")]).at(1000, 1010),
        ]);
        assert!(verdict.is_held());
    }

    #[test]
    fn after_its_last_attempt_a_message_blocks_nobody() {
        let verdict = story_with([
            receive([one("a").attempt(3)]).invisible(1000).at(10, 20),
            receive([one("b")]).at(1100, 1200),
        ]);
        assert!(verdict.is_held());
        let verdict = story_with([
            receive([one("a").attempt(3)]).invisible(1000).at(10, 20),
            receive([one("b")]).at(500, 600),
        ]);
        assert!(verdict.is_violated(), "its lease still lives");
    }

    #[test]
    fn a_consumer_group_without_order_owes_none() {
        let mut story = Story::new();
        story.subscribe_as(false, 3);
        story.op(send("a").ordered("o").placed(0, 0)).op(send("b").ordered("o").placed(0, 1));
        story.op(receive([one("b")]).at(10, 20));
        assert!(matches!(story.check(check), Verdict::NotChecked { .. }));
    }
}
