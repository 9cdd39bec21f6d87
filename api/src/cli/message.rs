//! `ledgermq message`

use clap::{Args, Subcommand};
use proto::admin;
use proto::admin::query_messages_request::{self, By};
use serde_json::{Map, Value, json};

use super::exit::Failure;
use super::moment::{Span, now_unix_ms, parse_span, print_unix_ms};
use super::output::table;
use super::recall::RecallArgs;
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;

/// `ledgermq message ...`
#[derive(Debug, Subcommand)]
pub enum MessageCommand {
    /// Find messages of a topic by id, key, time or offset
    Query(QueryArgs),
    /// Show the story of a message: sent, stored, committed, leased, acknowledged
    Trace(TraceArgs),
    /// Say why a message is not delivered to a consumer group
    Why(WhyArgs),
    /// Take back a delayed message before its time
    Recall(RecallArgs),
}

impl MessageCommand {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            MessageCommand::Query(args) => args.run().await,
            MessageCommand::Trace(args) => args.run().await,
            MessageCommand::Why(args) => args.run().await,
            MessageCommand::Recall(args) => args.run().await,
        }
    }
}

/// Arguments of `message query`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ledgermq message query orders --key order-4711
  ledgermq message query orders --id 01F7C52316412B65310B138CEA0A694A6D
  ledgermq message query orders --time 2h..1h --limit 100 -o json
  ledgermq message query orders --queue 3 --offset 1200

Prints one page, by ascending time, and how to get the next one. Exits with 3 when nothing was found.")]
pub struct QueryArgs {
    /// The topic
    topic: String,
    /// Messages with this key
    #[arg(long, group = "what")]
    key: Option<String>,
    /// The message with this id
    #[arg(long, group = "what")]
    id: Option<String>,
    /// Messages stored between two times, both included, or since or before one: A..B, A.., ..B
    #[arg(long, group = "what", value_name = "A..B", value_parser = parse_span)]
    time: Option<Span>,
    /// Messages of this queue, from --offset on
    #[arg(long, group = "what", value_name = "N", requires = "offset")]
    queue: Option<u32>,
    /// The first offset wanted
    #[arg(long, value_name = "N", requires = "queue")]
    offset: Option<u64>,
    /// At most so many messages
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on behind the page that ended with this
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    continuation: String,
    /// Ask only the broker at --endpoint for what it has applied: it need not lead, and may lag a moment
    #[arg(long)]
    from_replica: bool,
    #[command(flatten)]
    common: CommonArgs,
}

impl QueryArgs {
    fn by(&self) -> Option<By> {
        let id = self.id.clone().map(By::Id);
        let key = self.key.clone().map(By::Key);
        let time = self.time.map(|span| {
            let (from_unix_ms, to_unix_ms) =
                (span.from_ms.unwrap_or(0), span.to_ms.unwrap_or_else(now_unix_ms));
            By::Time(query_messages_request::Time { from_unix_ms, to_unix_ms })
        });
        let place = self.queue.map(|queue| {
            let offset = self.offset.unwrap_or_default();
            By::Offset(query_messages_request::Offset { queue, offset })
        });
        id.or(key).or(time).or(place)
    }

    async fn run(self) -> Result<(), Failure> {
        let Some(by) = self.by() else {
            let sentence = "say what to look for: --key, --id, --time A..B, or --queue N --offset N";
            return Err(Failure::Usage(sentence.to_owned()));
        };
        let request = admin::QueryMessagesRequest {
            topic: self.topic.clone(),
            by: Some(by),
            limit: self.limit,
            continuation: self.continuation,
            from_replica: self.from_replica,
        };
        let broker = self.common.target.connect().await?;
        let request = broker.headers.request(request, ADMIN_TIMEOUT);
        let answer = broker
            .answer(broker.admin().query_messages(request).await)
            .map_err(|error| Failure::about_topic(error, &self.topic))?;
        let messages: Vec<Value> = answer.messages.iter().map(value).collect();
        let next = (!answer.continuation.is_empty()).then_some(&answer.continuation);
        let page = json!({ "messages": messages, "continuation": next, "cut": answer.cut });
        if answer.messages.is_empty() && next.is_none() {
            return Err(Failure::Nothing(format!("no such message was found{}", cut_note(answer.cut))));
        }
        self.common.output.print(&page, || {
            let mut text: String = answer.messages.iter().map(|message| text_of(message) + "\n").collect();
            if let Some(next) = next {
                text += &format!("There are more: repeat the command with --continuation {next}\n");
            }
            text + cut_note(answer.cut)
        });
        Ok(())
    }
}

