//! `ledgermq log`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use store::commit_log::{CheckReport, FrameLine, Inspection, LogMark, OpenError};
use store::disk::RealDisk;

use super::exit::Failure;
use super::log_messages::MessagesArgs;
use super::output::{OutputArgs, progress, table};

/// The file that a log's directory has.
const IDENTITY_FILE: &str = "identity";
/// How deep below a data directory logs lie at most.
const DEPTH_MAX: usize = 4;

/// `ledgermq log ...`
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Show what a log holds: its segments, its vote, how far it is durable
    #[command(after_help = "Examples:
  ledgermq log inspect ledgermq-data
  ledgermq log inspect ledgermq-data --frames 20 -o json")]
    Inspect {
        #[command(flatten)]
        directory: DirectoryArgs,
        /// The last so many frames of each log too
        #[arg(long, default_value_t = 0, value_name = "N")]
        frames: usize,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Read every byte of a log and compare every checksum
    #[command(after_help = "Example:
  ledgermq log check ledgermq-data

Exits with 1 when something is damaged.")]
    Check {
        #[command(flatten)]
        directory: DirectoryArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// List every message in the logs of a node that does not run, and digests to compare replicas by
    #[command(after_help = "Examples:
  ledgermq log messages ledgermq-data
  ledgermq log messages ledgermq-data --digest-up-to 9000 -o jsonl

With jsonl each line is an object with one member: a record (entry, topic, queue, kind, message id, digest of the
body; carried: retention copied it), a digest (of up to 1024 entries, to compare with another replica's) or, at the
end of each log, log. Digests are FNV-1a of 64 bits.")]
    Messages(MessagesArgs),
}

/// Where logs are.
#[derive(Debug, Args)]
pub struct DirectoryArgs {
    /// A data directory, or the directory of one log
    #[arg(value_name = "DIR")]
    path: PathBuf,
}

impl LogCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            LogCommand::Inspect { directory, frames, output } => inspect(&directory.path, frames, output),
            LogCommand::Check { directory, output } => check(&directory.path, output),
            LogCommand::Messages(arguments) => arguments.run(),
        }
    }
}

pub(super) fn open(directory: &Path) -> Result<Inspection, Failure> {
    Inspection::open(Arc::new(RealDisk), directory).map_err(|error| failure(directory, error))
}

pub(super) fn failure(directory: &Path, error: OpenError) -> Failure {
    match &error {
        OpenError::Io { source, .. } => {
            Failure::io(format!("read the log in {}", directory.display()), source)
        }
        _ => Failure::Failed(format!("{}: {error}", directory.display())),
    }
}

/// The logs at or below a directory, in the order of their paths.
pub(super) fn logs(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    find(path, DEPTH_MAX, &mut found)
        .map_err(|error| Failure::io(format!("read the directory {}", path.display()), &error))?;
    found.sort();
    match found.is_empty() {
        true => Err(Failure::Nothing(format!("no log in {}: name a node's data directory", path.display()))),
        false => Ok(found),
    }
}

fn find(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.join(IDENTITY_FILE).is_file() {
        found.push(path.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find(&entry.path(), depth - 1, found)?;
        }
    }
    Ok(())
}

fn mark(mark: Option<LogMark>) -> Value {
    mark.map_or(Value::Null, |mark| json!({ "index": mark.index, "term": mark.term }))
}

fn inspect(path: &Path, frames: usize, output: OutputArgs) -> Result<(), Failure> {
    let mut values = Vec::new();
    let mut text = String::new();
    for directory in logs(path)? {
        let log = open(&directory)?;
        let tail = last_frames(&directory, &log, frames)?;
        text.push_str(&describe(&directory, &log));
        let rows: Vec<_> = log
            .segments
            .iter()
            .map(|segment| {
                let state = if segment.sealed { "sealed" } else { "open" };
                let bytes = segment.end.bytes_since(segment.base);
                [segment.name.clone(), segment.base_index.to_string(), bytes.to_string(), state.to_owned()]
            })
            .collect();
        text.push_str(&table(["SEGMENT", "FIRST INDEX", "BYTES", "STATE"], &rows));
        if !tail.is_empty() {
            text.push('\n');
            text.push_str(&frame_table(&tail));
        }
        text.push('\n');
        values.push(value(&directory, &log, &tail));
    }
    output.print(&json!({ "logs": values }), || text);
    Ok(())
}

/// What `log inspect` prints, as values, without where the logs are.
pub(super) fn heads(path: &Path, frames: usize) -> Result<Vec<Value>, Failure> {
    let mut values = Vec::new();
    for directory in logs(path)? {
        let log = open(&directory)?;
        let tail = last_frames(&directory, &log, frames)?;
        let mut head = value(&directory, &log, &tail);
        head.as_object_mut().expect("made as an object").remove("directory");
        values.push(head);
    }
    Ok(values)
}

