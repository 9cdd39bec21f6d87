//! The command line of `jepsen`.

mod availability;
mod check;
mod planted;
mod print;
mod run;
mod suite;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

/// How things are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Tests a broker as a black box: workloads and faults against a cluster of processes, histories, seventeen properties.
#[derive(Debug, Parser)]
#[command(name = "jepsen", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every property held, and everything was covered
  1  a property was violated, or a node misbehaved
  2  wrong usage, or the run could not be made
  3  not proof: nothing was violated, but a fault was skipped, too little happened, or something could not be read";

#[derive(Debug, Subcommand)]
enum Command {
    /// One workload under one or more faults
    Run(run::RunArgs),
    /// Many runs, and one table
    Suite(suite::SuiteArgs),
    /// Measure how long nothing is acknowledged when the leader goes
    Availability(availability::AvailabilityArgs),
    /// Prove that planted bugs are found
    Planted(planted::PlantedArgs),
    /// Check a history
    Check(check::CheckArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("JEPSEN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("jepsen=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("jepsen: cannot start a runtime: {error}");
            return ExitCode::from(2);
        }
    };
    // One thread for all clients: their operations have one clock, and the processes under test get the rest.
    let ended = LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            ended = cli.command.run() => ended,
            told = told_to_stop() => Err(match told {
                Ok(()) => anyhow::anyhow!("interrupted; what was made is taken away"),
                Err(error) => anyhow::Error::new(error).context("cannot wait for signals"),
            }),
        }
    });
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("jepsen: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Resolves at Ctrl-C, and when a supervisor says so (SIGTERM).
async fn told_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

impl Command {
    async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Command::Run(arguments) => arguments.run().await,
            Command::Suite(arguments) => arguments.run().await,
            Command::Planted(arguments) => arguments.run().await,
            Command::Availability(arguments) => arguments.run().await,
            Command::Check(arguments) => arguments.run(),
        }
    }
}
