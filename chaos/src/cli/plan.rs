//! `ledgermq-chaos plan`

use std::time::Duration;

use clap::Args;

use super::exit::Failure;
use super::output::{OutputArgs, table};
use crate::capability::detect;
use crate::fault::{Fault, FaultKind};
use crate::plan::{Plan, PlanOptions, Step};
use crate::target::Target;

/// Arguments of `plan`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --fault: all those that this machine can have, but for corruption; so the plan of a seed differs between
machines. With --fault the same seed gives the same plan everywhere.

Examples:
  ledgermq-chaos plan --seed 7 --seconds 60
  ledgermq-chaos plan --seed 7 --seconds 60 --fault kill --fault partition -o json > plan.json")]
pub(super) struct PlanArgs {
    /// What everything follows from
    #[arg(long, value_name = "NUMBER")]
    seed: u64,
    /// Until the last fault is healed
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    seconds: u64,
    /// How many nodes the cluster has
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    nodes: usize,
    /// What may happen, as in `inject`
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,
    /// To whom, as in `inject` (default: one, minority, majority)
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<Target>,
    /// Take the parameters of the faults as they are, instead of drawing them
    #[arg(long)]
    exact: bool,
    /// Let faults come while others are there
    #[arg(long)]
    overlapping: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl PlanArgs {
    pub fn run(self) -> Result<(), Failure> {
        let faults = if self.faults.is_empty() { possible() } else { self.faults };
        let mut options = PlanOptions::new(self.nodes, Duration::from_secs(self.seconds), faults);
        options.vary = !self.exact;
        options.overlapping = self.overlapping;
        if !self.targets.is_empty() {
            options.targets = self.targets;
        }
        let plan = Plan::generate(self.seed, &options).map_err(|error| Failure::Usage(error.to_string()))?;
        self.output.print(&plan, || {
            let seconds = |duration: Duration| format!("{:.1} s", duration.as_secs_f64());
            let row = |step: &Step| {
                [seconds(step.at()), seconds(step.lasting()), step.target.to_string(), step.fault.to_string()]
            };
            let rows: Vec<[String; 4]> = plan.steps.iter().map(row).collect();
            table(["AT", "FOR", "TARGET", "FAULT"], &rows)
        });
        Ok(())
    }
}

/// What this machine can have. What damages or hides files is for those who asked for it.
fn possible() -> Vec<Fault> {
    let works = detect().into_iter().filter(|capability| capability.works);
    works
        .map(|capability| capability.fault)
        .filter(|kind| !matches!(kind, FaultKind::Corrupt | FaultKind::Hide))
        .map(FaultKind::with_defaults)
        .collect()
}
