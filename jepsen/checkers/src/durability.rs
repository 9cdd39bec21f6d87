//! Durability: what was acknowledged is there. In the queue, if all queues of its topic were read to
//! their end; else with a consumer group that received everything; and in the log of every replica
//! that reaches so far, and so in the logs of a majority.
//!
//! Half messages are in the logs; whether they are in a queue is a matter of [`crate::transactions`].

use std::collections::HashMap;

use crate::evidence::{Evidence, MessageNumber, SentAs, Source, seconds};
use crate::history::{Kind, Record, Replica, Symbol};
use crate::verdict::{Losses, Tally, Verdict};

/// Where a message may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Scope {
    Queue { topic: Symbol },
    Log { group: Symbol, node: u32 },
    EveryLog { topic: Symbol },
}

/// The first and the last acknowledged message that is still there, by the time of its acknowledgement.
type Kept = HashMap<Scope, (u64, u64)>;

struct Loss {
    scope: Scope,
    acked_ns: u64,
}

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut search = Search {
        evidence,
        logs: Logs::new(evidence),
        drained: drained_topics(evidence),
        tally: Tally::default(),
        kept: Kept::new(),
        lost: Vec::new(),
    };
    for number in 0..evidence.messages.len() as MessageNumber {
        let Some(acked_ns) = evidence.acked_ns(number) else { continue };
        let send = evidence.first_send(number).expect("what was acknowledged was sent");
        let in_queue = search.look_in_queue(number, &send, acked_ns);
        let in_logs = search.look_in_logs(number, &send, acked_ns);
        search.tally.checked += u64::from(in_queue || in_logs);
    }
    let Search { mut tally, kept, lost, .. } = search;
    tally.losses = split(&lost, &kept);
    tally.verdict("no send was acknowledged whose topic was read to its end, or whose log was read")
}

/// The topics of which some consumer group received everything.
fn drained_topics(evidence: &Evidence<'_>) -> Vec<Symbol> {
    let history = evidence.history;
    let read = history.drained.iter().filter(|drained| drained.complete);
    let from_first = read.filter(|drained| {
        let of = |of: &&crate::history::Subscription<Symbol>| {
            (of.group, of.topic) == (drained.group, drained.topic)
        };
        history.subscriptions.iter().find(of).is_some_and(|of| of.from_first)
    });
    from_first.map(|drained| drained.topic).collect()
}

struct Search<'e, 'h> {
    evidence: &'e Evidence<'h>,
    logs: Logs<'h>,
    drained: Vec<Symbol>,
    tally: Tally,
    kept: Kept,
    lost: Vec<Loss>,
}

impl Search<'_, '_> {
    /// Answers whether the message had to be in a queue.
    fn look_in_queue(&mut self, number: MessageNumber, send: &SentAs<'_>, acked_ns: u64) -> bool {
        let evidence = self.evidence;
        let topic = send.call.topic;
        let was_read = evidence.was_read(topic);
        if !(was_read || self.drained.contains(&topic)) || !is_due_in_queue(evidence, number, send) {
            return false;
        }
        let found = evidence.seen_of(number).any(|seen| {
            seen.topic == topic
                && match seen.source {
                    Source::Stored => true,
                    Source::Delivery | Source::Pull => !was_read,
                    Source::Answer | Source::Log => false,
                }
        });
        let scope = Scope::Queue { topic };
        if found {
            self.keep(scope, acked_ns);
        } else {
            self.lose(scope, acked_ns, || {
                format!(
                    "message {} was acknowledged at {}, but is not in topic {}",
                    evidence.id(number),
                    seconds(acked_ns),
                    evidence.text(topic)
                )
            });
        }
        true
    }

    /// Answers whether the message had to be in logs.
    fn look_in_logs(&mut self, number: MessageNumber, send: &SentAs<'_>, acked_ns: u64) -> bool {
        let evidence = self.evidence;
        let records = self.logs.records_of(number);
        let (id, topic) = (evidence.id(number), send.call.topic);
        let Some(first) = records.first() else {
            if self.logs.are_whole {
                let what =
                    || format!("message {id} was acknowledged at {}, but is in no log", seconds(acked_ns));
                self.lose(Scope::EveryLog { topic }, acked_ns, what);
            }
            return self.logs.are_whole;
        };
        self.keep(Scope::EveryLog { topic }, acked_ns);
        let group = first.group;
        let replicas: Vec<&Replica<Symbol>> = self.logs.replicas.get(&group).cloned().unwrap_or_default();
        let has = |node: u32| records.iter().any(|record| record.nodes.contains(&node));
        let mut without = 0;
        for replica in &replicas {
            let scope = Scope::Log { group, node: replica.node };
            if replica.unreadable.is_some() {
                continue;
            }
            if has(replica.node) {
                self.keep(scope, acked_ns);
                continue;
            }
            let reaches = |record: &&&Record<Symbol>| {
                (replica.first_index..=replica.last_index).contains(&record.index)
            };
            without += usize::from(replica.first_index <= first.index);
            if let Some(record) = records.iter().find(reaches) {
                self.lose(scope, acked_ns, || {
                    format!(
                        "message {id} was acknowledged at {} and is entry {} of group {}, but not in the log of \
                         node {}, which goes to entry {}",
                        seconds(acked_ns),
                        record.index,
                        evidence.text(group),
                        replica.node,
                        replica.last_index
                    )
                });
            }
        }
        if without * 2 >= replicas.len() && without > 0 {
            let in_group = evidence.text(group);
            self.tally.violated(Some(acked_ns), || {
                format!(
                    "message {id} was acknowledged at {}, but is not in the logs of {without} of the {} replicas of \
                     group {in_group}",
                    seconds(acked_ns),
                    replicas.len()
                )
            });
        }
        !replicas.is_empty()
    }

