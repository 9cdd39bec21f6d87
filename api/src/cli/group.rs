//! `ledgermq group`

use std::str::FromStr;

use clap::Subcommand;
use proto::admin;
use serde::Serialize;
use serde_json::{Value, json};

use super::exit::Failure;
use super::moment::{parse_unix_ms, print_unix_ms};
use super::output::{ConfirmArgs, table};
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;

/// `ledgermq group ...`
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Make a consumer group
    #[command(after_help = "Examples:
  ledgermq group create billing
  ledgermq group create ledger --fifo --from first --max-attempts 5")]
    Create {
        /// Its name: letters, digits, `-`, `_`, `%` and `|`, at most 120
        name: String,
        /// In order within a message group, one batch at a time
        #[arg(long)]
        fifo: bool,
        /// Deliveries before a message becomes a dead letter
        #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
        max_attempts: u32,
        /// Where it begins in a queue that it has not read before: first, last, or a time
        #[arg(long, default_value = "first", value_name = "first|last|TIME")]
        from: From,
        /// It is no error if it is there already
        #[arg(long)]
        if_not_exists: bool,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// List the consumer groups
    #[command(after_help = "Example:
  ledgermq group list -o json")]
    List {
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Show a consumer group: how far it has read, how far it lags, who reads
    #[command(after_help = "Example:
  ledgermq group describe billing")]
    Describe {
        /// Its name
        name: String,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Delete a consumer group: it forgets what it has read
    #[command(after_help = "Example:
  ledgermq group delete billing --yes")]
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Move a consumer group in every queue of a topic
    #[command(after_help = "Examples:
  ledgermq group reset-offset billing --topic orders --from first --yes
  ledgermq group reset-offset billing --topic orders --from 2026-01-31T08:00:00Z --yes")]
    ResetOffset {
        /// Its name
        name: String,
        /// The topic
        #[arg(long)]
        topic: String,
        /// Where to: first, last, or a time (2h: two hours ago)
        #[arg(long, value_name = "first|last|TIME")]
        from: From,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
}

/// A place in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    First,
    Last,
    Time(i64),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "first" => Ok(From::First),
            "last" => Ok(From::Last),
            time => parse_unix_ms(time).map(From::Time),
        }
    }
}

impl From {
    /// As the admin service writes it: the kind, and the time.
    fn wire(self) -> (i32, i64) {
        match self {
            From::First => (admin::StartFrom::First as i32, 0),
            From::Last => (admin::StartFrom::Last as i32, 0),
            From::Time(unix_ms) => (admin::StartFrom::Time as i32, unix_ms),
        }
    }
}

#[derive(Debug, Serialize)]
struct GroupView {
    name: String,
    id: u32,
    fifo: bool,
    max_attempts: u32,
    from: String,
    created: String,
}

impl GroupView {
    fn of(group: Option<admin::Group>) -> GroupView {
        let group = group.unwrap_or_default();
        let from = match group.start_from() {
            admin::StartFrom::Time => print_unix_ms(group.start_unix_ms),
            admin::StartFrom::Last => "last".to_owned(),
            admin::StartFrom::First | admin::StartFrom::Unspecified => "first".to_owned(),
        };
        GroupView {
            name: group.name,
            id: group.id,
            fifo: group.fifo,
            max_attempts: group.max_attempts,
            from,
            created: print_unix_ms(group.created_unix_ms),
        }
    }

    fn sentence(&self) -> String {
        let fifo = if self.fifo { ", in order" } else { "" };
        format!(
            "consumer group {}: from {}, at most {} deliveries{fifo}, made {}",
            self.name, self.from, self.max_attempts, self.created
        )
    }
}

impl GroupCommand {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            GroupCommand::Create { name, fifo, max_attempts, from, if_not_exists, common } => {
                let (start_from, start_unix_ms) = from.wire();
                let request = admin::CreateGroupRequest {
                    name,
                    fifo,
                    max_attempts,
                    start_from,
                    start_unix_ms,
                    if_not_exists,
                };
                let broker = common.target.connect().await?;
                let request = broker.headers.request(request, ADMIN_TIMEOUT);
                let view = GroupView::of(broker.answer(broker.admin().create_group(request).await)?.group);
                common.output.print(&view, || view.sentence());
                Ok(())
            }
            GroupCommand::List { common } => list(&common).await,
            GroupCommand::Describe { name, common } => describe(&name, &common).await,
            GroupCommand::Delete { name, confirm, common } => {
                confirm.confirm(&format!("This deletes consumer group {name} and what it has read."))?;
                let broker = common.target.connect().await?;
                let request = admin::DeleteGroupRequest { name: name.clone() };
                let request = broker.headers.request(request, ADMIN_TIMEOUT);
                broker
                    .answer(broker.admin().delete_group(request).await)
                    .map_err(|error| Failure::about_group(error, &name))?;
                common
                    .output
                    .print(&json!({ "deleted": name }), || format!("consumer group {name} is deleted"));
                Ok(())
            }
            GroupCommand::ResetOffset { name, topic, from, confirm, common } => {
                confirm.confirm(&format!("This moves consumer group {name} in every queue of {topic}."))?;
                let (to, unix_ms) = from.wire();
                let broker = common.target.connect().await?;
                let request = admin::ResetOffsetRequest { group: name, topic, to, unix_ms };
                let request = broker.headers.request(request, ADMIN_TIMEOUT);
                let queues = broker.answer(broker.admin().reset_offset(request).await)?.queues;
                common.output.print(&json!({ "queues": queue_values(&queues) }), || queue_table(&queues));
                Ok(())
            }
        }
    }
}

