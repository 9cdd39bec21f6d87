//! Checks a history and writes its report: `cargo run -p report --example check -- HISTORY DIRECTORY`.

use std::path::Path;
use std::process::ExitCode;

use checkers::history::History;
use report::{Report, Result};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [history, directory] = arguments.as_slice() else {
        eprintln!("usage: check HISTORY DIRECTORY");
        return ExitCode::from(2);
    };
    let history = match History::open(Path::new(history)) {
        Ok(history) => history,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let report = Report::new(&history);
    print!("{}", report.text());
    if let Err(error) = report::write(&report, &history, Path::new(directory)) {
        eprintln!("error: cannot write the report to {directory}: {error}");
        return ExitCode::from(2);
    }
    match report.result {
        Result::Held => ExitCode::SUCCESS,
        Result::Violated | Result::Rejected => ExitCode::FAILURE,
    }
}
