//! Where a consumer group stands in a topic: `ledgermq group offsets`, `reset-offset` and `delete-subscription`

use clap::Args;
use proto::{admin, v2};
use serde_json::{Value, json};

use super::exit::Failure;
use super::group::From;
use super::output::{ConfirmArgs, table};
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;
use crate::client::access::{ClientError, resource};

/// Arguments of `group offsets`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  ledgermq group offsets billing orders

SETTLED: everything before is settled. NEXT: the first one that was never delivered. A queue without a place has not
been read by the consumer group yet.")]
pub struct OffsetsArgs {
    /// Its name
    name: String,
    /// The topic
    topic: String,
    #[command(flatten)]
    common: CommonArgs,
}

impl OffsetsArgs {
    pub async fn run(self) -> Result<(), Failure> {
        let broker = self.common.target.connect().await?;
        let request = admin::GroupOffsetsRequest { group: self.name.clone(), topic: self.topic.clone() };
        let request = broker.headers.request(request, ADMIN_TIMEOUT);
        let queues = broker
            .answer(broker.admin().group_offsets(request).await)
            .map_err(|error| Failure::about_group_in_topic(error, &self.name, &self.topic))?
            .queues;
        print(&self.common, &queues);
        Ok(())
    }
}

/// Arguments of `group reset-offset`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ledgermq group reset-offset billing orders --from 2h --dry-run
  ledgermq group reset-offset billing orders --from first --yes
  ledgermq group reset-offset billing orders --from 2026-01-31T08:00:00.250Z --yes
  ledgermq group reset-offset billing orders --queue 3 --to-offset 1200 --yes

A time counts to the millisecond, by the time at which the broker stored a message. What the group holds in the
queues is given back: its receipts are not valid any more.")]
pub struct ResetOffsetArgs {
    /// Its name
    name: String,
    /// The topic
    topic: String,
    /// Where to: first, last, or a time (2h: two hours ago)
    #[arg(long, value_name = "first|last|TIME", required_unless_present = "to_offset")]
    from: Option<From>,
    /// Only this queue
    #[arg(long, value_name = "N")]
    queue: Option<u32>,
    /// To this offset of the queue
    #[arg(long, value_name = "N", requires = "queue", conflicts_with = "from")]
    to_offset: Option<u64>,
    /// Move nothing: show where it would be, and how many messages it would have before it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    common: CommonArgs,
}

impl ResetOffsetArgs {
    pub async fn run(self) -> Result<(), Failure> {
        let (name, topic) = (&self.name, &self.topic);
        let place = self.queue.map_or("every queue".to_owned(), |queue| format!("queue {queue}"));
        if !self.dry_run {
            self.confirm.confirm(&format!("This moves consumer group {name} in {place} of {topic}."))?;
        }
        let (to, unix_ms) = self.from.map_or((0, 0), From::wire);
        let broker = self.common.target.connect().await?;
        let request = admin::ResetOffsetRequest {
            group: self.name.clone(),
            topic: self.topic.clone(),
            to,
            unix_ms,
            queue: self.queue,
            offset: self.to_offset,
            preview: self.dry_run,
        };
        let request = broker.headers.request(request, ADMIN_TIMEOUT);
        let queues = broker
            .answer(broker.admin().reset_offset(request).await)
            .map_err(|error| Failure::about_group_in_topic(error, &self.name, &self.topic))?
            .queues;
        print(&self.common, &queues);
        Ok(())
    }
}

/// Arguments of `group delete-subscription`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  ledgermq group delete-subscription billing orders --yes

The group forgets what it has read of the topic, and what it holds of it. When it receives from it again, it begins where
its setting --from says. Stop its consumers first.")]
pub struct DeleteSubscriptionArgs {
    /// Its name
    name: String,
    /// The topic
    topic: String,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    common: CommonArgs,
}

impl DeleteSubscriptionArgs {
    pub async fn run(self) -> Result<(), Failure> {
        let (name, topic) = (&self.name, &self.topic);
        self.confirm.confirm(&format!(
            "This deletes what consumer group {name} has read of topic {topic}, and what it holds of it."
        ))?;
        let broker = self.common.target.connect().await?;
        let request = v2::DeleteSubscriptionRequest {
            group: Some(resource(name)),
            topic: Some(resource(topic)),
            ..Default::default()
        };
        let request = broker.headers.request(request, ADMIN_TIMEOUT);
        let answer = broker.answer(broker.rocketmq_admin().delete_subscription(request).await)?;
        ClientError::of_answer(answer.status)
            .map_err(|error| Failure::about_group_in_topic(error, name, topic))?;
        self.common.output.print(&json!({ "group": name, "topic": topic, "deleted": true }), || {
            format!("consumer group {name} knows nothing of topic {topic} any more")
        });
        Ok(())
    }
}

fn print(common: &CommonArgs, queues: &[admin::GroupQueueStatus]) {
    common.output.print(&json!({ "queues": queue_values(queues) }), || queue_table(queues));
}

/// As JSON.
pub fn queue_values(queues: &[admin::GroupQueueStatus]) -> Vec<Value> {
    let value = |queue: &admin::GroupQueueStatus| {
        json!({
            "topic": queue.topic, "queue": queue.queue, "first_offset": queue.first_offset,
            "settled_offset": queue.settled_offset, "next_offset": queue.next_offset,
            "end_offset": queue.end_offset, "in_flight": queue.in_flight, "lag": queue.lag,
            "begun": queue.begun,
        })
    };
    queues.iter().map(value).collect()
}

/// For people.
pub fn queue_table(queues: &[admin::GroupQueueStatus]) -> String {
    let rows: Vec<_> = queues
        .iter()
        .map(|queue| {
            let place = |offset: u64| if queue.begun { offset.to_string() } else { "-".to_owned() };
            [
                queue.topic.clone(),
                queue.queue.to_string(),
                queue.first_offset.to_string(),
                place(queue.settled_offset),
                place(queue.next_offset),
                queue.end_offset.to_string(),
                queue.in_flight.to_string(),
                queue.lag.to_string(),
            ]
        })
        .collect();
    table(["TOPIC", "QUEUE", "FIRST", "SETTLED", "NEXT", "END", "IN FLIGHT", "LAG"], &rows)
}
