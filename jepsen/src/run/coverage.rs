//! Whether a run means something: each nemesis really happened, and clients worked while it did.

use checkers::history::{Call, Coverage, FaultStatus, Operation, Outcome};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::RunOptions;
use super::final_reads::FinalReads;
use crate::cluster::broker_groups;
use crate::limits::{OPERATIONS_DURING_FAULT_MIN, OPERATIONS_PER_SECOND_MIN, SENDS_PER_SECOND_MIN};
use crate::nemesis::{Nemesis, Script, Troubles, kind_of};
use crate::workload::{Needs, Workload};

/// Everything that has to be reached.
pub fn of(options: &RunOptions, operations: &[Operation], troubles: &Troubles) -> Vec<Coverage> {
    let wanted = options.lasting.as_secs() * OPERATIONS_PER_SECOND_MIN;
    let mut coverage =
        vec![Coverage { what: "operations".to_owned(), wanted, seen: operations.len() as u64 }];
    for nemesis in &options.nemeses {
        let installed: Vec<_> = troubles
            .faults
            .iter()
            .filter(|(by, fault)| by == nemesis && fault.status == FaultStatus::Installed)
            .map(|(_, fault)| fault)
            .collect();
        // Every part of it: a node that was killed to be damaged, and was not, was not damaged.
        for kind in Script::of(*nemesis, options.nodes, &mut StdRng::seed_from_u64(0)).kinds() {
            let seen = installed.iter().filter(|fault| kind_of(&fault.fault) == kind).count() as u64;
            coverage.push(Coverage { what: format!("{kind} by {}", nemesis.name()), wanted: 1, seen });
        }
        if *nemesis == Nemesis::FsyncError {
            // One that went on would have taken a failed sync for a good one.
            let what = "nodes that stopped for their disk".to_owned();
            coverage.push(Coverage { what, wanted: 1, seen: troubles.stopped_by_disk });
        }
        let overlaps = |operation: &&Operation| {
            installed
                .iter()
                .any(|fault| operation.invoke_ns <= fault.to_ns && operation.return_ns >= fault.from_ns)
        };
        coverage.push(Coverage {
            what: format!("operations under {}", nemesis.name()),
            wanted: OPERATIONS_DURING_FAULT_MIN,
            seen: operations.iter().filter(overlaps).count() as u64,
        });
    }
    if options.work.has(Workload::Membership) {
        coverage.extend(of_votes(options, operations));
    }
    coverage
}

/// Whether votes were taken and given back, and it was read with every node answering.
fn of_votes(options: &RunOptions, operations: &[Operation]) -> [Coverage; 3] {
    let count = |is_wanted: &dyn Fn(&Call) -> bool| {
        let done = operations.iter().filter(|operation| operation.outcome == Outcome::Ok);
        done.filter(|operation| is_wanted(&operation.call)).count() as u64
    };
    let nodes = options.nodes as u32;
    let is_whole = |call: &Call| match call {
        Call::ReadVoters(read) => read.groups.iter().all(|of| of.leader != 0 && of.replicas == nodes),
        _ => false,
    };
    let is_change = |call: &Call, to: bool| matches!(call, Call::ChangeVotes(change) if change.votes == to);
    let goal = |what: &str, wanted, seen| Coverage { what: what.to_owned(), wanted, seen };
    [
        goal("votes taken", 1, count(&|call| is_change(call, false))),
        goal("votes given back", 1, count(&|call| is_change(call, true))),
        goal("voters read from all nodes", OPERATIONS_DURING_FAULT_MIN, count(&is_whole)),
    ]
}

/// Whether the tables of all replicas were compared, group by group (property 7).
pub fn of_states(options: &RunOptions, reads: &FinalReads) -> Vec<Coverage> {
    let compared = reads.compared();
    let groups = std::iter::once("meta".to_owned()).chain(broker_groups(options.broker_groups));
    let coverage = groups.map(|group| Coverage {
        wanted: options.nodes as u64,
        seen: compared.get(group.as_str()).copied().unwrap_or(0),
        what: format!("replicas of {group} compared at one entry"),
    });
    coverage.collect()
}

