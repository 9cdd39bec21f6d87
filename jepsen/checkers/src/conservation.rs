//! Conservation: when a consumer group has received everything, each message that was committed has
//! ended in exactly one state for it: acknowledged, or dead-lettered. None is lost on the way, none
//! is both.

use std::collections::HashMap;

use crate::evidence::{Course, Evidence, Fate, MessageNumber, SettleKind, Source};
use crate::history::{Drained, Outcome, Subscription, Symbol};
use crate::redelivery::attempts_max;
use crate::verdict::{Tally, Verdict};

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let history = evidence.history;
    let mut tally = Tally::default();
    for subscription in &history.subscriptions {
        let drained = history.drained.iter().find(|drained| {
            drained.complete && (drained.group, drained.topic) == (subscription.group, subscription.topic)
        });
        if let Some(drained) = drained {
            Reader::new(evidence, subscription, drained).check(&mut tally);
        }
    }
    tally.verdict("no consumer group received everything to the end")
}

struct Reader<'e, 'h> {
    evidence: &'e Evidence<'h>,
    subscription: &'e Subscription<Symbol>,
    drained: &'e Drained<Symbol>,
    /// How many dead letters each message became.
    dead: HashMap<MessageNumber, u32>,
    /// The first offset that was delivered, by queue.
    first_delivered: HashMap<u32, u64>,
}

/// What is known of a message's end.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    acknowledged: bool,
    buried: bool,
    /// A call whose outcome is unknown may have settled it.
    perhaps: bool,
    delivered: bool,
    /// The broker may have moved it to the dead letters by itself.
    exhausted: bool,
}

impl<'e, 'h> Reader<'e, 'h> {
    fn new(
        evidence: &'e Evidence<'h>,
        subscription: &'e Subscription<Symbol>,
        drained: &'e Drained<Symbol>,
    ) -> Reader<'e, 'h> {
        let mut dead = HashMap::new();
        for letter in &evidence.history.dead {
            if (letter.group, letter.topic) == (subscription.group, subscription.topic)
                && let Some(number) = evidence.number(letter.message)
            {
                *dead.entry(number).or_default() += 1;
            }
        }
        let mut first_delivered = HashMap::new();
        for reference in &evidence.deliveries {
            let delivered = evidence.delivered(*reference);
            if (reference.course.group, delivered.receive.topic) == (subscription.group, subscription.topic) {
                let place = delivered.delivery.place;
                let first = first_delivered.entry(place.queue).or_insert(place.offset);
                *first = place.offset.min(*first);
            }
        }
        Reader { evidence, subscription, drained, dead, first_delivered }
    }

    fn check(&self, tally: &mut Tally) {
        for number in 0..self.evidence.messages.len() as MessageNumber {
            if !self.is_owed(number) {
                continue;
            }
            tally.checked += 1;
            let fault = self.fault(number, self.known(number));
            if let Some(fault) = fault {
                tally.violated(None, || {
                    let (id, group) = (self.evidence.id(number), self.evidence.text(self.subscription.group));
                    format!("message {id} {fault} for consumer group {group}")
                });
            }
        }
    }

    /// Whether the consumer group must have had this message.
    fn is_owed(&self, number: MessageNumber) -> bool {
        let evidence = self.evidence;
        let topic = self.subscription.topic;
        let Some(send) = evidence.first_send(number).filter(|send| send.call.topic == topic) else {
            return false;
        };
        let is_in_queue = evidence
            .seen_of(number)
            .any(|seen| matches!(seen.source, Source::Stored | Source::Delivery | Source::Pull));
        let is_acked = send.is_immediate() && evidence.acked_ns(number).is_some();
        // Where the queue was read it knows best; what it lost is a matter of durability.
        let is_committed = is_in_queue || (is_acked && !evidence.was_read(topic));
        let is_beyond = match evidence.fate(number) {
            _ if self.subscription.from_first => true,
            Fate::At(place) => {
                self.first_delivered.get(&place.queue).is_some_and(|first| place.offset >= *first)
            }
            _ => false,
        };
        is_committed && is_beyond && !self.was_trimmed(number)
    }

    fn was_trimmed(&self, number: MessageNumber) -> bool {
        let Fate::At(place) = self.evidence.fate(number) else { return false };
        let queues = &self.evidence.history.queues;
        queues.iter().any(|queue| {
            (queue.topic, queue.queue) == (self.subscription.topic, place.queue) && place.offset < queue.first
        })
    }

