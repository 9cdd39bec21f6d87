//! Liveness: while at most a minority of the nodes suffers, sends go on being acknowledged; after
//! the last fault they do within a bounded time, and all replicas catch up.
//!
//! A gap counts only as far as somebody was sending in it.

use std::collections::HashMap;

use crate::evidence::{Evidence, ns, seconds};
use crate::history::{Call, Fault, FaultStatus, Outcome, Symbol};
use crate::membership;
use crate::verdict::{Tally, Verdict};

/// A part of the run in which the same nodes suffer.
#[derive(Clone, Copy, Debug)]
struct Phase {
    from_ns: u64,
    to_ns: u64,
    suffering: usize,
}

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut tally = Tally::default();
    let load = Load::new(evidence);
    look_for_gaps(evidence, &load, &mut tally);
    look_for_recovery(evidence, &load, &mut tally);
    look_for_stragglers(evidence, &mut tally);
    tally.verdict("nothing was sent, and no log was read")
}

/// The sends of a run.
struct Load {
    /// When acknowledgements came, ascending.
    acked_ns: Vec<u64>,
    /// When at least one send was under way: apart and ascending.
    busy: Vec<(u64, u64)>,
}

impl Load {
    fn new(evidence: &Evidence<'_>) -> Load {
        let sends = evidence.history.operations.iter().filter(|one| matches!(one.call, Call::Send(_)));
        let mut acked_ns: Vec<u64> =
            sends.clone().filter(|send| send.outcome == Outcome::Ok).map(|send| send.return_ns).collect();
        acked_ns.sort_unstable();
        let mut spans: Vec<(u64, u64)> = sends.map(|send| (send.invoke_ns, send.return_ns)).collect();
        spans.sort_unstable();
        let mut busy: Vec<(u64, u64)> = Vec::new();
        for (from, to) in spans {
            match busy.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => busy.push((from, to)),
            }
        }
        Load { acked_ns, busy }
    }

    /// How long somebody was sending between two moments.
    fn busy_ns(&self, from_ns: u64, to_ns: u64) -> u64 {
        let first = self.busy.partition_point(|(_, to)| *to <= from_ns);
        let spans = self.busy[first..].iter().take_while(|(from, _)| *from < to_ns);
        spans.map(|(from, to)| to.min(&to_ns).saturating_sub(*from.max(&from_ns))).sum()
    }

    /// The end of the run, as far as sends go.
    fn end_ns(&self) -> u64 {
        self.busy.last().map_or(0, |(_, to)| *to)
    }

    fn acked_within(&self, from_ns: u64, to_ns: u64) -> &[u64] {
        let first = self.acked_ns.partition_point(|at| *at < from_ns);
        let len = self.acked_ns[first..].partition_point(|at| *at <= to_ns);
        &self.acked_ns[first..first + len]
    }
}

/// Whether a fault may have happened.
fn may_have_happened(fault: &Fault) -> bool {
    !matches!(fault.status, FaultStatus::Skipped { .. })
}

/// The run, cut where faults come and go.
fn phases(evidence: &Evidence<'_>, end_ns: u64) -> Vec<Phase> {
    let mut events: Vec<(u64, bool, u32)> = Vec::new();
    for fault in evidence.history.faults.iter().filter(|fault| may_have_happened(fault)) {
        for node in &fault.nodes {
            events.push((fault.from_ns, true, *node));
            events.push((fault.to_ns.max(fault.from_ns), false, *node));
        }
    }
    // Who has no vote is missing in a quorum of all.
    for (node, from_ns, to_ns) in membership::voteless(evidence.history) {
        events.push((from_ns, true, node));
        events.push((to_ns, false, node));
    }
    events.sort_unstable();
    let mut suffering: HashMap<u32, u32> = HashMap::new();
    let mut phases = Vec::new();
    let mut from_ns = 0;
    for (at_ns, begins, node) in events {
        let at_ns = at_ns.min(end_ns);
        if at_ns > from_ns {
            phases.push(Phase { from_ns, to_ns: at_ns, suffering: suffering.len() });
            from_ns = at_ns;
        }
        let count = suffering.entry(node).or_default();
        match begins {
            true => *count += 1,
            false => *count -= 1,
        }
        if *count == 0 {
            suffering.remove(&node);
        }
    }
    if end_ns > from_ns {
        phases.push(Phase { from_ns, to_ns: end_ns, suffering: suffering.len() });
    }
    phases
}

