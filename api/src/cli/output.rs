//! What commands print: aligned text for people, JSON for programs.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::exit::Failure;

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// `-o`
#[derive(Clone, Copy, Debug, Args)]
pub struct OutputArgs {
    /// How to print
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
}

impl OutputArgs {
    /// Prints the value as JSON, or the text.
    pub fn print(self, value: &impl Serialize, text: impl FnOnce() -> String) {
        match self.output {
            Format::Json => {
                line(&serde_json::to_string(value).expect("what is printed has string keys only"));
            }
            Format::Text => line(text().trim_end()),
        }
    }
}

/// Prints a line. A reader that went away (`| head`) ends the process quietly.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Aligned columns under headings.
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut push = |cells: [&str; N]| {
        let cells: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    };
    push(headings);
    for row in rows {
        push(std::array::from_fn(|column| row[column].as_str()));
    }
    text
}

/// A progress bar over `total` steps, on a terminal only.
pub fn progress(total: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), target());
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {elapsed}");
    bar.set_style(style.expect("the template is a constant").progress_chars("=> "));
    bar.set_message(what.to_owned());
    bar
}

/// A progress bar over `total` bytes, on a terminal only.
pub fn byte_progress(total: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), target());
    let style =
        ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {elapsed}");
    bar.set_style(style.expect("the template is a constant").progress_chars("=> "));
    bar.set_message(what.to_owned());
    bar
}

/// A line that shows that something goes on, on a terminal only.
pub fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target());
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn target() -> ProgressDrawTarget {
    match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    }
}

/// `--yes`
#[derive(Clone, Copy, Debug, Args)]
pub struct ConfirmArgs {
    /// Do not ask
    #[arg(short = 'y', long)]
    pub yes: bool,
}

impl ConfirmArgs {
    /// Asks on a terminal; elsewhere refuses without `--yes`.
    pub fn confirm(self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::Usage(format!("{question} Repeat the command with --yes to do it.")));
        }
        eprint!("{question} [y/N] ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(|error| Failure::io("read the answer", &error))?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::Usage("nothing was done".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["a".to_owned(), "1".to_owned()], ["longer".to_owned(), "2".to_owned()]];
        assert_eq!(table(["NAME", "N"], &rows), "NAME    N\na       1\nlonger  2\n");
    }
}
