//! How a process that has no id finds out who it is.
//!
//! It asks everybody whom its configuration names (`cluster.seeds`). If one of them says that the cluster has begun, it
//! asks that one for an id: `meta` gives out the next one, once for each incarnation, so a repeated question gets the
//! same answer. If all of them answer and none knows of a beginning, they found the cluster: everybody numbers the seeds
//! in the same order. A majority is not enough for that: the others may be those that have the data (R10).
//!
//! Who is numbered is not begun yet. A cluster begins when all of its founders run ([`crate::node::rejoin`]).

mod newcomer;
mod service;

use std::collections::BTreeSet;
use std::time::Duration;

use proto::peer;
use tokio::time::{Instant, sleep, timeout};

pub(crate) use service::serve;

use crate::catalog::NodeInfo;
use crate::names::{GroupId, NodeId};
use crate::node::identity::Found;
use crate::node::lifecycle::StartError;
use crate::node::options::NodeOptions;
use crate::node::peers::FORMAT_VERSION;
use crate::tls::PeerTls;
use newcomer::Newcomer;

/// How often the others are asked.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// An answer comes within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// An id comes within this: an election may be in between.
const ID_WITHIN: Duration = Duration::from_secs(10);
/// How often it is said what is waited for.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What a seed said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    seed: String,
    said: Result<Said, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    member: NodeInfo,
    begun: bool,
}

/// What the answers of all seeds come to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Conclusion {
    /// These seeds know of a cluster.
    Begun(Vec<String>),
    /// The cluster is new; its founders, in their order.
    New(Vec<NodeInfo>),
    /// Not clear yet: what is waited for.
    Wait(String),
    /// The configuration contradicts itself, or others.
    Wrong(String),
}

/// Asks the seeds until it is clear who this node is. Answers others that ask meanwhile.
///
/// # Errors
/// The peer port cannot be had, or what the seeds say shows that the configuration is wrong.
pub(crate) async fn identify(options: &NodeOptions, incarnation: u64) -> Result<Found, StartError> {
    let own = NodeInfo { id: NodeId(0), incarnation, ..options.own() };
    let newcomer = Newcomer::start(options, own.clone()).await?;
    let found = ask_until_clear(options, &own).await;
    newcomer.end().await;
    found
}

async fn ask_until_clear(options: &NodeOptions, own: &NodeInfo) -> Result<Found, StartError> {
    let mut told = Instant::now();
    let mut waits_for = String::new();
    tracing::info!(seeds = ?options.seeds, "this node has no data: it asks the others whether they know the cluster");
    loop {
        match conclude(&options.seeds, own, &ask_all(options, own).await) {
            Conclusion::Wrong(why) => return Err(StartError::Options(why)),
            Conclusion::New(founders) => return Ok(founder(options, own, founders)),
            Conclusion::Wait(what) => waits_for = what,
            Conclusion::Begun(seeds) => {
                for seed in seeds {
                    match join(options, own, &seed).await {
                        Ok(found) => {
                            tracing::info!(node = %found.node, %seed, "this node joins the cluster");
                            return Ok(found);
                        }
                        Err(why) => waits_for = format!("an id from {seed}: {why}"),
                    }
                }
            }
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tracing::warn!("this node waits for {waits_for}");
        }
        sleep(ASK_EVERY).await;
    }
}

fn founder(options: &NodeOptions, own: &NodeInfo, founders: Vec<NodeInfo>) -> Found {
    let node = founders.iter().find(|info| info.incarnation == own.incarnation).map(|info| info.id);
    let node = node.expect("this node is among the founders");
    tracing::info!(%node, founders = founders.len(), "the cluster is new: this node is one of its founders");
    // The same on all of them, whatever they call themselves.
    let tag = NodeOptions { members: founders.clone(), ..options.clone() }.fingerprint();
    let (broker_groups, not_held) = (options.broker_groups, BTreeSet::new());
    Found { node, tag, founder: true, broker_groups, not_held, members: founders }
}

async fn ask_all(options: &NodeOptions, own: &NodeInfo) -> Vec<Answer> {
    let asked = options.seeds.iter().map(|seed| async {
        let said = match *seed == own.peer {
            true => Ok(Said { member: own.clone(), begun: false }),
            false => introduce(options, own, seed).await,
        };
        Answer { seed: seed.clone(), said }
    });
    futures::future::join_all(asked).await
}

