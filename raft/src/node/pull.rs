//! Pulls: messages of one queue from an offset on, without leases, at once or after a wait.

use bytes::Bytes;
use store::position::LogPosition;
use store::tables::GroupTables;
use tokio::time::{Instant, timeout_at};

use crate::filter::SqlFilter;
use crate::group::Group;
use crate::limits::LOOKS_MAX;
use crate::machine::{MachineFailure, QueueView, Trimmed};
use crate::names::QueueKey;
use crate::node::ask::{AskError, Source, blocking};
use crate::node::{Node, NodeInner};
use crate::question::{Answer, Pull, Pulled, PulledPlaces, Question};
use crate::request::{Filter, RequestError};

impl Node {
    /// Messages of a queue from an offset on. Answers at once if there are some, else waits for one
    /// until `wait_until`; then the answer is empty, but may say to go on farther behind. An offset
    /// behind the end is answered at once; one below the first is taken for the first.
    ///
    /// From a replica the answer holds what this node has applied: never anything uncommitted, but
    /// perhaps less than its leader has.
    ///
    /// # Errors
    /// [`RequestError::NoLeader`] if the group had no leader until the deadline.
    pub async fn pull(
        &self,
        pull: Pull,
        wait_until: Instant,
        deadline: Instant,
    ) -> Result<Pulled, RequestError> {
        let group = pull.group;
        let source = if pull.from_replica { Source::Replica } else { Source::Leader };
        match self.inner.ask(group, Question::Pull(pull), source, wait_until, deadline).await? {
            (Answer::Pulled(found), records) if found.places.len() == records.len() => {
                Ok(Pulled { found, records })
            }
            (other, _) => {
                Err(RequestError::Unknown { reason: format!("a pull was answered with {other:?}") })
            }
        }
    }
}

impl NodeInner {
    /// See [`Node::pull`]. A wait writes nothing.
    pub(super) async fn pull_here(
        &self,
        group: &Group,
        mut pull: Pull,
        source: Source,
        wait_until: Instant,
    ) -> Result<(PulledPlaces, Vec<Bytes>), AskError> {
        let filter = match &pull.filter {
            Filter::Sql(text) => {
                Some(SqlFilter::parse(text).map_err(|error| AskError::Failed(error.to_string()))?)
            }
            Filter::All | Filter::AnyOf(_) => None,
        };
        loop {
            let notify = group.wakers.of(pull.queue.topic);
            let notified = notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.is_stopping() {
                return Err(AskError::NotLeader);
            }
            self.until_serving(group, source, wait_until).await?;
            let mut found = look_for(group, &pull).await?;
            let mut records = match &filter {
                Some(filter) => judged(self, group, filter, &mut found).await?,
                None => Vec::new(),
            };
            let beyond = source == Source::Leader && pull.offset > found.end;
            if !found.places.is_empty() || beyond || Instant::now() >= wait_until {
                if filter.is_none() {
                    records = self.read_records(group.store.log(), whole(&found)).await?;
                }
                return self.confirmed(group, source, (found, records)).await;
            }
            pull.offset = pull.offset.max(found.next);
            if found.next >= found.end {
                let _ = timeout_at(wait_until, notified).await;
            }
        }
    }
}

fn whole(found: &PulledPlaces) -> Vec<(LogPosition, u32)> {
    found.places.iter().map(|place| (place.position, place.length)).collect()
}

/// Leaves of what was found what a SQL filter wants; answers with the records of that.
async fn judged(
    node: &NodeInner,
    group: &Group,
    filter: &SqlFilter,
    found: &mut PulledPlaces,
) -> Result<Vec<Bytes>, AskError> {
    let mut records = node.read_records(group.store.log(), whole(found)).await?;
    let wanted: Vec<bool> = records.iter().map(|record| filter.wants(record)).collect();
    let mut each = wanted.iter();
    found.places.retain(|_| *each.next().expect("a verdict for each record"));
    let mut each = wanted.iter();
    records.retain(|_| *each.next().expect("a verdict for each record"));
    Ok(records)
}

/// One look: inline if it is in memory.
async fn look_for(group: &Group, pull: &Pull) -> Result<PulledPlaces, AskError> {
    let (queue, from, max) = (pull.queue, pull.offset, usize::from(pull.max));
    let view = group.replica().broker().view(queue, from);
    if !view.is_cold(from.max(view.first))
        && let Ok(Ok(found)) = view.pull(from, max, &pull.filter)
    {
        return Ok(found);
    }
    let (group, filter) = (group.clone(), pull.filter.clone());
    blocking(move || look(&group, queue, from, |view| view.pull(from, max, &filter))).await
}

/// Looks at a queue, again if retention took away what was looked at. Can block on the disk.
pub(super) fn look<F>(
    group: &Group,
    queue: QueueKey,
    from: u64,
    mut read: impl FnMut(&QueueView<GroupTables>) -> Result<Result<F, Trimmed>, MachineFailure>,
) -> Result<F, AskError> {
    for _ in 0..LOOKS_MAX {
        let view = group.replica().broker().view(queue, from);
        match read(&view) {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(Trimmed)) => {}
            Err(failure) => return Err(AskError::Failed(failure.to_string())),
        }
    }
    Err(AskError::Failed("what is looked at is being removed".to_owned()))
}
