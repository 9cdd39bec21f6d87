//! How many bytes the records of a queue have, for topics that may have only so many.
//!
//! The tables do not keep it: only topics with such a bound need it. So it is added up once, and then carried on as
//! the queue grows and is trimmed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::group::Group;
use crate::limits::BLOCKS_AT_ONCE;
use crate::machine::MachineFailure;
use crate::names::QueueKey;

/// A stretch of a queue that was added up.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    first: u64,
    end: u64,
    bytes: u64,
}

/// The queues of a group that were added up.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    // A mutex, because each look runs on a thread of its own; one at a time.
    stretches: Mutex<BTreeMap<QueueKey, Stretch>>,
}

impl Sizes {
    /// Keeps only the queues that have a bound.
    pub(crate) fn forget_others(&self, bounded: &BTreeMap<QueueKey, u64>) {
        let mut stretches = self.stretches.lock().unwrap_or_else(PoisonError::into_inner);
        stretches.retain(|queue, _| bounded.contains_key(queue));
    }

    /// Up to which offset a queue is beyond its newest `max_bytes`; `None` if it has no more. Takes whole blocks only.
    /// Blocks on the disk, and gives the machine back from time to time.
    pub(crate) fn beyond(
        &self,
        group: &Group,
        queue: QueueKey,
        max_bytes: u64,
    ) -> Result<Option<u64>, MachineFailure> {
        let mut stretches = self.stretches.lock().unwrap_or_else(PoisonError::into_inner);
        let stretch = stretches.entry(queue).or_default();
        let (first, _) = group.replica().broker().bounds(queue);
        if first != stretch.first {
            // Something else has trimmed it.
            *stretch = Stretch { first, end: first, bytes: 0 };
        }
        loop {
            let (end, bytes) = group.replica().broker().add_up(queue, stretch.end, BLOCKS_AT_ONCE)?;
            if end <= stretch.end {
                break;
            }
            stretch.end = end;
            stretch.bytes += bytes;
        }
        let mut kept = *stretch;
        while kept.bytes > max_bytes && kept.first < kept.end {
            let (next, bytes) = group.replica().broker().add_up(queue, kept.first, 1)?;
            if next <= kept.first || next > kept.end {
                break;
            }
            kept = Stretch { first: next, end: kept.end, bytes: kept.bytes - bytes };
        }
        if kept.first == stretch.first {
            return Ok(None);
        }
        // If the trim comes to nothing, the next look begins anew.
        *stretch = kept;
        Ok(Some(kept.first))
    }
}
