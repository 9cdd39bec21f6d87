//! `ledgermq topic`

use clap::{Args, Subcommand, ValueEnum};
use proto::admin;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::exit::Failure;
use super::moment::print_unix_ms;
use super::output::{ConfirmArgs, OutputArgs, table};
use super::settings::{TopicSettingsArgs, listed, topic_settings};
use super::target::{ADMIN_TIMEOUT, TargetArgs};
use super::topic_spread::SpreadArgs;

/// `ledgermq topic ...`
#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Make a topic
    #[command(after_help = "Examples:
  ledgermq topic create orders --queues 16 --type fifo
  ledgermq topic create events --retention 72h --ttl 1h --max-messages-per-second 1000")]
    Create {
        /// Its name: letters, digits, `-`, `_`, `%` and `|`, at most 127
        name: String,
        /// How many queues
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096))]
        queues: u32,
        /// Which messages it takes
        #[arg(long = "type", value_enum, default_value_t = TopicKind::Normal)]
        kind: TopicKind,
        /// It is no error if it is there already
        #[arg(long)]
        if_not_exists: bool,
        #[command(flatten)]
        settings: Box<TopicSettingsArgs>,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// List the topics
    #[command(after_help = "Example:
  ledgermq topic list -o json")]
    List {
        /// Dead-letter topics too
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Show a topic and its queues
    #[command(after_help = "Example:
  ledgermq topic describe orders")]
    Describe {
        /// Its name
        name: String,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Change a topic's type or settings, or give it more queues
    #[command(after_help = "Examples:
  ledgermq topic update orders --queues 32
  ledgermq topic update orders --retention 24h --max-messages-per-second none")]
    Update {
        /// Its name
        name: String,
        /// How many queues; they can only become more
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
        queues: Option<u32>,
        /// Which messages it takes
        #[arg(long = "type", value_enum)]
        kind: Option<TopicKind>,
        #[command(flatten)]
        settings: Box<TopicSettingsArgs>,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Spread the message groups of a topic that was widened over all of its queues
    #[command(after_help = "Examples:
  ledgermq topic update orders --queues 32
  ledgermq topic spread orders --dry-run
  ledgermq topic spread orders --yes")]
    Spread(Box<SpreadArgs>),
    /// Delete a topic with its messages
    #[command(after_help = "Example:
  ledgermq topic delete orders --yes")]
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
}

/// What every listing command takes.
#[derive(Debug, Args)]
pub struct CommonArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Which messages a topic takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TopicKind {
    /// Without order
    Normal,
    /// In order within a message group
    Fifo,
    /// With a delivery time
    Delay,
    /// Half messages that a transaction commits
    Transaction,
    /// With a priority
    Priority,
    /// Of lite topics
    Lite,
    /// Normal, fifo, delay and transaction messages
    Mixed,
}

impl TopicKind {
    /// As the admin service writes it.
    pub fn wire(self) -> i32 {
        let kind = match self {
            TopicKind::Normal => admin::TopicType::Normal,
            TopicKind::Fifo => admin::TopicType::Fifo,
            TopicKind::Delay => admin::TopicType::Delay,
            TopicKind::Transaction => admin::TopicType::Transaction,
            TopicKind::Priority => admin::TopicType::Priority,
            TopicKind::Lite => admin::TopicType::Lite,
            TopicKind::Mixed => admin::TopicType::Mixed,
        };
        kind as i32
    }
}

#[derive(Debug, Serialize)]
struct TopicView {
    name: String,
    id: u32,
    r#type: String,
    queues: u32,
    ordered_queues: u32,
    spreading: Option<Value>,
    created_unix_ms: i64,
    settings: Map<String, Value>,
}

impl TopicView {
    fn of(topic: Option<admin::Topic>) -> TopicView {
        let topic = topic.unwrap_or_default();
        let kind = topic.r#type().as_str_name().trim_start_matches("TOPIC_TYPE_").to_ascii_lowercase();
        TopicView {
            r#type: kind,
            name: topic.name,
            id: topic.id,
            queues: topic.queues,
            ordered_queues: topic.ordered_queues,
            spreading: topic
                .spreading
                .as_ref()
                .map(|step| json!({ "from": step.from, "to": step.to, "begun_unix_ms": step.begun_unix_ms })),
            created_unix_ms: topic.created_unix_ms,
            settings: topic_settings(&topic.settings.unwrap_or_default()),
        }
    }

    /// On how many queues they are, for a column.
    fn message_groups(&self) -> String {
        match (&self.spreading, self.ordered_queues) {
            (Some(_), ordered) => format!("on {ordered}, being spread"),
            (None, ordered) if ordered == 0 || ordered == self.queues => "on all".to_owned(),
            (None, ordered) => format!("on {ordered}"),
        }
    }

    fn sentence(&self) -> String {
        let set = listed(&self.settings);
        let groups = match (&self.spreading, self.ordered_queues) {
            (Some(_), ordered) => format!(", message groups on {ordered} of them and being spread"),
            // A node of an earlier version does not say.
            (None, ordered) if ordered == 0 || ordered == self.queues => String::new(),
            (None, ordered) => format!(", message groups on {ordered} of them"),
        };
        format!(
            "topic {}: {}, {} queues{groups}{set}, made {}",
            self.name,
            self.r#type,
            self.queues,
            print_unix_ms(self.created_unix_ms)
        )
    }
}

impl TopicCommand {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            TopicCommand::Create { name, queues, kind, if_not_exists, settings, common } => {
                let request = admin::CreateTopicRequest {
                    name,
                    r#type: kind.wire(),
                    queues,
                    if_not_exists,
                    settings: Some(settings.wire()),
                };
                let broker = common.target.connect().await?;
                let request = broker.headers.request(request, ADMIN_TIMEOUT);
                let answer = broker.answer(broker.admin().create_topic(request).await)?;
                let view = TopicView::of(answer.topic);
                common.output.print(&view, || view.sentence());
                Ok(())
            }
            TopicCommand::List { all, common } => list(all, &common).await,
            TopicCommand::Describe { name, common } => describe(name, &common).await,
            TopicCommand::Update { name, queues, kind, settings, common } => {
                let settings = settings.wire();
                if queues.is_none() && kind.is_none() && settings == admin::TopicSettings::default() {
                    let why = "say what to change: --queues, --type, --retention, ...: see --help";
                    return Err(Failure::Usage(why.to_owned()));
                }
                let broker = common.target.connect().await?;
                let change = admin::UpdateTopicRequest {
                    name: name.clone(),
                    r#type: kind.map(TopicKind::wire),
                    queues,
                    settings: Some(settings),
                };
                let request = broker.headers.request(change, ADMIN_TIMEOUT);
                let answer = broker
                    .answer(broker.admin().update_topic(request).await)
                    .map_err(|error| Failure::about_topic(error, &name))?;
                let view = TopicView::of(answer.topic);
                common.output.print(&view, || view.sentence());
                Ok(())
            }
            TopicCommand::Spread(args) => args.run().await,
            TopicCommand::Delete { name, confirm, common } => {
                confirm.confirm(&format!("This deletes topic {name} and its messages."))?;
                let broker = common.target.connect().await?;
                let request = admin::DeleteTopicRequest { name: name.clone() };
                let request = broker.headers.request(request, ADMIN_TIMEOUT);
                broker
                    .answer(broker.admin().delete_topic(request).await)
                    .map_err(|error| Failure::about_topic(error, &name))?;
                common.output.print(&json!({ "deleted": name }), || format!("topic {name} is deleted"));
                Ok(())
            }
        }
    }
}

