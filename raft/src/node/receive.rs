//! Leases for consumers: at the leader, from here or through a peer, at once or after a wait.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::peer;
use tokio::time::{Instant, timeout_at};

use crate::clock;
use crate::command::{self, Command, Wanted};
use crate::filter::SqlFilter;
use crate::group::Group;
use crate::group::judged::{self, Look};
use crate::group::propose::ProposeError;
use crate::names::{GroupId, NodeId};
use crate::node::NodeInner;
use crate::node::forward::{forwarding, outcome_in, outcome_out};
use crate::node::peers::Lane;
use crate::node::route::Leader;
use crate::outcome::{LeasedMessage, Outcome};
use crate::request::{Delivered, Filter, Receive, Rejection, RequestError};
use crate::spans::{self, within};

/// Margin for the way back of a peer's answer.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// What a leader found for a receive: the leases, and their records.
pub(crate) struct Found {
    pub leases: Vec<LeasedMessage>,
    pub records: Vec<Bytes>,
}

/// A SQL filter at the leader that judges by it.
struct Judge {
    text: Arc<str>,
    filter: Arc<SqlFilter>,
}

impl Judge {
    /// The judge that a receive needs. The edge has read the filter before; of another version of
    /// this program it might not be one here.
    fn of(receive: &Receive) -> Result<Option<Judge>, ProposeError> {
        let Filter::Sql(text) = &receive.filter else { return Ok(None) };
        let filter = SqlFilter::parse(text)
            .map_err(|error| ProposeError::Unknown(format!("the leader cannot read the filter: {error}")))?;
        Ok(Some(Judge { text: text.as_str().into(), filter: Arc::new(filter) }))
    }

    /// Reads messages, so not on the threads of the runtime.
    async fn look(&self, group: &Group, receive: &Receive) -> Result<Look, ProposeError> {
        let (group, receive) = (group.clone(), receive.clone());
        let (text, filter) = (self.text.clone(), self.filter.clone());
        let look = crate::seams::spawn_blocking(move || judged::look(&group, &receive, &filter, &text));
        let failed = |reason: String| ProposeError::Unknown(format!("messages cannot be judged: {reason}"));
        look.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }
}

impl NodeInner {
    /// See [`crate::node::Node::receive`].
    pub(crate) async fn receive(
        &self,
        receive: Receive,
        wait_until: Instant,
        deadline: Instant,
    ) -> Result<Vec<Delivered>, RequestError> {
        let (mut doubt, mut waited) = (None, None);
        loop {
            let result = match self.leader(receive.group) {
                Leader::Here => {
                    let group = self.group(receive.group)?;
                    self.receive_here(group, &receive, wait_until, deadline).await
                }
                Leader::At(id) => self.receive_there(id, &receive, wait_until, deadline).await,
                Leader::Nobody => Err(ProposeError::NotLeader(None)),
            };
            match result {
                Ok(found) => return Ok(delivered(&receive, found)),
                Err(ProposeError::Overloaded) => {
                    return Err(RequestError::Overloaded { what: "commands waiting for the log" });
                }
                // The same attempt gets the same batch again, so it is safe to ask once more.
                Err(ProposeError::Unknown(reason)) => doubt = Some(reason),
                Err(ProposeError::NotLeader(_) | ProposeError::Stopped) => {}
            }
            if self.is_stopping() {
                return Err(RequestError::Stopping);
            }
            if Instant::now() >= deadline {
                return Err(match doubt {
                    Some(reason) => RequestError::Unknown { reason },
                    None => RequestError::NoLeader { group: receive.group },
                });
            }
            waited.get_or_insert_with(|| self.counters.wait_for_leader());
            self.leader_may_change(receive.group, deadline).await;
        }
    }

    /// See [`crate::node::Node::wait_ready`].
    pub(crate) async fn wait_ready(
        &self,
        receive: &Receive,
        wait_until: Instant,
    ) -> Result<bool, RequestError> {
        loop {
            let found = match self.leader(receive.group) {
                Leader::Here => {
                    let group = self.group(receive.group)?;
                    self.until_ready(group, receive, wait_until).await
                }
                Leader::At(id) => self
                    .ask_leader(id, receive, wait_until, wait_until + ANSWER_MARGIN, true)
                    .await
                    .map(|(outcome, _)| outcome == Outcome::Done),
                Leader::Nobody => Err(ProposeError::NotLeader(None)),
            };
            match found {
                Ok(true) => return Ok(true),
                _ if Instant::now() >= wait_until => return Ok(false),
                Ok(false) | Err(_) => self.leader_may_change(receive.group, wait_until).await,
            }
            if self.is_stopping() {
                return Err(RequestError::Stopping);
            }
        }
    }

    /// At the leader: waits until a receive would find something. A wait writes nothing.
    pub(crate) async fn until_ready(
        &self,
        group: &Group,
        receive: &Receive,
        wait_until: Instant,
    ) -> Result<bool, ProposeError> {
        let judge = Judge::of(receive)?;
        Ok(self.until_due(group, receive, judge.as_ref(), wait_until).await?.is_some())
    }

