//! Configuration files, and overrides of the environment behind the first zero byte.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let text = parts.next().unwrap_or_default().into_owned();
    let rest: Vec<String> = parts.map(|part| part.into_owned()).collect();
    let environment = rest.chunks(2).filter(|pair| pair.len() == 2);
    let environment = environment.map(|pair| (format!("LEDGERMQ_{}", pair[0]), pair[1].clone()));
    api::fuzzing::configuration(&text, environment.collect());
});
