//! Producer order and monotonic reads: what one producer sends to one message group stays in its
//! order, in one queue; what one session pulls ascends without holes; nobody who asks later sees less.

use std::collections::HashMap;

use crate::evidence::{Evidence, Fate, MessageNumber, seconds};
use crate::history::{Call, GroupOffset, Operation, Outcome, Place, Pull, Symbol};
use crate::verdict::{Tally, Verdict};

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut tally = Tally::default();
    check_sends(evidence, &mut tally);
    check_pulls(evidence, &mut tally);
    check_offsets(evidence, &mut tally);
    tally.verdict("no message group had two messages, nothing was pulled, and no offset was asked for")
}

struct Sent {
    topic: Symbol,
    message_group: Symbol,
    process: u32,
    place: Place,
    message: MessageNumber,
    began_ns: u64,
    /// `u64::MAX` if it was never confirmed: it may have taken effect at any time later.
    returned_ns: u64,
}

fn check_sends(evidence: &Evidence<'_>, tally: &mut Tally) {
    let mut sent = Vec::new();
    for message in 0..evidence.messages.len() as MessageNumber {
        let Some(send) = evidence.first_send(message).filter(|send| send.is_immediate()) else { continue };
        let (Some(message_group), Fate::At(place)) = (send.call.message_group, evidence.fate(message)) else {
            continue;
        };
        let returned_ns = evidence.acked_ns(message).unwrap_or(u64::MAX);
        let (topic, process, began_ns) = (send.call.topic, send.process, send.invoke_ns);
        sent.push(Sent { topic, message_group, process, place, message, began_ns, returned_ns });
    }
    sent.sort_by_key(|one| (one.topic, one.message_group, one.process, one.began_ns));
    for group in sent.chunk_by(|a, b| (a.topic, a.message_group) == (b.topic, b.message_group)) {
        if group.len() < 2 {
            continue;
        }
        tally.checked += group.len() as u64;
        let first = &group[0];
        if let Some(other) = group.iter().find(|one| one.place.queue != first.place.queue) {
            tally.violated(Some(other.began_ns), || {
                format!(
                    "message group {} is in two queues: {} in queue {}, {} in queue {}",
                    evidence.text(first.message_group),
                    evidence.id(first.message),
                    first.place.queue,
                    evidence.id(other.message),
                    other.place.queue
                )
            });
            continue;
        }
        for producer in group.chunk_by(|a, b| a.process == b.process) {
            check_producer(evidence, producer, tally);
        }
    }
}

/// The sends of one process to one message group, by their beginnings.
fn check_producer(evidence: &Evidence<'_>, sent: &[Sent], tally: &mut Tally) {
    let mut by_return: Vec<&Sent> = sent.iter().filter(|one| one.returned_ns != u64::MAX).collect();
    by_return.sort_by_key(|one| one.returned_ns);
    let mut returned = by_return.into_iter().peekable();
    let mut highest: Option<&Sent> = None;
    for one in sent {
        while let Some(done) = returned.next_if(|done| done.returned_ns <= one.began_ns) {
            if highest.is_none_or(|highest| done.place.offset > highest.place.offset) {
                highest = Some(done);
            }
        }
        if let Some(before) = highest.filter(|before| before.place.offset > one.place.offset) {
            tally.violated(Some(one.began_ns), || {
                format!(
                    "process {} sent {} to message group {} after {} was acknowledged, but its offset {} is lower \
                     than {}",
                    one.process,
                    evidence.id(one.message),
                    evidence.text(one.message_group),
                    evidence.id(before.message),
                    one.place.offset,
                    before.place.offset
                )
            });
        }
    }
}

type Queue = (Symbol, u32);

fn check_pulls(evidence: &Evidence<'_>, tally: &mut Tally) {
    let pulls = || {
        evidence.history.operations.iter().filter_map(|operation| match &operation.call {
            Call::Pull(pull) if operation.outcome == Outcome::Ok => Some((operation, pull)),
            _ => None,
        })
    };
    let known = KnownEnds::new(evidence, pulls().map(|(_, pull)| (pull.topic, pull.queue)));
    for (operation, pull) in pulls() {
        tally.checked += 1;
        let expected = pull.pulled.first().map_or(pull.from, |first| first.offset);
        let hole = pull.pulled.iter().enumerate().find(|(at, one)| one.offset != expected + *at as u64);
        let fault = match hole {
            _ if expected < pull.from => Some(format!("got offset {expected}")),
            Some((_, one)) => Some(format!("got offset {} in a row that began with {expected}", one.offset)),
            None => known.stale(operation, pull),
        };
        if let Some(fault) = fault {
            tally.violated(Some(operation.return_ns), || {
                format!(
                    "process {} pulled queue {} of topic {} from offset {} at {} and {fault}",
                    operation.process,
                    pull.queue,
                    evidence.text(pull.topic),
                    pull.from,
                    seconds(operation.return_ns)
                )
            });
        }
    }
}

