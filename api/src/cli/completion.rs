//! `ledgermq completion`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit::Failure;

/// Arguments of `completion`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  ledgermq completion bash > /etc/bash_completion.d/ledgermq")]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionArgs {
    pub fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "ledgermq", &mut script);
        super::output::line(String::from_utf8_lossy(&script).trim_end());
        Ok(())
    }
}
