//! Searches for messages: by id, key, time or offset, over all groups that hold queues of a topic.

use std::ops::ControlFlow;

use bytes::Bytes;
use store::commit_log::CommitLog;
use store::position::LogPosition;
use store::record::MessageRecord;
use tokio::time::Instant;

use crate::catalog::{DEAD_LETTERS_PREFIX, Topic};
use crate::group::Group;
use crate::hash::hash64;
use crate::limits::{
    FIND_AFTER_BIRTH_MS, FIND_BEFORE_BIRTH_MS, FIND_BYTES_MAX, FIND_LITE_TOPICS_MAX, FIND_MESSAGES_MAX,
    FIND_RECORDS_MAX, LITE_LOOKS_AT_ONCE, LITE_QUEUES_FROM, LOOKS_MAX,
};
use crate::machine::Keyed;
use crate::names::{GroupId, QueueKey};
use crate::node::Node;
use crate::node::ask::{AskError, Source};
use crate::question::{Answer, By, Found, FoundPlace, FrameFacts, Mark, Question, Search};
use crate::request::RequestError;

/// The first bytes of a record, in which its id stands.
const PEEK_BYTES: u32 = 512;

/// What to search for.
#[derive(Clone, Debug)]
pub struct MessageQuery {
    /// The topic.
    pub topic: Topic,
    /// By what.
    pub by: By,
    /// Only what comes behind this one.
    pub after: Option<Mark>,
    /// At most so many messages.
    pub limit: usize,
    /// Ask this node's own replicas, which may lag the leaders'.
    pub from_replica: bool,
}

/// A message that was found.
#[derive(Clone, Debug)]
pub struct FoundMessage {
    /// The group that holds it.
    pub group: GroupId,
    /// Where it is.
    pub place: FoundPlace,
    /// Its record.
    pub record: Bytes,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct MessagePage {
    /// By ascending time.
    pub messages: Vec<FoundMessage>,
    /// There is more: ask again for what is behind this.
    pub next: Option<Mark>,
    /// A bound was hit before everything was looked at: what is not here may be there all the same.
    pub cut: bool,
}

impl Node {
    /// Searches the messages of a topic. Those of an id are at most one for each group and retry.
    ///
    /// # Errors
    /// [`RequestError::NoLeader`] if a group had no leader until the deadline.
    pub async fn query_messages(
        &self,
        query: MessageQuery,
        deadline: Instant,
    ) -> Result<MessagePage, RequestError> {
        let limit = query.limit.clamp(1, FIND_MESSAGES_MAX);
        let source = if query.from_replica { Source::Replica } else { Source::Leader };
        let mut page = MessagePage::default();
        let mut more = false;
        for (group, queues) in places_to_look(&query) {
            let dead_letters = query.topic.name.starts_with(DEAD_LETTERS_PREFIX);
            let search = Search { queues, by: query.by.clone(), after: query.after, limit, dead_letters };
            let answer = self.inner.ask(group, Question::Find(search), source, deadline, deadline).await?;
            let (found, records) = match answer {
                (Answer::Found(found), records) if found.places.len() == records.len() => (found, records),
                (other, _) => {
                    let reason = format!("a search was answered with {other:?}");
                    return Err(RequestError::Unknown { reason });
                }
            };
            more |= found.more;
            page.cut |= found.cut;
            let places = found.places.into_iter().zip(records);
            page.messages.extend(places.map(|(place, record)| FoundMessage { group, place, record }));
            if matches!(query.by, By::Id { .. }) && !page.messages.is_empty() {
                page.cut = false;
                break;
            }
        }
        page.messages.sort_by_key(|message| message.place.mark);
        more |= page.messages.len() > limit;
        page.messages.truncate(limit);
        page.next = page.messages.last().filter(|_| more).map(|last| last.place.mark);
        // A hash says what may be meant, the record what is.
        page.messages.retain(|message| is_meant(&query.by, &message.record));
        Ok(page)
    }

