//! Taking a backup: see [`crate::backup`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use indicatif::ProgressBar;
use proto::admin;
use proto::admin::CopyMark;
use proto::admin::copy_response::{End, Snapshot, Stretch};
use serde::Serialize;

use super::copy::{GroupCopy, Wanted, failure, is_outrun};
use super::manifest::{BEGUN, Begun, FORMAT, FileEntry, GroupEntry, MANIFEST, Manifest, Mark, hex};
use super::{Pace, Place};
use crate::cli::exit::Failure;
use crate::cli::target::ADMIN_TIMEOUT;
use crate::client::access::{Broker, ClientError};
use crate::client::cluster_view::{ClusterView, GroupView};

/// A part of the log begins with the first frame behind a multiple of this: so the parts are the same whichever node
/// they come from, and whenever.
const LOG_PART_BYTES: u64 = 64 << 20;
/// So often the log is copied up to its end of then, before the snapshot is made: each time less is left.
const LOG_ROUNDS: usize = 3;
/// So often a group is begun again whose log retention took away while it was copied.
const TRIES: usize = 3;
const META: &str = "meta";

/// What was done.
#[derive(Clone, Debug, Serialize)]
pub struct Saved {
    /// Where it is.
    pub to: String,
    /// The cluster's name.
    pub cluster: String,
    /// The groups, in the order in which they were copied.
    pub groups: Vec<SavedGroup>,
    /// Files of the backup.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Of them, what was sent now.
    pub sent_bytes: u64,
    /// And what was there already, from a backup that was cut short.
    pub kept_bytes: u64,
    /// How long it took.
    pub took_ms: u64,
}

/// A group that was copied.
#[derive(Clone, Debug, Serialize)]
pub struct SavedGroup {
    /// `meta`, `g1`, ...
    pub name: String,
    /// From which node.
    pub node: u64,
    /// The last entry in it.
    pub applied: u64,
}

/// Takes a backup of the cluster that `entry` is a node of.
///
/// # Errors
/// Nothing was changed, or the backup was cut short: the same command goes on with it.
pub async fn save(entry: &Broker, place: Place, pace: Pace, bar: &ProgressBar) -> Result<Saved, Failure> {
    let took = Instant::now();
    let request = entry.headers.request(admin::ClusterStatusRequest {}, ADMIN_TIMEOUT);
    let status = entry.answer(entry.admin().cluster_status(request).await)?;
    let cluster = status.cluster.clone();
    let view = ClusterView::from(status);
    let there = begin(&place, &cluster).await?;
    let begun_unix_ms = there.begun.begun_unix_ms;
    let mut saving = Saving {
        entry,
        view: &view,
        place: &place,
        pace,
        bar,
        there: there.files,
        sent_bytes: 0,
        kept_bytes: 0,
    };
    let mut groups = Vec::new();
    for group in in_order(&view.groups)? {
        groups.push(saving.group(group).await?);
    }
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: cluster.clone(),
        nodes: view.nodes.len() as u32,
        begun_unix_ms,
        finished_unix_ms: now_ms(),
        groups,
    };
    saving.remove_leftovers(&manifest).await?;
    place.put(MANIFEST, manifest.encode().into()).await?;
    let saved = |group: &GroupEntry| SavedGroup {
        name: group.name.clone(),
        node: group.node,
        applied: group.applied.index,
    };
    Ok(Saved {
        to: place.to_string(),
        cluster,
        groups: manifest.groups.iter().map(saved).collect(),
        files: manifest.groups.iter().flat_map(GroupEntry::files).count(),
        bytes: manifest.bytes(),
        sent_bytes: saving.sent_bytes,
        kept_bytes: saving.kept_bytes,
        took_ms: took.elapsed().as_millis() as u64,
    })
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A place as it was found: empty, or with a backup that was cut short.
struct There {
    begun: Begun,
    files: BTreeMap<String, u64>,
}

async fn begin(place: &Place, cluster: &str) -> Result<There, Failure> {
    if place.get(MANIFEST).await?.is_some() {
        return Err(Failure::Usage(format!("{place} holds a whole backup already: name an empty place")));
    }
    let files = place.list().await?;
    if let Some(bytes) = place.get(BEGUN).await? {
        let begun: Begun = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::Failed(format!("{place}/{BEGUN} is damaged: {error}")))?;
        if begun.cluster != cluster || begun.format != FORMAT {
            return Err(Failure::Usage(format!(
                "{place} holds the beginning of a backup of the cluster {} in format {}: name an empty place",
                begun.cluster, begun.format
            )));
        }
        return Ok(There { begun, files });
    }
    if let Some(name) = files.keys().next() {
        return Err(Failure::Usage(format!(
            "{place} is not empty ({name} is there) and holds no backup: name an empty place"
        )));
    }
    let begun = Begun { format: FORMAT, cluster: cluster.to_owned(), begun_unix_ms: now_ms() };
    let bytes = serde_json::to_vec(&begun).expect("a plain struct");
    place.put(BEGUN, bytes.into()).await?;
    Ok(There { begun, files })
}

