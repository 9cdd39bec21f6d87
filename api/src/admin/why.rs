//! Why a message is not delivered to a consumer group: one answer, with a code and a sentence.
//!
//! What the log knows comes from the leader; who is connected, and with which filters, from every node
//! that answers.

use proto::admin::{ExplainDeliveryRequest, ExplainDeliveryResponse};
use proto::v2::FilterExpression;
use raft::catalog::{ConsumerGroup, StartFrom, Topic};
use raft::hash::hash64;
use raft::names::QueueKey;
use raft::node::{FoundMessage, MessageQuery};
use raft::question::{By, Delivery, DeliveryState, Happening, JournalFound, Wait};
use store::record::MessageRecord;
use tokio::time::Instant;

use super::find::{copies, wire_message};
use super::group::known;
use super::trace::client_name;
use crate::convert::name::DEAD_LETTERS;
use crate::convert::status::Fault;
use crate::delivery::filter;
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::sentence::Sentence;
use crate::session::remote::{self, ClientReport};

pub(super) async fn explain(
    edge: &EdgeState,
    caller: &Caller,
    request: ExplainDeliveryRequest,
    deadline: Instant,
) -> Result<ExplainDeliveryResponse, Fault> {
    let catalog = edge.node.catalog();
    let group = known(catalog.consumers.get(&request.group), &request.group)?.clone();
    let (found, cut) = copies(edge, caller, &request.id, &request.topic, deadline).await?;
    let dead_letters = format!("{DEAD_LETTERS}{}", group.name);
    let buried = found.iter().any(|(topic, _)| topic.name == dead_letters);
    let Some((topic, message)) = found.into_iter().next() else { return Ok(not_found(&request, cut)) };
    let clients = remote::clients_of(edge, &group.name, deadline).await;
    let case = Case { edge, group, topic, message, clients, deadline };
    let mut answer = case.explain().await?;
    if buried && answer.reason == "passed_over" {
        // Longer ago than deliveries are known.
        let name = &case.group.name;
        let sentence = Sentence::new(
            "dead_lettered",
            "{group} got it too often without an acknowledgement: it is in {dead_letters}.",
        );
        answer = reason("dead_lettered", sentence.with("group", name).with("dead_letters", dead_letters));
    }
    answer.message = wire_message(&case.topic, &case.message);
    Ok(answer)
}

fn not_found(request: &ExplainDeliveryRequest, cut: bool) -> ExplainDeliveryResponse {
    let sentence = match (request.topic.as_str(), cut) {
        ("", false) => Sentence::new(
            "not_found",
            "No message with this id is in any topic: it was never stored, was recalled or rolled back, or retention \
             has removed it.",
        ),
        ("", true) => Sentence::new(
            "not_found_cut",
            "No message with this id is in any topic as far as was looked (a bound was hit: name the topic).",
        ),
        (topic, false) => Sentence::new(
            "not_found_in_topic",
            "No message with this id is in topic {topic}: it was never stored, was recalled or rolled back, or \
             retention has removed it.",
        )
        .with("topic", topic),
        (topic, true) => Sentence::new(
            "not_found_in_topic_cut",
            "No message with this id is in topic {topic} as far as was looked (a bound was hit).",
        )
        .with("topic", topic),
    };
    reason("not_found", sentence)
}

fn reason(reason: &str, sentence: Sentence) -> ExplainDeliveryResponse {
    ExplainDeliveryResponse {
        reason: reason.to_owned(),
        sentence: sentence.to_string(),
        said: Some(sentence.wire()),
        ..ExplainDeliveryResponse::default()
    }
}

/// One message, and the group that asks for it.
struct Case<'a> {
    edge: &'a EdgeState,
    group: ConsumerGroup,
    topic: Topic,
    message: FoundMessage,
    /// The clients of the group, wherever they are connected.
    clients: Vec<ClientReport>,
    deadline: Instant,
}

