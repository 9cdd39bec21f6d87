//! What a run shows.

use checkers::history::History;
use checkers::{Property, Verdict};
use report::{CallCount, PropertyLine, Report, Work};
use serde::Serialize;

use crate::cli::exit::Failure;
use crate::cli::output::table;

/// What clients can see. The others need the replicas' logs, or a fault.
const PROPERTIES: [Property; 12] = [
    Property::Durability,
    Property::NoPhantom,
    Property::OffsetAgreement,
    Property::LinearizableAppend,
    Property::ProducerOrder,
    Property::Fifo,
    Property::Idempotence,
    Property::Delay,
    Property::Redelivery,
    Property::Acknowledgement,
    Property::ReceiveLinearizability,
    Property::Conservation,
];

/// What a property says to somebody who sees no logs.
fn promise(line: &PropertyLine) -> &'static str {
    match line.property {
        Property::Durability => "what was acknowledged was delivered",
        _ => line.meaning,
    }
}

/// A judged run.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// Whether nothing was violated, and enough was seen to say so.
    held: bool,
    /// Whether everything that was sent was received to the end.
    complete: bool,
    /// Each promise.
    properties: Vec<PropertyLine>,
    /// How much was done.
    work: Work,
    /// Sends whose outcome nobody knew.
    unknown_sends: u64,
    /// Calls by kind, with latencies.
    calls: Vec<CallCount>,
    /// What went wrong last, if something did and was tried again.
    last_error: Option<String>,
}

impl Judged {
    /// Judges a history.
    pub fn of(history: &History, last_error: Option<String>) -> Judged {
        let Report { properties, work, calls, .. } = Report::new(history);
        let properties: Vec<PropertyLine> = properties
            .into_iter()
            .filter(|line| PROPERTIES.contains(&line.property))
            // Retries are hidden in the client: without one that was needed there is nothing to say.
            .filter(|line| line.property != Property::Idempotence || line.verdict.is_violated())
            .collect();
        let complete = !history.drained.is_empty() && history.drained.iter().all(|drained| drained.complete);
        let is_violated = properties.iter().any(|line| line.verdict.is_violated());
        let unknown_sends = calls.iter().filter(|count| count.call == "send").map(|count| count.info).sum();
        let held = !is_violated && complete && work.acknowledged > 0;
        Judged { held, complete, properties, work, unknown_sends, calls, last_error }
    }

    fn violated(&self) -> usize {
        self.properties.iter().filter(|line| line.verdict.is_violated()).count()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut rows = Vec::new();
        let mut examples = String::new();
        for line in &self.properties {
            let (word, checked) = match &line.verdict {
                Verdict::Held { checked } => ("held", checked.to_string()),
                Verdict::Violated { total, .. } => ("BROKEN", format!("{total} times")),
                Verdict::NotChecked { .. } => ("not checked", "-".to_owned()),
            };
            rows.push([word.to_owned(), checked, promise(line).to_owned()]);
            if let Verdict::Violated { examples: found, .. } = &line.verdict {
                for example in found.iter().take(3) {
                    examples.push_str(&format!("  {}: {}\n", line.property, example.what));
                }
            }
        }
        let mut text = table(["VERDICT", "CHECKED", "PROMISE"], &rows);
        if !examples.is_empty() {
            text.push_str(&format!("\nFor example:\n{examples}"));
        }
        text.push('\n');
        text.push_str(&self.figures());
        text
    }

    fn figures(&self) -> String {
        let work = &self.work;
        let mut text = format!(
            "{} messages acknowledged, {} unknown; {} deliveries; {:.1} s\n",
            work.acknowledged, self.unknown_sends, work.delivered, work.seconds
        );
        for count in &self.calls {
            if let Some(took) = count.latency_ms {
                text.push_str(&format!(
                    "{}: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms\n",
                    count.call, took.p50, took.p99, took.max
                ));
            }
        }
        text.push_str(&format!(
            "longest gap between acknowledged sends: {:.0} ms, between receives: {:.0} ms\n",
            work.longest_send_gap_ms, work.longest_receive_gap_ms
        ));
        let words = match (self.violated(), self.held) {
            (0, true) => "Every promise held.".to_owned(),
            (0, false) => format!("Nothing is violated, but {}.", self.too_little()),
            (1, _) => "ONE PROMISE WAS BROKEN.".to_owned(),
            (many, _) => format!("{many} PROMISES WERE BROKEN."),
        };
        text + &words
    }

    fn too_little(&self) -> String {
        let why = match self.work.acknowledged {
            0 => "no message was acknowledged",
            _ => "not everything could be received in time",
        };
        match &self.last_error {
            Some(error) => format!("{why}: {error}"),
            None => why.to_owned(),
        }
    }

