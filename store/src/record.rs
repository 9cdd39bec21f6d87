//! A message as the log keeps it: written once, at the edge, and never rewritten.
//!
//! ```text
//! u8 version (1) | u8 body encoding | u16 reserved (0) | u32 CRC32C of all bytes but these four
//! strings: topic, message id, born host, store host        each: varint length, UTF-8
//! u8 presence: 1 tag, 2 message group, 4 trace context; then those strings; 8 due time, 16 half message,
//!              32 priority, 64 lite topic; then varint due_ms, varint priority, the lite topic's name
//! varint count, keys | varint count, (name, value) of properties
//! varint born_ms | the body, up to the end
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::coding::{Reader, put_bytes, put_varint};

/// The version that this build writes, and the newest that it reads.
const VERSION: u8 = 1;
/// Version, encoding, reserved bytes and checksum.
const HEADER_BYTES: usize = 8;
const HAS_TAG: u8 = 1;
const HAS_MESSAGE_GROUP: u8 = 2;
const HAS_TRACE_CONTEXT: u8 = 4;
const HAS_DUE: u8 = 8;
const IS_HALF: u8 = 16;
const HAS_PRIORITY: u8 = 32;
const HAS_LITE_TOPIC: u8 = 64;

/// How the body is to be read. The broker never looks inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyEncoding {
    /// As it is.
    #[default]
    Identity,
    /// Compressed by the producer.
    Gzip,
}

/// Everything about a message that its producer said, and where it came from.
/// What depends on a delivery (offset, attempt, receipt) is not here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageRecord {
    /// The topic's name (the original one, for dead letters too).
    pub topic: String,
    /// The id that the client gave.
    pub message_id: String,
    /// The tag.
    pub tag: Option<String>,
    /// The keys, in the client's order.
    pub keys: Vec<String>,
    /// The message group, for order.
    pub message_group: Option<String>,
    /// User properties, in ascending order of their names.
    pub properties: Vec<(String, String)>,
    /// Trace context (W3C) if the client sent one.
    pub trace_context: Option<String>,
    /// When it is to be delivered, in milliseconds since 1970.
    pub due_ms: Option<u64>,
    /// Whether it was sent within a transaction.
    pub half: bool,
    /// Its priority.
    pub priority: Option<u32>,
    /// Its lite topic, within the topic.
    pub lite_topic: Option<String>,
    /// Host of birth, as the client said.
    pub born_host: String,
    /// Time of birth, as the client said, in milliseconds since 1970.
    pub born_ms: u64,
    /// Address of the node that took the message.
    pub store_host: String,
    /// The encoding of the body.
    pub body_encoding: BodyEncoding,
    /// The body, as it came.
    pub body: Bytes,
}

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The bytes end before the record does.
    #[error("the record ends at byte {at}, in the middle of {what}")]
    Truncated {
        /// Which part was being read.
        what: &'static str,
        /// Where the bytes end.
        at: usize,
    },
    /// The checksum is not that of the content.
    #[error("the record's checksum is {stored:#010x} but its content gives {computed:#010x}")]
    Checksum {
        /// What the record says.
        stored: u32,
        /// What its content gives.
        computed: u32,
    },
    /// Written by a newer version.
    #[error("the record has version {version}; this build reads up to {newest}")]
    Version {
        /// The version found.
        version: u8,
        /// The newest that this build reads.
        newest: u8,
    },
    /// Something else is wrong with a part.
    #[error("the record's {what} is malformed")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
}

