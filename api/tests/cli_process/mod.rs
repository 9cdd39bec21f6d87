//! Runs the real binary.

#![allow(dead_code)] // each test file uses its own part

pub mod local;
pub mod ports;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

const MORE_PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

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
