//! Runs the real binary.

#![allow(dead_code)] // each test file uses its own part

pub mod local;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

const MORE_PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const FIRST_PORT: u16 = 10_000;
/// Three of them are used.
const PORTS_A_NODE: u16 = 10;

/// The ports that this process has.
static CLAIMS: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// What was printed, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Holds it to this exit code.
    #[track_caller]
    pub fn code(self, expected: i32) -> Ended {
        assert_eq!(self.code, expected, "{self:#?}");
        self
    }
}

/// A command that is free of the environment's settings.
pub fn command(args: &[&str]) -> Command {
    by(env!("CARGO_BIN_EXE_ledgermq"), args)
}

/// As [`command`], of another binary.
pub fn by(binary: &str, args: &[&str]) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LEDGERMQ_") || name == "RUST_LOG")
    {
        command.env_remove(name);
    }
    // However full the disk of this machine is: what a full one does is tested with disks of their own.
    command.env("LEDGERMQ_DISK__SPARE_BYTES", "0");
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn ledgermq(args: &[&str]) -> Ended {
    ended(command(args))
}

/// Runs a command that was prepared.
pub fn ended(mut command: Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().expect("the binary runs");
    Ended {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8(stdout).expect("UTF-8"),
        err: String::from_utf8(stderr).expect("UTF-8"),
    }
}

/// Waits until so many more were counted, so that what comes next meets traffic.
pub fn until_more(counted: &AtomicU64, more: u64) {
    let (wanted, deadline) = (counted.load(Ordering::Relaxed) + more, Instant::now() + MORE_PATIENCE);
    while counted.load(Ordering::Relaxed) < wanted {
        assert!(Instant::now() < deadline, "nothing goes on: {counted:?} of {wanted}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Says that a test checks nothing on this machine, and why: on the terminal, whether the test passes or not.
pub fn skipped(reason: &str) {
    // What `eprintln!` writes is kept for tests that fail.
    let _ = writeln!(std::io::stderr(), "\nSKIPPED, NOTHING WAS TESTED: {reason}");
}

/// A port such that it and those of the other servers and nodes are free now, and no other test takes them while this
/// process lives: a port that was seen free may be another's before its server has come.
pub fn free_base_port(nodes: u16) -> u16 {
    for _ in 0..1000 {
        // Below the range from which the system gives ports to connections.
        let base = FIRST_PORT + rand::random_range(0..2_000 - nodes) * PORTS_A_NODE;
        let starts: Vec<u16> = (0..nodes).map(|node| base + PORTS_A_NODE * node).collect();
        let Some(claims) = starts.iter().map(|start| claim(*start)).collect::<Option<Vec<File>>>() else {
            continue;
        };
        let mut ports = starts.iter().flat_map(|start| (0..3).map(move |offset| start + offset));
        if ports.all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            CLAIMS.lock().expect("no test panics here").extend(claims);
            return base;
        }
    }
    panic!("no free ports");
}

/// The ports of one node, if no test of any process has them: its claim ends with the process at the latest.
fn claim(start: u16) -> Option<File> {
    let dir = std::env::temp_dir().join("ledgermq-ports-of-tests");
    std::fs::create_dir_all(&dir).expect("a directory for claims");
    let claim = File::options().create(true).append(true).open(dir.join(start.to_string())).expect("a claim");
    claim.try_lock().is_ok().then_some(claim)
}

/// A node that runs in the background. Killed when it is dropped.
#[derive(Debug)]
pub struct Background {
    pub child: Child,
    pub greeting: String,
}

impl Background {
    /// Starts it, and waits until it has printed a line with `ready` in it.
    pub fn start(args: &[&str], ready: &str) -> Background {
        let mut child = command(args).stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut greeting = String::new();
        while !greeting.contains(ready) {
            let read = output.read_line(&mut greeting).expect("UTF-8");
            assert!(read > 0, "it ended before it said {ready:?}: {greeting:?}, {:?}", child.wait());
        }
        // What follows must not fill the pipe.
        std::thread::spawn(move || output.lines().count());
        Background { child, greeting }
    }

    /// SIGKILL, as a crash.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was started here");
    }

    /// Sends a signal and waits for the end; the exit code.
    pub fn signal(mut self, name: &str) -> Option<i32> {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        self.child.wait().expect("it was started here").code()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