async fn list(common: &CommonArgs) -> Result<(), Failure> {
    let broker = common.target.connect().await?;
    let request = broker.headers.request(admin::ListGroupsRequest {}, ADMIN_TIMEOUT);
    let answer = broker.answer(broker.admin().list_groups(request).await)?;
    let views: Vec<GroupView> = answer.groups.into_iter().map(|group| GroupView::of(Some(group))).collect();
    common.output.print(&json!({ "groups": views }), || {
        if views.is_empty() {
            return "no consumer groups: create one with `ledgermq group create g`".to_owned();
        }
        let rows: Vec<_> = views
            .iter()
            .map(|view| {
                let fifo = if view.fifo { "yes" } else { "no" };
                let attempts = view.max_attempts.to_string();
                [view.name.clone(), fifo.to_owned(), attempts, view.from.clone(), view.created.clone()]
            })
            .collect();
        table(["NAME", "FIFO", "ATTEMPTS", "FROM", "MADE"], &rows)
    });
    Ok(())
}

async fn describe(name: &str, common: &CommonArgs) -> Result<(), Failure> {
    let broker = common.target.connect().await?;
    let request = admin::DescribeGroupRequest { name: name.to_owned() };
    let request = broker.headers.request(request, ADMIN_TIMEOUT);
    let answer = broker
        .answer(broker.admin().describe_group(request).await)
        .map_err(|error| Failure::about_group(error, name))?;
    let view = GroupView::of(answer.group);
    let clients: Vec<Value> = answer
        .clients
        .iter()
        .map(|client| {
            json!({
                "client_id": client.client_id, "language": client.language,
                "version": client.version, "address": client.address,
            })
        })
        .collect();
    let lag: u64 = answer.queues.iter().map(|queue| queue.lag).sum();
    let value = json!({
        "name": view.name, "id": view.id, "fifo": view.fifo, "max_attempts": view.max_attempts,
        "from": view.from, "created": view.created, "lag": lag,
        "queues": queue_values(&answer.queues), "clients": clients,
    });
    common.output.print(&value, || {
        let mut text = format!("{}; lag {lag}\n", view.sentence());
        if !answer.queues.is_empty() {
            text.push_str(&queue_table(&answer.queues));
        }
        if !answer.clients.is_empty() {
            let rows: Vec<_> = answer
                .clients
                .iter()
                .map(|client| {
                    let client = client.clone();
                    [client.client_id, client.language, client.version, client.address]
                })
                .collect();
            text.push('\n');
            text.push_str(&table(["CLIENT", "LANGUAGE", "VERSION", "ADDRESS"], &rows));
        }
        text
    });
    Ok(())
}

fn queue_values(queues: &[admin::GroupQueueStatus]) -> Vec<Value> {
    let value = |queue: &admin::GroupQueueStatus| {
        json!({
            "topic": queue.topic, "queue": queue.queue, "settled_offset": queue.settled_offset,
            "next_offset": queue.next_offset, "end_offset": queue.end_offset,
            "in_flight": queue.in_flight, "lag": queue.lag,
        })
    };
    queues.iter().map(value).collect()
}

fn queue_table(queues: &[admin::GroupQueueStatus]) -> String {
    let rows: Vec<_> = queues
        .iter()
        .map(|queue| {
            [
                queue.topic.clone(),
                queue.queue.to_string(),
                queue.settled_offset.to_string(),
                queue.next_offset.to_string(),
                queue.end_offset.to_string(),
                queue.in_flight.to_string(),
                queue.lag.to_string(),
            ]
        })
        .collect();
    table(["TOPIC", "QUEUE", "SETTLED", "NEXT", "END", "IN FLIGHT", "LAG"], &rows)
}
