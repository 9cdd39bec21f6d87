//! A message as the log keeps it: written once, at the edge, and never rewritten.

use bytes::Bytes;
use thiserror::Error;

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
