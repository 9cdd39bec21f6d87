//! `jepsen check`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use checkers::history::History;
use clap::Args;
use report::Report;

use super::Format;

/// `jepsen check HISTORY`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The history, as `jepsen run` wrote it
    history: PathBuf,
    /// How to print
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Format,
}

impl CheckArgs {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let history = History::open(&self.history)
            .with_context(|| format!("cannot read {}", self.history.display()))?;
        let report = Report::new(&history);
        match self.output {
            Format::Json => println!("{}", serde_json::to_string(&report)?),
            Format::Text => println!("{}", report.text().trim_end()),
        }
        Ok(ExitCode::from(match report.result {
            report::Result::Violated => 1,
            report::Result::Held => 0,
            report::Result::Rejected => 3,
        }))
    }
}
