//! What a run says to people and programs: a text that is read in a minute, JSON, and a picture of
//! latency, throughput and availability over time with the faults drawn in.
//!
//! [`Report::new`] checks a history and adds it up; [`Report::text`], [`picture`] and serde show it.

mod gaps;
mod latency;
mod limits;
mod summary;
mod svg;
mod text;

use std::io;
use std::path::{Path, PathBuf};

use checkers::history::History;

pub use gaps::{FaultGaps, FaultLine};
pub use latency::Percentiles;
pub use summary::{CallCount, PropertyLine, Report, Result, Work};
pub use svg::picture;

/// The files of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The text.
    pub text: PathBuf,
    /// The JSON.
    pub json: PathBuf,
    /// The picture.
    pub svg: PathBuf,
}

/// Writes `report.txt`, `report.json` and `report.svg` into a directory, which is made if it is not there.
///
/// # Errors
/// Those of the files.
pub fn write(report: &Report, history: &History, directory: &Path) -> io::Result<Files> {
    std::fs::create_dir_all(directory)?;
    let file = |name| directory.join(name);
    let files = Files { text: file("report.txt"), json: file("report.json"), svg: file("report.svg") };
    std::fs::write(&files.text, report.text())?;
    let mut json = serde_json::to_vec_pretty(report).map_err(io::Error::from)?;
    json.push(b'\n');
    std::fs::write(&files.json, json)?;
    std::fs::write(&files.svg, picture(report, history))?;
    Ok(files)
}
