//! A receive from a topic whose queues lie in several broker groups.

use futures::stream::{FuturesUnordered, StreamExt};
use raft::node::Node;
use raft::request::{Delivered, Receive, RequestError};
use tokio::time::Instant;

use crate::limits::GROUP_TRY_TIMEOUT;

/// Leases messages from the first of `receives` that has some, trying them in
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
            Some(ready) => {
                let found = try_group(node, &receives[ready], deadline).await?;
                // Another consumer may have been faster: wait again.
                if !found.is_empty() || Instant::now() >= wait_until {
                    return Ok(found);
                }
            }
        }
    }
}

/// The same, but what is received may change while it waits: `None` as soon as `changed` says so. Only the
/// wait is given up, never a receive that may have leased something.
///
/// # Errors
/// As for [`receive`].
pub async fn receive_unless(
    node: &Node,
    receives: &[Receive],
    (wait_until, deadline): (Instant, Instant),
    changed: impl Future<Output = ()>,
) -> Result<Option<Vec<Delivered>>, RequestError> {
    tokio::pin!(changed);
    let led = |receive: &&Receive| node.leader_of(receive.group).is_some();
    for receive in receives.iter().filter(led) {
        if let Ok(found) = try_group(node, receive, deadline).await
            && !found.is_empty()
        {
            return Ok(Some(found));
        }
    }
    loop {
        let wait = async {
            match receives {
                [] => {
                    tokio::time::sleep_until(wait_until).await;
                    Ok(None)
                }
                _ => first_ready(node, receives, wait_until).await,
            }
        };
        let ready = tokio::select! {
            ready = wait => ready?,
            () = &mut changed => return Ok(None),
        };
        let Some(ready) = ready else { return Ok(Some(Vec::new())) };
        let found = try_group(node, &receives[ready], deadline).await?;
        if !found.is_empty() || Instant::now() >= wait_until {
            return Ok(Some(found));
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

/// Which receive would find something first, or none by `wait_until`. An error only if every group
/// failed.
async fn first_ready(
    node: &Node,
    receives: &[Receive],
    wait_until: Instant,
) -> Result<Option<usize>, RequestError> {
    let wait = |(at, receive)| async move { (at, node.wait_ready(receive, wait_until).await) };
    let mut waits: FuturesUnordered<_> = receives.iter().enumerate().map(wait).collect();
    let mut failure = None;
    let mut waited_out = false;
    while let Some((at, ready)) = waits.next().await {
        match ready {
            Ok(true) => return Ok(Some(at)),
            Ok(false) => waited_out = true,
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if !waited_out => Err(error),
        _ => Ok(None),
    }
}
