//! Offset agreement: one place holds one message, whoever looks; and queues have neither gaps nor
//! messages beyond their end.

use std::collections::HashMap;

use crate::evidence::{Evidence, Seen, Source};
use crate::history::{Place, QueueRead, Symbol};
use crate::verdict::{Tally, Verdict};

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut tally = Tally::default();
    for same in evidence.seen.chunk_by(|a, b| (a.topic, a.place) == (b.topic, b.place)) {
        let Some(place) = same[0].place else { continue };
        tally.checked += 1;
        let first = &same[0];
        if let Some(other) = same.iter().find(|seen| seen.message != first.message) {
            tally.violated(other.at_ns.or(first.at_ns), || {
                format!(
                    "{} is message {} in {}, but {} in {}",
                    place_name(evidence, first.topic, place),
                    evidence.id(first.message),
                    first.source.word(),
                    evidence.id(other.message),
                    other.source.word()
                )
            });
        }
    }
    for queue in evidence.history.queues.iter().filter(|queue| queue.complete) {
        look_for_gaps(evidence, queue, &mut tally);
    }
    tally.verdict("no message was seen at a place")
}

fn place_name(evidence: &Evidence<'_>, topic: Symbol, place: Place) -> String {
    format!("offset {} of queue {} of topic {}", place.offset, place.queue, evidence.text(topic))
}

/// What was seen of one queue, by offset.
fn of_queue<'e>(evidence: &'e Evidence<'_>, topic: Symbol, queue: u32) -> &'e [Seen] {
    let key = |seen: &Seen| (seen.topic, seen.place.map(|place| place.queue));
    let from = evidence.seen.partition_point(|seen| key(seen) < (topic, Some(queue)));
    let len = evidence.seen[from..].partition_point(|seen| key(seen) == (topic, Some(queue)));
    &evidence.seen[from..from + len]
}

fn look_for_gaps(evidence: &Evidence<'_>, queue: &QueueRead<Symbol>, tally: &mut Tally) {
    let mut expected = queue.first;
    let mut beyond: HashMap<u64, Source> = HashMap::new();
    let gap = |tally: &mut Tally, from: u64, to: u64| {
        tally.violated(None, || {
            format!(
                "queue {} of topic {} has nothing from offset {from} to {}",
                queue.queue,
                evidence.text(queue.topic),
                to - 1
            )
        });
    };
    for seen in of_queue(evidence, queue.topic, queue.queue) {
        let offset = seen.place.expect("only those with a place").offset;
        let was_before = seen.at_ns.is_none_or(|at_ns| at_ns < queue.at_ns);
        if offset >= queue.next {
            if was_before && seen.source != Source::Stored {
                beyond.entry(offset).or_insert(seen.source);
            }
            continue;
        }
        if seen.source != Source::Stored || offset < queue.first {
            continue;
        }
        if offset > expected {
            gap(tally, expected, offset);
        }
        expected = expected.max(offset + 1);
    }
    if expected < queue.next {
        gap(tally, expected, queue.next);
    }
    if let Some((offset, source)) = beyond.iter().min() {
        tally.violated(None, || {
            format!(
                "queue {} of topic {} ends before offset {}, but {} had a message at {offset} ({} beyond the end)",
                queue.queue,
                evidence.text(queue.topic),
                queue.next,
                source.word(),
                beyond.len()
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, got, pull, receive, send};

    fn good() -> Story {
        let mut story = Story::new();
        story.op(send("a").placed(0, 0).at(0, 5)).op(send("b").placed(0, 1).at(0, 5));
        story.op(send("c").info().at(0, 5)).op(receive([got("b").placed(0, 1)]).at(0, 9));
        story.store("a", 0, 0).store("b", 0, 1).store("c", 0, 2).read_queue(0, 0, 3);
        story
    }

    #[test]
    fn one_message_at_each_place_agrees() {
        assert_eq!(good().check(check), Verdict::Held { checked: 3 });
        assert!(matches!(Story::new().check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn two_messages_at_one_place_are_found_whoever_saw_them() {
        let mut answers = good();
        answers.op(send("d").placed(0, 1).at(0, 5));
        let mut delivered = good();
        delivered.op(receive([got("d").placed(0, 2)]).at(0, 5));
        let mut pulled = good();
        pulled.op(pull(0, [("d", 0)]).at(0, 5));
        for story in [answers, delivered, pulled] {
            assert!(story.check(check).is_violated());
        }
    }

    #[test]
    fn a_gap_is_found_at_either_end_and_in_between() {
        for id in ["a", "b", "c"] {
            let mut story = good();
            story.unstore(id);
            assert!(story.check(check).is_violated(), "{id}");
        }
    }

    #[test]
    fn a_message_beyond_the_end_is_found() {
        let mut story = good();
        story.op(send("d").placed(0, 3).at(6, 9));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn two_queues_and_two_topics_are_apart() {
        let mut story = good();
        story.op(send("d").placed(1, 0).at(0, 5));
        assert!(story.check(check).is_held());
    }
}
