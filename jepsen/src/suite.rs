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
use crate::recorder::digest;
use crate::run::{Report, unfit};
use crate::workload::{Work, Workload};

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
    pub work: Work,
    /// Who makes trouble.
    pub nemeses: Vec<Nemesis>,
    /// All at once.
    pub overlap: bool,
    /// Over how many broker groups queues are spread.
    pub broker_groups: usize,
    /// For how long, in seconds.
    pub seconds: u64,
    /// Its seed.
    pub seed: u64,
}

impl Entry {
    /// Names it within a suite.
    pub fn name(&self) -> String {
        format!("{}-{}", self.title(), self.seed)
    }

    fn title(&self) -> String {
        let names: Vec<String> = self.nemeses.iter().map(|nemesis| nemesis.name()).collect();
        let mark = if self.overlap { "-overlap" } else { "" };
        format!("{}-{}{mark}", self.work, names.join("+"))
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
/// Pairs of faults over each other in the long tier.
const PAIRS: usize = 12;
/// Into so many runs the kinds of work are dealt, for each fault of the long tier.
const DEALT: usize = 3;

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
    let entry = |(number, (workload, nemesis)): (usize, (Workload, Nemesis))| Entry {
        work: workload.into(),
        nemeses: vec![nemesis],
        overlap: false,
        // Two nodes lead then, most of the time.
        broker_groups: 1 + number % 2,
        seconds: PUSH_SECONDS,
        seed: seed.wrapping_add(number as u64),
    };
    pairs.into_iter().enumerate().map(entry).collect()
}

/// Every kind of work under every fault alone, and under pairs of faults, in an order by chance: however short the time,
/// it is spent on all kinds. Kinds of work share runs, dealt anew for each fault: they meet the same fault, and each
/// other. What a run is depends on the seed and on its own name only, so that new faults leave the others as they are.
fn long(nodes: usize, seed: u64) -> Vec<Entry> {
    let is_possible = |nemesis: &Nemesis| nemesis.unfit_for(nodes).is_none();
    let alone = Nemesis::all().iter().copied().filter(is_possible).map(|nemesis| vec![nemesis]);
    let troubles: Vec<Vec<Nemesis>> = alone.chain(pairs(nodes, seed)).collect();
    let entries = troubles.into_iter().flat_map(|nemeses| {
        let name: Vec<String> = nemeses.iter().map(|nemesis| nemesis.name()).collect();
        let works = dealt(&nemeses, nodes, &mut choices(seed, &name.join("+")));
        works.into_iter().map(move |work| entry(work, nemeses.clone(), seed))
    });
    let mut entries: Vec<Entry> = entries.collect();
    entries.sort_by_key(|entry| choices(seed, &entry.name()).random::<u64>());
    entries
}

fn entry(work: Work, nemeses: Vec<Nemesis>, seed: u64) -> Entry {
    let overlap = nemeses.len() > 1;
    let entry = Entry { work, nemeses, overlap, broker_groups: 1, seconds: LONG_SECONDS, seed: 0 };
    let mut choices = choices(seed, &entry.title());
    let seed = u64::from(choices.random::<u32>());
    Entry { broker_groups: choices.random_range(1..=2), seed, ..entry }
}

/// All choices about something that has a name.
fn choices(seed: u64, name: &str) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ digest(name.as_bytes()))
}

/// Faults over each other: those of all pairs that chance puts first.
fn pairs(nodes: usize, seed: u64) -> Vec<Vec<Nemesis>> {
    let is_fit = |nemesis: &Nemesis| nemesis.unfit_for(nodes).is_none() && !nemesis.stands_alone();
    let fit: Vec<Nemesis> = Nemesis::all().iter().copied().filter(is_fit).collect();
    let mut pairs = Vec::new();
    for (at, &one) in fit.iter().enumerate() {
        let others = fit[at + 1..].iter().filter(|other| !one.clashes_with(**other));
        pairs.extend(others.map(|other| vec![one, *other]));
    }
    let rank = |pair: &Vec<Nemesis>| {
        choices(seed, &format!("{}+{}", pair[0].name(), pair[1].name())).random::<u64>()
    };
    pairs.sort_by_cached_key(rank);
    pairs.truncate(PAIRS);
    pairs
}

/// All kinds of work that can have these faults, dealt into a few hands.
fn dealt(nemeses: &[Nemesis], nodes: usize, choices: &mut StdRng) -> Vec<Work> {
    let is_fit = |kind: &Workload| nemeses.iter().all(|nemesis| unfit(*kind, *nemesis, nodes).is_none());
    let mut kinds: Vec<Workload> = Workload::ALL.into_iter().filter(is_fit).collect();
    kinds.shuffle(choices);
    // These two work on the same topic; next to each other they come into different hands.
    kinds.sort_by_key(|kind| !matches!(kind, Workload::Queue | Workload::Membership));
    let hand = |number: usize| kinds.iter().copied().skip(number).step_by(DEALT).collect();
    (0..DEALT).map(|number| Work::of(hand(number)).expect("kinds that are dealt go together")).collect()
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
        let works: HashSet<Work> = entries.iter().map(|entry| entry.work.clone()).collect();
        assert_eq!(works.len(), Workload::ALL.len(), "{works:?}");
        assert!(entries.iter().all(|entry| entry.nemeses.len() == 1 && entry.seconds == PUSH_SECONDS));
        assert!(entries.iter().any(|entry| entry.broker_groups == 2));
    }

    #[test]
    fn the_long_tier_has_every_workload_under_every_fault() {
        for nodes in [3, 5] {
            let entries = entries(Tier::Long, nodes, 1);
            for workload in Workload::ALL {
                for nemesis in Nemesis::all() {
                    let is_it = |entry: &&Entry| entry.work.has(workload) && entry.nemeses == [*nemesis];
                    assert_eq!(
                        entries.iter().filter(is_it).count(),
                        usize::from(unfit(workload, *nemesis, nodes).is_none()),
                        "{workload:?} {nemesis:?} on {nodes}"
                    );
                }
                let overlaps =
                    entries.iter().filter(|entry| entry.overlap && entry.work.has(workload)).count();
                assert!(overlaps >= PAIRS / 2, "{workload:?} meets {overlaps} pairs");
            }
            for entry in entries.iter().filter(|entry| entry.overlap) {
                let [one, other] = entry.nemeses[..] else { panic!("{entry:?} is no pair") };
                assert!(!one.clashes_with(other), "{entry:?}");
            }
            let names: HashSet<String> = entries.iter().map(Entry::name).collect();
            assert_eq!(names.len(), entries.len(), "two entries have the same name");
            let two = entries.iter().filter(|entry| entry.broker_groups == 2).count();
            assert!(two > entries.len() / 4, "{two} of {} have two broker groups", entries.len());
        }
    }

    #[test]
    fn what_a_run_is_does_not_depend_on_the_other_runs() {
        let [few, many] = [3, 5].map(|nodes| entries(Tier::Long, nodes, 1));
        // Five nodes can have one more fault; all others are the same.
        let alone = |entries: Vec<Entry>| entries.into_iter().filter(|entry| !entry.overlap);
        let of_many: HashSet<String> = alone(many).map(|entry| format!("{entry:?}")).collect();
        for entry in alone(few) {
            assert!(of_many.contains(&format!("{entry:?}")), "{entry:?}");
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
