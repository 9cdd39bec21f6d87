//! What is printed, and the exit codes.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use checkers::{Property, Verdict};
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::Format;
use crate::run::Report;

/// A line that shows what goes on, on a terminal only.
pub fn spinner() -> ProgressBar {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(None, target);
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// The exit code of a run.
pub fn code(report: &Report) -> ExitCode {
    ExitCode::from(match (report.is_violated(), report.is_proof()) {
        (true, _) => 1,
        (false, true) => 0,
        (false, false) => 3,
    })
}

/// Prints a report.
pub fn report(report: &Report, format: Format) {
    match format {
        Format::Json => {
            println!("{}", serde_json::to_string(report).expect("a report has string keys only"));
        }
        Format::Text => text(report),
    }
}

fn text(report: &Report) {
    let [ok, fail, info] = report.operations;
    println!(
        "{} under {} on {} nodes, {} s, seed {}",
        report.workload, report.nemesis, report.nodes, report.seconds, report.seed
    );
    println!(
        "  {ok} operations ok, {fail} failed, {info} unknown; {} sends acknowledged; {} faults installed",
        report.acknowledged_sends, report.installed
    );
    if let Some(took) = report.convergence {
        println!("  converged {} ms after healing", took.as_millis());
    }
    verdicts(&report.verdicts);
    for reason in report.reasons() {
        println!("  {reason}");
    }
    println!("  {}", report.history.display());
    println!("  {}", report.command);
    println!("{}", report.word());
}

/// Prints each property's verdict.
pub fn verdicts(verdicts: &[(Property, Verdict)]) {
    for (property, verdict) in verdicts {
        match verdict {
            Verdict::Held { checked } => println!("  held      {property} ({checked} checked)"),
            Verdict::NotChecked { why } => println!("  -         {property}: {why}"),
            Verdict::Violated { examples, total, losses } => {
                println!("  VIOLATED  {property}: {total} times");
                for example in examples {
                    println!("            {}", example.what);
                }
                if !losses.is_empty() {
                    println!(
                        "            lost at the beginning {}, in the middle {}, at the end {}",
                        losses.prefix, losses.middle, losses.postfix
                    );
                }
            }
        }
    }
}
