//! The command line. One file a command.

mod cluster;
mod detect;
mod exit;
mod heal;
mod inject;
mod kubernetes;
mod output;
mod plan;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::cluster::options::STATE_FILE;
use crate::plan::run::Stop;
use exit::{EXIT_CODES, Failure};

#[derive(Debug, Parser)]
#[command(
    name = "ledgermq-chaos",
    version,
    about = "Clusters on one machine, and faults for them: processes, networks, clocks, disks",
    after_help = EXIT_CODES,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make clusters, look at them, take them down
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Let a fault happen, and heal it after a while
    Inject(inject::InjectArgs),
    /// Print what a seed makes happen when
    Plan(plan::PlanArgs),
    /// Let a plan happen
    Run(run::RunArgs),
    /// Remove everything that a cluster left behind, also after a crash of this tool
    Heal(heal::HealArgs),
    /// Let faults happen to pods, by `kubectl`
    #[command(subcommand)]
    Kubernetes(kubernetes::KubernetesCommand),
    /// Say which faults this machine can have, and why not the others
    Detect(detect::DetectArgs),
    /// Print the completions for a shell
    #[command(after_help = "Example:
  ledgermq-chaos completion bash > /etc/bash_completion.d/ledgermq-chaos")]
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// Which cluster.
#[derive(Debug, Args)]
struct StateArgs {
    /// The cluster's state file; what the cluster has lies beside it
    #[arg(long, env = "LEDGERMQ_CHAOS_STATE", value_name = "FILE", default_value_os_t = default_state())]
    state: PathBuf,
}

fn default_state() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    std::env::temp_dir().join(format!("ledgermq-chaos-{user}")).join(STATE_FILE)
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Cluster(command) => command.run(),
        Command::Inject(args) => args.run(),
        Command::Plan(args) => args.run(),
        Command::Run(args) => args.run(),
        Command::Heal(args) => args.run(),
        Command::Kubernetes(command) => command.run(),
        Command::Detect(args) => args.run(),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ledgermq-chaos", &mut script);
            output::line(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
    }
}

/// From here on Ctrl-C and SIGTERM end nothing by themselves: they say stop, and whoever asks heals first.
fn stop_on_signals() -> Result<Stop, Failure> {
    let stop = Stop::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot listen to signals: {error}")))?;
    let (installed, is_installed) = std::sync::mpsc::channel();
    let said = stop.clone();
    std::thread::spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let listeners = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
            let (Ok(mut interrupt), Ok(mut terminate)) = listeners else { return };
            let _ = installed.send(());
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            said.stop();
        });
    });
    is_installed.recv().map_err(|_| Failure::Failed("cannot listen to signals".into()))?;
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
