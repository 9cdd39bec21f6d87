//! Who is alive: nodes by the watch over them, clients by what they say. Soft state of this node.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::catalog::NodeInfo;
use crate::names::NodeId;

/// A client that was silent for so long is not online. Official clients send a heartbeat every 10 s,
/// the Rust client every 30 s (PROTOCOL 2).
const CLIENT_SILENCE_MAX: Duration = Duration::from_secs(75);
/// Forget the silent ones when there are more clients than this.
const CLIENTS_KEPT_MAX: usize = 100_000;

/// Which nodes answer, and which clients were heard of.
pub(crate) struct Presence {
    own: NodeInfo,
    // Locks for soft state that many tasks touch for a moment; never held over an await.
    members: RwLock<Vec<NodeInfo>>,
    up: Mutex<BTreeSet<NodeId>>,
    gone: RwLock<BTreeSet<NodeId>>,
    live: watch::Sender<Arc<Vec<NodeInfo>>>,
    clients: Mutex<HashMap<u64, Instant>>,
    /// This node is not to lead anything until then.
    aside_until: Mutex<Option<Instant>>,
}

impl Presence {
    /// At first only this node is known to be alive.
    pub(crate) fn new(own: NodeInfo, members: Vec<NodeInfo>) -> Presence {
        let live = watch::Sender::new(Arc::new(vec![own.clone()]));
        Presence {
            own,
            members: RwLock::new(members),
            up: Mutex::default(),
            gone: RwLock::default(),
            live,
            clients: Mutex::default(),
            aside_until: Mutex::default(),
        }
    }

    /// A peer answers.
    pub(crate) fn up(&self, id: NodeId) {
        self.gone.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.up.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        self.publish();
    }

    /// A peer does not answer; `gone` says that its process is known to have ended.
    pub(crate) fn down(&self, id: NodeId, gone: bool) {
        if gone {
            self.gone.write().unwrap_or_else(PoisonError::into_inner).insert(id);
        }
        self.up.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.publish();
    }

    /// Others are in the cluster from now on.
    pub(crate) fn set_members(&self, members: Vec<NodeInfo>) {
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = members;
        self.publish();
    }

    fn publish(&self) {
        let up = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let live: Vec<NodeInfo> =
            members.iter().filter(|info| info.id == self.own.id || up.contains(&info.id)).cloned().collect();
        self.live.send_replace(Arc::new(live));
    }

    /// Whether a node's process is known to have ended.
    pub(crate) fn is_gone(&self, id: NodeId) -> bool {
        self.gone.read().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    /// Whether a node answers.
    pub(crate) fn is_up(&self, id: NodeId) -> bool {
        id == self.own.id || self.up.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    /// The nodes that answer, this one included, ascending by id.
    pub(crate) fn live(&self) -> watch::Receiver<Arc<Vec<NodeInfo>>> {
        self.live.subscribe()
    }

    /// This node steps aside for so long.
    pub(crate) fn step_aside(&self, until: Instant) {
        *self.aside_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// Whether this node has stepped aside.
    pub(crate) fn is_aside(&self) -> bool {
        let until = *self.aside_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// A client was heard of.
    pub(crate) fn client_seen(&self, client: u64) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if clients.len() >= CLIENTS_KEPT_MAX {
            clients.retain(|_, seen| now.duration_since(*seen) < CLIENT_SILENCE_MAX);
        }
        clients.insert(client, now);
    }

    /// A client said goodbye.
    pub(crate) fn client_gone(&self, client: u64) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(&client);
    }

    /// Whether a client was heard of lately.
    pub(crate) fn client_online(&self, client: u64) -> bool {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.get(&client).is_some_and(|seen| seen.elapsed() < CLIENT_SILENCE_MAX)
    }
}