fn look_for_gaps(evidence: &Evidence<'_>, load: &Load, tally: &mut Tally) {
    let header = &evidence.history.header;
    let minority = (header.nodes as usize).saturating_sub(1) / 2;
    let gap_ns_max = ns(header.rules.progress_gap_ms_max);
    let convergence_ns_max = ns(header.rules.convergence_ms_max).max(gap_ns_max);
    for phase in healthy_stretches(&phases(evidence, load.end_ns()), minority) {
        if load.busy_ns(phase.from_ns, phase.to_ns) == 0 {
            continue;
        }
        tally.checked += 1;
        let acked = load.acked_within(phase.from_ns, phase.to_ns);
        let mut before_ns = phase.from_ns;
        // A majority that has just come back may take its time.
        let mut allowed_ns = if phase.from_ns == 0 { gap_ns_max } else { convergence_ns_max };
        for at_ns in acked.iter().copied().chain([phase.to_ns]) {
            let busy_ns = load.busy_ns(before_ns, at_ns);
            if busy_ns > allowed_ns {
                tally.violated(Some(before_ns), || {
                    format!(
                        "nothing was acknowledged from {} to {} ({} of sending; {} are allowed) although no more \
                         than {minority} of {} nodes suffered",
                        seconds(before_ns),
                        seconds(at_ns),
                        seconds(busy_ns),
                        seconds(allowed_ns),
                        header.nodes
                    )
                });
            }
            (before_ns, allowed_ns) = (at_ns, gap_ns_max);
        }
    }
}

/// Phases in which at most a minority suffers, put together where they meet: a series of small
/// faults is no excuse for one long gap.
fn healthy_stretches(phases: &[Phase], minority: usize) -> Vec<Phase> {
    let mut stretches: Vec<Phase> = Vec::new();
    for phase in phases.iter().filter(|phase| phase.suffering <= minority) {
        match stretches.last_mut() {
            Some(last) if last.to_ns == phase.from_ns => last.to_ns = phase.to_ns,
            _ => stretches.push(*phase),
        }
    }
    stretches
}

/// After the last fault sends are acknowledged within a bounded time.
fn look_for_recovery(evidence: &Evidence<'_>, load: &Load, tally: &mut Tally) {
    let happened = evidence.history.faults.iter().filter(|fault| may_have_happened(fault));
    let Some(healed_ns) = happened.map(|fault| fault.to_ns).max() else { return };
    let allowed_ns = ns(evidence.history.header.rules.convergence_ms_max);
    let until_ns = healed_ns + allowed_ns;
    if load.busy_ns(healed_ns, until_ns) == 0 {
        return;
    }
    tally.checked += 1;
    let acked = load.acked_within(healed_ns, until_ns);
    // Who stopped trying before the time was over has not shown that it does not come back.
    if acked.is_empty() && load.busy_ns(healed_ns, until_ns) == allowed_ns {
        tally.violated(Some(healed_ns), || {
            format!(
                "nothing was acknowledged within {} after the last fault had gone at {}",
                seconds(allowed_ns),
                seconds(healed_ns)
            )
        });
    }
}

