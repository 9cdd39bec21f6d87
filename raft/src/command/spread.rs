//! Commands that spread the message groups of a topic over more queues.

use bytes::Bytes;
use store::coding::{Reader, put_varint};

use super::encode::{begin, finish};
use super::{Command, Kind};
use crate::names::{ConsumerId, TopicId};

/// The command that begins a step in a broker group: see [`Command::SealSpread`].
pub fn encode_seal_spread(topic: TopicId, generation: u32, from: u32, to: u32) -> Bytes {
    let mut out = begin(Kind::SealSpread, 16);
    for number in [topic.0, generation, from, to] {
        put_varint(&mut out, u64::from(number));
    }
    finish(out)
}

/// The command that clears a consumer group of a step, or of none any more: see [`Command::ClearSpread`].
pub fn encode_clear_spread(topic: TopicId, consumer: ConsumerId, generation: u32, asked_ms: u64) -> Bytes {
    let mut out = begin(Kind::ClearSpread, 24);
    for number in [topic.0, consumer.0, generation] {
        put_varint(&mut out, u64::from(number));
    }
    put_varint(&mut out, asked_ms);
    finish(out)
}

/// Reads the payload of a command of this file.
pub(super) fn payload(kind: Kind, reader: &mut Reader<'_>) -> Option<Command> {
    let topic = TopicId(reader.varint32()?);
    match kind {
        Kind::SealSpread => {
            let (generation, from, to) = (reader.varint32()?, reader.varint32()?, reader.varint32()?);
            Some(Command::SealSpread { topic, generation, from, to })
        }
        Kind::ClearSpread => {
            let (consumer, generation) = (ConsumerId(reader.varint32()?), reader.varint32()?);
            Some(Command::ClearSpread { topic, consumer, generation, asked_ms: reader.varint()? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::decode;

    #[test]
    fn they_survive_their_encoding_byte_for_byte() {
        let hex = |bytes: &Bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let bytes = encode_seal_spread(TopicId(7), 1, 4, 300);
        assert_eq!(hex(&bytes), "0600000023070104ac02");
        let topic = TopicId(7);
        assert_eq!(decode(&bytes), Ok(Command::SealSpread { topic, generation: 1, from: 4, to: 300 }));
        let bytes = encode_clear_spread(topic, ConsumerId(9), 1, 300);
        assert_eq!(hex(&bytes), "0600000024070901ac02");
        let consumer = ConsumerId(9);
        assert_eq!(
            decode(&bytes),
            Ok(Command::ClearSpread { topic, consumer, generation: 1, asked_ms: 300 })
        );
    }
}
