//! Membership: what was acknowledged about who has a vote in a group of replicas is what is read until the next change
//! begins, and at the end everybody has a vote.
//!
//! Whether a node has a vote in a group is a register: changes write it, reads of the voters read it. A read overlaps
//! changes, changes overlap each other, and a change of which nobody knows may happen at any time after its beginning;
//! the read may show any value that one of these courses leaves. A cluster starts with every node having a vote.
//!
//! An answer to such a question is put together from what all nodes say, one after the other, so it is judged only if it
//! must be of now. That is so if
//!
//! - every node answered: one of them has taken part in the quorum of any change that was acknowledged before, so the
//!   newest term of the answer is not older than that change;
//! - one node leads in that term, says so itself, and no other one says the same of itself;
//! - and an answer that came before this question was asked had the same leader in the same term. So the node led already
//!   when it was asked, in the newest term there is, and a leader has every change that was committed before its term, and
//!   those of its term are its own.
//!
//! All other answers prove nothing and are passed over.

use std::collections::HashMap;

use crate::evidence::{Evidence, seconds};
use crate::history::{Call, ChangeVotes, GroupVoters, History, Operation, Outcome, Symbol};
use crate::verdict::{Tally, Verdict};

/// A node in a group of replicas.
type Seat = (Symbol, u32);

pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut tally = Tally::default();
    check_answers(evidence, &mut tally);
    check_reads(evidence, &mut tally);
    check_end(evidence, &mut tally);
    tally.verdict("nobody asked who has a vote")
}

/// Everybody who lacks a vote in any group, or may lack it: node, from when, and to when.
pub(crate) fn voteless(history: &History) -> Vec<(u32, u64, u64)> {
    let mut given: HashMap<Seat, Vec<(u64, u64)>> = HashMap::new();
    for (operation, change) in changes(history) {
        if change.votes && operation.outcome == Outcome::Ok {
            let times = (operation.invoke_ns, operation.return_ns);
            given.entry((change.group, change.node)).or_default().push(times);
        }
    }
    given.values_mut().for_each(|times| times.sort_unstable());
    let until = |seat: &Seat, taken_ns: u64| {
        let given = given.get(seat)?;
        let next = given.partition_point(|(invoke_ns, _)| *invoke_ns < taken_ns);
        given.get(next).map(|(_, return_ns)| *return_ns)
    };
    changes(history)
        .filter(|(operation, change)| !change.votes && operation.outcome.may_have_happened())
        .map(|(operation, change)| {
            let back_ns = until(&(change.group, change.node), operation.return_ns).unwrap_or(u64::MAX);
            (change.node, operation.invoke_ns, back_ns)
        })
        .collect()
}

fn changes(history: &History) -> impl Iterator<Item = (&Operation<Symbol>, &ChangeVotes<Symbol>)> {
    history.operations.iter().filter_map(|operation| match &operation.call {
        Call::ChangeVotes(change) => Some((operation, change)),
        _ => None,
    })
}

/// Whether a node has a vote in a group, over time.
#[derive(Default)]
struct Register {
    /// When acknowledged changes returned and began, ascending.
    acked: Vec<(u64, u64)>,
    /// Of these, up to each one, when the last one to begin began.
    last_begun_ns: Vec<u64>,
    /// The changes to no vote, and those to a vote.
    of: [Changes; 2],
}

/// The changes to one value.
#[derive(Default)]
struct Changes {
    /// When those began that may have happened.
    begun_ns: Vec<u64>,
    /// When those returned that were acknowledged.
    acked_ns: Vec<u64>,
}

/// How many of these moments are at `ns` or before.
fn up_to(moments_ns: &[u64], ns: u64) -> usize {
    moments_ns.partition_point(|at_ns| *at_ns <= ns)
}

impl Register {
    fn all(history: &History) -> HashMap<Seat, Register> {
        let mut registers: HashMap<Seat, Register> = HashMap::new();
        for (operation, change) in changes(history) {
            if !operation.outcome.may_have_happened() {
                continue;
            }
            let register = registers.entry((change.group, change.node)).or_default();
            let of = &mut register.of[usize::from(change.votes)];
            of.begun_ns.push(operation.invoke_ns);
            if operation.outcome == Outcome::Ok {
                of.acked_ns.push(operation.return_ns);
                register.acked.push((operation.return_ns, operation.invoke_ns));
            }
        }
        for register in registers.values_mut() {
            register.acked.sort_unstable();
            let mut last_ns = 0;
            register.last_begun_ns = register
                .acked
                .iter()
                .map(|(_, invoke_ns)| {
                    last_ns = last_ns.max(*invoke_ns);
                    last_ns
                })
                .collect();
            for of in &mut register.of {
                of.begun_ns.sort_unstable();
                of.acked_ns.sort_unstable();
            }
        }
        registers
    }

