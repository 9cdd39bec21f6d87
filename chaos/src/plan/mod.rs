//! What happens when: a list of faults that follows from a seed.

pub(crate) mod run;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::fault::{Fault, FaultKind, Shape};
use crate::limits::PLAN_STEPS_MAX;
use crate::seeded::Seeded;
use crate::target::Target;

/// What happens when. Written and read as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What it was made from.
    pub seed: u64,
    /// For this many nodes.
    pub nodes: usize,
    /// In the order of their beginning.
    pub steps: Vec<Step>,
}

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When it is injected, since the plan's beginning.
    pub at_ms: u64,
    /// What.
    pub fault: Fault,
    /// To whom. A role is resolved when the moment has come.
    pub target: Target,
    /// How long it lasts until it is healed; 0 for what has nothing to heal.
    pub lasting_ms: u64,
    /// Decides which nodes, where the target leaves it to chance.
    pub seed: u64,
}

impl Step {
    /// When it is injected, since the plan's beginning.
    pub fn at(&self) -> Duration {
        Duration::from_millis(self.at_ms)
    }

    /// How long it lasts.
    pub fn lasting(&self) -> Duration {
        Duration::from_millis(self.lasting_ms)
    }

    /// When it is healed, since the plan's beginning.
    pub fn until(&self) -> Duration {
        self.at() + self.lasting()
    }
}

/// What a plan is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// In the cluster.
    pub nodes: usize,
    /// Until the last fault is healed.
    pub length: Duration,
    /// One of these each time.
    pub faults: Vec<Fault>,
    /// Whether the parameters of the faults are drawn as well: shapes of partitions, percentages, delays, jumps.
    pub vary: bool,
    /// One of these each time.
    pub targets: Vec<Target>,
    /// How long a fault lasts: from, to.
    pub lasting: (Duration, Duration),
    /// How long nothing new happens after a fault was healed (or after it was injected, where they overlap).
    pub gap: (Duration, Duration),
    /// Whether a fault may come while another is there.
    pub overlapping: bool,
}

impl PlanOptions {
    /// These faults, one after the other, with parameters from the seed; on one node, a minority or a majority; each
    /// for 2 to 6 seconds, with 2 to 4 seconds between them.
    pub fn new(nodes: usize, length: Duration, faults: Vec<Fault>) -> PlanOptions {
        PlanOptions {
            nodes,
            length,
            faults,
            vary: true,
            targets: vec![Target::One, Target::Minority, Target::Majority],
            lasting: (Duration::from_secs(2), Duration::from_secs(6)),
            gap: (Duration::from_secs(2), Duration::from_secs(4)),
            overlapping: false,
        }
    }
}

