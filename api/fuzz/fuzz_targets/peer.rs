//! What other nodes say: the first byte chooses the message.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| raft::fuzzing::peer_message(data));
