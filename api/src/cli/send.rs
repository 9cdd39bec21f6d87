//! `ledgermq send`

use std::collections::HashMap;
use std::io::Read;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use proto::v2;
use serde_json::json;

use super::exit::Failure;
use super::moment::parse_unix_ms;
use super::output::{Format, OutputArgs, line, progress};
use super::target::TargetArgs;
use crate::client::access::{Broker, ClientError, resource};
use crate::client::message_id::MessageIds;
use crate::client::producer::Producer;
use crate::options::values::parse_duration;

/// The largest body that a broker takes.
const BODY_BYTES_MAX: u64 = 4 << 20;

/// The delay levels of the 4.x clients, in seconds.
const DELAY_LEVELS_SECONDS: [u64; 18] =
    [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];

/// How a transaction ends that `send` began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TransactionEnd {
    /// Its message becomes visible.
    Commit,
    /// Its message is dropped.
    Rollback,
    /// It stays open: see `ledgermq transaction`.
    LeaveOpen,
}

/// Arguments of `send`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ledgermq send demo --body hello
  ledgermq send orders --body '{\"id\": 7}' --key 7 --tag paid --message-group customer-3
  ledgermq send alarms --priority 7 --body fire
  date | ledgermq send demo --body -
  ledgermq send demo --body 'load {i}' --count 1000
  ledgermq send demo --body later --delay 10s
  ledgermq send demo --body 'all or nothing' --transaction commit

Exits with 0 when every message is durable on a quorum.")]
pub struct SendArgs {
    /// The topic
    topic: String,
    /// The body; `-` reads it from standard input; `{i}` is the message's number with --count
    #[arg(long, default_value = "hello", value_name = "TEXT|-")]
    body: String,
    /// A key to find the message by; may be repeated
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// A tag, for consumers to filter by
    #[arg(long)]
    tag: Option<String>,
    /// Messages of one group are kept in order
    #[arg(long, value_name = "GROUP")]
    message_group: Option<String>,
    /// How early it is delivered, in a topic of type priority; a higher one goes first
    #[arg(long, value_name = "N", conflicts_with_all = ["message_group", "delay"],
        value_parser = clap::value_parser!(i32).range(0..))]
    priority: Option<i32>,
    /// A property of the message; may be repeated
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = name_value)]
    properties: Vec<(String, String)>,
    /// Deliver it so much later
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    delay: Option<Duration>,
    /// Deliver it at this time, such as 2026-12-31T23:59:59Z
    #[arg(long, value_name = "TIME", value_parser = parse_unix_ms, conflicts_with = "delay")]
    at: Option<i64>,
    /// Deliver it after 1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h: level 1 to 18
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(1..=18), conflicts_with_all = ["delay", "at"])]
    delay_level: Option<u8>,
    /// Send it within a transaction, and end it like this
    #[arg(long, value_enum, value_name = "END", conflicts_with_all = ["delay", "at", "delay_level"])]
    transaction: Option<TransactionEnd>,
    /// The lite topic, in a topic of lite topics
    #[arg(long, value_name = "NAME", conflicts_with_all = ["delay", "at", "delay_level", "transaction", "message_group"])]
    lite: Option<String>,
    /// How many messages, one after the other
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Give up on a message after this long
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn name_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

impl SendArgs {
    pub async fn run(mut self) -> Result<(), Failure> {
        let body = self.read_body()?;
        let broker = self.target.connect().await?;
        let about = |error| Failure::about_topic(error, &self.topic);
        let producer = Producer::open(&broker, &self.topic, self.timeout).await.map_err(about)?;
        let ids = MessageIds::new();
        let bar = progress(self.count, "sending");
        for number in 0..self.count {
            let message = self.message(&ids, &body, number);
            let id = message.system_properties.as_ref().map(|system| system.message_id.clone());
            let entries = producer.send(vec![message], self.timeout).await.map_err(|error| {
                let sent = if number > 0 { format!(" ({number} were sent before)") } else { String::new() };
                append(Failure::about_topic(error, &self.topic), &sent)
            })?;
            let entry = entries.into_iter().next().ok_or_else(|| {
                Failure::from(ClientError::Refused {
                    code: v2::Code::InternalServerError,
                    message: "the answer has no entry for the message".to_owned(),
                })
            })?;
            self.end_transaction(&broker, &entry).await?;
            bar.inc(1);
            self.print(&id.unwrap_or_default(), &entry, number);
        }
        bar.finish_and_clear();
        if self.count > 1 && self.output.output == Format::Text {
            line(&format!("sent {} messages to {}", self.count, self.topic));
        }
        Ok(())
    }

    /// One message is told with its id; of many, text tells the number only.
    fn print(&self, id: &str, entry: &v2::SendResultEntry, number: u64) {
        let mut value =
            json!({ "topic": self.topic, "message_id": id, "offset": entry.offset, "number": number });
        for (name, text) in
            [("recall_handle", &entry.recall_handle), ("transaction_id", &entry.transaction_id)]
        {
            if !text.is_empty() {
                value[name] = json!(text);
            }
        }
        match self.output.output {
            Format::Json => self.output.print(&value, String::new),
            Format::Text if self.count == 1 => line(&self.told(id, entry)),
            Format::Text => {}
        }
    }

