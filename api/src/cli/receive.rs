//! `ledgermq receive`

use std::time::Duration;

use clap::Args;
use proto::v2;
use raft::filter::SqlFilter;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::exit::Failure;
use super::moment::print_unix_ms;
use super::output::OutputArgs;
use super::pull::PullArgs;
use super::target::TargetArgs;
use crate::client::access::{Broker, ClientError};
use crate::client::consumer::{Consumer, Poll};
use crate::client::session::{Role, Session, sql_filter, tag_filter};
use crate::options::values::parse_duration;

/// The most that one call asks for.
const BATCH_MAX: usize = 32;
/// Brokers hold a poll for at least 5 s and at most 20 s.
const POLL_WAIT_MAX: Duration = Duration::from_secs(20);
/// Between a failure and the next attempt; also what a late answer may be late.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(200);

/// Arguments of `receive`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ledgermq receive demo --group g
  ledgermq receive demo --group g --max 100 -o json
  ledgermq receive orders --group audit --tag 'paid||refunded' --no-ack
  ledgermq receive prices --broadcast --from last --max 1000
  ledgermq receive orders --pull --queue 3 --offset 1200 --max 10
  ledgermq receive orders --pull --from 2h --from-replica --max 1000 -o json
  ledgermq receive orders --group big --sql \"amount > 100 AND city IN ('Paris', 'Rome')\"

