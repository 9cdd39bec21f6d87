//! A run with faults, from its history to its report.

use checkers::history::{
    Call, Coverage, Delivery, Fault, FaultStatus, Finish, Header, History, Kind, Line, Operation, Outcome,
    Place, QueueRead, Receive, Rules, Send, Stored, VERSION,
};
use report::{Report, Result, picture};

const MS: u64 = 1_000_000;

/// A minute with three faults: sends each 10 ms, the leader killed at 10 s (300 ms without answers),
/// a partition at 30 s (a second), and a fault that was skipped.
fn run() -> History {
    let mut history = History::new(Header {
        version: VERSION,
        seed: 7,
        workload: "queue".into(),
        nemesis: vec!["kill".into(), "partition".into(), "clock".into()],
        nodes: 3,
        commit: "894d756".into(),
        command: "jepsen run --workload queue --nemesis kill,partition,clock --seconds 60 --seed 7".into(),
        started_unix_ms: 1_700_000_000_000,
        rules: Rules::default(),
    });
    let silent = [(10_000, 10_300), (30_000, 31_000)];
    let mut offset = 0;
    for at_ms in (0..60_000u64).step_by(10) {
        let gap = silent.iter().find(|(from, to)| (*from..*to).contains(&at_ms));
        let noise = (at_ms.wrapping_mul(2_654_435_761) >> 7) % 4000;
        let (took_ns, outcome) = match gap {
            // Whoever waits gets its answer when the next leader is there; some give up.
            Some((_, to)) if at_ms % 50 == 0 => ((to - at_ms) * MS, Outcome::Info),
            Some((_, to)) => ((to - at_ms) * MS + noise * 1000, Outcome::Ok),
            None => (2 * MS + noise * 1000, Outcome::Ok),
        };
        let place = (outcome == Outcome::Ok).then_some(Place { queue: 0, offset });
        let id = format!("m{at_ms}");
        let send = Send {
            topic: "orders".into(),
            message: id.clone(),
            body: at_ms,
            message_group: None,
            kind: Kind::Normal,
            attempts: 1,
            place,
            transaction: None,
        };
        let (invoke_ns, return_ns) = (at_ms * MS, at_ms * MS + took_ns);
        let call = Call::Send(send);
        history.push(Line::Op(Operation { process: 1, invoke_ns, return_ns, outcome, error: None, call }));
        if outcome != Outcome::Ok {
            continue;
        }
        let place = Place { queue: 0, offset };
        offset += 1;
        let delivered = vec![Delivery {
            message: id.clone(),
            body: at_ms,
            message_group: None,
            place,
            attempt: 1,
            receipt: format!("r{at_ms}"),
            stored_unix_ms: None,
        }];
        let (group, topic) = ("readers".to_owned(), "orders".to_owned());
        let receive =
            Receive { group, topic: topic.clone(), invisible_ms: 30_000, renewed: false, delivered };
        let call = Call::Receive(receive);
        let (invoke_ns, return_ns) = (return_ns, return_ns + 3 * MS);
        history.push(Line::Op(Operation {
            process: 2,
            invoke_ns,
            return_ns,
            outcome: Outcome::Ok,
            error: None,
            call,
        }));
        history.push(Line::Stored(Stored { topic, place, message: id, body: at_ms, message_group: None }));
    }
    let fault = |name: &str, target: &str, nodes: &[u32], status, from_ms: u64, to_ms: u64| {
        Line::<String>::Fault(Fault {
            fault: name.into(),
            target: target.into(),
            nodes: nodes.to_vec(),
            status,
            from_ns: from_ms * MS,
            to_ns: to_ms * MS,
        })
    };
    history.push(fault("kill", "leader", &[2], FaultStatus::Installed, 10_000, 14_000));
    history.push(fault("partition", "minority", &[1], FaultStatus::Installed, 30_000, 38_000));
    let why = "libfaketime is not on this machine".to_owned();
    history.push(fault("clock", "one", &[3], FaultStatus::Skipped { why }, 45_000, 50_000));
    history.push::<String>(Line::Queue(QueueRead {
        topic: "orders".into(),
        queue: 0,
        first: 0,
        next: offset,
        complete: true,
        at_ns: 70_000 * MS,
    }));
    history.push::<String>(Line::Coverage(Coverage {
        what: "sends under kill".into(),
        wanted: 100,
        seen: 430,
    }));
    let operations = history.operations.len() as u64;
    history.push::<String>(Line::Finish(Finish { operations }));
    history
}

#[test]
fn a_good_run_is_told_in_a_page() {
    let report = Report::new(&run());
    assert_eq!(report.result, Result::Held);
    let text = report.text();
    assert!(text.starts_with("HELD\n"), "{text}");
    for part in [
        "seed 7",
        "  held         durability",
        "  not checked  transactions",
        "kill               leader",
        "skipped: clock of one at 45.0 s: libfaketime is not on this machine",
        "Coverage: every goal was reached (1).",
        "Again: jepsen run --workload queue",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(text.lines().count() < 60, "{text}");
    let gap = report.gaps.iter().find(|gaps| gaps.fault == "kill").unwrap().send_gaps_ms.unwrap();
    assert!((300.0..320.0).contains(&gap.max), "{gap:?}");
    assert!(report.gaps.iter().all(|gaps| gaps.fault != "clock"), "what was skipped has no gaps");
    assert_eq!(report.unknown_sends.absent, 26, "the sends that gave up are nowhere");
}

#[test]
fn a_lost_message_is_told_first() {
    let mut history = run();
    history.stored.remove(100);
    let report = Report::new(&history);
    assert_eq!(report.result, Result::Violated);
    let text = report.text();
    assert!(text.starts_with("VIOLATED\n"), "{text}");
    assert!(text.contains("lost: 0 at the beginning, 1 in the middle, 0 at the end"), "{text}");
    assert!(picture(&report, &history).contains("× violation"));
}

#[test]
fn a_run_that_missed_its_goal_or_its_end_is_rejected() {
    let mut history = run();
    history.push::<String>(Line::Coverage(Coverage {
        what: "faults of kind clock".into(),
        wanted: 1,
        seen: 0,
    }));
    let report = Report::new(&history);
    assert_eq!(report.result, Result::Rejected);
    assert!(report.text().contains("MISSED   faults of kind clock: 0 of 1"), "{}", report.text());
    let mut history = run();
    history.finish = None;
    assert_eq!(Report::new(&history).result, Result::Rejected);
}

#[test]
fn the_files_are_there_and_can_be_read() {
    let history = run();
    let report = Report::new(&history);
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    let files = report::write(&report, &history, &directory).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&files.json).unwrap()).unwrap();
    assert_eq!(json["result"], "held");
    assert_eq!(json["properties"][0]["property"], "durability");
    assert_eq!(json["properties"][0]["verdict"], "held");
    assert_eq!(json["faults"][2]["status"]["skipped"]["why"], "libfaketime is not on this machine");
    let svg = std::fs::read_to_string(&files.svg).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{}", &svg[..200]);
    for part in ["Latency", "Throughput", "Availability", "partition", "Time since the run began"] {
        assert!(svg.contains(part), "no {part}");
    }
}

#[test]
fn an_empty_history_has_a_picture_too() {
    let header = run().header;
    let history = History::new(header);
    let report = Report::new(&history);
    assert_eq!(report.result, Result::Rejected);
    let svg = picture(&report, &history);
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}
