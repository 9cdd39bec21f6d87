//! Leadership only goes forward: along the log the leaders of the entries that were applied ascend.
//!
//! openraft orders leaders by term and, within a term, by node; so two may lead in one term, one after the other, and the
//! second has all that the first one committed.

use raft::names::GroupId;
use raft::simulation::view::EntryView;

use super::Held;

/// `before` and `after` are neighbours in the log.
pub fn look(group: GroupId, index: u64, before: &EntryView, after: &EntryView) -> Held {
    if (before.term, before.leader) <= (after.term, after.leader) {
        return Ok(());
    }
    Err(format!("{group} {index}: {after:?} of an earlier leader comes behind {before:?}"))
}
