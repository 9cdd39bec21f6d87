//! The log of the process itself: to standard error.

use std::io::IsTerminal;
use std::sync::OnceLock;

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

/// Puts another filter into the log of this process.
type Reload = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

static RELOAD: OnceLock<Reload> = OnceLock::new();

fn keep(reload: impl Fn(EnvFilter) -> Result<(), String> + Send + Sync + 'static) {
    // A second log is refused below; the first one's handle stays.
    let _ = RELOAD.set(Box::new(reload));
}

/// Changes what this process logs: `trace`, `debug`, `info`, `warn` or `error`. Of the libraries only what concerns an
/// operator.
///
/// # Errors
/// A sentence, if this process has no log of its own.
pub fn change_level(level: &str) -> Result<(), String> {
    let filter = format!("{level},openraft=error,h2=warn,hyper=warn,tower=warn,rustls=warn,tonic=warn");
    let filter = EnvFilter::try_new(filter).map_err(|error| error.to_string())?;
    RELOAD.get().ok_or("this process installed no log")?(filter)
}

impl LogArgs {
    /// Installs the log. `serves`: whether this process is a node.
    pub fn install(&self, serves: bool) -> Result<(), Failure> {
        let default = if serves { NODE_FILTER } else { "warn" };
        let filter = EnvFilter::try_new(self.log.as_deref().unwrap_or(default))
            .map_err(|error| Failure::Usage(format!("--log: {error}")))?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let installed = match self.log_format {
            LogFormat::Text => {
                let builder = builder.with_ansi(std::io::stderr().is_terminal()).with_filter_reloading();
                let handle = builder.reload_handle();
                keep(move |filter| handle.reload(filter).map_err(|error| error.to_string()));
                builder.try_init()
            }
            LogFormat::Json => {
                let builder = builder.json().with_filter_reloading();
                let handle = builder.reload_handle();
                keep(move |filter| handle.reload(filter).map_err(|error| error.to_string()));
                builder.try_init()
            }
        };
        installed.map_err(|error| Failure::Failed(format!("cannot install the log: {error}")))
    }
}
