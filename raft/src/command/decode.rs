//! From bytes to commands, without copying what they hold.

use bytes::Bytes;
use store::coding::Reader;
use store::position::LogPosition;

use super::encode::{
    FLAG_AUTO_RENEW, FLAG_BY_PRIORITY, FLAG_FIFO, FLAG_FILTER, FLAG_IN_FLIGHT, FLAG_TTL, START_FIRST,
    START_LAST, START_TIME, TO_OFFSET,
};
use super::{
    CARRY_HEADER_BYTES, COMMAND_HEADER_BYTES, Command, CommandError, Kind, LeaseRef, OffsetTarget,
    PublishCommand, ReceiveCommand, Verdict, Wanted, lite, spread, waiting,
};
use crate::catalog::StartFrom;
use crate::names::{ConsumerId, QueueKey, QueueOffset, TopicId};
use crate::request::{Extras, TopicRules};

/// Reads one command, its length included, as the functions `encode_*` wrote it.
///
/// # Errors
/// The bytes are not exactly one command of this version.
pub fn decode(bytes: &Bytes) -> Result<Command, CommandError> {
    let mut commands = Commands::new(bytes);
    let empty = CommandError::Length { at: 0, length: COMMAND_HEADER_BYTES, rest: bytes.len() };
    let (_, command) = commands.next().unwrap_or(Err(empty))?;
    match commands.next() {
        None => Ok(command),
        Some(_) => Err(CommandError::Length { at: commands.at, length: 0, rest: bytes.len() }),
    }
}

/// The commands of a frame's body: each with the offset in the body at which it begins.
/// Ends after the first error.
#[derive(Debug)]
pub struct Commands<'a> {
    body: &'a Bytes,
    at: usize,
}

impl<'a> Commands<'a> {
    /// Begins at the first command.
    pub fn new(body: &'a Bytes) -> Commands<'a> {
        Commands { body, at: 0 }
    }

    fn read(&mut self) -> Result<(usize, Command), CommandError> {
        let at = self.at;
        self.at = self.body.len();
        let rest = self.body.len() - at;
        let mut reader = Reader::new(&self.body[at..]);
        let length = reader.u32().unwrap_or(0) as usize;
        if length == 0 || length > rest - 4 {
            return Err(CommandError::Length { at, length, rest });
        }
        let end = at + 4 + length;
        let byte = self.body[at + 4];
        let kind = Kind::of(byte).ok_or(CommandError::UnknownKind { kind: byte })?;
        let command = payload(kind, self.body, at + COMMAND_HEADER_BYTES, end);
        self.at = end;
        command.map(|command| (at, command)).ok_or(CommandError::Malformed { kind: byte })
    }
}

impl Iterator for Commands<'_> {
    type Item = Result<(usize, Command), CommandError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.body.len() {
            return None;
        }
        let item = self.read();
        if item.is_err() {
            self.at = self.body.len();
        }
        Some(item)
    }
}

fn payload(kind: Kind, body: &Bytes, start: usize, end: usize) -> Option<Command> {
    let mut reader = Reader::new(&body[start..end]);
    let command = match kind {
        Kind::Publish | Kind::PublishWithExtras => return publish(kind, body, start, end),
        Kind::Carry => {
            let from = LogPosition(reader.u64()?);
            return Some(Command::Carry { from, record: body.slice(start + CARRY_HEADER_BYTES..end) });
        }
        Kind::Meta => {
            return Some(Command::Meta { request: reader.u128()?, json: body.slice(start + 16..end) });
        }
        Kind::Receive => Command::Receive(receive(&mut reader)?),
        Kind::JudgedReceive => {
            let receive = receive(&mut reader)?;
            let count = reader.varint()?;
            let verdicts = (0..count).map(|_| verdict(&mut reader)).collect::<Option<_>>()?;
            Command::Receive(ReceiveCommand { wanted: Wanted::Judged(verdicts), ..receive })
        }
        Kind::Acknowledge => {
            let count = reader.varint()?;
            let leases = (0..count).map(|_| lease(&mut reader)).collect::<Option<_>>()?;
            Command::Acknowledge(leases)
        }
        Kind::ChangeLease => {
            Command::ChangeLease { lease: lease(&mut reader)?, invisible_ms: reader.varint()? }
        }
        Kind::DeadLetter => {
            Command::DeadLetter { lease: lease(&mut reader)?, dead_letters: queue(&mut reader)? }
        }
        Kind::Resend => {
            let queue = queue(&mut reader)?;
            let count = reader.varint()?;
            Command::Resend { queue, offsets: (0..count).map(|_| reader.varint()).collect::<Option<_>>()? }
        }
        Kind::ReleaseClient => Command::ReleaseClient { client: reader.u64()? },
        Kind::RenewLeases => {
            let (ending_by_ms, extend_ms) = (reader.varint()?, reader.varint()?);
            let count = reader.varint()?;
            let clients = (0..count).map(|_| reader.u64()).collect::<Option<_>>()?;
            Command::RenewLeases { clients, ending_by_ms, extend_ms }
        }
        Kind::DoubtLeases => {
            Command::DoubtLeases { given_from_ms: reader.varint()?, end_within_ms: reader.varint()? }
        }
        Kind::SetOffset => Command::SetOffset {
            consumer: ConsumerId(reader.varint32()?),
            queue: queue(&mut reader)?,
            to: target(&mut reader)?,
        },
        Kind::Trim => Command::Trim { queue: queue(&mut reader)?, first: reader.varint()? },
        Kind::ExpireLite => lite::payload(&mut reader)?,
        Kind::SealSpread | Kind::ClearSpread => spread::payload(kind, &mut reader)?,
        Kind::RaiseFloor => Command::RaiseFloor(LogPosition(reader.varint()?)),
        Kind::ReleaseDue | Kind::Recall | Kind::EndTransaction | Kind::NoteChecks => {
            waiting::payload(kind, &mut reader)?
        }
        Kind::DeleteTopic => Command::DeleteTopic(TopicId(reader.varint32()?)),
        Kind::DeleteSubscription => Command::DeleteSubscription {
            consumer: ConsumerId(reader.varint32()?),
            topic: TopicId(reader.varint32()?),
        },
        Kind::DeleteConsumer => Command::DeleteConsumer(ConsumerId(reader.varint32()?)),
    };
    reader.is_empty().then_some(command)
}

