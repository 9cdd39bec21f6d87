//! One run: a cluster, a workload, trouble; healing, draining, final reads, a verdict.

mod coverage;
mod final_reads;
mod offline;
mod options;
mod outcome;

use std::fs::File;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use checkers::history::{Header, Line, VERSION, Writer};
use indicatif::ProgressBar;
use tokio::time::Instant;

use crate::client::{AdminError, Client};
use crate::cluster::{Binary, Brokers, Shape};
use crate::limits::{AFTER_HEALING, CONVERGENCE_MAX, PROCESSES_PATIENCE, READINESS_OF_TOPICS};
use crate::nemesis::{Conductor, Nemesis, Troubles};
use crate::workload::{Arena, Needs, drain};
use final_reads::FinalReads;

pub use options::{RunOptions, unfit};
pub use outcome::{Judgement, Report, judge};

/// The name of the history in a run's directory.
pub const HISTORY_NAME: &str = "history.jsonl";
/// The name of the run's own summary in its directory, beside the report.
pub const SUMMARY_NAME: &str = "run.json";

/// Runs, and writes history and report into the directory of the options.
///
/// # Errors
/// The run could not be made; that says nothing about the broker.
pub async fn run(options: &RunOptions, binary: &Binary, bar: &ProgressBar) -> anyhow::Result<Report> {
    let directory = &options.directory;
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let shape = Shape {
        nodes: options.nodes,
        broker_groups: options.broker_groups,
        namespaces: options.namespaces(),
        with_faults: options.nemeses.iter().any(|nemesis| nemesis.needs_libraries()),
        environment: options.environment.clone(),
    };
    forget(&directory.join("cluster"))?;
    bar.set_message("starting a cluster");
    let brokers = Rc::new(Brokers::start(&directory.join("cluster"), binary, &shape).await?);
    let result = on_cluster(options, binary, &brokers, bar).await;
    // Whatever is still held on to is let go of with the last reference.
    if let Ok(brokers) = Rc::try_unwrap(brokers)
        && let Err(error) = brokers.down().await
    {
        tracing::warn!("the cluster was not taken down cleanly: {error:#}");
    }
    let report = result?;
    if report.is_sound() && !options.keep {
        // Data of a run that found nothing is not worth a gigabyte.
        let _ = std::fs::remove_dir_all(directory.join("cluster"));
    }
    Ok(report)
}

/// Takes away what nodes of an earlier run in the same directory left: their messages would be found again. A cluster
/// that is still up stays, and is told of by `chaos`.
pub(crate) fn forget(root: &Path) -> anyhow::Result<()> {
    let is_up = root.join("chaos-state.json").exists();
    match root.exists() && !is_up {
        true => std::fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display())),
        false => Ok(()),
    }
}

async fn on_cluster(
    options: &RunOptions,
    binary: &Binary,
    brokers: &Rc<Brokers>,
    bar: &ProgressBar,
) -> anyhow::Result<Report> {
    brokers.ready().await?;
    let needs = options.work.needs();
    prepare(brokers, &needs).await?;
    let arena = Arena::new(brokers.addresses(), options.seed, options.run_id(), options.load);
    let header = header(options, &arena);

    let (troubles, healed) = load(options, brokers, &arena, bar).await;
    bar.set_message("draining");
    let mut reads = FinalReads::default();
    if let Some(healed) = healed {
        reads.convergence = Some(healed);
        tokio::time::sleep(needs.settle).await;
        // All at once: each waits for a poll that stays empty.
        let draining: Vec<_> = needs
            .subscriptions
            .iter()
            .cloned()
            .map(|subscription| {
                let arena = arena.clone();
                tokio::task::spawn_local(async move { (drain(&arena, &subscription).await, subscription) })
            })
            .collect();
        for drained in draining {
            let (drained, subscription) = drained.await.expect("a drain does not panic");
            let drained = drained.unwrap_or_else(|error| reads.not_drained(&arena, &subscription, &error));
            reads.lines.push(Line::Drained(drained));
        }
        bar.set_message("reading queues and dead letters");
        reads.queues(&arena, &needs).await;
        reads.dead_letters(&arena, &needs).await;
        bar.set_message("comparing tables");
        reads.states(&arena).await;
        reads.voters(&arena).await;
    }
    let deaths = brokers.dead().await;
    bar.set_message("stopping");
    brokers.kill_all().await?;
    bar.set_message("reading logs");
    offline::read(binary, brokers, &mut reads).await;

    let operations = arena.recorder.take(|message| reads.queue_of(message));
    let mut outcome = Judgement { header, troubles, reads, needs, operations, deaths };
    bar.set_message("checking");
    let path = options.directory.join(HISTORY_NAME);
    outcome.header.nemesis = options.nemeses.iter().map(|nemesis| nemesis.name()).collect();
    let mut coverage = coverage::of(options, &outcome.operations, &outcome.troubles);
    coverage.extend(coverage::of_states(options, &outcome.reads));
    coverage.extend(coverage::of_topics(options, &outcome.needs, &outcome.operations));
    outcome
        .write(Writer::new(File::create(&path)?, &outcome.header)?, &coverage)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let report = judge(options, &path, &outcome, coverage)?;
    write_report(&options.directory.join(SUMMARY_NAME), &report)?;
    if !report.is_sound() {
        keep_outputs(brokers, &options.directory);
    }
    Ok(report)
}

