//! Ends transactions: as their producers say, or after asking them; what nobody ends is given up at last.
//!
//! Only a question that reached a producer counts towards the limit: while none of the topic's
//! producers is connected (they are being upgraded, say), a transaction waits, up to its own bound.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use proto::peer;
use store::record::MessageRecord;
use store::tables::GroupTables;
use store::tables::pending::Pending;
use tokio::time::{Instant, timeout, timeout_at};

use crate::clock;
use crate::command;
use crate::group::Group;
use crate::limits::{CHECKS_MAX, TRANSACTIONS_LISTED_MAX};
use crate::machine::{End, HalfRow, Machine};
use crate::names::{GroupId, NodeId, TopicId};
use crate::node::ask::Source;
use crate::node::peers::Lane;
use crate::node::{Node, NodeInner, unexpected};
use crate::outcome::Outcome;
use crate::question::{Answer, MessagePlace, Question, TransactionPlace};
use crate::request::{Published, RequestError, Resolution, Transaction};

/// How often to look whether this node leads, if nothing else says so.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How soon a producer is looked for again when none is connected, at first; then less often, the longer
/// the transaction is open: after a quarter of that.
const UNHEARD_AGAIN_MIN: Duration = Duration::from_secs(5);
const UNHEARD_AGE_SHARE: u32 = 4;
const PEER_ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);
const LOG_ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

/// How open transactions are asked about.
#[derive(Clone, Copy, Debug)]
pub struct TransactionChecks {
    /// From one question to the next.
    pub interval: Duration,
    /// After so many questions that reached a producer, a transaction is given up.
    pub limit: u32,
    /// After so long it is given up even if no producer could be asked.
    pub open_max: Duration,
}

impl Default for TransactionChecks {
    fn default() -> TransactionChecks {
        TransactionChecks {
            interval: Duration::from_secs(30),
            limit: 15,
            open_max: Duration::from_secs(72 * 3600),
        }
    }
}

/// Asks about the group's transactions until the node stops.
pub(crate) async fn keep_checking(node: Arc<NodeInner>, group: Group) {
    let mut stop = node.stop.subscribe();
    loop {
        let work = async {
            let notified = group.wakers.waiting().notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let wake = match group.serves(node.id) {
                true => check_due(&node, &group).await,
                false => Instant::now() + LOOK_EVERY,
            };
            let _ = timeout_at(wake, notified).await;
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = work => {}
        }
    }
}

/// Asks about all whose time has come. Answers when to look again.
async fn check_due(node: &NodeInner, group: &Group) -> Instant {
    loop {
        let now_ms = clock::now_ms();
        let (due, next_ms) = {
            let replica = group.replica();
            let machine = replica.broker();
            (machine.checks_due(now_ms, CHECKS_MAX), machine.next_check_ms())
        };
        if due.is_empty() {
            let wait =
                next_ms.map_or(LOOK_EVERY, |next| Duration::from_millis(next.saturating_sub(now_ms) + 1));
            return Instant::now() + wait.min(LOOK_EVERY);
        }
        let asked = ask_all(node, group, due, now_ms).await;
        for ((counted, again), numbers) in asked {
            let command = command::encode_note_checks(&numbers, again.as_millis() as u64, counted);
            if let Err(error) =
                node.submit_done(group.id, command, Instant::now() + LOG_ANSWER_WAIT_MAX).await
            {
                tracing::warn!(group = %group.id, %error, "checks of transactions were not noted");
                return Instant::now() + LOOK_EVERY;
            }
        }
    }
}

