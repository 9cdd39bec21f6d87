//! What a million lite topics cost a node: memory, time in the machine, rows on disk.
//!
//! `cargo run --release --workspace --example lite_topics [LITE_TOPICS]` publishes a message to each, has one
//! consumer group read and settle them all, and opens the machine again from its rows.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use raft::catalog::StartFrom;
use raft::command::{
    FrameBuilder, encode_acknowledge, encode_expire_lite, encode_publish, encode_receive,
    encode_release_client, encode_renew_leases,
};
use raft::limits::LITE_QUEUES_FROM;
use raft::machine::{AppliedFrame, FRAME_HEADER_BYTES, FrameContext, Machine, StateMachine};
use raft::names::{ConsumerId, GroupId, QueueKey, TopicId};
use raft::outcome::Outcome;
use raft::request::{Extras, Filter, Publish, Receipt, Receive, TopicRules};
use store::position::LogPosition;
use store::tables::{RocksTables, TableOptions};

const TOPIC: TopicId = TopicId(1);
const GROUP: GroupId = GroupId(1);
const CONSUMER: ConsumerId = ConsumerId(1);
const CLIENT: u64 = 7;
const COMMANDS_A_FRAME: usize = 512;
/// Lite topics that one receive names.
const QUEUES_A_RECEIVE: usize = 32;

struct Feed {
    machine: Machine<RocksTables>,
    index: u64,
    position: LogPosition,
    now_ms: u64,
}

impl Feed {
    fn apply(&mut self, commands: &[Bytes]) -> AppliedFrame {
        let mut builder = FrameBuilder::default();
        commands.iter().for_each(|command| builder.push(command).expect("a frame has room"));
        let (body, _) = builder.finish();
        self.index += 1;
        // A million messages in about ten minutes.
        self.now_ms += 300;
        let (index, position, stamp_ms) = (self.index, self.position, self.now_ms);
        let frame = FrameContext { index, term: 1, leader: 1, position, stamp_ms };
        self.position = position + FRAME_HEADER_BYTES + body.len() as u64;
        self.machine.apply(frame, &body).expect("the machine goes on")
    }

    /// One after the other: how long each takes while all that exists exists.
    fn time(&mut self, what: &str, command: Bytes) {
        let begun = Instant::now();
        self.apply(&[command]);
        println!("{what:<44} {:>9.3} ms", begun.elapsed().as_secs_f64() * 1000.0);
    }
}

