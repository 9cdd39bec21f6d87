//! `jepsen suite`

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::Format;
use super::print;
use super::run::{CommonArgs, commit, parse_nodes};
use crate::cluster::Binary;
use crate::run::{RunOptions, run};
use crate::suite::{Budget, Ending, Entry, Progress, Tier, entries};

/// `jepsen suite ...`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jepsen suite --tier push
  jepsen suite --tier long --nodes 5 --minutes 600

A long suite that was ended goes on when the same command is given again. Exits with 0 if everything held, 1 if
something was violated, 3 if a run proves nothing.")]
pub struct SuiteArgs {
    /// How thorough
    #[arg(long, value_enum)]
    tier: Tier,
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = parse_nodes)]
    nodes: usize,
    /// The seed of all seeds
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Begin no further run after so many minutes [default: the long tier 60, the push tier when it is done]
    #[arg(long)]
    minutes: Option<u64>,
    #[command(flatten)]
    common: CommonArgs,
    /// How to print
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Format,
}

const LONG_MINUTES: u64 = 60;

impl SuiteArgs {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let binary = Binary::find(self.common.binary.as_deref())?;
        let (tier, nodes, seed) = (self.tier, self.nodes, self.seed);
        let name = format!("suite-{}-{nodes}n-{seed}", if tier == Tier::Push { "push" } else { "long" });
        let directory = std::path::absolute(self.common.out.join(name))?;
        if tier == Tier::Push {
            // Every push is tested anew.
            let _ = std::fs::remove_dir_all(&directory);
        }
        let mut progress = Progress::open(&directory, tier, nodes, seed)?;
        let minutes = self.minutes.or((tier == Tier::Long).then_some(LONG_MINUTES));
        let budget = Budget::new(minutes.map(|minutes| Duration::from_secs(minutes * 60)));
        let all = entries(tier, nodes, seed);
        let mut ran = 0;
        for (number, entry) in all.iter().enumerate() {
            if progress.done.contains_key(&entry.name()) {
                continue;
            }
            if !budget.is_left() {
                break;
            }
            let ending = self.one(entry, &directory, &binary).await;
            ran += 1;
            eprintln!("{:>3}/{} {}", number + 1, all.len(), line(entry, &ending));
            progress.done.insert(entry.name(), ending);
            progress.save(&directory)?;
        }
        let rows: Vec<(&Entry, &Ending)> =
            all.iter().filter_map(|entry| Some((entry, progress.done.get(&entry.name())?))).collect();
        self.print(&rows, all.len(), ran, budget.elapsed());
        Ok(code(&rows, all.len(), tier))
    }

    async fn one(&self, entry: &Entry, directory: &std::path::Path, binary: &Binary) -> Ending {
        let options = RunOptions {
            work: entry.work.clone(),
            nemeses: entry.nemeses.clone(),
            overlap: entry.overlap,
            lasting: Duration::from_secs(entry.seconds),
            seed: entry.seed,
            nodes: self.nodes,
            broker_groups: entry.broker_groups,
            load: self.common.load().shared_by(entry.work.kinds().len()),
            directory: directory.join(entry.name()),
            keep: false,
            environment: Vec::new(),
            commit: commit(),
            in_namespaces: false,
        };
        let bar = print::spinner();
        let ended = run(&options, binary, &bar).await;
        bar.finish_and_clear();
        match ended {
            Ok(report) => Ending::Report(Box::new(report)),
            Err(error) => Ending::NotRun { why: format!("{error:#}") },
        }
    }

    fn print(&self, rows: &[(&Entry, &Ending)], all: usize, ran: usize, took: Duration) {
        if self.output == Format::Json {
            let rows: Vec<_> =
                rows.iter().map(|(entry, ending)| json!({ "entry": entry, "ending": ending })).collect();
            println!("{}", json!({ "runs": rows, "of": all, "seconds": took.as_secs() }));
            return;
        }
        println!(
            "VERDICT    WORKLOADS                        FAULTS                         OPERATIONS  UNKNOWN  INSTALLED  SEED"
        );
        for (entry, ending) in rows {
            println!("{}", line(entry, ending));
        }
        let count = |word: &str| rows.iter().filter(|(_, ending)| ending.word() == word).count();
        println!(
            "\n{} of {all} runs ({ran} now, in {} s): {} held, {} violated, {} not proof, {} not run",
            rows.len(),
            took.as_secs(),
            count("held"),
            count("VIOLATED"),
            count("not proof"),
            count("not run")
        );
        if rows.len() < all {
            println!("{} runs are left: give the same command again to go on", all - rows.len());
        }
    }
}

fn line(entry: &Entry, ending: &Ending) -> String {
    let head = format!("{:<10} {:<32} {:<30}", ending.word(), entry.work.to_string(), entry.trouble());
    match ending {
        Ending::NotRun { why } => format!("{head} {why}"),
        Ending::Report(report) => {
            let [ok, fail, info] = report.operations;
            let mut line = format!(
                "{head} {:>10} {info:>8} {:>10}  {}",
                ok + fail + info,
                report.installed,
                report.seed
            );
            for violated in report.violated() {
                line.push_str(&format!("\n           violated: {violated}"));
            }
            for reason in report.reasons() {
                line.push_str(&format!("\n           {reason}"));
            }
            if !report.is_sound() {
                line.push_str(&format!(
                    "\n           {}\n           {}",
                    report.history.display(),
                    report.command
                ));
            }
            line
        }
    }
}

fn code(rows: &[(&Entry, &Ending)], all: usize, tier: Tier) -> ExitCode {
    let any = |word: &str| rows.iter().any(|(_, ending)| ending.word() == word);
    let incomplete = tier == Tier::Push && rows.len() < all;
    ExitCode::from(match (any("VIOLATED"), any("not proof") || any("not run") || incomplete) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 0,
    })
}