/// Asks about each, or gives it up. Answers the numbers of those that stay open, by whether a producer
/// was asked and by when to ask again.
async fn ask_all(
    node: &NodeInner,
    group: &Group,
    due: Vec<HalfRow>,
    now_ms: u64,
) -> BTreeMap<(bool, Duration), Vec<u64>> {
    let checks = node.options.transaction_checks;
    let mut notes: BTreeMap<(bool, Duration), Vec<u64>> = BTreeMap::new();
    // Many transactions of one topic whose producers are away cost one search.
    let mut silent = BTreeSet::new();
    for half in due {
        let topic = half.message.queue.0;
        let open = Duration::from_millis(now_ms.saturating_sub(half.stored_ms));
        if half.checks >= checks.limit || open > checks.open_max {
            give_up(node, group, &half).await;
        } else if !silent.contains(&topic) && ask(node, group, &half).await {
            notes.entry((true, checks.interval)).or_default().push(half.number);
        } else {
            silent.insert(topic);
            notes.entry((false, unheard_again(open, checks.interval))).or_default().push(half.number);
        }
    }
    notes
}

/// When a producer is looked for again that was not there, in whole seconds where it can be: those of
/// about the same age are noted together.
fn unheard_again(open: Duration, interval: Duration) -> Duration {
    let wait = Duration::from_secs((open / UNHEARD_AGE_SHARE).as_secs());
    wait.max(UNHEARD_AGAIN_MIN).min(interval)
}

async fn give_up(node: &NodeInner, group: &Group, half: &HalfRow) {
    let transaction = transaction_of(group.id, half);
    let command = command::encode_end_transaction(&transaction, Resolution::GiveUp);
    let deadline = Instant::now() + LOG_ANSWER_WAIT_MAX;
    match node.submit(group.id, command, deadline).await {
        Ok(_) => tracing::warn!(
            group = %group.id,
            topic = half.message.queue.0,
            checks = half.checks,
            "a transaction that nobody ended was given up; it can be looked at for a day"
        ),
        Err(error) => tracing::warn!(group = %group.id, %error, "a transaction was not given up"),
    }
}

/// Hands the question to a producer, here or on another node. Whether one was there.
async fn ask(node: &NodeInner, group: &Group, half: &HalfRow) -> bool {
    let entry = half.message.entry;
    let log = group.store.log().clone();
    let read = crate::seams::spawn_blocking(move || log.read_record(entry.position, entry.length)).await;
    let record = match read {
        Ok(Ok(record)) => record,
        Ok(Err(error)) => {
            tracing::error!(group = %group.id, %error, "a half message cannot be read");
            return false;
        }
        Err(_) => return false,
    };
    let transaction = transaction_of(group.id, half);
    if node.check_transaction_here(&transaction, &record) {
        return true;
    }
    for peer in node.peers.ids().into_iter().filter(|peer| node.presence.is_up(*peer)) {
        if node.check_transaction_at(peer, &transaction, &record).await {
            return true;
        }
    }
    false
}

fn transaction_of(group: GroupId, half: &HalfRow) -> Transaction {
    Transaction { group, topic: TopicId(half.message.queue.0), number: half.number, id: half.message.id }
}

/// Open transactions, and those that were given up lately, at most `max` of each; the oldest first.
pub(crate) fn places(machine: &Machine<GroupTables>, max: usize) -> Vec<TransactionPlace> {
    let place = |message: &Pending, stored_ms: u64| MessagePlace {
        offset: 0,
        stored_ms,
        position: message.entry.position,
        length: message.entry.length,
    };
    let open = machine.half_messages().take(max).map(|half| TransactionPlace {
        number: half.number,
        topic: half.message.queue.0,
        message: place(&half.message, half.stored_ms),
        checks: half.checks,
        next_check_ms: Some(half.next_check_ms),
        given_up_ms: None,
    });
    let given_up = machine.given_up().filter_map(|ended| match &ended.end {
        End::GivenUp { message, stored_ms, checks } => Some(TransactionPlace {
            number: ended.number,
            topic: message.queue.0,
            message: place(message, *stored_ms),
            checks: *checks,
            next_check_ms: None,
            given_up_ms: Some(ended.ended_ms),
        }),
        _ => None,
    });
    open.chain(given_up.take(max)).collect()
}

/// A half message with its record.
#[derive(Clone, Debug)]
pub struct HalfMessage {
    /// The broker group that holds it.
    pub group: GroupId,
    /// Where it stands.
    pub place: TransactionPlace,
    /// The record, as it was published.
    pub record: Bytes,
}

