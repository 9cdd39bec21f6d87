//! Frames as they come over the wire or from a disk: refused, or exactly what was read.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use store::commit_log::{Frame, FrameHeader};
use store::record::MessageRecord;

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(header) = FrameHeader::decode(data) {
        assert_eq!(header.encode()[..], data[..header.encode().len()], "a header that is read is what was written");
    }
    if let Ok(frame) = Frame::decode(bytes.clone()) {
        assert_eq!(frame.to_wire(), bytes, "a frame that is read is what was written");
    }
    let mut rest = bytes.clone();
    while Frame::decode_next(&mut rest).is_ok() {}
    let _ = MessageRecord::decode(&bytes);
});
