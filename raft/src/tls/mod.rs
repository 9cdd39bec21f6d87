//! TLS between the nodes: each proves with a certificate who it is, to whom it dials and to who dials it.
//!
//! All nodes trust one authority, which signs nothing else. A node takes a peer whose certificate that authority signed, and
//! which is valid for one of the names that are allowed, if any are listed; who dials also wants the name that it dialled.
//! Which cluster a peer is of is asked later, by the hello.
//!
//! Certificates are exchanged while they are used: [`PeerTls::reload`] reads the files again, and the next connection takes
//! what they hold then.

// In a simulation there is nobody else, and nothing of this is used.
#![cfg_attr(feature = "simulation", allow(dead_code, unused_imports))]

mod accept;
mod stream;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use rustls::client::verify_server_name;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;

pub use accept::dial;
pub(crate) use accept::{connect, connect_lazy, incoming};
pub use stream::Transport;

use crate::limits::PEER_REFUSAL_TOLD_EVERY;

/// The files, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerTlsFiles {
    /// The certificates of the authority that signs those of the nodes.
    pub authority: PathBuf,
    /// This node's certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why TLS between the nodes cannot be had.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{path}: {reason}")]
pub struct TlsError {
    /// The file.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

/// How the nodes prove to each other who they are; or that they do not. Cheap to clone.
#[derive(Clone, Default)]
pub struct PeerTls(Option<Arc<Shared>>);

struct Shared {
    files: PeerTlsFiles,
    names: Vec<ServerName<'static>>,
    current: RwLock<Current>,
    told: Mutex<Option<Instant>>,
}

#[derive(Clone)]
struct Current {
    stamps: [Stamp; 3],
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl std::fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "PeerTls(on)" } else { "PeerTls(off)" })
    }
}

impl PeerTls {
    /// Plaintext: whoever reaches the port of the peers is a peer.
    pub fn off() -> PeerTls {
        PeerTls(None)
    }

    /// With what these files hold. `names`: a peer's certificate must be valid for one of them; none: for any.
    ///
    /// # Errors
    /// [`TlsError`] for a file that cannot be read or used, or a name that is none.
    pub fn of_files(files: PeerTlsFiles, names: &[String]) -> Result<PeerTls, TlsError> {
        let names = names_of_hosts(names)?;
        let current = RwLock::new(Current::read(&files)?);
        Ok(PeerTls(Some(Arc::new(Shared { files, names, current, told: Mutex::default() }))))
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Takes what the files hold now, if they have changed; whether they had. Connections that are there stay.
    ///
    /// # Errors
    /// [`TlsError`]; what was read before stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let Some(shared) = &self.0 else { return Ok(false) };
        if shared.files.stamps() == shared.current().stamps {
            return Ok(false);
        }
        let new = Current::read(&shared.files)?;
        *shared.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(true)
    }
}

impl Shared {
    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn check_name(&self, presented: Option<&[CertificateDer<'_>]>) -> io::Result<()> {
        check_name(&self.names, presented)
    }

    /// Says that a peer was not taken, but not for every try of somebody who tries on and on.
    fn tell(&self, who: &str, error: &io::Error) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= PEER_REFUSAL_TOLD_EVERY) {
            *told = Some(Instant::now());
            tracing::warn!(peer = who, %error, "no TLS with a peer");
        }
    }
}

pub(crate) fn names_of_hosts(names: &[String]) -> Result<Vec<ServerName<'static>>, TlsError> {
    let name = |name: &String| {
        let wrong = |_| TlsError { path: name.clone(), reason: "no name of a host".to_owned() };
        ServerName::try_from(name.clone()).map_err(wrong)
    };
    names.iter().map(name).collect()
}

/// Whether a peer's certificate, which is known to be of the authority, is valid for an allowed name. None is listed: for
/// any.
pub(crate) fn check_name(
    allowed: &[ServerName<'_>],
    presented: Option<&[CertificateDer<'_>]>,
) -> io::Result<()> {
    if allowed.is_empty() {
        return Ok(());
    }
    let refused = |why: &str| io::Error::new(io::ErrorKind::PermissionDenied, why.to_owned());
    let certificate =
        presented.and_then(<[_]>::first).ok_or_else(|| refused("the peer has no certificate"))?;
    let parsed = ParsedCertificate::try_from(certificate).map_err(|error| refused(&error.to_string()))?;
    match allowed.iter().any(|name| verify_server_name(&parsed, name).is_ok()) {
        true => Ok(()),
        false => Err(refused("the peer's certificate is for none of the names in peer.tls_names")),
    }
}

impl Current {
    fn read(files: &PeerTlsFiles) -> Result<Current, TlsError> {
        // Before the files are read: what changes meanwhile is read again.
        let stamps = files.stamps();
        let mut roots = RootCertStore::empty();
        for authority in certificates(&files.authority)? {
            roots.add(authority).map_err(|error| wrong(&files.authority, error))?;
        }
        let roots = Arc::new(roots);
        let chain = certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, error))?;
        let provider = Arc::new(default_provider());
        let unusable = |error: rustls::Error| wrong(&files.certificate, error);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        let verifier = verifier.build().map_err(|error| wrong(&files.authority, error))?;
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key());
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key);
        let (mut server, mut client) = (server.map_err(unusable)?, client.map_err(unusable)?);
        server.alpn_protocols = vec![b"h2".to_vec()];
        client.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Current { stamps, server: Arc::new(server), client: Arc::new(client) })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if chain.is_empty() => Err(wrong(path, "there is no certificate in it")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(wrong(path, error)),
    }
}

/// By what a file is known to have changed: when, and how long it is; none if it is not there.
pub type Stamp = Option<(SystemTime, u64)>;

/// The stamp of a file.
pub fn stamp(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

impl PeerTlsFiles {
    fn stamps(&self) -> [Stamp; 3] {
        [&self.authority, &self.certificate, &self.key].map(|path| stamp(path))
    }
}

fn wrong(path: &Path, reason: impl ToString) -> TlsError {
    TlsError { path: path.display().to_string(), reason: reason.to_string() }
}
