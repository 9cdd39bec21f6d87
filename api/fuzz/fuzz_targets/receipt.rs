//! What clients bring back: receipts, recall handles, transaction ids.
#![no_main]

use api::convert::receipt::Handle;
use api::convert::waiting::{read_recall_handle, read_transaction_id};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(handle) = Handle::decode(text) {
        assert_eq!(handle.encode(), text.to_ascii_lowercase(), "a receipt that is read is what was given out");
    }
    let _ = read_recall_handle(text);
    let _ = read_transaction_id(text);
});
