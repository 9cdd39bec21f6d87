//! Whole clusters in one process, deterministic from a seed.
//!
//! Nodes as they are, each a host of turmoil with a simulated disk (see [`raft::simulation`] for what is not simulated);
//! clients that send, receive and settle through every node; faults of network, processes and disks; invariants after
//! every tick, properties of the clients' history in the end, and between them a cluster that heals and must go on.
//!
//! ```text
//! make a topic ─► load and faults ─► heal ─► liveness: every node takes a send ─► drain ─► properties
//! ```
//!
//! A seed decides everything. When one fails:
//!
//! ```text
//! SIMULATION_SEEDS=17 SIMULATION_TRACE=1 cargo test --release --locked --workspace \
//!     --features raft/simulation --test simulation seeds -- --nocapture
//! ```
//!
//! Seeds that once found something are in `regressions.txt`, and run each time.

mod cluster;
mod dice;
mod history;
mod invariants;
mod plan;
mod planted;
mod process;
mod properties;
mod run;
mod seeds;
mod stall;
mod workload;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One test at a time: each of them uses all cores.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn the_same_seed_twice_gives_the_same_trace() {
    let _alone = alone();
    for seed in [1, 2, 3] {
        let [first, second] =
            [(); 2].map(|()| process::start(seed, true, None)).map(process::Running::outcome);
        if first.trace != second.trace {
            let at = first.text.iter().zip(&second.text).position(|(a, b)| a != b);
            let at = at.unwrap_or(first.text.len().min(second.text.len()));
            let around = |text: &[String]| text[at.saturating_sub(5)..text.len().min(at + 5)].join("\n");
            let (first, second) = (around(&first.text), around(&second.text));
            panic!("seed {seed} gave two traces, which differ from line {at} on:\n{first}\n---\n{second}");
        }
        assert!(first.trace.1 > 1000, "a trace of {} lines says little", first.trace.1);
    }
}