fn cut_note(cut: bool) -> &'static str {
    match cut {
        true => {
            " (a bound was hit before everything was looked at: 20,000 messages a broker group for an id; it may be there \
             all the same: name its topic, or look with `ledgermq message query TOPIC --time A..B`)"
        }
        false => "",
    }
}

/// Arguments of `message trace`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  ledgermq message trace 01F7C52316412B65310B138CEA0A694A6D --topic orders

Deliveries are known for 24 hours, fewer under load.")]
pub struct TraceArgs {
    /// The message id
    id: String,
    /// The topic; without it every topic is searched, dead letters too
    #[arg(long, default_value = "", hide_default_value = true)]
    topic: String,
    #[command(flatten)]
    common: CommonArgs,
}

impl TraceArgs {
    async fn run(self) -> Result<(), Failure> {
        let broker = self.common.target.connect().await?;
        let request = admin::TraceMessageRequest { id: self.id, topic: self.topic.clone() };
        let request = broker.headers.request(request, ADMIN_TIMEOUT);
        let answer = broker
            .answer(broker.admin().trace_message(request).await)
            .map_err(|error| Failure::about_topic(error, &self.topic))?;
        if answer.messages.is_empty() {
            return Err(Failure::Nothing(format!("no message has this id{}", cut_note(answer.cut))));
        }
        let copies: Vec<Value> = answer.messages.iter().map(traced_value).collect();
        self.common.output.print(&json!({ "messages": copies, "cut": answer.cut }), || {
            answer.messages.iter().map(traced_text).collect::<Vec<_>>().join("\n") + cut_note(answer.cut)
        });
        Ok(())
    }
}

fn traced_value(traced: &admin::TracedMessage) -> Value {
    let event = |event: &admin::DeliveryEvent| {
        json!({
            "unix_ms": event.unix_ms, "what": event.what, "group": event.group, "attempt": known(event.attempt),
            "client": (!event.client.is_empty()).then_some(&event.client),
            "until_unix_ms": event.until_unix_ms,
        })
    };
    json!({
        "message": traced.message.as_ref().map(value),
        "term": traced.term, "index": traced.index, "leader": traced.leader_node,
        "committed_unix_ms": traced.committed_unix_ms,
        "deliveries": traced.events.iter().map(event).collect::<Vec<_>>(),
        "deliveries_since_unix_ms": traced.events_since_unix_ms,
    })
}

fn known(attempt: u32) -> Option<u32> {
    (attempt > 0).then_some(attempt)
}

fn traced_text(traced: &admin::TracedMessage) -> String {
    let message = traced.message.clone().unwrap_or_default();
    let mut rows = vec![
        row(
            message.born_unix_ms,
            "sent",
            &format!("by {}, to {}, by its own clock", name(&message.born_host), message.sent_to),
        ),
        row(
            message.stored_unix_ms,
            "stored",
            &format!("{}, taken by {}", place(&message), message.store_host),
        ),
    ];
    if let (Some(term), Some(index), Some(leader)) = (traced.term, traced.index, traced.leader_node) {
        let group = &message.broker_group;
        let what = format!("in {group}, term {term}, index {index}, led by node {leader}");
        rows.push(row(traced.committed_unix_ms.unwrap_or_default(), "committed", &what));
    }
    for event in &traced.events {
        let mut what = format!("group {}", event.group);
        if let Some(attempt) = known(event.attempt) {
            what += &format!(", attempt {attempt}");
        }
        if !event.client.is_empty() {
            what += &format!(", client {}", event.client);
        }
        if let Some(until) = event.until_unix_ms {
            what += &format!(", until {}", print_unix_ms(until));
        }
        rows.push(row(event.unix_ms, &event.what.replace('_', " "), &what));
    }
    let mut text = format!("{} in {}\n", message.message_id, message.topic);
    text += &table(["TIME", "WHAT", "ABOUT"], &rows);
    if traced.events.is_empty() {
        text += match traced.events_since_unix_ms {
            Some(_) => "Nothing has been delivered since then.\n",
            None => "No deliveries are known.\n",
        };
    }
    text
}

fn row(unix_ms: i64, what: &str, about: &str) -> [String; 3] {
    [print_unix_ms(unix_ms), what.to_owned(), about.to_owned()]
}

