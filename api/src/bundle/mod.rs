//! What a maintainer needs to look for a fault, in one file, and nothing that is secret.
//!
//! What the configuration holds is left out unless it is known to be harmless ([`redact`]), and what was left out
//! there is taken out of everything else too. Messages are in nothing that is collected.

mod redact;
mod web;

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

pub use redact::Redacted;
pub use web::fetch;

/// What of a log file is read at most.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// Files by name, as they are collected.
#[derive(Debug, Default)]
pub struct Bundle {
    files: Vec<(String, String)>,
}

impl Bundle {
    /// Puts a file into it.
    pub fn add(&mut self, name: impl Into<String>, content: impl Into<String>) {
        self.files.push((name.into(), content.into()));
    }

    /// Puts a value into it.
    pub fn add_json(&mut self, name: impl Into<String>, value: &serde_json::Value) {
        let text = serde_json::to_string_pretty(value).expect("what is collected has string keys only");
        self.add(name, text + "\n");
    }

    /// The names of the files.
    pub fn names(&self) -> Vec<&str> {
        self.files.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Writes it as a tar.gz, below a directory `ledgermq-debug`, without what is secret. Only its owner may read it.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(&self, to: &Path, redacted: &Redacted, unix_s: u64) -> io::Result<u64> {
        use std::os::unix::fs::OpenOptionsExt;
        let file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
        let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
        for (name, content) in &self.files {
            let content = redacted.clean(content);
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(unix_s);
            archive.append_data(&mut header, format!("ledgermq-debug/{name}"), content.as_bytes())?;
        }
        let mut file = archive.into_inner()?.finish()?;
        file.flush()?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

/// The last lines of a text file.
///
/// # Errors
/// It cannot be read.
pub fn last_lines(path: &Path, lines: usize) -> io::Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES_MAX)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    let mut last = all[all.len().saturating_sub(lines)..].join("\n");
    last.push('\n');
    Ok(last)
}

/// What the operating system says of itself.
pub fn system() -> String {
    const FILES: [&str; 9] = [
        "/proc/version",
        "/etc/os-release",
        "/proc/meminfo",
        "/proc/loadavg",
        "/proc/uptime",
        "/proc/self/limits",
        "/proc/sys/vm/swappiness",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/fs/cgroup/memory.max",
    ];
    let mut text = String::new();
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    text.push_str(&format!("architecture {}\ncores {cores}\n", std::env::consts::ARCH));
    for path in FILES {
        let content = std::fs::read_to_string(path).unwrap_or_else(|error| format!("{error}\n"));
        text.push_str(&format!("\n== {path}\n{content}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::*;
    use crate::options::Options;

    const SECRET: &str = "PLANTED-hunter2";

    #[test]
    fn nothing_that_is_secret_is_inside() {
        let scratch = tempfile::tempdir().unwrap();
        let text = format!(
            "[node]\nname = \"blue\"\ndata = \"/srv/{SECRET}/data\"\n\n[grpc]\ntls_cert = \"/srv/{SECRET}/cert.pem\"\n\
             tls_key = \"/etc/keys/{SECRET}.pem\"\n"
        );
        let options = Options::parse(&text, "node.toml", []).unwrap();
        let redacted = Redacted::of(&options.to_toml());
        let log = scratch.path().join("log");
        std::fs::write(&log, format!("one\ncannot read /etc/keys/{SECRET}.pem\nthree\n")).unwrap();
        let mut bundle = Bundle::default();
        bundle.add("config.toml", redacted.config());
        bundle.add("logs/1", last_lines(&log, 2).unwrap());
        bundle.add_json("status.json", &serde_json::json!({ "data": format!("/srv/{SECRET}/data/groups") }));
        bundle.add("system.txt", system());
        let to = scratch.path().join("bundle.tar.gz");
        bundle.write(&to, &redacted, 0).unwrap();

        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(&to).unwrap()));
        let mut found = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let (name, mut content) = (entry.path().unwrap().display().to_string(), String::new());
            entry.read_to_string(&mut content).unwrap();
            assert!(!content.contains(SECRET), "{name} holds the secret: {content}");
            found.insert(name, content);
        }
        assert_eq!(found.len(), 4);
        assert!(found["ledgermq-debug/config.toml"].contains("name = \"blue\""), "{found:?}");
        assert_eq!(found["ledgermq-debug/logs/1"], "cannot read (redacted)\nthree\n");
        assert!(found["ledgermq-debug/status.json"].contains("(redacted)/groups"));
        assert!(found["ledgermq-debug/system.txt"].contains("/proc/version"));
    }
}
