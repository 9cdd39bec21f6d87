//! Senders and receivers on every node, and when they succeeded.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use proto::admin::TopicType;
use tokio::task::JoinSet;

use super::AvailabilityOptions;
use super::gaps::{Gaps, longest_gap_ms};
use crate::client::{Client, Ended, GroupSpec, MessageIds, Outgoing, Poll, TopicSpec};
use crate::limits::{
    LEASE_MIN, OPERATIONS_MAX, POLL_WAIT_MIN, PROCESSES_PATIENCE, RECEIVE_PATIENCE, REQUEST_PATIENCE,
    SENDS_UNDER_WAY_MAX,
};

const TOPIC: &str = "jepsen-availability";
const GROUP: &str = "jepsen-availability-readers";

/// What is sent to.
pub fn topic() -> TopicSpec {
    TopicSpec { name: TOPIC.into(), kind: TopicType::Normal, queues: 8 }
}

/// Who receives.
pub fn group() -> GroupSpec {
    GroupSpec { name: GROUP.into(), fifo: false, max_attempts: 64, retry_ms: vec![1_000] }
}

/// A success.
#[derive(Clone, Copy, Debug)]
struct Success {
    at_ns: u64,
    /// The node where the client is at home.
    home: usize,
}

/// What the clients share.
#[derive(Debug)]
struct Shared {
    begun: Instant,
    ended: Cell<bool>,
    /// Raised when every client is to go back to its own node.
    returns: Cell<u64>,
    sends: RefCell<Vec<Success>>,
    receives: RefCell<Vec<Success>>,
}

impl Shared {
    fn note(&self, to: &RefCell<Vec<Success>>, home: usize) {
        let mut successes = to.borrow_mut();
        assert!(successes.len() < OPERATIONS_MAX, "{OPERATIONS_MAX} operations at most");
        successes.push(Success { at_ns: self.begun.elapsed().as_nanos() as u64, home });
    }
}

/// Clients at work.
#[derive(Debug)]
pub struct Traffic {
    shared: Rc<Shared>,
    tasks: JoinSet<()>,
}

impl Traffic {
    /// Starts senders and receivers on every node.
    pub fn start(addresses: &[String], options: &AvailabilityOptions) -> Traffic {
        let shared = Rc::new(Shared {
            begun: Instant::now(),
            ended: Cell::new(false),
            returns: Cell::new(0),
            sends: RefCell::default(),
            receives: RefCell::default(),
        });
        let mut tasks = JoinSet::new();
        let run =
            u64::from(std::process::id()) ^ shared.begun.elapsed().as_nanos() as u64 ^ rand::random::<u64>();
        let mut number = 0;
        for home in 0..addresses.len() {
            for _ in 0..options.clients_per_node {
                number += 1;
                let client =
                    |role: &str| Client::new(&format!("jepsen-{run:x}-{role}-{number}"), addresses, home);
                let ids = MessageIds::new(run, number);
                tasks.spawn_local(send(shared.clone(), client("sender"), home, ids, options.pause));
                tasks.spawn_local(receive(shared.clone(), client("receiver"), home));
            }
        }
        Traffic { shared, tasks }
    }

    /// Nanoseconds since the beginning.
    pub fn now_ns(&self) -> u64 {
        self.shared.begun.elapsed().as_nanos() as u64
    }

    /// Has every client go back to its own node.
    pub fn go_home(&self) {
        self.shared.returns.set(self.shared.returns.get() + 1);
    }

    /// How many sends succeeded in between.
    pub fn sends_between(&self, from_ns: u64, to_ns: u64) -> u64 {
        let sends = self.shared.sends.borrow();
        sends.iter().filter(|send| (from_ns..to_ns).contains(&send.at_ns)).count() as u64
    }

    /// The longest gaps in between; `victim` is the node that went, from 1.
    pub fn gaps(&self, victim: usize, from_ns: u64, to_ns: u64) -> Gaps {
        let all = |of: &RefCell<Vec<Success>>| {
            longest_gap_ms(of.borrow().iter().map(|success| success.at_ns), from_ns, to_ns)
        };
        let of_victim = |of: &RefCell<Vec<Success>>| {
            let of = of.borrow();
            let successes = of.iter().filter(|success| success.home + 1 == victim);
            longest_gap_ms(successes.map(|success| success.at_ns), from_ns, to_ns)
        };
        let Shared { sends, receives, .. } = &*self.shared;
        Gaps {
            send_server_ms: all(sends),
            send_client_ms: of_victim(sends),
            receive_server_ms: all(receives),
            receive_client_ms: of_victim(receives),
        }
    }

    /// Ends all clients.
    pub async fn end(mut self) {
        self.shared.ended.set(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(PROCESSES_PATIENCE, all).await;
    }
}

/// Sends a message every so often, whether the ones before are answered or not: what hangs at a node that went says
/// nothing about what is sent later. Like the official clients it leaves a node that failed it.
async fn send(shared: Rc<Shared>, mut client: Client, home: usize, mut ids: MessageIds, pause: Duration) {
    let (mut returned, mut under_way) = (0, JoinSet::new());
    let mut tick = tokio::time::interval(pause.max(Duration::from_millis(1)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    while !shared.ended.get() {
        tick.tick().await;
        if returned != shared.returns.get() {
            returned = shared.returns.get();
            client.prefer(home);
        }
        while let Some(Ok(other)) = under_way.try_join_next() {
            if let Some(node) = other {
                client.prefer(node);
            }
        }
        if under_way.len() >= SENDS_UNDER_WAY_MAX {
            continue;
        }
        let message = Outgoing {
            topic: TOPIC.to_owned(),
            message_id: ids.next_id(),
            body: vec![b'x'; 200],
            ..Outgoing::default()
        };
        let (shared, mut client) = (shared.clone(), client.clone());
        under_way.spawn_local(async move {
            let asked = client.next_node();
            if let Ended::Ok(_) = client.send(&message, REQUEST_PATIENCE).await {
                shared.note(&shared.sends, home);
            }
            (client.next_node() != asked).then_some(client.next_node())
        });
    }
    while under_way.join_next().await.is_some() {}
}

async fn receive(shared: Rc<Shared>, mut client: Client, home: usize) {
    let mut returned = 0;
    while !shared.ended.get() {
        if returned != shared.returns.get() {
            returned = shared.returns.get();
            client.prefer(home);
        }
        let poll = Poll {
            group: GROUP.to_owned(),
            topic: TOPIC.to_owned(),
            max: 4,
            lease: LEASE_MIN,
            wait: POLL_WAIT_MIN,
            attempt_id: format!("{:032x}", rand::random::<u128>()),
        };
        let (ended, _) = client.receive(&poll, RECEIVE_PATIENCE).await;
        let Ended::Ok(messages) = ended else { continue };
        if !messages.is_empty() {
            shared.note(&shared.receives, home);
        }
        for message in &messages {
            let _ = client.acknowledge(GROUP, message, REQUEST_PATIENCE).await;
        }
    }
}
