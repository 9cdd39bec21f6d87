//! Certificates of clients: asked for where an authority signs them, and never wanted.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use raft::tls::{Stamp, stamp};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::edge::EdgeError;

/// Takes certificates that an authority signed, and clients without one. The authority is exchanged while it is used.
#[derive(Debug)]
pub(crate) struct ClientCertificates {
    authority: PathBuf,
    current: RwLock<Arc<dyn ClientCertVerifier>>,
    stamp: Mutex<Stamp>,
}

impl ClientCertificates {
    /// Of the authority whose certificates are in a PEM file.
    pub(crate) fn read(authority: &Path) -> Result<Arc<ClientCertificates>, EdgeError> {
        let stamp = Mutex::new(stamp(authority));
        let current = RwLock::new(verifier(authority)?);
        Ok(Arc::new(ClientCertificates { authority: authority.to_owned(), current, stamp }))
    }

    /// Takes what the file holds now, if it has changed; whether it had.
    pub(crate) fn reload(&self) -> Result<bool, EdgeError> {
        let now = stamp(&self.authority);
        let mut known = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == now {
            return Ok(false);
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = verifier(&self.authority)?;
        *known = now;
        Ok(true)
    }

    fn current(&self) -> Arc<dyn ClientCertVerifier> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn verifier(authority: &Path) -> Result<Arc<dyn ClientCertVerifier>, EdgeError> {
    let failed = |reason: String| EdgeError::Certificate { path: authority.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).map_err(|error| failed(error.to_string()))? {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let made = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build();
    made.map_err(|error| failed(error.to_string()))
}

impl ClientCertVerifier for ClientCertificates {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // They may change, and clients that have one certificate need none.
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.current().verify_client_cert(certificate, between, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current().verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current().verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current().supported_verify_schemes()
    }
}
