//! `ledgermq log messages`

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use raft::command::{Command, Commands};
use raft::names::{GroupId, QueueKey};
use serde_json::{Value, json};
use store::commit_log::{FrameKind, FrameLine, Inspection};
use store::record::MessageRecord;

use super::exit::Failure;
use super::log::{failure, logs, open};

/// Entries under one digest. The digests of two replicas begin and end at the same entries.
const DIGEST_ENTRIES: u64 = 1024;

/// `ledgermq log messages ...`
#[derive(Debug, Args)]
pub struct MessagesArgs {
    /// A data directory, or the directory of one log. No node may be using it
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// Digests of the log's bytes end at this entry; without it at the last one that is known to be committed
    #[arg(long, value_name = "INDEX")]
    digest_up_to: Option<u64>,
    /// How to print
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// How to print a line for each message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs: a JSON object a line
    Jsonl,
}

impl MessagesArgs {
    pub fn run(self) -> Result<(), Failure> {
        let out = std::io::stdout().lock();
        let mut printer = Printer { out: BufWriter::new(out), format: self.output };
        for directory in logs(&self.path)? {
            let log = open(&directory)?;
            // What `meta` has is no messages.
            if log.identity.group == GroupId::META.0 {
                continue;
            }
            one_log(&directory, &log, self.digest_up_to, &mut printer)?;
        }
        printer.end();
        Ok(())
    }
}

/// Prints to a reader that may have gone away (`| head`): then the process ends quietly.
struct Printer<W: Write> {
    out: BufWriter<W>,
    format: Format,
}

impl<W: Write> Printer<W> {
    fn line(&mut self, value: impl FnOnce() -> Value, text: impl FnOnce() -> String) {
        let line = match self.format {
            Format::Jsonl => value().to_string(),
            Format::Text => text(),
        };
        if writeln!(self.out, "{line}").is_err() {
            std::process::exit(0);
        }
    }

    fn end(&mut self) {
        if self.out.flush().is_err() {
            std::process::exit(0);
        }
    }
}

fn one_log<W: Write>(
    directory: &Path,
    log: &Inspection,
    digest_up_to: Option<u64>,
    printer: &mut Printer<W>,
) -> Result<(), Failure> {
    let committed = log.committed.map_or(0, |mark| mark.index);
    let mut digests = Digests::new(digest_up_to.unwrap_or(committed));
    let (mut first, mut last) = (None, 0);
    let mut wrong = None;
    let read = log.for_each_body(|frame, body| {
        first.get_or_insert(frame.header.index);
        last = frame.header.index;
        digests.add(&frame, &body);
        if frame.header.kind == FrameKind::Commands
            && let Err(reason) = records(&frame, &body, printer)
        {
            wrong = Some(format!("{}: entry {}: {reason}", directory.display(), frame.header.index));
            return false;
        }
        true
    });
    read.map_err(|error| failure(directory, error))?;
    if let Some(wrong) = wrong {
        return Err(Failure::Failed(wrong));
    }
    for digest in digests.finish() {
        printer.line(
            || json!({ "digest": digest.value() }),
            || format!("entries {} to {}: digest {:016x}", digest.from, digest.to, digest.hash.0),
        );
    }
    let (node, group, first) = (log.identity.node, log.identity.group, first.unwrap_or(0));
    printer.line(
        || {
            json!({ "log": {
                "directory": directory, "node": node, "group": group, "first_index": first,
                "last_index": last, "committed_index": committed,
            } })
        },
        || format!("{}: entries {first} to {last}, committed {committed}", directory.display()),
    );
    Ok(())
}

/// Prints the records of a frame, or says why one cannot be read.
fn records<W: Write>(frame: &FrameLine, body: &Bytes, printer: &mut Printer<W>) -> Result<(), String> {
    for command in Commands::new(body) {
        let (at, command) = command.map_err(|error| error.to_string())?;
        let (queue, bytes) = match command {
            Command::Publish(publish) => (Some(publish.queue), publish.record),
            Command::Carry { record, .. } if !record.is_empty() => (None, record),
            _ => continue,
        };
        let record = MessageRecord::decode(&bytes).map_err(|error| format!("byte {at}: {error}"))?;
        printer.line(|| value(frame, queue, &record), || text(frame, queue, &record));
    }
    Ok(())
}

