//! The first administrator: made once, by the node that is first to see that there are no users.

use std::path::Path;
use std::time::Duration;

use raft::access::Role;
use raft::machine::AccessAction;
use raft::node::Node;
use raft::request::{Rejection, RequestError};
use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::seal::{SealError, SealKey};
use super::secret;

/// The name of the first administrator.
pub const NAME: &str = "admin";

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// After so long without success it is said why.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the first administrator cannot be made.
#[derive(Debug, Error)]
pub enum FirstError {
    /// The file with its secret cannot be read.
    #[error("cannot read access.admin_secret {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// What the file holds will not do.
    #[error("access.admin_secret {path}: {reason}")]
    Secret {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The secret cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The secret that an operator chose.
///
/// # Errors
/// [`FirstError::Read`], [`FirstError::Secret`].
pub fn chosen(path: &Path) -> Result<String, FirstError> {
    let named = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| FirstError::Read { path: named(), source })?;
    let text = text.trim_end();
    secret::check(text).map_err(|reason| FirstError::Secret { path: named(), reason })?;
    Ok(text.to_owned())
}

/// Makes the first administrator if there are no users, however long that takes. The secret, if it was made here: nobody
/// can be told it again.
///
/// # Errors
/// [`FirstError::Seal`].
pub async fn make(node: &Node, key: &SealKey, chosen: Option<&str>) -> Result<Option<String>, FirstError> {
    let secret = chosen.map_or_else(secret::new, str::to_owned);
    let sealed = key.seal(NAME, secret.as_bytes())?;
    let began = Instant::now();
    let mut said = false;
    loop {
        // Users that this node has not heard of yet count all the same: `first` sees to that.
        let catalog = node.catalog();
        if let Some(user) = catalog.users.values().next() {
            if let Err(error) = key.open(&user.name, &user.secret) {
                tracing::error!(user = user.name, %error, "nobody can be let in");
            }
            return Ok(None);
        }
        let (name, role) = (NAME.to_owned(), Role::Admin);
        let action = AccessAction::CreateUser { name, secret: sealed.clone(), role, first: true };
        match node.change_access(action, Instant::now() + ATTEMPT_TIMEOUT).await {
            Ok(()) if chosen.is_none() => return Ok(Some(secret)),
            Ok(()) => return Ok(None),
            Err(RequestError::Rejected(Rejection::AlreadyExists { .. })) => return Ok(None),
            Err(RequestError::Stopping) => return Ok(None),
            Err(error) => {
                if began.elapsed() > PATIENCE && !std::mem::replace(&mut said, true) {
                    tracing::warn!(%error, "the first administrator is not made yet: nobody is let in");
                }
                sleep(RETRY_PAUSE).await;
            }
        }
    }
}
