//! `ledgermq bench`

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use tokio::net::TcpListener;

use super::exit::Failure;
use super::output::{OutputArgs, line, progress, spinner};
use super::target::CredentialArgs;
use crate::bench::ceiling::{Ceiling, EchoProcess};
use crate::bench::meter::Meter;
use crate::bench::report::Report;
use crate::bench::{Kind, Load, ceiling, e2e, echo, receive, send};
use crate::client::access::{ClientError, Headers, HostPort};
use crate::options::values::parse_duration;

/// Calls under way at once where nothing is said: sends, and receives.
const SENDS_IN_FLIGHT: usize = 256;
const POLLS_IN_FLIGHT: usize = 16;
/// How long is measured where nothing is said, and at most.
const SECONDS: u64 = 15;
const WARM_UP_SECONDS: u64 = 2;
const SECONDS_MAX: u64 = 86_400;
/// Bodies of `bench e2e` carry a time stamp.
const STAMPED_BYTES_MIN: usize = 16;

/// `ledgermq bench ...`
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Send, as fast as possible or at a rate
    #[command(after_help = "Examples:
  ledgermq bench send
  ledgermq bench send --size 1024 --batch 32 --in-flight 64 --seconds 30 -o json
  ledgermq bench send --rate 1000 --message-groups 100
  ledgermq bench send --lite-topics 1000000 --batch 32 --messages 1000000")]
    Send {
        #[command(flatten)]
        load: LoadArgs,
        /// Send half messages, whose transactions nobody ends
        #[arg(long, conflicts_with_all = ["delay", "message_groups", "lite_topics"])]
        transaction: bool,
        /// Commit each half message
        #[arg(long, requires = "transaction")]
        commit: bool,
        /// Spread messages over so many lite topics
        #[arg(long, value_name = "N", conflicts_with_all = ["delay", "message_groups"],
            value_parser = clap::value_parser!(u32).range(1..))]
        lite_topics: Option<u32>,
    },
    /// Receive and acknowledge what is in a topic, until nothing is left or the time is up
    #[command(after_help = "Example:
  ledgermq bench receive --batch 32 --seconds 30
  ledgermq bench receive --hold 1h --messages 100000

Latency is that of a receive that brought messages, with its acknowledgement.")]
    Receive {
        #[command(flatten)]
        load: LoadArgs,
        /// Hold what is received for so long instead of acknowledging it
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        hold: Option<Duration>,
    },
    /// Send and receive at once; latency is from the intended send to the arrival
    #[command(after_help = "Example:
  ledgermq bench e2e --rate 1000 --seconds 30")]
    E2e(LoadArgs),
    /// Measure a bare gRPC echo of the same calls and the disk, and a broker's share of each
    #[command(after_help = "Examples:
  ledgermq bench ceiling --data /var/lib/ledgermq
  ledgermq bench ceiling --endpoint 127.0.0.1:8081 --size 1024 --batch 32 --in-flight 64 -o json")]
    Ceiling {
        /// Where to measure the disk
        #[arg(long, default_value = "ledgermq-data", value_name = "DIR")]
        data: PathBuf,
        /// The broker to compare with; none: only the ceilings
        #[arg(long, env = "LEDGERMQ_ENDPOINT", value_name = "HOST:PORT")]
        endpoint: Option<HostPort>,
        #[command(flatten)]
        shape: ShapeArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// The other side of `ceiling`
    #[command(hide = true)]
    EchoServer,
}

/// A load and its target.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Any RocketMQ 5 gRPC endpoint
    #[arg(long, env = "LEDGERMQ_ENDPOINT", default_value = "127.0.0.1:8081", value_name = "HOST:PORT")]
    endpoint: HostPort,
    #[command(flatten)]
    shape: ShapeArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The shape of a load.