fn name(host: &str) -> &str {
    if host.is_empty() { "an unnamed host" } else { host }
}

/// Arguments of `message why`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  ledgermq message why 01F7C52316412B65310B138CEA0A694A6D --group billing --topic orders

The reason in the JSON is one of: not_found, not_due, in_transaction, transaction_given_up, acknowledged,
dead_lettered, filtered, before_start, passed_over, expired, leased, behind_predecessor, group_paused,
in_flight_limit, consumer_offline, not_subscribed, ready. Who is connected, and with which filter, every node that answers is asked.")]
pub struct WhyArgs {
    /// The message id
    id: String,
    /// The consumer group
    #[arg(long, short = 'g')]
    group: String,
    /// The topic; without it every topic is searched
    #[arg(long, default_value = "", hide_default_value = true)]
    topic: String,
    #[command(flatten)]
    common: CommonArgs,
}

impl WhyArgs {
    async fn run(self) -> Result<(), Failure> {
        let broker = self.common.target.connect().await?;
        let request = admin::ExplainDeliveryRequest {
            id: self.id.clone(),
            group: self.group.clone(),
            topic: self.topic.clone(),
        };
        let request = broker.headers.request(request, ADMIN_TIMEOUT);
        let answer = broker
            .answer(broker.admin().explain_delivery(request).await)
            .map_err(|error| Failure::about_group_in_topic(error, &self.group, &self.topic))?;
        let explained = json!({
            "id": self.id, "reason": answer.reason, "sentence": answer.sentence,
            "message": answer.message.as_ref().map(value),
            "attempt": answer.attempt, "client": answer.client, "unix_ms": answer.unix_ms,
            "behind_offset": answer.behind_offset, "behind_id": answer.behind_id,
        });
        self.common.output.print(&explained, || {
            let place = answer
                .message
                .as_ref()
                .map_or(String::new(), |message| format!("\n  topic {}, {}", message.topic, place(message)));
            format!("{}: {}{place}", answer.reason, answer.sentence)
        });
        Ok(())
    }
}

/// Where it is, or what it waits for.
fn place(message: &admin::FoundMessage) -> String {
    let queue = message.queue;
    match (message.offset, message.due_unix_ms) {
        (Some(offset), _) => format!("queue {queue}, offset {offset}"),
        (None, Some(due)) => format!("for queue {queue}, due {}", print_unix_ms(due)),
        (None, None) if message.given_up => format!("for queue {queue}, transaction given up"),
        (None, None) => format!("for queue {queue}, transaction not ended"),
    }
}

fn value(message: &admin::FoundMessage) -> Value {
    let mut value = json!({
        "topic": message.topic, "sent_to": message.sent_to, "message_id": message.message_id,
        "tag": message.tag, "keys": message.keys, "message_group": message.message_group,
        "properties": message.properties.iter().collect::<std::collections::BTreeMap<_, _>>(),
        "born_host": message.born_host, "born_unix_ms": message.born_unix_ms,
        "store_host": message.store_host, "stored_unix_ms": message.stored_unix_ms,
        "broker_group": message.broker_group, "queue": message.queue, "offset": message.offset,
        "due_unix_ms": message.due_unix_ms, "in_transaction": message.in_transaction,
        "given_up": message.given_up,
    });
    let fields: &mut Map<String, Value> = value.as_object_mut().expect("made as an object");
    match std::str::from_utf8(&message.body) {
        Ok(body) => fields.insert("body".to_owned(), body.into()),
        Err(_) => {
            let hex: String = message.body.iter().map(|byte| format!("{byte:02x}")).collect();
            fields.insert("body_hex".to_owned(), hex.into())
        }
    };
    value
}

/// The body, and below it everything else.
fn text_of(message: &admin::FoundMessage) -> String {
    let mut facts = vec![format!("id {}", message.message_id), place(message)];
    facts.extend((message.sent_to != message.topic).then(|| format!("sent to {}", message.sent_to)));
    facts.extend(message.tag.as_ref().map(|tag| format!("tag {tag}")));
    facts.extend((!message.keys.is_empty()).then(|| format!("keys {}", message.keys.join(" "))));
    facts.extend(message.message_group.as_ref().map(|group| format!("message group {group}")));
    facts.push(format!("stored {}", print_unix_ms(message.stored_unix_ms)));
    let mut properties: Vec<String> =
        message.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    properties.sort();
    facts.extend(properties);
    format!("{}\n  {}", String::from_utf8_lossy(&message.body), facts.join(", "))
}
