//! The queue workload on a cluster whose voters change: one process takes nodes their votes and gives them back, others
//! ask every node who has a vote.

use std::rc::Rc;

use rand::Rng;
use tokio::task::JoinSet;

use super::{Arena, Needs, Process, queue, staff};
use crate::limits::{ADMIN_TIMEOUT, VOTES_GIVEN_PATIENCE, VOTES_TAKEN_PATIENCE};
use crate::membership::{Changes, Registrar, groups};

/// Processes that ask.
const READERS: u32 = 2;

pub(super) fn needs() -> Needs {
    queue::needs()
}

pub(super) fn start(arena: &Rc<Arena>, tasks: &mut JoinSet<()>) {
    queue::start(arena, tasks);
    staff(arena, tasks, 1, |arena| async move { change(&arena).await });
    staff(arena, tasks, READERS, |arena| async move { read(&arena).await });
}

async fn change(arena: &Arena) {
    let mut process = arena.process("registrar");
    while arena.goes_on() {
        let nap = process.between_ms(300, 1_500);
        tokio::time::sleep(nap).await;
        // Nobody else takes votes meanwhile.
        let _turn = arena.votes.lock().await;
        if arena.goes_on() {
            change_there_and_back(arena, &mut process).await;
        }
    }
}

async fn change_there_and_back(arena: &Arena, process: &mut Process) {
    let size = arena.addresses.len();
    let begin = process.choices.random_range(0..size);
    process.client.prefer(begin);
    // What was not given back the last time would add up.
    let mut registrar = Registrar::new(&arena.recorder, process.number, &mut process.client);
    if registrar.restore(size, VOTES_TAKEN_PATIENCE).await.is_err() {
        return;
    }
    let Some(mut groups) = groups(&mut process.client, ADMIN_TIMEOUT).await else { return };
    if process.chance(40) {
        // One group by itself: the others keep their voters.
        groups = vec![groups.swap_remove(process.choices.random_range(0..groups.len()))];
    }
    let mut nodes = vec![begin + 1];
    if size >= 5 && process.chance(30) {
        nodes.push((begin + process.choices.random_range(1..size)) % size + 1);
    }
    let elsewhere = process.choices.random_range(0..size);
    process.client.prefer(elsewhere);
    let mut registrar = Registrar::new(&arena.recorder, process.number, &mut process.client);
    let taken = registrar.take(&groups, &nodes, VOTES_TAKEN_PATIENCE).await;
    if matches!(taken, Changes::Refused { .. }) {
        return;
    }
    let nap = process.between_ms(100, 2_500);
    tokio::time::sleep(nap).await;
    let mut registrar = Registrar::new(&arena.recorder, process.number, &mut process.client);
    // If it does not succeed it is tried again before the next change, and seen at the end.
    let _ = registrar.give(&groups, &nodes, VOTES_GIVEN_PATIENCE).await;
}

async fn read(arena: &Arena) {
    let mut process = arena.process("reader");
    while arena.goes_on() {
        let through = process.choices.random_range(0..arena.addresses.len());
        Registrar::new(&arena.recorder, process.number, &mut process.client).read(through).await;
        let nap = process.between_ms(50, 200);
        tokio::time::sleep(nap).await;
    }
}
