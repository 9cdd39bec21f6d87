//! What commands print: aligned text for people, JSON for programs.

use std::io::Write;

use clap::{Args, ValueEnum};
use serde::Serialize;

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// `-o`
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct OutputArgs {
    /// How to print
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
}

impl OutputArgs {
    /// Prints the value as JSON, or the text.
    pub fn print(self, value: &impl Serialize, text: impl FnOnce() -> String) {
        match self.output {
            Format::Json => {
                line(&serde_json::to_string(value).expect("what is printed has string keys only"))
            }
            Format::Text => line(text().trim_end()),
        }
    }
}

/// Prints a line. A reader that went away (`| head`) is no reason to leave faults behind.
pub(super) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Aligned columns under headings; the last one is as wide as it likes.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| -> String {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(headings)];
    lines.extend(rows.iter().map(|row| line(row.each_ref().map(String::as_str))));
    lines.join("\n")
}