/// How far each pulled queue was known to go: by time, offsets ascending with it.
struct KnownEnds(HashMap<Queue, Vec<(u64, u64)>>);

impl KnownEnds {
    fn new(evidence: &Evidence<'_>, pulled: impl Iterator<Item = Queue>) -> KnownEnds {
        let mut known: HashMap<Queue, Vec<(u64, u64)>> = pulled.map(|queue| (queue, Vec::new())).collect();
        if known.is_empty() {
            return KnownEnds(known);
        }
        for seen in &evidence.seen {
            let (Some(place), Some(at_ns)) = (seen.place, seen.at_ns) else { continue };
            if let Some(ends) = known.get_mut(&(seen.topic, place.queue)) {
                ends.push((at_ns, place.offset));
            }
        }
        for ends in known.values_mut() {
            ends.sort_unstable();
            let mut highest = 0;
            for (_, offset) in ends {
                highest = highest.max(*offset);
                *offset = highest;
            }
        }
        KnownEnds(known)
    }

    /// Whether an empty answer overlooked what somebody had been told of before.
    fn stale(&self, operation: &Operation<Symbol>, pull: &Pull<Symbol>) -> Option<String> {
        let ends = self.0.get(&(pull.topic, pull.queue))?;
        let before = ends.partition_point(|(at_ns, _)| *at_ns < operation.invoke_ns);
        let (at_ns, offset) = *ends.get(before.checked_sub(1)?)?;
        let is_stale =
            pull.pulled.is_empty() && pull.from <= offset && pull.next.is_none_or(|next| next <= offset);
        is_stale.then(|| format!("got nothing, although offset {offset} was known at {}", seconds(at_ns)))
    }
}

type Offset<'h> = (&'h Operation<Symbol>, &'h GroupOffset<Symbol>);

/// A stored offset is a register: who asks gets what was stored last, or what is being stored. It
/// is judged where one process stores at a time, never less than before.
fn check_offsets(evidence: &Evidence<'_>, tally: &mut Tally) {
    type Register<'h> = (Vec<Offset<'h>>, Vec<Offset<'h>>);
    let mut registers: HashMap<(Symbol, Symbol, u32), Register<'_>> = HashMap::new();
    for operation in &evidence.history.operations {
        let (offset, is_update) = match &operation.call {
            Call::UpdateOffset(offset) if operation.outcome.may_have_happened() => (offset, true),
            Call::QueryOffset(offset) if operation.outcome == Outcome::Ok => (offset, false),
            _ => continue,
        };
        let register = registers.entry((offset.group, offset.topic, offset.queue)).or_default();
        match is_update {
            true => register.0.push((operation, offset)),
            false => register.1.push((operation, offset)),
        }
    }
    let mut registers: Vec<_> = registers.into_iter().collect();
    registers.sort_by_key(|(key, _)| *key);
    for (_, (mut updates, queries)) in registers {
        updates.sort_by_key(|(operation, _)| operation.invoke_ns);
        if updates.windows(2).any(|pair| pair[0].1.offset > pair[1].1.offset) {
            continue;
        }
        let confirmed = updates.iter().filter(|(one, _)| one.outcome == Outcome::Ok);
        let mut confirmed: Vec<_> = confirmed.map(|(one, update)| (one.return_ns, update.offset)).collect();
        confirmed.sort_unstable();
        for at in 1..confirmed.len() {
            confirmed[at].1 = confirmed[at].1.max(confirmed[at - 1].1);
        }
        for query in queries {
            tally.checked += 1;
            check_query(evidence, &updates, &confirmed, query, tally);
        }
    }
}

