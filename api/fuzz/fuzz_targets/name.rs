//! Names of topics, consumer groups, lite topics and groups of replicas.
#![no_main]

use api::check::{message, name};
use libfuzzer_sys::fuzz_target;
use raft::names::GroupId;

fuzz_target!(|text: &str| {
    for checked in [name::topic(text), name::group(text), message::lite_topic(text)] {
        if checked.is_ok() {
            let harmless = |letter: char| letter.is_ascii_alphanumeric() || "_-%|.".contains(letter);
            assert!(text.chars().all(harmless), "{text:?} is no name");
        }
    }
    if let Some(group) = GroupId::parse(text) {
        assert_eq!(group.to_string(), text, "a group has one name");
    }
});
