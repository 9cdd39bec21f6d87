//! `ledgermq serve`

use std::path::PathBuf;

use clap::Args;

use super::exit::Failure;
use super::insecure::InsecureArgs;
use super::output::line;
use crate::boot;
use crate::options::{Options, OptionsError};

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ledgermq serve --config /etc/ledgermq/node.toml
  ledgermq serve --print-config > node.toml
  LEDGERMQ_LOG__SEGMENT_BYTES=256MiB ledgermq serve --config node.toml

Every key has a default. LEDGERMQ_SECTION__KEY overrides a key of the file. SIGTERM hands
leaderships on, finishes what is in flight, and ends with 0.

A port that the network reaches wants TLS and access control, or certificates between the nodes;
without them a node starts only with --insecure.")]
pub struct ServeArgs {
    /// The configuration (TOML)
    #[arg(long, short = 'c', value_name = "FILE", required_unless_present = "print_config")]
    config: Option<PathBuf>,
    /// Print the configuration as it takes effect, and end
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    insecure: InsecureArgs,
}

impl ServeArgs {
    pub async fn run(self) -> Result<(), Failure> {
        let environment = || {
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        };
        let loaded = match &self.config {
            Some(path) => Options::load(path, environment()),
            None => Options::parse("", "the defaults", environment()),
        };
        let options = loaded.map_err(|error| match error {
            OptionsError::Read { .. } => Failure::Usage(error.to_string()),
            _ => Failure::Usage(match &self.config {
                Some(path) => format!("{}:\n{error}", path.display()),
                None => error.to_string(),
            }),
        })?;
        if self.print_config {
            line(options.to_toml().trim_end());
            return Ok(());
        }
        self.insecure.check(&options)?;
        boot::run(options, |_| ()).await
    }
}
