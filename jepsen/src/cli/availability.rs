//! `jepsen availability`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::Format;
use super::print;
use super::run::{commit, parse_nodes};
use crate::availability::{
    AvailabilityOptions, FalseElections, Gaps, Kind, Measured, Summary, false_elections, measure,
};
use crate::cluster::Binary;

/// `jepsen availability ...`
#[derive(Debug, Args)]
#[command(after_help = "Example:
  jepsen availability --rounds 30 --markdown docs/availability-table.md

Exits with 0 if every round was made, 3 if some were not.")]
pub struct AvailabilityArgs {
    /// How the leader goes, with commas [default: in every way]
    #[arg(long, value_enum, value_delimiter = ',')]
    kind: Vec<Kind>,
    /// How often each
    #[arg(long, default_value_t = 30)]
    rounds: u32,
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = parse_nodes)]
    nodes: usize,
    /// Senders, and receivers, on each node
    #[arg(long, default_value_t = 3)]
    clients: u32,
    /// The pause of a sender between two messages, in milliseconds
    #[arg(long, default_value_t = 20)]
    pause_ms: u64,
    /// Count elections under full load for so many minutes; 0: not at all
    #[arg(long, default_value_t = 5)]
    full_load_minutes: u64,
    /// Write the table into this file too
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The broker; else LEDGERMQ_BINARY, else target/release/ledgermq
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Where data and results go
    #[arg(long, value_name = "DIR", default_value = "target/jepsen")]
    out: PathBuf,
    /// How to print
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Format,
}

impl AvailabilityArgs {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        use clap::ValueEnum as _;
        let binary = Binary::find(self.binary.as_deref())?;
        let directory = std::path::absolute(self.out.join("availability"))?;
        std::fs::create_dir_all(&directory)?;
        let options = AvailabilityOptions {
            rounds: self.rounds,
            nodes: self.nodes,
            clients_per_node: self.clients.clamp(1, 64),
            pause: Duration::from_millis(self.pause_ms),
        };
        let kinds = if self.kind.is_empty() { Kind::value_variants().to_vec() } else { self.kind.clone() };
        let mut all = Vec::new();
        for kind in kinds {
            let bar = print::spinner();
            let measured = match measure(kind, &options, &binary, &directory, &bar).await {
                Ok(measured) => measured,
                Err(error) => Measured { kind, rounds: Vec::new(), skipped: vec![format!("{error:#}")] },
            };
            bar.finish_and_clear();
            eprintln!("{}", row(&measured));
            all.push(measured);
        }
        let elections = match self.full_load_minutes {
            0 => None,
            minutes => {
                let bar = print::spinner();
                let lasting = Duration::from_secs(minutes * 60);
                let counted = false_elections(lasting, &options, &binary, &directory, &bar).await;
                bar.finish_and_clear();
                match counted {
                    Ok(counted) => Some(counted),
                    Err(error) => {
                        eprintln!("elections were not counted: {error:#}");
                        None
                    }
                }
            }
        };
        let table = self.table(&all, elections.as_ref());
        if let Some(path) = &self.markdown {
            std::fs::write(path, &table).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let value = json!({ "measured": all, "false_elections": elections, "commit": commit() });
        std::fs::write(directory.join("availability.json"), value.to_string())?;
        match self.output {
            Format::Json => println!("{value}"),
            Format::Text => println!("{table}"),
        }
        let counted = self.full_load_minutes == 0 || elections.is_some();
        let complete = counted && all.iter().all(|measured| measured.skipped.is_empty());
        Ok(ExitCode::from(if complete { 0 } else { 3 }))
    }

    fn table(&self, all: &[Measured], elections: Option<&FalseElections>) -> String {
        let mut text = format!(
            "Longest gap between acknowledgements, in milliseconds: p50 / p99 / maximum. {} nodes, {} senders and {} \
             receivers on each, commit {}.\n\n",
            self.nodes,
            self.clients,
            self.clients,
            commit()
        );
        text.push_str("| The leader | Rounds | Sends, server side | Sends, client side | Receives, server side | Receives, client side |\n");
        text.push_str("|---|---|---|---|---|---|\n");
        for measured in all {
            text.push_str(&row(measured));
            text.push('\n');
        }
        text.push_str("\nServer side: no client was served, whichever node it is at. Client side: the clients at the node that went, which had to find another one (an attempt of theirs ends after 2 s). Senders send every so often, whether the sends before are answered or not.\n");
        for measured in all {
            for skipped in &measured.skipped {
                text.push_str(&format!("\nNot measured: {}: {skipped}\n", measured.kind.name()));
            }
        }
        if let Some(elections) = elections {
            let per_hour = elections.elections as f64 * 3_600.0 / elections.seconds as f64;
            text.push_str(&format!(
                "\nElections that nothing called for: {} in {} s at {} sends/s, {per_hour:.1} an hour.\n",
                elections.elections, elections.seconds, elections.sends_per_second
            ));
        }
        text
    }
}

fn row(measured: &Measured) -> String {
    let cell = |value: fn(&Gaps) -> f64| match Summary::of(measured.rounds.iter().map(value)) {
        Some(Summary { p50_ms, p99_ms, max_ms }) => format!("{p50_ms:.0} / {p99_ms:.0} / {max_ms:.0}"),
        None => "-".to_owned(),
    };
    format!(
        "| {} | {} | {} | {} | {} | {} |",
        measured.kind.name(),
        measured.rounds.len(),
        cell(|gaps| gaps.send_server_ms),
        cell(|gaps| gaps.send_client_ms),
        cell(|gaps| gaps.receive_server_ms),
        cell(|gaps| gaps.receive_client_ms)
    )
}
