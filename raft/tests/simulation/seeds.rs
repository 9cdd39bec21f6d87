//! Runs many seeds: those that `SIMULATION_SEEDS` names (`17`, or `1..500`), or the push tier's.

use std::time::Instant;

use crate::process::{self, Outcome};
use crate::run::LEADER_SEEDS_FROM;

/// What every push runs.
const PUSH_SEEDS: std::ops::Range<u64> = 1..51;
const PUSH_LEADER_SEEDS: std::ops::Range<u64> = LEADER_SEEDS_FROM..LEADER_SEEDS_FROM + 5;
const REGRESSIONS: &str = include_str!("regressions.txt");

/// The seeds to run. Regressions come first.
fn wanted() -> Vec<u64> {
    let Ok(text) = std::env::var("SIMULATION_SEEDS") else {
        return regressions().chain(PUSH_SEEDS).chain(PUSH_LEADER_SEEDS).collect();
    };
    let number = |text: &str| text.trim().parse().unwrap_or_else(|_| panic!("SIMULATION_SEEDS: {text:?}"));
    match text.split_once("..") {
        Some((from, to)) => (number(from)..number(to)).collect(),
        None => vec![number(&text)],
    }
}

fn regressions() -> impl Iterator<Item = u64> {
    let lines = REGRESSIONS.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(|line| line.parse().expect("a seed a line"))
}

fn command(seed: u64) -> String {
    format!(
        "SIMULATION_SEEDS={seed} SIMULATION_TRACE=1 cargo test --release --locked --workspace \
         --features raft/simulation --test simulation seeds -- --nocapture"
    )
}

fn tell(outcome: &Outcome) {
    let Outcome { seed, took_ms, figures, .. } = outcome;
    match &outcome.violated {
        None => println!("seed {seed}: held in {took_ms} ms; {figures}"),
        Some(what) => {
            let last = outcome.text.len().saturating_sub(80);
            println!("seed {seed}: VIOLATED {what}\n{}", outcome.text[last..].join("\n"));
            println!("{figures}\nagain: {}", command(*seed));
        }
    }
}

#[test]
fn seeds() {
    let _alone = crate::alone();
    let seeds = wanted();
    let keep_trace = std::env::var(process::TRACE).is_ok();
    let (begun, mut failed, mut ran) = (Instant::now(), Vec::new(), 0);
    process::run_all(seeds, keep_trace, None, |outcome| {
        tell(&outcome);
        ran += 1;
        if outcome.violated.is_some() {
            failed.push(outcome.seed);
        }
        true
    });
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{ran} seeds in {seconds:.0} s: {:.0} an hour; violated: {failed:?}",
        f64::from(ran) / seconds * 3600.0
    );
    assert!(failed.is_empty(), "violated by {failed:?}; again: {}", command(failed[0]));
}
