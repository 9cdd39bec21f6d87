//! Which broker a client command speaks to, and who it is there.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::exit::Failure;
use crate::client::access::{Broker, Headers, HostPort};
use crate::client::credentials::Credentials;
use crate::client::tls::ClientTls;

/// How long an admin call may take: longer than any election.
pub const ADMIN_TIMEOUT: Duration = Duration::from_secs(15);

/// Holds the secret itself: an argument would be in the list of processes.
const SECRET_VARIABLE: &str = "LEDGERMQ_SECRET_KEY";

/// `--endpoint`
#[derive(Clone, Debug, Args)]
pub struct TargetArgs {
    /// The broker to speak to; any node of a cluster will do
    #[arg(long, env = "LEDGERMQ_ENDPOINT", default_value = "127.0.0.1:8081", value_name = "HOST:PORT")]
    pub endpoint: HostPort,
    #[command(flatten)]
    /// Who the client is.
    pub credentials: CredentialArgs,
}

impl TargetArgs {
    /// Connects.
    pub async fn connect(&self) -> Result<Broker, Failure> {
        Ok(Broker::connect(self.endpoint.clone(), self.credentials.headers()?).await?)
    }
}

/// `--access-key`
#[derive(Clone, Debug, Default, Args)]
pub struct CredentialArgs {
    /// The user to sign requests as, where access is controlled
    #[arg(long, env = "LEDGERMQ_ACCESS_KEY", value_name = "USER", hide_short_help = true)]
    access_key: Option<String>,
    /// The file with its secret; without one, the environment has the secret itself in LEDGERMQ_SECRET_KEY
    #[arg(long, env = "LEDGERMQ_SECRET_KEY_FILE", value_name = "FILE", hide_short_help = true)]
    secret_key_file: Option<PathBuf>,
    /// Speak TLS, and trust the certificates in this file: those of authorities, or of brokers
    #[arg(long, env = "LEDGERMQ_TLS_CA", value_name = "FILE", hide_short_help = true)]
    tls_ca: Option<PathBuf>,
    /// The name that the broker's certificate must be for, if it is not the host of the endpoint
    #[arg(long, env = "LEDGERMQ_TLS_SERVER_NAME", value_name = "NAME", hide_short_help = true)]
    tls_server_name: Option<String>,
    /// The certificate (PEM) of the user, in place of a secret, where the brokers take certificates
    #[arg(
        long,
        env = "LEDGERMQ_TLS_CERT",
        value_name = "FILE",
        requires_all = ["tls_key", "access_key"],
        hide_short_help = true
    )]
    tls_cert: Option<PathBuf>,
    /// The private key (PEM) of that certificate
    #[arg(
        long,
        env = "LEDGERMQ_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert",
        hide_short_help = true
    )]
    tls_key: Option<PathBuf>,
}

impl CredentialArgs {
    /// What a client that is this user, or nobody, has in common in all calls and connections.
    pub fn headers(&self) -> Result<Headers, Failure> {
        let tls = self.tls().map_err(Failure::Usage)?;
        let headers = match (self.access_key.as_deref(), &self.tls_cert) {
            (Some(user), Some(_)) => Headers::of_certificate(user)?,
            _ => Headers::new(self.read()?.as_ref())?,
        };
        Ok(headers.over(tls))
    }

    fn tls(&self) -> Result<Option<ClientTls>, String> {
        let own = self.tls_cert.as_deref().zip(self.tls_key.as_deref());
        let Some(file) = self.tls_ca.as_ref().filter(|file| !file.as_os_str().is_empty()) else {
            return match own {
                None => Ok(None),
                Some(_) => {
                    Err("--tls-cert wants --tls-ca: the certificates that brokers are trusted by".to_owned())
                }
            };
        };
        let trusting = ClientTls::trusting(file, own)?;
        match self.tls_server_name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => trusting.named(name).map(Some),
            None => Ok(Some(trusting)),
        }
    }

    fn read(&self) -> Result<Option<Credentials>, Failure> {
        let Some(access_key) = self.access_key.as_deref().filter(|key| !key.is_empty()) else {
            return Ok(None);
        };
        if let Some(file) = &self.secret_key_file {
            return Credentials::with_secret_of(access_key, file).map(Some).map_err(Failure::Usage);
        }
        match std::env::var(SECRET_VARIABLE) {
            Ok(secret) => Ok(Some(Credentials { access_key: access_key.to_owned(), secret })),
            Err(_) => Err(Failure::Usage(format!(
                "access key {access_key} has no secret: name its file with --secret-key-file, or set {SECRET_VARIABLE}"
            ))),
        }
    }
}
