//! `ledgermq-chaos detect`

use clap::Args;

use super::exit::Failure;
use super::output::{OutputArgs, table};
use crate::capability::{Capability, detect};

/// Arguments of `detect`.
#[derive(Debug, Args)]
pub(super) struct DetectArgs {
    #[command(flatten)]
    output: OutputArgs,
}

impl DetectArgs {
    pub fn run(self) -> Result<(), Failure> {
        let capabilities = detect();
        self.output.print(&capabilities, || {
            let row = |capability: &Capability| {
                let works = if capability.works { "works" } else { "skipped" };
                [capability.fault.name(), works.into(), capability.why.clone()]
            };
            let rows: Vec<[String; 3]> = capabilities.iter().map(row).collect();
            table(["FAULT", "HERE", "WITH, OR WHY NOT"], &rows)
        });
        Ok(())
    }
}
