//! Partitions have the shape that they say, one way included, and heal.

use std::time::{Duration, Instant};

use chaos::{Cluster, ClusterOptions, Injected};

use crate::probe::{
    MACHINES, PATIENCE, answers, ask_within, cluster, installed, machines, skipped, template, until,
};

/// Whether a node, or this host (0), reaches another one: a connection, a question and its answer.
fn talks(cluster: &Cluster, from: usize, to: usize) -> bool {
    let address = cluster.node(to).address();
    match from {
        0 => ask_within(address, "pid", Duration::from_secs(1)).is_some(),
        from => {
            let asker = cluster.node(from).address();
            let answer = ask_within(asker, &format!("dial {address}"), Duration::from_secs(5));
            answer.unwrap_or_else(|| panic!("this host does not reach node {from}")).starts_with("ok")
        }
    }
}

/// All the pairs that can talk; a connection needs both ways.
fn pairs(cluster: &Cluster) -> Vec<(usize, usize)> {
    [(1, 2), (1, 3), (2, 3)].into_iter().filter(|(one, other)| talks(cluster, *one, *other)).collect()
}

const ALL: [(usize, usize); 3] = [(1, 2), (1, 3), (2, 3)];

#[test]
fn partitions_cut_what_they_say_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template()) else { return };
    assert_eq!(pairs(&cluster), ALL);
    for (fault, nodes, left) in [
        ("partition:shape=isolate", &[2][..], &[(1, 3)][..]),
        ("partition:shape=split", &[1, 3], &[(1, 3)]),
        ("partition:shape=bridge", &[2], &[(1, 2), (2, 3)]),
    ] {
        let Some(guard) = installed(&cluster, fault, nodes) else { return };
        assert_eq!(pairs(&cluster), left, "{fault}");
        assert!((1..=3).all(|node| talks(&cluster, 0, node)), "clients are not cut off");
        guard.heal().expect("healed");
        assert_eq!(pairs(&cluster), ALL, "after {fault}");
    }
}

#[test]
fn partitions_that_overlap_heal_in_any_order() {
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template()) else { return };
    let Some(first) = installed(&cluster, "partition:shape=isolate", &[1]) else { return };
    let second = installed(&cluster, "partition:shape=bridge", &[3]).expect("the first was");
    assert_eq!(pairs(&cluster), [(2, 3)]);
    drop(first);
    assert_eq!(pairs(&cluster), [(1, 3), (2, 3)]);
    drop(second);
    assert_eq!(pairs(&cluster), ALL);
}

/// What one way cuts is seen with datagrams: a connection needs both.
#[test]
fn one_way_cuts_one_way() {
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template()) else { return };
    let comes = |from: usize, to: usize, within: Duration| {
        let address = cluster.node(to).address();
        let ask = |node: usize, line: &str| {
            ask_within(cluster.node(node).address(), line, Duration::from_secs(5))
                .expect("the host is not cut off")
        };
        let before: u64 = ask(to, "datagrams").parse().unwrap();
        assert_eq!(ask(from, &format!("shout {address}")), "ok");
        let deadline = Instant::now() + within;
        loop {
            let is_late = Instant::now() >= deadline;
            if ask(to, "datagrams").parse::<u64>().unwrap() > before {
                return true;
            }
            if is_late {
                return false;
            }
        }
    };
    let got = |from, to| comes(from, to, PATIENCE);
    // A datagram over a bridge is there in microseconds.
    let lost = |from, to| !comes(from, to, Duration::from_millis(500));
    assert!(got(1, 2) && got(2, 1) && got(3, 2));
    let Some(guard) = installed(&cluster, "partition:shape=one-way-in", &[2]) else { return };
    assert_eq!([lost(1, 2), lost(3, 2), got(2, 1), got(2, 3), got(1, 3)], [true; 5]);
    drop(guard);
    let guard = installed(&cluster, "partition:shape=one-way-out", &[2]).expect("the other way was");
    assert_eq!([got(1, 2), got(3, 2), lost(2, 1), lost(2, 3), got(3, 1)], [true; 5]);
    drop(guard);
    assert!(got(2, 1) && got(1, 2));
}

#[test]
fn a_black_hole_swallows_clients_too() {
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template()) else { return };
    let Some(guard) = installed(&cluster, "partition:shape=isolate,clients=true", &[3]) else { return };
    assert_eq!([1, 2, 3].map(|node| talks(&cluster, 0, node)), [true, true, false]);
    drop(guard);
    until("the host reaches node 3 again", || talks(&cluster, 0, 3).then_some(()));
}

