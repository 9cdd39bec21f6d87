//! Messages for later: due at once, soon, at the same moment as many others, in the past; some are taken back.

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use checkers::history::{Call, Recall};
use proto::admin::TopicType;
use rand::Rng;
use tokio::task::JoinSet;

use super::consumer::acknowledge_all;
use super::producer::{Producer, unix_ms};
use super::{Arena, Needs, staff};
use crate::client::{Ended, GroupSpec, TopicSpec};
use crate::limits::REQUEST_PATIENCE;

const TOPIC: &str = "jepsen-delay";
const GROUP: &str = "jepsen-delay-readers";
/// The longest delay.
const DELAY_MS_MAX: u64 = 9_000;

pub(super) fn needs() -> Needs {
    let needs = Needs::simple(
        TopicSpec { name: TOPIC.into(), kind: TopicType::Delay, queues: 4 },
        GroupSpec { name: GROUP.into(), fifo: false, max_attempts: 16, retry_ms: vec![1_000] },
    );
    Needs { settle: Duration::from_millis(DELAY_MS_MAX + 1_000), ..needs }
}

pub(super) fn start(arena: &Rc<Arena>, tasks: &mut JoinSet<()>) {
    staff(arena, tasks, arena.load.senders, |arena| async move { send(&arena).await });
    staff(
        arena,
        tasks,
        arena.load.receivers,
        |arena| async move { acknowledge_all(&arena, GROUP, TOPIC).await },
    );
}

async fn send(arena: &Arena) {
    let mut producer = Producer::new(arena, TOPIC);
    while arena.goes_on() {
        let mut message = producer.message();
        message.due = Some(due(&mut producer));
        let ended = producer.send(&message).await;
        if let (Ended::Ok(sent), true) = (ended, producer.process.chance(10)) {
            let nap = producer.process.between_ms(0, 500);
            tokio::time::sleep(nap).await;
            let begun = arena.recorder.begin(producer.process.number);
            let ended = producer.process.client.recall(TOPIC, &sent.recall_handle, REQUEST_PATIENCE).await;
            let call = Call::Recall(Recall { message: message.message_id.clone() });
            arena.recorder.end(begun, &ended, call);
        }
        producer.pause().await;
    }
}

/// When a message is due, in whole milliseconds.
fn due(producer: &mut Producer<'_>) -> SystemTime {
    let now_ms = unix_ms(SystemTime::now());
    let due_ms = match producer.process.choices.random_range(0..100) {
        0..5 => now_ms - producer.process.choices.random_range(0..2_000),
        5..25 => now_ms + producer.process.choices.random_range(1..400),
        // The next whole second but one: many at the same moment.
        25..45 => (now_ms / 1_000 + 2) * 1_000,
        _ => now_ms + producer.process.choices.random_range(400..DELAY_MS_MAX),
    };
    UNIX_EPOCH + Duration::from_millis(due_ms)
}