fn main() {
    let count = std::env::args().nth(1).map_or(1_000_000, |word| word.parse().expect("a number"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("tables");
    let before = resident_bytes();
    let tables = RocksTables::open(&path, TableOptions::default()).expect("tables");
    let machine = Machine::open(tables).expect("a machine");
    let mut feed = Feed { machine, index: 0, position: LogPosition(4096), now_ms: 1_000_000_000 };
    let report = |what: &str, begun: Instant| {
        let bytes = resident_bytes().saturating_sub(before);
        let seconds = begun.elapsed().as_secs_f64();
        println!("{what:<44} {seconds:>7.1} s {:>6} MiB {:>5} B each", bytes >> 20, bytes / count as u64);
    };

    let begun = Instant::now();
    let names = (0..count).collect::<Vec<usize>>();
    for some in names.chunks(COMMANDS_A_FRAME) {
        feed.apply(&some.iter().map(|name| publish(*name)).collect::<Vec<_>>());
    }
    assert_eq!(feed.machine.lite_topic_count(), count);
    report("a message in each lite topic", begun);

    let begun = Instant::now();
    let numbers = (0..count as u32).map(|number| LITE_QUEUES_FROM + number).collect::<Vec<_>>();
    for some in numbers.chunks(QUEUES_A_RECEIVE) {
        let receipts = leased(&feed.apply(&[receive(some)]));
        assert_eq!(receipts.len(), some.len());
        feed.apply(&[encode_acknowledge(&receipts)]);
    }
    report("all read and settled by a consumer group", begun);

    // What is remembered to recognize repetitions goes.
    feed.now_ms += 3_600_000;
    feed.apply(&[publish(0)]);
    feed.apply(&[receive(&numbers[..1])]);
    report("an hour later", begun);
    feed.time("renew the leases of a client", encode_renew_leases(&[CLIENT], u64::MAX, 60_000));
    let begun = Instant::now();
    assert_eq!(feed.machine.expiring_auto_leases(u64::MAX), [CLIENT]);
    println!("{:<44} {:>9.3} ms", "look for leases to renew", begun.elapsed().as_secs_f64() * 1000.0);
    let begun = Instant::now();
    assert_eq!(feed.machine.in_flight(CONSUMER, feed.now_ms), 1);
    println!("{:<44} {:>9.3} ms", "count messages in flight", begun.elapsed().as_secs_f64() * 1000.0);
    feed.time("release the leases of a client", encode_release_client(CLIENT));
    let begun = Instant::now();
    feed.machine.lowest_in_order(usize::MAX).expect("tables");
    feed.machine.expired(TOPIC, 1, None, 1_000_000).expect("tables");
    println!("{:<44} {:>9.3} ms", "look for what retention may take", begun.elapsed().as_secs_f64() * 1000.0);
    let begun = Instant::now();
    let look = feed.machine.idle_lite_topics(None, 2_048, |_| Some(1_000), feed.now_ms);
    assert_eq!(look.idle.len(), 256);
    println!("{:<44} {:>9.3} ms", "look for 256 idle lite topics", begun.elapsed().as_secs_f64() * 1000.0);
    let hashes = look.idle.iter().map(|(_, hash)| *hash).collect::<Vec<_>>();
    feed.time("let them go", encode_expire_lite(TOPIC, 1_000, &hashes));
    let count = count - hashes.len();

    drop(feed);
    let begun = Instant::now();
    let tables = RocksTables::open(&path, TableOptions::default()).expect("tables");
    let machine = Machine::open(tables).expect("a machine");
    assert_eq!(machine.lite_topic_count(), count);
    println!("{:<44} {:>7.1} s", "opened again", begun.elapsed().as_secs_f64());
}

fn publish(name: usize) -> Bytes {
    let spread = (name as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    encode_publish(&Publish {
        queue: QueueKey { topic: TOPIC, number: 0 },
        group: GROUP,
        dedup: 0,
        tag_hash: 0,
        order_hash: 0,
        extras: Extras { lite_hash: Some(spread), ..Extras::default() },
        record: Bytes::from_static(&[b'x'; 100]),
    })
}

fn receive(queues: &[u32]) -> Bytes {
    encode_receive(&Receive {
        consumer: CONSUMER,
        topic: TOPIC,
        group: GROUP,
        queues: queues.to_vec(),
        max: queues.len() as u16,
        invisible_ms: 60_000,
        fifo: false,
        auto_renew: true,
        client: CLIENT,
        attempt: u64::from(queues[0]),
        filter: Filter::All,
        max_attempts: 16,
        start: StartFrom::First,
        dead_letters: QueueKey { topic: TopicId(2), number: 0 },
        in_flight_max: None,
        rules: TopicRules { by_priority: false, ttl_ms: 0 },
        lite: None,
    })
}

fn leased(applied: &AppliedFrame) -> Vec<Receipt> {
    let Outcome::Received { messages, .. } = &applied.outcomes[0] else { panic!("{:?}", applied.outcomes) };
    let receipt = |it: &raft::outcome::LeasedMessage| Receipt {
        consumer: CONSUMER,
        queue: it.queue,
        group: GROUP,
        offset: it.offset,
        lease: it.lease,
        revision: it.revision,
    };
    messages.iter().map(receipt).collect()
}

/// Memory of this process that is resident, from what Linux says of it.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of it");
    let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number");
    kib << 10
}