impl Node {
    /// Ends a transaction. A repetition is answered like the first time; `Some` is where a committed
    /// message is now.
    ///
    /// # Errors
    /// [`crate::request::Rejection::TransactionOver`] if it has ended in another way, or never was.
    pub async fn end_transaction(
        &self,
        transaction: Transaction,
        resolution: Resolution,
        deadline: Instant,
    ) -> Result<Option<Published>, RequestError> {
        let command = command::encode_end_transaction(&transaction, resolution);
        match self.inner.submit(transaction.group, command, deadline).await? {
            Outcome::Published(published) => Ok(Some(published)),
            Outcome::Done => Ok(None),
            other => Err(unexpected(other)),
        }
    }

    /// Transactions that are open or were given up within the last day, at most `max` of each in
    /// each broker group; by group, the oldest first.
    ///
    /// # Errors
    /// [`RequestError::NoLeader`] if a group had no leader until the deadline.
    pub async fn transactions(
        &self,
        max: usize,
        deadline: Instant,
    ) -> Result<Vec<HalfMessage>, RequestError> {
        let mut found = Vec::new();
        for group in self.inner.all_groups().into_iter().filter(|group| *group != GroupId::META) {
            let question = Question::Transactions { max: max.min(TRANSACTIONS_LISTED_MAX) };
            let answer = self.inner.ask(group, question, Source::Leader, deadline, deadline).await?;
            let (Answer::Transactions(places), records) = answer else {
                return Err(RequestError::Unknown {
                    reason: "a question was answered with another's answer".into(),
                });
            };
            let half = |(place, record)| HalfMessage { group, place, record };
            found.extend(places.into_iter().zip(records).map(half));
        }
        Ok(found)
    }
}

impl NodeInner {
    /// Asks a producer that is connected to this node. Whether there was one.
    fn check_transaction_here(&self, transaction: &Transaction, record: &Bytes) -> bool {
        let Some(clients) = self.clients.get().and_then(Weak::upgrade) else { return false };
        match MessageRecord::decode(record) {
            Ok(message) => clients.check_transaction(&message.topic, transaction, record),
            Err(error) => {
                tracing::error!(?transaction, %error, "a half message cannot be read");
                false
            }
        }
    }

    async fn check_transaction_at(&self, peer: NodeId, transaction: &Transaction, record: &Bytes) -> bool {
        let Ok(mut client) = self.peers.client(peer, Lane::Requests) else { return false };
        let request = peer::CheckTransactionRequest {
            group: transaction.group.0,
            number: transaction.number,
            id: Bytes::copy_from_slice(&transaction.id.to_le_bytes()),
            topic: transaction.topic.0,
            record: record.clone(),
        };
        let answer = timeout(PEER_ANSWER_WAIT_MAX, client.check_transaction(request)).await;
        matches!(answer, Ok(Ok(response)) if response.get_ref().asked)
    }

    /// Answers a peer whose client edge has no producer of the topic.
    pub(crate) fn check_transaction_for_peer(
        &self,
        request: &peer::CheckTransactionRequest,
    ) -> peer::CheckTransactionResponse {
        let Ok(id) = <[u8; 16]>::try_from(&request.id[..]) else {
            return peer::CheckTransactionResponse { asked: false };
        };
        let transaction = Transaction {
            group: GroupId(request.group),
            topic: TopicId(request.topic),
            number: request.number,
            id: u128::from_le_bytes(id),
        };
        peer::CheckTransactionResponse { asked: self.check_transaction_here(&transaction, &request.record) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_that_is_away_is_looked_for_less_and_less_often() {
        let seconds = Duration::from_secs;
        let again = |open_s| unheard_again(seconds(open_s), seconds(30)).as_secs();
        assert_eq!([6, 20, 40, 41, 90, 120, 72 * 3600].map(again), [5, 5, 10, 10, 22, 30, 30]);
        assert_eq!(unheard_again(seconds(6), seconds(1)), seconds(1), "never less often than it is asked");
    }
}
