//! `ledgermq receive --broadcast` and `ledgermq receive --pull`: every such client gets all messages, and keeps
//! its offsets itself.

use std::time::Duration;

use clap::Args;
use proto::{admin, v2};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::exit::Failure;
use super::group::From;
use super::target::ADMIN_TIMEOUT;
use crate::client::access::{Broker, ClientError};
use crate::client::puller::{Begin, Puller};

/// The most that one call asks for.
const BATCH_MAX: usize = 32;
/// One pull waits so long at most.
const PULL_WAIT_MAX: Duration = Duration::from_secs(20);
/// Pulls under way; with more queues each of them goes round several.
const WORKERS_MAX: usize = 64;
/// Who goes round several queues waits only so long at each.
const ROUND_WAIT: Duration = Duration::from_millis(100);
/// Between a failure and the next attempt.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(200);
/// Messages that wait to be printed.
const PRINT_QUEUE_MAX: usize = 256;

/// How to read without a consumer group.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// Get every message, as every other client that says so: no consumer group takes part
    #[arg(long, group = "pulling")]
    pub broadcast: bool,
    /// Read queues from an offset on, without a consumer group
    #[arg(long, group = "pulling")]
    pub pull: bool,
    /// Only this queue
    #[arg(long, value_name = "N", requires = "pull", value_parser = clap::value_parser!(u32).range(0..=65_535))]
    pub queue: Option<u32>,
    /// Begin at this offset of the queue
    #[arg(long, value_name = "N", requires = "queue", conflicts_with = "from",
        value_parser = clap::value_parser!(i64).range(0..))]
    pub offset: Option<i64>,
    /// Where to begin: first, last, or a time (2h: two hours ago)
    #[arg(long, value_name = "first|last|TIME", default_value = "first", requires = "pulling")]
    pub from: From,
    /// Ask only the broker at --endpoint for what it has applied: it need not lead, and may lag a moment
    #[arg(long, requires = "pulling")]
    pub from_replica: bool,
}

impl PullArgs {
    /// Whether this is about pulls at all.
    pub fn is_asked(&self) -> bool {
        self.broadcast || self.pull
    }

    fn begin(&self) -> Begin {
        match (self.offset, self.from) {
            (Some(offset), _) => Begin::Offset(offset),
            (None, From::First) => Begin::First,
            (None, From::Last) => Begin::Last,
            (None, From::Time(unix_ms)) => Begin::Time(unix_ms),
        }
    }

    /// Reads until `max` messages came or none came for `wait`; how many came.
    pub async fn run(
        &self,
        broker: Broker,
        (topic, filter): (&str, &v2::FilterExpression),
        (max, wait): (u64, Duration),
        mut print: impl FnMut(&v2::Message),
    ) -> Result<u64, Failure> {
        let queues = match self.queue {
            Some(queue) => vec![queue as i32],
            None => all_queues(&broker, topic).await?,
        };
        let brokers = match self.from_replica {
            true => vec![broker],
            false => broker
                .route(topic, ADMIN_TIMEOUT)
                .await
                .map_err(|error| Failure::about_topic(error, topic))?,
        };
        let puller = Puller::new(topic, filter, self.from_replica);
        let (found, mut arrived) = mpsc::channel(PRINT_QUEUE_MAX);
        let mut workers = JoinSet::new();
        let count = queues.len().min(WORKERS_MAX);
        for worker in 0..count {
            let own = queues.iter().skip(worker).step_by(count).map(|queue| (*queue, None)).collect();
            let turn = Worker { puller: puller.clone(), brokers: brokers.clone(), turn: 0, wait };
            workers.spawn(turn.run(own, self.begin(), found.clone()));
        }
        drop(found);
        let mut received = 0;
        while received < max {
            match timeout(wait, arrived.recv()).await {
                Ok(Some(Ok(message))) => {
                    print(&message);
                    received += 1;
                }
                Ok(Some(Err(error))) => return Err(Failure::about_topic(error, topic)),
                Ok(None) | Err(_) => break,
            }
        }
        Ok(received)
    }
}

/// The numbers of a topic's queues. A route lists only the first few: clients pick a node by them.
async fn all_queues(broker: &Broker, topic: &str) -> Result<Vec<i32>, Failure> {
    let request = admin::DescribeTopicRequest { name: topic.to_owned() };
    let request = broker.headers.request(request, ADMIN_TIMEOUT);
    let answer = broker
        .answer(broker.admin().describe_topic(request).await)
        .map_err(|error| Failure::about_topic(error, topic))?;
    Ok((0..answer.topic.unwrap_or_default().queues as i32).collect())
}

type Found = Result<v2::Message, ClientError>;

/// Pulls some of the queues, one after the other.
struct Worker {
    puller: Puller,
    brokers: Vec<Broker>,
    turn: usize,
    wait: Duration,
}

impl Worker {
    async fn run(mut self, mut queues: Vec<(i32, Option<i64>)>, begin: Begin, found: mpsc::Sender<Found>) {
        let wait = if queues.len() == 1 { PULL_WAIT_MAX } else { ROUND_WAIT };
        let mut failing_since = None;
        loop {
            for (queue, at) in &mut queues {
                match self.step(*queue, at, begin, wait, &found).await {
                    Ok(true) => failing_since = None,
                    Ok(false) => return,
                    Err(error) => {
                        let since = *failing_since.get_or_insert_with(Instant::now);
                        let hopeless = !(error.is_connection() || error.is_transient());
                        if hopeless || since.elapsed() >= self.wait {
                            let _ = found.send(Err(error)).await;
                            return;
                        }
                        self.turn += 1;
                        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    }
                }
            }
        }
    }

    /// One pull of one queue; whether anybody still wants to hear of it.
    async fn step(
        &self,
        queue: i32,
        at: &mut Option<i64>,
        begin: Begin,
        wait: Duration,
        found: &mpsc::Sender<Found>,
    ) -> Result<bool, ClientError> {
        let broker = &self.brokers[self.turn % self.brokers.len()];
        let offset = match *at {
            Some(offset) => offset,
            None => *at.insert(self.puller.offset(broker, queue, begin).await?),
        };
        let answer = self.puller.pull(broker, queue, offset, BATCH_MAX, wait).await?;
        *at = Some(answer.next_offset);
        for message in answer.messages {
            if found.send(Ok(message)).await.is_err() {
                return Ok(false);
            }
        }
        Ok(!found.is_closed())
    }
}
