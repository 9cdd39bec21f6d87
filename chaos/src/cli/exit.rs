//! How commands end.

use std::process::ExitCode;

use thiserror::Error;

use crate::error::ChaosError;
use crate::injection::Injected;

/// What `--help` says about exit codes. Kept beside [`Failure::code`].
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0   done; every fault happened and is healed
  1   failed
  2   wrong usage; nothing was done
  3   a fault was skipped: it did not happen
  4   a fault is indeterminate, or could not be healed";

/// Why a command did not do what it was told to.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
    /// It cannot be tried like this.
    #[error("{0}")]
    Usage(String),
    /// A fault did not happen.
    #[error("skipped: {0}")]
    Skipped(String),
    /// Nobody knows what is left of a fault.
    #[error("indeterminate: {0}; `ledgermq-chaos heal` removes what is left")]
    Indeterminate(String),
}

impl Failure {
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Failed(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Skipped(_) => 3,
            Failure::Indeterminate(_) => 4,
        })
    }
}

/// The guard of a fault that is there.
pub(super) fn installed<G>(injected: Injected<G>) -> Result<G, Failure> {
    match injected {
        Injected::Installed(guard) => Ok(guard),
        Injected::Skipped { why } => Err(Failure::Skipped(why)),
        Injected::Indeterminate { why } => Err(Failure::Indeterminate(why)),
    }
}

impl From<ChaosError> for Failure {
    fn from(error: ChaosError) -> Failure {
        match error {
            ChaosError::Usage(text) => Failure::Usage(text),
            ChaosError::State { .. } => Failure::Usage(error.to_string()),
            other => Failure::Failed(other.to_string()),
        }
    }
}
