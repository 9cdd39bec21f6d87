//! How full the disks of the cluster are, and what follows: a warning, cleaning, no more messages.
//!
//! Every node looks at its own disk and asks the others for theirs. A message goes to every replica, so none is
//! taken while one of the disks is too full. Consumers go on: what they write is little, and lets messages go.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use store::disk::{Disk, DiskSpace};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::names::NodeId;
use crate::node::NodeInner;
use crate::node::options::DiskMarks;
use crate::request::RequestError;

/// A mark that was passed is left again only so far below it.
const SLACK_PERCENT: u8 = 1;

/// What the fill of a disk calls for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskLevel {
    /// Nothing.
    #[default]
    Normal,
    /// Somebody should look.
    Warn,
    /// What may go goes at once, and then the oldest messages.
    Clean,
    /// No messages are taken.
    Refuse,
}

impl DiskLevel {
    const ALL: [DiskLevel; 4] = [DiskLevel::Normal, DiskLevel::Warn, DiskLevel::Clean, DiskLevel::Refuse];

    /// Its name: `normal`, `warn`, `clean` or `refuse`.
    pub fn name(self) -> &'static str {
        match self {
            DiskLevel::Normal => "normal",
            DiskLevel::Warn => "warn",
            DiskLevel::Clean => "clean",
            DiskLevel::Refuse => "refuse",
        }
    }

    /// The level of this name; one that this build does not know is nothing to act on.
    pub(crate) fn named(name: &str) -> DiskLevel {
        DiskLevel::ALL.into_iter().find(|level| level.name() == name).unwrap_or_default()
    }
}

/// How full a node's disk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskStatus {
    /// What it holds when it is full, in bytes; 0 as long as nobody has looked.
    pub total_bytes: u64,
    /// What is free of it, in bytes.
    pub free_bytes: u64,
    /// What follows.
    pub level: DiskLevel,
}

impl DiskStatus {
    /// How much of it is used, in percent.
    pub fn used_percent(&self) -> u8 {
        used_percent(DiskSpace { total: self.total_bytes, free: self.free_bytes })
    }
}

fn used_percent(space: DiskSpace) -> u8 {
    let used = u128::from(space.total.saturating_sub(space.free));
    let percent = (used * 100).checked_div(u128::from(space.total)).unwrap_or(0);
    percent.min(100) as u8
}

impl DiskMarks {
    /// What a disk that is so full calls for, after `before`.
    fn level(&self, space: DiskSpace, before: DiskLevel) -> DiskLevel {
        let used_percent = used_percent(space);
        if space.free >= self.spare_bytes {
            return DiskLevel::Normal;
        }
        let marks = [
            (self.refuse_percent, DiskLevel::Refuse),
            (self.clean_percent, DiskLevel::Clean),
            (self.warn_percent, DiskLevel::Warn),
        ];
        let passed = marks.into_iter().find(|(mark, level)| {
            let slack = if before >= *level { SLACK_PERCENT } else { 0 };
            used_percent >= mark.saturating_sub(slack)
        });
        passed.map_or(DiskLevel::Normal, |(_, level)| level)
    }
}

/// What this node knows of the disks. Soft state.
pub(crate) struct Space {
    disk: Arc<dyn Disk>,
    data: PathBuf,
    own: watch::Sender<DiskStatus>,
    // A mutex, because the look and the status meet here; never held over an await.
    peers: Mutex<BTreeMap<NodeId, DiskStatus>>,
}

impl Space {
    pub(crate) fn new(disk: Arc<dyn Disk>, data: &Path) -> Space {
        let own = watch::Sender::new(DiskStatus::default());
        Space { disk, data: data.to_owned(), own, peers: Mutex::default() }
    }

    /// How full this node's disk was at the last look.
    pub(crate) fn own(&self) -> DiskStatus {
        *self.own.borrow()
    }

    /// This node's disk, and its changes.
    pub(crate) fn changes(&self) -> watch::Receiver<DiskStatus> {
        self.own.subscribe()
    }

    /// Why no message is taken at the moment, if that is so.
    pub(crate) fn refusal(&self, own: NodeId) -> Option<RequestError> {
        let refuses = |status: &DiskStatus| status.level == DiskLevel::Refuse;
        let here = Some((own, self.own())).filter(|(_, status)| refuses(status));
        let full = here.or_else(|| {
            let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
            peers.iter().find(|(_, status)| refuses(status)).map(|(id, status)| (*id, *status))
        });
        full.map(|(node, status)| RequestError::DiskFull { node, used_percent: status.used_percent() })
    }

