//! The official Rust client, unchanged. See ../../README.md for arguments and events.
//!
//! This client has a producer and a simple consumer only, and it never retries. It panics when it
//! cannot connect, so every call runs in a task of its own and a panic is an error like another.

mod events;
mod features;

use events::{now_ns, History};
use rocketmq::conf::{ClientOption, ProducerOption, SimpleConsumerOption};
use rocketmq::model::common::{FilterExpression, FilterType};
use rocketmq::model::message::{Message, MessageBuilder, MessageView};
use rocketmq::{Producer, SimpleConsumer};
use serde_json::{json, Value};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

const TAGS: [&str; 3] = ["a", "b", "c"];
const MESSAGE_GROUPS: u64 = 4;
const BATCH: u64 = 4;
const INVISIBLE: Duration = Duration::from_secs(15);
const AWAIT: Duration = Duration::from_secs(5);

struct Options {
    endpoint: String,
    history: String,
    client: String,
    rate: f64,
    seconds: f64,
    specs: Vec<String>,
}

impl Options {
    fn parse() -> Options {
        let mut options = Options {
            endpoint: String::new(),
            history: String::new(),
            client: "rust".to_owned(),
            rate: 20.0,
            seconds: 0.0,
            specs: vec![],
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().expect("a value after the flag");
            match argument.as_str() {
                "--endpoint" => options.endpoint = value(),
                "--history" => options.history = value(),
                "--client" => options.client = value(),
                "--rate" => options.rate = value().parse().expect("a number"),
                "--seconds" => options.seconds = value().parse().expect("a number"),
                _ => options.specs.push(argument),
            }
        }
        options
    }
}

/// Signed if the environment has a user.
pub fn client_option(endpoint: &str) -> ClientOption {
    let mut option = ClientOption::default();
    option.set_access_url(endpoint);
    option.set_long_polling_timeout(AWAIT);
    if let (Ok(key), Ok(secret)) = (std::env::var("INTEROP_ACCESS_KEY"), std::env::var("INTEROP_SECRET_KEY"))
    {
        option.set_access_key(key);
        option.set_secret_key(secret);
    }
    option
}

/// One role of this run: what it writes and when it stops.
#[derive(Clone)]
struct Role {
    options: Arc<Options>,
    history: Arc<History>,
    stopping: watch::Receiver<bool>,
    stream: String,
}

impl Role {
    fn stopped(&self) -> bool {
        *self.stopping.borrow()
    }

    async fn pause(&mut self, pause: Duration) {
        let _ = tokio::time::timeout(pause, self.stopping.wait_for(|stopping| *stopping)).await;
    }

    fn ready(&self) {
        self.history.write(json!({"op": "ready", "stream": self.stream}));
    }
}

/// Runs a call in a task, so that the client's panics come back as errors.
async fn guarded<T: Send + 'static>(
    call: impl Future<Output = Result<T, rocketmq::error::ClientError>> + Send + 'static,
) -> Result<T, String> {
    match tokio::spawn(call).await {
        Ok(result) => result.map_err(|error| format!("{error:?}")),
        Err(panic) => Err(format!("panic: {panic}")),
    }
}

fn build(role: &Role, mode: &str, kind: &str, topic: &str, n: u64) -> (Value, impl Message) {
    let client = &role.options.client;
    let key = format!("{client}-{mode}-{kind}-{n}");
    let tag = TAGS[(n % TAGS.len() as u64) as usize];
    let group = (kind == "fifo").then(|| format!("group-{}", n % MESSAGE_GROUPS));
    let mut builder = MessageBuilder::builder()
        .set_topic(topic)
        .set_body(format!("body of {key}").into_bytes())
        .set_tag(tag)
        .set_keys(vec![key.clone()])
        .set_properties(HashMap::from([("origin", client.clone()), ("n", n.to_string())]));
    if let Some(group) = &group {
        builder = builder.set_message_group(group.clone());
    }
    let event = json!({
        "op": "send", "stream": role.stream, "topic": topic, "key": key, "tag": tag, "message_group": group,
    });
    (event, builder.build().expect("a well-formed message"))
}

async fn produce(mut role: Role, mode: String, kind: String, topic: String) -> Result<(), String> {
    let mut option = ProducerOption::default();
    option.set_topics(vec![topic.clone()]);
    let mut producer =
        Producer::new(option, client_option(&role.options.endpoint)).map_err(|error| error.to_string())?;
    producer.start().await.map_err(|error| format!("{error:?}"))?;
    let producer = Arc::new(producer);
    role.ready();
    let batch = if mode == "batch" { BATCH } else { 1 };
    let mut n = 0;
    while !role.stopped() {
        let (events, messages): (Vec<_>, Vec<_>) =
            (n..n + batch).map(|n| build(&role, &mode, &kind, &topic, n)).unzip();
        n += batch;
        let start_ns = now_ns();
        let sender = producer.clone();
        let sent = guarded(async move { sender.batch_send(messages).await }).await;
        for (index, mut event) in events.into_iter().enumerate() {
            event["start_ns"] = json!(start_ns);
            event["end_ns"] = json!(now_ns());
            event["ok"] = json!(sent.is_ok());
            match &sent {
                Ok(receipts) => event["message_id"] = json!(receipts[index].message_id()),
                Err(error) => event["error"] = json!(error),
            }
            role.history.write(event);
        }
        role.pause(Duration::from_secs_f64(batch as f64 / role.options.rate)).await;
    }
    match Arc::try_unwrap(producer) {
        Ok(producer) => producer.shutdown().await.map_err(|error| format!("{error:?}")),
        Err(_) => Err("the producer is still in use".to_owned()),
    }
}

