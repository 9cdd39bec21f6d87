//! From requests to bytes.

use bytes::{BufMut, Bytes, BytesMut};
use store::coding::put_varint;
use store::position::LogPosition;

use super::waiting::encode_extras;
use super::{
    CARRY_HEADER_BYTES, COMMAND_HEADER_BYTES, Kind, LeaseRef, OffsetTarget, PUBLISH_HEADER_BYTES, Verdict,
};
use crate::catalog::StartFrom;
use crate::names::{ConsumerId, QueueKey, TopicId};
use crate::request::{Extras, Filter, Publish, Receipt, Receive};

pub(super) const FLAG_FIFO: u8 = 1;
pub(super) const FLAG_AUTO_RENEW: u8 = 2;
pub(super) const FLAG_FILTER: u8 = 4;
pub(super) const FLAG_IN_FLIGHT: u8 = 8;
pub(super) const FLAG_BY_PRIORITY: u8 = 16;
pub(super) const FLAG_TTL: u8 = 32;

pub(super) const START_FIRST: u8 = 0;
pub(super) const START_LAST: u8 = 1;
pub(super) const START_TIME: u8 = 2;
pub(super) const TO_OFFSET: u8 = 3;

/// The command that puts a message into its queue.
pub fn encode_publish(publish: &Publish) -> Bytes {
    let (kind, extras) = match publish.extras == Extras::default() {
        true => (Kind::Publish, None),
        false => (Kind::PublishWithExtras, Some(encode_extras(&publish.extras))),
    };
    let extras_bytes = extras.as_ref().map_or(0, |extras| 2 + extras.len());
    let payload_bytes = PUBLISH_HEADER_BYTES + extras_bytes + publish.record.len();
    let mut out = BytesMut::with_capacity(COMMAND_HEADER_BYTES + payload_bytes);
    out.put_u32_le(payload_bytes as u32 + 1);
    out.put_u8(kind as u8);
    out.put_u32_le(publish.queue.topic.0);
    out.put_u32_le(publish.queue.number);
    out.put_u128_le(publish.dedup);
    out.put_u64_le(publish.tag_hash);
    out.put_u64_le(publish.order_hash);
    if let Some(extras) = extras {
        let length = u16::try_from(extras.len()).expect("a message has too few keys for that");
        out.put_u16_le(length);
        out.put_slice(&extras);
    }
    out.put_slice(&publish.record);
    out.freeze()
}

/// The command that leases messages. With a SQL filter nothing is judged in it: it is one that
/// leases no fresh message.
pub fn encode_receive(receive: &Receive) -> Bytes {
    match receive.filter {
        Filter::All | Filter::AnyOf(_) => {
            let mut out = begin(Kind::Receive, 96);
            put_receive(&mut out, receive);
            finish(out)
        }
        Filter::Sql(_) => encode_judged_receive(receive, &[]),
    }
}

/// The command that leases messages which the leader has judged by the receive's SQL filter.
pub fn encode_judged_receive(receive: &Receive, verdicts: &[Verdict]) -> Bytes {
    let mut out = begin(Kind::JudgedReceive, 96 + verdicts.len() * 16);
    put_receive(&mut out, receive);
    put_varint(&mut out, verdicts.len() as u64);
    for verdict in verdicts {
        put_varint(&mut out, u64::from(verdict.queue));
        put_varint(&mut out, verdict.from);
        put_varint(&mut out, verdict.to - verdict.from);
        put_varint(&mut out, verdict.matches.len() as u64);
        let mut behind = verdict.from;
        for offset in &verdict.matches {
            put_varint(&mut out, offset - behind);
            behind = offset + 1;
        }
    }
    finish(out)
}

/// The command that settles leases: one answer for each receipt, in order.
pub fn encode_acknowledge(receipts: &[Receipt]) -> Bytes {
    let mut out = begin(Kind::Acknowledge, 2 + receipts.len() * 16);
    put_varint(&mut out, receipts.len() as u64);
    for receipt in receipts {
        put_lease(&mut out, &LeaseRef::from(receipt));
    }
    finish(out)
}

