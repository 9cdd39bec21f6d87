//! `ledgermq send`

use std::collections::HashMap;
use std::io::Read;
use std::time::{Duration, SystemTime};

use clap::Args;
use proto::v2;
use serde_json::json;

use super::exit::Failure;
use super::output::{Format, OutputArgs, line, progress};
use super::target::TargetArgs;
use crate::client::access::{ClientError, resource};
use crate::client::message_id::MessageIds;
use crate::client::producer::Producer;
use crate::options::values::parse_duration;

/// The largest body that a broker takes.
const BODY_BYTES_MAX: u64 = 4 << 20;

/// Arguments of `send`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ledgermq send demo --body hello
  ledgermq send orders --body '{\"id\": 7}' --key 7 --tag paid --message-group customer-3
  ledgermq send alarms --priority 7 --body fire
  date | ledgermq send demo --body -
  ledgermq send demo --body 'load {n}' --count 1000

Exits with 0 when every message is durable on a quorum.")]
pub struct SendArgs {
    /// The topic
    topic: String,
    /// The body; `-` reads it from standard input; `{n}` is the message's number with --count
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
        let value =
            json!({ "topic": self.topic, "message_id": id, "offset": entry.offset, "number": number });
        match self.output.output {
            Format::Json => self.output.print(&value, String::new),
            Format::Text if self.count == 1 => {
                line(&format!("sent {id} to {}, offset {}", self.topic, entry.offset))
            }
            Format::Text => {}
        }
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
        let body = match self.body.contains("{n}") && self.body != "-" {
            true => self.body.replace("{n}", &number.to_string()).into_bytes(),
            false => body.to_vec(),
        };
        let now = SystemTime::now();
        let kind = match (&self.message_group, &self.delay) {
            (_, Some(_)) => v2::MessageType::Delay,
            (Some(_), None) => v2::MessageType::Fifo,
            (None, None) if self.priority.is_some() => v2::MessageType::Priority,
            (None, None) => v2::MessageType::Normal,
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
                delivery_timestamp: self.delay.map(|delay| (now + delay).into()),
                message_group: self.message_group.clone(),
                priority: self.priority,
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
