//! Tag filters.
#![no_main]

use api::delivery::filter;
use libfuzzer_sys::fuzz_target;
use proto::v2::{FilterExpression, FilterType};

fuzz_target!(|text: &str| {
    let wrapped = FilterExpression { r#type: FilterType::Tag.into(), expression: text.to_owned() };
    if filter::parse(Some(&wrapped)).is_ok() {
        let _ = filter::lets_through(&wrapped, 7, &bytes::Bytes::new());
    }
});
