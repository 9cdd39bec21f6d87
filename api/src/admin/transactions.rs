//! Open transactions, for the command line.

use proto::admin::{ListTransactionsRequest, ListTransactionsResponse, Transaction};
use raft::node::HalfMessage;
use raft::request;
use store::record::MessageRecord;
use tokio::time::Instant;

use crate::convert::message_id::dedup_key;
use crate::convert::status::Fault;
use crate::convert::waiting::transaction_id;
use crate::edge::EdgeState;

/// How many are listed of each broker group where nobody says.
const LISTED: usize = 100;

/// Open transactions and those that were given up lately.
pub async fn list(
    edge: &EdgeState,
    request: ListTransactionsRequest,
    deadline: Instant,
) -> Result<ListTransactionsResponse, Fault> {
    let max = match request.limit as usize {
        0 => LISTED,
        limit => limit,
    };
    let found = edge.node.transactions(max, deadline).await?;
    Ok(ListTransactionsResponse { transactions: found.iter().map(transaction).collect() })
}

fn transaction(half: &HalfMessage) -> Transaction {
    let HalfMessage { group, place, record } = half;
    // A record that cannot be read is shown without its names: it is there all the same.
    let record = MessageRecord::decode(record).unwrap_or_default();
    let named = request::Transaction {
        group: *group,
        topic: raft::names::TopicId(place.topic),
        number: place.number,
        id: dedup_key(&record.message_id),
    };
    Transaction {
        topic: record.topic,
        message_id: record.message_id,
        transaction_id: transaction_id(&named),
        stored_unix_ms: place.message.stored_ms as i64,
        checks: place.checks,
        next_check_unix_ms: place.next_check_ms.map(|at| at as i64),
        given_up_unix_ms: place.given_up_ms.map(|at| at as i64),
    }
}
