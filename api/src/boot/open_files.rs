//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer than this and a busy node runs out: connections, segments, RocksDB's files.
const WANTED: u64 = 8_192;

/// Raises the soft limit to the hard one, which takes no privilege. Systems that start with 1024 do so for programs
/// that use `select`.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    if let Some(maximum) = limit.maximum.filter(|maximum| *maximum < WANTED) {
        tracing::warn!(
            maximum,
            wanted = WANTED,
            "few open files are allowed (ulimit -Hn): each connection takes one"
        );
    }
}