fn kind(record: &MessageRecord) -> &'static str {
    match record {
        MessageRecord { half: true, .. } => "transaction",
        MessageRecord { due_ms: Some(_), .. } => "delay",
        MessageRecord { lite_topic: Some(_), .. } => "lite",
        MessageRecord { priority: Some(_), .. } => "priority",
        MessageRecord { message_group: Some(_), .. } => "fifo",
        _ => "normal",
    }
}

fn value(frame: &FrameLine, queue: Option<QueueKey>, record: &MessageRecord) -> Value {
    let header = &frame.header;
    json!({ "record": {
        "index": header.index, "term": header.term, "position": header.position.0,
        "topic": record.topic, "queue": queue.map(|queue| queue.number), "kind": kind(record),
        "message": record.message_id, "message_group": record.message_group, "keys": record.keys,
        "body": Fnv::of(&record.body).0, "body_bytes": record.body.len(), "carried": queue.is_none(),
    } })
}

fn text(frame: &FrameLine, queue: Option<QueueKey>, record: &MessageRecord) -> String {
    let place = match queue {
        Some(queue) => format!("queue {}", queue.number),
        None => "carried".to_owned(),
    };
    format!(
        "{} {} {place} {} {} {} bytes {:016x}",
        frame.header.index,
        record.topic,
        kind(record),
        record.message_id,
        record.body.len(),
        Fnv::of(&record.body).0
    )
}

/// FNV-1a of 64 bits: a digest that other programs can make in three lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fnv(u64);

impl Fnv {
    const EMPTY: Fnv = Fnv(0xcbf2_9ce4_8422_2325);

    fn of(bytes: &[u8]) -> Fnv {
        Fnv::EMPTY.and(bytes)
    }

    fn and(self, bytes: &[u8]) -> Fnv {
        Fnv(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)))
    }
}

/// The digest of some entries: what replicas must have in common, header by header and body by body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digest {
    from: u64,
    to: u64,
    bytes: u64,
    hash: Fnv,
}

impl Digest {
    fn value(&self) -> Value {
        let hash = format!("{:016x}", self.hash.0);
        json!({ "from_index": self.from, "to_index": self.to, "bytes": self.bytes, "digest": hash })
    }
}

/// Digests of a log, each over entries whose numbers begin with a multiple of [`DIGEST_ENTRIES`].
#[derive(Debug)]
struct Digests {
    up_to: u64,
    done: Vec<Digest>,
    open: Option<Digest>,
}

impl Digests {
    fn new(up_to: u64) -> Digests {
        Digests { up_to, done: Vec::new(), open: None }
    }

    fn add(&mut self, frame: &FrameLine, body: &[u8]) {
        let header = &frame.header;
        if header.index > self.up_to {
            return;
        }
        if header.index.is_multiple_of(DIGEST_ENTRIES) {
            self.done.extend(self.open.take());
        }
        let open = self.open.get_or_insert(Digest {
            from: header.index,
            to: header.index,
            bytes: 0,
            hash: Fnv::EMPTY,
        });
        let numbers =
            [header.index, header.term, header.leader, header.position.0, header.stamp_ms, body.len() as u64];
        let hash = numbers.iter().fold(open.hash, |hash, number| hash.and(&number.to_le_bytes()));
        open.to = header.index;
        open.bytes += header.encoded_len();
        open.hash = hash.and(&[header.kind as u8]).and(body);
    }

    fn finish(mut self) -> Vec<Digest> {
        self.done.extend(self.open.take());
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_fnv_1a() {
        assert_eq!(Fnv::of(b""), Fnv(0xcbf2_9ce4_8422_2325));
        assert_eq!(Fnv::of(b"a"), Fnv(0xaf63_dc4c_8601_ec8c));
        assert_eq!(Fnv::of(b"foo").and(b"bar"), Fnv(0x8594_4171_f739_67e8));
    }
}