/// Why there is no plan.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// Nothing to choose from.
    #[error("a plan needs at least one {0} to choose from")]
    NothingOf(&'static str),
    /// A range that begins above its end, or stands still.
    #[error("the range of {0} begins above its end")]
    Backwards(&'static str),
    /// Not one fault fits.
    #[error("no fault fits into {length:?}: the shortest gap and the shortest fault take {needed:?}")]
    TooShort {
        /// Of the plan.
        length: Duration,
        /// By the options.
        needed: Duration,
    },
    /// More steps than anybody wants.
    #[error("more than {PLAN_STEPS_MAX} steps: make the gaps longer")]
    TooMany,
}

impl Plan {
    /// The same seed and the same options give the same plan.
    pub fn generate(seed: u64, options: &PlanOptions) -> Result<Plan, PlanError> {
        check(options)?;
        let mut seeded = Seeded::new(seed);
        let length_ms = millis(options.length);
        let draw = |seeded: &mut Seeded, range: (Duration, Duration)| {
            seeded.between(millis(range.0), millis(range.1))
        };
        let mut steps: Vec<Step> = Vec::new();
        let mut at_ms = draw(&mut seeded, options.gap);
        loop {
            let drawn = seeded.pick(&options.faults).clone();
            let fault = if options.vary { varied(drawn, options.nodes, &mut seeded) } else { drawn };
            let target = seeded.pick(&options.targets).clone();
            let drawn_ms = draw(&mut seeded, options.lasting);
            let lasting_ms = if fault.is_one_shot() { 0 } else { drawn_ms };
            if at_ms + lasting_ms > length_ms {
                break;
            }
            if steps.len() == PLAN_STEPS_MAX {
                return Err(PlanError::TooMany);
            }
            steps.push(Step { at_ms, fault, target, lasting_ms, seed: seeded.next() });
            let gap_ms = draw(&mut seeded, options.gap);
            // Something must go on, or a plan without gaps would never end.
            at_ms += gap_ms.max(1) + if options.overlapping { 0 } else { lasting_ms };
        }
        if steps.is_empty() {
            return Err(too_short(options));
        }
        Ok(Plan { seed, nodes: options.nodes, steps })
    }

    /// Until the last fault is healed.
    pub fn length(&self) -> Duration {
        self.steps.iter().map(Step::until).max().unwrap_or_default()
    }

    /// Which kinds of faults it has, each once.
    pub fn kinds(&self) -> Vec<FaultKind> {
        let mut kinds: Vec<FaultKind> = self.steps.iter().map(|step| step.fault.kind()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

fn too_short(options: &PlanOptions) -> PlanError {
    PlanError::TooShort { length: options.length, needed: options.gap.1 + options.lasting.1 }
}

fn check(options: &PlanOptions) -> Result<(), PlanError> {
    for (empty, what) in [(options.faults.is_empty(), "fault"), (options.targets.is_empty(), "target")] {
        if empty {
            return Err(PlanError::NothingOf(what));
        }
    }
    for ((from, to), what) in [(options.lasting, "lasting"), (options.gap, "gap")] {
        if from > to {
            return Err(PlanError::Backwards(what));
        }
    }
    // So that the first one fits, whatever is drawn: a plan for one seed and none for the next would be a trap.
    match options.gap.1 + options.lasting.1 > options.length {
        true => Err(too_short(options)),
        false => Ok(()),
    }
}

/// With other parameters of the same kind.
fn varied(fault: Fault, nodes: usize, seeded: &mut Seeded) -> Fault {
    const SHAPES: [Shape; 5] =
        [Shape::Isolate, Shape::Split, Shape::OneWayIn, Shape::OneWayOut, Shape::Bridge];
    match fault {
        Fault::Partition { clients, .. } => {
            // The ring is one shape more, where there are enough nodes for it.
            let ring = (nodes >= 5) as u64;
            let drawn = seeded.below(SHAPES.len() as u64 + ring) as usize;
            Fault::Partition { shape: *SHAPES.get(drawn).unwrap_or(&Shape::MajoritiesRing), clients }
        }
        Fault::Loss { .. } => Fault::Loss { percent: *seeded.pick(&[5, 20, 50, 90]) },
        Fault::Delay { .. } => {
            let delay_ms = *seeded.pick(&[10, 50, 200, 1000]);
            Fault::Delay { delay_ms, jitter_ms: delay_ms / 5 }
        }
        Fault::ClockJump { .. } => {
            let by_ms = *seeded.pick(&[200, 2_000, 60_000, 3_600_000]);
            Fault::ClockJump { by_ms: if seeded.below(2) == 0 { by_ms } else { -by_ms } }
        }
        Fault::ClockDrift { .. } => {
            Fault::ClockDrift { ppm: *seeded.pick(&[-100_000, -1_000, 1_000, 100_000]) }
        }
        Fault::DiskSlow { .. } => Fault::DiskSlow { bytes_per_second: *seeded.pick(&[64 << 10, 1 << 20]) },
        Fault::Corrupt { how, files, running, .. } => {
            Fault::Corrupt { how, files, running, seed: seeded.next() }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> PlanOptions {
        let faults = FaultKind::ALL.map(FaultKind::with_defaults).to_vec();
        PlanOptions::new(5, Duration::from_secs(600), faults)
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_one_another() {
        let first = Plan::generate(7, &options()).unwrap();
        assert_eq!(first, Plan::generate(7, &options()).unwrap());
        assert_ne!(first.steps, Plan::generate(8, &options()).unwrap().steps);
        let json = serde_json::to_string(&first).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), first);
    }

    /// Guards against a change that makes old seeds mean other plans.
    #[test]
    fn a_seed_of_an_old_report_means_what_it_meant() {
        let plan =
            Plan::generate(7, &PlanOptions::new(3, Duration::from_secs(30), vec![Fault::Kill {}])).unwrap();
        let steps: Vec<String> = plan
            .steps
            .iter()
            .map(|step| format!("{} {} {} {}", step.at_ms, step.fault, step.target, step.lasting_ms))
            .collect();
        assert_eq!(steps, GOLDEN, "{steps:#?}");
    }

    const GOLDEN: [&str; 4] =
        ["3542 kill one 5131", "11570 kill one 3436", "17550 kill one 4133", "25270 kill majority 2187"];

    #[test]
    fn every_fault_comes_and_none_overlaps_unless_told_to() {
        let plan =
            Plan::generate(1, &PlanOptions { length: Duration::from_secs(3_600), ..options() }).unwrap();
        assert_eq!(plan.kinds(), FaultKind::ALL);
        assert!(plan.length() <= Duration::from_secs(3_600), "{:?}", plan.length());
        for pair in plan.steps.windows(2) {
            assert!(pair[1].at() >= pair[0].until() + options().gap.0, "{pair:?}");
        }
        let overlapping = Plan::generate(1, &PlanOptions { overlapping: true, ..options() }).unwrap();
        assert!(overlapping.steps.windows(2).any(|pair| pair[1].at() < pair[0].until()));
    }

    #[test]
    fn every_seed_gives_a_plan_or_none_does() {
        for seconds in 1..30 {
            let options = PlanOptions::new(3, Duration::from_secs(seconds), vec![Fault::Kill {}]);
            let plans = (0..50).filter(|seed| Plan::generate(*seed, &options).is_ok()).count();
            assert!(plans == 0 || plans == 50, "{plans} of 50 at {seconds} s");
        }
    }

    #[test]
    fn options_that_make_no_plan_are_refused() {
        let generate = |options| Plan::generate(1, &options).unwrap_err();
        assert_eq!(generate(PlanOptions { faults: vec![], ..options() }), PlanError::NothingOf("fault"));
        assert_eq!(generate(PlanOptions { targets: vec![], ..options() }), PlanError::NothingOf("target"));
        let gap = (Duration::from_secs(2), Duration::from_secs(1));
        assert_eq!(generate(PlanOptions { gap, ..options() }), PlanError::Backwards("gap"));
        let short = generate(PlanOptions { length: Duration::from_secs(1), ..options() });
        assert!(matches!(short, PlanError::TooShort { .. }), "{short:?}");
    }
}