#[derive(Clone, Debug, Args)]
pub struct ShapeArgs {
    #[command(flatten)]
    credentials: CredentialArgs,
    /// The topic; made if it is not there [default: bench, or bench-fifo]
    #[arg(long)]
    topic: Option<String>,
    /// Its queues, if it is made
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096))]
    queues: u32,
    /// The consumer group; made if it is not there [default: as the topic]
    #[arg(long)]
    group: Option<String>,
    /// Bytes of a body
    #[arg(long, default_value_t = 256, value_parser = size)]
    size: usize,
    /// Messages in one call
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
    /// Calls under way at once [default: 256 sends, 16 receives]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    in_flight: Option<u32>,
    /// Connections; at least one to each broker
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Messages a second; 0: as fast as possible
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// How long to measure [default: 15, or as long as --messages takes]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    seconds: Option<u64>,
    /// Stop after about so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
    /// How long to run before that [default: 2, or 0 with --messages]
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    warm_up: Option<u64>,
    /// Spread messages over so many message groups, in order within each; 0: without order
    #[arg(long, default_value_t = 0)]
    message_groups: u32,
    /// Messages become visible so long after the run began
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with = "message_groups")]
    delay: Option<Duration>,
    /// Speak to the endpoint only, not to every broker of the route
    #[arg(long)]
    direct: bool,
}

fn size(text: &str) -> Result<usize, String> {
    let bytes = crate::options::values::parse_bytes(text).map_err(|error| error.to_string())?;
    match bytes {
        1..=4_194_304 => Ok(bytes as usize),
        _ => Err("a body has 1 to 4194304 bytes".to_owned()),
    }
}

impl ShapeArgs {
    fn load(&self, endpoint: HostPort, in_flight: usize) -> Result<Load, Failure> {
        let kind = match (self.delay, self.message_groups) {
            (Some(delay), _) => Kind::Delayed(delay),
            (None, 0) => Kind::Normal,
            (None, message_groups) => Kind::Fifo { message_groups },
        };
        self.load_of(kind, endpoint, in_flight)
    }

    fn load_of(&self, kind: Kind, endpoint: HostPort, in_flight: usize) -> Result<Load, Failure> {
        let default = match kind {
            Kind::Normal => "bench",
            Kind::Fifo { .. } => "bench-fifo",
            Kind::Delayed(_) => "bench-delay",
            Kind::Half { .. } => "bench-transaction",
            Kind::Lite { .. } => "bench-lite",
        };
        let topic = self.topic.clone().unwrap_or_else(|| default.to_owned());
        Ok(Load {
            endpoint,
            headers: self.credentials.headers()?,
            direct: self.direct,
            queues: self.queues,
            group: self.group.clone().unwrap_or_else(|| topic.clone()),
            topic,
            size: self.size,
            batch: self.batch as usize,
            in_flight: self.in_flight.map_or(in_flight, |calls| calls as usize),
            connections: self.connections as usize,
            rate: self.rate,
            seconds: self.seconds.unwrap_or(if self.messages.is_some() { SECONDS_MAX } else { SECONDS }),
            warm_up: self.warm_up.unwrap_or(if self.messages.is_some() { 0 } else { WARM_UP_SECONDS }),
            messages: self.messages,
            kind,
            hold: None,
        })
    }
}

