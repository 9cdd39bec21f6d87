//! The state machine against the model of what clients are promised: the bytes seed the commands.
#![no_main]

#[path = "../../../raft/tests/machine/rig.rs"]
#[allow(dead_code)]
mod rig;
#[path = "../../../raft/tests/machine/steps.rs"]
#[allow(dead_code)]
mod steps;
#[path = "../../../raft/tests/machine/waiting.rs"]
#[allow(dead_code)]
mod waiting;
#[path = "../../../raft/tests/machine/witness.rs"]
#[allow(dead_code)]
mod witness;

use libfuzzer_sys::fuzz_target;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use raft::hash::hash64;
use raft::machine::StateMachine;
use store::tables::MemoryTables;

use rig::Rig;
use steps::{Author, frames, step};
use witness::Witness;

/// A seed of the length that the generator wants. (proptest can also take the bytes as they are, but strategies ask
/// for more than any input has, and for ever once they get zeros.)
fn seed(data: &[u8]) -> [u8; 32] {
    let mut seed = [0; 32];
    for (at, part) in seed.chunks_mut(8).enumerate() {
        part.copy_from_slice(&hash64(&[data, &[at as u8]].concat()).to_le_bytes());
    }
    seed
}

fuzz_target!(|data: &[u8]| {
    let choices = TestRng::from_seed(RngAlgorithm::ChaCha, &seed(data));
    let mut runner = TestRunner::new_with_rng(Config::default(), choices);
    let Ok(tree) = frames(step()).new_tree(&mut runner) else { return };
    let mut tables = MemoryTables::new();
    let mut rig = Rig::open(tables.clone());
    let (mut author, mut witness) = (Author::default(), Witness::default());
    for (number, (pause_ms, steps)) in tree.current().iter().enumerate() {
        rig.now_ms += pause_ms;
        for step in steps {
            let applied = rig.apply(&[author.command(step, rig.now_ms)]).expect("memory does not fail");
            witness.follow(&author, step, &applied.outcomes[0], rig.now_ms);
            author.note(std::slice::from_ref(step), &applied, rig.now_ms);
        }
        if number % 3 == 2 {
            // A crash: what was not flushed is applied again.
            let digest = rig.machine.digest().expect("memory does not fail");
            tables = tables.crashed();
            rig.reopen(tables.clone());
            assert_eq!(rig.machine.digest().expect("memory does not fail"), digest, "R4");
        }
    }
});