/// `confirmed` has when updates returned, each with the highest offset up to then.
fn check_query(
    evidence: &Evidence<'_>,
    updates: &[Offset<'_>],
    confirmed: &[(u64, Option<u64>)],
    (operation, query): Offset<'_>,
    tally: &mut Tally,
) {
    let done = confirmed.partition_point(|(return_ns, _)| *return_ns < operation.invoke_ns);
    let least = confirmed[..done].last().and_then(|(_, highest)| *highest);
    let begun = updates.partition_point(|(update, _)| update.invoke_ns < operation.return_ns);
    let most = updates[..begun].last().and_then(|(_, update)| update.offset);
    let is_nothing = query.offset.is_none_or(|offset| offset == 0) && least.is_none();
    // One of which nobody knows may take effect at any time, also behind later ones.
    let is_late = updates[..begun]
        .iter()
        .any(|(update, stored)| update.outcome != Outcome::Ok && stored.offset == query.offset);
    if !is_nothing && !is_late && (query.offset < least || query.offset > most) {
        let word = |offset: Option<u64>| offset.map_or("none".to_owned(), |offset| offset.to_string());
        tally.violated(Some(operation.return_ns), || {
            format!(
                "process {} was told offset {} of consumer group {} in queue {} of topic {} at {}, but {} was stored \
                 before and {} is the last that anybody stored",
                operation.process,
                word(query.offset),
                evidence.text(query.group),
                query.queue,
                evidence.text(query.topic),
                seconds(operation.return_ns),
                word(least),
                word(most)
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Op, Story, pull, query_offset, send, update_offset};

    fn story_with<const N: usize>(operations: [Op; N]) -> Verdict {
        let mut story = Story::new();
        for operation in operations {
            story.op(operation);
        }
        story.check(check)
    }

    #[test]
    fn a_producer_in_order_holds() {
        let verdict = story_with([
            send("a").ordered("o").placed(0, 0).at(0, 10),
            send("b").ordered("o").placed(0, 2).at(11, 20),
            send("c").by(2).ordered("o").placed(0, 1).at(15, 30),
            send("x").ordered("p").placed(1, 0).at(40, 50),
        ]);
        assert_eq!(verdict, Verdict::Held { checked: 3 });
        assert!(matches!(Story::new().check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn a_producer_out_of_order_is_found() {
        let operations =
            [send("a").ordered("o").placed(0, 1).at(0, 10), send("b").ordered("o").placed(0, 0).at(11, 20)];
        assert!(story_with(operations).is_violated());
    }

    #[test]
    fn two_queues_for_one_message_group_are_found() {
        let operations =
            [send("a").ordered("o").placed(0, 0).at(0, 10), send("b").ordered("o").placed(1, 5).at(11, 20)];
        assert!(story_with(operations).is_violated());
    }

    #[test]
    fn an_unknown_send_may_come_late_but_not_early() {
        let mut late = Story::new();
        late.op(send("a").ordered("o").info().at(0, 10)).op(send("b").ordered("o").placed(0, 0).at(11, 20));
        late.store_ordered("a", Some("o"), 0, 1);
        assert!(late.check(check).is_held());
        let mut early = Story::new();
        early.op(send("a").ordered("o").placed(0, 1).at(0, 10)).op(send("b").ordered("o").info().at(11, 20));
        early.store_ordered("b", Some("o"), 0, 0);
        assert!(early.check(check).is_violated());
    }

    #[test]
    fn pulls_in_order_hold() {
        let verdict = story_with([pull(0, [("a", 0), ("b", 1)]).at(0, 10), pull(2, []).at(11, 20)]);
        assert_eq!(verdict, Verdict::Held { checked: 2 });
        assert!(story_with([pull(0, [("d", 3)]).at(0, 10)]).is_held(), "the first ones were trimmed");
    }

    #[test]
    fn pulls_that_go_back_or_skip_are_found() {
        assert!(story_with([pull(0, [("a", 0), ("c", 2)]).at(0, 10)]).is_violated());
        assert!(story_with([pull(0, [("b", 1), ("a", 0)]).at(0, 10)]).is_violated());
        assert!(story_with([pull(5, [("a", 4)]).at(0, 10)]).is_violated());
    }

    #[test]
    fn an_answer_from_the_past_is_found() {
        let stale = [send("a").placed(0, 7).at(0, 10), pull(7, []).at(11, 20)];
        assert!(story_with(stale).is_violated());
        let overlapping = [send("a").placed(0, 7).at(0, 15), pull(7, []).at(11, 20)];
        assert!(story_with(overlapping).is_held());
        let other = [send("a").placed(1, 7).at(0, 10), pull(7, []).at(11, 20)];
        assert!(story_with(other).is_held(), "another queue");
    }

    #[test]
    fn offsets_are_a_register() {
        let verdict = story_with([
            query_offset(None).at(0, 5),
            update_offset(3).at(10, 20),
            query_offset(Some(3)).at(15, 25),
            update_offset(5).info().at(30, 40),
            query_offset(Some(3)).at(50, 60),
            query_offset(Some(5)).at(70, 80),
        ]);
        assert_eq!(verdict, Verdict::Held { checked: 4 });
    }

    #[test]
    fn an_offset_of_which_nobody_knows_may_come_behind_a_later_one() {
        let story = |of_first: fn(Op) -> Op, told| {
            let first = of_first(update_offset(3)).at(0, 10);
            story_with([first, update_offset(5).at(11, 20), query_offset(Some(told)).at(21, 30)])
        };
        assert!(story(Op::info, 3).is_held() && story(Op::info, 5).is_held());
        assert!(story(|first| first, 3).is_violated() && story(Op::info, 4).is_violated());
    }

    #[test]
    fn an_offset_that_went_back_or_came_from_nowhere_is_found() {
        let back =
            [update_offset(3).at(0, 10), update_offset(5).at(11, 20), query_offset(Some(3)).at(21, 30)];
        assert!(story_with(back).is_violated());
        let lost = [update_offset(3).at(0, 10), query_offset(None).at(21, 30)];
        assert!(story_with(lost).is_violated());
        let invented = [update_offset(3).at(0, 10), query_offset(Some(9)).at(21, 30)];
        assert!(story_with(invented).is_violated());
        let early = [query_offset(Some(3)).at(0, 5), update_offset(3).at(10, 20)];
        assert!(story_with(early).is_violated());
    }
}
