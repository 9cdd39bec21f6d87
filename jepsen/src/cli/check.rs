//! `jepsen check`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use checkers::history::{Coverage, History};
use clap::Args;
use serde_json::json;

use super::Format;
use super::print;

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
        let verdicts = checkers::check_all(&history);
        let complete = history.is_complete();
        let missing: Vec<&Coverage> = history.coverage.iter().filter(|one| !one.is_met()).collect();
        match self.output {
            Format::Json => {
                let verdicts: Vec<_> = verdicts
                    .iter()
                    .map(|(property, verdict)| json!({ "property": property, "verdict": verdict }))
                    .collect();
                let operations = history.operations.len();
                println!(
                    "{}",
                    json!({
                        "header": history.header, "operations": operations, "complete": complete,
                        "not_covered": missing, "verdicts": verdicts,
                    })
                );
            }
            Format::Text => {
                println!("{}", history.header.command);
                print::verdicts(&verdicts);
                for one in &missing {
                    println!("not covered: {}: {} of {}", one.what, one.seen, one.wanted);
                }
                if !complete {
                    println!("the history was cut off");
                }
            }
        }
        let violated = verdicts.iter().any(|(_, verdict)| verdict.is_violated());
        Ok(ExitCode::from(match (violated, complete && missing.is_empty()) {
            (true, _) => 1,
            (false, true) => 0,
            (false, false) => 3,
        }))
    }
}
