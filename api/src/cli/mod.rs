//! The command line. One file a command; each says what it needs, does it, and prints.

mod acl;
mod backup;
mod bench;
mod cluster;
mod completion;
mod debug;
mod dev;
mod digest;
mod dlq;
mod doctor;
pub mod exit;
mod feature_level;
mod group;
mod insecure;
mod local;
mod log;
mod log_messages;
mod message;
pub mod moment;
mod move_replica;
mod nodes;
mod offsets;
pub mod output;
mod pull;
mod rebalance;
mod recall;
mod receive;
mod repair;
mod send;
mod serve;
mod settings;
pub mod target;
mod topic;
mod topic_spread;
mod transaction;
mod user;
mod verify;
mod voters;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::boot::logging::LogArgs;
use crate::boot::panic::stop_on_panic;
use exit::{EXIT_CODES, Failure};

#[derive(Debug, Parser)]
#[command(
    name = "ledgermq",
    version,
    about = "A message broker whose replicated, fsynced Raft log is its CommitLog",
    after_help = EXIT_CODES,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one node on this machine, ready to try
    Dev(dev::DevArgs),
    /// Run a cluster of processes on this machine
    #[command(subcommand)]
    Local(local::LocalCommand),
    /// Run one node of a cluster from a configuration file
    Serve(serve::ServeArgs),
    /// Make, list, look at, change and delete topics
    #[command(subcommand)]
    Topic(topic::TopicCommand),
    /// Make, list, look at, move and delete consumer groups
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Look at dead letters, and send them again
    #[command(subcommand)]
    Dlq(dlq::DlqCommand),
    /// Send messages
    Send(send::SendArgs),
    /// Receive messages
    Receive(receive::ReceiveArgs),
    /// Look messages up, and ask what became of them
    #[command(subcommand)]
    Message(message::MessageCommand),
    /// Look at open transactions, and end them by hand
    #[command(subcommand)]
    Transaction(transaction::TransactionCommand),
    /// Look at the cluster, and move leaders
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Make, list, change and delete users, where access is controlled
    #[command(subcommand)]
    User(user::UserCommand),
    /// Say what users may do, and ask whether they may
    #[command(subcommand)]
    Acl(acl::AclCommand),
    /// Measure a broker
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Send, receive, and check that the promises hold
    Verify(Box<verify::VerifyArgs>),
    /// Look into a CommitLog while no node runs on it
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Print the completions for a shell
    Completion(completion::CompletionArgs),
    /// Collect what somebody needs who looks for a fault
    #[command(subcommand)]
    Debug(debug::DebugCommand),
}

/// How long a node's last tasks may take to end, when everything they were for is done.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    stop_on_panic();
    let cli = Cli::parse();
    let serves = matches!(cli.command, Command::Dev(_) | Command::Serve(_));
    if let Err(failure) = cli.log.install(serves) {
        return end(&failure);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads())
        .thread_name("ledgermq")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return end(&Failure::io("start threads", &error)),
    };
    let result = runtime.block_on(run(cli.command));
    match serves {
        // Whatever still holds tables must let go of them first: RocksDB's threads do not survive the end of the
        // process, and what they stumble over would end it with a signal.
        true => runtime.shutdown_timeout(CLOSE_TIMEOUT),
        // Blocking reads of standard input must not hold up the end.
        false => runtime.shutdown_background(),
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => end(&failure),
    }
}

/// Two at least: with one, a task that computes would hold up every answer.
fn worker_threads() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2))
}

fn end(failure: &Failure) -> ExitCode {
    eprintln!("error: {failure}");
    failure.code()
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Dev(args) => args.run().await,
        Command::Local(command) => command.run().await,
        Command::Serve(args) => args.run().await,
        Command::Topic(command) => command.run().await,
        Command::Group(command) => command.run().await,
        Command::Dlq(command) => command.run().await,
        Command::Send(args) => args.run().await,
        Command::Receive(args) => args.run().await,
        Command::Message(command) => command.run().await,
        Command::Transaction(command) => command.run().await,
        Command::Cluster(command) => command.run().await,
        Command::User(command) => command.run().await,
        Command::Acl(command) => command.run().await,
        Command::Bench(command) => command.run().await,
        Command::Verify(args) => args.run().await,
        Command::Log(command) => command.run(),
        Command::Completion(args) => args.run(),
        Command::Debug(command) => command.run().await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            let leaves: Vec<_> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).collect();
            if leaves.is_empty() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("ledgermq "), "`{path}` shows no example");
            }
            leaves.into_iter().for_each(|leaf| check(leaf, &path));
        }
        check(&Cli::command(), "");
    }
}
