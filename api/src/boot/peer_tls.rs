//! TLS between the nodes: its files at the start, and when they change.

use raft::tls::{PeerTls, PeerTlsFiles};
use tokio_util::sync::CancellationToken;

use crate::options::Options;
use crate::tls;

/// What the options name, read.
///
/// # Errors
/// With the file that cannot be used.
pub fn read(options: &Options) -> anyhow::Result<PeerTls> {
    let peer = &options.peer;
    if peer.tls_authority.as_os_str().is_empty() {
        return Ok(PeerTls::off());
    }
    let files = PeerTlsFiles {
        authority: peer.tls_authority.clone(),
        certificate: peer.tls_cert.clone(),
        key: peer.tls_key.clone(),
    };
    Ok(PeerTls::of_files(files, &peer.tls_names)?)
}

/// Takes changed files for as long as the process lasts.
pub fn keep_fresh(peers: PeerTls) {
    if peers.is_on() {
        let lasts = CancellationToken::new();
        tokio::spawn(async move { tls::keep_fresh("peers", || peers.reload(), lasts).await });
    }
}