async fn introduce(options: &NodeOptions, own: &NodeInfo, seed: &str) -> Result<Said, String> {
    let request = peer::IntroduceRequest {
        cluster: options.cluster.clone(),
        format_version: FORMAT_VERSION,
        from: Some(wire(own)),
    };
    let mut client = client(seed, &options.tls).await?;
    let answer = timeout(ANSWER_WITHIN, client.introduce(request)).await.map_err(|_| "it does not answer")?;
    let answer = answer.map_err(|status| status.message().to_owned())?.into_inner();
    match (answer.refusal.is_empty(), answer.member) {
        (true, Some(member)) => Ok(Said { member: unwire(member), begun: answer.begun }),
        (true, None) => Err("it does not say who it is".to_owned()),
        (false, _) => Err(answer.refusal),
    }
}

async fn join(options: &NodeOptions, own: &NodeInfo, seed: &str) -> Result<Found, String> {
    let request = peer::JoinRequest {
        cluster: options.cluster.clone(),
        format_version: FORMAT_VERSION,
        from: Some(wire(own)),
        reads_up_to: options.reads_up_to.0,
    };
    let mut client = client(seed, &options.tls).await?;
    let answer = timeout(ID_WITHIN, client.join(request)).await.map_err(|_| "it does not answer")?;
    let answer = answer.map_err(|status| status.message().to_owned())?.into_inner();
    if !answer.refusal.is_empty() {
        return Err(answer.refusal);
    }
    Ok(Found {
        node: NodeId(answer.node),
        tag: answer.tag,
        founder: false,
        broker_groups: answer.broker_groups,
        not_held: answer.not_held.into_iter().map(GroupId).collect(),
        members: answer.members.into_iter().map(unwire).collect(),
    })
}

async fn client(
    seed: &str,
    tls: &PeerTls,
) -> Result<peer::entrance_client::EntranceClient<tonic::transport::Channel>, String> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{seed}"));
    let endpoint = endpoint.map_err(|error| error.to_string())?.connect_timeout(ANSWER_WITHIN);
    let channel = crate::seams::connect(&endpoint, tls).await.map_err(|error| reason(&error))?;
    Ok(peer::entrance_client::EntranceClient::new(channel))
}

/// What lies at the bottom of an error: that a name does not resolve, or that nobody listens.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    match error.source() {
        Some(source) => reason(source),
        None => error.to_string(),
    }
}

/// What the answers come to. Pure, so that every mixture of them can be tried.
fn conclude(seeds: &[String], own: &NodeInfo, answers: &[Answer]) -> Conclusion {
    let said = || answers.iter().filter_map(|answer| Some((&answer.seed, answer.said.as_ref().ok()?)));
    if let Some((seed, _)) =
        said().find(|(seed, said)| **seed != own.peer && said.member.incarnation == own.incarnation)
    {
        return Conclusion::Wrong(format!(
            "cluster.seeds: {seed} is this node itself, which calls itself {}: peer.advertise must be written as it is \
             in cluster.seeds",
            own.peer
        ));
    }
    let mut incarnations = BTreeSet::new();
    if let Some((seed, _)) = said().find(|(_, said)| !incarnations.insert(said.member.incarnation)) {
        return Conclusion::Wrong(format!("cluster.seeds: {seed} is a node that is named twice there"));
    }
    let begun: Vec<String> = said().filter(|(_, said)| said.begun).map(|(seed, _)| seed.clone()).collect();
    if !begun.is_empty() {
        return Conclusion::Begun(begun);
    }
    if !seeds.contains(&own.peer) {
        return Conclusion::Wait(format!(
            "the cluster to begin: it is not among cluster.seeds (as {}), so it cannot found one",
            own.peer
        ));
    }
    let missing: Vec<String> = answers
        .iter()
        .filter_map(|answer| Some(format!("{} ({})", answer.seed, answer.said.as_ref().err()?)))
        .collect();
    if !missing.is_empty() {
        return Conclusion::Wait(format!(
            "{}: a cluster begins when all of its seeds answer",
            missing.join(", ")
        ));
    }
    let mut names = BTreeSet::new();
    if let Some((seed, said)) = said().find(|(_, said)| !names.insert(said.member.name.clone())) {
        return Conclusion::Wrong(format!(
            "two seeds are called {}, one of them {seed}: node.name must be another one on every node",
            said.member.name
        ));
    }
    let mut founders: Vec<NodeInfo> =
        said().map(|(seed, said)| NodeInfo { peer: seed.clone(), ..said.member.clone() }).collect();
    // By length first: node-10 comes after node-9.
    founders.sort_by(|one, other| (one.peer.len(), &one.peer).cmp(&(other.peer.len(), &other.peer)));
    for (number, info) in founders.iter_mut().enumerate() {
        info.id = NodeId(number as u64 + 1);
    }
    Conclusion::New(founders)
}

