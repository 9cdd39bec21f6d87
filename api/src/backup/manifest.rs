//! What a backup says of itself: `manifest.json`, which is written last. Without it a backup was cut short.
//!
//! Two lines of JSON: what there is, and the SHA-256 of the first line. docs/formats.md, "Backups".

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The format that this build writes and reads.
pub const FORMAT: u32 = 1;
/// Its name.
pub const MANIFEST: &str = "manifest.json";
/// Written first: what lies beside it was made by a backup.
pub const BEGUN: &str = "begun.json";

/// Why a manifest cannot be used.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// It is not what was written.
    #[error("{MANIFEST} is damaged: {0}. Nothing was changed; use another backup")]
    Damaged(String),
    /// Another format.
    #[error(
        "the backup has format {found}, and this build reads format {FORMAT} only: use the version of ledgermq that made \
         it{by}"
    )]
    Format {
        /// Which one.
        found: u64,
        /// Which version made it, if it says so.
        by: String,
    },
}

/// Which entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its term.
    pub term: u64,
    /// The node that led the term.
    pub leader: u64,
    /// Its index.
    pub index: u64,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name, from where the manifest is.
    pub name: String,
    /// Its length in bytes.
    pub length: u64,
    /// Of its bytes, in hex.
    pub sha256: String,
}

/// A group in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupEntry {
    /// `meta`, `g1`, `g2`, ...
    pub name: String,
    /// The node that it was copied from.
    pub node: u64,
    /// The entry before the log's first one; none if it begins with the first of all.
    pub behind: Option<Mark>,
    /// Where its first one lies.
    pub at: u64,
    /// The last entry that is in log and tables.
    pub applied: Mark,
    /// Where the log goes on behind it.
    pub end: u64,
    /// The log: parts, in order.
    pub log: Vec<FileEntry>,
    /// What the snapshot says of itself.
    pub meta: FileEntry,
    /// The snapshot's tables.
    pub tables: Vec<FileEntry>,
}

impl GroupEntry {
    /// All its files.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        self.log.iter().chain([&self.meta]).chain(&self.tables)
    }
}

/// A whole backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of the command that took it.
    pub version: String,
    /// The cluster's name.
    pub cluster: String,
    /// How many nodes it had.
    pub nodes: u32,
    /// When it was begun, milliseconds since 1970.
    pub begun_unix_ms: u64,
    /// When it was whole.
    pub finished_unix_ms: u64,
    /// In the order in which they were taken: `meta` last.
    pub groups: Vec<GroupEntry>,
}

/// The first file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// [`FORMAT`].
    pub format: u32,
    /// The cluster's name.
    pub cluster: String,
    /// When, milliseconds since 1970.
    pub begun_unix_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct Seal {
    sha256: String,
}

impl Manifest {
    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("plain structs of strings and numbers");
        let seal = Seal { sha256: sha256_hex(&bytes) };
        bytes.push(b'\n');
        bytes.extend(serde_json::to_vec(&seal).expect("a plain struct"));
        bytes.push(b'\n');
        bytes
    }

    /// The inverse of [`Manifest::encode`].
    ///
    /// # Errors
    /// It is damaged, or of another format.
    pub fn decode(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let damaged = |reason: String| ManifestError::Damaged(reason);
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let value: serde_json::Value =
            serde_json::from_slice(first).map_err(|error| damaged(error.to_string()))?;
        let format = value.get("format").and_then(serde_json::Value::as_u64);
        match format {
            Some(found) if found != u64::from(FORMAT) => {
                let by = value.get("version").and_then(serde_json::Value::as_str);
                let by = by.map_or(String::new(), |version| format!(" ({version})"));
                return Err(ManifestError::Format { found, by });
            }
            Some(_) => {}
            None => return Err(damaged("it names no format".to_owned())),
        }
        let seal: Seal = serde_json::from_slice(second)
            .map_err(|_| damaged("its second line, the checksum, is missing".to_owned()))?;
        if seal.sha256 != sha256_hex(first) || lines.any(|rest| !rest.is_empty()) {
            return Err(damaged("it does not match its checksum".to_owned()));
        }
        serde_json::from_value(value).map_err(|error| damaged(error.to_string()))
    }

    /// How many bytes all files have.
    pub fn bytes(&self) -> u64 {
        self.groups.iter().flat_map(GroupEntry::files).map(|file| file.length).sum()
    }
}

/// In hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let file = |name: &str| FileEntry { name: name.to_owned(), length: 3, sha256: sha256_hex(b"abc") };
        let mark = |index| Mark { term: 2, leader: 1, index };
        Manifest {
            format: FORMAT,
            version: "0.1.0".to_owned(),
            cluster: "local".to_owned(),
            nodes: 3,
            begun_unix_ms: 1,
            finished_unix_ms: 2,
            groups: vec![GroupEntry {
                name: "g1".to_owned(),
                node: 2,
                behind: Some(mark(3)),
                at: 100,
                applied: mark(9),
                end: 900,
                log: vec![file("groups/g1/log/00000000000000000100")],
                meta: file("groups/g1/meta"),
                tables: vec![file("groups/g1/tables/000007.sst")],
            }],
        }
    }

    #[test]
    fn what_is_written_reads_back_and_every_flipped_bit_is_noticed() {
        let bytes = manifest().encode();
        assert_eq!(Manifest::decode(&bytes), Ok(manifest()));
        for at in 0..bytes.len() - 1 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Manifest::decode(&damaged).is_err(), "a flipped bit at {at}: {}", damaged[at] as char);
            assert!(Manifest::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn another_format_is_named_with_the_version_that_made_it() {
        let other = Manifest { format: 0, version: "0.0.9".to_owned(), ..manifest() };
        let error = Manifest::decode(&other.encode()).unwrap_err().to_string();
        assert_eq!(
            error,
            "the backup has format 0, and this build reads format 1 only: use the version of ledgermq that made it \
             (0.0.9)"
        );
    }
}
