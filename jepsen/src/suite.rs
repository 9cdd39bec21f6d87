//! Many runs: which ones belong to a tier, and how far one has come.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::nemesis::Nemesis;
use crate::run::{Report, unfit};
use crate::workload::Workload;

/// How thorough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Ten single faults, 20 s each: for every push
    Push,
    /// Every workload under every fault, alone and over each other: an hour and more
    Long,
}

/// One run of a suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What clients do.
    pub workload: Workload,
    /// Who makes trouble.
    pub nemeses: Vec<Nemesis>,
    /// All at once.
    pub overlap: bool,
    /// For how long, in seconds.
    pub seconds: u64,
    /// Its seed.
    pub seed: u64,
}

impl Entry {
    fn alone(workload: Workload, nemesis: Nemesis, seconds: u64, seed: u64) -> Entry {
        Entry { workload, nemeses: vec![nemesis], overlap: false, seconds, seed }
    }

    /// Names it within a suite.
    pub fn name(&self) -> String {
        let names: Vec<String> = self.nemeses.iter().map(|nemesis| nemesis.name()).collect();
        let mark = if self.overlap { "-overlap" } else { "" };
        format!("{}-{}{mark}-{}", self.workload.name(), names.join("+"), self.seed)
    }

    /// Who makes trouble, for people.
    pub fn trouble(&self) -> String {
        let names: Vec<String> = self.nemeses.iter().map(|nemesis| nemesis.name()).collect();
        names.join(if self.overlap { " over " } else { ", " })
    }
}

/// How long a run of the push tier lasts, in seconds.
const PUSH_SECONDS: u64 = 20;
/// How long a run of the long tier lasts, in seconds.
const LONG_SECONDS: u64 = 30;
/// Pairs of faults over each other, for each workload.
const PAIRS: usize = 6;

/// What a tier runs, in its order, on so many nodes.
pub fn entries(tier: Tier, nodes: usize, seed: u64) -> Vec<Entry> {
    match tier {
        Tier::Push => push(seed),
        Tier::Long => long(nodes, seed),
    }
}

fn push(seed: u64) -> Vec<Entry> {
    use Nemesis::{BlackHole, ClockJump, Kill, OneWayOut, Partition, Pause, PowerAll, Terminate};
    let pairs = [
        (Workload::Fifo, Kill),
        (Workload::Queue, PowerAll),
        (Workload::Transactions, Partition),
        (Workload::Leases, Pause),
        (Workload::Delay, ClockJump),
        (Workload::Pull, OneWayOut),
        (Workload::Deduplication, BlackHole),
        (Workload::Queue, Terminate),
        (Workload::Membership, Kill),
        (Workload::Priority, PowerAll),
    ];
    let entry = |(number, (workload, nemesis))| {
        Entry::alone(workload, nemesis, PUSH_SECONDS, seed.wrapping_add(number as u64))
    };
    pairs.into_iter().enumerate().map(entry).collect()
}

/// Every workload under every fault alone, and under pairs of faults, in an order by chance: however short the
/// time, it is spent on all kinds.
fn long(nodes: usize, seed: u64) -> Vec<Entry> {
    let mut choices = StdRng::seed_from_u64(seed);
    let mut entries = Vec::new();
    for workload in Workload::ALL {
        let is_fit = |nemesis: &Nemesis| unfit(workload, *nemesis, nodes).is_none();
        let fit: Vec<Nemesis> = Nemesis::all().iter().copied().filter(is_fit).collect();
        for nemesis in &fit {
            entries.push(Entry::alone(workload, *nemesis, LONG_SECONDS, 0));
        }
        for _ in 0..PAIRS {
            let mut pair: Vec<Nemesis> =
                fit.iter().copied().filter(|nemesis| !nemesis.stands_alone()).collect();
            pair.shuffle(&mut choices);
            let first = pair[0];
            pair.retain(|nemesis| !first.clashes_with(*nemesis));
            pair.truncate(2);
            entries.push(Entry { workload, nemeses: pair, overlap: true, seconds: LONG_SECONDS, seed: 0 });
        }
    }
    entries.shuffle(&mut choices);
    for entry in &mut entries {
        entry.seed = u64::from(choices.random::<u32>());
    }
    entries
}

