//! Histories as files: written, read, cut off; and a million operations at once.

use std::time::{Duration, Instant};

use checkers::history::{
    Call, Coverage, Delivery, Drained, Header, History, Kind, Lease, Line, Operation, Outcome, Place,
    QueueRead, ReadError, Receive, Record, Replica, Rules, Send, Stored, Subscription, VERSION, Writer,
};
use checkers::{Property, Verdict, check_all};

fn header() -> Header {
    Header {
        version: VERSION,
        seed: 7,
        workload: "queue".into(),
        nemesis: vec!["kill".into()],
        nodes: 3,
        commit: "0000000".into(),
        command: "jepsen run --seed 7".into(),
        started_unix_ms: 1_700_000_000_000,
        rules: Rules::default(),
    }
}

fn operation(process: u32, invoke_ns: u64, return_ns: u64, call: Call) -> Line {
    Line::Op(Operation { process, invoke_ns, return_ns, outcome: Outcome::Ok, error: None, call })
}

fn send(number: u64, id: &str, place: Place) -> Send {
    Send {
        topic: "orders".into(),
        message: id.into(),
        body: number,
        message_group: Some(format!("o{}", number % 64)),
        kind: Kind::Normal,
        attempts: 1,
        place: Some(place),
        transaction: None,
    }
}

/// Messages to 64 message groups in 8 queues: each is sent, received and acknowledged; at the end
/// the queues and three logs are read. Three operations a message.
fn write_run(messages: u64) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    let mut write = |line: Line| writer.write(&line).unwrap();
    let (group, topic) = ("readers".to_owned(), "orders".to_owned());
    write(Line::Subscription(Subscription {
        group: group.clone(),
        topic: topic.clone(),
        fifo: true,
        max_attempts: 16,
        from_first: true,
    }));
    for number in 0..messages {
        let id = format!("01{number:032X}");
        let place = Place { queue: (number % 8) as u32, offset: number / 8 };
        let began_ns = number * 10_000;
        write(operation(
            number as u32 % 16,
            began_ns,
            began_ns + 9_000,
            Call::Send(send(number, &id, place)),
        ));
        let receipt = format!("01000000{number:070x}");
        let delivered = vec![Delivery {
            message: id.clone(),
            body: number,
            message_group: Some(format!("o{}", number % 64)),
            place,
            attempt: 1,
            receipt: receipt.clone(),
            stored_unix_ms: Some(1_700_000_000_000 + began_ns / 1_000_000),
        }];
        let receive = Receive {
            group: group.clone(),
            topic: topic.clone(),
            invisible_ms: 30_000,
            renewed: false,
            delivered,
        };
        write(operation(100, began_ns + 5_000, began_ns + 9_500, Call::Receive(receive)));
        let lease = Lease { group: group.clone(), message: id.clone(), receipt };
        write(operation(100, began_ns + 9_500, began_ns + 9_900, Call::Acknowledge(lease)));
        let stored = Stored {
            topic: topic.clone(),
            place,
            message: id.clone(),
            body: number,
            message_group: Some(format!("o{}", number % 64)),
        };
        write(Line::Stored(stored));
        write(Line::Record(Record {
            nodes: vec![1, 2, 3],
            group: "g1".into(),
            index: 1 + number / 8,
            topic: topic.clone(),
            message: id,
            body: number,
            message_group: None,
            place: Some(place),
            carried: false,
        }));
    }
    let at_ns = messages * 10_000 + 1_000_000_000;
    for queue in 0..8 {
        let next = messages / 8;
        write(Line::Queue(QueueRead { topic: topic.clone(), queue, first: 0, next, complete: true, at_ns }));
    }
    for node in 1..=3 {
        write(Line::Replica(Replica {
            node,
            group: "g1".into(),
            first_index: 1,
            last_index: 1 + messages / 8,
            committed_index: 1 + messages / 8,
            bytes: Vec::new(),
            unreadable: None,
        }));
    }
    write(Line::Drained(Drained { group, topic, complete: true, dead_read: true, at_ns }));
    write(Line::Coverage(Coverage { what: "sends".into(), wanted: 1, seen: messages }));
    writer.finish().unwrap()
}

