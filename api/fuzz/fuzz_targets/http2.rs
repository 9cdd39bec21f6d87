//! What comes over a connection of the client port: HTTP/2, or anything else. Whoever sends it holds nothing when he is gone.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((first, bytes)) = data.split_first() {
        api::fuzzing::http2(bytes, first % 4 != 0);
    }
});
