//! How long nothing is acknowledged when the leader goes, in every way in which it can go.
//!
//! Senders and receivers sit on every node. *Client side* is the longest gap that the clients of the node which
//! goes have to bear: they have to notice, and to find another node. *Server side* is the longest gap between any
//! two acknowledgements, over all clients: how long the cluster served nobody.

mod gaps;
mod load;

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use chaos::{Fault, Injected, Shape as Partition, Target};
use clap::ValueEnum;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::client::Client;
use crate::cluster::{BROKER_GROUP, Binary, Brokers, Shape};
use crate::limits::{
    ADMIN_TIMEOUT, AVAILABILITY_LASTING, AVAILABILITY_STEADY, READINESS_OF_TOPICS, TERMS_ASKED_MAX,
    VOTES_GIVEN_PATIENCE, VOTES_TAKEN_PATIENCE,
};
use crate::membership::{Changes, Registrar, groups};
use crate::recorder::Recorder;
use load::Traffic;

pub use gaps::{Gaps, Summary};

/// How a leader goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// kill -9
    Kill,
    /// SIGSTOP
    Stop,
    /// Cut off from peers and clients, without a word
    BlackHole,
    /// Nothing that it sends arrives, at peers or clients
    OneWay,
    /// Its disk takes no writes
    DiskStall,
    /// The power goes
    PowerFailure,
    /// SIGTERM
    Sigterm,
    /// The leadership is handed on
    Transfer,
    /// The leader's node loses its votes in all groups, and gets them back
    Membership,
}

impl Kind {
    /// As it is written on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().expect("no kind is hidden").get_name().to_owned()
    }

    fn fault(self) -> Option<Fault> {
        match self {
            Kind::Kill => Some(Fault::Kill {}),
            Kind::Stop => Some(Fault::Pause {}),
            Kind::BlackHole => Some(Fault::Partition { shape: Partition::Isolate, clients: true }),
            Kind::OneWay => Some(Fault::Partition { shape: Partition::OneWayOut, clients: true }),
            Kind::DiskStall => Some(Fault::DiskStall {}),
            Kind::PowerFailure => Some(Fault::PowerFailure {}),
            Kind::Sigterm => Some(Fault::Terminate { grace_ms: 20_000 }),
            Kind::Transfer | Kind::Membership => None,
        }
    }

    fn needs_namespaces(self) -> bool {
        matches!(self, Kind::BlackHole | Kind::OneWay | Kind::DiskStall | Kind::PowerFailure)
    }
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct AvailabilityOptions {
    /// How often each.
    pub rounds: u32,
    /// 3 or 5.
    pub nodes: usize,
    /// Senders, and receivers, on each node.
    pub clients_per_node: u32,
    /// The mean pause of a sender between two messages.
    pub pause: Duration,
}

/// The rounds of one kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// How the leader went.
    pub kind: Kind,
    /// Longest gaps, a round each.
    pub rounds: Vec<Gaps>,
    /// Rounds that could not be made, and why.
    pub skipped: Vec<String>,
}

/// Elections that nothing called for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FalseElections {
    /// How many there were.
    pub elections: u64,
    /// In how many seconds.
    pub seconds: u64,
    /// How many sends a second there were.
    pub sends_per_second: u64,
}

/// Measures one kind on a cluster of its own.
///
/// # Errors
/// The cluster could not be made.
pub async fn measure(
    kind: Kind,
    options: &AvailabilityOptions,
    binary: &Binary,
    directory: &Path,
    bar: &ProgressBar,
) -> anyhow::Result<Measured> {
    let shape = shape(options, kind.needs_namespaces());
    let brokers = started(&shape, binary, directory).await?;
    let traffic = Traffic::start(&brokers.addresses(), options);
    let mut measured = Measured { kind, rounds: Vec::new(), skipped: Vec::new() };
    for round in 1..=options.rounds {
        bar.set_message(format!("{}: round {round} of {}", kind.name(), options.rounds));
        match one_round(kind, &brokers, &traffic).await {
            Ok(gaps) => measured.rounds.push(gaps),
            Err(error) => {
                measured.skipped.push(format!("round {round}: {error:#}"));
                let _ = brokers.heal().await;
            }
        }
    }
    traffic.end().await;
    taken_down(brokers, directory).await;
    Ok(measured)
}

