//! What is printed, and the exit codes.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

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
    println!("{}", report.page.trim_end());
    if let Some(took) = report.convergence {
        println!("Converged {} ms after healing.", took.as_millis());
    }
    for reason in report.reasons() {
        println!("{reason}");
    }
    println!("History, report and picture: {}", report.history.parent().unwrap_or(&report.history).display());
    println!("{}", report.word());
}
