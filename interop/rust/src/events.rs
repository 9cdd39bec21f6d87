//! The history: one JSON line an event.

use serde_json::{json, Value};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds of the wall clock.
pub fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64
}

pub struct History {
    // Several tasks write; a line must stay whole.
    file: Mutex<File>,
    client: String,
}

impl History {
    pub fn open(path: &str, client: &str) -> History {
        let file = OpenOptions::new().create(true).append(true).open(path).expect("a writable history");
        History { file: Mutex::new(file), client: client.to_owned() }
    }

    pub fn write(&self, mut event: Value) {
        event["client"] = json!(self.client);
        let mut file = self.file.lock().expect("no writer panicked");
        writeln!(file, "{event}").expect("the history is writable");
    }
}