async fn list(all: bool, common: &CommonArgs) -> Result<(), Failure> {
    let broker = common.target.connect().await?;
    let request = broker.headers.request(admin::ListTopicsRequest { all }, ADMIN_TIMEOUT);
    let answer = broker.answer(broker.admin().list_topics(request).await)?;
    let views: Vec<TopicView> = answer.topics.into_iter().map(|topic| TopicView::of(Some(topic))).collect();
    common.output.print(&json!({ "topics": views }), || {
        if views.is_empty() {
            return "no topics: create one with `ledgermq topic create demo`".to_owned();
        }
        let rows: Vec<_> = views
            .iter()
            .map(|view| {
                [
                    view.name.clone(),
                    view.r#type.clone(),
                    view.queues.to_string(),
                    view.message_groups(),
                    print_unix_ms(view.created_unix_ms),
                ]
            })
            .collect();
        table(["NAME", "TYPE", "QUEUES", "MESSAGE GROUPS", "MADE"], &rows)
    });
    Ok(())
}

async fn describe(name: String, common: &CommonArgs) -> Result<(), Failure> {
    let broker = common.target.connect().await?;
    let request = admin::DescribeTopicRequest { name: name.clone() };
    let request = broker.headers.request(request, ADMIN_TIMEOUT);
    let answer = broker
        .answer(broker.admin().describe_topic(request).await)
        .map_err(|error| Failure::about_topic(error, &name))?;
    let view = TopicView::of(answer.topic);
    let queues: Vec<_> = answer
        .queues
        .iter()
        .map(|queue| {
            json!({
                "queue": queue.queue,
                "broker_group": queue.broker_group,
                "leader_node": queue.leader_node,
                "first_offset": queue.first_offset,
                "next_offset": queue.next_offset,
                "messages": queue.next_offset.saturating_sub(queue.first_offset),
            })
        })
        .collect();
    let behind = answer.behind_spread.iter();
    let behind: Vec<_> = behind.map(|it| json!({ "group": it.group, "messages": it.messages })).collect();
    let value = json!({
        "name": view.name, "id": view.id, "type": view.r#type, "created_unix_ms": view.created_unix_ms,
        "settings": view.settings, "queues": queues, "ordered_queues": view.ordered_queues,
        "spreading": view.spreading, "behind_spread": behind,
    });
    common.output.print(&value, || {
        let rows: Vec<_> = answer
            .queues
            .iter()
            .map(|queue| {
                [
                    queue.queue.to_string(),
                    queue.broker_group.clone(),
                    queue.leader_node.to_string(),
                    queue.first_offset.to_string(),
                    queue.next_offset.to_string(),
                ]
            })
            .collect();
        let behind = answer.behind_spread.iter().map(|it| {
            let (group, messages) = (&it.group, it.messages);
            format!("\nconsumer group {group} has {messages} messages to settle before it gets new ones")
        });
        let behind = behind.collect::<String>();
        let queues = table(["QUEUE", "GROUP", "LEADER", "FIRST", "NEXT"], &rows);
        format!("{}{behind}\n{queues}", view.sentence())
    });
    Ok(())
}
