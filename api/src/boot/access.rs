//! Access control at the start of a node: its key, and the first administrator.

use std::sync::Arc;

use raft::node::Node;
use tokio_util::sync::CancellationToken;

use crate::access::first;
use crate::access::gate::AccessControl;
use crate::access::seal::SealKey;
use crate::cli::exit::Failure;
use crate::cli::output::line;
use crate::options::Options;

/// What a node that has users needs.
pub struct Access {
    /// Whether access is controlled, and the key.
    pub control: AccessControl,
    key: Arc<SealKey>,
    /// The first administrator's, if an operator chose it.
    secret: Option<String>,
}

/// Reads, or makes, what the options name; none where there are no users.
pub fn prepare(options: &Options) -> Result<Option<Access>, Failure> {
    let section = &options.access;
    if !section.enabled && section.makes_key() {
        return Ok(None);
    }
    let unusable = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let path = section.key_file(&options.node.data);
    if section.makes_key() && !path.exists() {
        SealKey::make(&path).map_err(|error| unusable(&error))?;
    }
    let key = Arc::new(SealKey::read(&path).map_err(|error| unusable(&error))?);
    let control = match section.enabled {
        true => AccessControl::On(key.clone()),
        false => AccessControl::Prepared(key.clone()),
    };
    let secret = match section.admin_secret.as_os_str().is_empty() {
        true => None,
        false => Some(first::chosen(&section.admin_secret).map_err(|error| unusable(&error))?),
    };
    Ok(Some(Access { control, key, secret }))
}

/// Has the first administrator made, beside everything else.
pub fn begin(access: Access, node: Node, stopping: CancellationToken) {
    tokio::spawn(async move {
        let made = tokio::select! {
            made = first::make(&node, &access.key, access.secret.as_deref()) => made,
            () = stopping.cancelled() => return,
        };
        match made {
            Ok(Some(secret)) => tell(&secret),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the first administrator cannot be made: nobody is let in"),
        }
    });
}

/// On standard output, never in the log.
fn tell(secret: &str) {
    line(&format!(
        "The first administrator was made. Its secret is not shown again:
  access key  {}
  secret key  {secret}
Clients sign with them; for this command line:
  export LEDGERMQ_ACCESS_KEY={} LEDGERMQ_SECRET_KEY={secret}",
        first::NAME,
        first::NAME
    ));
}
