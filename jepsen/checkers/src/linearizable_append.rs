//! Linearizable append: of two sends to one queue of which one returned before the other began,
//! the first one's message comes first. Sends that overlap may go either way, and one whose outcome
//! is unknown may take effect as late as it likes, but not before it began.

use crate::evidence::{Evidence, Fate, MessageNumber, seconds};
use crate::history::Symbol;
use crate::verdict::{Tally, Verdict};

struct Append {
    topic: Symbol,
    queue: u32,
    offset: u64,
    message: MessageNumber,
    began_ns: u64,
    /// `u64::MAX` when nobody was ever told.
    returned_ns: u64,
}

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut appends = Vec::new();
    for message in 0..evidence.messages.len() as MessageNumber {
        let Some(send) = evidence.first_send(message).filter(|send| send.is_immediate()) else { continue };
        let Fate::At(place) = evidence.fate(message) else { continue };
        appends.push(Append {
            topic: send.call.topic,
            queue: place.queue,
            offset: place.offset,
            message,
            began_ns: send.invoke_ns,
            returned_ns: evidence.acked_ns(message).unwrap_or(u64::MAX),
        });
    }
    appends.sort_unstable_by_key(|append| (append.topic, append.queue, append.offset));
    let mut tally = Tally::default();
    for queue in appends.chunk_by(|a, b| (a.topic, a.queue) == (b.topic, b.queue)) {
        if queue.len() > 1 {
            tally.checked += queue.len() as u64;
            look_through(evidence, queue, &mut tally);
        }
    }
    tally.verdict("no queue has two messages whose sends are known")
}

/// From the queue's end: nothing behind a message may have returned before it began.
fn look_through(evidence: &Evidence<'_>, queue: &[Append], tally: &mut Tally) {
    let mut earliest: Option<&Append> = None;
    for append in queue.iter().rev() {
        if let Some(behind) = earliest.filter(|behind| behind.returned_ns < append.began_ns) {
            tally.violated(Some(append.began_ns), || {
                format!(
                    "message {} was sent at {}, after {} was acknowledged at {}, but is before it in queue {} of \
                     topic {}: offsets {} and {}",
                    evidence.id(append.message),
                    seconds(append.began_ns),
                    evidence.id(behind.message),
                    seconds(behind.returned_ns),
                    append.queue,
                    evidence.text(append.topic),
                    append.offset,
                    behind.offset
                )
            });
        }
        if earliest.is_none_or(|earliest| append.returned_ns < earliest.returned_ns) {
            earliest = Some(append);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, send};

    #[test]
    fn sends_in_order_and_sends_that_overlap_are_linearizable() {
        let mut story = Story::new();
        story.op(send("a").placed(0, 0).at(0, 10)).op(send("b").placed(0, 2).at(11, 30));
        story.op(send("c").placed(0, 1).at(20, 40)).op(send("other").placed(1, 0).at(50, 60));
        assert_eq!(story.check(check), Verdict::Held { checked: 3 });
    }

    #[test]
    fn one_message_proves_nothing() {
        let mut story = Story::new();
        story.op(send("a").placed(0, 0).at(0, 10)).op(send("b").placed(1, 0).at(0, 10));
        assert!(matches!(story.check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn a_later_send_with_a_lower_offset_is_found() {
        let mut story = Story::new();
        story.op(send("a").placed(0, 1).at(0, 10)).op(send("b").placed(0, 0).at(11, 20));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn it_is_found_across_others_in_between() {
        let mut story = Story::new();
        story.op(send("a").placed(0, 9).at(0, 10)).op(send("b").placed(0, 0).at(11, 20));
        for offset in 1..9 {
            story.op(send(&format!("m{offset}")).placed(0, offset).at(0, 100));
        }
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn an_unknown_send_may_take_effect_late_but_not_early() {
        let mut late = Story::new();
        late.op(send("a").info().at(0, 10)).op(send("b").placed(0, 0).at(11, 20)).store("a", 0, 1);
        assert!(late.check(check).is_held());
        let mut early = Story::new();
        early.op(send("b").placed(0, 1).at(0, 10)).op(send("a").info().at(11, 20)).store("a", 0, 0);
        assert!(early.check(check).is_violated());
    }

    #[test]
    fn a_repeated_send_began_with_its_first_try() {
        let mut story = Story::new();
        story.op(send("a").info().at(0, 10)).op(send("b").placed(0, 1).at(11, 20));
        story.op(send("a").placed(0, 0).at(21, 30));
        assert!(story.check(check).is_held());
    }
}