impl Case<'_> {
    async fn explain(&self) -> Result<ExplainDeliveryResponse, Fault> {
        match self.message.place.wait {
            None => {}
            Some(Wait::Timer { due_ms }) => {
                let sentence = Sentence::new("not_due", "It is not due until {due_unix_ms}.");
                let sentence = sentence.at("due_unix_ms", due_ms as i64);
                let unix_ms = Some(due_ms as i64);
                return Ok(ExplainDeliveryResponse { unix_ms, ..reason("not_due", sentence) });
            }
            Some(Wait::Transaction { next_check_ms, checks }) => {
                let sentence = Sentence::new(
                    "in_transaction",
                    "Its transaction has not ended. Its producer was asked {checks} times, and is asked next at \
                     {next_unix_ms}.",
                );
                let sentence = sentence.with("checks", checks).at("next_unix_ms", next_check_ms as i64);
                return Ok(reason("in_transaction", sentence));
            }
            Some(Wait::GivenUp { checks }) => {
                let sentence = Sentence::new(
                    "transaction_given_up",
                    "Its transaction was never ended: its producer was asked {checks} times. It will not be delivered.",
                );
                return Ok(reason("transaction_given_up", sentence.with("checks", checks)));
            }
        }
        let place = &self.message.place;
        let order_hash = if self.group.fifo { place.order_hash } else { 0 };
        let at = (place.queue, place.number);
        let (holder, id) = (self.message.group, self.group.id);
        let state = self.edge.node.delivery_state(holder, id, at, order_hash, self.deadline).await?;
        match state.delivery {
            Delivery::Settled | Delivery::Gone => self.explain_past(&state).await,
            Delivery::Leased { client, attempt, until_ms, changed, renewed, .. } => {
                Ok(self.leased(client, attempt, until_ms, (changed, renewed)))
            }
            Delivery::Parked { behind: Some(behind) }
            | Delivery::Ahead { behind: Some(behind) }
            | Delivery::Returned { behind: Some(behind), .. } => self.behind(behind).await,
            _ => Ok(self.explain_pending(&state)),
        }
    }

    /// It lies behind the consumer group: settled, or passed over.
    async fn explain_past(&self, state: &DeliveryState) -> Result<ExplainDeliveryResponse, Fault> {
        let place = &self.message.place;
        let at = (place.queue, place.number);
        let (holder, consumer) = (self.message.group, Some(self.group.id));
        let journal = self.edge.node.deliveries(holder, at, consumer, place.stored_ms, self.deadline).await?;
        let name = &self.group.name;
        let ended = journal
            .events
            .iter()
            .rev()
            .find(|event| matches!(event.what, Happening::Settled | Happening::DeadLettered));
        if let Some(ended) = ended {
            let (code, sentence) = match ended.what {
                Happening::DeadLettered => (
                    "dead_lettered",
                    Sentence::new(
                        "dead_lettered_at",
                        "{group} got it too often without an acknowledgement: it went to %DLQ%{group} at {at_unix_ms}.",
                    ),
                ),
                _ => (
                    "acknowledged",
                    Sentence::new("acknowledged", "{group} acknowledged it at {at_unix_ms}."),
                ),
            };
            let sentence = sentence.with("group", name).at("at_unix_ms", ended.at_ms as i64);
            let unix_ms = Some(ended.at_ms as i64);
            return Ok(ExplainDeliveryResponse { unix_ms, ..reason(code, sentence) });
        }
        if state.delivery == Delivery::Gone {
            let sentence = Sentence::new(
                "removed",
                "Retention has removed it: the first offset of its queue is {offset}.",
            );
            return Ok(reason("expired", sentence.with("offset", state.place.state.first)));
        }
        Ok(self.passed_over(&journal, state.now_ms))
    }

    /// Nothing happened to it, and the consumer group is behind it.
    fn passed_over(&self, journal: &JournalFound, now_ms: u64) -> ExplainDeliveryResponse {
        let name = &self.group.name;
        if let Some(sentence) = self.outlived(now_ms) {
            return reason("expired", sentence);
        }
        if let Some(sentence) = self.excluded() {
            return reason("filtered", sentence);
        }
        if let Some(sentence) = self.before_start() {
            return reason("before_start", sentence);
        }
        let sentence = match journal.since_ms {
            Some(since_ms) if since_ms <= self.message.place.stored_ms && !journal.cut => Sentence::new(
                "passed_over",
                "{group} is past it: it was never leased, so the filter at that time left it out, or the group was \
                 moved over it.",
            ),
            _ => Sentence::new(
                "past",
                "{group} is past it: what happened to it is not known any more: it was acknowledged, left out by a \
                 filter, or the group was moved over it.",
            ),
        };
        reason("passed_over", sentence.with("group", name))
    }

    /// Nobody has it, and nobody has settled it.
    fn explain_pending(&self, state: &DeliveryState) -> ExplainDeliveryResponse {
        let name = &self.group.name;
        let settings = &self.group.settings;
        if settings.paused {
            let sentence = Sentence::new(
                "group_paused",
                "Consumer group {group} is paused: `ledgermq group resume {group}` goes on with it.",
            );
            return reason("group_paused", sentence.with("group", name));
        }
        if let Some(sentence) = self.outlived(state.now_ms) {
            return reason("expired", sentence);
        }
        if let Some(sentence) = self.excluded() {
            return reason("filtered", sentence);
        }
        if state.delivery == Delivery::NotReadYet
            && let Some(sentence) = self.before_start()
        {
            return reason("before_start", sentence);
        }
        let in_flight = state.in_flight;
        let is_fresh = matches!(state.delivery, Delivery::Ahead { .. } | Delivery::NotReadYet);
        if (is_fresh && state.is_full) || settings.in_flight_max.is_some_and(|max| in_flight >= max) {
            let sentence = Sentence::new(
                "in_flight_limit",
                "{group} gets no fresh ones until it settles some: in flight are {in_flight}, and of this queue {unsettled} \
                 are unsettled.",
            );
            let sentence = sentence.with("group", name).with("in_flight", in_flight);
            return reason("in_flight_limit", sentence.with("unsettled", state.unsettled));
        }
        if self.clients.is_empty() {
            let sentence = Sentence::new(
                "consumer_offline",
                "No client of {group} is connected: nobody is known to ask for it.",
            );
            return reason("consumer_offline", sentence.with("group", name));
        }
        let record = MessageRecord::decode(&self.message.record).ok();
        if let Some(lite) = record.and_then(|record| record.lite_topic)
            && !self.edge.lite.is_read(self.topic.id, self.group.id, hash64(lite.as_bytes()))
        {
            let sentence = Sentence::new(
                "not_subscribed",
                "No client of {group} is known to subscribe to the lite topic {lite_topic}.",
            );
            return reason("not_subscribed", sentence.with("group", name).with("lite_topic", lite));
        }
        if state.behind_spread {
            let sentence = Sentence::new(
                "behind_spread",
                "It waits until {group} has settled what was sent before message groups were spread over more queues: \
                 `ledgermq topic describe {topic}`.",
            );
            return reason("behind_spread", sentence.with("group", name).with("topic", &self.topic.name));
        }
        let before = self.message.place.number.saturating_sub(state.place.state.next);
        let sentence = match state.delivery {
            Delivery::Returned { attempt, since_ms, .. } => Sentence::new(
                "ready_again",
                "It came back at {since_unix_ms} after attempt {attempt}, and goes to whoever asks next.",
            )
            .at("since_unix_ms", since_ms as i64)
            .with("attempt", attempt),
            _ => Sentence::new(
                "ready",
                "It is ready: the next receive gets it. Messages of its queue before it: {before}.",
            )
            .with("before", before),
        };
        reason("ready", sentence)
    }

    fn leased(
        &self,
        client: u64,
        attempt: u16,
        until_ms: u64,
        (changed, renewed): (bool, bool),
    ) -> ExplainDeliveryResponse {
        let known = self.clients.iter().find(|known| hash64(known.client_id.as_bytes()) == client);
        let client = known.map_or_else(|| client_name(self.edge, client), |known| known.client_id.clone());
        let sentence = match (changed, renewed) {
            (true, _) => Sentence::new(
                "leased_changed",
                "Client {client} has it, attempt {attempt}, and asked for it to come again at {until_unix_ms}; it was \
                 not acknowledged yet.",
            ),
            (false, true) => Sentence::new(
                "leased_renewed",
                "Client {client} has it, attempt {attempt}, until {until_unix_ms}, renewed while it is online; it was \
                 not acknowledged yet.",
            ),
            (false, false) => Sentence::new(
                "leased",
                "Client {client} has it, attempt {attempt}, until {until_unix_ms}; it was not acknowledged yet.",
            ),
        };
        let sentence = sentence.with("client", &client).with("attempt", attempt);
        ExplainDeliveryResponse {
            attempt: Some(u32::from(attempt)),
            client: Some(client),
            unix_ms: Some(until_ms as i64),
            ..reason("leased", sentence.at("until_unix_ms", until_ms as i64))
        }
    }

    /// An earlier message of its message group is not settled.
    async fn behind(&self, offset: u64) -> Result<ExplainDeliveryResponse, Fault> {
        let QueueKey { number: queue, .. } = self.message.place.queue;
        let by = By::Offset { queue, offset };
        let topic = self.topic.clone();
        // Each broker group numbers the queues of its lite topics for itself.
        let limit = topic.groups().len();
        let query = MessageQuery { topic, by, after: None, limit, from_replica: false };
        let page = self.edge.node.query_messages(query, self.deadline).await?;
        let id = page
            .messages
            .iter()
            .find(|found| found.group == self.message.group && found.place.number == offset)
            .and_then(|found| MessageRecord::peek_id(&found.record).map(str::to_owned));
        let sentence = match &id {
            Some(id) => Sentence::new(
                "behind_predecessor",
                "It waits for an earlier message of its message group or lite topic: queue {queue}, offset {offset}, \
                 id {id}. Ask why that one is not settled.",
            )
            .with("id", id),
            None => Sentence::new(
                "behind_unknown",
                "It waits for an earlier message of its message group or lite topic: queue {queue}, offset {offset}. \
                 Ask why that one is not settled.",
            ),
        };
        let answer = reason("behind_predecessor", sentence.with("queue", queue).with("offset", offset));
        Ok(ExplainDeliveryResponse { behind_offset: Some(offset), behind_id: id, ..answer })
    }

    /// Whether its time to live is over.
    fn outlived(&self, now_ms: u64) -> Option<Sentence> {
        let ttl_ms = self.topic.settings.ttl_ms.filter(|ttl_ms| *ttl_ms > 0)?;
        let ended_ms = self.message.place.stored_ms.saturating_add(ttl_ms);
        (ended_ms <= now_ms).then(|| {
            let sentence = Sentence::new(
                "outlived",
                "Messages of {topic} live {ttl_ms} ms, and this one's time was over at {ended_unix_ms}.",
            );
            let sentence = sentence.with("topic", &self.topic.name).with("ttl_ms", ttl_ms);
            sentence.at("ended_unix_ms", ended_ms as i64)
        })
    }

    /// What leaves it out, if the filters of the connected clients do.
    fn excluded(&self) -> Option<Sentence> {
        let filters: Vec<FilterExpression> =
            self.clients.iter().filter_map(|client| client.filter(&self.topic.name)).collect();
        let (tag_hash, record) = (self.message.place.tag_hash, &self.message.record);
        let wants = |expression: &FilterExpression| filter::lets_through(expression, tag_hash, record);
        if filters.is_empty() || filters.iter().any(wants) {
            return None;
        }
        let record = MessageRecord::decode(&self.message.record).ok()?;
        let sentence = match record.tag {
            Some(tag) => Sentence::new(
                "filtered",
                "The filter of {group}, {filter}, leaves it out: it has the tag {tag}.",
            )
            .with("tag", format!("{tag:?}")),
            None => Sentence::new(
                "filtered_untagged",
                "The filter of {group}, {filter}, leaves it out: it has no tag.",
            ),
        };
        Some(sentence.with("group", &self.group.name).with("filter", format!("{:?}", filters[0].expression)))
    }

    /// Where the consumer group begins, if that is behind the message.
    fn before_start(&self) -> Option<Sentence> {
        let stored_ms = self.message.place.stored_ms;
        let sentence = match self.group.start {
            StartFrom::First => return None,
            StartFrom::Last if stored_ms >= self.group.created_ms => return None,
            StartFrom::Time(from_ms) if stored_ms >= from_ms => return None,
            StartFrom::Last => Sentence::new(
                "before_group",
                "{group} begins behind the last message, and was made after this one was stored.",
            ),
            StartFrom::Time(from_ms) => Sentence::new(
                "before_start",
                "{group} begins at {from_unix_ms}, and this one was stored before.",
            )
            .at("from_unix_ms", from_ms as i64),
        };
        Some(sentence.with("group", &self.group.name))
    }
}