    fn told(&self, id: &str, entry: &v2::SendResultEntry) -> String {
        let topic = &self.topic;
        match self.transaction {
            Some(TransactionEnd::Commit) => format!("sent {id} to {topic}, and committed it"),
            Some(TransactionEnd::Rollback) => format!("sent {id} to {topic}, and rolled it back"),
            Some(TransactionEnd::LeaveOpen) => {
                format!("sent {id} to {topic}; its transaction is open: {}", entry.transaction_id)
            }
            None if !entry.recall_handle.is_empty() => format!(
                "sent {id} to {topic}, to be delivered later; to take it back until then:\n  \
                 ledgermq message recall {topic} {}",
                entry.recall_handle
            ),
            None => format!("sent {id} to {topic}, offset {}", entry.offset),
        }
    }

    async fn end_transaction(&self, broker: &Broker, entry: &v2::SendResultEntry) -> Result<(), Failure> {
        let resolution = match self.transaction {
            Some(TransactionEnd::Commit) => v2::TransactionResolution::Commit,
            Some(TransactionEnd::Rollback) => v2::TransactionResolution::Rollback,
            Some(TransactionEnd::LeaveOpen) | None => return Ok(()),
        };
        let request = v2::EndTransactionRequest {
            topic: Some(resource(&self.topic)),
            message_id: entry.message_id.clone(),
            transaction_id: entry.transaction_id.clone(),
            resolution: resolution as i32,
            source: v2::TransactionSource::SourceClient as i32,
            ..Default::default()
        };
        let result = broker.messaging().end_transaction(broker.headers.request(request, self.timeout)).await;
        ClientError::of_answer(broker.answer(result)?.status)?;
        Ok(())
    }

    /// When it is to be delivered, if not at once.
    fn due(&self, now: SystemTime) -> Option<SystemTime> {
        let level = self.delay_level.map(|level| DELAY_LEVELS_SECONDS[usize::from(level) - 1]);
        let delay = self.delay.or(level.map(Duration::from_secs));
        let at = self.at.map(|at| SystemTime::UNIX_EPOCH + Duration::from_millis(at.max(0) as u64));
        delay.map(|delay| now + delay).or(at)
    }

    fn read_body(&mut self) -> Result<Vec<u8>, Failure> {
        if self.body != "-" {
            return Ok(self.body.clone().into_bytes());
        }
        let mut body = Vec::new();
        let mut limited = std::io::stdin().lock().take(BODY_BYTES_MAX + 1);
        limited.read_to_end(&mut body).map_err(|error| Failure::io("read standard input", &error))?;
        if body.len() as u64 > BODY_BYTES_MAX {
            return Err(Failure::Usage(format!("the body is larger than {BODY_BYTES_MAX} bytes")));
        }
        if body.is_empty() {
            return Err(Failure::Usage("standard input is empty: a message needs a body".to_owned()));
        }
        Ok(body)
    }

    fn message(&self, ids: &MessageIds, body: &[u8], number: u64) -> v2::Message {
        let body = match self.body.contains("{i}") && self.body != "-" {
            true => self.body.replace("{i}", &number.to_string()).into_bytes(),
            false => body.to_vec(),
        };
        let now = SystemTime::now();
        let due = self.due(now);
        let kind = match (self.transaction, due, &self.message_group) {
            (Some(_), ..) => v2::MessageType::Transaction,
            (None, Some(_), _) => v2::MessageType::Delay,
            (None, None, Some(_)) => v2::MessageType::Fifo,
            (None, None, None) if self.priority.is_some() => v2::MessageType::Priority,
            (None, None, None) if self.lite.is_some() => v2::MessageType::Lite,
            (None, None, None) => v2::MessageType::Normal,
        };
        v2::Message {
            topic: Some(resource(&self.topic)),
            user_properties: self.properties.iter().cloned().collect::<HashMap<_, _>>().into_iter().collect(),
            system_properties: Some(v2::SystemProperties {
                tag: self.tag.clone(),
                keys: self.keys.clone(),
                message_id: ids.next(),
                body_encoding: v2::Encoding::Identity as i32,
                message_type: kind as i32,
                born_timestamp: Some(now.into()),
                born_host: "localhost".to_owned(),
                delivery_timestamp: due.map(Into::into),
                message_group: self.message_group.clone(),
                priority: self.priority,
                lite_topic: self.lite.clone(),
                ..Default::default()
            }),
            body: body.into(),
        }
    }
}

fn append(failure: Failure, tail: &str) -> Failure {
    match failure {
        Failure::Failed(text) => Failure::Failed(text + tail),
        Failure::Unreachable(text) => Failure::Unreachable(text + tail),
        other => other,
    }
}
