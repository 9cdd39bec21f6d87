//! Making data directories of a backup: see [`raft::restore`].

use std::time::Instant;

use futures::StreamExt;
use indicatif::ProgressBar;
use raft::names::{GroupId, NodeId};
use raft::restore::{GroupRestore, Restore, RestoreError, RestoreTarget};
use serde::Serialize;
use sha2::{Digest, Sha256};
use store::commit_log::LogMark;
use store::position::LogPosition;

use super::Place;
use super::manifest::{BEGUN, FileEntry, GroupEntry, MANIFEST, Manifest, Mark, hex};
use crate::cli::exit::Failure;
use crate::options::Options;

/// A node whose data directory is made: as it is configured.
pub struct Target<'a>(pub &'a Options);

/// What was done.
#[derive(Clone, Debug, Serialize)]
pub struct Restored {
    /// Where the backup is.
    pub from: String,
    /// The cluster that it is of.
    pub of_cluster: String,
    /// The cluster that it was restored for.
    pub cluster: String,
    /// When it was taken, milliseconds since 1970.
    pub taken_unix_ms: u64,
    /// The data directories.
    pub data: Vec<String>,
    /// The groups, with the last entry of each.
    pub groups: Vec<(String, u64)>,
    /// Files that were checked and read.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How long it took.
    pub took_ms: u64,
}

/// Reads what the backup says of itself.
///
/// # Errors
/// There is none, it was cut short, or it cannot be used.
async fn manifest(place: &Place) -> Result<Manifest, Failure> {
    match place.get(MANIFEST).await? {
        Some(bytes) => Manifest::decode(&bytes).map_err(|error| Failure::Failed(format!("{place}: {error}"))),
        None if place.get(BEGUN).await?.is_some() => Err(Failure::Failed(format!(
            "the backup in {place} was cut short: it has no {MANIFEST}, which is written last. Nothing was changed. \
             `ledgermq cluster backup {place}` goes on with it, as long as the cluster is there"
        ))),
        None => Err(Failure::Nothing(format!("there is no backup in {place}"))),
    }
}

