//! Packets that are late: by netem, or, in a kernel without it, by a relay of our own.
//!
//! The relay stands between a node's port and the bridge while there is a delay: the port leaves the bridge, one end of
//! a pair of interfaces takes its place, and the relay carries frames between the port and the other end. Putting it
//! there and taking it away loses what comes in those milliseconds.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::compiled::{compiled, compiler};
use super::{Refusal, effect, network};
use crate::cluster::Inner;
use crate::cluster::namespace::{
    BRIDGE, NODE_INTERFACE, node_of, path_of, port_of, relayed_port_of, switch_of,
};
use crate::cluster::process::{MARK, ProcessId, marked};
use crate::cluster::state::{ActiveFault, Lock, State};
use crate::error::ChaosError;
use crate::fault::Fault;
use crate::injection::Effect;
use crate::limits::GONE_WITHIN;
use crate::tool;

/// The relay's source and its name in the cluster's root.
const RELAY_SOURCE: &str = include_str!("relay.c");
const RELAY: &str = "relay";

/// What the delays of a node add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Late {
    delay_ms: u64,
    jitter_ms: u64,
}

impl Late {
    fn of(state: &State, node: usize) -> Late {
        state.faults_of(node).fold(Late::default(), |late, active| match active.fault {
            Fault::Delay { delay_ms, jitter_ms } => {
                Late { delay_ms: late.delay_ms + delay_ms, jitter_ms: late.jitter_ms + jitter_ms }
            }
            _ => late,
        })
    }
}

/// With what packets can be made late here; or why not.
pub(crate) fn works() -> Result<&'static str, String> {
    match (netem_works(), compiler()) {
        (Ok(()), _) => Ok("netem"),
        (Err(_), Ok(())) => Ok("a relay of frames, because this kernel has no netem"),
        (Err(netem), Err(compiler)) => Err(format!("{netem}; and no relay instead: {compiler}")),
    }
}

/// Tries it on the loopback interface of a namespace that goes with the command.
fn netem_works() -> Result<(), String> {
    let try_it = ["-n", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"];
    tool::run("unshare", &try_it).map(|_| ()).map_err(|error| format!("no netem in this kernel: {error}"))
}

pub(super) fn delay(cluster: &Inner, lock: &Lock, active: &ActiveFault) -> Result<Vec<Effect>, Refusal> {
    let state = cluster.file.read()?;
    network::refused(&state)?;
    let how = works().map_err(Refusal::Skipped)?;
    let mut effects = Vec::new();
    for &node in &active.nodes {
        let late = apply(cluster, lock, &state, node)?;
        effects.push(effect(node, format!("sends {} ± {} ms late, by {how}", late.delay_ms, late.jitter_ms)));
    }
    Ok(effects)
}

pub(super) fn undelay(cluster: &Inner, lock: &Lock, active: &ActiveFault) -> Result<(), ChaosError> {
    let state = cluster.file.read()?;
    active.nodes.iter().try_for_each(|node| apply(cluster, lock, &state, *node).map(|_| ()))
}

/// Makes a node as late as its faults want it.
fn apply(cluster: &Inner, lock: &Lock, state: &State, node: usize) -> Result<Late, ChaosError> {
    let late = Late::of(state, node);
    match netem_works() {
        Ok(()) => by_netem(state, node, late)?,
        Err(_) => by_relay(cluster, lock, state, node, late)?,
    }
    Ok(late)
}

fn by_netem(state: &State, node: usize, late: Late) -> Result<(), ChaosError> {
    let namespace = node_of(state, node);
    let (delay, jitter) = (format!("{}ms", late.delay_ms), format!("{}ms", late.jitter_ms));
    // No delay is a delay of 0 ms: to remove what is not there would be an error.
    let netem = ["qdisc", "replace", "dev", NODE_INTERFACE, "root", "netem", "delay", &delay, &jitter];
    tool::run("tc", &[&["-n", namespace.as_str()], &netem[..]].concat()).map(|_| ())
}

fn by_relay(cluster: &Inner, lock: &Lock, state: &State, node: usize, late: Late) -> Result<(), ChaosError> {
    let (switch, port) = (switch_of(state), port_of(node));
    let (stand_in, other_end) = (relayed_port_of(node), format!("r{node}"));
    remove_relay(state, node)?;
    let in_switch = |arguments: &[&str]| lock.run("ip", &[&["-n", switch.as_str()], arguments].concat());
    if late == Late::default() {
        in_switch(&["link", "set", &port, "master", BRIDGE])?;
        return Ok(());
    }
    in_switch(&["link", "add", &stand_in, "type", "veth", "peer", "name", &other_end])?;
    in_switch(&["link", "set", &other_end, "up"])?;
    in_switch(&["link", "set", &port, "nomaster"])?;
    start_relay(cluster, state, node, late, [&port, &other_end])?;
    in_switch(&["link", "set", &stand_in, "master", BRIDGE, "up"])?;
    Ok(())
}

fn relay_mark(node: usize) -> String {
    format!("relay-{node}")
}

/// Starts it and waits until it listens. It goes when its mark is found.
fn start_relay(
    cluster: &Inner,
    state: &State,
    node: usize,
    late: Late,
    interfaces: [&str; 2],
) -> Result<(), ChaosError> {
    let what = || ChaosError::io(format!("start the relay of node {node}"));
    let program = compiled(&cluster.file, RELAY, RELAY_SOURCE, &[])?;
    let numbers = [late.delay_ms * 1000, late.jitter_ms * 1000, node as u64].map(|number| number.to_string());
    let mut child = Command::new(tool::find("nsenter").unwrap_or_else(|| "nsenter".into()))
        .arg(format!("--net={}", path_of(&switch_of(state)).display()))
        .arg(program)
        .args(interfaces)
        .args(numbers)
        .env(MARK, format!("{}/{}", state.id, relay_mark(node)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(what())?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line).map_err(what())?;
    }
    // Somebody has to ask how it ended, or it stays as a zombie; it may end long after this call.
    std::thread::spawn(move || child.wait());
    match line.trim() {
        "ready" => Ok(()),
        _ => Err(ChaosError::Timeout(format!("the relay of node {node} did not start"))),
    }
}

/// Takes away the relay of a node and its interfaces, if they are there.
fn remove_relay(state: &State, node: usize) -> Result<(), ChaosError> {
    let mark = relay_mark(node);
    let relays: Vec<ProcessId> =
        marked(&state.id).into_iter().filter(|(name, _)| *name == mark).map(|(_, process)| process).collect();
    for relay in relays {
        relay.kill_alone()?;
        relay.wait(GONE_WITHIN, |state| state.is_none());
    }
    let switch = switch_of(state);
    let stand_in = relayed_port_of(node);
    let listed = tool::run("ip", &["-n", &switch, "-o", "link", "show"])?;
    if listed.contains(&format!(" {stand_in}@")) {
        tool::run("ip", &["-n", &switch, "link", "del", &stand_in])?;
    }
    Ok(())
}
