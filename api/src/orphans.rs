//! Questions about open transactions, on their way to producers.

use bytes::Bytes;
use proto::v2::telemetry_command::Command;
use proto::v2::{RecoverOrphanedTransactionCommand, TelemetryCommand};
use raft::node::Clients;
use raft::request::Transaction;

use crate::convert::message;
use crate::convert::status::ok;
use crate::convert::waiting::transaction_id;
use crate::edge::EdgeState;

impl Clients for EdgeState {
    fn check_transaction(&self, topic: &str, transaction: &Transaction, record: &Bytes) -> bool {
        let producers = self.sessions.producers_of(topic);
        // Another one for each transaction, so that a producer that does not answer is not all there is.
        let turn = rand::random_range(0..producers.len().max(1));
        let (late, early) = producers.split_at(turn);
        early.iter().chain(late).any(|(way, namespace)| {
            let message = match message::half(record, namespace) {
                Ok(message) => message,
                Err(error) => {
                    tracing::error!(?transaction, %error, "a half message cannot be read");
                    return false;
                }
            };
            let question = RecoverOrphanedTransactionCommand {
                message: Some(message),
                transaction_id: transaction_id(transaction),
            };
            let command = Command::RecoverOrphanedTransactionCommand(question);
            let command = TelemetryCommand { status: Some(ok()), command: Some(command) };
            // A stream that is full is that of a client which does not read: another one is asked.
            way.try_send(Ok(command)).is_ok()
        })
    }
}