    /// Whether a read between two moments may show this.
    fn may_be(&self, votes: bool, invoke_ns: u64, return_ns: u64) -> bool {
        let of = &self.of[usize::from(votes)];
        // Whatever has begun and was not acknowledged before may happen just now.
        if up_to(&of.begun_ns, return_ns) > up_to(&of.acked_ns, invoke_ns) {
            return true;
        }
        let before = self.acked.partition_point(|(at_ns, _)| *at_ns <= invoke_ns);
        let Some(last) = before.checked_sub(1) else { return votes };
        // No other change has begun after the last one to this value had ended.
        let ended_ns = up_to(&of.acked_ns, invoke_ns).checked_sub(1).map(|last| of.acked_ns[last]);
        ended_ns.is_some_and(|ended_ns| ended_ns >= self.last_begun_ns[last])
    }
}

/// What was done is in the answer that says so.
fn check_answers(evidence: &Evidence<'_>, tally: &mut Tally) {
    for (operation, change) in changes(evidence.history) {
        let Some(voters) = &change.voters else { continue };
        tally.checked += 1;
        if voters.contains(&change.node) != change.votes {
            tally.violated(Some(operation.return_ns), || {
                format!(
                    "node {} was {} its vote in {} at {}, and the answer says that {voters:?} vote",
                    change.node,
                    if change.votes { "given" } else { "taken" },
                    evidence.text(change.group),
                    seconds(operation.return_ns)
                )
            });
        }
    }
}

fn check_reads(evidence: &Evidence<'_>, tally: &mut Tally) {
    let history = evidence.history;
    let registers = Register::all(history);
    let none = Register::default();
    let nodes = history.header.nodes;
    let led_since = leaders(history);
    for (operation, through, of) in reads(history) {
        let is_of_now = of.replicas == nodes
            && led_since.get(&(of.group, of.term, of.leader)).is_some_and(|ns| *ns <= operation.invoke_ns);
        if !is_of_now {
            continue;
        }
        for node in 1..=nodes.max(of.voters.iter().copied().max().unwrap_or(0)) {
            let votes = of.voters.contains(&node);
            let register = registers.get(&(of.group, node)).unwrap_or(&none);
            let may_be = |votes| register.may_be(votes, operation.invoke_ns, operation.return_ns);
            let is_wrong = if node > nodes { votes } else { !may_be(votes) };
            // Where it may be either there is nothing to check.
            tally.checked += u64::from(is_wrong || !may_be(!votes));
            if is_wrong {
                tally.violated(Some(operation.return_ns), || {
                    format!(
                        "{:?} have a vote in {}, it was said through node {through} from {} to {} (node {} leads in \
                         term {}), but node {node} must {}",
                        of.voters,
                        evidence.text(of.group),
                        seconds(operation.invoke_ns),
                        seconds(operation.return_ns),
                        of.leader,
                        of.term,
                        if votes { "have none" } else { "have one" }
                    )
                });
            }
        }
    }
}

/// Answered questions, with the node that was asked, group by group; those that name a leader.
fn reads(history: &History) -> impl Iterator<Item = (&Operation<Symbol>, u32, &GroupVoters<Symbol>)> {
    let answered = history.operations.iter().filter(|operation| operation.outcome == Outcome::Ok);
    let answers = answered.filter_map(|operation| match &operation.call {
        Call::ReadVoters(read) => Some((operation, read)),
        _ => None,
    });
    let groups =
        answers.flat_map(|(operation, read)| read.groups.iter().map(move |of| (operation, read.through, of)));
    groups.filter(|(_, _, of)| of.leader != 0)
}

/// When it was first known who leads a group in a term.
fn leaders(history: &History) -> HashMap<(Symbol, u64, u32), u64> {
    let mut since: HashMap<_, u64> = HashMap::new();
    for (operation, _, of) in reads(history) {
        let first_ns = since.entry((of.group, of.term, of.leader)).or_insert(u64::MAX);
        *first_ns = operation.return_ns.min(*first_ns);
    }
    since
}