    /// Looks at this node's disk. Blocks on it.
    fn look(&self, marks: &DiskMarks) -> io::Result<DiskStatus> {
        let mut space = self.disk.space(&self.data)?;
        if marks.quota_bytes > 0 {
            let left = marks.quota_bytes.saturating_sub(taken_bytes(&self.data)?);
            space = DiskSpace { total: marks.quota_bytes, free: left.min(space.free) };
        }
        let before = self.own().level;
        let level = marks.level(space, before);
        let status = DiskStatus { total_bytes: space.total, free_bytes: space.free, level };
        self.own.send_if_modified(|own| {
            let changed = own.level != level;
            *own = status;
            changed
        });
        let used_percent = status.used_percent();
        match level {
            _ if level == before => {}
            DiskLevel::Normal => tracing::info!(used_percent, "the disk has room again"),
            DiskLevel::Warn => tracing::warn!(used_percent, "the disk fills up"),
            DiskLevel::Clean => {
                tracing::warn!(used_percent, "the disk is so full that the oldest messages go");
            }
            DiskLevel::Refuse => {
                tracing::error!(used_percent, "the disk is so full that no messages are taken");
            }
        }
        Ok(status)
    }
}

/// What the files below `dir` take, each once, whatever its names.
fn taken_bytes(dir: &Path) -> io::Result<u64> {
    let (mut taken, mut seen, mut waiting) = (0, BTreeSet::new(), vec![dir.to_owned()]);
    while let Some(dir) = waiting.pop() {
        let entries = match std::fs::read_dir(&dir) {
            // It went meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let Ok(entry) = entry else { continue };
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                waiting.push(entry.path());
            } else if seen.insert((metadata.dev(), metadata.ino())) {
                // In units of 512 bytes, whatever the file system's own.
                taken += metadata.blocks() * 512;
            }
        }
    }
    Ok(taken)
}

/// Looks at the disks until the node stops.
pub(crate) async fn keep_looking(node: Arc<NodeInner>) {
    let mut stop = node.stop.subscribe();
    let mut ticks = tokio::time::interval(node.options.tuning.disk.look_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        let looking = node.clone();
        let looked = crate::seams::spawn_blocking(move || {
            looking.space.look(&looking.options.tuning.disk).map(|_| ())
        });
        if let Ok(Err(error)) = looked.await {
            tracing::warn!(%error, "nobody knows how full the disk is");
        }
        if node.members.known().len() > 1 {
            let status = node.cluster_status().await;
            let disks = status.disks.into_iter().filter(|(id, _)| *id != node.id);
            *node.space.peers.lock().unwrap_or_else(PoisonError::into_inner) = disks.collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_left_a_little_below_its_mark() {
        let marks =
            DiskMarks { warn_percent: 75, clean_percent: 85, refuse_percent: 90, ..DiskMarks::default() };
        let mut level = DiskLevel::Normal;
        let mut after = |used: u64| {
            level = marks.level(DiskSpace { total: 100, free: 100 - used }, level);
            level.name()
        };
        let fills = [74, 75, 84, 85, 90, 89, 88, 84, 83, 74, 73, 100, 0];
        let levels = fills.map(&mut after);
        let expected = [
            "normal", "warn", "warn", "clean", "refuse", "refuse", "clean", "clean", "warn", "warn",
            "normal", "refuse", "normal",
        ];
        assert_eq!(levels, expected);
    }

    #[test]
    fn a_disk_with_enough_to_spare_is_not_full() {
        let marks = DiskMarks { spare_bytes: 50, ..DiskMarks::default() };
        let level = |free| marks.level(DiskSpace { total: 1000, free }, DiskLevel::Refuse).name();
        assert_eq!((level(50), level(49)), ("normal", "refuse"));
    }

    #[test]
    fn a_disk_that_nobody_has_looked_at_is_not_full() {
        assert_eq!(DiskStatus::default().used_percent(), 0);
        let full = DiskStatus { total_bytes: u64::MAX, free_bytes: 0, level: DiskLevel::Refuse };
        assert_eq!(full.used_percent(), 100);
    }

    #[test]
    fn a_file_with_two_names_takes_room_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let below = dir.path().join("below");
        std::fs::create_dir(&below).expect("a directory");
        std::fs::write(dir.path().join("one"), vec![7; 1 << 16]).expect("a file");
        let one = taken_bytes(dir.path()).expect("read");
        assert!(one >= 1 << 16, "{one}");
        std::fs::hard_link(dir.path().join("one"), below.join("two")).expect("another name");
        assert_eq!(taken_bytes(dir.path()).expect("read"), one);
    }
}
