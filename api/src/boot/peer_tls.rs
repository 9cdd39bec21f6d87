//! TLS between the nodes: its files at the start, and when they change.

use raft::tls::{PeerTls, PeerTlsFiles};

use crate::limits::CERTIFICATES_LOOK_EVERY;
use crate::options::Options;

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
pub fn keep_fresh(tls: PeerTls) {
    if !tls.is_on() {
        return;
    }
    tokio::spawn(async move {
        let mut told = None;
        loop {
            tokio::time::sleep(CERTIFICATES_LOOK_EVERY).await;
            match tls.reload() {
                Ok(false) => {}
                Ok(true) => {
                    told = None;
                    tracing::info!("the certificates between the nodes were exchanged");
                }
                // Both files are rarely written in one moment: it is tried again, and told once.
                Err(error) if told.as_ref() != Some(&error) => {
                    tracing::error!(%error, "changed certificates between the nodes cannot be used: the old ones stay");
                    told = Some(error);
                }
                Err(_) => {}
            }
        }
    });
}