    /// How the command ends.
    pub fn outcome(&self) -> Result<(), Failure> {
        match (self.violated(), self.held) {
            (0, true) => Ok(()),
            (0, false) => Err(Failure::Failed(format!("nothing is proven: {}", self.too_little()))),
            (1, _) => Err(Failure::Failed("one promise was broken".to_owned())),
            (many, _) => Err(Failure::Failed(format!("{many} promises were broken"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use checkers::history::{
        Call, Delivery, Drained, Kind, Lease, Line, Operation, Outcome, Place, Receive, Rules, Send,
        Subscription,
    };

    use super::*;
    use crate::cli::verify::recorder::Recorder;

    const MS: u64 = 1_000_000;

    /// What is planted in a run.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Planted {
        Nothing,
        Lost,
        Altered,
        Swapped,
        Early,
        InsideLease,
        AfterAcknowledgement,
        Unfinished,
    }

    fn at(from_ms: u64, to_ms: u64, call: Call) -> Line {
        let (invoke_ns, return_ns) = (from_ms * MS, to_ms * MS);
        Line::Op(Operation { process: 1, invoke_ns, return_ns, outcome: Outcome::Ok, error: None, call })
    }

    fn send(id: &str, kind: Kind) -> Call {
        let (topic, message) = ("t".to_owned(), id.to_owned());
        let message_group = Some("o".to_owned());
        Call::Send(Send {
            topic,
            message,
            body: 1,
            message_group,
            kind,
            attempts: 1,
            place: None,
            transaction: None,
        })
    }

    fn receive(id: &str, offset: u64, attempt: u32, body: u64) -> Call {
        let delivery = Delivery {
            message: id.to_owned(),
            body,
            message_group: Some("o".to_owned()),
            place: Place { queue: 0, offset },
            attempt,
            receipt: format!("{id}#{attempt}"),
            stored_unix_ms: None,
        };
        let (group, topic) = ("t".to_owned(), "t".to_owned());
        let delivered = vec![delivery];
        Call::Receive(Receive { group, topic, invisible_ms: 10_000, renewed: false, delivered })
    }

    fn acknowledge(id: &str) -> Call {
        let receipt = format!("{id}#1");
        Call::Acknowledge(Lease { group: "t".to_owned(), message: id.to_owned(), receipt })
    }

    /// Two messages in order, and a delayed one; each is received and acknowledged.
    fn judged(planted: Planted) -> Judged {
        let recorder = Recorder::new("verify".to_owned(), Rules::default(), None).unwrap();
        let (group, topic) = ("t".to_owned(), "t".to_owned());
        let due_unix_ms = recorder.started_unix_ms() + 3_000;
        recorder.push(Line::Subscription(Subscription {
            group: group.clone(),
            topic: topic.clone(),
            fifo: true,
            max_attempts: 16,
            from_first: true,
        }));
        let push = |from_ms: u64, call: Call| recorder.push(at(from_ms, from_ms + 5, call));
        push(0, send("a", Kind::Normal));
        push(10, send("b", Kind::Normal));
        push(20, send("late", Kind::Delay { due_unix_ms }));
        let order = if planted == Planted::Swapped { ["b", "a"] } else { ["a", "b"] };
        for (turn, id) in order.into_iter().enumerate() {
            let offset = u64::from(id == "b");
            let from_ms = 100 + 100 * turn as u64;
            if planted == Planted::Lost && id == "b" {
                continue;
            }
            let body = if planted == Planted::Altered && id == "b" { 2 } else { 1 };
            push(from_ms, receive(id, offset, 1, body));
            if planted == Planted::InsideLease && id == "b" {
                push(from_ms + 20, receive(id, offset, 2, body));
            }
            push(from_ms + 50, acknowledge(id));
        }
        if planted == Planted::AfterAcknowledgement {
            push(20_000, receive("b", 1, 2, 1));
        }
        push(if planted == Planted::Early { 1_000 } else { 9_000 }, receive("late", 2, 1, 1));
        push(9_100, acknowledge("late"));
        let complete = planted != Planted::Unfinished;
        recorder.push(Line::Drained(Drained {
            group,
            topic,
            complete,
            dead_read: false,
            at_ns: 30_000 * MS,
        }));
        Judged::of(&recorder.finish().unwrap(), None)
    }

    #[test]
    fn a_sound_run_holds() {
        let judged = judged(Planted::Nothing);
        assert!(judged.held, "{}", judged.text());
        assert!(judged.outcome().is_ok());
        assert!(judged.text().ends_with("Every promise held."), "{}", judged.text());
    }

    #[test]
    fn every_planted_violation_is_found() {
        let planted = [
            (Planted::Lost, Property::Durability),
            (Planted::Altered, Property::NoPhantom),
            (Planted::Swapped, Property::Fifo),
            (Planted::Early, Property::Delay),
            (Planted::InsideLease, Property::Redelivery),
            (Planted::AfterAcknowledgement, Property::Acknowledgement),
        ];
        for (planted, property) in planted {
            let judged = judged(planted);
            let line = judged.properties.iter().find(|line| line.property == property).unwrap();
            assert!(line.verdict.is_violated(), "{planted:?}: {}", judged.text());
            assert!(matches!(judged.outcome(), Err(Failure::Failed(_))), "{planted:?}");
            assert!(judged.text().contains("BROKEN  "), "{planted:?}: {}", judged.text());
        }
    }

    #[test]
    fn a_run_that_did_not_get_to_its_end_proves_nothing() {
        let judged = judged(Planted::Unfinished);
        assert!(!judged.held, "{}", judged.text());
        let failure = judged.outcome().unwrap_err().to_string();
        assert!(failure.contains("nothing is proven"), "{failure}");
    }
}