/// What became of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It was made.
    Report(Box<Report>),
    /// It could not be made.
    NotRun {
        /// Why.
        why: String,
    },
}

impl Ending {
    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            Ending::Report(report) => report.word(),
            Ending::NotRun { .. } => "not run",
        }
    }
}

/// What a suite has done so far; written after every run, so that it can go on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// How thorough.
    pub tier: Tier,
    /// How many nodes.
    pub nodes: usize,
    /// The seed.
    pub seed: u64,
    /// By the entry's name.
    pub done: BTreeMap<String, Ending>,
}

impl Progress {
    /// What an earlier suite of the same kind left, or nothing yet.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(directory: &Path, tier: Tier, nodes: usize, seed: u64) -> anyhow::Result<Progress> {
        let path = Progress::path(directory);
        let fresh = Progress { tier, nodes, seed, done: BTreeMap::new() };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(fresh),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let found: Progress =
            serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        let same = (found.tier, found.nodes, found.seed) == (tier, nodes, seed);
        anyhow::ensure!(same, "{} is of another suite: name another directory with --out", path.display());
        Ok(found)
    }

    fn path(directory: &Path) -> PathBuf {
        directory.join("suite.json")
    }

    /// Writes it whole, or not at all.
    ///
    /// # Errors
    /// Those of the file.
    pub fn save(&self, directory: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(directory)?;
        let path = Progress::path(directory);
        let next = path.with_extension("json.new");
        std::fs::write(&next, serde_json::to_vec_pretty(self)?)
            .and_then(|()| std::fs::rename(&next, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The rest of the time of a suite.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    begun: std::time::Instant,
    total: Option<Duration>,
}

impl Budget {
    /// So much time from now on; `None`: as much as it takes.
    pub fn new(total: Option<Duration>) -> Budget {
        Budget { begun: std::time::Instant::now(), total }
    }

    /// Whether there is time for another run.
    pub fn is_left(&self) -> bool {
        self.total.is_none_or(|total| self.begun.elapsed() < total)
    }

    /// How long it has been.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_push_tier_is_ten_single_faults_with_every_workload() {
        let entries = entries(Tier::Push, 3, 1);
        assert_eq!(entries.len(), 10);
        let workloads: HashSet<Workload> = entries.iter().map(|entry| entry.workload).collect();
        assert_eq!(workloads.len(), Workload::ALL.len(), "{workloads:?}");
        assert!(entries.iter().all(|entry| entry.nemeses.len() == 1 && entry.seconds == PUSH_SECONDS));
    }

    #[test]
    fn the_long_tier_has_every_workload_under_every_fault() {
        for nodes in [3, 5] {
            let entries = entries(Tier::Long, nodes, 1);
            for workload in Workload::ALL {
                for nemesis in Nemesis::all() {
                    let is_there =
                        entries.iter().any(|entry| entry.workload == workload && entry.nemeses == [*nemesis]);
                    assert_eq!(
                        is_there,
                        unfit(workload, *nemesis, nodes).is_none(),
                        "{workload:?} {nemesis:?} on {nodes}"
                    );
                }
            }
            let is_a_pair = |entry: &&Entry| entry.overlap;
            for entry in entries.iter().filter(is_a_pair) {
                let [one, other] = entry.nemeses[..] else { panic!("{entry:?} is no pair") };
                assert!(!one.clashes_with(other), "{entry:?}");
            }
            let names: HashSet<String> = entries.iter().map(Entry::name).collect();
            assert_eq!(names.len(), entries.len(), "two entries have the same name");
        }
    }

    #[test]
    fn a_suite_goes_on_where_it_was_and_does_not_take_another_ones_progress() {
        let scratch = tempfile::tempdir().unwrap();
        let mut progress = Progress::open(scratch.path(), Tier::Long, 3, 7).unwrap();
        progress.done.insert("a".into(), Ending::NotRun { why: "no".into() });
        progress.save(scratch.path()).unwrap();
        let found = Progress::open(scratch.path(), Tier::Long, 3, 7).unwrap();
        assert!(found.done.contains_key("a"));
        assert!(Progress::open(scratch.path(), Tier::Long, 5, 7).is_err());
    }
}
