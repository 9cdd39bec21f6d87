//! A receive from a topic whose queues lie in several broker groups.

use futures::stream::{FuturesUnordered, StreamExt};
use raft::names::GroupId;
use raft::node::Node;
use raft::request::{Delivered, Receive, RequestError};
use tokio::time::Instant;

use crate::limits::GROUP_TRY_TIMEOUT;

/// Leases messages from the first of `receives` (one a broker group) that has some, trying them in
/// order and then waiting on all of them until `wait_until`. Empty if nothing came.
///
/// # Errors
/// When no group could be asked. A group without a leader does not hide the messages of another.
pub async fn receive(
    node: &Node,
    mut receives: Vec<Receive>,
    wait_until: Instant,
    deadline: Instant,
) -> Result<Vec<Delivered>, RequestError> {
    if receives.len() == 1 {
        let only = receives.remove(0);
        return node.receive(only, wait_until, deadline).await;
    }
    // A group that has no leader now is left to the wait below.
    let led = |receive: &&Receive| node.leader_of(receive.group).is_some();
    for receive in receives.iter().filter(led) {
        if let Ok(found) = try_group(node, receive, deadline).await
            && !found.is_empty()
        {
            return Ok(found);
        }
    }
    loop {
        match first_ready(node, &receives, wait_until).await? {
            None => return Ok(Vec::new()),
            Some(group) => {
                let ready = receives.iter().find(|receive| receive.group == group);
                let ready = ready.expect("first_ready answers with the group of one of the receives");
                let found = try_group(node, ready, deadline).await?;
                // Another consumer may have been faster: wait again.
                if !found.is_empty() || Instant::now() >= wait_until {
                    return Ok(found);
                }
            }
        }
    }
}

async fn try_group(
    node: &Node,
    receive: &Receive,
    deadline: Instant,
) -> Result<Vec<Delivered>, RequestError> {
    let now = Instant::now();
    node.receive(receive.clone(), now, deadline.min(now + GROUP_TRY_TIMEOUT)).await
}

/// The group of the first receive that would find something, or none by `wait_until`. An error only
/// if every group failed.
async fn first_ready(
    node: &Node,
    receives: &[Receive],
    wait_until: Instant,
) -> Result<Option<GroupId>, RequestError> {
    let mut waits: FuturesUnordered<_> = receives
        .iter()
        .map(|receive| async move { (receive.group, node.wait_ready(receive, wait_until).await) })
        .collect();
    let mut failure = None;
    let mut waited_out = false;
    while let Some((group, ready)) = waits.next().await {
        match ready {
            Ok(true) => return Ok(Some(group)),
            Ok(false) => waited_out = true,
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if !waited_out => Err(error),
        _ => Ok(None),
    }
}