/// When the logs are read, after the time to converge, none lacks an acknowledged message. What was
/// committed in the moment before the replicas were stopped is not held against them; without
/// messages to tell the time by, it is.
fn look_for_stragglers(evidence: &Evidence<'_>, tally: &mut Tally) {
    let history = evidence.history;
    let mut acknowledged: HashMap<Symbol, u64> = HashMap::new();
    for record in &history.records {
        let number = evidence.number(record.message).expect("every record was seen");
        let is_acked = evidence.acked_ns(number).is_some();
        let most = acknowledged.entry(record.group).or_default();
        *most = if is_acked { record.index.max(*most) } else { *most };
    }
    let mut committed: HashMap<Symbol, u64> = HashMap::new();
    for replica in &history.replicas {
        let most = committed.entry(replica.group).or_default();
        *most = replica.committed_index.max(*most);
    }
    for replica in history.replicas.iter().filter(|replica| replica.unreadable.is_none()) {
        tally.checked += 1;
        let committed = committed[&replica.group];
        let owed = acknowledged.get(&replica.group).map_or(committed, |index| *index.min(&committed));
        if replica.last_index < owed {
            tally.violated(None, || {
                format!(
                    "the log of node {} ends at entry {} of group {}, but entry {owed} was acknowledged",
                    replica.node,
                    replica.last_index,
                    evidence.text(replica.group)
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, send, vote};

    /// A send each 100 ms that takes 10, for some seconds; without answers in a part.
    fn sending(seconds: u64, silent: std::ops::Range<u64>) -> Story {
        let mut story = Story::new();
        story.header.rules.progress_gap_ms_max = 1000;
        story.header.rules.convergence_ms_max = 2000;
        let mut at_ms = 0;
        while at_ms < seconds * 1000 {
            let id = format!("m{at_ms}");
            match silent.contains(&at_ms) {
                true => story.op(send(&id).info().at(at_ms, at_ms + 100)),
                false => story.op(send(&id).at(at_ms, at_ms + 10)),
            };
            at_ms += 100;
        }
        story
    }

    #[test]
    fn steady_progress_holds() {
        let mut story = sending(10, 0..0);
        story.fault("kill", &[1], 2000, 4000).fault("partition", &[2], 5000, 6000).replicas(3, 1, 20);
        assert_eq!(story.check(check), Verdict::Held { checked: 5 });
        assert!(matches!(Story::new().check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn a_short_gap_is_allowed() {
        let mut story = sending(10, 2000..2900);
        story.fault("kill", &[1], 2000, 4000);
        assert!(story.check(check).is_held());
    }

    #[test]
    fn a_long_gap_is_found_with_and_without_a_fault() {
        let mut story = sending(10, 2000..3500);
        assert!(story.check(check).is_violated());
        story.fault("kill", &[1], 2000, 4000);
        assert!(story.check(check).is_violated());
        story.fault("pause", &[1, 3], 2000, 4000);
        assert!(story.check(check).is_held(), "a majority suffered");
    }

    #[test]
    fn a_gap_across_two_small_faults_is_found() {
        let mut story = sending(10, 2000..3600);
        story.fault("kill", &[1], 1900, 2800).fault("kill", &[2], 2800, 4000);
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn a_majority_that_comes_back_may_take_its_time() {
        let mut story = sending(10, 2000..5500);
        story.fault("pause", &[1, 3], 2000, 4000);
        assert!(story.check(check).is_held(), "1.5 s after it came back");
        let mut story = sending(10, 2000..6500);
        story.fault("pause", &[1, 3], 2000, 4000);
        assert!(story.check(check).is_violated(), "2.5 s after it came back");
    }

    #[test]
    fn a_skipped_fault_excuses_nothing() {
        let mut story = sending(10, 2000..3500);
        story.fault("pause", &[1, 2, 3], 2000, 4000);
        assert!(story.check(check).is_held());
        if let Some(crate::history::Line::Fault(fault)) = story.lines.last_mut() {
            fault.status = FaultStatus::Skipped { why: "no such tool".into() };
        }
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn who_has_no_vote_counts_as_missing() {
        let mut story = sending(10, 2000..3500);
        story.fault("pause", &[1], 2000, 4000).op(vote(3, false).at(1000, 1100));
        assert!(story.check(check).is_held(), "two of three were missing");
        story.op(vote(3, true).at(1800, 1900));
        assert!(story.check(check).is_violated(), "node 3 had its vote back");
    }

    #[test]
    fn a_pause_of_the_load_is_no_gap() {
        let mut story = Story::new();
        story.header.rules.progress_gap_ms_max = 1000;
        story.op(send("a").at(0, 10)).op(send("b").at(9000, 9010));
        assert!(story.check(check).is_held());
    }

    #[test]
    fn a_cluster_that_does_not_come_back_is_found() {
        let mut story = sending(10, 4000..10_000);
        story.fault("pause", &[1, 2], 4000, 6000);
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn a_straggler_is_found() {
        let mut story = sending(1, 0..0);
        story.replica(1, 1, 20).replica(2, 1, 19);
        assert!(story.check(check).is_violated());
        story.record(&[1, 2], "m0", 19);
        assert!(story.check(check).is_held(), "entry 20 came in the last moment");
        story.record(&[1], "m100", 20);
        assert!(story.check(check).is_violated(), "it was acknowledged");
    }
}