    /// The frame that holds what is at a position of a group's log, if this node still holds it.
    ///
    /// # Errors
    /// [`RequestError::NoLeader`] if the group had no leader until the deadline.
    pub async fn frame_of(
        &self,
        group: GroupId,
        position: LogPosition,
        deadline: Instant,
    ) -> Result<Option<FrameFacts>, RequestError> {
        let question = Question::Frame { position: position.0 };
        match self.inner.ask(group, question, Source::Leader, deadline, deadline).await?.0 {
            Answer::Frame(frame) => Ok(frame),
            other => Err(RequestError::Unknown { reason: format!("a question for a frame got {other:?}") }),
        }
    }
}

/// The groups to ask, and the queues of each. A message without a message group is in the queue that
/// its id names, so that one is looked at first.
fn places_to_look(query: &MessageQuery) -> Vec<(GroupId, Vec<QueueKey>)> {
    let topic = &query.topic;
    let of_queue = |number: u32| {
        let group = topic.queues.get(number as usize)?;
        Some((*group, vec![QueueKey { topic: topic.id, number }]))
    };
    if let By::Offset { queue: number, .. } = query.by {
        // Queues of lite topics are numbered by each group for itself.
        let queue = QueueKey { topic: topic.id, number };
        return match number >= LITE_QUEUES_FROM {
            true => topic.groups().into_iter().map(|group| (group, vec![queue])).collect(),
            false => of_queue(number).into_iter().collect(),
        };
    }
    let likely = match &query.by {
        By::Id { id, .. } => of_queue((hash64(id.as_bytes()) % topic.queues.len().max(1) as u64) as u32),
        _ => None,
    };
    let looked_at = likely.as_ref().map(|(_, queues)| queues[0]);
    let others = topic.groups().into_iter().map(|group| {
        let queues = topic.queues_of(group).filter(|queue| Some(*queue) != looked_at);
        (group, queues.collect::<Vec<_>>())
    });
    likely.into_iter().chain(others.filter(|(_, queues)| !queues.is_empty())).collect()
}

fn is_meant(by: &By, record: &Bytes) -> bool {
    match by {
        By::Time(..) | By::Offset { .. } => true,
        By::Id { id, .. } => MessageRecord::peek_id(record) == Some(id.as_str()),
        By::LiteTopic { name, .. } => {
            MessageRecord::decode(record).is_ok_and(|record| record.lite_topic.as_ref() == Some(name))
        }
        By::Key { key, .. } => MessageRecord::decode(record).is_ok_and(|record| record.keys.contains(key)),
    }
}

/// Answers from a group's replica. Can block on the disk.
pub(super) fn find(group: &Group, search: &Search) -> Result<Found, AskError> {
    let limit = search.limit.clamp(1, FIND_MESSAGES_MAX);
    let mut found = Found::default();
    // One more than is wanted, to know whether there is more.
    let room = limit + 1;
    match &search.by {
        By::Time(from_ms, to_ms) => {
            let (lite, cut) = lite_queues_since(group, &search.queues, *from_ms);
            found.cut = cut;
            for queue in search.queues.iter().chain(&lite) {
                found.places.extend(stored_between(group, *queue, (*from_ms, *to_ms), search.after, room)?);
            }
        }
        By::LiteTopic { hash, from_ms, to_ms, .. } => {
            let topic = search.queues.first().map(|queue| queue.topic);
            if let Some(queue) = topic.and_then(|topic| group.replica().broker().lite_queue(topic, *hash)) {
                found.places = stored_between(group, queue, (*from_ms, *to_ms), search.after, room)?;
            }
        }
        By::Offset { offset, .. } => {
            let after = search.after.map_or(0, |after| after.number + 1);
            for queue in &search.queues {
                found.places.extend(from_offset(group, *queue, (*offset).max(after), room)?);
            }
        }
        By::Key { hash, .. } => (found.places, found.cut) = by_key(group, search, *hash, room)?,
        By::Id { id, dedup, hash, born_ms } => {
            let topic = search.queues.first().map(|queue| queue.topic);
            let recent = topic.map(|topic| group.replica().broker().find_recent(topic, *dedup));
            found.places.extend(recent.transpose().map_err(failed)?.flatten());
            if found.places.is_empty() {
                (found.places, found.cut) = by_key(group, search, *hash, room)?;
            }
            if search.dead_letters && found.places.is_empty() {
                (found.places, found.cut) = super::find_dead::by_id(group, &search.queues, id, *born_ms)?;
            } else if let Some(born_ms) = born_ms
                && found.places.is_empty()
            {
                (found.places, found.cut) = by_birth(group, &search.queues, id, *born_ms)?;
            }
        }
    }
    found.places.sort_by_key(|place| place.mark);
    let mut bytes = 0;
    let fits = |place: &&FoundPlace| {
        bytes += place.length as usize;
        bytes <= FIND_BYTES_MAX || bytes == place.length as usize
    };
    let count = found.places.iter().take(limit).take_while(fits).count();
    found.more = found.places.len() > count;
    found.places.truncate(count);
    Ok(found)
}

pub(super) fn failed(error: impl std::fmt::Display) -> AskError {
    AskError::Failed(error.to_string())
}

/// The queues of the topic's lite topics that got something at `from_ms` or later; no more than a number of them,
/// and whether there are more.
fn lite_queues_since(group: &Group, queues: &[QueueKey], from_ms: u64) -> (Vec<QueueKey>, bool) {
    let Some(topic) = queues.first().map(|queue| queue.topic) else { return (Vec::new(), false) };
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        // The machine is free between two looks.
        let look = group.replica().broker().lite_queues_since(topic, after, LITE_LOOKS_AT_ONCE, from_ms);
        found.extend(look.0);
        if found.len() > FIND_LITE_TOPICS_MAX {
            found.truncate(FIND_LITE_TOPICS_MAX);
            return (found, true);
        }
        match look.1 {
            Some(behind) => after = behind,
            None => return (found, false),
        }
    }
}

