//! The command that lets lite topics go.

use bytes::Bytes;
use store::coding::{Reader, put_varint};

use super::encode::{begin, finish};
use super::{Command, Kind};
use crate::names::TopicId;

/// The command that lets go of those of these lite topics (hashes of their names) that are idle: see
/// [`Command::ExpireLite`].
pub fn encode_expire_lite(topic: TopicId, idle_ms: u64, name_hashes: &[u64]) -> Bytes {
    let mut out = begin(Kind::ExpireLite, 16 + name_hashes.len() * 8);
    put_varint(&mut out, u64::from(topic.0));
    put_varint(&mut out, idle_ms);
    put_varint(&mut out, name_hashes.len() as u64);
    name_hashes.iter().for_each(|hash| out.extend_from_slice(&hash.to_le_bytes()));
    finish(out)
}

/// Reads the payload of a command of this file.
pub(super) fn payload(reader: &mut Reader<'_>) -> Option<Command> {
    let (topic, idle_ms) = (TopicId(reader.varint32()?), reader.varint()?);
    let count = reader.varint()?;
    let name_hashes = (0..count).map(|_| reader.u64()).collect::<Option<_>>()?;
    Some(Command::ExpireLite { topic, idle_ms, name_hashes })
}

#[cfg(test)]
mod tests {
    use super::encode_expire_lite;
    use crate::command::{Command, decode};
    use crate::names::TopicId;

    #[test]
    fn it_survives_its_encoding_byte_for_byte() {
        let bytes = encode_expire_lite(TopicId(7), 300, &[1, u64::MAX]);
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex, "150000001907ac02020100000000000000ffffffffffffffff");
        let name_hashes = vec![1, u64::MAX];
        assert_eq!(decode(&bytes), Ok(Command::ExpireLite { topic: TopicId(7), idle_ms: 300, name_hashes }));
    }
}
