//! The verdict over a run.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use checkers::history::{Call, Coverage, FaultStatus, Header, History, Line, Operation, Outcome, Writer};
use checkers::{Property, Verdict};
use serde::{Deserialize, Serialize};

use super::RunOptions;
use super::final_reads::FinalReads;
use crate::cluster::Death;
use crate::nemesis::Troubles;
use crate::workload::Needs;

/// Everything that a history is written from.
#[derive(Debug)]
pub struct Judgement {
    /// What the run was.
    pub header: Header,
    /// What happened to the cluster.
    pub troubles: Troubles,
    /// What was read at the end.
    pub reads: FinalReads,
    /// Who read what.
    pub needs: Needs,
    /// What clients did.
    pub operations: Vec<Operation>,
    /// Nodes that did not run at the end.
    pub deaths: Vec<Death>,
}

/// The verdict.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What clients did.
    pub workload: String,
    /// Who made trouble.
    pub nemesis: String,
    /// The seed.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// For how long, in seconds.
    pub seconds: u64,
    /// The commit of the product.
    pub commit: String,
    /// The command that repeats it.
    pub command: String,
    /// Where the history is.
    pub history: PathBuf,
    /// How many operations ended how: ok, fail, info.
    pub operations: [u64; 3],
    /// Sends that were acknowledged.
    pub acknowledged_sends: u64,
    /// How long convergence took after healing.
    pub convergence: Option<Duration>,
    /// The report that a person reads.
    #[serde(skip)]
    pub page: String,
    /// Each property.
    pub verdicts: Vec<(Property, Verdict)>,
    /// What the run had to reach.
    pub coverage: Vec<Coverage>,
    /// Faults that were not installed, and why.
    pub skipped: Vec<String>,
    /// How many faults were installed.
    pub installed: u64,
    /// What else is wrong with the broker: nodes that died, or did not converge.
    pub defects: Vec<String>,
    /// What keeps the run from being a proof.
    pub obstacles: Vec<String>,
}

impl Report {
    /// Whether a property, or the broker's good behaviour, was violated.
    pub fn is_violated(&self) -> bool {
        !self.defects.is_empty() || self.verdicts.iter().any(|(_, verdict)| verdict.is_violated())
    }

    /// Whether it proves something: everything was covered and read.
    pub fn is_proof(&self) -> bool {
        self.obstacles.is_empty() && self.coverage.iter().all(Coverage::is_met)
    }

    /// Neither a violation nor a gap.
    pub fn is_sound(&self) -> bool {
        !self.is_violated() && self.is_proof()
    }

    /// One word for it.
    pub fn word(&self) -> &'static str {
        match (self.is_violated(), self.is_proof()) {
            (true, _) => "VIOLATED",
            (false, true) => "held",
            (false, false) => "not proof",
        }
    }

    /// Why it is no proof, and what is wrong besides the properties.
    pub fn reasons(&self) -> Vec<String> {
        let uncovered = self.coverage.iter().filter(|one| !one.is_met());
        let uncovered =
            uncovered.map(|one| format!("not covered: {}: {} of {}", one.what, one.seen, one.wanted));
        let defects = self.defects.iter().map(|defect| format!("DEFECT: {defect}"));
        let obstacles = self.obstacles.iter().map(|obstacle| format!("not proof: {obstacle}"));
        defects.chain(uncovered).chain(self.skipped.iter().cloned()).chain(obstacles).collect()
    }

    /// The names of the violated properties.
    pub fn violated(&self) -> Vec<String> {
        let violated = self.verdicts.iter().filter(|(_, verdict)| verdict.is_violated());
        let mut names: Vec<String> = violated.map(|(property, _)| property.name().to_owned()).collect();
        if !self.defects.is_empty() {
            names.push("behaviour".to_owned());
        }
        names
    }
}

impl Judgement {
    /// Writes the history.
    ///
    /// # Errors
    /// Those of the output.
    pub fn write<W: Write>(&self, mut writer: Writer<W>, coverage: &[Coverage]) -> std::io::Result<()> {
        for operation in &self.operations {
            writer.operation(operation.clone())?;
        }
        for (_, fault) in &self.troubles.faults {
            writer.write(&Line::Fault(fault.clone()))?;
        }
        for subscription in &self.needs.subscriptions {
            writer.write(&Line::Subscription(subscription.clone()))?;
        }
        for line in &self.reads.lines {
            writer.write(line)?;
        }
        for one in coverage {
            writer.write(&Line::Coverage(one.clone()))?;
        }
        writer.finish()?.flush()
    }

    fn defects(&self) -> Vec<String> {
        let mut defects = self.reads.defects.clone();
        for death in self.troubles.deaths.iter().chain(&self.deaths) {
            defects.push(format!("node {} ended by itself: {}", death.node, death.how));
        }
        if self.reads.convergence.is_none() {
            defects.push("the cluster did not converge after healing".to_owned());
        }
        defects
    }

    fn skipped(&self) -> Vec<String> {
        let mut skipped: Vec<String> = Vec::new();
        for (_, fault) in &self.troubles.faults {
            let why = match &fault.status {
                FaultStatus::Installed => continue,
                FaultStatus::Skipped { why } => format!("skipped: {why}"),
                FaultStatus::Indeterminate { why } => format!("indeterminate: {why}"),
            };
            let line = format!("{} on {}: {why}", fault.fault, fault.target);
            if !skipped.contains(&line) {
                skipped.push(line);
            }
        }
        skipped
    }
}

/// Checks the history as it was written.
///
/// # Errors
/// It cannot be read back.
pub fn judge(
    options: &RunOptions,
    path: &Path,
    judgement: &Judgement,
    coverage: Vec<Coverage>,
) -> anyhow::Result<Report> {
    let history = History::open(path).with_context(|| format!("cannot read {} back", path.display()))?;
    anyhow::ensure!(history.is_complete(), "{} is not complete", path.display());
    let page = report::Report::new(&history);
    report::write(&page, &history, &options.directory).context("cannot write the report")?;
    let count = |outcome: Outcome| {
        judgement.operations.iter().filter(|operation| operation.outcome == outcome).count() as u64
    };
    let is_acknowledged =
        |operation: &&Operation| operation.outcome == Outcome::Ok && matches!(operation.call, Call::Send(_));
    let installed =
        judgement.troubles.faults.iter().filter(|(_, fault)| fault.status == FaultStatus::Installed).count();
    let mut obstacles = judgement.troubles.unhealed.clone();
    obstacles.extend(judgement.reads.failures.iter().cloned());
    Ok(Report {
        workload: options.work.to_string(),
        nemesis: options.nemesis_names(),
        seed: options.seed,
        nodes: options.nodes,
        seconds: options.lasting.as_secs(),
        commit: options.commit.clone(),
        command: options.command(),
        history: path.to_owned(),
        operations: [count(Outcome::Ok), count(Outcome::Fail), count(Outcome::Info)],
        acknowledged_sends: judgement.operations.iter().filter(is_acknowledged).count() as u64,
        convergence: judgement.reads.convergence,
        page: page.text(),
        verdicts: page.properties.into_iter().map(|line| (line.property, line.verdict)).collect(),
        coverage,
        skipped: judgement.skipped(),
        installed: installed as u64,
        defects: judgement.defects(),
        obstacles,
    })
}