fn describe(directory: &Path, log: &Inspection) -> String {
    let index = |mark: Option<LogMark>| mark.map_or("-".to_owned(), |mark| mark.index.to_string());
    let mut text = format!(
        "{}\n  {}; durable to {}; committed {}; purged {}; vote {}\n",
        directory.display(),
        log.identity,
        log.durable.0,
        index(log.committed),
        index(log.purged),
        log.ballot.map_or("-".to_owned(), |ballot| format!("{ballot:?}")),
    );
    if let Some(torn) = &log.torn {
        text.push_str(&format!("  the next start cuts off a torn tail: {torn:?}\n"));
    }
    text
}

fn value(directory: &Path, log: &Inspection, tail: &[FrameLine]) -> Value {
    let segments = log.segments.iter().map(|segment| {
        json!({
            "name": segment.name, "base": segment.base.0, "end": segment.end.0,
            "base_index": segment.base_index, "sealed": segment.sealed,
            "previous": mark(segment.previous), "after_reset": segment.after_reset,
        })
    });
    let frames = tail.iter().map(|frame| {
        let header = &frame.header;
        json!({
            "segment": frame.segment, "index": header.index, "term": header.term, "leader": header.leader,
            "position": header.position.0, "kind": format!("{:?}", header.kind).to_ascii_lowercase(),
            "stored_unix_ms": header.stamp_ms, "records": header.record_count, "body_bytes": header.body_len,
        })
    });
    json!({
        "directory": directory, "cluster": log.identity.cluster, "node": log.identity.node,
        "group": log.identity.group, "durable": log.durable.0, "committed": mark(log.committed),
        "purged": mark(log.purged), "torn": log.torn.as_ref().map(|torn| format!("{torn:?}")),
        "segments": segments.collect::<Vec<_>>(), "frames": frames.collect::<Vec<_>>(),
    })
}

fn last_frames(directory: &Path, log: &Inspection, count: usize) -> Result<Vec<FrameLine>, Failure> {
    let mut tail = std::collections::VecDeque::new();
    if count > 0 {
        let read = log.for_each_frame(|frame| {
            if tail.len() == count {
                tail.pop_front();
            }
            tail.push_back(frame);
            true
        });
        read.map_err(|error| failure(directory, error))?;
    }
    Ok(tail.into())
}

fn frame_table(frames: &[FrameLine]) -> String {
    let rows: Vec<_> = frames
        .iter()
        .map(|frame| {
            let header = &frame.header;
            [
                header.index.to_string(),
                header.term.to_string(),
                header.leader.to_string(),
                format!("{:?}", header.kind).to_ascii_lowercase(),
                header.record_count.to_string(),
                header.body_len.to_string(),
                super::moment::print_unix_ms(header.stamp_ms as i64),
            ]
        })
        .collect();
    table(["INDEX", "TERM", "LEADER", "KIND", "RECORDS", "BYTES", "STORED"], &rows)
}

fn check(path: &Path, output: OutputArgs) -> Result<(), Failure> {
    let mut values = Vec::new();
    let mut text = String::new();
    let mut damages = 0;
    for directory in logs(path)? {
        let log = open(&directory)?;
        let total = log.segments.iter().map(|segment| segment.end.bytes_since(segment.base)).sum();
        let bar = progress(total, "checking");
        let report = log.check(|bytes| bar.inc(bytes)).map_err(|error| failure(&directory, error))?;
        bar.finish_and_clear();
        damages += report.damages.len();
        text.push_str(&verdict(&directory, &report));
        let wrong: Vec<_> = report
            .damages
            .iter()
            .map(|damage| {
                json!({ "segment": damage.segment, "position": damage.position.0, "reason": damage.reason })
            })
            .collect();
        values.push(json!({
            "directory": directory, "segments": report.segments, "frames": report.frames,
            "bytes": report.bytes, "damages": wrong, "torn": report.torn.map(|torn| format!("{torn:?}")),
        }));
    }
    output.print(&json!({ "logs": values, "sound": damages == 0 }), || text);
    match damages {
        0 => Ok(()),
        1 => Err(Failure::Failed("one place is damaged".to_owned())),
        many => Err(Failure::Failed(format!("{many} places are damaged"))),
    }
}

fn verdict(directory: &Path, report: &CheckReport) -> String {
    let state = if report.damages.is_empty() { "sound" } else { "DAMAGED" };
    let mut text = format!(
        "{}: {state}; {} segments, {} frames, {} bytes\n",
        directory.display(),
        report.segments,
        report.frames,
        report.bytes
    );
    for damage in &report.damages {
        text.push_str(&format!("  {damage}\n"));
    }
    if let Some(torn) = &report.torn {
        text.push_str(&format!("  the next start cuts off a torn tail, which was never synced: {torn:?}\n"));
    }
    text
}
