//! The clients: on every host some that send and some that receive and settle, and one that asks.

mod ask;
mod receive;
mod send;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use raft::catalog::{ConsumerGroup, StartFrom, Topic, TopicType};
use raft::node::Node;
use raft::request::{NewConsumer, NewTopic, RequestError};
use raft::simulation;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::history::{Ending, History};

const QUEUES: u32 = 2;
/// A client gives up on an operation after so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a message is invisible to others once it is given to somebody.
pub const INVISIBLE: Duration = Duration::from_secs(4);

/// What the clients of a run share.
pub struct Clients {
    pub history: RefCell<History>,
    /// The topic, and the consumer groups: one that takes messages as they come, and one that keeps their order.
    pub made: RefCell<Option<(Topic, [ConsumerGroup; 2])>>,
    /// Whether senders send, and receivers leave something unsettled.
    pub sending: Cell<bool>,
    dice: RefCell<Dice>,
    count: Cell<u64>,
}

impl Clients {
    pub fn new(seed: u64) -> Rc<Clients> {
        Rc::new(Clients {
            history: RefCell::default(),
            made: RefCell::default(),
            sending: Cell::new(true),
            dice: RefCell::new(Dice::of(seed, 7)),
            count: Cell::new(0),
        })
    }

    fn dice(&self, range: std::ops::Range<u64>) -> u64 {
        self.dice.borrow_mut().within(range)
    }

    fn number(&self) -> u64 {
        self.count.replace(self.count.get() + 1)
    }
}

/// Since the run began.
fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn failed<T>(error: RequestError) -> Ending<T> {
    match error {
        RequestError::Rejected(rejection) => Ending::Refused(rejection.to_string()),
        error => Ending::Unknown(error.to_string()),
    }
}

/// Starts the clients of a node that was just started.
pub fn start(clients: &Rc<Clients>, node: &Node) {
    if node.id().0 == 1 {
        tokio::task::spawn_local(prepare(clients.clone(), node.clone()));
    }
    for _ in 0..2 {
        tokio::task::spawn_local(send::send(clients.clone(), node.clone()));
    }
    for consumer in 0..2 {
        tokio::task::spawn_local(receive::receive(clients.clone(), node.clone(), consumer));
    }
    tokio::task::spawn_local(ask::ask(clients.clone(), node.clone()));
}

fn consumer(name: &str, fifo: bool) -> NewConsumer {
    NewConsumer {
        name: name.to_owned(),
        fifo,
        max_attempts: 1000,
        start: StartFrom::First,
        if_not_exists: true,
        settings: Default::default(),
    }
}

/// Makes the topic and the consumer groups, or finds them.
async fn prepare(clients: Rc<Clients>, node: Node) {
    while clients.made.borrow().is_none() {
        let topic = NewTopic {
            name: "orders".to_owned(),
            kind: TopicType::Normal,
            queues: QUEUES,
            if_not_exists: true,
            settings: Default::default(),
        };
        let made = async {
            let topic = node.create_topic(topic, soon()).await?;
            let loose = node.create_consumer(consumer("loose", false), soon()).await?;
            let ordered = node.create_consumer(consumer("ordered", true), soon()).await?;
            Ok::<_, RequestError>((topic, [loose, ordered]))
        };
        match made.await {
            Ok(made) => {
                simulation::note("the topic is made");
                clients.made.replace(Some(made));
            }
            Err(error) => {
                simulation::note(format_args!("no topic yet: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn prepared(clients: &Clients) -> (Topic, [ConsumerGroup; 2]) {
    loop {
        let made = clients.made.borrow().clone();
        if let Some(made) = made {
            return made;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
