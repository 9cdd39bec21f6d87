//! When leases can have ended.

use super::{DeliveryRef, Evidence, SettleKind, SettleRef, ns};
use crate::history::{Call, Outcome, Symbol};

/// A lease that a consumer was told of.
#[derive(Clone, Debug)]
pub(crate) struct LeaseSpan {
    /// The attempt that came with the message.
    pub attempt: u32,
    /// It began after this: when the first receive that told of it was called.
    pub began_ns: u64,
    /// It had begun by this: when that receive returned.
    pub told_ns: u64,
    /// It did not end by itself before this; 0 if nobody knows.
    pub ends_ns_min: u64,
    /// Each of its receipts with when it was of no use any more; `u64::MAX` if nobody knows. An unknown
    /// change does not prolong the receipt that it was made with.
    pub receipts: Vec<(Symbol, u64)>,
}

impl LeaseSpan {
    /// Whether a receipt is of this lease.
    pub fn has(&self, receipt: Symbol) -> bool {
        self.receipts.iter().any(|(own, _)| *own == receipt)
    }

    /// When a receipt of this lease was of no use any more.
    pub fn useless_ns(&self, receipt: Symbol) -> u64 {
        let own = self.receipts.iter().filter(|(own, _)| *own == receipt);
        own.map(|(_, ended_ns)| *ended_ns).max().unwrap_or(0)
    }
}

impl Evidence<'_> {
    pub(super) fn collect_farewells(&mut self) {
        for operation in &self.history.operations {
            if let Call::Farewell(farewell) = &operation.call
                && operation.outcome.may_have_happened()
            {
                let key = (operation.process, farewell.group);
                self.farewells.entry(key).or_default().push(operation.invoke_ns);
            }
        }
    }

    /// The leases of one course, in the order in which they were asked for. A receipt that came
    /// several times is one lease.
    pub(crate) fn leases(&self, deliveries: &[DeliveryRef], settles: &[SettleRef]) -> Vec<LeaseSpan> {
        let tolerance_ms = self.history.header.rules.clock_tolerance_ms;
        let mut leases: Vec<LeaseSpan> = Vec::with_capacity(deliveries.len());
        for reference in deliveries {
            let delivered = self.delivered(*reference);
            let (operation, receive) = (delivered.operation, delivered.receive);
            let receipt = delivered.delivery.receipt;
            if let Some(known) = leases.iter_mut().find(|lease| lease.receipts[0].0 == receipt) {
                known.told_ns = known.told_ns.min(operation.return_ns);
                continue;
            }
            let shortest = ns(receive.invisible_ms.saturating_sub(tolerance_ms));
            let longest = ns(receive.invisible_ms.saturating_add(tolerance_ms));
            let ends = match receive.renewed {
                true => (0, u64::MAX),
                false => (operation.invoke_ns + shortest, operation.return_ns.saturating_add(longest)),
            };
            let mut lease = LeaseSpan {
                receipts: vec![(receipt, ends.1)],
                attempt: delivered.delivery.attempt,
                began_ns: operation.invoke_ns,
                told_ns: operation.return_ns,
                ends_ns_min: ends.0,
            };
            for at in 0..settles.len() {
                lease.follow(&settles[..at], &settles[at], tolerance_ms);
            }
            let farewells = self.farewells.get(&(operation.process, receive.group));
            let farewell = farewells.into_iter().flatten().find(|at_ns| **at_ns >= lease.began_ns);
            lease.ends_ns_min = lease.ends_ns_min.min(farewell.copied().unwrap_or(u64::MAX));
            leases.push(lease);
        }
        leases
    }
}

impl LeaseSpan {
    /// A change of the lease; those of other leases are none. The same receipt again is a repetition: it
    /// is answered like the first change, and changes nothing.
    fn follow(&mut self, before: &[SettleRef], settle: &SettleRef, tolerance_ms: u64) {
        let SettleKind::Change { invisible_ms, new_receipt } = settle.kind else { return };
        let earlier = || before.iter().filter_map(|other| other.change_of(settle.receipt));
        if !self.has(settle.receipt) || earlier().any(|(outcome, _)| outcome == Outcome::Ok) {
            return;
        }
        let ends_ns_min = settle.invoke_ns + ns(invisible_ms.saturating_sub(tolerance_ms));
        match settle.outcome {
            Outcome::Ok => {
                // It may have been one of those whose outcome is unknown.
                self.ends_ns_min = match earlier().next() {
                    Some(_) => self.ends_ns_min.min(ends_ns_min),
                    None => ends_ns_min,
                };
                let longest_ms = earlier().map(|(_, other_ms)| other_ms).fold(invisible_ms, u64::max);
                let ended_ns = settle.return_ns.saturating_add(ns(longest_ms.saturating_add(tolerance_ms)));
                self.receipts.extend(new_receipt.map(|receipt| (receipt, ended_ns)));
            }
            Outcome::Info => self.ends_ns_min = self.ends_ns_min.min(ends_ns_min),
            Outcome::Fail => {}
        }
    }
}

impl SettleRef {
    /// If it may have changed the lease of this receipt: how it ended, and for how long in milliseconds.
    fn change_of(&self, receipt: Symbol) -> Option<(Outcome, u64)> {
        match self.kind {
            SettleKind::Change { invisible_ms, .. }
                if self.receipt == receipt && self.outcome.may_have_happened() =>
            {
                Some((self.outcome, invisible_ms))
            }
            _ => None,
        }
    }
}
