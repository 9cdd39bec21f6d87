//! `EndTransaction`: a producer commits a half message, or rolls it back.

use proto::v2::{EndTransactionRequest, EndTransactionResponse, TransactionResolution};
use raft::request::{Resolution, Transaction};

use crate::convert::message_id::dedup_key;
use crate::convert::name::full_name;
use crate::convert::status::{Fault, ok};
use crate::convert::waiting::read_transaction_id;
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::messaging::resolve;

/// Ends a transaction. A repetition is answered like the first time.
pub async fn end_transaction(
    edge: &EdgeState,
    caller: &Caller,
    request: EndTransactionRequest,
) -> EndTransactionResponse {
    let status = match end(edge, caller, request).await {
        Ok(()) => ok(),
        Err(fault) => fault.status(caller.language()),
    };
    EndTransactionResponse { status: Some(status) }
}

async fn end(edge: &EdgeState, caller: &Caller, request: EndTransactionRequest) -> Result<(), Fault> {
    edge.admit_client(caller, &request)?;
    let deadline = caller.deadline();
    let resolution = match request.resolution() {
        TransactionResolution::Commit => Resolution::Commit,
        TransactionResolution::Rollback => Resolution::Rollback,
        // The producer does not know yet: it is asked again.
        TransactionResolution::Unspecified => return Ok(()),
    };
    let transaction = transaction(&request)?;
    let name = request.topic.unwrap_or_default();
    let topic = resolve::known_topic(edge, &full_name(&name, caller.namespace()), deadline).await?;
    if topic.id != transaction.topic {
        let why = format!("the transaction is of another topic than {}", topic.name);
        return Err(Fault::InvalidTransaction(why));
    }
    edge.node.end_transaction(transaction, resolution, deadline).await?;
    Ok(())
}

fn transaction(request: &EndTransactionRequest) -> Result<Transaction, Fault> {
    let invalid = |why: &str| Fault::InvalidTransaction(why.into());
    if request.transaction_id.trim().is_empty() {
        return Err(invalid("the transaction id is blank"));
    }
    let transaction = read_transaction_id(&request.transaction_id)
        .ok_or_else(|| invalid("the transaction id is not one of this cluster, or damaged"))?;
    if dedup_key(&request.message_id) != transaction.id {
        return Err(invalid("the transaction is of another message"));
    }
    Ok(transaction)
}
