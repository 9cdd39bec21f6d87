//! One seed, one process: what libraries keep for a whole process (generators that were used, counters) would reach from
//! one run into the next. It also lets two runs use two cores, and ends a run that hangs.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::run::{self, Settings};

/// Tells a child its seed.
const SEED: &str = "SIMULATION_CHILD";
/// Tells a child to keep the trace's text.
pub const TRACE: &str = "SIMULATION_TRACE";
/// The test that a child runs.
const CHILD: &str = "process::child";
const RESULT: &str = "simulation result: ";
/// A run that takes longer hangs.
const TAKES_AT_MOST: Duration = Duration::from_secs(180);

/// What became of a seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub seed: u64,
    /// What did not hold, and when.
    pub violated: Option<String>,
    /// A line of figures.
    pub figures: String,
    /// A hash over all events, and their number.
    pub trace: (u64, u64),
    /// All events, or the last ones, if they were kept.
    pub text: Vec<String>,
    pub took_ms: u64,
}

/// Runs the seed that the environment names; nothing if it names none.
#[test]
fn child() {
    let Ok(seed) = std::env::var(SEED) else { return };
    if let Ok(filter) = std::env::var("RUST_LOG") {
        let filter = tracing_subscriber::EnvFilter::new(filter);
        let to = std::io::stderr;
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(to).try_init();
    }
    let settings = Settings::for_seed(seed.parse().expect("a seed"));
    let settings = Settings { keep_trace: std::env::var(TRACE).is_ok(), ..settings };
    let begun = Instant::now();
    let mut outcome = match run::run(&settings) {
        Ok(report) => Outcome {
            seed: settings.seed,
            violated: None,
            figures: report.to_string(),
            trace: report.trace,
            text: report.text,
            took_ms: 0,
        },
        Err(failure) => Outcome {
            seed: settings.seed,
            violated: Some(format!("at {:?}: {}", failure.at, failure.what)),
            figures: format!("plan: {:?}", settings.plan),
            trace: raft::simulation::trace_hash(),
            text: failure.text,
            took_ms: 0,
        },
    };
    outcome.took_ms = begun.elapsed().as_millis() as u64;
    let line = serde_json::to_string(&outcome).expect("plain data");
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{RESULT}{line}").expect("the parent reads");
}

/// A seed that runs.
pub struct Running {
    seed: u64,
    child: Child,
    deadline: Instant,
    reader: Option<std::thread::JoinHandle<String>>,
}

/// Starts a seed in a process of its own; `bug` is planted in it.
pub fn start(seed: u64, keep_trace: bool, bug: Option<&str>) -> Running {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([CHILD, "--exact", "--nocapture"]).env(SEED, seed.to_string());
    command.stdout(Stdio::piped()).stdin(Stdio::null()).env_remove(store::planted::VARIABLE);
    if std::env::var("RUST_LOG").is_err() {
        command.stderr(Stdio::null());
    }
    match keep_trace {
        true => command.env(TRACE, "1"),
        false => command.env_remove(TRACE),
    };
    if let Some(bug) = bug {
        command.env(store::planted::VARIABLE, bug);
    }
    let mut child = command.spawn().expect("a process");
    let mut stdout = child.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        // What is not text is no result.
        let _ = stdout.read_to_string(&mut text);
        text
    });
    Running { seed, child, deadline: Instant::now() + TAKES_AT_MOST, reader: Some(reader) }
}

impl Running {
    /// Whether it has ended; one that hangs is ended.
    pub fn is_over(&mut self) -> bool {
        if Instant::now() > self.deadline {
            let _ = self.child.kill();
        }
        self.child.try_wait().expect("a child").is_some()
    }

    /// Waits for it.
    pub fn outcome(mut self) -> Outcome {
        while !self.is_over() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let text = self.reader.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        let result = text.lines().find_map(|line| line.strip_prefix(RESULT));
        let outcome = result.and_then(|line| serde_json::from_str(line).ok());
        outcome.unwrap_or_else(|| Outcome {
            seed: self.seed,
            violated: Some("the process hung, or a node panicked".to_owned()),
            figures: String::new(),
            trace: (0, 0),
            text: text.lines().rev().take(40).map(str::to_owned).collect(),
            took_ms: 0,
        })
    }
}

/// Runs seeds, as many at a time as there are cores, until `seen` wants no more.
pub fn run_all(
    seeds: impl IntoIterator<Item = u64>,
    keep_trace: bool,
    bug: Option<&str>,
    mut seen: impl FnMut(Outcome) -> bool,
) {
    let most = std::thread::available_parallelism().map_or(1, usize::from);
    let mut seeds = seeds.into_iter();
    let mut running: Vec<Running> = Vec::new();
    let mut wanted = true;
    loop {
        while wanted && running.len() < most {
            let Some(seed) = seeds.next() else { break };
            running.push(start(seed, keep_trace, bug));
        }
        if running.is_empty() {
            return;
        }
        match running.iter_mut().position(Running::is_over) {
            Some(at) => wanted &= seen(running.swap_remove(at).outcome()),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
