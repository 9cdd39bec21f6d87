//! Plans, with everything at once.

use std::time::{Duration, Instant};

use chaos::{Event, Fault, FaultKind, Plan, PlanOptions, Step, Stop, Target};

use crate::probe::{answers, cluster, machines, template, until};

/// Everything that this machine can have, on top of each other, for some seconds. Nothing waits for ever, nothing is
/// left, and nobody claims what did not happen.
#[test]
fn faults_that_overlap_all_heal() {
    let root = tempfile::tempdir().unwrap();
    let Some(cluster) = machines(root.path(), &template().with_faults()) else { return };
    let works = chaos::detect().into_iter().filter(|capability| capability.works);
    let kinds: Vec<FaultKind> = works
        .map(|capability| capability.fault)
        .filter(|kind| !matches!(kind, FaultKind::Corrupt | FaultKind::Hide))
        .collect();
    let faults: Vec<Fault> = kinds.iter().map(|kind| kind.with_defaults()).collect();
    let options = PlanOptions {
        targets: vec![Target::One, Target::Minority],
        lasting: (Duration::from_millis(50), Duration::from_millis(500)),
        gap: (Duration::from_millis(50), Duration::from_millis(200)),
        overlapping: true,
        ..PlanOptions::new(3, Duration::from_secs(12), faults)
    };
    let plan = Plan::generate(11, &options).unwrap();
    let mut events = Vec::new();
    plan.run(&cluster, &Stop::new(), &mut |_| None, &mut |event| events.push(event));
    let count = |fits: fn(&Event) -> bool| events.iter().filter(|event| fits(event)).count();
    let failed = count(|event| matches!(event, Event::Indeterminate { .. } | Event::NotHealed { .. }));
    assert_eq!(failed, 0, "{events:#?}");
    let installed = count(|event| matches!(event, Event::Installed { .. }));
    let one_shots = count(|event| matches!(event, Event::Installed { fault: Fault::Restart {}, .. }));
    let healed = count(|event| matches!(event, Event::Healed { .. }));
    assert_eq!(healed + one_shots, installed, "{events:#?}");
    for event in &events {
        if let Event::Skipped { fault, why, .. } = event {
            let passing = [
                "does not run",
                "is stalled",
                "is paused",
                "held down",
                "on a stalled disk",
                "was started without",
            ];
            assert!(passing.iter().any(|reason| why.contains(reason)), "{fault} works here, but: {why}");
        }
    }
    let met = |kind: &&FaultKind| {
        events.iter().any(|event| matches!(event, Event::Installed { fault, .. } if fault.kind() == **kind))
    };
    let met = kinds.iter().filter(met).count();
    assert!(met * 4 >= kinds.len() * 3, "only {met} of {} kinds happened: {events:#?}", kinds.len());
    for status in cluster.status().unwrap() {
        assert!(status.faults.is_empty() && !status.paused, "{status:?}");
        answers(status.node.address());
    }
}

#[test]
fn a_plan_that_is_stopped_heals_at_once() {
    let root = tempfile::tempdir().unwrap();
    let cluster = cluster(root.path(), chaos::Backend::Loopback);
    let steps = vec![Step {
        at_ms: 0,
        fault: Fault::Pause {},
        target: Target::Role("leader".into()),
        lasting_ms: 60_000,
        seed: 1,
    }];
    let plan = Plan { seed: 1, nodes: 3, steps };
    let stop = Stop::new();
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let paused = || cluster.status().is_ok_and(|status| status[1].paused).then_some(());
            until("node 2 is paused", paused);
            stop.stop();
        });
        let mut role = |name: &str| (name == "leader").then(|| vec![2]);
        plan.run(&cluster, &stop, &mut role, &mut |_| {});
    });
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    answers(cluster.node(2).address());
}

/// A process that takes its time to end holds up nobody else's faults.
#[test]
fn faults_come_and_go_while_a_node_takes_its_time_to_end() {
    let root = tempfile::tempdir().unwrap();
    let cluster = cluster(root.path(), chaos::Backend::Loopback);
    cluster.stop(1, Duration::from_secs(5)).expect("stopped");
    let line = "sh -c 'trap \"\" TERM; touch {directory}/ready; while true; do sleep 1; done'";
    cluster.start(1, &chaos::Template::parse(line).unwrap()).expect("a shell");
    let ready = cluster.node(1).directory().join("ready");
    until("the shell ignores SIGTERM", || ready.exists().then_some(()));
    std::thread::scope(|scope| {
        let ends = scope.spawn(|| {
            let began = Instant::now();
            let guard = cluster.inject(&Fault::Terminate { grace_ms: 3_000 }, &[1]).installed();
            (guard.expect("terminated"), began.elapsed())
        });
        until("node 1 is to end", || (!cluster.status().ok()?[0].faults.is_empty()).then_some(()));
        let began = Instant::now();
        let pause = cluster.inject(&Fault::Pause {}, &[2]).installed().expect("paused");
        pause.heal().expect("healed");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        let (guard, took) = ends.join().expect("it ended");
        assert!(took >= Duration::from_secs(3), "{took:?}");
        guard.leave();
    });
}