    fn keep(&mut self, scope: Scope, acked_ns: u64) {
        let (first, last) = self.kept.entry(scope).or_insert((acked_ns, acked_ns));
        *first = acked_ns.min(*first);
        *last = acked_ns.max(*last);
    }

    fn lose(&mut self, scope: Scope, acked_ns: u64, what: impl FnOnce() -> String) {
        self.tally.violated(Some(acked_ns), what);
        self.lost.push(Loss { scope, acked_ns });
    }
}

/// Whether an acknowledged message must have come to its queue by the time of the final reads.
fn is_due_in_queue(evidence: &Evidence<'_>, number: MessageNumber, send: &SentAs<'_>) -> bool {
    let history = evidence.history;
    let topic = send.call.topic;
    let rules = &history.header.rules;
    let read_ns = history.queues.iter().filter(|queue| queue.topic == topic).map(|queue| queue.at_ns).min();
    let drained_ns =
        history.drained.iter().filter(|drained| drained.topic == topic).map(|drained| drained.at_ns);
    let is_due = match send.call.kind {
        Kind::Normal => true,
        Kind::Transaction => false,
        Kind::Delay { due_unix_ms } => {
            let read_ns = read_ns.or_else(|| drained_ns.min()).unwrap_or(0);
            let read_unix_ms = history.header.started_unix_ms + read_ns / 1_000_000;
            due_unix_ms + rules.clock_tolerance_ms <= read_unix_ms
        }
    };
    let was_trimmed = evidence.sends_of(number).filter_map(|send| send.call.place).any(|place| {
        let of =
            |queue: &&crate::history::QueueRead<Symbol>| queue.topic == topic && queue.queue == place.queue;
        history.queues.iter().find(of).is_some_and(|queue| place.offset < queue.first)
    });
    is_due && !(was_trimmed && rules.retention) && evidence.messages[number as usize].recalled.is_none()
}

/// The logs that were read.
struct Logs<'h> {
    records: Vec<(MessageNumber, &'h Record<Symbol>)>,
    replicas: HashMap<Symbol, Vec<&'h Replica<Symbol>>>,
    /// Whether all there ever was can be seen: what is in none of the logs is nowhere.
    are_whole: bool,
}

impl<'h> Logs<'h> {
    fn new(evidence: &Evidence<'h>) -> Logs<'h> {
        let history = evidence.history;
        let number =
            |record: &Record<Symbol>| evidence.number(record.message).expect("every record was seen");
        let mut records: Vec<_> = history.records.iter().map(|record| (number(record), record)).collect();
        records.sort_by_key(|(number, record)| (*number, record.index));
        let mut replicas: HashMap<Symbol, Vec<_>> = HashMap::new();
        for replica in &history.replicas {
            replicas.entry(replica.group).or_default().push(replica);
        }
        let is_whole = |replica: &Replica<Symbol>| replica.first_index <= 1 && replica.unreadable.is_none();
        // Logs in which there is nothing are whole too: then everything is lost.
        let are_whole = !history.replicas.is_empty() && history.replicas.iter().all(is_whole);
        Logs { records, replicas, are_whole }
    }

    fn records_of(&self, number: MessageNumber) -> Vec<&'h Record<Symbol>> {
        let from = self.records.partition_point(|(of, _)| *of < number);
        self.records[from..].iter().take_while(|(of, _)| *of == number).map(|(_, record)| *record).collect()
    }
}

