//! `ledgermq group`

use std::str::FromStr;

use clap::Subcommand;
use proto::admin;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::exit::Failure;
use super::moment::{parse_unix_ms, print_unix_ms};
use super::offsets::{DeleteSubscriptionArgs, OffsetsArgs, ResetOffsetArgs, queue_table, queue_values};
use super::output::{ConfirmArgs, table};
use super::settings::{Retry, group_settings};
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;

/// `ledgermq group ...`
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Make a consumer group
    #[command(after_help = "Examples:
  ledgermq group create billing
  ledgermq group create ledger --fifo --from first --max-attempts 5
  ledgermq group create mail --retry exponential:1s,10m,x2 --in-flight-max 1000")]
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
        /// Pauses before a message is delivered again: `levels` (the 18 from 1s to 2h), one's own (1s,5s,10s; the last
        /// one counts from there on), or exponential:INITIAL,MAX,xFACTOR
        #[arg(long, default_value = "levels", value_name = "PAUSES")]
        retry: Retry,
        /// With so many messages in flight the group gets no fresh ones; 0 for no bound
        #[arg(long, default_value_t = 0, value_name = "N")]
        in_flight_max: u64,
        /// It is no error if it is there already
        #[arg(long)]
        if_not_exists: bool,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Change a consumer group
    #[command(after_help = "Examples:
  ledgermq group update billing --max-attempts 5 --retry 1s,5s,10s
  ledgermq group update billing --in-flight-max 0")]
    Update {
        /// Its name
        name: String,
        /// Deliveries before a message becomes a dead letter
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
        max_attempts: Option<u32>,
        /// Pauses before a message is delivered again: `levels`, one's own (1s,5s,10s), or
        /// exponential:INITIAL,MAX,xFACTOR
        #[arg(long, value_name = "PAUSES")]
        retry: Option<Retry>,
        /// With so many messages in flight the group gets no fresh ones; 0 for no bound
        #[arg(long, value_name = "N")]
        in_flight_max: Option<u64>,
        /// Deliver nothing for now
        #[arg(long, conflicts_with = "resume")]
        pause: bool,
        /// Deliver again
        #[arg(long)]
        resume: bool,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Deliver nothing to a consumer group until it is resumed; what it holds it may still settle
    #[command(after_help = "Example:
  ledgermq group pause billing")]
    Pause {
        /// Its name
        name: String,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Deliver to a paused consumer group again
    #[command(after_help = "Example:
  ledgermq group resume billing")]
    Resume {
        /// Its name
        name: String,
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
    /// Move a consumer group in a topic
    ResetOffset(ResetOffsetArgs),
    /// Have a consumer group forget a topic
    DeleteSubscription(DeleteSubscriptionArgs),
    /// Show where a consumer group stands in each queue of a topic, as the leaders have it
    Offsets(OffsetsArgs),
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
    pub(super) fn wire(self) -> (i32, i64) {
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
    created_unix_ms: i64,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

impl GroupView {
    fn of(group: Option<admin::Group>) -> GroupView {
        let group = group.unwrap_or_default();
        let settings = group_settings(&group);
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
            created_unix_ms: group.created_unix_ms,
            settings,
        }
    }

    fn sentence(&self) -> String {
        let fifo = if self.fifo { ", in order" } else { "" };
        let set = |name: &str| self.settings.get(name).filter(|value| !value.is_null());
        let retry = set("retry").and_then(Value::as_str).unwrap_or_default();
        let bound = set("in_flight_max").map_or(String::new(), |max| format!(", at most {max} in flight"));
        let paused = if set("paused") == Some(&json!(true)) { ", PAUSED" } else { "" };
        format!(
            "consumer group {}{paused}: from {}, at most {} deliveries, retry {retry}{bound}{fifo}, made {}",
            self.name,
            self.from,
            self.max_attempts,
            print_unix_ms(self.created_unix_ms)
        )
    }
}

impl GroupCommand {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            GroupCommand::Create {
                name,
                fifo,
                max_attempts,
                from,
                retry,
                in_flight_max,
                if_not_exists,
                common,
            } => {
                let (start_from, start_unix_ms) = from.wire();
                let request = admin::CreateGroupRequest {
                    name,
                    fifo,
                    max_attempts,
                    start_from,
                    start_unix_ms,
                    if_not_exists,
                    retry: Some(retry.wire()),
                    in_flight_max,
                };
                let broker = common.target.connect().await?;
                let request = broker.headers.request(request, ADMIN_TIMEOUT);
                let view = GroupView::of(broker.answer(broker.admin().create_group(request).await)?.group);
                common.output.print(&view, || view.sentence());
                Ok(())
            }
            GroupCommand::Update { name, max_attempts, retry, in_flight_max, pause, resume, common } => {
                let paused = (pause || resume).then_some(pause);
                let retry = retry.map(Retry::wire);
                update(
                    admin::UpdateGroupRequest { name, max_attempts, retry, paused, in_flight_max },
                    &common,
                )
                .await
            }
            GroupCommand::Pause { name, common } => update(paused(name, true), &common).await,
            GroupCommand::Resume { name, common } => update(paused(name, false), &common).await,
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
            GroupCommand::ResetOffset(args) => args.run().await,
            GroupCommand::DeleteSubscription(args) => args.run().await,
            GroupCommand::Offsets(args) => args.run().await,
        }
    }
}

fn paused(name: String, paused: bool) -> admin::UpdateGroupRequest {
    admin::UpdateGroupRequest { name, paused: Some(paused), ..Default::default() }
}

async fn update(request: admin::UpdateGroupRequest, common: &CommonArgs) -> Result<(), Failure> {
    let name = request.name.clone();
    if request == (admin::UpdateGroupRequest { name: name.clone(), ..Default::default() }) {
        let why = "say what to change: --max-attempts, --retry, --in-flight-max, --pause or --resume";
        return Err(Failure::Usage(why.to_owned()));
    }
    let broker = common.target.connect().await?;
    let request = broker.headers.request(request, ADMIN_TIMEOUT);
    let answer = broker.answer(broker.admin().update_group(request).await);
    let view = GroupView::of(answer.map_err(|error| Failure::about_group(error, &name))?.group);
    common.output.print(&view, || view.sentence());
    Ok(())
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
                [
                    view.name.clone(),
                    fifo.to_owned(),
                    attempts,
                    view.from.clone(),
                    print_unix_ms(view.created_unix_ms),
                ]
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
    let mut value = json!(view);
    value["lag"] = json!(lag);
    value["queues"] = json!(queue_values(&answer.queues));
    value["clients"] = json!(clients);
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
