//! `ledgermq verify`: sends a bounded load, consumes it, and says whether the promises held.
//!
//! Everything goes into a history of crate `checkers`, as a test of the whole product would write it;
//! the verdicts are those of the same checkers. Nothing is killed. What is made is deleted, however
//! the command ends.

mod consume;
mod load;
mod recorder;
mod scratch;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use checkers::history::Rules;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::exit::Failure;
use super::output::{OutputArgs, progress};
use super::target::TargetArgs;
use crate::limits::VERIFY_MESSAGES_MAX;
use crate::options::values::{parse_bytes, parse_duration};
use load::{Load, Plan, SENDERS};
use recorder::Recorder;
use scratch::Scratch;
use verdict::Judged;

/// How long what was sent may take to arrive: longer than elections and the leases that they cost.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(90);
const SHOW_INTERVAL: Duration = Duration::from_millis(200);

/// `ledgermq verify`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ledgermq verify
  ledgermq verify --endpoint broker-1:8081 --seconds 60 --rate 1000 --types fifo,delay
  ledgermq verify --history verify.jsonl -o json

Topics and consumer groups are made for the run, named verify-..., and deleted afterwards, also on Ctrl-C.
Exits with 1 when a promise was broken, or when too little was seen to tell.")]
pub struct VerifyArgs {
    /// How long to send
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Messages a second, over all types
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
    /// Which messages
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Normal, Kind::Fifo, Kind::Delay])]
    types: Vec<Kind>,
    /// Bytes of a body
    #[arg(long, default_value = "256", value_name = "BYTES", value_parser = size)]
    size: usize,
    /// Queues of each topic
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    queues: u32,
    /// How far this machine's clock may be off from the brokers'
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = parse_duration)]
    clock_tolerance: Duration,
    /// Write down everything that was done, for a closer look
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Which messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// Without order; some leases are left to end
    Normal,
    /// In order within a message group
    Fifo,
    /// With a delivery time a few seconds ahead
    Delay,
}

impl Kind {
    /// As on the command line.
    fn name(self) -> &'static str {
        match self {
            Kind::Normal => "normal",
            Kind::Fifo => "fifo",
            Kind::Delay => "delay",
        }
    }
}

fn size(text: &str) -> Result<usize, String> {
    match parse_bytes(text).map_err(|error| error.to_string())? {
        bytes @ 1..=1_048_576 => Ok(bytes as usize),
        _ => Err("a body has 1 to 1048576 bytes".to_owned()),
    }
}

impl VerifyArgs {
    pub async fn run(mut self) -> Result<(), Failure> {
        let planned = self.rate * self.seconds;
        if planned > VERIFY_MESSAGES_MAX {
            return Err(Failure::Usage(format!(
                "--rate {} for --seconds {} is {planned} messages: at most {VERIFY_MESSAGES_MAX} are held in memory",
                self.rate, self.seconds
            )));
        }
        self.types.sort_unstable();
        self.types.dedup();
        let recorder = Arc::new(self.recorder()?);
        let mut signals = Signals::listen()?;
        let mut scratch = Scratch::new(self.target.connect().await?);
        let result = tokio::select! {
            result = self.drive(&mut scratch, &recorder, planned) => result,
            name = signals.next() => Err(Failure::Failed(format!("{name}: nothing was found out"))),
        };
        let deleted = scratch.delete().await;
        result?;
        let history = recorder.finish().map_err(|error| Failure::io("write the history", &error))?;
        let judged = Judged::of(&history, recorder.state().last_error);
        self.output.print(&judged, || judged.text());
        deleted?;
        judged.outcome()
    }

    fn recorder(&self) -> Result<Recorder, Failure> {
        let clock_tolerance_ms = u64::try_from(self.clock_tolerance.as_millis()).unwrap_or(u64::MAX);
        let types: Vec<String> = self.types.iter().map(|kind| kind.name().to_owned()).collect();
        let command = format!(
            "ledgermq verify --endpoint {} --seconds {} --rate {} --types {} --size {} --queues {}",
            self.target.endpoint,
            self.seconds,
            self.rate,
            types.join(","),
            self.size,
            self.queues
        );
        let rules = Rules { clock_tolerance_ms, ..Rules::default() };
        Recorder::new(command, rules, self.history.as_deref())
            .map_err(|error| Failure::io("write the history", &error))
    }

    /// Makes the topics, sends, and receives until nothing is left.
    async fn drive(
        &self,
        scratch: &mut Scratch,
        recorder: &Arc<Recorder>,
        planned: u64,
    ) -> Result<(), Failure> {
        let bar = progress(planned, "preparing");
        let mut topics = Vec::new();
        for kind in &self.types {
            topics.push(scratch.make(*kind, self.queues).await?);
        }
        let plan = Plan {
            duration: Duration::from_secs(self.seconds),
            pause: Duration::from_secs_f64((topics.len() * SENDERS) as f64 / self.rate as f64),
            body_bytes: self.size,
        };
        let mut load = Load::begin(topics, recorder, &plan);
        while !load.has_sent() {
            show(&bar, recorder, "sending and receiving");
            load.proceed(SHOW_INTERVAL).await?;
        }
        let sent_at = Instant::now();
        while !recorder.is_drained() && sent_at.elapsed() < DRAIN_TIMEOUT {
            show(&bar, recorder, "receiving what is left");
            load.proceed(SHOW_INTERVAL).await?;
        }
        bar.finish_and_clear();
        load.end().await;
        Ok(())
    }
}

fn show(bar: &ProgressBar, recorder: &Recorder, what: &str) {
    let state = recorder.state();
    bar.set_position(state.settled);
    let unknown = if state.unknown > 0 { format!(", {} unknown", state.unknown) } else { String::new() };
    bar.set_message(format!("{what}: {} acknowledged{unknown}, settled", state.acknowledged));
}

/// What ends the command early. It still deletes what it made.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Signals, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::io("listen for signals", &error));
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
