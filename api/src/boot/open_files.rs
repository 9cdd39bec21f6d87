//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer than this and a busy node runs out: connections, segments, RocksDB's files.
const WANTED: u64 = 8_192;

/// What a node needs beside the connections of its clients: segments, RocksDB's files, peers, the HTTP port. A node that could
/// not open its log's next segment would have to stop.
const KEPT: u64 = 2_048;

/// How many connections of clients there may be, of so many that are wanted: never so many that the node itself has no files
/// left.
pub fn room_for_connections(wanted: usize) -> usize {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return wanted };
    let most = usize::try_from(limit.saturating_sub(KEPT.min(limit / 2))).unwrap_or(usize::MAX);
    if most < wanted {
        tracing::info!(
            wanted,
            most,
            "fewer connections are taken than limits.connections says: raise ulimit -n"
        );
    }
    wanted.min(most)
}

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
