//! Messages as a client sends them, with every property there is.
#![no_main]

use std::time::Duration;

use api::check::message::{MessageLimits, message};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|data: &[u8]| {
    let Ok(sent) = proto::v2::Message::decode(data) else { return };
    let limits = MessageLimits { body_bytes: 1 << 20, max_delay: Duration::from_secs(365 * 86_400) };
    if message(&sent, limits).is_ok() {
        let system = sent.system_properties.as_ref().expect("a message that is taken has an id");
        assert!(!system.message_id.is_empty() && sent.body.len() <= limits.body_bytes);
    }
});
