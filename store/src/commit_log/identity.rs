//! Whose log a directory holds.

use std::io::{self, IoSlice};
use std::path::Path;

use super::field::crc32c;
use crate::disk::Disk;

/// The file that says whose log it is; made last, so that a log that has it is whole.
pub(crate) const IDENTITY_NAME: &str = "identity";
/// Stands while a new log is being made.
pub(crate) const INITIALIZING_NAME: &str = "initializing";
/// Held by the process that has the log open.
pub(crate) const LOCK_NAME: &str = "lock";

const FIRST_LINE: &str = "ledgermq log, format 1";
const IDENTITY_BYTES_MAX: usize = 4096;

/// Whose log a directory holds. A directory of another identity is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// The cluster's id or name; one line.
    pub cluster: String,
    /// The node's id.
    pub node: u64,
    /// The number of the group.
    pub group: u32,
}

impl std::fmt::Display for LogIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "group {} of node {} in cluster {}", self.group, self.node, self.cluster)
    }
}

impl LogIdentity {
    pub(crate) fn encode(&self) -> String {
        let LogIdentity { cluster, node, group } = self;
        let text = format!("{FIRST_LINE}\ncluster {cluster}\nnode {node}\ngroup {group}\n");
        let crc = crc32c(text.as_bytes());
        format!("{text}crc32c {crc:08x}\n")
    }

    pub(crate) fn decode(text: &str) -> Result<LogIdentity, String> {
        let mut lines = text.lines();
        let mut value = |name: &str| {
            let line = lines.next().ok_or_else(|| format!("the line {name} is missing"))?;
            let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' '));
            value.map(str::to_owned).ok_or_else(|| format!("{line:?} where {name} should be"))
        };
        value("ledgermq")?;
        let cluster = value("cluster")?;
        let node = value("node")?.parse().map_err(|error| format!("the node's id: {error}"))?;
        let group = value("group")?.parse().map_err(|error| format!("the group's number: {error}"))?;
        let identity = LogIdentity { cluster, node, group };
        if identity.encode() != text {
            return Err("the text does not match its checksum".into());
        }
        Ok(identity)
    }

    /// The identity that `dir` has; none if there is no such file. The inner error says why it is unreadable.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Option<Result<LogIdentity, String>>> {
        let file = match disk.open_read(&dir.join(IDENTITY_NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let bytes = file.read_at(0, IDENTITY_BYTES_MAX)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string());
        Ok(Some(text.and_then(LogIdentity::decode)))
    }

    /// Gives `dir` this identity, durably and at once.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let draft = dir.join("identity.tmp");
        let file = disk.create(&draft)?;
        file.write_at(0, &mut [IoSlice::new(self.encode().as_bytes())])?;
        file.sync_data()?;
        disk.rename(&draft, &dir.join(IDENTITY_NAME))?;
        disk.sync_dir(dir)
    }
}