/// Counts elections under load while nothing happens.
///
/// # Errors
/// The cluster could not be made, or nobody tells its term.
pub async fn false_elections(
    lasting: Duration,
    options: &AvailabilityOptions,
    binary: &Binary,
    directory: &Path,
    bar: &ProgressBar,
) -> anyhow::Result<FalseElections> {
    let brokers = started(&shape(options, false), binary, directory).await?;
    // As fast as they can: full load.
    let traffic = Traffic::start(
        &brokers.addresses(),
        &AvailabilityOptions {
            pause: Duration::from_millis(1),
            clients_per_node: options.clients_per_node * 4,
            ..options.clone()
        },
    );
    let before = terms(&brokers).await.context("nobody tells the term")?;
    bar.set_message(format!("full load for {} s, counting elections", lasting.as_secs()));
    let begun = traffic.now_ns();
    tokio::time::sleep(lasting).await;
    let sends = traffic.sends_between(begun, traffic.now_ns());
    // Under full load the answer may come too late to be one.
    traffic.end().await;
    let after = terms(&brokers).await.context("nobody tells the term")?;
    taken_down(brokers, directory).await;
    let seconds = lasting.as_secs().max(1);
    Ok(FalseElections { elections: after - before, seconds, sends_per_second: sends / seconds })
}

async fn terms(brokers: &Brokers) -> Option<u64> {
    for _ in 0..TERMS_ASKED_MAX {
        if let Some(view) = brokers.view().await {
            return Some(view.groups.iter().map(|group| group.term).sum());
        }
        tokio::time::sleep(AVAILABILITY_STEADY).await;
    }
    None
}

fn shape(options: &AvailabilityOptions, namespaces: bool) -> Shape {
    Shape { nodes: options.nodes, broker_groups: 1, namespaces, with_faults: false, environment: Vec::new() }
}

async fn started(shape: &Shape, binary: &Binary, directory: &Path) -> anyhow::Result<Rc<Brokers>> {
    crate::run::forget(&directory.join("cluster"))?;
    let brokers = Brokers::start(&directory.join("cluster"), binary, shape).await?;
    brokers.ready().await?;
    let mut client = Client::new("jepsen-setup", &brokers.addresses(), 0);
    client.create_topic(&load::topic()).await?;
    client.create_group(&load::group()).await?;
    let _ = brokers.converged(READINESS_OF_TOPICS).await;
    Ok(Rc::new(brokers))
}

async fn taken_down(brokers: Rc<Brokers>, directory: &Path) {
    if let Ok(brokers) = Rc::try_unwrap(brokers)
        && let Err(error) = brokers.down().await
    {
        tracing::warn!("the cluster was not taken down cleanly: {error:#}");
    }
    let _ = std::fs::remove_dir_all(directory.join("cluster"));
}

async fn one_round(kind: Kind, brokers: &Brokers, traffic: &Traffic) -> anyhow::Result<Gaps> {
    brokers.converged_after_healing().await.context("the cluster did not converge before the round")?;
    traffic.go_home();
    tokio::time::sleep(AVAILABILITY_STEADY).await;
    let leader = brokers.resolve(&Target::Role("leader".to_owned()), 0).await?;
    let victim = leader[0];
    let from_ns = traffic.now_ns();
    match kind.fault() {
        Some(fault) => {
            let guard = match brokers.inject(&fault, &leader).await {
                Injected::Installed(guard) => guard,
                Injected::Skipped { why } => anyhow::bail!("skipped: {why}"),
                Injected::Indeterminate { why } => anyhow::bail!("indeterminate: {why}"),
            };
            tokio::time::sleep(AVAILABILITY_LASTING).await;
            brokers.blocking(move |_| guard.heal()).await?;
        }
        None if kind == Kind::Membership => change_votes(brokers, victim).await?,
        None => {
            let mut client = Client::new("jepsen-transfer", &brokers.addresses(), victim % brokers.size());
            client.transfer_leader(BROKER_GROUP, "").await.map_err(|status| {
                anyhow::anyhow!("the leadership was not handed on: {}", status.message())
            })?;
            tokio::time::sleep(AVAILABILITY_LASTING).await;
        }
    }
    let healed = Instant::now();
    // What its return costs belongs to the round.
    tokio::time::sleep(AVAILABILITY_STEADY).await;
    tracing::debug!(after_ms = healed.elapsed().as_millis() as u64, "round");
    Ok(traffic.gaps(victim, from_ns, traffic.now_ns()))
}

/// Takes the victim its votes in all groups, and gives them back after a while.
async fn change_votes(brokers: &Brokers, victim: usize) -> anyhow::Result<()> {
    // What it does is measured by others.
    let recorder = Recorder::new();
    let mut client = Client::new("jepsen-votes", &brokers.addresses(), victim % brokers.size());
    let groups = groups(&mut client, ADMIN_TIMEOUT).await.context("no group has a leader")?;
    let mut registrar = Registrar::new(&recorder, recorder.process(), &mut client);
    let taken = registrar.take(&groups, &[victim], VOTES_TAKEN_PATIENCE).await;
    tokio::time::sleep(AVAILABILITY_LASTING).await;
    // Whatever became of it, the next round begins with all voters.
    let given = registrar.give(&groups, &[victim], VOTES_GIVEN_PATIENCE).await;
    for (what, changes) in [("taken", taken), ("given back", given)] {
        if let Changes::Refused { why } | Changes::Unknown { why } = changes {
            anyhow::bail!("the votes were not {what}: {why}");
        }
    }
    Ok(())
}
