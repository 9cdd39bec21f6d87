//! Wall clocks that jump and drift, and monotonic ones that do not.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chaos::{Backend, Cluster};

use crate::probe::{answers, ask, cluster_of, installed, template, until};

/// How far a node's wall clock is ahead of this machine's, in milliseconds.
fn ahead_ms(cluster: &Cluster, node: usize) -> i64 {
    let wall: i64 = ask(cluster.node(node).address(), "wall").expect("an answer").parse().expect("a number");
    wall - SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn monotonic_ms(cluster: &Cluster) -> u64 {
    ask(cluster.node(1).address(), "monotonic").expect("an answer").parse().expect("a number")
}

fn is_near(ahead_ms: i64, wanted_ms: i64) -> Option<()> {
    ((ahead_ms - wanted_ms).abs() < 300).then_some(())
}

#[test]
fn clocks_jump_and_come_back_and_the_monotonic_one_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let cluster = cluster_of(root.path(), Backend::Loopback, &template().with_faults());
    let (began, first) = (Instant::now(), monotonic_ms(&cluster));
    let Some(jump) = installed(&cluster, "clock-jump:by_ms=-3600000", &[1]) else { return };
    until("the clock is an hour back", || is_near(ahead_ms(&cluster, 1), -3_600_000));
    assert!(is_near(ahead_ms(&cluster, 2), 0).is_some(), "nobody else's clock");
    let second = installed(&cluster, "clock-jump:by_ms=5000", &[1]).expect("the first was");
    until("both jumps count", || is_near(ahead_ms(&cluster, 1), -3_595_000));
    // A process that is born meanwhile has the clock of its machine.
    let before = answers(cluster.node(1).address());
    let passed = monotonic_ms(&cluster) - first;
    assert!(Duration::from_millis(passed) <= began.elapsed() + Duration::from_millis(100), "{passed} ms");
    let restart = installed(&cluster, "restart", &[1]).expect("restarts work everywhere");
    assert_ne!(answers(cluster.node(1).address()), before);
    assert!(is_near(ahead_ms(&cluster, 1), -3_595_000).is_some(), "{} ms", ahead_ms(&cluster, 1));
    drop(restart);
    drop(jump);
    until("one jump is left", || is_near(ahead_ms(&cluster, 1), 5_000));
    drop(second);
    until("the clock is right", || is_near(ahead_ms(&cluster, 1), 0));
}

#[test]
fn clocks_drift_from_where_they_were() {
    let root = tempfile::tempdir().unwrap();
    let cluster = cluster_of(root.path(), Backend::Loopback, &template().with_faults());
    // The longer the process has lived, the farther off a drift would begin that counts from its birth.
    std::thread::sleep(Duration::from_secs(2));
    let began = Instant::now();
    let Some(drift) = installed(&cluster, "clock-drift:ppm=500000", &[1]) else { return };
    let (first, at) = until("the clock drifts", || {
        let ahead = ahead_ms(&cluster, 1);
        (ahead > 100).then_some((ahead, began.elapsed()))
    });
    // Half a second each second, from the injection on.
    let bound = (at.as_millis() / 2 + 200) as i64;
    assert!(first <= bound, "{first} ms ahead after {at:?}");
    until("it goes on drifting", || (ahead_ms(&cluster, 1) > 1_500).then_some(()));
    drop(drift);
    until("the clock is right", || is_near(ahead_ms(&cluster, 1), 0));
}