async fn simple(mut role: Role, topic: String, group: String, filter: String) -> Result<(), String> {
    let mut option = SimpleConsumerOption::default();
    option.set_topics(vec![topic.clone()]);
    option.set_consumer_group(group.clone());
    let mut consumer = SimpleConsumer::new(option, client_option(&role.options.endpoint))
        .map_err(|error| error.to_string())?;
    consumer.start().await.map_err(|error| format!("{error:?}"))?;
    let consumer = Arc::new(consumer);
    role.ready();
    while !role.stopped() {
        let start_ns = now_ns();
        let (receiver, from, expression) = (consumer.clone(), topic.clone(), filter.clone());
        let received = guarded(async move {
            let expression = match expression.strip_prefix("sql ") {
                Some(sql) => FilterExpression::new(FilterType::Sql, sql),
                None => FilterExpression::new(FilterType::Tag, expression),
            };
            receiver.receive_with(from, &expression, 32, INVISIBLE).await
        })
        .await;
        match received {
            Ok(messages) => {
                messages.iter().for_each(|message| record_delivery(&role, &group, message));
                for message in messages {
                    acknowledge(&role, &consumer, &group, message).await;
                }
            }
            Err(error) => {
                role.history.write(json!({
                    "op": "receive", "stream": role.stream, "group": group, "start_ns": start_ns, "end_ns": now_ns(),
                    "ok": false, "error": error,
                }));
                role.pause(Duration::from_millis(100)).await;
            }
        }
    }
    match Arc::try_unwrap(consumer) {
        Ok(consumer) => consumer.shutdown().await.map_err(|error| format!("{error:?}")),
        Err(_) => Err("the consumer is still in use".to_owned()),
    }
}

fn record_delivery(role: &Role, group: &str, message: &MessageView) {
    role.history.write(json!({
        "op": "deliver", "stream": role.stream, "group": group, "topic": message.topic(), "start_ns": now_ns(),
        "body": String::from_utf8_lossy(message.body()), "tag": message.tag(), "keys": message.keys(),
        "properties": message.properties(), "message_group": message.message_group(),
        "message_id": message.message_id(), "attempt": message.delivery_attempt(),
    }));
}

async fn acknowledge(role: &Role, consumer: &Arc<SimpleConsumer>, group: &str, message: MessageView) {
    let start_ns = now_ns();
    let message_id = message.message_id().to_owned();
    let consumer = consumer.clone();
    let acked = guarded(async move { consumer.ack(&message).await }).await;
    role.history.write(json!({
        "op": "ack", "stream": role.stream, "group": group, "start_ns": start_ns, "end_ns": now_ns(),
        "ok": acked.is_ok(), "error": acked.err(), "message_id": message_id,
    }));
}

async fn run(role: Role) {
    let parts: Vec<String> = role.stream.split(':').map(str::to_owned).collect();
    let outcome = match parts.as_slice() {
        [kind, mode, type_, topic] if kind == "produce" => {
            produce(role.clone(), mode.clone(), type_.clone(), topic.clone()).await
        }
        [kind, _, topic, group, filter] if kind == "simple" => {
            simple(role.clone(), topic.clone(), group.clone(), filter.clone()).await
        }
        _ => Err(format!("this client cannot do {}", role.stream)),
    };
    if let Err(error) = outcome {
        role.history.write(json!({"op": "died", "stream": role.stream, "error": error}));
    }
}

#[tokio::main]
async fn main() {
    if let Some(features) = features::Features::parse() {
        let shown = features.run().await;
        if let Err(problem) = &shown {
            eprintln!("{problem}");
        }
        // The client leaves tasks behind that would keep the process alive.
        std::process::exit(i32::from(shown.is_err()));
    }
    let options = Arc::new(Options::parse());
    let history = Arc::new(History::open(&options.history, &options.client));
    let (stop, stopping) = watch::channel(false);
    let mut roles = tokio::task::JoinSet::new();
    for stream in options.specs.clone() {
        roles.spawn(run(Role {
            options: options.clone(),
            history: history.clone(),
            stopping: stopping.clone(),
            stream,
        }));
    }
    if options.seconds > 0.0 {
        tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
    } else {
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    }
    let _ = stop.send(true);
    let _ =
        tokio::time::timeout(Duration::from_secs(40), async { while roles.join_next().await.is_some() {} })
            .await;
    history.write(json!({"op": "done"}));
    // The client leaves tasks behind that would keep the process alive.
    std::process::exit(0);
}
