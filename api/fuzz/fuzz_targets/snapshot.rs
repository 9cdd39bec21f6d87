//! What a snapshot says of itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use store::snapshot::SnapshotMeta;

fuzz_target!(|data: &[u8]| {
    if let Ok(meta) = SnapshotMeta::decode(data) {
        assert_eq!(SnapshotMeta::decode(&meta.encode()).as_ref(), Ok(&meta), "it reads what it writes");
    }
});