#[test]
fn what_is_written_is_read() {
    let file = write_run(800);
    let history = History::read(&file[..]).unwrap();
    assert_eq!(history.header, header());
    assert_eq!((history.operations.len(), history.stored.len(), history.records.len()), (2400, 800, 800));
    assert!(history.is_complete());
    let verdicts = check_all(&history);
    let nothing = [
        Property::StateDigest,
        Property::Idempotence,
        Property::Transactions,
        Property::Delay,
        Property::Membership,
    ];
    for (property, verdict) in verdicts {
        match verdict {
            Verdict::Held { checked } => assert!(checked > 0, "{property}"),
            Verdict::NotChecked { why } => assert!(nothing.contains(&property), "{property}: {why}"),
            Verdict::Violated { .. } => panic!("{property}: {verdict:?}"),
        }
    }
}

#[test]
fn the_lines_are_as_documented() {
    let file = write_run(8);
    let text = String::from_utf8(file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with(r#"{"header":{"version":1,"seed":7,"workload":"queue""#), "{}", lines[0]);
    assert_eq!(
        lines[2],
        r#"{"op":{"process":0,"invoke_ns":0,"return_ns":9000,"outcome":"ok","call":{"send":{"topic":"orders","message":"0100000000000000000000000000000000","body":0,"message_group":"o0","place":{"queue":0,"offset":0}}}}}"#
    );
    assert_eq!(*lines.last().unwrap(), r#"{"finish":{"operations":24}}"#);
}

#[test]
fn a_history_that_was_cut_off_says_so() {
    let file = write_run(800);
    for cut in [1, 5, 40, 1000] {
        let history = History::read(&file[..file.len() - cut]).unwrap();
        assert_eq!(history.is_complete(), cut == 1, "{cut} bytes less");
    }
}

#[test]
fn what_is_no_history_is_refused() {
    assert!(matches!(History::read(&b""[..]), Err(ReadError::NoHeader)));
    assert!(matches!(History::read(&b"{\"finish\":{\"operations\":0}}\n"[..]), Err(ReadError::NoHeader)));
    let Err(ReadError::Line { line, .. }) = History::read(&b"hello\nworld\n"[..]) else { panic!("accepted") };
    assert_eq!(line, 1);
    let mut file = write_run(8);
    let at = file.iter().position(|byte| *byte == b'\n').unwrap();
    file.splice(at + 1..at + 1, *b"{\"op\":{}}\n");
    assert!(matches!(History::read(&file[..]), Err(ReadError::Line { line: 2, .. })));
    let mut newer = header();
    newer.version = VERSION + 1;
    let file = Writer::new(Vec::new(), &newer).unwrap().finish().unwrap();
    assert!(matches!(History::read(&file[..]), Err(ReadError::Version { .. })));
}

#[test]
fn texts_with_escapes_are_read() {
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    let id = "tab\tquote\"é\u{1}";
    writer.write(&operation(1, 0, 1, Call::Send(send(0, id, Place { queue: 0, offset: 0 })))).unwrap();
    let history = History::read(&writer.finish().unwrap()[..]).unwrap();
    let Call::Send(send) = &history.operations[0].call else { panic!("no send") };
    assert_eq!(history.text(send.message), id);
}

/// How long this thread has had a core: on a busy machine it waits for one. Without such a count, the clock.
fn core_time(began: Instant) -> Duration {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ran_ns = counted.and_then(|text| text.split_whitespace().next()?.parse().ok());
    ran_ns.map_or_else(|| began.elapsed(), Duration::from_nanos)
}

/// Prints the seconds of one core: `cargo test --release -p checkers million -- --nocapture`.
#[test]
fn a_million_operations_are_checked() {
    // Without optimization nobody has the time.
    let operations: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let file = write_run(operations / 3 / 8 * 8 + 8);
    let began = Instant::now();
    let before = core_time(began);
    let history = History::read(&file[..]).unwrap();
    let read = core_time(began) - before;
    let verdicts = check_all(&history);
    let all = core_time(began) - before;
    println!(
        "{} operations in {} MiB: read in {:.2} s, checked in {:.2} s",
        history.operations.len(),
        file.len() >> 20,
        read.as_secs_f64(),
        (all - read).as_secs_f64()
    );
    assert!(history.operations.len() as u64 >= operations);
    assert!(verdicts.iter().all(|(_, verdict)| !verdict.is_violated()), "{verdicts:?}");
    assert!(all.as_secs() < 10, "took {all:?}");
}
