//! What the official Rust client can do beyond sending and receiving: delays, and transactions with checks. It has
//! neither recall nor lite topics. See ../../README.md, "Features".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rocketmq::conf::{ProducerOption, SimpleConsumerOption};
use rocketmq::model::common::{FilterExpression, FilterType};
use rocketmq::model::message::MessageBuilder;
use rocketmq::model::transaction::{Transaction, TransactionResolution};
use rocketmq::{Producer, SimpleConsumer};

/// This client knows whole seconds only.
const DELAY_SECONDS: i64 = 3;
const INVISIBLE: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(60);

/// Names of what the features are shown with.
#[derive(Default)]
pub struct Features {
    /// Host and port.
    pub endpoint: String,
    /// The topic of delayed messages.
    pub delay: String,
    /// The topic of transactions.
    pub transaction: String,
    /// What consumer groups begin with.
    pub group: String,
}

impl Features {
    /// From the arguments, if they name a topic of delayed messages.
    pub fn parse() -> Option<Features> {
        let mut features = Features::default();
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        for pair in arguments.chunks(2) {
            let [flag, value] = pair else { return None };
            match flag.as_str() {
                "--endpoint" => features.endpoint.clone_from(value),
                "--delay" => features.delay.clone_from(value),
                "--transaction" => features.transaction.clone_from(value),
                "--group" => features.group.clone_from(value),
                _ => {}
            }
        }
        (!features.delay.is_empty()).then_some(features)
    }

    /// Shows all of them. The error is what did not hold.
    pub async fn run(&self) -> Result<(), String> {
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let noted = asked.clone();
        let mut option = ProducerOption::default();
        option.set_topics(vec![self.delay.clone(), self.transaction.clone()]);
        let checker = Box::new(move |_, message: rocketmq::model::message::MessageView| {
            noted.lock().expect("nobody panics").insert(text(message.body()));
            TransactionResolution::COMMIT
        });
        let mut producer =
            Producer::new_transaction_producer(option, crate::client_option(&self.endpoint), checker)
                .map_err(said)?;
        producer.start().await.map_err(said)?;
        self.delays(&producer).await?;
        self.transactions(&producer).await?;
        let asked = asked.lock().expect("nobody panics").clone();
        match asked == BTreeSet::from(["forgotten".to_owned()]) {
            true => Ok(()),
            false => Err(format!("the producer was asked about {asked:?}")),
        }
    }

    async fn delays(&self, producer: &Producer) -> Result<(), String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let due = now.as_secs() as i64 + DELAY_SECONDS;
        let message = MessageBuilder::delay_message_builder(&self.delay, b"later".to_vec(), due);
        producer.send(message.build().map_err(said)?).await.map_err(said)?;
        let arrived = self.bodies(&self.delay, &["later"]).await?;
        let at = arrived["later"].duration_since(UNIX_EPOCH).expect("after 1970");
        match at >= Duration::from_secs(due as u64) {
            true => Ok(()),
            false => Err(format!("a message that was due at {due} came at {at:?}")),
        }
    }

    async fn transactions(&self, producer: &Producer) -> Result<(), String> {
        for body in ["committed", "rolled back", "forgotten"] {
            let message =
                MessageBuilder::transaction_message_builder(&self.transaction, body.as_bytes().to_vec());
            let message = message.build().map_err(said)?;
            let transaction = producer.send_transaction_message(message).await.map_err(said)?;
            match body {
                "committed" => transaction.commit().await.map_err(said)?,
                "rolled back" => transaction.rollback().await.map_err(said)?,
                _ => drop(transaction),
            }
        }
        let arrived = self.bodies(&self.transaction, &["committed", "forgotten"]).await?;
        match arrived.len() {
            2 => Ok(()),
            _ => Err(format!("these came: {:?}", arrived.keys())),
        }
    }

    /// When each body came, once all wanted ones did and one more poll brought nothing new.
    async fn bodies(&self, topic: &str, wanted: &[&str]) -> Result<BTreeMap<String, SystemTime>, String> {
        let mut option = SimpleConsumerOption::default();
        option.set_topics(vec![topic]);
        option.set_consumer_group(format!("{}-{topic}", self.group));
        let mut consumer = SimpleConsumer::new(option, crate::client_option(&self.endpoint)).map_err(said)?;
        consumer.start().await.map_err(said)?;
        let all = FilterExpression::new(FilterType::Tag, "*");
        let mut arrived = BTreeMap::new();
        let begun = Instant::now();
        loop {
            let complete = wanted.iter().all(|body| arrived.contains_key(*body));
            // "Nothing there" is an error to this client.
            let messages =
                consumer.receive_with(topic.to_owned(), &all, 16, INVISIBLE).await.unwrap_or_default();
            for message in &messages {
                arrived.insert(text(message.body()), SystemTime::now());
                consumer.ack(message).await.map_err(said)?;
            }
            if complete && messages.is_empty() {
                return Ok(arrived);
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("of {wanted:?} only these came: {:?}", arrived.keys()));
            }
        }
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

fn said(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
