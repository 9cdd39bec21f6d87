//! Dead letters by the ids of their messages.
//!
//! A message goes to the dead letters hours or days after it was born, as another entry over the same record. So it is not
//! the time in the queue of dead letters that tells which one may be meant, but where the record lies: among what the log
//! took soon after the birth. Unless retention has carried it on; then all that is left are looked through, up to a bound.

use std::ops::{ControlFlow, Range};

use store::commit_log::{CommitLog, Frame};
use store::position::LogPosition;

use crate::group::Group;
use crate::limits::{FIND_AFTER_BIRTH_MS, FIND_BEFORE_BIRTH_MS, FIND_DEAD_LETTERS_MAX, FIND_RECORDS_MAX};
use crate::names::QueueKey;
use crate::node::ask::AskError;
use crate::node::find::{failed, has_id};
use crate::node::pull::look;
use crate::question::FoundPlace;

/// The dead letter whose message has this id, and whether a bound was hit before everything was looked at.
pub(super) fn by_id(
    group: &Group,
    queues: &[QueueKey],
    id: &str,
    born_ms: Option<u64>,
) -> Result<(Vec<FoundPlace>, bool), AskError> {
    let log = group.store.log();
    let near = match born_ms {
        Some(born_ms) => {
            let from = position_at(log, born_ms.saturating_sub(FIND_BEFORE_BIRTH_MS))?;
            from..position_at(log, born_ms + FIND_AFTER_BIRTH_MS)?
        }
        None => LogPosition(0)..LogPosition(0),
    };
    let mut cut = false;
    let mut others = Vec::new();
    for queue in queues {
        let (found, rest, more) = near_birth(group, *queue, &near, id)?;
        if let Some(found) = found {
            return Ok((vec![found], false));
        }
        others.extend(rest);
        cut |= more;
    }
    cut |= others.len() > FIND_RECORDS_MAX;
    let found = others.into_iter().take(FIND_RECORDS_MAX).find(|place| has_id(log, place, id));
    Ok((found.into_iter().collect(), cut && found.is_none()))
}

/// The dead letter of a queue with this id if its record lies near, else the others, and whether there are more.
fn near_birth(
    group: &Group,
    queue: QueueKey,
    near: &Range<LogPosition>,
    id: &str,
) -> Result<(Option<FoundPlace>, Vec<FoundPlace>, bool), AskError> {
    let log = group.store.log();
    look(group, queue, 0, |view| {
        let (mut found, mut others, mut seen) = (None, Vec::new(), 0);
        let walked = view.walk(0, |at, entry| {
            seen += 1;
            let place = FoundPlace::queued(queue, at, entry);
            if !near.contains(&place.position) {
                // One more than is looked at, to know that there are more.
                others.extend((others.len() <= FIND_RECORDS_MAX).then_some(place));
            } else if has_id(log, &place, id) {
                found = Some(place);
            }
            match found.is_some() || seen >= FIND_DEAD_LETTERS_MAX {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        Ok(walked.map(|()| (found, others, seen >= FIND_DEAD_LETTERS_MAX)))
    })
}

/// Where the first frame with this stamp or a later one begins; the log's end if there is none.
fn position_at(log: &CommitLog, stamp_ms: u64) -> Result<LogPosition, AskError> {
    let end = log.pointers();
    let mut low = log.segments().first().map_or(0, |segment| segment.base_index);
    let mut high = end.next_index();
    while low < high {
        let middle = low + (high - low) / 2;
        match stamped(log, middle..high)? {
            Some(frame) if frame.stamp_ms < stamp_ms => low = frame.index + 1,
            _ => high = middle,
        }
    }
    let first = log.frames(low..low + 1, 0).map_err(failed)?;
    Ok(first.first().and_then(|frame| frame.position()).unwrap_or(end.next_position))
}

/// The first of these entries that has a stamp; those of Raft itself have none.
fn stamped(log: &CommitLog, indexes: Range<u64>) -> Result<Option<Frame>, AskError> {
    for index in indexes {
        let frame = log.frames(index..index + 1, 0).map_err(failed)?.pop();
        if let Some(frame) = frame.filter(|frame| frame.stamp_ms > 0) {
            return Ok(Some(frame));
        }
    }
    Ok(None)
}
