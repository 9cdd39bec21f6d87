//! The golden scripts in `tests/machine/scripts`: the specification of a broker group's machine.
//!
//! A script is blocks of commands, a line `---`, and what they must answer. Each command is a frame
//! of its own; one that begins with `&` joins the frame of the one before. `UPDATE_SCRIPTS=1` writes
//! the answers instead of comparing them: read the difference before you commit it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::rig::{EPOCH_MS, Rig, Words, time_ms};
use bytes::Bytes;
use raft::catalog::StartFrom;
use raft::command::{
    OffsetTarget, Verdict, encode_acknowledge, encode_change_lease, encode_dead_letter,
    encode_delete_consumer, encode_delete_subscription, encode_delete_topic, encode_doubt_leases,
    encode_end_transaction, encode_expire_lite, encode_judged_receive, encode_note_checks, encode_publish,
    encode_raise_floor, encode_recall, encode_receive, encode_release_client, encode_release_due,
    encode_renew_leases, encode_resend, encode_set_offset, encode_trim,
};
use raft::hash::hash64;
use raft::machine::{AppliedFrame, StateMachine};
use raft::names::{ConsumerId, GroupId, QueueKey, QueueOffset, TopicId};
use raft::outcome::Outcome;
use raft::request::{
    Extras, Filter, Place, Publish, Receipt, Receive, ResendResult, Resolution, Timer, TopicRules,
    Transaction,
};
use store::tables::MemoryTables;

const GROUP: GroupId = GroupId(1);

struct Script {
    rig: Rig<MemoryTables>,
    tables: MemoryTables,
    /// The numbers of messages that wait, by their ids: `#id` in a line.
    numbers: BTreeMap<String, String>,
}

