//! `ledgermq-chaos heal`

use clap::Args;

use super::StateArgs;
use super::exit::Failure;
use super::output::OutputArgs;
use crate::cluster::Cluster;
use crate::cluster::heal::{Healed, heal};

/// Arguments of `heal`.
#[derive(Debug, Args)]
#[command(after_help = "\
Kills the cluster's processes and removes its namespaces, mounts, loop devices and images, whoever made them and however
that ended. May be repeated; does nothing where there is no state file.")]
pub(super) struct HealArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Heal the faults only, and leave the cluster up
    #[arg(long)]
    faults_only: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl HealArgs {
    pub fn run(self) -> Result<(), Failure> {
        if self.faults_only {
            Cluster::open(&self.state.state)?.heal_faults()?;
            self.output.print(&Healed::default(), || "all faults are healed".into());
            return Ok(());
        }
        print(&heal(&self.state.state)?, self.output);
        Ok(())
    }
}

pub(super) fn print(healed: &Healed, output: OutputArgs) {
    output.print(healed, || {
        let processes = healed.processes.iter().map(|pid| format!("killed process {pid}"));
        let things = healed.things.iter().map(|thing| format!("removed {thing}"));
        let lines: Vec<String> = processes.chain(things).collect();
        if lines.is_empty() { "nothing is left".into() } else { lines.join("\n") }
    });
}
