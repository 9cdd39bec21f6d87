//! Network namespaces: one for each node, and one for the bridge between them.
//!
//! This host has an interface on the bridge too. Everything hangs on namespaces whose names carry the cluster's id;
//! with them go the interfaces, the bridge and the rules in it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::state::{Lock, State, StateFile};
use crate::error::ChaosError;
use crate::tool;

/// The bridge's name, in its namespace.
pub(crate) const BRIDGE: &str = "switch";
/// The bridge's port that this host is on. Node 1 is on `n1`.
pub(crate) const HOST_PORT: &str = "host";
/// A node's interface, in its namespace.
pub(crate) const NODE_INTERFACE: &str = "eth0";

/// What a network may be called: 198.18.0.0/15 is kept for tests of networks (RFC 2544), so nothing else is there.
const NETWORKS: u16 = 512;

/// The bridge's namespace.
pub(crate) fn switch_of(state: &State) -> String {
    format!("lmqc-{}-sw", state.id)
}

/// A node's namespace.
pub(crate) fn node_of(state: &State, index: usize) -> String {
    format!("lmqc-{}-{index}", state.id)
}

/// The bridge's port that a node is on.
pub(crate) fn port_of(index: usize) -> String {
    format!("n{index}")
}

/// The bridge's port that takes its place while a relay stands between.
pub(crate) fn relayed_port_of(index: usize) -> String {
    format!("d{index}")
}

/// Where a namespace is, for `nsenter`.
pub(crate) fn path_of(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

/// Gives the nodes and this host addresses of one of the networks.
pub(crate) fn number(state: &mut State, network: u16) {
    let address =
        |last: u8| IpAddr::V4(Ipv4Addr::new(198, 18 + (network >> 8) as u8, (network & 0xff) as u8, last));
    state.host_address = address(254);
    for node in &mut state.nodes {
        node.address = address(node.index as u8);
    }
}

/// The interface of this host on a network: its name claims the network.
fn host_interface(network: u16) -> String {
    format!("lmqc-{network}")
}

/// Makes the namespaces, and gives the nodes addresses in a network that nobody uses. The state is written before
/// anything is made.
pub(crate) fn make(file: &StateFile, lock: &Lock, state: &mut State) -> Result<(), ChaosError> {
    let switch = switch_of(state);
    lock.run("ip", &["netns", "add", &switch])?;
    lock.run("ip", &["-n", &switch, "link", "add", BRIDGE, "type", "bridge"])?;
    lock.run("ip", &["-n", &switch, "link", "set", BRIDGE, "up"])?;
    claim_network(file, lock, state, &switch)?;
    for node in &state.nodes {
        let (namespace, port) = (node_of(state, node.index), port_of(node.index));
        let address = format!("{}/24", node.address);
        lock.run("ip", &["netns", "add", &namespace])?;
        let link = ["link", "add", &port, "netns", &switch, "type", "veth", "peer", "name", NODE_INTERFACE];
        lock.run("ip", &[&link[..], &["netns", &namespace]].concat())?;
        lock.run("ip", &["-n", &switch, "link", "set", &port, "master", BRIDGE, "up"])?;
        lock.run("ip", &["-n", &namespace, "addr", "add", &address, "dev", NODE_INTERFACE])?;
        lock.run("ip", &["-n", &namespace, "link", "set", NODE_INTERFACE, "up"])?;
        lock.run("ip", &["-n", &namespace, "link", "set", "lo", "up"])?;
    }
    Ok(())
}

fn claim_network(file: &StateFile, lock: &Lock, state: &mut State, switch: &str) -> Result<(), ChaosError> {
    let first = u16::from_str_radix(&state.id[..3], 16).unwrap_or(0) % NETWORKS;
    for step in 0..NETWORKS {
        let network = (first + step) % NETWORKS;
        let interface = host_interface(network);
        if Path::new("/sys/class/net").join(&interface).exists() {
            continue;
        }
        number(state, network);
        file.write(lock, state)?;
        let link = ["link", "add", HOST_PORT, "netns", switch, "type", "veth", "peer", "name", &interface];
        match lock.run("ip", &link) {
            // Somebody else was a moment earlier.
            Err(ChaosError::Tool { why, .. }) if why.contains("File exists") => continue,
            other => other?,
        };
        let address = format!("{}/24", state.host_address);
        lock.run("ip", &["-n", switch, "link", "set", HOST_PORT, "master", BRIDGE, "up"])?;
        lock.run("ip", &["addr", "add", &address, "dev", &interface])?;
        lock.run("ip", &["link", "set", &interface, "up"])?;
        return Ok(());
    }
    Err(ChaosError::Usage(format!("all {NETWORKS} networks under 198.18.0.0/15 are in use")))
}

/// The processes in the nodes' namespaces, whatever they are.
pub(crate) fn processes(state: &State) -> Vec<u32> {
    let of = |index: usize| {
        let name = node_of(state, index);
        let listed = path_of(&name).exists().then(|| tool::run("ip", &["netns", "pids", &name]));
        listed.and_then(Result::ok).unwrap_or_default()
    };
    let listed: Vec<String> = state.nodes.iter().map(|node| of(node.index)).collect();
    listed.iter().flat_map(|list| list.lines()).filter_map(|line| line.trim().parse().ok()).collect()
}

/// Removes the namespaces that are there. Gives their names.
pub(crate) fn remove(state: &State) -> Result<Vec<String>, ChaosError> {
    let switch = switch_of(state);
    if path_of(&switch).exists() {
        // A namespace is cleaned up some time after it is removed; the host's interface is to be gone now.
        let listed = tool::run("ip", &["-n", &switch, "-o", "link", "show"])?;
        for port in state.nodes.iter().map(|node| port_of(node.index)).chain([HOST_PORT.to_owned()]) {
            if listed.contains(&format!(" {port}@")) {
                tool::run("ip", &["-n", &switch, "link", "del", &port])?;
            }
        }
    }
    let mut removed = Vec::new();
    for name in state.nodes.iter().map(|node| node_of(state, node.index)).chain([switch]) {
        if path_of(&name).exists() {
            tool::run("ip", &["netns", "del", &name])?;
            removed.push(format!("namespace {name}"));
        }
    }
    Ok(removed)
}
