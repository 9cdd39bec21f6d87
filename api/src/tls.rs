//! The certificate of the gRPC port: the configured one, or one that this node makes for itself.
//!
//! Java and Go dial TLS by default and trust any certificate, so a node must speak TLS as it comes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::edge::EdgeError;
use crate::edge_options::TlsOptions;

const CERT_FILE: &str = "self-signed.cert.pem";
const KEY_FILE: &str = "self-signed.key.pem";

/// An acceptor for HTTP/2 over TLS.
///
/// # Errors
/// When a certificate or key cannot be read, made or used.
pub fn acceptor(options: &TlsOptions) -> Result<TlsAcceptor, EdgeError> {
    let (cert, key) = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => (cert.clone(), key.clone()),
        _ => self_signed(&options.directory)?,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&cert)
        .and_then(Iterator::collect)
        .map_err(|error| failure(&cert, error))?;
    if chain.is_empty() {
        return Err(failure(&cert, "there is no certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| failure(&key, error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| failure(&cert, error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
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
        acceptor(&options).unwrap();
        let key = options.directory.join(KEY_FILE);
        let first = fs::read(&key).unwrap();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        acceptor(&options).unwrap();
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
        };
        let error = acceptor(&configured(&cert, &key)).err().unwrap().to_string();
        assert!(error.contains("a.pem"), "{error}");
        fs::write(&cert, "no certificate").unwrap();
        let error = acceptor(&configured(&cert, &key)).err().unwrap().to_string();
        assert!(error.contains("a.pem") && error.contains("no certificate"), "{error}");
    }
}