#[test]
fn every_script_answers_as_written() {
    let directory = Path::new("tests/machine/scripts");
    let mut paths = directory.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    paths.sort();
    assert!(paths.len() >= 8, "only {} scripts in {}", paths.len(), directory.display());
    let mut wrong = Vec::new();
    for path in paths {
        let written = std::fs::read_to_string(&path).unwrap();
        let answered = run(&written);
        if std::env::var_os("UPDATE_SCRIPTS").is_some() {
            std::fs::write(&path, &answered).unwrap();
        } else if written != answered {
            wrong.push(format!("{}:\n{}", path.display(), difference(&written, &answered)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn difference(written: &str, answered: &str) -> String {
    let pairs = written.lines().zip(answered.lines()).enumerate();
    let first = pairs.into_iter().find(|(_, (a, b))| a != b);
    first.map_or("one is longer".into(), |(line, (a, b))| format!("line {}:\n- {a}\n+ {b}", line + 1))
}

/// The script with the answers that the machine gives.
fn run(script: &str) -> String {
    let tables = MemoryTables::new();
    let mut state = Script { rig: Rig::open(tables.clone()), tables, numbers: BTreeMap::new() };
    let mut out = String::new();
    for block in script.trim_end().split("\n\n") {
        let commands = block.lines().take_while(|line| *line != "---").collect::<Vec<_>>();
        let mut answers = String::new();
        let mut frame: Vec<&str> = Vec::new();
        for (number, line) in commands.iter().enumerate() {
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            frame.push(line.trim_start_matches("& "));
            if !commands.get(number + 1).is_some_and(|next| next.starts_with('&')) {
                state.step(&std::mem::take(&mut frame), &mut answers);
            }
        }
        out += &commands.join("\n");
        if !answers.is_empty() || block.contains("\n---") {
            let _ = write!(out, "\n---\n{}", answers.trim_end());
        }
        out += "\n\n";
    }
    out.trim_end().to_string() + "\n"
}

impl Script {
    /// One frame of commands, or one order to the rig.
    fn step(&mut self, lines: &[&str], answers: &mut String) {
        let words = Words::of(lines[0].split_whitespace());
        match words.plain[0].as_str() {
            "tick" => self.rig.now_ms += time_ms(&words.plain[1]),
            "back" => self.rig.now_ms -= time_ms(&words.plain[1]),
            "flush" => self.rig.machine.durability().flush().map(|_| ()).unwrap(),
            "restart" | "crash" => {
                let before = self.rig.machine.digest().unwrap();
                if words.plain[0] == "restart" {
                    self.rig.machine.durability().flush().unwrap();
                }
                self.tables = self.tables.crashed();
                let again = self.rig.reopen(self.tables.clone());
                assert_eq!(self.rig.machine.digest().unwrap(), before, "another state after {}", lines[0]);
                let _ = writeln!(answers, "the same state, {again} frames applied again");
            }
            "state" => self.state(&words, answers),
            // What a leader does before a part of the log goes: all that is held, in a frame of its own.
            "carry" => {
                let commands = self.rig.carries(self.rig.end(), usize::MAX);
                let applied = self.rig.apply(&commands).unwrap();
                self.answer(&applied, answers);
            }
            // To where the frame with this index begins, or the one of the command itself.
            "floor" => {
                let frame = words.number("frame", self.rig.frames.len() as u64 + 1) as usize - 1;
                let to = self.rig.frames.get(frame).map_or(self.rig.end(), |(frame, _)| frame.position);
                let applied = self.rig.apply(&[encode_raise_floor(to)]).unwrap();
                self.answer(&applied, answers);
            }
            "would" => {
                let receive = receive(&words);
                let yes = self.rig.machine.would_deliver(&receive, self.rig.now_ms);
                let wake = self.rig.machine.next_wake_ms(receive.consumer, receive.topic, &receive.queues);
                let wake = wake.map_or("never".into(), seconds);
                let _ = writeln!(answers, "would deliver: {yes}, wake: {wake}");
            }
            "waiting" => {
                let machine = &self.rig.machine;
                let (due, check) = (machine.next_due_ms(), machine.next_check_ms());
                let (due, check) =
                    (due.map_or("never".into(), seconds), check.map_or("never".into(), seconds));
                let (timers, halves) = (machine.timer_count(), machine.half_messages().count());
                let given_up = machine.given_up().count();
                let _ = writeln!(
                    answers,
                    "timers={timers} due={due} halves={halves} check={check} given_up={given_up}"
                );
            }
            "lite" => {
                let names = words.text("names").unwrap_or_default().split(',');
                let lite = names.map(|name| hash64(name.as_bytes())).collect();
                let receive = Receive { lite: Some(lite), ..receive(&words) };
                let queues = self.rig.machine.lite_queues(&receive, self.rig.now_ms);
                let count = self.rig.machine.lite_topic_count();
                let _ = writeln!(answers, "of {count} lite topics: {queues:?}");
            }
            "idle" => {
                let idle_ms = words.time_ms("after", 0);
                let machine = &self.rig.machine;
                let look = machine.idle_lite_topics(None, 100, |_| Some(idle_ms), self.rig.now_ms);
                let _ = writeln!(answers, "idle: {} of {}", look.idle.len(), machine.lite_topic_count());
            }
            "checks" => {
                let due = self.rig.machine.checks_due(self.rig.now_ms, words.number("max", 10) as usize);
                let lines = due.iter().map(|half| format!("number={} checks={}", half.number, half.checks));
                let _ = writeln!(answers, "to check: {}", lines.collect::<Vec<_>>().join(", "));
            }
            "dead-letters" => {
                let rows = self.rig.machine.dead_letters(dead_letters(&words), words.number("from", 0), 10);
                for (row, record) in rows.unwrap() {
                    let body = record.map_or("gone".into(), |(position, length)| {
                        String::from_utf8(self.rig.bytes_at(position, length).to_vec()).unwrap()
                    });
                    let from = QueueKey { topic: TopicId(row.from.0), number: row.from.1 };
                    let again = row.resent.map_or(String::new(), |resent| {
                        format!(" resent at {} to offset={}", seconds(resent.resent_ms), resent.offset)
                    });
                    let _ = writeln!(
                        answers,
                        "{}: c={} {} offset={} attempts={} at {} body={body}{again}",
                        row.offset,
                        row.consumer,
                        name(from),
                        row.from_offset,
                        row.attempts,
                        seconds(row.buried_ms)
                    );
                }
            }
            "journal" => self.journal(&words, answers),
            "stands" => {
                let (consumer, order) = (ConsumerId(words.number("c", 1) as u32), words.text("group"));
                let order_hash = order.map_or(0, |group| hash64(group.as_bytes()));
                let offset = words.number("offset", 0);
                let state =
                    self.rig.machine.delivery(consumer, queue(&words), offset, order_hash, self.rig.now_ms);
                let _ = writeln!(answers, "{}", crate::lookup::standing(&state));
            }
            "find" => {
                let key = words.text("key").expect("find needs key=");
                for line in
                    crate::lookup::find(&self.rig.machine, queue(&words).topic, hash64(key.as_bytes()))
                {
                    let _ = writeln!(answers, "{line}");
                }
            }
            "expiring" => {
                let clients = self.rig.machine.expiring_auto_leases(EPOCH_MS + words.time_ms("by", 0));
                let _ = writeln!(answers, "clients {clients:?}");
            }
            _ => {
                let commands = lines.iter().map(|line| command(&self.numbered(line))).collect::<Vec<_>>();
                let applied = self.rig.apply(&commands).unwrap();
                self.note_numbers(lines, &applied);
                self.answer(&applied, answers);
            }
        }
    }

    /// The line with the numbers in place of `#id`.
    fn numbered(&self, line: &str) -> String {
        let word = |word: &str| match word.split_once('#') {
            Some((before, id)) => format!("{before}{}", self.numbers[id]),
            None => word.to_string(),
        };
        line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
    }

    fn note_numbers(&mut self, lines: &[&str], applied: &AppliedFrame) {
        for (line, outcome) in lines.iter().zip(&applied.outcomes) {
            if let Outcome::Published(it) = outcome
                && let Place::Waiting(number) = it.place
                && let Some(id) = Words::of(line.split_whitespace()).text("id")
            {
                self.numbers.insert(id.to_string(), number.to_string());
            }
        }
    }

    fn journal(&self, words: &Words, answers: &mut String) {
        let consumer = words.text("c").map(|c| ConsumerId(c.parse().expect("a number")));
        let since_ms = EPOCH_MS + words.time_ms("since", 0);
        let offset = words.number("offset", 0);
        let found = self.rig.machine.journal().find(queue(words), offset, consumer, since_ms).unwrap();
        for line in crate::lookup::events(&found) {
            let _ = writeln!(answers, "{line}");
        }
    }

    fn state(&self, words: &Words, answers: &mut String) {
        let consumer = ConsumerId(words.number("c", 1) as u32);
        let state = self.rig.machine.queue_state(queue(words), Some(consumer));
        let _ = writeln!(
            answers,
            "first={} end={} settled={} next={} in_flight={}",
            state.first, state.end, state.settled, state.next, state.in_flight
        );
    }

    fn answer(&self, applied: &AppliedFrame, answers: &mut String) {
        for outcome in &applied.outcomes {
            let line = match outcome {
                Outcome::Published(it) => {
                    let duplicate = if it.duplicate { " duplicate" } else { "" };
                    match it.place {
                        Place::Queued(offset) => {
                            format!("published {} offset={}{duplicate}", name(it.queue), offset.0)
                        }
                        Place::Waiting(number) => {
                            format!("waiting {} number={number}{duplicate}", name(it.queue))
                        }
                    }
                }
                Outcome::Received { messages, .. } if messages.is_empty() => "nothing".into(),
                Outcome::Received { messages, .. } => {
                    let lines = messages.iter().map(|it| {
                        let body = String::from_utf8(self.rig.record(it).to_vec()).unwrap();
                        let receipt = format!("{}@{}.{}", it.offset.0, it.lease, it.revision);
                        let until = seconds(it.until_ms);
                        format!(
                            "{} {receipt} attempt={} until={until} body={body}",
                            name(it.queue),
                            it.attempt
                        )
                    });
                    lines.collect::<Vec<_>>().join("\n")
                }
                Outcome::Acknowledged(entries) => {
                    let word = |entry: &Result<(), _>| if entry.is_ok() { "settled" } else { "invalid" };
                    entries.iter().map(word).collect::<Vec<_>>().join(" ")
                }
                Outcome::Changed { revision } => format!("changed revision={revision}"),
                Outcome::Trimmed { first, skipped } => {
                    let missed =
                        skipped.iter().map(|(consumer, it)| format!(" c={} misses {it}", consumer.0));
                    format!("trimmed first={first}{}", missed.collect::<String>())
                }
                Outcome::Carried { holders } => format!("carried for {holders}"),
                Outcome::Floor(position) => {
                    let frame = self.rig.frames.iter().find(|(frame, _)| frame.position == *position);
                    format!("floor at frame {}", frame.expect("a frame begins there").0.index)
                }
                Outcome::LiteGone { lite_topics, unread } => {
                    format!("{lite_topics} lite topics gone, unread={unread}")
                }
                Outcome::Released { released, more } => format!("released {released}, more: {more}"),
                Outcome::Resent(results) => {
                    let word = |result: &ResendResult| match result {
                        ResendResult::Resent { queue, offset } => {
                            format!("resent to {} offset={}", name(*queue), offset.0)
                        }
                        ResendResult::Already { queue, offset } => {
                            format!("was resent to {} offset={}", name(*queue), offset.0)
                        }
                        ResendResult::Unknown => "unknown".into(),
                        ResendResult::TopicGone => "topic gone".into(),
                    };
                    results.iter().map(word).collect::<Vec<_>>().join("\n")
                }
                Outcome::Done => "done".into(),
                Outcome::Rejected(rejection) => format!("rejected: {rejection}"),
                other => panic!("not an answer of a broker group: {other:?}"),
            };
            let _ = writeln!(answers, "{line}");
        }
        for dead in &applied.effects.dead_lettered {
            let (from, to) = (dead.from, dead.to);
            let (from, to) = ((name(from.0), from.1), (name(to.0), to.1));
            let _ =
                writeln!(answers, "dead letter: {} offset={} -> {} offset={}", from.0, from.1, to.0, to.1);
        }
    }
}

fn seconds(time_ms: u64) -> String {
    let passed_ms = time_ms - EPOCH_MS;
    match passed_ms % 1000 {
        0 => format!("{}s", passed_ms / 1000),
        _ => format!("{passed_ms}ms"),
    }
}

fn name(queue: QueueKey) -> String {
    match queue.topic.0 {
        1 => format!("q={}", queue.number),
        topic => format!("t={topic} q={}", queue.number),
    }
}

fn queue(words: &Words) -> QueueKey {
    QueueKey { topic: TopicId(words.number("t", 1) as u32), number: words.number("q", 0) as u32 }
}

fn command(line: &str) -> Bytes {
    let words = Words::of(line.split_whitespace());
    let consumer = ConsumerId(words.number("c", 1) as u32);
    let keys = words.text("keys").into_iter().flat_map(|keys| keys.split(','));
    match words.plain[0].as_str() {
        "publish" => encode_publish(&Publish {
            queue: queue(&words),
            group: GROUP,
            dedup: words.text("id").map_or(0, |id| u128::from(hash64(id.as_bytes()))),
            tag_hash: words.text("tag").map_or(0, |tag| hash64(tag.as_bytes())),
            order_hash: words.text("group").map_or(0, |group| hash64(group.as_bytes())),
            extras: Extras {
                due_ms: words.text("due").map(|due| EPOCH_MS + time_ms(due)),
                check_after_ms: words.text("check").map(time_ms),
                dedup_window_ms: words.text("window").map(time_ms),
                key_hashes: keys.map(|key| hash64(key.as_bytes())).collect(),
                lite_hash: words.text("lite").map(|name| hash64(name.as_bytes())),
                generation: words.number("generation", 0) as u32,
            },
            record: Bytes::from(words.text("body").unwrap_or("x").to_string()),
        }),
        "release-due" => {
            encode_release_due(EPOCH_MS + words.time_ms("to", 0), words.number("max", 100) as u32)
        }
        "recall" => encode_recall(&Timer {
            group: GROUP,
            topic: queue(&words).topic,
            due_ms: EPOCH_MS + words.time_ms("due", 0),
            number: words.number("number", 0),
            id: words.text("id").map_or(0, |id| u128::from(hash64(id.as_bytes()))),
        }),
        "expire-lite" => {
            let names = words.text("names").unwrap_or_default().split(',');
            let hashes = names.map(|name| hash64(name.as_bytes())).collect::<Vec<_>>();
            encode_expire_lite(queue(&words).topic, words.time_ms("idle", 0), &hashes)
        }
        "commit" => encode_end_transaction(&transaction(&words), Resolution::Commit),
        "rollback" => encode_end_transaction(&transaction(&words), Resolution::Rollback),
        "give-up" => encode_end_transaction(&transaction(&words), Resolution::GiveUp),
        "checked" => {
            let numbers =
                words.plain[1..].iter().filter_map(|number| number.parse().ok()).collect::<Vec<_>>();
            encode_note_checks(&numbers, words.time_ms("again", 30_000), !words.has("unheard"))
        }
        "receive" => match words.text("judged") {
            Some(judged) => encode_judged_receive(&receive(&words), &verdicts(judged)),
            None => encode_receive(&receive(&words)),
        },
        "ack" => encode_acknowledge(&receipts(&words)),
        "change" => encode_change_lease(&receipts(&words)[0], words.time_ms("invisible", 0)),
        "bury" => encode_dead_letter(&receipts(&words)[0], dead_letters(&words)),
        "resend" => {
            let offsets = words.plain[1..].iter().map(|offset| offset.parse().unwrap()).collect::<Vec<_>>();
            encode_resend(dead_letters(&words), &offsets)
        }
        "release" => encode_release_client(words.number("client", 7)),
        "renew" => encode_renew_leases(
            &[words.number("client", 7)],
            EPOCH_MS + words.time_ms("by", 0),
            words.time_ms("extend", 60_000),
        ),
        "doubt" => encode_doubt_leases(EPOCH_MS + words.time_ms("from", 0), words.time_ms("within", 0)),
        "move" => {
            let to = words.text("to").expect("move needs to=");
            let to = match to.parse() {
                Ok(offset) => OffsetTarget::Offset(offset),
                Err(_) => OffsetTarget::Start(start(to)),
            };
            encode_set_offset(consumer, queue(&words), to)
        }
        "trim" => encode_trim(queue(&words), words.number("first", 0)),
        "delete-topic" => encode_delete_topic(queue(&words).topic),
        "delete-subscription" => encode_delete_subscription(consumer, queue(&words).topic),
        "delete-consumer" => encode_delete_consumer(consumer),
        other => panic!("no such command: {other}"),
    }
}

fn transaction(words: &Words) -> Transaction {
    Transaction {
        group: GROUP,
        topic: queue(words).topic,
        number: words.number("number", 0),
        id: words.text("id").map_or(0, |id| u128::from(hash64(id.as_bytes()))),
    }
}

/// Queue, stretch and matches, `0:3-10:4,7`; several are separated by `/`.
fn verdicts(text: &str) -> Vec<Verdict> {
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("not a number: {text:?}"));
    let verdict = |text: &str| {
        let [queue, stretch, matches] = text.split(':').collect::<Vec<_>>()[..] else { panic!("{text}") };
        let (from, to) = stretch.split_once('-').unwrap_or_else(|| panic!("not a stretch: {stretch}"));
        let matches = matches.split(',').filter(|offset| !offset.is_empty()).map(number).collect();
        Verdict { queue: number(queue) as u32, from: number(from), to: number(to), matches }
    };
    text.split('/').map(verdict).collect()
}

fn dead_letters(words: &Words) -> QueueKey {
    QueueKey { topic: TopicId(words.number("dlq", 99) as u32), number: 0 }
}

fn start(text: &str) -> StartFrom {
    match text {
        "first" => StartFrom::First,
        "last" => StartFrom::Last,
        time => StartFrom::Time(EPOCH_MS + time_ms(time)),
    }
}

fn receive(words: &Words) -> Receive {
    let mut hashes = words
        .text("tags")
        .map_or(vec![], |tags| tags.split(',').map(|tag| hash64(tag.as_bytes())).collect::<Vec<_>>());
    hashes.sort_unstable();
    Receive {
        consumer: ConsumerId(words.number("c", 1) as u32),
        topic: TopicId(words.number("t", 1) as u32),
        group: GROUP,
        queues: words.text("q").unwrap_or("0").split(',').map(|q| q.parse().unwrap()).collect(),
        max: words.number("max", 16) as u16,
        invisible_ms: words.time_ms("invisible", 30_000),
        fifo: words.has("fifo"),
        auto_renew: words.has("renew"),
        client: words.number("client", 7),
        attempt: words.number("attempt", 0),
        filter: if hashes.is_empty() { Filter::All } else { Filter::AnyOf(hashes) },
        max_attempts: words.number("attempts", 16) as u16,
        start: start(words.text("start").unwrap_or("first")),
        dead_letters: dead_letters(words),
        in_flight_max: words.text("in-flight").map(|max| max.parse().unwrap()),
        rules: TopicRules { by_priority: words.has("by-priority"), ttl_ms: words.time_ms("ttl", 0) },
        lite: None,
    }
}

/// `offset@lease` or `offset@lease.revision`.
fn receipts(words: &Words) -> Vec<Receipt> {
    let receipt = |word: &String| {
        let (offset, lease) = word.split_once('@').unwrap_or_else(|| panic!("not a receipt: {word}"));
        let (lease, revision) = lease.split_once('.').unwrap_or((lease, "0"));
        Receipt {
            consumer: ConsumerId(words.number("c", 1) as u32),
            queue: queue(words),
            group: GROUP,
            offset: QueueOffset(offset.parse().unwrap()),
            lease: lease.parse().unwrap(),
            revision: revision.parse().unwrap(),
        }
    };
    words.plain[1..].iter().map(receipt).collect()
}