    fn known(&self, number: MessageNumber) -> Known {
        let course = Course { group: self.subscription.group, message: number };
        let mut known = Known::default();
        for settle in self.evidence.settles_of(course) {
            match (settle.kind, settle.outcome) {
                (SettleKind::Change { .. }, _) | (_, Outcome::Fail) => {}
                (_, Outcome::Info) => known.perhaps = true,
                (SettleKind::Acknowledge, Outcome::Ok) => known.acknowledged = true,
                (SettleKind::DeadLetter, Outcome::Ok) => known.buried = true,
            }
        }
        let most = attempts_max(self.evidence, course.group, number).unwrap_or(u32::MAX);
        for reference in self.evidence.deliveries_of(course) {
            known.delivered = true;
            known.exhausted |= self.evidence.delivered(*reference).delivery.attempt >= most;
        }
        known
    }

    fn fault(&self, number: MessageNumber, known: Known) -> Option<String> {
        let dead = self.dead.get(&number).copied().unwrap_or(0);
        let is_settled = known.acknowledged || known.perhaps || known.buried || dead > 0;
        if dead > 1 {
            return Some(format!("is {dead} dead letters"));
        }
        if known.acknowledged && (dead > 0 || known.buried) {
            return Some("was acknowledged, and is a dead letter too".to_owned());
        }
        if known.buried && dead == 0 && self.drained.dead_read {
            return Some("was moved to the dead letters, but is none of them".to_owned());
        }
        if is_settled || (known.exhausted && !self.drained.dead_read) {
            return None;
        }
        Some(match known.delivered {
            true => "was delivered, never settled, and did not come again,".to_owned(),
            false => "was never delivered, and is no dead letter,".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Line;
    use crate::story::{Story, ack, bury, got, receive, send};

    /// One acknowledged, one perhaps, one moved to the dead letters, one buried by the broker.
    fn good() -> Story {
        let mut story = Story::new();
        for (offset, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
            story.op(send(id).placed(0, offset as u64).at(0, 5)).store(id, 0, offset as u64);
        }
        story.op(receive([got("a"), got("b"), got("c"), got("d").attempt(2)]).at(10, 20));
        story.op(ack("a#1").at(30, 40)).op(ack("b#1").info().at(30, 40)).op(bury("c#1").at(30, 40));
        story.subscribe_as(false, 2).drained(90_000).read_queue(0, 0, 4).dead("c").dead("d");
        story
    }

    fn without(story: &mut Story, matches: fn(&Line) -> bool) {
        story.lines.retain(|line| !matches(line));
    }

    #[test]
    fn one_end_for_each_holds() {
        assert_eq!(good().check(check), Verdict::Held { checked: 4 });
    }

    #[test]
    fn a_reader_that_did_not_get_to_the_end_proves_nothing() {
        let mut story = good();
        without(&mut story, |line| matches!(line, Line::Drained(_)));
        assert!(matches!(story.check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn a_message_that_was_never_delivered_is_found() {
        let mut story = good();
        story.op(send("e").info().at(50, 60));
        assert!(story.check(check).is_held(), "it was never stored");
        story.store("e", 0, 4);
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn a_message_that_did_not_come_again_is_found() {
        let mut story = good();
        story.op(send("e").placed(0, 4).at(50, 60)).store("e", 0, 4);
        story.op(receive([got("e")]).at(70, 80));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn two_ends_are_found() {
        let mut both = good();
        both.dead("a");
        assert!(both.check(check).is_violated());
        let mut twice = good();
        twice.dead("c");
        assert!(twice.check(check).is_violated());
        let mut calls = good();
        calls.op(ack("c#1").at(50, 60));
        assert!(calls.check(check).is_violated());
    }

    #[test]
    fn a_lost_dead_letter_is_found_where_they_were_read() {
        for id in ["c", "d"] {
            let mut story = good();
            story.lines.retain(|line| !matches!(line, Line::Dead(dead) if dead.message == id));
            assert!(story.check(check).is_violated(), "{id}");
            for line in &mut story.lines {
                if let Line::Drained(drained) = line {
                    drained.dead_read = false;
                }
            }
            assert!(story.check(check).is_held(), "{id}: nobody looked");
        }
    }

    #[test]
    fn a_reader_from_somewhere_is_owed_what_comes_after_its_first() {
        let mut story = Story::new();
        story.subscribe().drained(90_000).read_queue(0, 0, 3);
        if let Line::Subscription(subscription) = &mut story.lines[0] {
            subscription.from_first = false;
        }
        for (offset, id) in ["a", "b", "c"].into_iter().enumerate() {
            story.op(send(id).placed(0, offset as u64).at(0, 5)).store(id, 0, offset as u64);
        }
        story.op(receive([got("b").placed(0, 1)]).at(10, 20)).op(ack("b#1").at(21, 25));
        let Verdict::Violated { total, examples, .. } = story.check(check) else { panic!("c is lost") };
        assert_eq!(total, 1, "{examples:?}");
        assert!(examples[0].what.contains("message c"), "{examples:?}");
    }
}
