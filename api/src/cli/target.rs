//! Which broker a client command speaks to.

use std::time::Duration;

use clap::Args;

use super::exit::Failure;
use crate::client::access::{Broker, Headers, HostPort};

/// How long an admin call may take: longer than any election.
pub const ADMIN_TIMEOUT: Duration = Duration::from_secs(15);

/// `--endpoint`
#[derive(Clone, Debug, Args)]
pub struct TargetArgs {
    /// The broker to speak to; any node of a cluster will do
    #[arg(long, env = "LEDGERMQ_ENDPOINT", default_value = "127.0.0.1:8081", value_name = "HOST:PORT")]
    pub endpoint: HostPort,
}

impl TargetArgs {
    /// Connects.
    pub async fn connect(&self) -> Result<Broker, Failure> {
        Ok(Broker::connect(self.endpoint.clone(), Headers::new()).await?)
    }
}
