//! `bench ceiling`: what this machine can do at best, and the share of it that a broker reaches.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::disk::DiskReport;
use super::report::Report;

/// Bodies are written by so many replicas, which share the disk of one machine.
const REPLICAS: f64 = 3.0;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Ceiling {
    /// The broker's, or the echo's where no broker was named.
    #[serde(flatten)]
    pub report: Report,
    /// The same calls against a bare gRPC server.
    pub echo: Report,
    /// The disk.
    pub disk: DiskReport,
    /// What the broker reaches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
}

/// Shares in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// Of the echo's messages a second.
    pub of_echo_percent: f64,
    /// Of a third of the disk's sequential rate.
    pub of_disk_third_percent: f64,
    /// Of the smaller of the two.
    pub of_ceiling_percent: f64,
}

impl Ceiling {
    /// Puts the parts together.
    pub fn new(echo: Report, disk: DiskReport, broker: Option<Report>) -> Ceiling {
        let share = broker.as_ref().map(|broker| Share::of(broker, &echo, &disk));
        Ceiling { report: broker.unwrap_or_else(|| echo.clone()), echo, disk, share }
    }

    /// For people.
    pub fn text(&self) -> String {
        let disk = self.disk;
        let mut text = format!(
            "bare gRPC echo\n{}\n\ndisk\nfdatasync of 4 KiB: p50 {:.0} us, p99 {:.0} us; sequential: {:.0} MiB/s\n",
            indent(&self.echo.text()),
            disk.fdatasync_4kib_us_p50,
            disk.fdatasync_4kib_us_p99,
            disk.sequential_write_mib_per_second
        );
        if let Some(share) = self.share {
            text.push_str(&format!(
                "\nbroker\n{}\n\nshare of the echo {:.1} %, of a third of the disk {:.1} %, of the smaller {:.1} %\n",
                indent(&self.report.text()),
                share.of_echo_percent,
                share.of_disk_third_percent,
                share.of_ceiling_percent
            ));
        }
        text
    }
}

impl Share {
    fn of(broker: &Report, echo: &Report, disk: &DiskReport) -> Share {
        let percent = |part: f64, whole: f64| if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
        let of_echo_percent = percent(broker.messages_per_second, echo.messages_per_second);
        let third = disk.sequential_write_mib_per_second / REPLICAS;
        let of_disk_third_percent = percent(broker.mib_per_second, third);
        let of_ceiling_percent = percent(broker.mib_per_second, third.min(echo.mib_per_second));
        Share { of_echo_percent, of_disk_third_percent, of_ceiling_percent }
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// The echo server's process. Ends when this is dropped.
#[derive(Debug)]
pub struct EchoProcess {
    _child: Child,
    /// Where it listens.
    pub endpoint: String,
}

impl EchoProcess {
    /// Starts it, and waits until it says where it listens.
    pub async fn start() -> std::io::Result<EchoProcess> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bench", "echo-server"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().expect("standard output is piped");
        let mut endpoint = String::new();
        BufReader::new(output).read_line(&mut endpoint).await?;
        let endpoint = endpoint.trim().to_owned();
        if endpoint.is_empty() {
            return Err(std::io::Error::other("the echo server ended before it listened"));
        }
        Ok(EchoProcess { _child: child, endpoint })
    }
}

/// Measures the disk without holding up the runtime.
pub async fn disk(directory: &Path, step: impl Fn(f64) + Send + 'static) -> std::io::Result<DiskReport> {
    let directory: PathBuf = directory.to_owned();
    let measured = tokio::task::spawn_blocking(move || super::disk::measure(&directory, step)).await;
    measured.map_err(std::io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::super::report::Latency;
    use super::*;

    fn report(messages_per_second: f64, mib_per_second: f64) -> Report {
        let latency_ms = Latency { p50: 0.0, p99: 0.0, p999: 0.0, max: 0.0 };
        Report {
            messages: 1,
            seconds: 1.0,
            messages_per_second,
            mib_per_second,
            errors: 0,
            latency_ms,
            longest_gap_ms: 0.0,
            last_error: None,
        }
    }

    #[test]
    fn shares_are_of_the_smaller_ceiling() {
        let disk = DiskReport {
            fdatasync_4kib_us_p50: 80.0,
            fdatasync_4kib_us_p99: 100.0,
            sequential_write_mib_per_second: 300.0,
        };
        let ceiling = Ceiling::new(report(1000.0, 400.0), disk, Some(report(500.0, 50.0)));
        let share = ceiling.share.unwrap();
        assert_eq!(share.of_echo_percent, 50.0);
        assert_eq!(share.of_disk_third_percent, 50.0);
        assert_eq!(share.of_ceiling_percent, 50.0);
        let json = serde_json::to_value(&ceiling).unwrap();
        assert_eq!(json["messages_per_second"], 500.0);
        assert_eq!(json["echo"]["messages_per_second"], 1000.0);
    }

    #[test]
    fn the_disk_is_measured_and_left_clean() {
        let scratch = tempfile::tempdir().unwrap();
        let report = super::super::disk::measure(scratch.path(), |_| ()).unwrap();
        assert!(
            report.fdatasync_4kib_us_p50 > 0.0 && report.sequential_write_mib_per_second > 0.0,
            "{report:?}"
        );
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}
