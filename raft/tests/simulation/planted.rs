//! Bugs that are planted in the nodes, and must be found: a simulation that cannot fail proves nothing.

use std::time::Instant;

use store::planted::PlantedBug;

use crate::process;
use crate::run::LEADER_SEEDS_FROM;

/// What the simulation reaches, and within how many seeds it must have found it.
///
/// Not among them: `corrupt-frame-skipped` and `metadata-loss-deletes-data`, because no fault of the plans damages or
/// takes away what is on disk; and `replica-diverges`, because all nodes of a simulation are one process.
const REACHED: &[(PlantedBug, u64)] = &[
    (PlantedBug::AckBeforeFsync, 40),
    (PlantedBug::AckBeforeQuorum, 40),
    (PlantedBug::VoteNotPersisted, 40),
    (PlantedBug::LogNotTruncated, 60),
    (PlantedBug::DeposedLeaderServes, 40),
    (PlantedBug::ApplyBeforeDurable, 5),
    (PlantedBug::HalfMessageIndexed, 5),
    (PlantedBug::TimerOnLocalClock, 5),
    (PlantedBug::ReceiptValidAfterExpiry, 120),
    (PlantedBug::FifoLockLostOnFailover, 20),
    (PlantedBug::DedupWindowMissingFromSnapshot, 20),
    (PlantedBug::PurgeAboveSnapshot, 20),
];

/// `SIMULATION_BUG=<name>` looks for one, also for those that are not among the ones that must be found.
fn wanted() -> Vec<(PlantedBug, u64)> {
    let Ok(name) = std::env::var("SIMULATION_BUG") else { return REACHED.to_vec() };
    let bug = PlantedBug::ALL.iter().find(|bug| bug.name() == name);
    let bug = bug.unwrap_or_else(|| panic!("SIMULATION_BUG: there is no planted bug {name:?}"));
    vec![(*bug, 200)]
}

/// The first seed that finds it, and what it says.
fn search(bug: PlantedBug, most: u64) -> Option<(u64, String)> {
    let mut found = None;
    let first = match bug {
        PlantedBug::DeposedLeaderServes => LEADER_SEEDS_FROM,
        _ => 1,
    };
    process::run_all(first..first + most, false, Some(bug.name()), |outcome| {
        if let (None, Some(what)) = (&found, outcome.violated) {
            found = Some((outcome.seed, what));
        }
        found.is_none()
    });
    found
}

#[test]
fn every_planted_bug_is_found() {
    let _alone = crate::alone();
    let mut missed = Vec::new();
    for (bug, most) in wanted() {
        let begun = Instant::now();
        let found = search(bug, most);
        let (name, seconds) = (bug.name(), begun.elapsed().as_secs_f64());
        match found {
            Some((seed, what)) => {
                let what = what.lines().next().unwrap_or_default();
                println!("{name}: found by seed {seed} in {seconds:.1} s: {what}");
            }
            None => {
                println!("{name}: MISSED by {most} seeds in {seconds:.1} s");
                missed.push(name);
            }
        }
    }
    assert!(missed.is_empty(), "planted and not found: {missed:?}");
}