impl BenchCommand {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            BenchCommand::Send { load: args, transaction, commit, lite_topics } => {
                let load = match (transaction, lite_topics) {
                    (true, _) => args.shape.load_of(Kind::Half { commit }, args.endpoint, SENDS_IN_FLIGHT)?,
                    (false, Some(topics)) => {
                        args.shape.load_of(Kind::Lite { topics }, args.endpoint, SENDS_IN_FLIGHT)?
                    }
                    (false, None) => args.shape.load(args.endpoint, SENDS_IN_FLIGHT)?,
                };
                let bar = spinner("sending");
                let result = send::run(&load, |meter| show(&bar, meter, &load)).await;
                finish(&bar, result, &load, args.output)
            }
            BenchCommand::Receive { load: args, hold } => {
                let mut load = args.shape.load(args.endpoint, POLLS_IN_FLIGHT)?;
                load.hold = hold;
                if args.shape.batch == 1 {
                    load.batch = receive::BATCH_MAX;
                }
                let bar = spinner("receiving");
                let result = receive::run(&load, |meter| show(&bar, meter, &load)).await;
                finish(&bar, result, &load, args.output)
            }
            BenchCommand::E2e(args) => {
                let load = args.shape.load(args.endpoint, SENDS_IN_FLIGHT)?;
                if load.size < STAMPED_BYTES_MIN {
                    return Err(Failure::Usage(format!(
                        "--size {}: a body of `bench e2e` has at least {STAMPED_BYTES_MIN} bytes",
                        load.size
                    )));
                }
                let bar = spinner("sending and receiving");
                let result = e2e::run(&load, |meter| show(&bar, meter, &load)).await;
                finish(&bar, result, &load, args.output)
            }
            BenchCommand::Ceiling { data, endpoint, shape, output } => {
                run_ceiling(data, endpoint, &shape, output).await
            }
            BenchCommand::EchoServer => {
                let failed = |error: std::io::Error| Failure::io("listen on loopback", &error);
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
                line(&listener.local_addr().map_err(failed)?.to_string());
                echo::serve(listener).await.map_err(|error| Failure::Failed(error.to_string()))
            }
        }
    }
}

async fn run_ceiling(
    data: PathBuf,
    endpoint: Option<HostPort>,
    shape: &ShapeArgs,
    output: OutputArgs,
) -> Result<(), Failure> {
    let bar = progress(100, "disk");
    let steps = bar.clone();
    let disk = ceiling::disk(&data, move |share| steps.set_position((share * 100.0) as u64)).await;
    bar.finish_and_clear();
    let disk =
        disk.map_err(|error| Failure::io(format!("measure the disk in {}", data.display()), &error))?;
    let bar = spinner("echo");
    let process = EchoProcess::start().await.map_err(|error| Failure::io("start the echo server", &error))?;
    let at: HostPort = process.endpoint.parse().map_err(Failure::Failed)?;
    // Whatever the broker wants, the echo wants nothing.
    let load = Load { direct: true, headers: Headers::new(None)?, ..shape.load(at, SENDS_IN_FLIGHT)? };
    let echo = send::run(&load, |meter| show(&bar, meter, &load)).await;
    drop(process);
    bar.finish_and_clear();
    let echo = echo?;
    let mut broker = None;
    if let Some(endpoint) = endpoint {
        let load = shape.load(endpoint, SENDS_IN_FLIGHT)?;
        let bar = spinner("broker");
        let report = send::run(&load, |meter| show(&bar, meter, &load)).await;
        bar.finish_and_clear();
        broker = Some(report.map_err(|error| Failure::about_topic(error, &load.topic))?);
    }
    let ceiling = Ceiling::new(echo, disk, broker);
    output.print(&ceiling, || ceiling.text());
    Ok(())
}

fn show(bar: &ProgressBar, meter: &Meter, load: &Load) {
    let elapsed = meter.began().elapsed();
    if elapsed.as_secs() < load.warm_up {
        bar.set_message("warming up");
        return;
    }
    let (messages, errors) = meter.counts();
    let measured = (elapsed.as_secs_f64() - load.warm_up as f64).max(0.001);
    let rate = messages as f64 / measured;
    let mib = rate * load.size as f64 / f64::from(1 << 20);
    let left = load.duration().saturating_sub(elapsed).as_secs();
    bar.set_message(format!("{rate:.0} messages/s, {mib:.1} MiB/s, {errors} errors, {left} s left"));
}

fn finish(
    bar: &ProgressBar,
    result: Result<Report, ClientError>,
    load: &Load,
    output: OutputArgs,
) -> Result<(), Failure> {
    bar.finish_and_clear();
    let report = result.map_err(|error| Failure::about_topic(error, &load.topic))?;
    output.print(&report, || report.text());
    match (report.messages, &report.last_error) {
        (0, Some(error)) => Err(Failure::Failed(format!("every call failed: {error}"))),
        (0, None) => Err(Failure::Nothing(format!("there was nothing in topic {}", load.topic))),
        _ => Ok(()),
    }
}
