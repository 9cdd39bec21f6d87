//! A pulled message for its client: as a delivered one, but nobody holds it.

use std::time::Duration;

use bytes::Bytes;
use proto::v2::Message;
use raft::names::{ConsumerId, GroupId, QueueKey, QueueOffset};
use raft::question::MessagePlace;
use raft::request::{Delivered, Receipt};
use store::record::RecordError;

use super::message::{AskedTopic, delivered};

/// The message at `place`. It has no receipt: there is nothing to settle.
///
/// # Errors
/// When the record cannot be read.
pub fn pulled(
    queue: QueueKey,
    place: &MessagePlace,
    record: Bytes,
    asked: &AskedTopic,
) -> Result<Message, RecordError> {
    let offset = QueueOffset(place.offset);
    let nobody = Receipt { consumer: ConsumerId(0), queue, group: GroupId(0), offset, lease: 0, revision: 0 };
    let as_delivered =
        Delivered { receipt: nobody, attempt: 1, lease_until_ms: 0, stored_ms: place.stored_ms, record };
    let mut message = delivered(&as_delivered, asked, Duration::ZERO)?;
    if let Some(system) = &mut message.system_properties {
        system.receipt_handle = None;
        system.invisible_duration = None;
    }
    Ok(message)
}