fn split(lost: &[Loss], kept: &Kept) -> Losses {
    let mut losses = Losses::default();
    for Loss { scope, acked_ns } in lost {
        match kept.get(scope) {
            Some((first, _)) if acked_ns < first => losses.prefix += 1,
            Some((_, last)) if acked_ns <= last => losses.middle += 1,
            _ => losses.postfix += 1,
        }
    }
    losses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, send};

    /// Three messages in one queue, all in three logs.
    fn good() -> Story {
        let mut story = Story::new();
        for (at, id) in ["a", "b", "c"].into_iter().enumerate() {
            let at = at as u64;
            story.op(send(id).placed(0, at).at(10 * at, 10 * at + 5)).store(id, 0, at).record(
                &[1, 2, 3],
                id,
                at + 1,
            );
        }
        story.read_queue(0, 0, 3).replicas(3, 1, 3);
        story
    }

    #[test]
    fn logs_that_lost_everything_are_no_reason_not_to_check() {
        let mut story = Story::new();
        story.op(send("a").placed(0, 0).at(0, 5)).replicas(3, 0, 0);
        match story.check(check) {
            Verdict::Violated { .. } => {}
            other => panic!("an acknowledged message is in no log, and the verdict is {other:?}"),
        }
    }

    #[test]
    fn what_is_everywhere_is_durable() {
        assert_eq!(good().check(check), Verdict::Held { checked: 3 });
    }

    #[test]
    fn an_empty_history_proves_nothing() {
        assert!(matches!(Story::new().check(check), Verdict::NotChecked { .. }));
        let mut unread = Story::new();
        unread.op(send("a").placed(0, 0).at(0, 5));
        assert!(matches!(unread.check(check), Verdict::NotChecked { .. }));
    }

    fn losses(verdict: Verdict) -> (u64, Losses) {
        match verdict {
            Verdict::Violated { total, losses, .. } => (total, losses),
            other => panic!("{other:?} is no violation"),
        }
    }

    #[test]
    fn a_loss_from_the_queue_is_found_and_placed() {
        let expected = [
            ("a", Losses { prefix: 1, ..Losses::default() }),
            ("b", Losses { middle: 1, ..Losses::default() }),
            ("c", Losses { postfix: 1, ..Losses::default() }),
        ];
        for (id, expected) in expected {
            let mut story = good();
            story.unstore(id);
            assert_eq!(losses(story.check(check)), (1, expected), "{id}");
        }
    }

    #[test]
    fn a_loss_of_everything_is_a_lost_tail() {
        let mut story = good();
        ["a", "b", "c"].into_iter().for_each(|id| story.unstore(id));
        assert_eq!(losses(story.check(check)), (3, Losses { postfix: 3, ..Losses::default() }));
    }

    #[test]
    fn a_loss_from_one_log_is_found() {
        let mut story = good();
        story.unrecord("b").record(&[1, 3], "b", 2);
        assert_eq!(losses(story.check(check)), (1, Losses { middle: 1, ..Losses::default() }));
    }

    #[test]
    fn a_loss_from_all_logs_is_found_although_the_queue_has_it() {
        let mut story = good();
        story.unrecord("c");
        assert_eq!(losses(story.check(check)), (1, Losses { postfix: 1, ..Losses::default() }));
    }

    #[test]
    fn a_replica_that_lags_is_forgiven_but_a_majority_is_not() {
        let mut story = good();
        story.unreplicate().unrecord("c").record(&[1, 2], "c", 3);
        story.replica(1, 1, 3).replica(2, 1, 3).replica(3, 1, 2);
        assert!(story.check(check).is_held());
        let mut story = good();
        story.unreplicate().unrecord("c").record(&[1], "c", 3);
        story.replica(1, 1, 3).replica(2, 1, 2).replica(3, 1, 2);
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn an_unknown_send_may_be_lost() {
        let mut story = good();
        story.op(send("d").info().at(40, 50)).op(send("e").fail().at(40, 50));
        assert_eq!(story.check(check), Verdict::Held { checked: 3 });
    }

    #[test]
    fn what_is_not_due_yet_or_recalled_need_not_be_there() {
        let mut story = good();
        story.op(send("late").due_in(1_000_000).at(40, 45)).record(&[1, 2, 3], "late", 3);
        story.op(send("back").due_in(60).at(40, 45)).record(&[1, 2, 3], "back", 3);
        story.op(crate::story::recall("back").at(46, 47));
        assert_eq!(story.check(check), Verdict::Held { checked: 5 });
        story.op(send("due").due_in(60).at(40, 45)).record(&[1, 2, 3], "due", 3);
        assert_eq!(losses(story.check(check)).0, 1);
    }

    #[test]
    fn what_retention_trimmed_is_not_lost() {
        let mut story = good();
        story.unstore("a");
        story.unread_queues().read_queue(0, 1, 3);
        assert_eq!(story.check(check), Verdict::Held { checked: 3 });
        story.without_retention();
        assert_eq!(losses(story.check(check)).0, 1, "nothing was old enough to go");
    }

    #[test]
    fn what_no_consumer_got_is_lost_where_queues_were_not_read() {
        let mut story = Story::new();
        story.op(send("a").at(0, 5)).op(send("b").at(5, 9)).subscribe().drained(100);
        story.op(crate::story::receive([crate::story::got("a")]).at(10, 20));
        assert_eq!(losses(story.check(check)).0, 1);
    }
}