/// Whether every topic got messages: of several kinds of work none may have stood still.
pub fn of_topics(options: &RunOptions, needs: &Needs, operations: &[Operation]) -> Vec<Coverage> {
    let sends_to = |topic: &str| {
        let is_there = |operation: &&Operation| {
            operation.outcome == Outcome::Ok
                && matches!(&operation.call, Call::Send(send) if send.topic == topic)
        };
        operations.iter().filter(is_there).count() as u64
    };
    let coverage = needs.topics.iter().map(|topic| Coverage {
        what: format!("sends to {}", topic.name),
        wanted: options.lasting.as_secs() * SENDS_PER_SECOND_MIN,
        seen: sends_to(&topic.name),
    });
    coverage.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use checkers::history::{Call, Fault, Outcome};

    use super::*;
    use crate::workload::{Load, Workload};

    fn options() -> RunOptions {
        RunOptions {
            work: Workload::Queue.into(),
            nemeses: vec![Nemesis::Kill],
            overlap: false,
            lasting: Duration::from_secs(1),
            seed: 1,
            nodes: 3,
            broker_groups: 1,
            load: Load::default(),
            directory: "x".into(),
            keep: false,
            environment: Vec::new(),
            commit: String::new(),
            in_namespaces: false,
        }
    }

    fn operation(invoke_ns: u64) -> Operation {
        Operation {
            process: 1,
            invoke_ns,
            return_ns: invoke_ns + 1,
            outcome: Outcome::Ok,
            error: None,
            call: Call::Administer { what: "x".into() },
        }
    }

    fn killed(status: FaultStatus) -> Troubles {
        let fault = Fault {
            fault: "kill".into(),
            target: "one".into(),
            nodes: vec![1],
            status,
            from_ns: 1_000,
            to_ns: 2_000,
        };
        Troubles { faults: vec![(Nemesis::Kill, fault)], ..Troubles::default() }
    }

    #[test]
    fn a_fault_that_was_skipped_covers_nothing() {
        let operations: Vec<_> = (0..200).map(|at| operation(at * 10)).collect();
        let met = |troubles: &Troubles| of(&options(), &operations, troubles).iter().all(Coverage::is_met);
        assert!(met(&killed(FaultStatus::Installed)));
        assert!(!met(&killed(FaultStatus::Skipped { why: "no".into() })), "a skipped fault passed");
        assert!(!met(&Troubles::default()), "a fault that never happened passed");
    }

    #[test]
    fn a_node_that_was_only_killed_was_not_damaged() {
        let options = RunOptions { nemeses: vec![Nemesis::CorruptTables], ..options() };
        let operations: Vec<_> = (0..200).map(|at| operation(at * 10)).collect();
        let fault = |fault: &str, status| {
            let mut troubles = killed(status);
            let (_, mut line) = troubles.faults.remove(0);
            line.fault = fault.to_owned();
            (Nemesis::CorruptTables, line)
        };
        let met = |corrupt| {
            let faults = vec![
                fault("kill", FaultStatus::Installed),
                fault("corrupt:files=data/groups/g1/tables/*.sst,how=truncate", corrupt),
            ];
            of(&options, &operations, &Troubles { faults, ..Troubles::default() })
                .iter()
                .all(Coverage::is_met)
        };
        assert!(met(FaultStatus::Installed));
        assert!(!met(FaultStatus::Skipped { why: "no such file".into() }), "a kill passed for damage");
    }

    #[test]
    fn votes_have_to_go_and_to_come_back_and_to_be_read() {
        use checkers::history::{ChangeVotes, GroupVoters, ReadVoters};
        let change = |votes| {
            let call = Call::ChangeVotes(ChangeVotes { group: "g1".into(), node: 1, votes, voters: None });
            Operation { call, ..operation(1) }
        };
        let read = |replicas| {
            let of = GroupVoters { group: "g1".into(), leader: 1, term: 1, replicas, voters: vec![1, 2, 3] };
            let call = Call::ReadVoters(ReadVoters { through: 1, groups: vec![of] });
            Operation { call, ..operation(1) }
        };
        let is_met = |operations: &[Operation]| of_votes(&options(), operations).map(|goal| goal.is_met());
        let reads = |replicas| vec![read(replicas); OPERATIONS_DURING_FAULT_MIN as usize];
        assert_eq!(is_met(&[]), [false; 3]);
        assert_eq!(is_met(&[change(false)]), [true, false, false]);
        assert_eq!(
            is_met(&[change(true), Operation { outcome: Outcome::Info, ..change(false) }]),
            [false, true, false]
        );
        assert_eq!(is_met(&reads(3)), [false, false, true]);
        assert_eq!(is_met(&reads(2)), [false; 3], "a node did not answer");
    }

    #[test]
    fn operations_before_and_after_a_fault_do_not_count() {
        let operations: Vec<_> = (0..200).map(|at| operation(3_000 + at)).collect();
        let coverage = of(&options(), &operations, &killed(FaultStatus::Installed));
        let under = coverage.iter().find(|one| one.what == "operations under kill").unwrap();
        assert_eq!((under.seen, under.is_met()), (0, false));
    }
}
