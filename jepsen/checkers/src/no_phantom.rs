//! No phantom: whatever was seen was sent before, as it was seen, and was not refused.

use crate::evidence::{Evidence, MessageNumber, Seen, SentAs, Source, seconds};
use crate::history::Outcome;
use crate::verdict::{Tally, Verdict};

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut tally = Tally::default();
    for number in 0..evidence.messages.len() as MessageNumber {
        let seen = evidence.seen_of(number).filter(|seen| seen.source != Source::Answer);
        let Some(first) = evidence.first_send(number) else {
            for seen in seen {
                tally.checked += 1;
                tally.violated(seen.at_ns, || {
                    let id = evidence.id(number);
                    format!("message {id} was never sent, but {} has it", seen.source.word())
                });
            }
            continue;
        };
        let was_refused = evidence.sends_of(number).all(|send| send.outcome == Outcome::Fail);
        for seen in seen {
            tally.checked += 1;
            if let Some(fault) = fault(evidence, &first, seen, was_refused) {
                tally.violated(seen.at_ns, || {
                    format!("message {} in {} {fault}", evidence.id(number), seen.source.word())
                });
            }
        }
    }
    for dead in &evidence.history.dead {
        tally.checked += 1;
        let sent = evidence.number(dead.message).and_then(|number| evidence.first_send(number));
        let id = evidence.text(dead.message);
        match sent {
            None => tally.violated(None, || format!("the dead letter {id} was never sent")),
            Some(send) if send.call.body != dead.body => {
                tally.violated(None, || format!("the dead letter {id} has another body than was sent"));
            }
            Some(_) => {}
        }
    }
    tally.verdict("no message was seen anywhere")
}

/// What is wrong with a message that was seen.
fn fault(evidence: &Evidence<'_>, first: &SentAs<'_>, seen: &Seen, was_refused: bool) -> Option<String> {
    let sent = first.call;
    // A log may hold what was refused when its turn came.
    if was_refused && seen.source != Source::Log {
        return Some("was refused".to_owned());
    }
    if seen.topic != sent.topic {
        let (seen, sent) = (evidence.text(seen.topic), evidence.text(sent.topic));
        return Some(format!("is in topic {seen}, but was sent to {sent}"));
    }
    if let Some(body) = seen.body.filter(|body| *body != sent.body) {
        return Some(format!("has a body with digest {body:x}, but {:x} was sent", sent.body));
    }
    if seen.message_group.is_some() && seen.message_group != sent.message_group {
        let name = |group: Option<_>| group.map_or("none", |group| evidence.text(group));
        let (seen, sent) = (name(seen.message_group), name(sent.message_group));
        return Some(format!("is of message group {seen}, but was sent with {sent}"));
    }
    let at_ns = seen.at_ns.filter(|at_ns| *at_ns < first.invoke_ns)?;
    Some(format!("came at {}, before it was sent at {}", seconds(at_ns), seconds(first.invoke_ns)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Call, Line};
    use crate::story::{Story, got, receive, send};

    fn good() -> Story {
        let mut story = Story::new();
        story.op(send("a").ordered("o").placed(0, 0).at(0, 10));
        story.op(receive([got("a").ordered("o")]).at(5, 9)).store_ordered("a", Some("o"), 0, 0);
        story.record(&[1], "a", 1).dead("a");
        story
    }

    #[test]
    fn what_was_sent_is_no_phantom() {
        // Delivered before the send returned, which is no matter; a record and a dead letter too.
        assert_eq!(good().check(check), Verdict::Held { checked: 4 });
    }

    #[test]
    fn nothing_seen_proves_nothing() {
        let mut story = Story::new();
        story.op(send("a").placed(0, 0));
        assert!(matches!(story.check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn what_was_never_sent_is_found_wherever_it_is() {
        let mut delivered = good();
        delivered.op(receive([got("ghost")]).at(20, 30));
        let mut stored = good();
        stored.store("ghost", 0, 1);
        let mut logged = good();
        logged.record(&[2], "ghost", 2);
        let mut dead = good();
        dead.dead("ghost");
        for story in [delivered, stored, logged, dead] {
            assert!(story.check(check).is_violated());
        }
    }

    #[test]
    fn an_altered_message_is_found() {
        let altered = |alter: fn(&mut Call)| {
            let mut story = good();
            let mut operation = receive([got("a").ordered("o")]).at(20, 30);
            alter(&mut operation.0.call);
            story.op(operation).check(check)
        };
        assert!(altered(|_| {}).is_held());
        let body = |call: &mut Call| match call {
            Call::Receive(receive) => receive.delivered[0].body += 1,
            other => panic!("{other:?}"),
        };
        assert!(altered(body).is_violated());
        let group = |call: &mut Call| match call {
            Call::Receive(receive) => receive.delivered[0].message_group = Some("p".into()),
            other => panic!("{other:?}"),
        };
        assert!(altered(group).is_violated());
        let topic = |call: &mut Call| match call {
            Call::Receive(receive) => receive.topic = "other".into(),
            other => panic!("{other:?}"),
        };
        assert!(altered(topic).is_violated());
        let mut dead = good();
        dead.dead("a");
        if let Some(Line::Dead(dead)) = dead.lines.last_mut() {
            dead.body += 1;
        }
        assert!(dead.check(check).is_violated());
    }

    #[test]
    fn a_delivery_before_its_send_is_found() {
        let mut story = Story::new();
        story.op(receive([got("a")]).at(0, 9)).op(send("a").at(10, 20));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn what_was_refused_may_not_be_there_but_what_is_unknown_may() {
        let mut story = Story::new();
        story.op(send("a").fail().at(0, 10)).store("a", 0, 0);
        assert!(story.check(check).is_violated());
        let mut story = Story::new();
        story.op(send("a").fail().at(0, 10)).record(&[1, 2, 3], "a", 5);
        assert!(story.check(check).is_held(), "it was refused when its entry was applied");
        let mut story = Story::new();
        story.op(send("a").info().at(0, 10)).op(send("a").fail().at(20, 30)).store("a", 0, 0);
        assert!(story.check(check).is_held());
    }
}