/// A node as peers write it.
pub(crate) fn wire(info: &NodeInfo) -> peer::Member {
    peer::Member {
        id: info.id.0,
        name: info.name.clone(),
        grpc: info.grpc.clone(),
        http: info.http.clone(),
        peer: info.peer.clone(),
        incarnation: info.incarnation,
    }
}

/// The inverse of [`wire`].
pub(crate) fn unwire(member: peer::Member) -> NodeInfo {
    NodeInfo {
        id: NodeId(member.id),
        name: member.name,
        grpc: member.grpc,
        http: member.http,
        peer: member.peer,
        incarnation: member.incarnation,
    }
}

/// Why a call of another cluster, or of another version, is refused.
fn stranger(cluster: &str, called: &str, version: u32) -> Option<String> {
    if cluster != called {
        return Some(format!("this node is of cluster {cluster:?}, not {called:?}"));
    }
    let other = version != FORMAT_VERSION;
    other.then(|| format!("this node speaks version {FORMAT_VERSION} of the peer protocol, not {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, incarnation: u64) -> NodeInfo {
        let peer = format!("{name}:8083");
        NodeInfo {
            id: NodeId(0),
            name: name.into(),
            grpc: String::new(),
            http: String::new(),
            peer,
            incarnation,
        }
    }

    fn said(name: &str, incarnation: u64, begun: bool) -> Answer {
        let member = info(name, incarnation);
        Answer { seed: member.peer.clone(), said: Ok(Said { member, begun }) }
    }

    fn silent(name: &str) -> Answer {
        Answer { seed: format!("{name}:8083"), said: Err("refused".into()) }
    }

    fn conclude_of(own: &NodeInfo, answers: &[Answer]) -> Conclusion {
        let seeds: Vec<String> = answers.iter().map(|answer| answer.seed.clone()).collect();
        conclude(&seeds, own, answers)
    }

    #[test]
    fn all_seeds_number_themselves_alike() {
        let answers = [said("n-10", 10, false), said("n-9", 9, false), said("n-1", 1, false)];
        for own in [info("n-10", 10), info("n-9", 9), info("n-1", 1)] {
            let Conclusion::New(founders) = conclude_of(&own, &answers) else { panic!("not new") };
            let order: Vec<_> = founders.iter().map(|info| (info.id.0, info.name.as_str())).collect();
            assert_eq!(order, [(1, "n-1"), (2, "n-9"), (3, "n-10")]);
        }
    }

    #[test]
    fn nobody_founds_while_a_seed_is_silent_or_knows_the_cluster() {
        let own = info("n-1", 1);
        let waits = conclude_of(&own, &[said("n-1", 1, false), said("n-2", 2, false), silent("n-3")]);
        assert!(matches!(&waits, Conclusion::Wait(what) if what.contains("n-3:8083 (refused)")), "{waits:?}");
        let joins = conclude_of(&own, &[said("n-1", 1, false), said("n-2", 2, true), silent("n-3")]);
        assert_eq!(joins, Conclusion::Begun(vec!["n-2:8083".into()]));
        let guest = info("n-4", 4);
        let waits = conclude_of(&guest, &[said("n-1", 1, false), said("n-2", 2, false)]);
        assert!(matches!(waits, Conclusion::Wait(_)), "{waits:?}");
    }

    #[test]
    fn a_configuration_that_contradicts_itself_is_refused() {
        let own = info("n-1", 1);
        let wrong = |answers: &[Answer], word: &str| {
            let conclusion = conclude_of(&own, answers);
            assert!(matches!(&conclusion, Conclusion::Wrong(why) if why.contains(word)), "{conclusion:?}");
        };
        let mut alias = said("alias", 1, false);
        wrong(&[said("n-1", 1, false), alias.clone()], "this node itself");
        alias = said("alias", 2, false);
        wrong(&[said("n-1", 1, false), said("n-2", 2, false), alias], "named twice");
        let mut namesake = said("n-2", 2, false);
        namesake.said.as_mut().unwrap().member.name = "n-1".into();
        wrong(&[said("n-1", 1, false), namesake], "two seeds are called n-1");
    }
}
