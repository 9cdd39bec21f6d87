//! `ledgermq transaction`: what waits for its end, and ending it by hand.

use clap::{Args, Subcommand};
use proto::{admin, v2};
use serde_json::json;

use super::exit::Failure;
use super::moment::print_unix_ms;
use super::output::{ConfirmArgs, table};
use super::target::ADMIN_TIMEOUT;
use super::topic::CommonArgs;
use crate::client::access::{ClientError, resource};

/// Subcommands of `transaction`.
#[derive(Debug, Subcommand)]
pub enum TransactionCommand {
    /// List transactions that are open, and those that were given up within the last day
    List(ListArgs),
    /// Make the message of an open transaction visible
    Commit(EndArgs),
    /// Drop the message of an open transaction
    Rollback(EndArgs),
}

/// Arguments of `transaction list`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ledgermq transaction list
  ledgermq transaction list --limit 10 -o json")]
pub struct ListArgs {
    /// At most so many of each broker group, the oldest first
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
    #[command(flatten)]
    common: CommonArgs,
}

/// Arguments of `transaction commit` and `transaction rollback`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ledgermq transaction commit orders TRANSACTION-ID --id 01F0A1B2C3D4E5F60708090A0B0C0D0E0F
  ledgermq transaction rollback orders TRANSACTION-ID --id 01F0A1B2C3D4E5F60708090A0B0C0D0E0F --yes

`ledgermq transaction list` shows both ids. What a producer says later is refused.")]
pub struct EndArgs {
    /// The topic
    topic: String,
    /// The transaction, as `transaction list` or `send` names it
    transaction_id: String,
    /// The message's id
    #[arg(long = "id", value_name = "ID")]
    message_id: String,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    common: CommonArgs,
}

impl TransactionCommand {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            TransactionCommand::List(args) => args.run().await,
            TransactionCommand::Commit(args) => args.run(v2::TransactionResolution::Commit).await,
            TransactionCommand::Rollback(args) => args.run(v2::TransactionResolution::Rollback).await,
        }
    }
}

impl ListArgs {
    async fn run(self) -> Result<(), Failure> {
        let broker = self.common.target.connect().await?;
        let request = admin::ListTransactionsRequest { limit: self.limit };
        let result = broker.admin().list_transactions(broker.headers.request(request, ADMIN_TIMEOUT)).await;
        let found = broker.answer(result)?.transactions;
        let value = json!({ "transactions": found.iter().map(entry).collect::<Vec<_>>() });
        self.common.output.print(&value, || match found.is_empty() {
            true => "no transaction is open, and none was given up within the last day".to_owned(),
            false => table(["TOPIC", "STATE", "CHECKS", "SENT", "MESSAGE", "TRANSACTION"], &rows(&found)),
        });
        Ok(())
    }
}

fn entry(transaction: &admin::Transaction) -> serde_json::Value {
    json!({
        "topic": transaction.topic,
        "message_id": transaction.message_id,
        "transaction_id": transaction.transaction_id,
        "stored_unix_ms": transaction.stored_unix_ms,
        "checks": transaction.checks,
        "next_check_unix_ms": transaction.next_check_unix_ms,
        "given_up_unix_ms": transaction.given_up_unix_ms,
    })
}

fn rows(found: &[admin::Transaction]) -> Vec<[String; 6]> {
    let row = |transaction: &admin::Transaction| {
        let state = match transaction.given_up_unix_ms {
            None => "open".to_owned(),
            Some(at) => format!("given up {}", print_unix_ms(at)),
        };
        [
            transaction.topic.clone(),
            state,
            transaction.checks.to_string(),
            print_unix_ms(transaction.stored_unix_ms),
            transaction.message_id.clone(),
            transaction.transaction_id.clone(),
        ]
    };
    found.iter().map(row).collect()
}

impl EndArgs {
    async fn run(self, resolution: v2::TransactionResolution) -> Result<(), Failure> {
        let (verb, done) = match resolution {
            v2::TransactionResolution::Commit => ("Commit", "committed"),
            _ => ("Roll back", "rolled back"),
        };
        self.confirm.confirm(&format!(
            "{verb} the transaction of message {} in {}? Its producer does not decide it then.",
            self.message_id, self.topic
        ))?;
        let broker = self.common.target.connect().await?;
        let request = v2::EndTransactionRequest {
            topic: Some(resource(&self.topic)),
            message_id: self.message_id.clone(),
            transaction_id: self.transaction_id.clone(),
            resolution: resolution as i32,
            source: v2::TransactionSource::SourceClient as i32,
            ..Default::default()
        };
        let request = broker.headers.request(request, ADMIN_TIMEOUT);
        let result = broker.messaging().end_transaction(request).await;
        ClientError::of_answer(broker.answer(result)?.status)
            .map_err(|error| Failure::about_topic(error, &self.topic))?;
        let value = json!({ "message_id": self.message_id, "resolution": done });
        self.common.output.print(&value, || format!("{done}: message {} in {}", self.message_id, self.topic));
        Ok(())
    }
}
