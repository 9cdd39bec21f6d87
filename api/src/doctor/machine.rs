//! The machine that a node is on: what its system allows, and how its disk does.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Finding, Level};
use crate::options::Options;

/// So many fsyncs are timed.
const SYNCS: usize = 50;
const SYNC_BYTES: usize = 4096;
/// An fsync that takes longer than this in the middle makes every acknowledgement slow.
const SYNC_WARN: Duration = Duration::from_millis(10);
/// And longer than this: a leader whose disk stands still so long is replaced.
const SYNC_BAD: Duration = Duration::from_millis(200);
/// Fewer open files than this and a busy node runs out.
const OPEN_FILES_WANTED: u64 = 8_192;
const SWAPPINESS_MAX: u64 = 10;

/// Names of file systems by the number that the system gives them.
const FILE_SYSTEMS: [(u64, &str); 12] = [
    (0xEF53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683E, "btrfs"),
    (0x2FC1_2FC1, "zfs"),
    (0xF2F5_2010, "f2fs"),
    (0x794C_7630, "overlayfs"),
    (0x0102_1994, "tmpfs"),
    (0x6969, "nfs"),
    (0xFF53_4D42, "cifs"),
    (0xFE53_4D42, "smb2"),
    (0x6573_5546, "fuse"),
    (0x0000_6A65, "v9fs"),
];
const SOUND: [&str; 2] = ["ext4", "xfs"];
/// What is written there does not outlive the machine, or not as it was promised.
const UNSAFE: [&str; 5] = ["tmpfs", "overlayfs", "nfs", "cifs", "smb2"];

/// Checks of this machine, and of the disk of a data directory on it.
pub fn findings(place: &str, data: Option<&Path>, options: Option<&Options>) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(huge_pages(place, &read("/sys/kernel/mm/transparent_hugepage/enabled")));
    found.extend(swappiness(place, &read("/proc/sys/vm/swappiness")));
    if let Some(data) = data {
        found.extend(open_files(place, &limits_of_node(data)));
        found.push(file_system(place, data));
        found.push(sync_latency(place, data));
    }
    if let (Some(data), Some(options)) = (data, options) {
        found.extend(retention(place, options, data));
    }
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn huge_pages(place: &str, enabled: &str) -> Option<Finding> {
    let chosen =
        enabled.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(chosen, _)| chosen)?;
    let found = format!("transparent huge pages are `{chosen}`");
    Some(match chosen {
        "always" => Finding::new(
            Level::Warn,
            "memory",
            place,
            found,
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled: `always` makes pauses, and memory grow",
        ),
        _ => Finding::ok("memory", place, found),
    })
}

fn swappiness(place: &str, text: &str) -> Option<Finding> {
    let value: u64 = text.trim().parse().ok()?;
    let found = format!("vm.swappiness is {value}");
    Some(match value {
        0..=SWAPPINESS_MAX => Finding::ok("memory", place, found),
        _ => Finding::new(
            Level::Warn,
            "memory",
            place,
            found,
            "sysctl vm.swappiness=1, or no swap: a node that is swapped out is slow without a sign of it",
        ),
    })
}

/// `/proc/PID/limits` of the node that has the data directory, or of this process.
fn limits_of_node(data: &Path) -> String {
    let pid = fs::read_to_string(data.join("LOCK")).unwrap_or_default();
    let of_node = read(&format!("/proc/{}/limits", pid.trim()));
    if of_node.is_empty() { read("/proc/self/limits") } else { of_node }
}

fn open_files(place: &str, limits: &str) -> Option<Finding> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    // A node raises the soft limit to the hard one.
    let hard = line.split_whitespace().nth(1)?;
    let found = format!("{hard} open files are allowed");
    Some(match hard.parse::<u64>() {
        Ok(allowed) if allowed < OPEN_FILES_WANTED => Finding::new(
            Level::Warn,
            "open files",
            place,
            found,
            format!("LimitNOFILE={OPEN_FILES_WANTED} or more (ulimit -Hn): each connection takes one"),
        ),
        _ => Finding::ok("open files", place, found),
    })
}

fn file_system(place: &str, data: &Path) -> Finding {
    let stat = match rustix::fs::statfs(data) {
        Ok(stat) => stat,
        Err(error) => {
            let what = format!("{}: {error}", data.display());
            return Finding::new(Level::Bad, "file system", place, what, "name the data directory of a node");
        }
    };
    let number = stat.f_type as u64 & 0xFFFF_FFFF;
    let known = FILE_SYSTEMS.iter().find(|(of, _)| *of == number).map(|(_, name)| *name);
    judge_file_system(place, known, number)
}

fn judge_file_system(place: &str, known: Option<&str>, number: u64) -> Finding {
    let check = "file system";
    match known {
        Some(name) if SOUND.contains(&name) => Finding::ok(check, place, name.to_owned()),
        Some(name) if UNSAFE.contains(&name) => {
            let what = format!("{name}: what an fsync promises does not hold there");
            Finding::new(
                Level::Bad,
                check,
                place,
                what,
                "put the data on ext4 or xfs, on a disk of the machine",
            )
        }
        other => {
            let what = other.map_or(format!("one that is not known ({number:#x})"), str::to_owned);
            Finding::new(Level::Warn, check, place, what, "ext4 and xfs are what LedgerMQ is tested on")
        }
    }
}

