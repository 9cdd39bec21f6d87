//! TLS between this client and brokers: whom it trusts.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use raft::tls::dial;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint, Error};

/// Whom a client trusts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientTls {
    grpc: Arc<ClientConfig>,
    http: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

type Dialled = Pin<Box<dyn Future<Output = io::Result<TokioIo<TlsStream<TcpStream>>>> + Send>>;

impl ClientTls {
    /// Trusts the certificates in a PEM file: those of authorities, or of brokers themselves. Shows a certificate of its own, if
    /// it is given one and its key.
    ///
    /// # Errors
    /// A sentence.
    pub fn trusting(file: &Path, own: Option<(&Path, &Path)>) -> Result<ClientTls, String> {
        let wrong = |reason: String| format!("cannot use the certificates in {}: {reason}", file.display());
        let mut roots = RootCertStore::empty();
        let found = CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?;
        for certificate in found {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("there is none".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match own {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let wrong = |error: &dyn std::fmt::Display| {
                    format!(
                        "cannot use the certificate {} with {}: {error}",
                        certificate.display(),
                        key.display()
                    )
                };
                let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(&error))?;
                let made = config.with_client_auth_cert(chain.map_err(|error| wrong(&error))?, key);
                made.map_err(|error| wrong(&error))?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let http = Arc::new(config.clone());
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(ClientTls { grpc: Arc::new(config), http, name: None })
    }

    /// The same, but brokers must have a certificate for this name, whatever is dialled.
    ///
    /// # Errors
    /// A sentence.
    pub fn named(self, name: &str) -> Result<ClientTls, String> {
        let parsed = ServerName::try_from(name.to_owned());
        Ok(ClientTls { name: Some(parsed.map_err(|_| format!("`{name}` is no name of a host"))?), ..self })
    }

    /// A connection for HTTP/1.1.
    ///
    /// # Errors
    /// What the network says, or that the broker is not trusted.
    pub async fn dial_http(&self, uri: &Uri) -> io::Result<TlsStream<TcpStream>> {
        dial(self.http.clone(), uri, self.name.clone()).await
    }

    /// A connection.
    ///
    /// # Errors
    /// What the network says, or that the broker is not trusted.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Channel, Error> {
        endpoint.connect_with_connector(self.connector()).await
    }

    /// A connection that is dialled when it is first used.
    pub fn connect_lazy(&self, endpoint: &Endpoint) -> Channel {
        endpoint.connect_with_connector_lazy(self.connector())
    }

    fn connector(
        &self,
    ) -> impl tower::Service<
        Uri,
        Response = TokioIo<TlsStream<TcpStream>>,
        Error = io::Error,
        Future = Dialled,
    > + Clone
    + Send
    + 'static {
        let (config, name) = (self.grpc.clone(), self.name.clone());
        tower::service_fn(move |uri: Uri| -> Dialled {
            let (config, name) = (config.clone(), name.clone());
            Box::pin(async move { dial(config, &uri, name).await.map(TokioIo::new) })
        })
    }
}