With --group, prints every message and acknowledges it. With --broadcast or --pull nothing is taken from
anybody: every such command gets every message, from --from on. Ends when --max messages have come, or when none came
for --wait. Exits with 3 when nothing came at all.")]
pub struct ReceiveArgs {
    /// The topic
    topic: String,
    /// The consumer group
    #[arg(
        long,
        short = 'g',
        required_unless_present = "pulling",
        conflicts_with = "pulling",
        default_value = "",
        hide_default_value = true
    )]
    group: String,
    #[command(flatten)]
    pulls: PullArgs,
    /// At most so many messages
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    max: u64,
    /// How long to wait for a message
    #[arg(long, default_value = "20s", value_name = "DURATION", value_parser = parse_duration)]
    wait: Duration,
    /// Only messages with one of these tags
    #[arg(long, default_value = "*", value_name = "TAG||TAG")]
    tag: String,
    /// Only messages that this SQL92 condition on their properties is true of
    #[arg(long, value_name = "CONDITION", conflicts_with = "tag")]
    sql: Option<String>,
    /// Receive from this lite topic of a topic of lite topics; may be repeated
    #[arg(long = "lite", value_name = "NAME")]
    lite: Vec<String>,
    /// Look without taking: the messages are visible again when the command ends
    #[arg(long)]
    no_ack: bool,
    /// How long a message is invisible to others before it is acknowledged
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = parse_duration)]
    invisible: Duration,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl ReceiveArgs {
    pub async fn run(self) -> Result<(), Failure> {
        let filter = self.filter()?;
        let broker = self.target.connect().await?;
        if self.pulls.is_asked() {
            return self.pull(broker, &filter).await;
        }
        let brokers = broker
            .route(&self.topic, POLL_WAIT_MAX)
            .await
            .map_err(|error| Failure::about_topic(error, &self.topic))?;
        let role = Role::SimpleConsumer {
            group: self.group.clone(),
            topic: self.topic.clone(),
            filter: filter.clone(),
        };
        let session = Session::begin(broker, role).await;
        let result = tokio::select! {
            result = self.receive(&brokers, &filter) => result,
            _ = tokio::signal::ctrl_c() => Ok(0),
        };
        session.end().await;
        match result {
            Ok(0) => Err(self.nothing()),
            Ok(_) => Ok(()),
            Err(error) => Err(match error.code() {
                Some(v2::Code::TopicNotFound) => Failure::about_topic(error, &self.topic),
                _ => Failure::about_group(error, &self.group),
            }),
        }
    }

    async fn pull(&self, broker: Broker, filter: &v2::FilterExpression) -> Result<(), Failure> {
        let (about, until) = ((self.topic.as_str(), filter), (self.max, self.wait));
        let received = tokio::select! {
            received = self.pulls.run(broker, about, until, |message| self.print(message)) => received?,
            _ = tokio::signal::ctrl_c() => 0,
        };
        match received {
            0 => Err(self.nothing()),
            _ => Ok(()),
        }
    }

    fn nothing(&self) -> Failure {
        Failure::Nothing(format!("no message came within {} s", self.wait.as_secs_f32()))
    }

    /// What is wanted. SQL that is wrong is shown with a mark before a broker is asked.
    fn filter(&self) -> Result<v2::FilterExpression, Failure> {
        let Some(sql) = &self.sql else { return Ok(tag_filter(&self.tag)) };
        match SqlFilter::parse(sql) {
            Ok(_) => Ok(sql_filter(sql)),
            Err(error) => {
                let blanks = " ".repeat(error.character - 1);
                let on_one_line = sql.replace(char::is_whitespace, " ");
                Err(Failure::Usage(format!("--sql: {error}\n  {on_one_line}\n  {blanks}^")))
            }
        }
    }

    /// Polls one broker after the other until enough came or nothing comes; how many came.
    async fn receive(&self, brokers: &[Broker], filter: &v2::FilterExpression) -> Result<u64, ClientError> {
        let mut received = 0;
        let mut turn = 0;
        let mut quiet_since = Instant::now();
        while received < self.max {
            let left = self.wait.saturating_sub(quiet_since.elapsed());
            if left.is_zero() && turn > 0 {
                break;
            }
            let broker = &brokers[turn % brokers.len()];
            turn += 1;
            let max = BATCH_MAX.min(usize::try_from(self.max - received).unwrap_or(BATCH_MAX));
            match self.poll(broker, filter, max, left).await {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => {
                    received += messages.len() as u64;
                    quiet_since = Instant::now();
                    // What works is asked again.
                    turn -= 1;
                }
                Err(error) if !(error.is_connection() || error.is_transient()) || left.is_zero() => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::debug!(endpoint = %broker.endpoint, %error, "the receive is tried again");
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
        Ok(received)
    }

    async fn poll(
        &self,
        broker: &Broker,
        filter: &v2::FilterExpression,
        max: usize,
        left: Duration,
    ) -> Result<Vec<v2::Message>, ClientError> {
        let consumer = Consumer::open(broker.clone(), &self.group, &self.topic, filter).await?;
        if !self.lite.is_empty() {
            consumer.subscribe_lite(&self.lite).await?;
        }
        let poll = Poll { max, wait: left.min(POLL_WAIT_MAX), invisible: self.invisible };
        // The broker may hold the poll for longer than was asked.
        let received = tokio::time::timeout(left + PAUSE_AFTER_FAILURE, consumer.receive(&poll)).await;
        let Ok(received) = received else { return Ok(Vec::new()) };
        let messages = received?;
        for message in &messages {
            self.print(message);
        }
        if !self.no_ack && !messages.is_empty() {
            for result in self.acknowledge(&consumer, &messages).await? {
                if let Err(error) = result {
                    eprintln!("warning: a message was not acknowledged and will come again: {error}");
                }
            }
        }
        Ok(messages)
    }

    /// Acknowledges; a lost connection or a busy broker is tried again for as long as the lease holds.
    async fn acknowledge(
        &self,
        consumer: &Consumer,
        messages: &[v2::Message],
    ) -> Result<Vec<Result<(), ClientError>>, ClientError> {
        let deadline = Instant::now() + self.invisible;
        loop {
            match consumer.acknowledge(messages).await {
                Err(error)
                    if (error.is_connection() || error.is_transient()) && Instant::now() < deadline =>
                {
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
                result => return result,
            }
        }
    }

    fn print(&self, message: &v2::Message) {
        self.output.print(&value(message), || text(message));
    }
}

fn value(message: &v2::Message) -> Value {
    let system = message.system_properties.clone().unwrap_or_default();
    let body = String::from_utf8(message.body.to_vec());
    let mut value = json!({
        "topic": message.topic.as_ref().map(|topic| topic.name.clone()),
        "message_id": system.message_id,
        "tag": system.tag,
        "keys": system.keys,
        "priority": system.priority,
        "message_group": system.message_group,
        "properties": message.user_properties.iter().collect::<std::collections::BTreeMap<_, _>>(),
        "queue": system.queue_id,
        "offset": system.queue_offset,
        "attempt": system.delivery_attempt,
        "born_unix_ms": system.born_timestamp.map(unix_ms),
        "stored_unix_ms": system.store_timestamp.map(unix_ms),
    });
    let fields: &mut Map<String, Value> = value.as_object_mut().expect("made as an object");
    match body {
        Ok(body) => fields.insert("body".to_owned(), body.into()),
        Err(error) => {
            let hex: String = error.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            fields.insert("body_hex".to_owned(), hex.into())
        }
    };
    value
}

/// The body, and below it everything else.
fn text(message: &v2::Message) -> String {
    let system = message.system_properties.clone().unwrap_or_default();
    let mut facts = vec![
        format!("id {}", system.message_id),
        format!("queue {}", system.queue_id),
        format!("offset {}", system.queue_offset.unwrap_or_default()),
        format!("attempt {}", system.delivery_attempt.unwrap_or_default()),
    ];
    facts.extend(system.tag.map(|tag| format!("tag {tag}")));
    facts.extend((!system.keys.is_empty()).then(|| format!("keys {}", system.keys.join(" "))));
    facts.extend(system.message_group.map(|group| format!("message group {group}")));
    facts.extend(system.store_timestamp.map(|time| format!("stored {}", print_unix_ms(unix_ms(time)))));
    let mut properties: Vec<String> =
        message.user_properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    properties.sort();
    facts.extend(properties);
    format!("{}\n  {}", String::from_utf8_lossy(&message.body), facts.join(", "))
}

fn unix_ms(time: prost_types::Timestamp) -> i64 {
    time.seconds * 1000 + i64::from(time.nanos) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_no_text_is_printed_in_hex() {
        let message = v2::Message { body: vec![0xff, 0x00].into(), ..Default::default() };
        assert_eq!(value(&message)["body_hex"], "ff00");
        let message = v2::Message { body: "hello".into(), ..Default::default() };
        assert_eq!(value(&message)["body"], "hello");
        assert!(text(&message).starts_with("hello\n  id "));
    }
}
