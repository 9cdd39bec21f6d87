//! `[transactions]`: what becomes of transactions that nobody ends.

use raft::node::TransactionChecks;
use serde::{Deserialize, Serialize};

use super::values::Millis;
use crate::limits::TRANSACTION_CHECK_AFTER;

/// `[transactions]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TransactionsSection {
    /// A producer is first asked about an open transaction after so long, unless its message names a time.
    pub check_after_ms: Millis,
    /// And again after so long.
    pub check_interval_ms: Millis,
    /// After so many questions that reached a producer, a transaction is given up.
    pub check_limit: u32,
    /// After so long it is given up even if no producer could be asked.
    pub open_max_hours: u32,
}

impl Default for TransactionsSection {
    fn default() -> Self {
        let checks = TransactionChecks::default();
        TransactionsSection {
            check_after_ms: Millis(TRANSACTION_CHECK_AFTER.as_millis() as u64),
            check_interval_ms: Millis(checks.interval.as_millis() as u64),
            check_limit: checks.limit,
            open_max_hours: (checks.open_max.as_secs() / 3600) as u32,
        }
    }
}
