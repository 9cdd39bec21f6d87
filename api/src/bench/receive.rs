//! `bench receive`: long polls of `ReceiveMessage`, each batch acknowledged in one call.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use proto::v2;
use tokio::task::JoinSet;

use super::Load;
use super::meter::Meter;
use super::report::Report;
use super::send::{check, finish};
use super::target::{Caller, Target, end_sessions};
use super::template::Stamp;
use super::wire::{
    ACK_PATH, LeanAckEntries, LeanAckEntry, LeanAcked, LeanMessage, LeanReceived, RECEIVE_PATH,
};
use crate::client::access::{Broker, ClientError, duration, resource};
use crate::client::consumer::{Consumer, POLL_MARGIN, POLL_WAIT_MIN};
use crate::client::session::{Role, tag_filter};

/// The most that brokers give in one answer.
pub const BATCH_MAX: usize = 32;
/// A backlog that gives nothing for so long is drained.
const DRAINED_AFTER: Duration = Duration::from_secs(3);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long messages are leased that are to be acknowledged.
const INVISIBLE: Duration = Duration::from_secs(60);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Receives and acknowledges (or holds) until the time is up or nothing is left. Latency is that of a receive
/// that brought messages, and its acknowledgement.
pub async fn run(load: &Load, show: impl Fn(&Meter)) -> Result<Report, ClientError> {
    let target = Target::open(load).await?;
    target.make_group(load).await?;
    let sessions = target.begin_sessions(&consumer(load)).await;
    let queues = queues(load, &target).await?;
    let meter = Arc::new(Meter::begin(load));
    let mut workers = spawn(load, &queues, &meter, None);
    let drained = |meter: &Meter| meter.silence().is_some_and(|silence| silence > DRAINED_AFTER);
    let ended_early = std::sync::atomic::AtomicBool::new(false);
    let enough = |meter: &Meter| {
        let enough = drained(meter);
        ended_early.fetch_or(enough, std::sync::atomic::Ordering::Relaxed);
        enough
    };
    // A poll that waits for more is cut off: there is nothing to lose.
    tokio::select! {
        () = finish(&mut workers, &meter, show, enough) => {}
        () = cut_off(&meter, &ended_early) => {}
    }
    workers.abort_all();
    let report = meter.report(ended_early.into_inner());
    end_sessions(sessions).await;
    Ok(report)
}

async fn cut_off(meter: &Meter, ended_early: &std::sync::atomic::AtomicBool) {
    while !meter.is_over() && !ended_early.load(std::sync::atomic::Ordering::Relaxed) {
        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
    }
    // Acknowledgements under way may end.
    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
}

/// What the consumers of a load say that they are.
pub fn consumer(load: &Load) -> Role {
    Role::SimpleConsumer { group: load.group.clone(), topic: load.topic.clone(), filter: tag_filter("*") }
}

/// For each connection, the request that polls its broker.
pub async fn queues(load: &Load, target: &Target) -> Result<Vec<(Broker, Bytes)>, ClientError> {
    let mut queues = Vec::new();
    for broker in &target.connections {
        let consumer = Consumer::open(broker.clone(), &load.group, &load.topic, &tag_filter("*")).await?;
        let request = v2::ReceiveMessageRequest {
            group: Some(resource(&load.group)),
            message_queue: Some(consumer.queue().clone()),
            filter_expression: Some(tag_filter("*")),
            batch_size: load.batch.clamp(1, BATCH_MAX) as i32,
            invisible_duration: Some(duration(load.hold.unwrap_or(INVISIBLE))),
            auto_renew: false,
            long_polling_timeout: Some(duration(POLL_WAIT_MIN)),
            attempt_id: None,
        };
        queues.push((broker.clone(), request.encode_to_vec().into()));
    }
    Ok(queues)
}

/// Starts the workers. With a run's number, latency is taken from the stamps in the bodies of that
/// run, and messages of others count for nothing.
pub fn spawn(load: &Load, queues: &[(Broker, Bytes)], meter: &Arc<Meter>, run: Option<u64>) -> JoinSet<()> {
    let head = v2::AckMessageRequest {
        group: Some(resource(&load.group)),
        topic: Some(resource(&load.topic)),
        entries: Vec::new(),
    };
    let head: Bytes = head.encode_to_vec().into();
    let mut workers = JoinSet::new();
    for number in 0..load.in_flight {
        let (broker, request) = &queues[number % queues.len()];
        let worker = Worker {
            number,
            receive: Caller::new(broker, POLL_WAIT_MIN + POLL_MARGIN),
            ack: Caller::new(broker, CALL_TIMEOUT),
            request: request.clone(),
            head: head.clone(),
            meter: meter.clone(),
            holds: load.hold.is_some(),
            run,
        };
        workers.spawn(worker.work());
    }
    workers
}

struct Worker {
    number: usize,
    receive: Caller,
    ack: Caller,
    request: Bytes,
    head: Bytes,
    meter: Arc<Meter>,
    holds: bool,
    run: Option<u64>,
}

impl Worker {
    async fn work(mut self) {
        while !self.meter.is_over() {
            let began_ns = self.meter.now_ns();
            let result = match self.receive().await {
                Ok(messages) if messages.is_empty() => Ok(0),
                Ok(messages) if self.holds => Ok(messages.len() as u64),
                Ok(messages) => self.settle(&messages).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(0) => {}
                Ok(count) if self.run.is_none() => self.meter.success(self.number, count, began_ns),
                Ok(_) => {}
                Err(error) => {
                    self.meter.failure(1, || error.to_string());
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    }

    async fn receive(&mut self) -> Result<Vec<LeanMessage>, ClientError> {
        let mut answers = self.receive.stream::<LeanReceived>(RECEIVE_PATH, self.request.clone()).await?;
        let mut messages = Vec::new();
        while let Some(answer) = answers.message().await.map_err(|status| self.receive.failure(status))? {
            match (answer.message, answer.status) {
                (Some(message), _) => {
                    self.arrived(&message);
                    messages.push(message);
                }
                (None, Some(status)) if status.code == v2::Code::MessageNotFound as i32 => {}
                (None, Some(status)) => check(Some(&status))?,
                // The time of the delivery.
                (None, None) => {}
            }
        }
        Ok(messages)
    }

    fn arrived(&self, message: &LeanMessage) {
        let stamp = self.run.and_then(|run| Stamp::read(&message.body).filter(|stamp| stamp.run == run));
        if let Some(stamp) = stamp {
            self.meter.success(self.number, 1, stamp.at_ns);
        }
    }

    async fn settle(&mut self, messages: &[LeanMessage]) -> Result<u64, ClientError> {
        let entries =
            messages.iter().filter_map(|message| message.system.as_ref()).map(|system| LeanAckEntry {
                message_id: system.message_id.clone(),
                receipt_handle: system.receipt_handle.clone(),
            });
        let entries = LeanAckEntries { entries: entries.collect() };
        let mut request = Vec::with_capacity(self.head.len() + entries.encoded_len());
        request.extend_from_slice(&self.head);
        entries.encode(&mut request).expect("a vector grows");
        let acked: LeanAcked = self.ack.unary(ACK_PATH, request.into()).await?;
        acked.entries.iter().try_for_each(|entry| check(entry.status.as_ref()))?;
        check(acked.status.as_ref())?;
        Ok(messages.len() as u64)
    }
}
