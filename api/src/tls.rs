//! The certificate of the gRPC and the HTTP port: the configured one, or one that this node makes for itself.
//!
//! Java and Go dial TLS by default and trust any certificate, so a node must speak TLS as it comes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use raft::tls::{Stamp, stamp};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::edge::EdgeError;
use crate::edge_options::TlsOptions;
use crate::limits::CERTIFICATES_LOOK_EVERY;
use crate::tls_clients::ClientCertificates;

const CERT_FILE: &str = "self-signed.cert.pem";
const KEY_FILE: &str = "self-signed.key.pem";

/// The certificate of a port. Exchanged while it is used: a new connection gets what the files held last.
#[derive(Debug)]
pub struct PortTls {
    cert: PathBuf,
    key: PathBuf,
    served: Arc<Served>,
    clients: Option<Arc<ClientCertificates>>,
    stamps: Mutex<[Stamp; 2]>,
}

#[derive(Debug)]
struct Served(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl PortTls {
    /// Reads what is configured; without that a certificate is made, once.
    ///
    /// # Errors
    /// When a certificate or key cannot be read, made or used.
    pub fn read(options: &TlsOptions) -> Result<PortTls, EdgeError> {
        let (cert, key) = match (&options.cert, &options.key) {
            (Some(cert), Some(key)) => (cert.clone(), key.clone()),
            _ => self_signed(&options.directory)?,
        };
        let stamps = Mutex::new(stamps(&cert, &key));
        let served = Arc::new(Served(RwLock::new(Arc::new(certified(&cert, &key)?))));
        let clients = options.client_authority.as_deref().map(ClientCertificates::read).transpose()?;
        Ok(PortTls { cert, key, served, clients, stamps })
    }

    /// An acceptor that offers these protocols. TLS 1.2 and 1.3.
    ///
    /// # Errors
    /// When no version of TLS can be spoken.
    pub fn acceptor(&self, protocols: &[&[u8]]) -> Result<TlsAcceptor, EdgeError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failure(&self.cert, error))?;
        let config = match &self.clients {
            Some(clients) => config.with_client_cert_verifier(clients.clone()),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_cert_resolver(self.served.clone());
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Takes what the files hold now, if they have changed; whether they had.
    ///
    /// # Errors
    /// When they cannot be used: what was read before stays.
    pub fn reload(&self) -> Result<bool, EdgeError> {
        let authority = self.clients.as_ref().map_or(Ok(false), |clients| clients.reload())?;
        let now = stamps(&self.cert, &self.key);
        if now == *self.stamps.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(authority);
        }
        let new = Arc::new(certified(&self.cert, &self.key)?);
        *self.served.0.write().unwrap_or_else(PoisonError::into_inner) = new;
        *self.stamps.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(true)
    }

    /// Takes changed files until it is told to stop.
    pub async fn keep_fresh(self: Arc<PortTls>, stopping: CancellationToken) {
        keep_fresh("port", || self.reload(), stopping).await;
    }
}

fn certified(cert: &Path, key: &Path) -> Result<CertifiedKey, EdgeError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| failure(cert, error))?;
    if chain.is_empty() {
        return Err(failure(cert, "there is no certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| failure(key, error))?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, private, &provider).map_err(|error| failure(cert, error))
}

fn stamps(cert: &Path, key: &Path) -> [Stamp; 2] {
    [stamp(cert), stamp(key)]
}

/// Has changed files taken until it is told to stop. `what` names them in the log.
pub async fn keep_fresh<E: ToString>(
    what: &str,
    reload: impl Fn() -> Result<bool, E>,
    stopping: CancellationToken,
) {
    let mut told = String::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(CERTIFICATES_LOOK_EVERY) => {}
            () = stopping.cancelled() => return,
        }
        match reload().map_err(|error| error.to_string()) {
            Ok(false) => {}
            Ok(true) => {
                told.clear();
                tracing::info!(what, "certificates were exchanged");
            }
            // The files are rarely written in one moment: it is tried again, and told once.
            Err(error) if told != error => {
                tracing::error!(what, error, "changed certificates cannot be used: the old ones stay");
                told = error;
            }
            Err(_) => {}
        }
    }
}

/// The node's own certificate, made once. Made again only if both files are missing: half a pair
/// is somebody's mistake, and is told.
fn self_signed(directory: &Path) -> Result<(PathBuf, PathBuf), EdgeError> {
    let (cert, key) = (directory.join(CERT_FILE), directory.join(KEY_FILE));
    if cert.exists() || key.exists() {
        return Ok((cert, key));
    }
    fs::create_dir_all(directory).map_err(|error| failure(directory, error))?;
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| failure(&cert, error))?;
    // The certificate last: it is there only with its key.
    write_private(&key, &made.signing_key.serialize_pem())?;
    write_private(&cert, &made.cert.pem())?;
    Ok((cert, key))
}

/// Writes a file that only its owner reads, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<(), EdgeError> {
    let unfinished = path.with_extension("new");
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(|error| failure(path, error))
}

fn failure(path: &Path, reason: impl ToString) -> EdgeError {
    EdgeError::Certificate { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(directory: &Path) -> TlsOptions {
        TlsOptions { directory: directory.join("tls"), ..TlsOptions::default() }
    }

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let data = tempfile::tempdir().unwrap();
        let options = options(data.path());
        PortTls::read(&options).unwrap();
        let key = options.directory.join(KEY_FILE);
        let first = fs::read(&key).unwrap();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        PortTls::read(&options).unwrap();
        assert_eq!(fs::read(&key).unwrap(), first);
    }

    #[test]
    fn a_certificate_that_cannot_be_used_is_named() {
        let data = tempfile::tempdir().unwrap();
        let (cert, key) = (data.path().join("a.pem"), data.path().join("b.pem"));
        let configured = |cert: &Path, key: &Path| TlsOptions {
            cert: Some(cert.to_owned()),
            key: Some(key.to_owned()),
            directory: data.path().to_owned(),
            ..TlsOptions::default()
        };
        let error = PortTls::read(&configured(&cert, &key)).err().unwrap().to_string();
        assert!(error.contains("a.pem"), "{error}");
        fs::write(&cert, "no certificate").unwrap();
        let error = PortTls::read(&configured(&cert, &key)).err().unwrap().to_string();
        assert!(error.contains("a.pem") && error.contains("no certificate"), "{error}");
    }

    #[test]
    fn a_changed_certificate_is_taken_and_a_broken_one_is_not() {
        let data = tempfile::tempdir().unwrap();
        let (cert, key) = (data.path().join("a.pem"), data.path().join("b.pem"));
        let write = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let made = rcgen::generate_simple_self_signed(names).unwrap();
            fs::write(&cert, made.cert.pem()).unwrap();
            fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        };
        write(&["one.test"]);
        let options = TlsOptions { cert: Some(cert.clone()), key: Some(key.clone()), ..options(data.path()) };
        let tls = PortTls::read(&options).unwrap();
        let served = || tls.served.0.read().unwrap().cert[0].clone();
        let first = served();
        assert!(!tls.reload().unwrap());
        write(&["another.test", "and-one-more.test"]);
        assert!(tls.reload().unwrap() && served() != first);
        let second = served();
        fs::write(&key, "no key").unwrap();
        assert!(tls.reload().unwrap_err().to_string().contains("b.pem"));
        // A key of another certificate is no better.
        fs::write(
            &key,
            rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap().signing_key.serialize_pem(),
        )
        .unwrap();
        assert!(tls.reload().is_err());
        assert_eq!(served(), second);
    }
}