#[test]
fn loss_loses_some_of_many() {
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template()) else { return };
    let node = cluster.node(2).address();
    let socket = std::net::UdpSocket::bind((cluster.host_address(), 0)).unwrap();
    let send = |datagram: &[u8]| socket.send_to(datagram, (node, 7100)).unwrap();
    let count = |what: &str| ask_within(node, what, Duration::from_secs(5))?.parse::<u64>().ok();
    // Not more at once than wait in the probe's socket while it does not run: what has no room there is lost as well.
    for _ in 0..5 {
        let Some(guard) = installed(&cluster, "loss:percent=50", &[2]) else { return };
        for _ in 0..200 {
            send(b"x");
        }
        drop(guard);
        let before = until("the probe answers", || count("marks"));
        until("it has taken all that came", || {
            send(b".");
            count("marks").filter(|marks| *marks > before)
        });
    }
    let came = until("the probe answers", || count("datagrams"));
    assert!((300..700).contains(&came), "{came} of 1000 came with a loss of 50%");
}

/// How long a question and its answer take, over a connection that has to be made: the shortest of a few, because
/// others are at work on this machine too.
fn round_trips(cluster: &Cluster, node: usize) -> Duration {
    let once = || {
        let began = Instant::now();
        assert!(talks(cluster, 0, node), "node {node} does not answer");
        began.elapsed()
    };
    (0..4).map(|_| once()).min().expect("four")
}

#[test]
fn delays_add_up_and_heal_one_by_one() {
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template()) else { return };
    let Some(first) = installed(&cluster, "delay:delay_ms=100,jitter_ms=0", &[2]) else { return };
    let once = round_trips(&cluster, 2);
    assert!(once >= Duration::from_millis(200), "a connection and an answer: {once:?}");
    let second = installed(&cluster, "delay:delay_ms=100,jitter_ms=10", &[2, 3]).expect("the first was");
    let twice = round_trips(&cluster, 2);
    assert!(twice >= Duration::from_millis(360), "{twice:?}");
    assert!(round_trips(&cluster, 1) < Duration::from_millis(100), "nobody delays node 1");
    // Rules hold for who is late as for anybody.
    let cut = installed(&cluster, "partition:shape=bridge", &[3]).expect("partitions work where delays do");
    assert_eq!(pairs(&cluster), [(1, 3), (2, 3)]);
    drop(cut);
    drop(first);
    let once = round_trips(&cluster, 2);
    assert!((Duration::from_millis(180)..Duration::from_millis(360)).contains(&once), "{once:?}");
    drop(second);
    assert!(round_trips(&cluster, 2) < Duration::from_millis(100));
    assert_eq!(pairs(&cluster), ALL);
}

/// Large segments and checksums that the kernel leaves to the wire arrive whole.
#[test]
fn much_goes_through_a_delay_both_ways() {
    const BYTES: usize = 8 << 20;
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template()) else { return };
    let Some(guard) = installed(&cluster, "delay:delay_ms=20,jitter_ms=5", &[1]) else { return };
    let ask =
        |line: &str| ask_within(cluster.node(1).address(), line, Duration::from_secs(60)).expect("an answer");
    let began = Instant::now();
    assert_eq!(ask(&format!("blob {BYTES}")).len(), BYTES);
    assert_eq!(ask(&format!("count {}", "y".repeat(BYTES))), BYTES.to_string());
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "16 MiB took {took:?}");
    eprintln!("16 MiB through a delay of 20 ms took {took:?}");
    drop(guard);
}

#[test]
fn on_loopback_networks_are_left_alone_and_it_says_so() {
    let root = tempfile::tempdir().unwrap();
    let cluster = cluster(root.path(), chaos::Backend::Loopback);
    for fault in ["partition", "loss", "delay", "power-failure", "disk-full", "disk-stall", "disk-slow"] {
        match cluster.inject(&fault.parse().unwrap(), &[1]) {
            Injected::Skipped { why } => assert!(why.contains("use namespaces"), "{fault}: {why}"),
            other => panic!("{fault}: {other:?}"),
        }
        assert_eq!(cluster.status().unwrap()[0].faults, [], "{fault}");
    }
}

#[test]
fn on_a_ring_of_five_everybody_reaches_two_others() {
    let root = tempfile::tempdir().unwrap();
    if let Err(why) = chaos::machines() {
        return skipped(&why);
    }
    let options = ClusterOptions { nodes: 5, root: root.path().join("cluster"), backend: MACHINES };
    let cluster = Cluster::create(&options).expect("a cluster");
    cluster.start_all(&template()).expect("five probes");
    for node in cluster.nodes() {
        answers(node.address());
    }
    let Some(guard) = installed(&cluster, "partition:shape=majorities-ring", &[1]) else { return };
    let reached: Vec<(usize, usize)> = (1..=5)
        .flat_map(|one| (one + 1..=5).map(move |other| (one, other)))
        .filter(|(one, other)| talks(&cluster, *one, *other))
        .collect();
    assert_eq!(reached, [(1, 2), (1, 5), (2, 3), (3, 4), (4, 5)]);
    drop(guard);
    assert!(talks(&cluster, 1, 3));
}