impl MessageRecord {
    /// The record as the log keeps it (see the module's page).
    pub fn encode(&self) -> Bytes {
        let mut head = Vec::with_capacity(256);
        head.extend_from_slice(&[VERSION, self.encoding_byte(), 0, 0, 0, 0, 0, 0]);
        for text in [&self.topic, &self.message_id, &self.born_host, &self.store_host] {
            put_bytes(&mut head, text.as_bytes());
        }
        let optional = [&self.tag, &self.message_group, &self.trace_context];
        let presence = optional
            .iter()
            .zip([HAS_TAG, HAS_MESSAGE_GROUP, HAS_TRACE_CONTEXT])
            .filter(|(text, _)| text.is_some())
            .fold(0, |bits, (_, bit)| bits | bit);
        head.push(presence | self.waiting_bits());
        for text in optional.into_iter().flatten() {
            put_bytes(&mut head, text.as_bytes());
        }
        for number in [self.due_ms, self.priority.map(u64::from)].into_iter().flatten() {
            put_varint(&mut head, number);
        }
        if let Some(name) = &self.lite_topic {
            put_bytes(&mut head, name.as_bytes());
        }
        put_varint(&mut head, self.keys.len() as u64);
        for key in &self.keys {
            put_bytes(&mut head, key.as_bytes());
        }
        put_varint(&mut head, self.properties.len() as u64);
        for (name, value) in &self.properties {
            put_bytes(&mut head, name.as_bytes());
            put_bytes(&mut head, value.as_bytes());
        }
        put_varint(&mut head, self.born_ms);
        let mut out = BytesMut::with_capacity(head.len() + self.body.len());
        out.put_slice(&head);
        out.put_slice(&self.body);
        let checksum = checksum_of(&out);
        out[4..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        out.freeze()
    }

    /// Reads what [`MessageRecord::encode`] wrote. The body shares the memory of `bytes`.
    ///
    /// # Errors
    /// Truncated, damaged or newer bytes; never a panic, whatever the bytes are.
    pub fn decode(bytes: &Bytes) -> Result<MessageRecord, RecordError> {
        let mut fields = Fields { reader: Reader::new(bytes), length: bytes.len() };
        let version = fields.need("the version", Reader::u8)?;
        if version == 0 || version > VERSION {
            return Err(RecordError::Version { version, newest: VERSION });
        }
        let body_encoding = match fields.need("the body's encoding", Reader::u8)? {
            0 => BodyEncoding::Identity,
            1 => BodyEncoding::Gzip,
            _ => return Err(RecordError::Malformed { what: "body encoding" }),
        };
        fields.need("the header", Reader::u16)?;
        let stored = fields.need("the checksum", Reader::u32)?;
        let computed = checksum_of(bytes);
        if stored != computed {
            return Err(RecordError::Checksum { stored, computed });
        }
        let topic = fields.text("topic")?;
        let message_id = fields.text("message id")?;
        let born_host = fields.text("born host")?;
        let store_host = fields.text("store host")?;
        let presence = fields.need("the presence byte", Reader::u8)?;
        let tag = fields.optional(presence & HAS_TAG, "tag")?;
        let message_group = fields.optional(presence & HAS_MESSAGE_GROUP, "message group")?;
        let trace_context = fields.optional(presence & HAS_TRACE_CONTEXT, "trace context")?;
        let due_ms = match presence & HAS_DUE {
            0 => None,
            _ => Some(fields.need("due time", Reader::varint)?),
        };
        let priority = match presence & HAS_PRIORITY {
            0 => None,
            _ => Some(fields.need("priority", Reader::varint32)?),
        };
        let lite_topic = fields.optional(presence & HAS_LITE_TOPIC, "lite topic")?;
        let mut keys = Vec::new();
        for _ in 0..fields.need("the number of keys", Reader::varint)? {
            keys.push(fields.text("key")?);
        }
        let mut properties = Vec::new();
        for _ in 0..fields.need("the number of properties", Reader::varint)? {
            properties.push((fields.text("property name")?, fields.text("property value")?));
        }
        let born_ms = fields.need("the time of birth", Reader::varint)?;
        let body = bytes.slice(fields.reader.at()..);
        Ok(MessageRecord {
            topic,
            message_id,
            tag,
            keys,
            message_group,
            properties,
            trace_context,
            due_ms,
            half: presence & IS_HALF != 0,
            priority,
            lite_topic,
            born_host,
            born_ms,
            store_host,
            body_encoding,
            body,
        })
    }

    /// Whether bytes are a record with the checksum that it was written with.
    pub fn is_intact(bytes: &[u8]) -> bool {
        let stored = bytes.get(4..HEADER_BYTES).and_then(|stored| stored.try_into().ok());
        stored.is_some_and(|stored| u32::from_le_bytes(stored) == checksum_of(bytes))
    }

    fn waiting_bits(&self) -> u8 {
        let bits = [
            (self.due_ms.is_some(), HAS_DUE),
            (self.half, IS_HALF),
            (self.priority.is_some(), HAS_PRIORITY),
            (self.lite_topic.is_some(), HAS_LITE_TOPIC),
        ];
        bits.iter().filter(|(there, _)| *there).fold(0, |bits, (_, bit)| bits | bit)
    }

    /// The message id, read from the first bytes of a record without a look at its checksum: to tell
    /// records apart that are not wanted. `None` if the bytes do not reach so far.
    pub fn peek_id(bytes: &[u8]) -> Option<&str> {
        let mut reader = Reader::new(bytes);
        reader.take(HEADER_BYTES)?;
        reader.bytes()?;
        std::str::from_utf8(reader.bytes()?).ok()
    }

    fn encoding_byte(&self) -> u8 {
        match self.body_encoding {
            BodyEncoding::Identity => 0,
            BodyEncoding::Gzip => 1,
        }
    }
}

/// CRC32C of everything but the checksum itself.
fn checksum_of(bytes: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(&bytes[..4]);
    digest.update(&bytes[HEADER_BYTES..]);
    digest.finalize() as u32
}

/// A reader that names the part which is missing.
struct Fields<'a> {
    reader: Reader<'a>,
    length: usize,
}

