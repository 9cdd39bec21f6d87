//! `AckMessage`: these messages are done.

use proto::v2::{AckMessageEntry, AckMessageRequest, AckMessageResponse, AckMessageResultEntry};
use raft::request::Receipt;

use crate::convert::status::{Fault, of_entries, ok};
use crate::edge::EdgeState;
use crate::limits::ACK_ENTRIES_MAX;
use crate::messaging::caller::Caller;
use crate::messaging::settle;

/// Settles all entries in one round; each has its own result.
pub async fn ack_message(
    edge: &EdgeState,
    caller: &Caller,
    request: AckMessageRequest,
) -> AckMessageResponse {
    let language = caller.language();
    if let Err(fault) = check(edge, caller, &request) {
        return AckMessageResponse { status: Some(fault.status(language)), entries: Vec::new() };
    }
    let (group, topic) = (request.group.as_ref(), request.topic.as_ref());
    let receipts: Vec<Result<Receipt, Fault>> = request
        .entries
        .iter()
        .map(|entry| Ok(settle::handle(edge, caller, group, topic, &entry.receipt_handle)?.receipt))
        .collect();
    let valid: Vec<Receipt> = receipts.iter().filter_map(|receipt| receipt.as_ref().ok().copied()).collect();
    let sent = valid.len();
    let mut settled = match valid.is_empty() {
        true => Vec::new(),
        false => edge.node.acknowledge(valid, caller.deadline()).await,
    }
    .into_iter();
    assert_eq!(settled.len(), sent, "acknowledge answers each receipt");

    let result = |(entry, receipt): (AckMessageEntry, Result<Receipt, Fault>)| {
        let outcome = receipt.and_then(|_| match settled.next() {
            Some(outcome) => outcome.map_err(Fault::from),
            None => unreachable!("one outcome for each valid receipt: the lengths are equal"),
        });
        let status = outcome.map_or_else(|fault| fault.status(language), |()| ok());
        AckMessageResultEntry {
            message_id: entry.message_id,
            receipt_handle: entry.receipt_handle,
            status: Some(status),
        }
    };
    let entries: Vec<_> = request.entries.into_iter().zip(receipts).map(result).collect();
    let status = of_entries(entries.iter().filter_map(|entry| entry.status.as_ref()), language);
    AckMessageResponse { status: Some(status), entries }
}

fn check(edge: &EdgeState, caller: &Caller, request: &AckMessageRequest) -> Result<(), Fault> {
    edge.admit_client(caller, request)?;
    match request.entries.len() {
        0 => Err(Fault::BadRequest("the acknowledgement has no entry".into())),
        count if count > ACK_ENTRIES_MAX => Err(Fault::BadRequest(format!(
            "the acknowledgement has {count} entries; at most {ACK_ENTRIES_MAX} are allowed"
        ))),
        _ => Ok(()),
    }
}
