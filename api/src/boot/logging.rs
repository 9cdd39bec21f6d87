//! The log of the process itself: to standard error.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::cli::exit::Failure;

/// What a node logs. openraft tells every heartbeat that a dead peer does not answer; what matters of that
/// is told by the node.
const NODE_FILTER: &str = "info,openraft=error";

/// `--log`, `--log-format`
#[derive(Debug, Args)]
pub struct LogArgs {
    /// What to log: `info`, `debug`, `raft=debug,info` [default: info,openraft=error for nodes, warn for the rest]
    #[arg(long, global = true, env = "RUST_LOG", value_name = "FILTER", hide_env_values = true)]
    log: Option<String>,
    /// How to log
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    #[default]
    Text,
    /// A JSON object a line
    Json,
}

impl LogArgs {
    /// Installs the log. `serves`: whether this process is a node.
    pub fn install(&self, serves: bool) -> Result<(), Failure> {
        let default = if serves { NODE_FILTER } else { "warn" };
        let filter = EnvFilter::try_new(self.log.as_deref().unwrap_or(default))
            .map_err(|error| Failure::Usage(format!("--log: {error}")))?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let installed = match self.log_format {
            LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
            LogFormat::Json => builder.json().try_init(),
        };
        installed.map_err(|error| Failure::Failed(format!("cannot install the log: {error}")))
    }
}
