//! A `SendMessage` request that is encoded once; each call patches ids (and where wanted the names of
//! message groups or lite topics, and time stamps) into a copy.

use bytes::Bytes;
use prost::Message;
use proto::v2;

use super::{Kind, Load};
use crate::client::access::resource;
use crate::client::message_id::{ID_CHARS, MessageIds};

const NAME_CHARS: usize = 12;
/// Run and time at the beginning of a body, for end-to-end latency.
pub const STAMP_BYTES: usize = 16;

/// The request, and where in it is what.
#[derive(Clone, Debug)]
pub struct Template {
    encoded: Vec<u8>,
    ids: Vec<usize>,
    names: Vec<usize>,
    bodies: Vec<usize>,
}

/// A run and a point in time within it, as a body begins with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which run.
    pub run: u64,
    /// Nanoseconds since the run began.
    pub at_ns: u64,
}

impl Stamp {
    /// From the beginning of a body.
    pub fn read(body: &[u8]) -> Option<Stamp> {
        let word = |from: usize| Some(u64::from_le_bytes(body.get(from..from + 8)?.try_into().ok()?));
        Some(Stamp { run: word(0)?, at_ns: word(8)? })
    }

    fn write(self, body: &mut [u8]) {
        body[..8].copy_from_slice(&self.run.to_le_bytes());
        body[8..STAMP_BYTES].copy_from_slice(&self.at_ns.to_le_bytes());
    }
}

impl Template {
    /// For the messages of a load.
    pub fn new(load: &Load) -> Template {
        let messages = (0..load.batch).map(|index| placeholder(load, index)).collect();
        let encoded = v2::SendMessageRequest { messages }.encode_to_vec();
        let find = |mark: &[u8]| {
            let found = encoded.windows(mark.len()).position(|window| window == mark);
            found.unwrap_or_else(|| panic!("the encoded request lacks {}", mark.escape_ascii()))
        };
        let ids = (0..load.batch).map(|index| find(id_mark(index).as_bytes())).collect();
        let names = match load.kind.names() {
            0 => Vec::new(),
            _ => (0..load.batch).map(|index| find(name_mark(index).as_bytes())).collect(),
        };
        let bodies = match load.size >= STAMP_BYTES {
            true => (0..load.batch).map(|index| find(&body_mark(index))).collect(),
            false => Vec::new(),
        };
        Template { encoded, ids, names, bodies }
    }

    /// The next request. `name` numbers the first message's group or lite topic of `names`; the others follow.
    pub fn request(&self, ids: &MessageIds, name: u64, names: u32, stamp: Option<Stamp>) -> Bytes {
        let mut bytes = self.encoded.clone();
        for at in &self.ids {
            ids.write(&mut bytes[*at..at + ID_CHARS]);
        }
        for (offset, at) in self.names.iter().enumerate() {
            let number = (name + offset as u64) % u64::from(names.max(1));
            write_decimal(number, &mut bytes[at + 2..at + NAME_CHARS]);
        }
        if let Some(stamp) = stamp {
            assert_eq!(self.bodies.len(), self.ids.len(), "bodies are too short for a time stamp");
            for at in &self.bodies {
                stamp.write(&mut bytes[*at..at + STAMP_BYTES]);
            }
        }
        bytes.into()
    }
}

fn placeholder(load: &Load, index: usize) -> v2::Message {
    let mut body = vec![b'x'; load.size];
    if load.size >= STAMP_BYTES {
        body[..STAMP_BYTES].copy_from_slice(&body_mark(index));
    }
    let now = std::time::SystemTime::now();
    let mut system = v2::SystemProperties {
        message_id: id_mark(index),
        message_type: v2::MessageType::Normal as i32,
        body_encoding: v2::Encoding::Identity as i32,
        born_timestamp: Some(now.into()),
        born_host: "localhost".to_owned(),
        ..Default::default()
    };
    match load.kind {
        Kind::Normal => {}
        Kind::Fifo { .. } => {
            system.message_type = v2::MessageType::Fifo as i32;
            system.message_group = Some(name_mark(index));
        }
        Kind::Delayed(delay) => {
            system.message_type = v2::MessageType::Delay as i32;
            system.delivery_timestamp = Some((now + delay).into());
        }
        Kind::Half { .. } => system.message_type = v2::MessageType::Transaction as i32,
        Kind::Lite { .. } => {
            system.message_type = v2::MessageType::Lite as i32;
            system.lite_topic = Some(name_mark(index));
        }
    }
    v2::Message {
        topic: Some(resource(&load.topic)),
        system_properties: Some(system),
        body: body.into(),
        ..Default::default()
    }
}

fn id_mark(index: usize) -> String {
    format!("<message id {index:021}>")
}

fn name_mark(index: usize) -> String {
    format!("g-{index:010}")
}

fn body_mark(index: usize) -> [u8; STAMP_BYTES] {
    let mut mark = *b"<body ..........";
    write_decimal(index as u64, &mut mark[6..]);
    mark
}

fn write_decimal(mut number: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashSet;

    use super::*;

    pub fn load(size: usize, batch: usize, message_groups: u32) -> Load {
        Load {
            headers: crate::client::access::Headers::new(None).unwrap(),
            endpoint: "127.0.0.1:1".parse().unwrap(),
            direct: true,
            topic: "t".into(),
            queues: 8,
            group: "g".into(),
            size,
            batch,
            in_flight: 8,
            connections: 2,
            rate: 0,
            seconds: 1,
            warm_up: 0,
            messages: None,
            kind: match message_groups {
                0 => Kind::Normal,
                _ => Kind::Fifo { message_groups },
            },
            hold: None,
        }
    }

    #[test]
    fn every_request_is_valid_and_has_its_own_ids() {
        let ids = MessageIds::new();
        let template = Template::new(&load(100, 3, 2));
        let stamp = Stamp { run: 7, at_ns: 99 };
        let mut seen = HashSet::new();
        for call in 0..4 {
            let request = template.request(&ids, call, 2, Some(stamp));
            let request = v2::SendMessageRequest::decode(request).unwrap();
            assert_eq!(request.messages.len(), 3);
            for (index, message) in request.messages.iter().enumerate() {
                let system = message.system_properties.as_ref().unwrap();
                assert!(seen.insert(system.message_id.clone()), "{} came twice", system.message_id);
                assert!(system.message_id.starts_with("01"), "{}", system.message_id);
                let group = (call + index as u64) % 2;
                assert_eq!(system.message_group(), format!("g-{group:010}"));
                assert_eq!(message.body.len(), 100);
                assert_eq!(Stamp::read(&message.body), Some(stamp));
            }
        }
    }

    #[test]
    fn small_bodies_have_no_stamp() {
        let request = Template::new(&load(1, 1, 0)).request(&MessageIds::new(), 0, 0, None);
        let request = v2::SendMessageRequest::decode(request).unwrap();
        assert_eq!(request.messages[0].body, "x");
        assert_eq!(request.messages[0].system_properties.as_ref().unwrap().message_group, None);
    }
}
