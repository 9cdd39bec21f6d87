//! What can go wrong besides a fault that is skipped.

use std::path::PathBuf;

use thiserror::Error;

/// A failure of the machine or of the caller. The text says what was being done.
#[derive(Debug, Error)]
pub enum ChaosError {
    /// A file, a directory or a process.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, after "cannot".
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A command of the system refused.
    #[error("`{command}` failed: {why}")]
    Tool {
        /// With its arguments.
        command: String,
        /// What it wrote, or how it ended.
        why: String,
    },
    /// The state file is not one.
    #[error("{path} is no state file of a cluster: {why}")]
    State {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// It cannot be done like this; nothing was done.
    #[error("{0}")]
    Usage(String),
    /// Something did not come to pass in time.
    #[error("{0}")]
    Timeout(String),
}

impl ChaosError {
    /// For `map_err`: an I/O error while trying `what`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> ChaosError {
        let what = what.into();
        move |source| ChaosError::Io { what, source }
    }
}
