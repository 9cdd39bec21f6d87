//! `bench send`: calls of `SendMessage`, many at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use proto::v2::{self, Code};
use tokio::task::JoinSet;

use super::meter::Meter;
use super::pace::Pace;
use super::report::Report;
use super::target::{Caller, Target, end_sessions};
use super::template::{Stamp, Template};
use super::wire::{END_PATH, LeanAcked, LeanSent, LeanStatus, SEND_PATH};
use super::{Kind, Load};
use crate::client::access::{Broker, ClientError, resource};
use crate::client::message_id::MessageIds;
use crate::client::session::Role;

/// As an official client: so often, and so long each time.
const ATTEMPTS: usize = 3;
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// A worker whose call failed for good does not hammer on.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(20);

/// Runs the load.
pub async fn run(load: &Load, show: impl Fn(&Meter)) -> Result<Report, ClientError> {
    let target = Target::open(load).await?;
    let sessions = target.begin_sessions(&Role::Producer { topic: load.topic.clone() }).await;
    let meter = Arc::new(Meter::begin(load));
    let mut workers = spawn(load, &target, &meter, None);
    finish(&mut workers, &meter, show, |_| false).await;
    end_sessions(sessions).await;
    Ok(meter.report(false))
}

/// Starts the workers. With a run's number, bodies carry their intended start; then `meter` counts
/// failures only, and the receiving side counts the rest.
pub fn spawn(load: &Load, target: &Target, meter: &Arc<Meter>, run: Option<u64>) -> JoinSet<()> {
    let pace = Pace::begin(load, meter);
    let template = Arc::new(Template::new(load));
    let ids = Arc::new(MessageIds::new());
    let mut workers = JoinSet::new();
    for number in 0..load.in_flight {
        let primary = number % target.connections.len();
        let worker = Worker {
            number,
            caller: Caller::new(&target.connections[primary], CALL_TIMEOUT),
            primary,
            connections: target.connections.clone(),
            template: template.clone(),
            ids: ids.clone(),
            meter: meter.clone(),
            pace: pace.clone(),
            batch: load.batch as u64,
            names: load.kind.names(),
            commits: (load.kind == Kind::Half { commit: true }).then(|| load.topic.clone()),
            in_flight: load.in_flight as u64,
            run,
        };
        workers.spawn(worker.work());
    }
    workers
}

/// Waits until the time is up or `enough`, and the calls under way have ended.
pub async fn finish(
    workers: &mut JoinSet<()>,
    meter: &Meter,
    show: impl Fn(&Meter),
    enough: impl Fn(&Meter) -> bool,
) {
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    while !meter.is_over() && !enough(meter) {
        tokio::select! {
            _ = tick.tick() => show(meter),
            ended = workers.join_next() => if ended.is_none() { return },
        }
    }
    let rest = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(CALL_TIMEOUT, rest).await.is_err() {
        workers.abort_all();
    }
}

struct Worker {
    number: usize,
    caller: Caller,
    primary: usize,
    connections: Vec<Broker>,
    template: Arc<Template>,
    ids: Arc<MessageIds>,
    meter: Arc<Meter>,
    pace: Pace,
    batch: u64,
    names: u32,
    /// The topic whose half messages are committed.
    commits: Option<String>,
    in_flight: u64,
    run: Option<u64>,
}

impl Worker {
    async fn work(mut self) {
        let mut name = self.number as u64 * self.batch;
        while let Some(intended_ns) = self.pace.next(&self.meter).await {
            let stamp = self.run.map(|run| Stamp { run, at_ns: intended_ns });
            let request = self.template.request(&self.ids, name, self.names, stamp);
            name += self.in_flight * self.batch;
            let delivered = match self.deliver(request).await {
                Ok(sent) => self.commit(sent).await,
                Err(error) => Err(error),
            };
            match delivered {
                Ok(()) if self.run.is_none() => self.meter.success(self.number, self.batch, intended_ns),
                Ok(()) => {}
                Err(error) => {
                    self.meter.failure(self.batch, || error.to_string());
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    }

    /// Sends as an official client does: at once again at the next broker, and after a pause where
    /// the broker asks for one. The ids stay the same.
    async fn deliver(&mut self, request: Bytes) -> Result<LeanSent, ClientError> {
        let mut result = checked(self.caller.unary(SEND_PATH, request.clone()).await);
        let mut backoff = BACKOFF_MIN;
        for attempt in 1..ATTEMPTS {
            let Err(error) = &result else { break };
            if error.is_transient() {
                tokio::time::sleep(backoff).await;
                backoff *= 2;
            }
            let next = &self.connections[(self.primary + attempt) % self.connections.len()];
            result = checked(Caller::new(next, CALL_TIMEOUT).unary(SEND_PATH, request.clone()).await);
        }
        result
    }

    /// Commits what was sent, if half messages are to be committed.
    async fn commit(&mut self, sent: LeanSent) -> Result<(), ClientError> {
        let Some(topic) = &self.commits else { return Ok(()) };
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        for entry in sent.entries {
            let request = v2::EndTransactionRequest {
                topic: Some(resource(topic)),
                message_id: text(&entry.message_id),
                transaction_id: text(&entry.transaction_id),
                resolution: v2::TransactionResolution::Commit as i32,
                source: v2::TransactionSource::SourceClient as i32,
                trace_context: String::new(),
            };
            let ended: LeanAcked = self.caller.unary(END_PATH, request.encode_to_vec().into()).await?;
            check(ended.status.as_ref())?;
        }
        Ok(())
    }
}

fn checked(result: Result<LeanSent, ClientError>) -> Result<LeanSent, ClientError> {
    let sent = result?;
    sent.entries.iter().try_for_each(|entry| check(entry.status.as_ref()))?;
    check(sent.status.as_ref())?;
    Ok(sent)
}

/// OK, or a refusal.
pub fn check(status: Option<&LeanStatus>) -> Result<(), ClientError> {
    match status {
        Some(status) if status.code == Code::Ok as i32 => Ok(()),
        status => {
            let status = status.cloned().unwrap_or_default();
            Err(ClientError::Refused {
                code: Code::try_from(status.code).unwrap_or(Code::Unspecified),
                message: String::from_utf8_lossy(&status.message).into_owned(),
            })
        }
    }
}