/// `meta` comes last: see [`crate::backup`].
fn in_order(groups: &[GroupView]) -> Result<Vec<&GroupView>, Failure> {
    if let Some(group) = groups.iter().find(|group| group.leader.is_none()) {
        let name = &group.name;
        return Err(Failure::Failed(format!(
            "{name} has no leader, so nobody knows what is committed: look at `ledgermq cluster status`, and try again"
        )));
    }
    let (last, mut first): (Vec<&GroupView>, Vec<_>) = groups.iter().partition(|group| group.name == META);
    if last.is_empty() {
        return Err(Failure::Failed(
            "the cluster shows no group meta: there is no catalog to copy".to_owned(),
        ));
    }
    first.extend(last);
    Ok(first)
}

struct Saving<'a> {
    entry: &'a Broker,
    view: &'a ClusterView,
    place: &'a Place,
    pace: Pace,
    bar: &'a ProgressBar,
    /// What was there before.
    there: BTreeMap<String, u64>,
    sent_bytes: u64,
    kept_bytes: u64,
}

impl Saving<'_> {
    async fn group(&mut self, group: &GroupView) -> Result<GroupEntry, Failure> {
        let mut tries = 1;
        loop {
            self.bar.set_message(group.name.clone());
            let (copy, stretch) = self.source(group).await?;
            match self.copy_group(group, copy, stretch).await? {
                Ok(entry) => return Ok(entry),
                Err(error) if is_outrun(&error) && tries < TRIES => tries += 1,
                Err(error) if is_outrun(&error) => {
                    return Err(Failure::Failed(format!(
                        "{}: messages go by retention faster than they are copied: raise --rate, or retention.keep_ms \
                         ({error})",
                        group.name
                    )));
                }
                Err(error) => return Err(failure(&group.name, error)),
            }
        }
    }

    /// A node to copy from: a follower if one can, for leaders have more to do.
    async fn source(&self, group: &GroupView) -> Result<(GroupCopy, Stretch), Failure> {
        let mut last = None;
        for node in sources(self.view, group) {
            let broker = match node.parse() {
                Ok(endpoint) => Broker::connect(endpoint, self.entry.headers.clone()).await,
                Err(_) => continue,
            };
            let begun = match broker {
                Ok(broker) => GroupCopy::begin(&broker, &group.name, group.committed).await,
                Err(error) => Err(error),
            };
            match begun {
                Ok(begun) => return Ok(begun),
                Err(error) => {
                    tracing::info!(group = group.name, node, %error, "not copied from here");
                    last = Some(error);
                }
            }
        }
        // Where the nodes' addresses are none that can be dialled from here, the one that was named will do.
        match GroupCopy::begin(self.entry, &group.name, group.committed).await {
            Ok(begun) => Ok(begun),
            Err(error) => Err(failure(&group.name, last.unwrap_or(error))),
        }
    }

    /// The outer error is of the place, the inner one of the node.
    async fn copy_group(
        &mut self,
        group: &GroupView,
        mut copy: GroupCopy,
        stretch: Stretch,
    ) -> Result<Result<GroupEntry, ClientError>, Failure> {
        let mut log = LogParts::new(&group.name, &stretch);
        let mut end = stretch.clone();
        for _ in 0..LOG_ROUNDS {
            self.bar.inc_length(end.end.saturating_sub(log.announced));
            log.announced = log.announced.max(end.end);
            // Only whole parts: the last one is not to be copied again when it has grown.
            while log.boundary() <= end.end {
                match self.log_part(&mut copy, &mut log, index_of(end.last)).await? {
                    Ok(()) => {}
                    Err(error) => return Ok(Err(error)),
                }
            }
            end = match copy.stretch().await {
                Ok(now) if now.end < log.boundary() => break,
                Ok(now) => now,
                Err(error) => return Ok(Err(error)),
            };
        }
        let snapshot = match copy.snapshot().await {
            Ok(snapshot) => snapshot,
            Err(error) => return Ok(Err(error)),
        };
        self.bar.inc_length(snapshot.log_end.saturating_sub(log.announced));
        while log.next <= index_of(snapshot.last) {
            match self.log_part(&mut copy, &mut log, index_of(snapshot.last)).await? {
                Ok(()) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        let tables = match self.tables(&group.name, &mut copy, &snapshot).await? {
            Ok(tables) => tables,
            Err(error) => return Ok(Err(error)),
        };
        let mut meta = self.place.writer(&format!("groups/{}/meta", group.name))?;
        meta.write(&snapshot.meta).await?;
        Ok(Ok(GroupEntry {
            name: group.name.clone(),
            node: stretch.node,
            behind: stretch.behind.map(mark_of),
            at: stretch.at,
            applied: mark_of(snapshot.last.unwrap_or_default()),
            end: snapshot.log_end,
            log: log.parts,
            meta: meta.finish().await?,
            tables,
        }))
    }

    async fn log_part(
        &mut self,
        copy: &mut GroupCopy,
        log: &mut LogParts,
        to: u64,
    ) -> Result<Result<(), ClientError>, Failure> {
        let wanted = Wanted::Frames { from: log.next, to, before: log.boundary() };
        let name = format!("groups/{}/log/{:020}", log.group, log.position);
        match self.file(copy, &name, wanted).await? {
            Err(error) => Ok(Err(error)),
            Ok((part, end)) => {
                log.parts.push(part);
                (log.next, log.position) = (end.next, end.next_position);
                Ok(Ok(()))
            }
        }
    }

    async fn tables(
        &mut self,
        group: &str,
        copy: &mut GroupCopy,
        snapshot: &Snapshot,
    ) -> Result<Result<Vec<FileEntry>, ClientError>, Failure> {
        self.bar.inc_length(snapshot.files.iter().map(|file| file.length).sum());
        let mut tables = Vec::new();
        for (number, file) in snapshot.files.iter().enumerate() {
            let name = format!("groups/{group}/tables/{}", file.name);
            match self.file(copy, &name, Wanted::File(number as u32)).await? {
                Ok((part, _)) => tables.push(part),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(tables))
    }

    /// Brings one file to the place, unless it is there.
    async fn file(
        &mut self,
        copy: &mut GroupCopy,
        name: &str,
        wanted: Wanted,
    ) -> Result<Result<(FileEntry, End), ClientError>, Failure> {
        if let Some(length) = self.there.get(name).copied() {
            let end = match copy.checksum(wanted).await {
                Ok(end) => end,
                Err(error) => return Ok(Err(error)),
            };
            if end.length == length {
                let found = self.place.check(name, |_| ()).await?;
                if found.sha256 == hex(&end.sha256) {
                    self.kept_bytes += length;
                    self.bar.inc(length);
                    return Ok(Ok((found, end)));
                }
            }
        }
        copy.want(wanted).await;
        let mut writer = self.place.writer(name)?;
        let end = loop {
            match copy.part().await {
                Err(error) => return Ok(Err(error)),
                Ok(Err(end)) => break end,
                Ok(Ok(bytes)) => {
                    self.take(&bytes).await;
                    writer.write(&bytes).await?;
                }
            }
        };
        let written = writer.finish().await?;
        if written.sha256 != hex(&end.sha256) || written.length != end.length {
            return Err(Failure::Failed(format!(
                "{name}: what came is not what was sent: run the backup again"
            )));
        }
        Ok(Ok((written, end)))
    }

    async fn take(&mut self, bytes: &Bytes) {
        let length = bytes.len() as u64;
        self.pace.spend(length).await;
        self.sent_bytes += length;
        self.bar.inc(length);
    }

    /// Files of a backup that was cut short, which this one does not need: a snapshot's of then.
    async fn remove_leftovers(&self, manifest: &Manifest) -> Result<(), Failure> {
        let needed: BTreeSet<&str> =
            manifest.groups.iter().flat_map(GroupEntry::files).map(|file| file.name.as_str()).collect();
        for name in self.there.keys() {
            if name.starts_with("groups/") && !needed.contains(name.as_str()) {
                self.place.remove(name).await?;
            }
        }
        Ok(())
    }
}

/// The parts of a log that were copied, and what comes next.
struct LogParts {
    group: String,
    next: u64,
    position: u64,
    /// Up to here the progress bar knows of it.
    announced: u64,
    parts: Vec<FileEntry>,
}

impl LogParts {
    fn new(group: &str, stretch: &Stretch) -> LogParts {
        let next = stretch.behind.map_or(0, |behind| behind.index + 1);
        let (position, announced) = (stretch.at, stretch.at);
        LogParts { group: group.to_owned(), next, position, announced, parts: Vec::new() }
    }

    /// Behind this the next part begins.
    fn boundary(&self) -> u64 {
        (self.position / LOG_PART_BYTES + 1) * LOG_PART_BYTES
    }
}

/// The addresses of the nodes that hold a replica: followers, then those without a vote, then the leader.
fn sources(view: &ClusterView, group: &GroupView) -> Vec<String> {
    const BY_ROLE: [&str; 3] = ["follower", "learner", "leader"];
    let of_role = |role: &'static str| group.replicas.iter().filter(move |replica| replica.role == role);
    let replicas = BY_ROLE.into_iter().flat_map(of_role);
    let address = |id: u64| view.nodes.iter().find(|node| node.id == id && node.alive);
    replicas.filter_map(|replica| address(replica.node)).map(|node| node.grpc.clone()).collect()
}

fn mark_of(mark: CopyMark) -> Mark {
    Mark { term: mark.term, leader: mark.leader, index: mark.index }
}

fn index_of(mark: Option<CopyMark>) -> u64 {
    mark.map_or(0, |mark| mark.index)
}