/// Whether a bound was hit, and what the rows of a key lead to.
fn by_key(
    group: &Group,
    search: &Search,
    hash: u64,
    room: usize,
) -> Result<(Vec<FoundPlace>, bool), AskError> {
    let (mut places, mut after, mut looked_at) = (Vec::new(), search.after, 0);
    let Some(topic) = search.queues.first().map(|queue| queue.topic) else { return Ok((places, false)) };
    while places.len() < room && looked_at < FIND_RECORDS_MAX {
        let rows = group.replica().broker().key_rows(topic, hash, after, room).map_err(failed)?;
        let is_last = rows.len() < room;
        looked_at += rows.len();
        for row in rows {
            let mark = Mark { stored_ms: row.ms, queue: row.queue, number: row.number };
            after = Some(mark);
            let is_lite = row.queue >= LITE_QUEUES_FROM;
            let is_asked = is_lite || search.queues.iter().any(|queue| queue.number == row.queue);
            if places.len() < room && is_asked {
                // The machine is free between two rows.
                let keyed = group.replica().broker().at_key(&row).map_err(failed)?;
                let found = match keyed {
                    Keyed::Here(place) => Some(place),
                    Keyed::Gone => None,
                    Keyed::CameLater { queue, number, from_ms } => {
                        super::pull::look(group, queue, 0, |view| view.came_later(number, from_ms))?
                    }
                };
                places.extend(found.map(|place| FoundPlace { mark, ..place }));
            }
        }
        if is_last {
            return Ok((places, false));
        }
    }
    Ok((places, looked_at >= FIND_RECORDS_MAX))
}

/// What came into a queue within a time, by ascending offset.
fn stored_between(
    group: &Group,
    queue: QueueKey,
    (from_ms, to_ms): (u64, u64),
    after: Option<Mark>,
    room: usize,
) -> Result<Vec<FoundPlace>, AskError> {
    let from_ms = from_ms.max(after.map_or(0, |after| after.stored_ms));
    let from = super::pull::look(group, queue, 0, |view| view.first_stored_at(from_ms))?;
    walk(
        group,
        queue,
        from,
        |place| {
            if place.stored_ms > to_ms {
                return Step::End;
            }
            if after.is_some_and(|after| place.mark <= after) { Step::Skip } else { Step::Take }
        },
        room,
    )
}