/// Makes the data directories of `targets`. Everything of the backup is read and checked before anything is written.
///
/// # Errors
/// Nothing was changed then, but for locks and directories that were made.
pub async fn restore(
    place: &Place,
    targets: &[Target<'_>],
    bar: &dyn Fn(u64, &str) -> ProgressBar,
) -> Result<Restored, Failure> {
    let took = Instant::now();
    let manifest = manifest(place).await?;
    for Target(options) in targets {
        fits(&manifest, options)?;
    }
    let restores: Vec<Restore> = targets
        .iter()
        .map(|Target(options)| Restore::begin(target_of(options)).map_err(failure))
        .collect::<Result<_, Failure>>()?;
    let checking = bar(manifest.bytes(), "checking");
    for file in manifest.groups.iter().flat_map(GroupEntry::files) {
        check(place, file, &checking).await?;
    }
    checking.finish_and_clear();
    restores.iter().try_for_each(Restore::clear).map_err(failure)?;
    let writing = bar(manifest.bytes(), "restoring");
    for group in &manifest.groups {
        restore_group(place, group, &restores, &writing).await?;
    }
    restores.into_iter().try_for_each(Restore::finish).map_err(failure)?;
    writing.finish_and_clear();
    Ok(Restored {
        from: place.to_string(),
        of_cluster: manifest.cluster.clone(),
        cluster: targets.first().map(|Target(options)| options.cluster.name.clone()).unwrap_or_default(),
        taken_unix_ms: manifest.finished_unix_ms,
        data: targets.iter().map(|Target(options)| options.node.data.display().to_string()).collect(),
        groups: manifest.groups.iter().map(|group| (group.name.clone(), group.applied.index)).collect(),
        files: manifest.groups.iter().flat_map(GroupEntry::files).count(),
        bytes: manifest.bytes(),
        took_ms: took.elapsed().as_millis() as u64,
    })
}

/// The number of nodes and of broker groups in a backup.
///
/// # Errors
/// As [`restore`].
pub async fn shape(place: &Place) -> Result<(u32, u32), Failure> {
    let manifest = manifest(place).await?;
    Ok((manifest.nodes, broker_groups(&manifest)))
}

fn broker_groups(manifest: &Manifest) -> u32 {
    manifest.groups.len() as u32 - 1
}

fn fits(manifest: &Manifest, options: &Options) -> Result<(), Failure> {
    let held = broker_groups(manifest);
    let wanted = options.cluster.broker_groups;
    match held == wanted {
        true => Ok(()),
        false => Err(Failure::Usage(format!(
            "the backup has {held} broker groups, and cluster.broker_groups is {wanted} for node {}: write {held} into \
             its configuration",
            options.node.id
        ))),
    }
}

fn target_of(options: &Options) -> RestoreTarget {
    RestoreTarget {
        cluster: options.cluster.name.clone(),
        node: NodeId(options.node.id),
        members: options.members().into_iter().map(|member| (NodeId(member.id), member.peer)).collect(),
        data: options.node.data.clone(),
        segment_bytes: options.log.segment_bytes.0,
    }
}

async fn check(place: &Place, file: &FileEntry, bar: &ProgressBar) -> Result<(), Failure> {
    let found = place.check(&file.name, |bytes| bar.inc(bytes)).await?;
    same(place, file, &found)
}

fn same(place: &Place, file: &FileEntry, found: &FileEntry) -> Result<(), Failure> {
    match found == file {
        true => Ok(()),
        false => Err(Failure::Failed(format!(
            "{place}/{} is damaged: it has {} bytes and the SHA-256 {}, and {} bytes with {} were written. Nothing was \
             restored; use another backup",
            file.name, found.length, found.sha256, file.length, file.sha256
        ))),
    }
}

async fn restore_group(
    place: &Place,
    group: &GroupEntry,
    restores: &[Restore],
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let id = GroupId::parse(&group.name)
        .ok_or_else(|| Failure::Failed(format!("the backup has a group {}, which is none", group.name)))?;
    let (behind, at) = (group.behind.map(log_mark), LogPosition(group.at));
    let mut made: Vec<GroupRestore> =
        restores.iter().map(|it| it.group(id, behind, at)).collect::<Result<_, _>>().map_err(failure)?;
    for part in &group.log {
        each(place, part, bar, |_, bytes| made.iter_mut().try_for_each(|it| it.log_bytes(bytes))).await?;
    }
    for file in &group.tables {
        let name = file.name.rsplit('/').next().unwrap_or_default().to_owned();
        let put = |offset, bytes: &[u8]| made.iter().try_for_each(|it| it.file_part(&name, offset, bytes));
        each(place, file, bar, put).await?;
    }
    let mut meta = Vec::new();
    each(place, &group.meta, bar, |_, bytes| {
        meta.extend_from_slice(bytes);
        Ok(())
    })
    .await?;
    tokio::task::block_in_place(|| made.into_iter().try_for_each(|it| it.finish(&meta))).map_err(failure)
}

/// Gives every byte of a file to `put`, with its offset; an empty one is given once. It is what it was when it was
/// checked.
async fn each(
    place: &Place,
    file: &FileEntry,
    bar: &ProgressBar,
    mut put: impl FnMut(u64, &[u8]) -> Result<(), RestoreError>,
) -> Result<(), Failure> {
    let mut bytes = place.open(&file.name).await?;
    let (mut sha256, mut offset) = (Sha256::new(), 0);
    while let Some(part) = bytes.next().await {
        let part = part?;
        sha256.update(&part);
        tokio::task::block_in_place(|| put(offset, &part)).map_err(failure)?;
        offset += part.len() as u64;
        bar.inc(part.len() as u64);
    }
    if offset == 0 {
        put(0, &[]).map_err(failure)?;
    }
    let found = FileEntry { name: file.name.clone(), length: offset, sha256: hex(&sha256.finalize()) };
    same(place, file, &found)
}

fn log_mark(mark: Mark) -> LogMark {
    LogMark { term: mark.term, leader: mark.leader, index: mark.index }
}

fn failure(error: RestoreError) -> Failure {
    match &error {
        RestoreError::Io { path, source } => Failure::io(format!("use {}", path.display()), source),
        RestoreError::NotEmpty { .. } => Failure::Usage(error.to_string()),
        _ => Failure::Failed(error.to_string()),
    }
}
