//! How the scripts print what was looked up, and what the journal must do by itself.

use bytes::Bytes;
use raft::command::{encode_publish, encode_receive};
use raft::limits::JOURNAL_WINDOW_MS;
use raft::machine::{Keyed, Machine, StateMachine};
use raft::names::{ConsumerId, GroupId, QueueKey, TopicId};
use raft::question::{Delivery, DeliveryState, FoundPlace, Happening, JournalFound, Wait};
use raft::request::{Extras, Filter, Publish, Receive};
use store::tables::{MemoryTables, TableStore};

use crate::rig::{EPOCH_MS, Rig};

pub fn seconds(time_ms: u64) -> String {
    let passed_ms = time_ms - EPOCH_MS;
    match passed_ms % 1000 {
        0 => format!("{}s", passed_ms / 1000),
        _ => format!("{passed_ms}ms"),
    }
}

/// A line for each event.
pub fn events(found: &JournalFound) -> Vec<String> {
    let line = |event: &raft::question::JournalEvent| {
        let about = match event.what {
            Happening::Leased | Happening::Changed => {
                format!(
                    " attempt={} client={} until={}",
                    event.attempt,
                    event.client,
                    seconds(event.until_ms)
                )
            }
            Happening::GivenBack | Happening::Released => {
                format!(" attempt={} client={}", event.attempt, event.client)
            }
            Happening::Settled | Happening::DeadLettered => String::new(),
        };
        format!("{} c={} {:?}{about}", seconds(event.at_ms), event.consumer.0, event.what)
    };
    match found.events.is_empty() {
        true => vec!["nothing".into()],
        false => found.events.iter().map(line).collect(),
    }
}

pub fn standing(state: &DeliveryState) -> String {
    match state.delivery {
        Delivery::Leased { client, attempt, until_ms, changed, renewed, .. } => {
            let words = [(changed, " changed"), (renewed, " renewed")];
            let words = words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect::<String>();
            format!("leased client={client} attempt={attempt} until={}{words}", seconds(until_ms))
        }
        Delivery::Returned { attempt, since_ms, behind } => {
            format!("returned attempt={attempt} since={}{}", seconds(since_ms), after(behind))
        }
        Delivery::Ahead { behind } => format!("ahead{}", after(behind)),
        Delivery::Parked { behind } => format!("parked{}", after(behind)),
        other => format!("{other:?}"),
    }
}

fn after(behind: Option<u64>) -> String {
    behind.map_or(String::new(), |offset| format!(" behind={offset}"))
}

/// A line for each message that a key leads to, and how many rows there are if some lead nowhere.
pub fn find(machine: &Machine<impl TableStore>, topic: TopicId, hash: u64) -> Vec<String> {
    let rows = machine.key_rows(topic, hash, None, usize::MAX).unwrap();
    let found = rows.iter().filter_map(|row| match machine.at_key(row).unwrap() {
        Keyed::Here(place) => Some(place),
        Keyed::Gone => None,
        Keyed::CameLater { queue, number, from_ms } => {
            machine.view(queue, 0).came_later(number, from_ms).unwrap().unwrap()
        }
    });
    let line = |place: FoundPlace| match place.wait {
        None => {
            format!("q={} offset={} stored={}", place.queue.number, place.number, seconds(place.stored_ms))
        }
        Some(Wait::Timer { due_ms }) => format!("q={} due={}", place.queue.number, seconds(due_ms)),
        Some(wait) => format!("q={} {wait:?}", place.queue.number),
    };
    let mut lines = found.map(line).collect::<Vec<_>>();
    if lines.len() < rows.len() {
        lines.push(format!("{} rows", rows.len()));
    }
    if lines.is_empty() { vec!["nothing".into()] } else { lines }
}

const QUEUE: QueueKey = QueueKey { topic: TopicId(1), number: 0 };

fn publish() -> Bytes {
    encode_publish(&Publish {
        queue: QUEUE,
        group: GroupId(1),
        dedup: 0,
        tag_hash: 0,
        order_hash: 0,
        extras: Extras::default(),
        record: Bytes::from_static(b"x"),
    })
}

fn receive(attempt: u64) -> Bytes {
    encode_receive(&Receive {
        consumer: ConsumerId(1),
        topic: QUEUE.topic,
        group: GroupId(1),
        queues: vec![0],
        max: 16,
        invisible_ms: 1000,
        fifo: false,
        auto_renew: false,
        client: 7,
        attempt,
        filter: Filter::All,
        max_attempts: u16::MAX,
        in_flight_max: None,
        rules: Default::default(),
        lite: None,
        start: raft::catalog::StartFrom::First,
        dead_letters: QueueKey { topic: TopicId(9), number: 0 },
    })
}

#[test]
fn an_empty_journal_knows_that_nothing_happened_for_a_day() {
    let mut rig = Rig::open(MemoryTables::new());
    rig.apply(&[publish()]).unwrap();
    let since =
        |rig: &Rig<MemoryTables>| rig.machine.journal().find(QUEUE, 0, None, EPOCH_MS).unwrap().since_ms;
    assert_eq!(since(&rig), Some(EPOCH_MS));
    rig.now_ms = EPOCH_MS + JOURNAL_WINDOW_MS + 1;
    rig.apply(&[publish()]).unwrap();
    assert_eq!(since(&rig), None);
}

#[test]
fn the_journal_lets_go_of_whole_chunks_after_a_day_and_reopens_alike() {
    let tables = MemoryTables::new();
    let mut rig = Rig::open(tables.clone());
    rig.apply(&[publish()]).unwrap();
    for frame in 0..5000 {
        rig.now_ms += 2000;
        rig.apply(&[receive(frame + 1)]).unwrap();
    }
    let chunks = rig.machine.journal().chunks();
    assert_eq!(chunks.values().sum::<u64>(), 5000, "a run a lease");
    assert_eq!(chunks.len(), 2);
    let found = rig.machine.journal().find(QUEUE, 0, None, EPOCH_MS).unwrap();
    assert!(found.cut && found.events.len() == raft::limits::JOURNAL_EVENTS_MAX);
    // The first chunk's newest frame is older than a day, the second's is not.
    rig.now_ms = EPOCH_MS + 4096 * 2000 + JOURNAL_WINDOW_MS + 4000;
    rig.apply(&[receive(9999)]).unwrap();
    let chunks = rig.machine.journal().chunks();
    assert_eq!((chunks.len(), chunks.keys().next()), (1, Some(&1)), "{chunks:?}");
    let since = |ms| rig.machine.journal().find(QUEUE, 0, None, ms).unwrap().since_ms;
    assert!(since(EPOCH_MS) > Some(EPOCH_MS + 4000 * 2000), "what it let go of is not known any more");
    assert_eq!(since(rig.now_ms + 1), Some(rig.now_ms + 1), "nothing happened since, and that is known");
    let digest = rig.machine.digest().unwrap();
    rig.machine.durability().flush().unwrap();
    rig.reopen(tables.crashed());
    assert_eq!((rig.machine.journal().chunks(), rig.machine.digest().unwrap()), (chunks, digest));
}
