//! Clients that ask where a queue ends.

use std::rc::Rc;
use std::time::Duration;

use raft::names::QueueKey;
use raft::node::Node;
use raft::simulation;

use super::{Clients, QUEUES, prepared, soon};
use crate::history::{Ending, Read};

pub async fn ask(clients: Rc<Clients>, node: Node) {
    let (topic, _) = prepared(&clients).await;
    loop {
        tokio::time::sleep(Duration::from_millis(clients.dice(20..200))).await;
        let queue = QueueKey { topic: topic.id, number: clients.dice(0..u64::from(QUEUES)) as u32 };
        let acked_end = acked_end(&clients, queue);
        if let Ok(place) = node.place(&topic, queue.number, None, soon()).await {
            let end = place.state.end;
            simulation::note(format_args!("{} is told that {queue:?} ends at {end}", node.id()));
            clients.history.borrow_mut().reads.push(Read { queue, acked_end, end });
        }
    }
}

fn acked_end(clients: &Clients, queue: QueueKey) -> u64 {
    let history = clients.history.borrow();
    let acked = history.sent.iter().filter_map(|sent| match sent.ending {
        Ending::Done(Some((at, offset))) if at == queue => Some(offset + 1),
        _ => None,
    });
    acked.max().unwrap_or(0)
}
