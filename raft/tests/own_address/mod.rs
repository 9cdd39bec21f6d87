//! Members of a cluster at an address that nobody else has: a node that is down for a while finds its ports free when it
//! comes back. (A port that the system hands out may go to somebody else meanwhile.)

use std::sync::atomic::{AtomicU8, Ordering};

use raft::catalog::NodeInfo;
use raft::names::NodeId;

/// `size` members, numbered from 1, on a loopback address of their own.
pub fn members(size: u64) -> Vec<NodeInfo> {
    static CLUSTERS: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let cluster = CLUSTERS.fetch_add(1, Ordering::Relaxed);
    // 127.0.0.0/24 is where everybody else is.
    let address = format!("127.{}.{low}.{cluster}", high.max(1));
    let member = |id| NodeInfo {
        id: NodeId(id),
        name: format!("node{id}"),
        grpc: format!("{address}:{}", 8_000 + id),
        http: String::new(),
        peer: format!("{address}:{}", 7_000 + id),
        incarnation: 0,
    };
    (1..=size).map(member).collect()
}