fn from_offset(
    group: &Group,
    queue: QueueKey,
    offset: u64,
    room: usize,
) -> Result<Vec<FoundPlace>, AskError> {
    walk(group, queue, offset, |_| Step::Take, room)
}

/// An id that tells its second of birth: what came soon after it is looked through.
fn by_birth(
    group: &Group,
    queues: &[QueueKey],
    id: &str,
    born_ms: u64,
) -> Result<(Vec<FoundPlace>, bool), AskError> {
    let (from_ms, to_ms) = (born_ms.saturating_sub(FIND_BEFORE_BIRTH_MS), born_ms + FIND_AFTER_BIRTH_MS);
    let log = group.store.log();
    let mut looked_at = 0;
    for queue in queues {
        let from = super::pull::look(group, *queue, 0, |view| view.first_stored_at(from_ms))?;
        let found = walk(
            group,
            *queue,
            from,
            |place| {
                if place.stored_ms > to_ms || looked_at >= FIND_RECORDS_MAX {
                    return Step::End;
                }
                looked_at += 1;
                if has_id(log, place, id) { Step::Take } else { Step::Skip }
            },
            1,
        )?;
        if !found.is_empty() || looked_at >= FIND_RECORDS_MAX {
            return Ok((found, looked_at >= FIND_RECORDS_MAX));
        }
    }
    Ok((Vec::new(), false))
}

pub(super) fn has_id(log: &CommitLog, place: &FoundPlace, id: &str) -> bool {
    let bytes = log.read_at(place.position, place.length.min(PEEK_BYTES));
    bytes.is_ok_and(|bytes| MessageRecord::peek_id(&bytes) == Some(id))
}

/// What to do with a message that is walked over.
enum Step {
    Take,
    Skip,
    End,
}

fn walk(
    group: &Group,
    queue: QueueKey,
    from: u64,
    mut step: impl FnMut(&FoundPlace) -> Step,
    room: usize,
) -> Result<Vec<FoundPlace>, AskError> {
    super::pull::look(group, queue, from, |view| {
        let mut places = Vec::new();
        let walked = view.walk(from, |at, entry| {
            let place = FoundPlace::queued(queue, at, entry);
            match step(&place) {
                Step::Take => places.push(place),
                Step::Skip => {}
                Step::End => return ControlFlow::Break(()),
            }
            if places.len() < room { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(walked.map(|()| places))
    })
}

/// The frame that holds what is at `position`, by halving. `None` if it is not held any more.
pub(super) fn frame_at(log: &CommitLog, position: LogPosition) -> Result<Option<FrameFacts>, AskError> {
    let pointers = log.pointers();
    // What Raft gave up may be held all the same, for those who read messages.
    let (mut low, mut high) = (0, pointers.next_index());
    let mut retries = 0;
    while low < high {
        let middle = low + (high - low) / 2;
        let frame = match log.frames(middle..middle + 1, 0) {
            Ok(mut frames) => frames.pop(),
            Err(store::commit_log::ReadError::Purged { first, .. }) if first > middle => {
                low = first.min(high);
                retries += 1;
                if retries > LOOKS_MAX * 8 {
                    return Ok(None);
                }
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        let Some((frame, at)) = frame.and_then(|frame| frame.position().map(|at| (frame, at))) else {
            high = middle;
            continue;
        };
        if position < at {
            high = middle;
        } else if position >= at + frame.encoded_len() {
            low = middle + 1;
        } else {
            let header = frame.header(at);
            return Ok(Some(FrameFacts {
                index: header.index,
                term: header.term,
                leader: header.leader,
                stamp_ms: header.stamp_ms,
            }));
        }
    }
    Ok(None)
}
