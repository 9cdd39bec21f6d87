//! What a node asks of the clients that are connected to it. The client edge implements it.

use bytes::Bytes;

use crate::request::Transaction;

/// The clients that are connected to this node.
pub trait Clients: Send + Sync + 'static {
    /// Asks a producer of `topic` what became of a transaction. `record` is the half message.
    /// Answers whether there was one to ask; what it says comes as the end of the transaction.
    fn check_transaction(&self, topic: &str, transaction: &Transaction, record: &Bytes) -> bool;
}