    /// As [`NodeInner::until_ready`]; answers with the command to propose.
    async fn until_due(
        &self,
        group: &Group,
        receive: &Receive,
        judge: Option<&Judge>,
        wait_until: Instant,
    ) -> Result<Option<Bytes>, ProposeError> {
        let lite = receive.lite.as_ref().map(|hashes| group.wakers.of_lite(receive.topic, hashes));
        loop {
            if !self.until_resumed(receive.consumer, wait_until).await {
                return Ok(None);
            }
            let notify = match &lite {
                Some(lite) => lite.notify.clone(),
                None => group.wakers.of(receive.topic),
            };
            let notified = notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            // A poll without a bound waits for messages only.
            let freed = receive.in_flight_max.map(|_| group.wakers.of_consumer(receive.consumer));
            let unbounded = tokio::sync::Notify::new();
            let freed = freed.as_deref().unwrap_or(&unbounded).notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            let resolved;
            let receive = match receive.lite {
                None => receive,
                Some(_) => {
                    let queues = group.replica().broker().lite_queues(receive, clock::now_ms());
                    resolved = Receive { queues, lite: None, ..receive.clone() };
                    &resolved
                }
            };
            if !group.serves(self.id) {
                match self.leader(group.id) {
                    // Elected, but nothing of its own term is applied yet (rule R8): "nothing is there" would
                    // be said without knowing.
                    Leader::Here if Instant::now() < wait_until => {}
                    _ => return Err(ProposeError::NotLeader(group.leader())),
                }
            } else {
                let now_ms = clock::now_ms();
                let (due, room) = {
                    let replica = group.replica();
                    let machine = replica.broker();
                    (machine.would_deliver(receive, now_ms), machine.has_room(receive, now_ms))
                };
                let look = match judge {
                    Some(judge) if room => judge.look(group, receive).await?,
                    _ => Look::default(),
                };
                if due || look.due {
                    return Ok(Some(match judge {
                        Some(_) => command::encode_judged_receive(receive, &look.verdicts),
                        None => command::encode_receive(receive),
                    }));
                }
                if look.more && Instant::now() < wait_until {
                    continue;
                }
            }
            if Instant::now() >= wait_until {
                return Ok(None);
            }
            let wake = self.next_look(group, receive, wait_until);
            tokio::select! {
                biased;
                () = notified => {}
                () = freed => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// When to look again if nothing wakes the poll: when the next lease ends, or soon after an
    /// election.
    fn next_look(&self, group: &Group, receive: &Receive, wait_until: Instant) -> Instant {
        if !group.serves(self.id) {
            return (Instant::now() + Duration::from_millis(5)).min(wait_until);
        }
        let next_ms = {
            let replica = group.replica();
            let machine = replica.broker();
            match receive.in_flight_max {
                // The end of any lease makes room.
                Some(_) => machine.next_end_ms(receive.consumer),
                None => machine.next_wake_ms(receive.consumer, receive.topic, &receive.queues),
            }
        };
        match next_ms {
            None => wait_until,
            Some(at_ms) => {
                let wait = Duration::from_millis(at_ms.saturating_sub(clock::now_ms()).max(1));
                (Instant::now() + wait).min(wait_until)
            }
        }
    }

    /// At the leader: leases messages, waiting for some until `wait_until`.
    pub(crate) async fn receive_here(
        &self,
        group: &Group,
        receive: &Receive,
        wait_until: Instant,
        deadline: Instant,
    ) -> Result<Found, ProposeError> {
        let judge = Judge::of(receive)?;
        loop {
            let Some(command) = self.until_due(group, receive, judge.as_ref(), wait_until).await? else {
                return Ok(Found { leases: Vec::new(), records: Vec::new() });
            };
            let proposed = group.proposer.propose(command, spans::current())?;
            let outcome = match timeout_at(deadline, proposed).await {
                Ok(Ok(outcome)) => outcome?,
                Ok(Err(_)) => return Err(ProposeError::Unknown("the group stopped meanwhile".to_owned())),
                Err(_) => return Err(ProposeError::Unknown("the log did not answer in time".to_owned())),
            };
            let leases = match outcome {
                Outcome::Received { messages, .. } => messages,
                other => return Err(ProposeError::Unknown(format!("a receive was answered with {other:?}"))),
            };
            if !leases.is_empty() || Instant::now() >= wait_until {
                let places = leases.iter().map(|lease| (lease.position, lease.length)).collect();
                let records = self.read_records(group.store.log(), places).await;
                let records = records.map_err(|error| ProposeError::Unknown(format!("{error:?}")))?;
                return Ok(Found { leases, records });
            }
        }
    }

    async fn ask_leader(
        &self,
        leader: NodeId,
        receive: &Receive,
        wait_until: Instant,
        deadline: Instant,
        only_wait: bool,
    ) -> Result<(Outcome, Vec<Bytes>), ProposeError> {
        let unknown = |reason: &str| ProposeError::Unknown(reason.to_owned());
        let mut client =
            self.peers.client(leader, Lane::Requests).map_err(|_| ProposeError::NotLeader(None))?;
        // A wait for several groups at once is no part of what became of a message.
        let trail = if only_wait { None } else { spans::current() };
        let span = trail.map(|trail| forwarding(&trail, leader, receive.group));
        let now = Instant::now();
        let request = peer::ReceiveRequest {
            group: receive.group.0,
            command: command::encode_receive(receive),
            wait_ms: wait_until.saturating_duration_since(now).as_millis() as u32,
            timeout_ms: deadline.saturating_duration_since(now).as_millis() as u32,
            only_wait,
            target: leader.0,
            sql: match &receive.filter {
                Filter::Sql(text) => text.clone(),
                Filter::All | Filter::AnyOf(_) => String::new(),
            },
            reads_lite_topics: receive.lite.is_some(),
            lite_hashes: receive.lite.clone().unwrap_or_default(),
            span: span.as_ref().map(|span| span.context().to_peer()),
        };
        let superseded = self.superseded(receive.group, leader);
        let response = tokio::select! {
            biased;
            response = timeout_at(deadline + ANSWER_MARGIN, client.receive(request)) => response,
            () = superseded => return Err(unknown("another node leads meanwhile")),
        };
        let response = match response {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Err(unknown(status.message())),
            Err(_) => return Err(unknown("the leader does not answer")),
        };
        let answer = response.outcome.ok_or_else(|| unknown("the leader's answer is empty"))?;
        Ok((outcome_in(answer)?, response.records))
    }

    async fn receive_there(
        &self,
        leader: NodeId,
        receive: &Receive,
        wait_until: Instant,
        deadline: Instant,
    ) -> Result<Found, ProposeError> {
        match self.ask_leader(leader, receive, wait_until, deadline, false).await? {
            (Outcome::Received { messages, .. }, records) if messages.len() == records.len() => {
                Ok(Found { leases: messages, records })
            }
            (other, _) => Err(ProposeError::Unknown(format!("a receive was answered with {other:?}"))),
        }
    }

    /// Answers a peer that asks this leader.
    pub(crate) async fn receive_for_peer(&self, request: peer::ReceiveRequest) -> peer::ReceiveResponse {
        let now = Instant::now();
        let wait_until = now + Duration::from_millis(u64::from(request.wait_ms));
        let deadline = now + Duration::from_millis(u64::from(request.timeout_ms));
        let (outcome, records) = match self.groups.get(GroupId(request.group)) {
            None => (Err(ProposeError::NotLeader(None)), Vec::new()),
            Some(group) => match receive_in(&request, group.id) {
                Err(reason) => (Ok(Outcome::Rejected(Rejection::Invalid(reason))), Vec::new()),
                Ok(receive) if request.only_wait => {
                    let ready = self.until_ready(group, &receive, wait_until).await;
                    (ready.map(|ready| if ready { Outcome::Done } else { received(Vec::new()) }), Vec::new())
                }
                Ok(receive) => {
                    let trail = self.trail_of(request.span.as_ref());
                    match within(trail, self.receive_here(group, &receive, wait_until, deadline)).await {
                        Ok(found) => (Ok(received(found.leases)), found.records),
                        Err(error) => (Err(error), Vec::new()),
                    }
                }
            },
        };
        peer::ReceiveResponse { outcome: Some(outcome_out(outcome)), records }
    }
}

/// A receive as a peer sent it.
fn receive_in(request: &peer::ReceiveRequest, group: GroupId) -> Result<Receive, String> {
    let sql = &request.sql;
    let Command::Receive(command) = command::decode(&request.command).map_err(|error| error.to_string())?
    else {
        return Err("a command that is not a receive came as one".to_owned());
    };
    let filter = match command.wanted {
        Wanted::All => Filter::All,
        Wanted::AnyOf(hashes) => Filter::AnyOf(hashes),
        Wanted::Judged(_) => Filter::Sql(sql.into()),
    };
    Ok(Receive {
        consumer: command.consumer,
        topic: command.topic,
        group,
        queues: command.queues,
        max: command.max,
        invisible_ms: command.invisible_ms,
        fifo: command.fifo,
        auto_renew: command.auto_renew,
        client: command.client,
        attempt: command.attempt,
        filter,
        max_attempts: command.max_attempts,
        start: command.start,
        dead_letters: command.dead_letters,
        in_flight_max: command.in_flight_max,
        rules: command.rules,
        lite: request.reads_lite_topics.then(|| request.lite_hashes.clone()),
    })
}

fn received(messages: Vec<LeasedMessage>) -> Outcome {
    Outcome::Received { stamp_ms: 0, messages }
}

fn delivered(receive: &Receive, found: Found) -> Vec<Delivered> {
    found
        .leases
        .into_iter()
        .zip(found.records)
        .map(|(lease, record)| Delivered {
            receipt: lease.receipt(receive.consumer, receive.group),
            attempt: lease.attempt,
            lease_until_ms: lease.until_ms,
            stored_ms: lease.stored_ms,
            record,
        })
        .collect()
}