/// A file of its own, a few times: what an acknowledgement waits for at least.
fn sync_latency(place: &str, data: &Path) -> Finding {
    let check = "fsync";
    match timed_syncs(data) {
        Ok(mut times) => {
            times.sort_unstable();
            judge_syncs(place, times[times.len() / 2], times[times.len() - 1])
        }
        Err(error) => {
            let what = format!("{}: {error}", data.display());
            Finding::new(Level::Bad, check, place, what, "run it as the node's user, with its data directory")
        }
    }
}

fn judge_syncs(place: &str, middle: Duration, longest: Duration) -> Finding {
    let found = format!(
        "4 KiB take {:.1} ms in the middle, {:.1} ms at most",
        middle.as_secs_f64() * 1e3,
        longest.as_secs_f64() * 1e3
    );
    match (middle, longest) {
        (middle, longest) if middle >= SYNC_WARN && longest >= SYNC_BAD => {
            let advice = "another disk: an SSD with power-loss protection; leaders on this one are replaced";
            Finding::new(Level::Bad, "fsync", place, found, advice)
        }
        (middle, longest) if middle >= SYNC_WARN || longest >= SYNC_BAD => {
            let advice = "see what else writes there; an SSD with power-loss protection takes less than 1 ms";
            Finding::new(Level::Warn, "fsync", place, found, advice)
        }
        _ => Finding::ok("fsync", place, found),
    }
}

fn timed_syncs(data: &Path) -> io::Result<Vec<Duration>> {
    let path = data.join(format!("doctor-{}.tmp", std::process::id()));
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    let written = (0..SYNCS).try_for_each(|_| {
        file.write_all(&[0; SYNC_BYTES])?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(begun.elapsed());
        Ok(())
    });
    fs::remove_file(&path)?;
    written.map(|()| times)
}

/// Whether what the logs may have fits on the disk.
fn retention(place: &str, options: &Options, data: &Path) -> Option<Finding> {
    let stat = rustix::fs::statvfs(data).ok()?;
    let total = match options.disk.quota_bytes.0 {
        0 => stat.f_blocks * stat.f_frsize,
        quota => quota,
    };
    let room = total / 100 * u64::from(options.disk.clean_percent);
    let (check, keep) = ("retention", options.retention.keep_ms);
    let bound = options.retention.log_bytes.0 * u64::from(options.cluster.broker_groups);
    Some(match bound {
        0 => Finding::ok(check, place, format!("messages stay {keep}; only the disk bounds the logs")),
        bound if bound > room => Finding::new(
            Level::Warn,
            check,
            place,
            format!(
                "the logs of {} groups may have {} MiB, and from {} MiB on the oldest messages go",
                options.cluster.broker_groups,
                bound >> 20,
                room >> 20
            ),
            "lower retention.log_bytes, or give the node a larger disk",
        ),
        _ => Finding::ok(check, place, format!("messages stay {keep}, and the logs fit on the disk")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::values::ByteCount;

    fn level(finding: Option<Finding>) -> Option<Level> {
        finding.map(|finding| finding.level)
    }

    #[test]
    fn settings_of_the_system_are_judged() {
        let pages = |text| level(huge_pages("here", text));
        assert_eq!(pages("always [madvise] never\n"), Some(Level::Ok));
        assert_eq!(pages("[always] madvise never\n"), Some(Level::Warn));
        assert_eq!(pages(""), None, "what the system does not tell is not guessed");
        assert_eq!(level(swappiness("here", "60\n")), Some(Level::Warn));
        assert_eq!(level(swappiness("here", "1\n")), Some(Level::Ok));
        assert_eq!(level(swappiness("here", "")), None);
        let limits = |hard| format!("Max processes 1 1 processes\nMax open files   1024   {hard}   files\n");
        assert_eq!(level(open_files("here", &limits("4096"))), Some(Level::Warn));
        assert_eq!(level(open_files("here", &limits("524288"))), Some(Level::Ok));
        assert_eq!(level(open_files("here", &limits("unlimited"))), Some(Level::Ok));
    }

    #[test]
    fn disks_are_judged() {
        assert_eq!(judge_file_system("here", Some("ext4"), 0).level, Level::Ok);
        assert_eq!(judge_file_system("here", Some("nfs"), 0).level, Level::Bad);
        assert_eq!(judge_file_system("here", None, 7).level, Level::Warn);
        let ms = Duration::from_millis;
        assert_eq!(judge_syncs("here", ms(1), ms(30)).level, Level::Ok);
        assert_eq!(judge_syncs("here", ms(20), ms(30)).level, Level::Warn);
        assert_eq!(judge_syncs("here", ms(1), ms(300)).level, Level::Warn);
        assert_eq!(judge_syncs("here", ms(20), ms(300)).level, Level::Bad);
    }

    #[test]
    fn the_probe_leaves_nothing_and_logs_that_do_not_fit_are_told() {
        let data = tempfile::tempdir().unwrap();
        let mut options = Options::default();
        options.retention.log_bytes = ByteCount(u64::MAX / 1024);
        let found = findings("here", Some(data.path()), Some(&options));
        assert!(
            found.iter().any(|it| it.check == "fsync" && it.found.to_string().contains("in the middle")),
            "{found:?}"
        );
        assert!(found.iter().any(|it| it.check == "retention" && it.level == Level::Warn), "{found:?}");
        assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
        let missing = findings("here", Some(&data.path().join("nowhere")), None);
        assert!(missing.iter().any(|it| it.check == "fsync" && it.level == Level::Bad), "{missing:?}");
    }
}