fn header(options: &RunOptions, arena: &Arena) -> Header {
    Header {
        version: VERSION,
        seed: options.seed,
        workload: options.work.to_string(),
        nemesis: Vec::new(),
        nodes: options.nodes as u32,
        commit: options.commit.clone(),
        command: options.command(),
        started_unix_ms: arena.recorder.started_unix_ms(),
        rules: checkers::history::Rules {
            convergence_ms_max: CONVERGENCE_MAX.as_millis() as u64,
            // Messages are kept for longer than any run, but for those that a full disk takes away.
            retention: options.nemeses.contains(&Nemesis::DiskFull),
            ..Default::default()
        },
    }
}

/// Makes topics and consumer groups, and waits until every node knows them.
async fn prepare(brokers: &Brokers, needs: &Needs) -> Result<(), AdminError> {
    let addresses = brokers.addresses();
    let mut client = Client::new("jepsen-setup", &addresses, 0);
    for topic in &needs.topics {
        client.create_topic(topic).await?;
    }
    for group in &needs.groups {
        client.create_group(group).await?;
    }
    let _ = brokers.converged(READINESS_OF_TOPICS).await;
    Ok(())
}

/// The workload under trouble; then healing, and convergence while the workload goes on. How long convergence took,
/// or nothing if it did not come.
async fn load(
    options: &RunOptions,
    brokers: &Rc<Brokers>,
    arena: &Rc<Arena>,
    bar: &ProgressBar,
) -> (Troubles, Option<Duration>) {
    let begun = Instant::now();
    let until = begun + options.lasting;
    let mut processes = options.work.start(arena);
    let conductor = Conductor::new(brokers.clone(), arena.clone(), &options.nemeses);
    let playing = {
        let (conductor, nemeses, overlap) = (conductor.clone(), options.nemeses.clone(), options.overlap);
        tokio::task::spawn_local(async move { conductor.play(&nemeses, overlap, until).await })
    };
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    while Instant::now() < until || !playing.is_finished() {
        tick.tick().await;
        bar.set_message(format!(
            "{} {} under {}: {} s of {} s, {} operations",
            options.nodes,
            options.work,
            options.nemesis_names(),
            begun.elapsed().as_secs(),
            options.lasting.as_secs(),
            arena.recorder.count()
        ));
    }
    playing.await.expect("the nemesis does not panic");
    bar.set_message("waiting for convergence");
    let converged = brokers.converged_after_healing().await;
    // What clients do once everything is well again belongs to the history.
    tokio::time::sleep(AFTER_HEALING).await;
    arena.end();
    let all = async { while processes.join_next().await.is_some() {} };
    if tokio::time::timeout(PROCESSES_PATIENCE, all).await.is_err() {
        tracing::warn!("some processes did not end in time and were aborted");
        processes.abort_all();
    }
    let troubles = conductor.take();
    // A node that ended after the last fault is found by the caller.
    (troubles, converged)
}

fn write_report(path: &Path, report: &Report) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// What the nodes printed, beside the history.
fn keep_outputs(brokers: &Brokers, directory: &Path) {
    for node in 1..=brokers.size() {
        let to = directory.join(format!("node{node}.log"));
        if let Err(error) = std::fs::copy(brokers.output(node), &to) {
            tracing::warn!(%error, node, "the node's output was not kept");
        }
    }
}
