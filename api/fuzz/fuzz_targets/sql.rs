//! SQL92 filters, up to the first zero byte, over properties that follow.
#![no_main]

use api::delivery::filter;
use libfuzzer_sys::fuzz_target;
use proto::v2::{FilterExpression, FilterType};
use raft::filter::SqlFilter;
use store::record::MessageRecord;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let text = parts.next().unwrap_or_default().into_owned();
    let wrapped = FilterExpression { r#type: FilterType::Sql.into(), expression: text.clone() };
    let parsed = SqlFilter::parse(&text);
    assert_eq!(filter::parse(Some(&wrapped)).is_ok(), parsed.is_ok(), "edge and leader agree on {text:?}");
    let Ok(parsed) = parsed else { return };
    let names: Vec<String> = parts.map(|part| part.into_owned()).collect();
    let properties = names.chunks(2).filter(|pair| pair.len() == 2);
    let message = MessageRecord {
        properties: properties.map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
        ..MessageRecord::default()
    };
    let verdict = parsed.matches(&message);
    assert_eq!(verdict, parsed.matches(&message), "a verdict does not change");
});
