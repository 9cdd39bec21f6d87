//! `ledgermq-chaos run`

use std::path::PathBuf;

use clap::Args;

use super::exit::Failure;
use super::inject::RoleArgs;
use super::output::{Format, OutputArgs, line};
use super::{StateArgs, stop_on_signals};
use crate::cluster::Cluster;
use crate::plan::Plan;
use crate::plan::run::Event;

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "\
A line for each thing that happens; with -o json a JSON object a line. Ctrl-C heals at once.

Example:
  ledgermq-chaos plan --seed 7 --seconds 60 -o json > plan.json && ledgermq-chaos run --plan plan.json")]
pub(super) struct RunArgs {
    /// What happens, from `ledgermq-chaos plan -o json`
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    #[command(flatten)]
    roles: RoleArgs,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What came of the steps.
#[derive(Debug, Default)]
struct Tally {
    installed: usize,
    skipped: Vec<String>,
    failed: Vec<String>,
}

impl RunArgs {
    pub fn run(self) -> Result<(), Failure> {
        let path = self.plan.display();
        let text = std::fs::read_to_string(&self.plan)
            .map_err(|error| Failure::Usage(format!("cannot read {path}: {error}")))?;
        let plan: Plan = serde_json::from_str(&text).map_err(|error| {
            Failure::Usage(format!("{path} is no plan (`ledgermq-chaos plan -o json`): {error}"))
        })?;
        let cluster = Cluster::open(&self.state.state)?;
        let roles = self.roles.table()?;
        let stop = stop_on_signals()?;
        let mut tally = Tally::default();
        plan.run(&cluster, &stop, &mut |name| roles.get(name).cloned(), &mut |event| {
            match self.output.output {
                Format::Json => line(&serde_json::to_string(&event).expect("events have string keys only")),
                Format::Text => line(&text_of(&event)),
            }
            tally.count(&event);
        });
        tally.end(plan.steps.len())
    }
}

impl Tally {
    fn count(&mut self, event: &Event) {
        match event {
            Event::Installed { .. } => self.installed += 1,
            Event::Healed { .. } => {}
            Event::Skipped { fault, why, .. } => self.skipped.push(format!("{fault}: {why}")),
            Event::Indeterminate { fault, why, .. } | Event::NotHealed { fault, why, .. } => {
                self.failed.push(format!("{fault}: {why}"));
            }
        }
    }

    fn end(self, steps: usize) -> Result<(), Failure> {
        eprintln!("{} of {steps} faults happened; {} were skipped", self.installed, self.skipped.len());
        if !self.failed.is_empty() {
            return Err(Failure::Indeterminate(self.failed.join("; ")));
        }
        match self.skipped.is_empty() {
            true => Ok(()),
            false => Err(Failure::Skipped(self.skipped.join("; "))),
        }
    }
}

fn text_of(event: &Event) -> String {
    match event {
        Event::Installed { step, fault, nodes, effects, .. } => {
            let effects: Vec<String> =
                effects.iter().map(|effect| format!("node {}: {}", effect.node, effect.what)).collect();
            format!("{step}: {fault} on {nodes:?}: {}", effects.join("; "))
        }
        Event::Skipped { step, fault, why, .. } => format!("{step}: {fault} SKIPPED: {why}"),
        Event::Indeterminate { step, fault, why, .. } => format!("{step}: {fault} INDETERMINATE: {why}"),
        Event::Healed { step, fault, nodes, .. } => format!("{step}: {fault} on {nodes:?} healed"),
        Event::NotHealed { step, fault, why, .. } => format!("{step}: {fault} NOT HEALED: {why}"),
    }
}