/// The command that ends a lease `invisible_ms` from now.
pub fn encode_change_lease(receipt: &Receipt, invisible_ms: u64) -> Bytes {
    let mut out = begin(Kind::ChangeLease, 32);
    put_lease(&mut out, &LeaseRef::from(receipt));
    put_varint(&mut out, invisible_ms);
    finish(out)
}

/// The command that moves a leased message to the dead letters.
pub fn encode_dead_letter(receipt: &Receipt, dead_letters: QueueKey) -> Bytes {
    let mut out = begin(Kind::DeadLetter, 32);
    put_lease(&mut out, &LeaseRef::from(receipt));
    put_queue(&mut out, dead_letters);
    finish(out)
}

/// The command that puts dead letters back into the queues that they came from.
pub fn encode_resend(queue: QueueKey, offsets: &[u64]) -> Bytes {
    let mut out = begin(Kind::Resend, 12 + offsets.len() * 3);
    put_queue(&mut out, queue);
    put_varint(&mut out, offsets.len() as u64);
    offsets.iter().for_each(|offset| put_varint(&mut out, *offset));
    finish(out)
}

/// The command that ends every lease of a client.
pub fn encode_release_client(client: u64) -> Bytes {
    let mut out = begin(Kind::ReleaseClient, 8);
    out.extend_from_slice(&client.to_le_bytes());
    finish(out)
}

/// The command that moves the end of the renewed leases of `clients` which would end by
/// `ending_by_ms` (the log's time) to `extend_ms` from now.
pub fn encode_renew_leases(clients: &[u64], ending_by_ms: u64, extend_ms: u64) -> Bytes {
    let mut out = begin(Kind::RenewLeases, 16 + clients.len() * 8);
    put_varint(&mut out, ending_by_ms);
    put_varint(&mut out, extend_ms);
    put_varint(&mut out, clients.len() as u64);
    for client in clients {
        out.extend_from_slice(&client.to_le_bytes());
    }
    finish(out)
}

/// The command that ends, within `end_within_ms`, the renewed leases that were given at
/// `given_from_ms` (the log's time) or later.
pub fn encode_doubt_leases(given_from_ms: u64, end_within_ms: u64) -> Bytes {
    let mut out = begin(Kind::DoubtLeases, 16);
    put_varint(&mut out, given_from_ms);
    put_varint(&mut out, end_within_ms);
    finish(out)
}

/// The command that moves a consumer group in a queue.
pub fn encode_set_offset(consumer: ConsumerId, queue: QueueKey, to: OffsetTarget) -> Bytes {
    let mut out = begin(Kind::SetOffset, 24);
    put_varint(&mut out, u64::from(consumer.0));
    put_queue(&mut out, queue);
    match to {
        OffsetTarget::Start(start) => put_start(&mut out, start),
        OffsetTarget::Offset(offset) => {
            out.push(TO_OFFSET);
            put_varint(&mut out, offset);
        }
    }
    finish(out)
}

/// The command that removes a topic's queues.
pub fn encode_delete_topic(topic: TopicId) -> Bytes {
    let mut out = begin(Kind::DeleteTopic, 5);
    put_varint(&mut out, u64::from(topic.0));
    finish(out)
}

/// The command that removes what a consumer group knows.
pub fn encode_delete_consumer(consumer: ConsumerId) -> Bytes {
    let mut out = begin(Kind::DeleteConsumer, 5);
    put_varint(&mut out, u64::from(consumer.0));
    finish(out)
}

/// The command that removes what a consumer group knows of a topic.
pub fn encode_delete_subscription(consumer: ConsumerId, topic: TopicId) -> Bytes {
    let mut out = begin(Kind::DeleteSubscription, 10);
    put_varint(&mut out, u64::from(consumer.0));
    put_varint(&mut out, u64::from(topic.0));
    finish(out)
}

/// The command that lets go of what is before `first` in a queue.
pub fn encode_trim(queue: QueueKey, first: u64) -> Bytes {
    let mut out = begin(Kind::Trim, 20);
    put_queue(&mut out, queue);
    put_varint(&mut out, first);
    finish(out)
}