fn check_end(evidence: &Evidence<'_>, tally: &mut Tally) {
    let all: Vec<u32> = (1..=evidence.history.header.nodes).collect();
    for read in &evidence.history.voters {
        tally.checked += 1;
        let mut voters = read.voters.clone();
        voters.sort_unstable();
        if voters != all {
            tally.violated(Some(read.at_ns), || {
                format!(
                    "at the end, when every node had its vote back, node {} said that {voters:?} have one in {}",
                    read.through,
                    evidence.text(read.group)
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, read_voters, vote};

    const ALL: [u32; 3] = [1, 2, 3];

    /// Every node has a vote; node 1 leads in term 4, and that is known.
    fn led() -> Story {
        let mut story = Story::new();
        story.op(read_voters(1, 4, &ALL).at(0, 10));
        story
    }

    #[test]
    fn an_acknowledged_change_is_read() {
        let mut story = led();
        story.op(vote(2, false).at(100, 200)).op(read_voters(1, 4, &[1, 3]).at(210, 220));
        story.op(vote(2, true).at(300, 400)).op(read_voters(1, 4, &ALL).at(410, 420));
        assert_eq!(story.check(check), Verdict::Held { checked: 6 });
        assert!(matches!(Story::new().check(check), Verdict::NotChecked { .. }));
    }

    #[test]
    fn a_change_that_is_forgotten_is_found() {
        let mut story = led();
        story.op(vote(2, false).at(100, 200)).op(read_voters(1, 4, &ALL).at(210, 220));
        assert!(story.check(check).is_violated(), "the vote is back");
        let mut story = led();
        story.op(vote(2, false).at(100, 200)).op(vote(2, true).at(300, 400));
        story.op(read_voters(1, 4, &[1, 3]).at(410, 420));
        assert!(story.check(check).is_violated(), "the vote is gone again");
    }

    #[test]
    fn a_vote_that_goes_although_nobody_took_it_is_found() {
        let mut story = led();
        story.op(vote(2, false).at(100, 200)).op(read_voters(1, 4, &[1]).at(210, 220));
        assert!(story.check(check).is_violated());
        let mut story = led();
        story.op(read_voters(1, 4, &[1, 2, 3, 4]).at(210, 220));
        assert!(story.check(check).is_violated(), "there is no node 4");
    }

    #[test]
    fn a_read_that_overlaps_a_change_may_show_either() {
        for voters in [&ALL[..], &[1, 3]] {
            let mut story = led();
            story.op(vote(2, false).at(100, 200)).op(read_voters(1, 4, voters).at(150, 250));
            assert!(story.check(check).is_held(), "{voters:?}");
        }
    }

    #[test]
    fn changes_that_overlap_may_happen_in_either_order() {
        for voters in [&ALL[..], &[1, 3]] {
            let mut story = led();
            story.op(vote(2, false).at(100, 300)).op(vote(2, true).at(200, 250).by(2));
            story.op(read_voters(1, 4, voters).at(400, 410));
            assert!(story.check(check).is_held(), "{voters:?}");
        }
    }

    #[test]
    fn an_unknown_change_may_happen_late_and_one_that_was_refused_never() {
        for voters in [&ALL[..], &[1, 3]] {
            let mut story = led();
            story.op(vote(2, false).info().at(100, 200)).op(vote(2, true).at(300, 400));
            story.op(read_voters(1, 4, voters).at(500, 510));
            assert!(story.check(check).is_held(), "{voters:?}");
        }
        let mut story = led();
        story.op(vote(2, false).fail().at(100, 200)).op(read_voters(1, 4, &[1, 3]).at(500, 510));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn answers_that_may_be_old_prove_nothing() {
        let mut story = led();
        story.op(vote(2, false).at(100, 200));
        let held = story.check(check);
        story.op(read_voters(1, 4, &ALL).replicas(2).at(210, 220));
        assert_eq!(story.check(check), held, "one node did not answer");
        story.op(read_voters(3, 5, &ALL).at(230, 240));
        assert_eq!(story.check(check), held, "it may have begun to lead in the middle of the question");
        story.op(read_voters(0, 5, &ALL).at(240, 250));
        assert_eq!(story.check(check), held, "nobody leads");
        story.op(read_voters(3, 5, &ALL).at(250, 260));
        assert!(story.check(check).is_violated(), "by now it has led for 10 ms");
    }

    #[test]
    fn an_answer_that_contradicts_itself_is_found() {
        let mut story = led();
        story.op(vote(2, false).answered(&ALL).at(100, 200));
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn at_the_end_everybody_has_a_vote() {
        let mut story = Story::new();
        story.voters(1, &[3, 1, 2]).voters(2, &ALL);
        assert_eq!(story.check(check), Verdict::Held { checked: 2 });
        story.voters(3, &[1, 3]);
        assert!(story.check(check).is_violated());
    }

    #[test]
    fn who_lacks_a_vote_does_so_until_it_was_given_back() {
        let mut story = led();
        story.op(vote(2, false).at(100, 200)).op(vote(2, true).at(300, 400));
        story.op(vote(3, false).info().at(500, 600)).op(vote(1, false).fail().at(500, 600));
        let ms = 1_000_000;
        assert_eq!(voteless(&story.history()), [(2, 100 * ms, 400 * ms), (3, 500 * ms, u64::MAX)]);
    }
}