fn publish(kind: Kind, body: &Bytes, start: usize, end: usize) -> Option<Command> {
    let mut reader = Reader::new(&body[start..end]);
    let queue = QueueKey { topic: TopicId(reader.u32()?), number: reader.u32()? };
    let dedup = reader.u128()?;
    let (tag_hash, order_hash) = (reader.u64()?, reader.u64()?);
    let extras = match kind {
        Kind::PublishWithExtras => {
            let length = usize::from(reader.u16()?);
            waiting::decode_extras(reader.take(length)?)?
        }
        _ => Extras::default(),
    };
    let record_at = (COMMAND_HEADER_BYTES + reader.at()) as u32;
    let record = body.slice(start + reader.at()..end);
    Some(Command::Publish(PublishCommand { queue, dedup, tag_hash, order_hash, extras, record_at, record }))
}

fn receive(reader: &mut Reader<'_>) -> Option<ReceiveCommand> {
    let consumer = ConsumerId(reader.varint32()?);
    let topic = TopicId(reader.varint32()?);
    let count = reader.varint()?;
    let queues = (0..count).map(|_| reader.varint32()).collect::<Option<_>>()?;
    let max = reader.varint()?.try_into().ok()?;
    let invisible_ms = reader.varint()?;
    let max_attempts = reader.varint()?.try_into().ok()?;
    let dead_letters = queue(reader)?;
    let (client, attempt) = (reader.u64()?, reader.u64()?);
    let OffsetTarget::Start(start) = target(reader)? else { return None };
    let flags = reader.u8()?;
    let wanted = match flags & FLAG_FILTER {
        0 => Wanted::All,
        _ => {
            let count = reader.varint()?;
            Wanted::AnyOf((0..count).map(|_| reader.u64()).collect::<Option<_>>()?)
        }
    };
    let in_flight_max = match flags & FLAG_IN_FLIGHT {
        0 => None,
        _ => Some(reader.varint()?),
    };
    let ttl_ms = if flags & FLAG_TTL == 0 { 0 } else { reader.varint()? };
    Some(ReceiveCommand {
        consumer,
        topic,
        queues,
        max,
        invisible_ms,
        fifo: flags & FLAG_FIFO != 0,
        auto_renew: flags & FLAG_AUTO_RENEW != 0,
        client,
        attempt,
        wanted,
        max_attempts,
        start,
        dead_letters,
        in_flight_max,
        rules: TopicRules { by_priority: flags & FLAG_BY_PRIORITY != 0, ttl_ms },
    })
}

fn verdict(reader: &mut Reader<'_>) -> Option<Verdict> {
    let (queue, from) = (reader.varint32()?, reader.varint()?);
    let to = from.checked_add(reader.varint()?)?;
    let count = reader.varint()?;
    let mut behind = from;
    let mut offset = |distance: u64| {
        let offset = behind.checked_add(distance).filter(|offset| *offset < to)?;
        behind = offset + 1;
        Some(offset)
    };
    let matches = (0..count).map(|_| offset(reader.varint()?)).collect::<Option<_>>()?;
    Some(Verdict { queue, from, to, matches })
}

fn queue(reader: &mut Reader<'_>) -> Option<QueueKey> {
    Some(QueueKey { topic: TopicId(reader.varint32()?), number: reader.varint32()? })
}

fn lease(reader: &mut Reader<'_>) -> Option<LeaseRef> {
    Some(LeaseRef {
        consumer: ConsumerId(reader.varint32()?),
        queue: queue(reader)?,
        offset: QueueOffset(reader.varint()?),
        lease: reader.varint()?,
        revision: reader.varint32()?,
    })
}

fn target(reader: &mut Reader<'_>) -> Option<OffsetTarget> {
    match reader.u8()? {
        START_FIRST => Some(OffsetTarget::Start(StartFrom::First)),
        START_LAST => Some(OffsetTarget::Start(StartFrom::Last)),
        START_TIME => Some(OffsetTarget::Start(StartFrom::Time(reader.varint()?))),
        TO_OFFSET => Some(OffsetTarget::Offset(reader.varint()?)),
        _ => None,
    }
}
