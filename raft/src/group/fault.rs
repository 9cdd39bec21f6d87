//! A fault of the disk under a running replica: it ends the node, and the next start looks before it goes on.
//!
//! A leader that went on with a log which it cannot read would lease a message again and again, until it is buried,
//! though the others have it. It cannot be told at a start either: recovery trusts sealed segments, and tables are
//! read as they are needed. So the fault is noted in the group's directory, and whoever starts with the note reads
//! everything first.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use store::tables::GroupTables;

use crate::names::{GroupId, NodeId};
use crate::node::failure::Failure;

const MARKER: &str = "suspect";

/// Where faults of one replica are told.
pub(crate) struct Faults {
    pub group: GroupId,
    pub node: NodeId,
    /// The data directory of the node.
    pub data: PathBuf,
    /// The directory of the group.
    pub dir: PathBuf,
    /// Nobody has the data but this replica: it is better read in part than not at all.
    pub alone: bool,
    pub failure: Failure,
    /// The first one.
    pub met: OnceLock<String>,
}

impl Faults {
    /// Tells of what these tables cannot read.
    pub(crate) fn watch(self: &Arc<Faults>, tables: &GroupTables) {
        let faults = self.clone();
        tables.on_disk_fault(Box::new(move |error| faults.tell(&error)));
    }

    /// The replica cannot read what it has: the node must stop.
    pub(crate) fn tell(&self, what: &dyn Display) {
        if self.met.set(what.to_string()).is_err() {
            return;
        }
        let Faults { group, node, data, .. } = self;
        if !self.alone
            && let Err(error) = note(&self.dir, what)
        {
            tracing::warn!(%group, %error, "the fault could not be noted for the next start");
        }
        self.failure.tell(format!(
            "{group}: {what}. The other replicas have the data: have this one rebuilt from them with `ledgermq cluster \
             repair {node} --data {} --group {group}` on this machine, and start the node",
            data.display()
        ));
    }
}

/// Has the next start look first, durably.
fn note(dir: &Path, what: &dyn Display) -> io::Result<()> {
    let mut file = File::create(dir.join(MARKER))?;
    file.write_all(format!("{what}\n").as_bytes())?;
    file.sync_all()?;
    File::open(dir)?.sync_all()
}

/// Whether the replica met a fault when it ran last.
pub(crate) fn is_noted(dir: &Path) -> bool {
    dir.join(MARKER).try_exists().unwrap_or(true)
}

/// Nothing was found.
pub(crate) fn clear(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(MARKER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.and_then(|()| File::open(dir)?.sync_all()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fault_ends_the_node_and_is_noted_unless_nobody_else_has_the_data() {
        for alone in [false, true] {
            let dir = tempfile::tempdir().expect("a directory");
            let faults = Faults {
                group: GroupId(1),
                node: NodeId(3),
                data: PathBuf::from("/data"),
                dir: dir.path().to_owned(),
                alone,
                failure: Failure::new(),
                met: OnceLock::new(),
            };
            faults.tell(&"segment 7 is damaged");
            let told = faults.failure.told().await;
            assert!(told.starts_with("g1: segment 7 is damaged. "), "{told}");
            assert!(told.contains("`ledgermq cluster repair 3 --data /data --group g1`"), "{told}");
            assert_eq!(is_noted(dir.path()), !alone);
            clear(dir.path()).expect("cleared");
            assert!(!is_noted(dir.path()));
        }
    }
}
