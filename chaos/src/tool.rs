//! Commands of the system: `ip`, `nft`, `mount`.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::error::ChaosError;
use crate::limits::{POLL, TOOL_TIMEOUT};

/// Where a command is: PATH, and where administrators' commands are for those whose PATH has no such place.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// Runs a command to its end and gives what it wrote to its standard output.
pub(crate) fn run(name: &str, arguments: &[&str]) -> Result<String, ChaosError> {
    run_to_end(name, arguments, Stdio::null(), "")
}

/// Like [`run`], for what must not outlive its starter unnoticed: while the command runs it holds this file open, and
/// so the lock on it.
pub(crate) fn run_holding(file: &File, name: &str, arguments: &[&str]) -> Result<String, ChaosError> {
    let held = file.try_clone().map_err(ChaosError::io("share a lock"))?;
    run_to_end(name, arguments, Stdio::from(held), "")
}

/// Like [`run`], with something to read.
pub(crate) fn run_with_input(name: &str, arguments: &[&str], input: &str) -> Result<String, ChaosError> {
    run_to_end(name, arguments, Stdio::piped(), input)
}

fn run_to_end(name: &str, arguments: &[&str], stdin: Stdio, input: &str) -> Result<String, ChaosError> {
    let command = || format!("{name} {}", arguments.join(" "));
    let failed = |why: String| ChaosError::Tool { command: command(), why };
    let program = find(name).ok_or_else(|| failed(format!("there is no {name} on this machine")))?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    // What is written to and read from these commands fits a pipe's buffer, so nobody waits for anybody.
    let written = child.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(input.as_bytes()));
    let deadline = Instant::now() + TOOL_TIMEOUT;
    let status = loop {
        match child.try_wait().map_err(|error| failed(error.to_string()))? {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                let _ = child.kill();
                return Err(failed(format!("not done after {TOOL_TIMEOUT:?}")));
            }
            None => std::thread::sleep(POLL),
        }
    };
    let (mut output, mut complaint) = (String::new(), String::new());
    let read = child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut output));
    let _ = child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut complaint));
    match (status.success(), written, read) {
        (true, Ok(()), Some(Ok(_))) => Ok(output),
        (true, _, _) => Err(failed("its pipes broke".into())),
        (false, _, _) => Err(failed(match complaint.trim() {
            "" => status.to_string(),
            complaint => complaint.replace('\n', "; "),
        })),
    }
}