/// The command that puts the record which begins at `from` into the log once more.
pub fn encode_carry(from: LogPosition, record: &[u8]) -> Bytes {
    let mut out = begin(Kind::Carry, CARRY_HEADER_BYTES + record.len());
    out.extend_from_slice(&from.0.to_le_bytes());
    out.extend_from_slice(record);
    finish(out)
}

/// The command that says that the log is not needed below `floor`.
pub fn encode_raise_floor(floor: LogPosition) -> Bytes {
    let mut out = begin(Kind::RaiseFloor, 10);
    put_varint(&mut out, floor.0);
    finish(out)
}

/// The envelope of a command of `meta`.
pub fn encode_meta(request: u128, json: &[u8]) -> Bytes {
    let mut out = begin(Kind::Meta, 16 + json.len());
    out.extend_from_slice(&request.to_le_bytes());
    out.extend_from_slice(json);
    finish(out)
}

impl From<&Receipt> for LeaseRef {
    fn from(receipt: &Receipt) -> LeaseRef {
        LeaseRef {
            consumer: receipt.consumer,
            queue: receipt.queue,
            offset: receipt.offset,
            lease: receipt.lease,
            revision: receipt.revision,
        }
    }
}

pub(super) fn begin(kind: Kind, payload_bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(COMMAND_HEADER_BYTES + payload_bytes);
    out.extend_from_slice(&[0, 0, 0, 0, kind as u8]);
    out
}

pub(super) fn finish(mut out: Vec<u8>) -> Bytes {
    let length = out.len() as u32 - 4;
    out[..4].copy_from_slice(&length.to_le_bytes());
    out.into()
}

fn put_receive(out: &mut Vec<u8>, receive: &Receive) {
    put_varint(out, u64::from(receive.consumer.0));
    put_varint(out, u64::from(receive.topic.0));
    put_varint(out, receive.queues.len() as u64);
    for number in &receive.queues {
        put_varint(out, u64::from(*number));
    }
    put_varint(out, u64::from(receive.max));
    put_varint(out, receive.invisible_ms);
    put_varint(out, u64::from(receive.max_attempts));
    put_queue(out, receive.dead_letters);
    out.extend_from_slice(&receive.client.to_le_bytes());
    out.extend_from_slice(&receive.attempt.to_le_bytes());
    put_start(out, receive.start);
    let flags = [
        (receive.fifo, FLAG_FIFO),
        (receive.auto_renew, FLAG_AUTO_RENEW),
        (matches!(receive.filter, Filter::AnyOf(_)), FLAG_FILTER),
        (receive.in_flight_max.is_some(), FLAG_IN_FLIGHT),
        (receive.rules.by_priority, FLAG_BY_PRIORITY),
        (receive.rules.ttl_ms != 0, FLAG_TTL),
    ];
    out.push(flags.into_iter().filter(|(set, _)| *set).fold(0, |flags, (_, flag)| flags | flag));
    if let Filter::AnyOf(hashes) = &receive.filter {
        put_varint(out, hashes.len() as u64);
        for hash in hashes {
            out.extend_from_slice(&hash.to_le_bytes());
        }
    }
    if let Some(max) = receive.in_flight_max {
        put_varint(out, max);
    }
    if receive.rules.ttl_ms != 0 {
        put_varint(out, receive.rules.ttl_ms);
    }
}

fn put_queue(out: &mut Vec<u8>, queue: QueueKey) {
    put_varint(out, u64::from(queue.topic.0));
    put_varint(out, u64::from(queue.number));
}

fn put_lease(out: &mut Vec<u8>, lease: &LeaseRef) {
    put_varint(out, u64::from(lease.consumer.0));
    put_queue(out, lease.queue);
    put_varint(out, lease.offset.0);
    put_varint(out, lease.lease);
    put_varint(out, u64::from(lease.revision));
}

fn put_start(out: &mut Vec<u8>, start: StartFrom) {
    match start {
        StartFrom::First => out.push(START_FIRST),
        StartFrom::Last => out.push(START_LAST),
        StartFrom::Time(time_ms) => {
            out.push(START_TIME);
            put_varint(out, time_ms);
        }
    }
}
