//! What became of each message for each consumer group: its deliveries, and what ended their leases.

use super::{Evidence, MessageNumber};
use crate::history::{Call, Delivery, Operation, Outcome, Receive, Symbol};

/// Which message for which consumer group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Course {
    pub group: Symbol,
    pub message: MessageNumber,
}

/// A delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeliveryRef {
    pub course: Course,
    /// Its operation.
    pub operation: u32,
    /// Which of the delivered messages.
    pub at: u32,
}

/// What somebody did with a lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SettleRef {
    pub course: Course,
    pub kind: SettleKind,
    pub receipt: Symbol,
    pub invoke_ns: u64,
    pub return_ns: u64,
    pub outcome: Outcome,
}

/// What was to become of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SettleKind {
    /// The message is done.
    Acknowledge,
    /// The message goes to the dead letters.
    DeadLetter,
    /// The lease ends so long after the call, and has another receipt, if it was told.
    Change { invisible_ms: u64, new_receipt: Option<Symbol> },
}

/// A delivery with what surrounds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered<'h> {
    pub operation: &'h Operation<Symbol>,
    pub receive: &'h Receive<Symbol>,
    pub delivery: &'h Delivery<Symbol>,
}

impl<'h> Evidence<'h> {
    pub(super) fn collect_deliveries(&mut self) {
        let history = self.history;
        for (number, operation) in history.operations.iter().enumerate() {
            let (lease, kind) = match &operation.call {
                Call::Receive(receive) => {
                    for (at, delivery) in receive.delivered.iter().enumerate() {
                        let message = self.number_or_new(delivery.message);
                        let course = Course { group: receive.group, message };
                        let (operation, at) = (number as u32, at as u32);
                        self.deliveries.push(DeliveryRef { course, operation, at });
                    }
                    continue;
                }
                Call::Acknowledge(lease) => {
                    ((lease.group, lease.message, lease.receipt), SettleKind::Acknowledge)
                }
                Call::DeadLetter(lease) => {
                    ((lease.group, lease.message, lease.receipt), SettleKind::DeadLetter)
                }
                Call::ChangeInvisible(change) => {
                    let (invisible_ms, new_receipt) = (change.invisible_ms, change.new_receipt);
                    let kind = SettleKind::Change { invisible_ms, new_receipt };
                    ((change.group, change.message, change.receipt), kind)
                }
                _ => continue,
            };
            let (group, id, receipt) = lease;
            let course = Course { group, message: self.number_or_new(id) };
            let (invoke_ns, return_ns, outcome) =
                (operation.invoke_ns, operation.return_ns, operation.outcome);
            self.settles.push(SettleRef { course, kind, receipt, invoke_ns, return_ns, outcome });
        }
        let operations = &history.operations;
        let began = |one: &DeliveryRef| operations[one.operation as usize].invoke_ns;
        self.deliveries.sort_by_key(|one| (one.course, began(one), one.operation, one.at));
        self.settles.sort_by_key(|one| (one.course, one.invoke_ns));
    }

    /// What a reference to a delivery says.
    pub(crate) fn delivered(&self, reference: DeliveryRef) -> Delivered<'h> {
        let operation = &self.history.operations[reference.operation as usize];
        let Call::Receive(receive) = &operation.call else { unreachable!("only receives are collected") };
        Delivered { operation, receive, delivery: &receive.delivered[reference.at as usize] }
    }

    /// Each message for each consumer group, with its deliveries and what was done with their
    /// leases, both by time.
    pub(crate) fn courses(&self) -> Courses<'_, 'h> {
        Courses { evidence: self, delivery: 0, settle: 0 }
    }

    /// The deliveries of one course, by time.
    pub(crate) fn deliveries_of(&self, course: Course) -> &[DeliveryRef] {
        let from = self.deliveries.partition_point(|one| one.course < course);
        let len = self.deliveries[from..].partition_point(|one| one.course == course);
        &self.deliveries[from..from + len]
    }

    /// What was done with the leases of one course, by time.
    pub(crate) fn settles_of(&self, course: Course) -> &[SettleRef] {
        let from = self.settles.partition_point(|one| one.course < course);
        let len = self.settles[from..].partition_point(|one| one.course == course);
        &self.settles[from..from + len]
    }
}

/// See [`Evidence::courses`].
pub(crate) struct Courses<'e, 'h> {
    evidence: &'e Evidence<'h>,
    delivery: usize,
    settle: usize,
}

impl<'e> Iterator for Courses<'e, '_> {
    type Item = (Course, &'e [DeliveryRef], &'e [SettleRef]);

    fn next(&mut self) -> Option<Self::Item> {
        let deliveries = &self.evidence.deliveries[self.delivery..];
        let settles = &self.evidence.settles[self.settle..];
        let next = [deliveries.first().map(|one| one.course), settles.first().map(|one| one.course)];
        let course = next.into_iter().flatten().min()?;
        let of_course = deliveries.iter().take_while(|one| one.course == course).count();
        let settled = settles.iter().take_while(|one| one.course == course).count();
        self.delivery += of_course;
        self.settle += settled;
        Some((course, &deliveries[..of_course], &settles[..settled]))
    }
}
