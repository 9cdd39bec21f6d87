//! A leader whose disk stands still gives way: clients are served while the stall lasts.

use std::time::Duration;

use crate::cluster::Shape;
use crate::plan::{Fault, Step};
use crate::run::{self, Report, Settings};

const STALLED_AT: Duration = Duration::from_secs(2);

/// A run of three nodes in which the leader's disk stands still for so long, and nothing else goes wrong.
fn stalled_for(seed: u64, lasts: Duration) -> Report {
    let step = |at, fault| Step { at, fault };
    let plan = vec![step(STALLED_AT, Fault::LeadersDiskStalls), step(STALLED_AT + lasts, Fault::DisksGoOn)];
    let shape = Shape { nodes: 3, wall_ahead_ms: vec![0; 3], disk_delay_ms: 0..3 };
    let load = STALLED_AT + lasts + Duration::from_secs(2);
    let settings = Settings { seed, shape, load, plan, keep_trace: false };
    run::run(&settings).unwrap_or_else(|failure| panic!("seed {seed}, at {:?}: {}", failure.at, failure.what))
}

#[test]
fn clients_are_served_while_the_disk_of_the_leader_stands_still() {
    let _alone = crate::alone();
    for seed in 1..6 {
        let lasts = Duration::from_secs(4);
        let Report { longest_gap: gap, gave_way, .. } = stalled_for(seed, lasts);
        assert_eq!(gave_way, 1, "seed {seed}: leaderships given away");
        // The bound, and a transfer. An election by time-out would take twice as long.
        assert!(gap < Duration::from_millis(900), "seed {seed}: nothing was acknowledged for {gap:?}");
    }
}

#[test]
fn a_disk_that_is_only_slow_deposes_nobody() {
    let _alone = crate::alone();
    for seed in 1..4 {
        let lasts = Duration::from_millis(250);
        let Report { longest_gap: gap, gave_way, .. } = stalled_for(seed, lasts);
        assert_eq!(gave_way, 0, "seed {seed}: leaderships given away");
        let noticed = gap > Duration::from_millis(150);
        assert!(noticed, "seed {seed}: a stall that nobody notices proves nothing: {gap:?}");
    }
}
