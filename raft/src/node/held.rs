//! The records that somebody refers to out of the order of a queue, and what it costs to put them into the log once more.

use bytes::Bytes;
use store::commit_log::{CommitLog, SegmentSpan};
use store::position::LogPosition;
use store::tables::held::HeldKey;

use crate::command::encode_carry;
use crate::group::Group;
use crate::limits::HELD_AT_ONCE;
use crate::node::retention::LookError;

/// A record that is referred to out of the order of a queue.
pub(super) struct HeldRecord {
    pub key: HeldKey,
    pub length: u32,
    pub in_use: bool,
}

/// The held records below the segments' end, and the ends up to which it pays to carry them: what is carried is at
/// most half of what gets free. Whoever keeps more pending than that keeps the log.
pub(super) fn held_below(
    group: &Group,
    segments: &[SegmentSpan],
) -> Result<(Vec<HeldRecord>, Vec<LogPosition>), LookError> {
    let (Some(first), Some(end)) = (segments.first(), segments.last().and_then(|last| last.end)) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let (mut all, mut from) = (Vec::<HeldRecord>::new(), LogPosition(0));
    loop {
        let some = group.replica().broker_mut().held_between(from, end, HELD_AT_ONCE)?;
        let is_last = some.len() < HELD_AT_ONCE;
        // All holders of a record come together, unless the page ends between them: then they come once more.
        let last = some.last().map(|(held, ..)| held.position);
        all.extend(some.into_iter().map(|(key, length, in_use)| HeldRecord { key, length, in_use }));
        let Some(last) = last.filter(|_| !is_last) else { break };
        if from == last {
            from = last + 1;
        } else {
            all.retain(|held| held.key.position < last);
            from = last;
        }
    }
    let (mut paying, mut carried, mut at) = (Vec::new(), 0, 0);
    for segment in segments {
        let Some(end) = segment.end else { break };
        while let Some(held) = all.get(at).filter(|held| held.key.position < end) {
            carried += if held.in_use { u64::from(held.length) } else { 0 };
            at += 1;
        }
        if 2 * carried <= end.bytes_since(first.base) {
            paying.push(end);
        }
    }
    Ok((all, paying))
}

/// The commands that carry records; one for all who hold it.
pub(super) fn carries(log: &CommitLog, held: &[HeldRecord]) -> Result<Vec<Bytes>, LookError> {
    let mut commands = Vec::with_capacity(held.len());
    for same in held.chunk_by(|a, b| a.key.position == b.key.position) {
        let position = same[0].key.position;
        commands.push(match same.iter().find(|held| held.in_use) {
            Some(held) => encode_carry(position, &log.read_record(position, held.length)?),
            None => encode_carry(position, &[]),
        });
    }
    Ok(commands)
}
