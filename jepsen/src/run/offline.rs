//! Every replica's log, read by `ledgermq log` while no node runs.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use checkers::history::{BytesDigest, Line, Record, Replica};
use serde::Deserialize;
use tokio::process::Command;

use super::final_reads::FinalReads;
use crate::cluster::{Binary, Brokers, broker_groups};

/// What `ledgermq log inspect -o json` says, as far as it is of use here.
#[derive(Debug, Deserialize)]
struct Inspected {
    logs: Vec<InspectedLog>,
}

#[derive(Debug, Deserialize)]
struct InspectedLog {
    group: u32,
    committed: Option<Mark>,
}

#[derive(Debug, Deserialize)]
struct Mark {
    index: u64,
}

/// A line of `ledgermq log messages -o jsonl`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Log(SaidLog),
    Record(SaidRecord),
    Digest(BytesDigest),
}

#[derive(Debug, Deserialize)]
struct SaidLog {
    first_index: u64,
    last_index: u64,
    committed_index: u64,
}

#[derive(Debug, Deserialize)]
struct SaidRecord {
    index: u64,
    topic: String,
    message: String,
    body: u64,
    message_group: Option<String>,
    carried: bool,
}

/// A record as replicas share it.
type Shared = (u64, String, u64, bool, u32);

/// Reads the logs of all broker groups on all nodes, and adds their lines.
pub async fn read(binary: &Binary, brokers: &Brokers, reads: &mut FinalReads) {
    for group in broker_groups(brokers.shape().broker_groups) {
        read_group(binary, brokers, &group, reads).await;
    }
}

async fn read_group(binary: &Binary, brokers: &Brokers, group: &str, reads: &mut FinalReads) {
    let mut committed = Vec::new();
    for node in 1..=brokers.size() {
        match inspect(binary, &brokers.data(node), group).await {
            Ok(index) => committed.push(index),
            // What is wrong is said when the log is read.
            Err(error) => tracing::debug!(node, "{error:#}"),
        }
    }
    // The same bounds for all: up to where all know of commitment.
    let up_to = committed.into_iter().min().unwrap_or(0);
    let mut records: HashMap<Shared, Record> = HashMap::new();
    for node in 1..=brokers.size() {
        let log = brokers.data(node).join("groups").join(group).join("log");
        let replica = match messages(binary, group, &log, up_to).await {
            Ok((replica, said)) => {
                share(group, node as u32, said, &mut records);
                Replica { node: node as u32, ..replica }
            }
            Err(error) => Replica {
                node: node as u32,
                group: group.to_owned(),
                first_index: 0,
                last_index: 0,
                committed_index: 0,
                bytes: Vec::new(),
                unreadable: Some(format!("{error:#}")),
            },
        };
        match &replica.unreadable {
            // Whatever happened to it, a node that serves has a sound log, or has had it rebuilt.
            Some(why) if why.contains("is damaged") => {
                reads.defects.push(format!("node {node} served with a damaged log of {group}: {why}"));
            }
            Some(why) => reads.failures.push(format!("the log of {group} on node {node}: {why}")),
            None => {}
        }
        reads.lines.push(Line::Replica(replica));
    }
    let sorted: BTreeMap<Shared, Record> = records.into_iter().collect();
    reads.lines.extend(sorted.into_values().map(Line::Record));
}

/// Notes which nodes have which records. One that is in an entry twice is told apart by a count.
fn share(group: &str, node: u32, said: Vec<SaidRecord>, records: &mut HashMap<Shared, Record>) {
    let mut counts: HashMap<(u64, String, u64, bool), u32> = HashMap::new();
    for one in said {
        let count = counts.entry((one.index, one.message.clone(), one.body, one.carried)).or_default();
        *count += 1;
        let record = records
            .entry((one.index, one.message.clone(), one.body, one.carried, *count))
            .or_insert_with(|| Record {
                nodes: Vec::new(),
                group: group.to_owned(),
                index: one.index,
                topic: one.topic,
                message: one.message,
                body: one.body,
                message_group: one.message_group,
                place: None,
                carried: one.carried,
            });
        record.nodes.push(node);
    }
}

async fn inspect(binary: &Binary, data: &Path, group: &str) -> anyhow::Result<u64> {
    let text = said(binary, &["log", "inspect", &data.display().to_string(), "-o", "json"]).await?;
    let inspected: Inspected = serde_json::from_str(&text).context("`ledgermq log inspect` said no JSON")?;
    let log = inspected.logs.iter().find(|log| format!("g{}", log.group) == group);
    let log = log.with_context(|| format!("{} has no log of {group}", data.display()))?;
    Ok(log.committed.as_ref().map_or(0, |mark| mark.index))
}

async fn messages(
    binary: &Binary,
    group: &str,
    log: &Path,
    up_to: u64,
) -> anyhow::Result<(Replica, Vec<SaidRecord>)> {
    let (log, up_to) = (log.display().to_string(), up_to.to_string());
    let text = said(binary, &["log", "messages", &log, "--digest-up-to", &up_to, "-o", "jsonl"]).await?;
    let (mut head, mut records, mut bytes) = (None, Vec::new(), Vec::new());
    for line in text.lines() {
        match serde_json::from_str(line).with_context(|| format!("`ledgermq log messages` said {line}"))? {
            Said::Log(log) => head = Some(log),
            Said::Record(record) => records.push(record),
            Said::Digest(digest) => bytes.push(digest),
        }
    }
    let head = head.context("`ledgermq log messages` said nothing of a log")?;
    let replica = Replica {
        node: 0,
        group: group.to_owned(),
        first_index: head.first_index,
        last_index: head.last_index,
        committed_index: head.committed_index,
        bytes,
        unreadable: None,
    };
    Ok((replica, records))
}

/// What a command of the broker's binary prints.
async fn said(binary: &Binary, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(binary.path())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("cannot run {}", binary.path().display()))?;
    anyhow::ensure!(
        output.status.success(),
        "`ledgermq {}` failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}