impl<'a> Fields<'a> {
    fn need<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Option<T>,
    ) -> Result<T, RecordError> {
        read(&mut self.reader).ok_or(RecordError::Truncated { what, at: self.length })
    }

    fn text(&mut self, what: &'static str) -> Result<String, RecordError> {
        let bytes = self.need(what, Reader::bytes)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| RecordError::Malformed { what })
    }

    fn optional(&mut self, present: u8, what: &'static str) -> Result<Option<String>, RecordError> {
        if present == 0 { Ok(None) } else { self.text(what).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{BodyEncoding, MessageRecord, RecordError};

    fn example() -> MessageRecord {
        MessageRecord {
            topic: "orders".into(),
            message_id: "01A2".into(),
            tag: Some("paid".into()),
            keys: vec!["k1".into(), "k2".into()],
            message_group: Some("customer-7".into()),
            properties: vec![("a".into(), "1".into())],
            trace_context: None,
            due_ms: None,
            half: false,
            priority: None,
            lite_topic: None,
            born_host: "host".into(),
            born_ms: 1_700_000_000_000,
            store_host: "127.0.0.1:8081".into(),
            body_encoding: BodyEncoding::Gzip,
            body: Bytes::from_static(b"hello"),
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_bytes_of_a_record_are_part_of_the_format() {
        assert_eq!(
            hex(&example().encode()),
            "01010000456d4f1e066f7264657273043031413204686f73740e3132372e302e302e313a383038310304706169640a\
             637573746f6d65722d3702026b31026b32010161013180d095ffbc3168656c6c6f"
        );
    }

    #[test]
    fn the_body_shares_the_memory_of_the_record() {
        let bytes = example().encode();
        let body = MessageRecord::decode(&bytes).unwrap().body;
        assert_eq!(body.as_ptr(), bytes[bytes.len() - 5..].as_ptr());
    }

    #[test]
    fn every_flipped_bit_is_detected() {
        let bytes = example().encode();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.to_vec();
                damaged[at] ^= 1 << bit;
                let result = MessageRecord::decode(&damaged.into());
                assert!(result.is_err(), "bit {bit} of byte {at} flipped, and nobody noticed");
            }
        }
    }

    #[test]
    fn every_truncation_is_detected() {
        let bytes = example().encode();
        for end in 0..bytes.len() {
            assert!(MessageRecord::decode(&bytes.slice(..end)).is_err(), "cut at {end}");
        }
        let short = MessageRecord::decode(&bytes.slice(..3));
        assert_eq!(short, Err(RecordError::Truncated { what: "the header", at: 3 }));
    }

    fn records() -> impl Strategy<Value = MessageRecord> {
        let texts = (".*", ".*", ".*", ".*");
        let optional = (any::<Option<String>>(), any::<Option<String>>(), any::<Option<String>>());
        let waiting = (any::<Option<u64>>(), any::<bool>(), any::<Option<u32>>(), any::<Option<String>>());
        let optional = (optional, waiting);
        let lists = (any::<Vec<String>>(), any::<Vec<(String, String)>>());
        (texts, optional, lists, any::<u64>(), any::<bool>(), any::<Vec<u8>>()).prop_map(
            |(texts, (optional, waiting), lists, born_ms, gzip, body)| MessageRecord {
                topic: texts.0,
                message_id: texts.1,
                tag: optional.0,
                keys: lists.0,
                message_group: optional.1,
                properties: lists.1,
                trace_context: optional.2,
                due_ms: waiting.0,
                half: waiting.1,
                priority: waiting.2,
                lite_topic: waiting.3,
                born_host: texts.2,
                born_ms,
                store_host: texts.3,
                body_encoding: if gzip { BodyEncoding::Gzip } else { BodyEncoding::Identity },
                body: body.into(),
            },
        )
    }

    proptest! {
        #[test]
        fn a_record_survives_its_encoding(record in records()) {
            prop_assert_eq!(MessageRecord::decode(&record.encode()), Ok(record));
        }

        #[test]
        fn any_bytes_are_decoded_without_panic(bytes in any::<Vec<u8>>()) {
            let _ = MessageRecord::decode(&bytes.into());
        }
    }
}
