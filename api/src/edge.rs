//! The client edge as a whole: its state, its start and its end.

use std::borrow::Cow;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use raft::access::{Action, Target};
use raft::catalog::NodeInfo;
use raft::hash::hash64;
use raft::node::Node;
use raft::request::RequestError;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::demand::Demands;
use crate::access::gate::Gate;
use crate::convert::status::Fault;
use crate::edge_options::{EdgeOptions, InvalidOption};
use crate::limits::{RECORD_BYTES_MAX, RELEASES_MAX, SEARCHES_MAX, SESSION_SWEEP_INTERVAL};
use crate::messaging::caller::Caller;
use crate::metrics::counts::MessageCounts;
use crate::port::cut::Cuts;
use crate::port::holdings::{Held, Holder, Holdings, Taken};
use crate::quota::Quotas;
use crate::server;
use crate::session::lite::LiteSubscriptions;
use crate::session::pending::Pending;
use crate::session::registry::Registry;
use crate::session::remote;
use crate::traffic::Traffic;

/// Why the client edge did not start, or why it stopped.
#[derive(Debug, Error)]
pub enum EdgeError {
    /// Options make no sense.
    #[error("invalid options: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Options(Vec<InvalidOption>),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A certificate or key cannot be read, written or used.
    #[error("{path}: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The gRPC server failed.
    #[error("the gRPC server failed: {0}")]
    Serve(#[from] tonic::transport::Error),
    /// The descriptors of this build cannot be offered for reflection.
    #[error("reflection: {0}")]
    Reflection(String),
}

/// A client edge that runs.
#[derive(Debug)]
pub struct Edge {
    /// Where it listens; the real port if port 0 was asked for.
    pub address: SocketAddr,
    /// What its requests see, as long as it runs.
    pub state: Weak<EdgeState>,
    /// Ends when the shutdown is complete, or with the error that stopped it.
    pub task: JoinHandle<Result<(), EdgeError>>,
}

/// What every request sees.
pub struct EdgeState {
    /// The cluster.
    pub node: Node,
    /// What this edge was told at start.
    pub options: EdgeOptions,
    /// Who may do what.
    pub gate: Gate,
    /// Clients heard of lately.
    pub sessions: Registry,
    /// Which lite topics the clients read.
    pub lite: LiteSubscriptions,
    /// Fires when a shutdown begins: the listeners close.
    pub closing: CancellationToken,
    /// Fires when no listener is left: long polls, streams and connections end, and whoever comes
    /// back reaches another node.
    pub stopping: CancellationToken,
    /// Room for searches, which may read much of the log.
    pub searches: Semaphore,
    /// What may be sent in a second.
    pub quotas: Quotas,
    /// What goes through.
    pub traffic: Traffic,
    /// The same by topic, for the metrics.
    pub counts: MessageCounts,
    /// Commands to clients that wait for an answer.
    pub pending: Pending,
    /// What callers hold, of everything that is bounded.
    pub holdings: Arc<Holdings>,
    /// How many connections were cut.
    pub cuts: Arc<Cuts>,
    releases: Arc<Semaphore>,
    store_host: OnceLock<String>,
}

impl EdgeState {
    fn new(node: Node, options: EdgeOptions) -> EdgeState {
        EdgeState {
            gate: Gate::new(options.access.clone()),
            searches: Semaphore::new(SEARCHES_MAX),
            holdings: Holdings::new(&options.limits),
            cuts: Arc::default(),
            node,
            options,
            sessions: Registry::default(),
            lite: LiteSubscriptions::default(),
            closing: CancellationToken::new(),
            stopping: CancellationToken::new(),
            quotas: Quotas::default(),
            traffic: Traffic::new(Instant::now()),
            counts: MessageCounts::default(),
            pending: Pending::default(),
            releases: Arc::new(Semaphore::new(RELEASES_MAX)),
            store_host: OnceLock::new(),
        }
    }

    /// Whether the caller may do all that the request demands.
    ///
    /// # Errors
    /// [`Fault::Unauthorized`], [`Fault::Forbidden`].
    pub fn admit(&self, caller: &Caller, request: &impl Demands) -> Result<(), Fault> {
        match self.gate.is_closed() {
            true => self.gate.admit(&self.node.catalog(), &self.options.cluster, caller, request).map(drop),
            false => Ok(()),
        }
    }

    /// As [`EdgeState::admit`]; and who the client is.
    ///
    /// # Errors
    /// As [`EdgeState::admit`], and [`Fault::ClientIdRequired`].
    pub fn admit_client<'c>(
        &self,
        caller: &'c Caller,
        request: &impl Demands,
    ) -> Result<Cow<'c, str>, Fault> {
        if !self.gate.is_closed() {
            return caller.client_id().map(Cow::Borrowed);
        }
        let catalog = self.node.catalog();
        let user = self.gate.admit(&catalog, &self.options.cluster, caller, request)?;
        let id = caller.client_id()?;
        Ok(user.map_or(id.into(), |user| client_of_user(&user.name, id).into()))
    }

    /// Who the client is: by its id, and where access is controlled by its user and its id. So nobody is taken for a client
    /// of somebody else, whatever id he says.
    ///
    /// # Errors
    /// [`Fault::ClientIdRequired`].
    pub fn client_of<'c>(&self, caller: &'c Caller) -> Result<Cow<'c, str>, Fault> {
        let id = caller.client_id()?;
        let user = if self.gate.is_closed() { self.gate.name_of(caller) } else { None };
        Ok(user.map_or(id.into(), |user| client_of_user(user, id).into()))
    }

    /// Goes on with `work` for as long as the caller may do what the request demands: what lasts is asked again when users
    /// or rules change.
    ///
    /// # Errors
    /// What `work` says, or as [`EdgeState::admit`].
    pub async fn while_admitted<T, E: Into<Fault>>(
        &self,
        caller: &Caller,
        request: &impl Demands,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Fault> {
        if !self.gate.is_closed() {
            return work.await.map_err(Into::into);
        }
        tokio::select! {
            biased;
            done = work => done.map_err(Into::into),
            refused = self.until_refused(caller, request) => Err(refused),
        }
    }

    /// Waits until the caller may no longer do what the request demands.
    pub async fn until_refused(&self, caller: &Caller, request: &impl Demands) -> Fault {
        let mut changes = self.node.catalog_changes();
        let mut users = changes.borrow_and_update().users.clone();
        loop {
            // What came between the first look and this one counts as well.
            if let Err(fault) = self.admit(caller, request) {
                return fault;
            }
            let other = changes.wait_for(|catalog| !Arc::ptr_eq(&catalog.users, &users));
            match other.await.map(|catalog| catalog.users.clone()) {
                Ok(changed) => users = changed,
                // The node stops: whatever waits ends by itself.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Whether the caller may do this one thing.
    pub fn may(&self, caller: &Caller, action: Action, target: Target<'_>) -> bool {
        !self.gate.is_closed() || self.gate.may(&self.node.catalog(), caller, action, target)
    }

    /// The nodes that can be reached now.
    pub fn live_nodes(&self) -> Arc<Vec<NodeInfo>> {
        self.node.live_nodes().borrow().clone()
    }

    /// Takes room for a caller, until what comes back is dropped.
    ///
    /// # Errors
    /// [`RequestError::Overloaded`] when the caller's address has its share, or there is no more.
    pub fn hold(&self, caller: &Caller, what: Held, amount: usize) -> Result<Taken, Fault> {
        let taken = self.holdings.take(&self.holder_of(caller), what, amount);
        taken.ok_or_else(|| RequestError::Overloaded { what: what.sentence() }.into())
    }

    /// How many messages a caller may ask for at this moment: as many of the largest as there is room for until it has read
    /// them, and one where there is any.
    ///
    /// # Errors
    /// [`RequestError::Overloaded`] when there is none.
    pub fn messages_unread(&self, caller: &Caller) -> Result<i32, Fault> {
        match self.holdings.room(&self.holder_of(caller), Held::AnswerBytes) {
            0 => Err(RequestError::Overloaded { what: Held::AnswerBytes.sentence() }.into()),
            room => Ok(i32::try_from(room / RECORD_BYTES_MAX).unwrap_or(i32::MAX).max(1)),
        }
    }

    /// Whose room a caller takes.
    pub fn holder_of(&self, caller: &Caller) -> Arc<Holder> {
        match caller.peer() {
            Some(peer) => peer.holder.clone(),
            None => self.holdings.holder(Ipv4Addr::UNSPECIFIED.into()),
        }
    }

    /// The address of this node that messages taken here bear.
    pub fn store_host(&self) -> &str {
        self.store_host.get().map_or("", String::as_str)
    }

    /// A client said something: its session lives on, and so do its leases.
    pub fn client_seen(&self, client_id: &str, caller: &Caller) {
        self.sessions.seen(client_id, Instant::now(), || caller.facts());
        self.node.client_seen(hash64(client_id.as_bytes()));
    }

    /// Makes the messages visible that a client holds, and returns when they are, or at the deadline.
    /// It goes on without its caller. Beyond the bound of releases under way the leases end by themselves.
    pub async fn release(&self, client_id: &str, deadline: Instant) {
        let client = hash64(client_id.as_bytes());
        self.node.client_gone(client);
        let Ok(permit) = self.releases.clone().try_acquire_owned() else { return };
        let node = self.node.clone();
        let releasing = tokio::spawn(async move {
            if let Err(error) = node.release_client(client, deadline).await {
                tracing::warn!(%error, "the leases of a client that left end by themselves");
            }
            drop(permit);
        });
        // It ends by its deadline; a panic in it is told by the runtime.
        let _ = releasing.await;
    }
}

/// The id that a client of a user has, where access is controlled.
fn client_of_user(user: &str, id: &str) -> String {
    [user, id].join("/")
}

/// Starts the client edge of a node. It runs until `shutdown` resolves; then it takes no more
/// connections, ends long polls and streams, finishes what is in flight, and ends.
///
/// # Errors
/// When options, address or certificate cannot be used.
pub async fn serve(
    node: Node,
    options: EdgeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Edge, EdgeError> {
    let invalid = options.validate();
    if !invalid.is_empty() {
        return Err(EdgeError::Options(invalid));
    }
    if let Some(traces) = &options.traces {
        node.record_spans(traces.sink());
    }
    let state = Arc::new(EdgeState::new(node, options));
    let weak: Weak<EdgeState> = Arc::downgrade(&state);
    state.node.set_clients(weak.clone());
    remote::answer_others(&state);
    let (address, task) = server::start(state.clone()).await?;
    let advertised =
        state.live_nodes().iter().find(|info| info.id == state.node.id()).map(|info| info.grpc.clone());
    state.store_host.set(advertised.unwrap_or_else(|| address.to_string())).expect("set once, here");

    let closing = state.closing.clone();
    tokio::spawn(sweep(state));
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown => closing.cancel(),
            () = closing.cancelled() => {}
        }
    });
    Ok(Edge { address, state: weak, task })
}

/// Forgets silent clients until the edge stops. Their leases are no longer renewed; those that
/// said goodbye were released then.
async fn sweep(state: Arc<EdgeState>) {
    let mut ticks = tokio::time::interval(SESSION_SWEEP_INTERVAL);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = state.stopping.cancelled() => return,
        }
        state.traffic.sample(Instant::now(), raft::clock::now_ms(), || state.node.sync_times());
        state.lite.expire(Instant::now());
        for client_id in state.sessions.expire(Instant::now()) {
            state.lite.remove(&client_id);
            state.node.client_gone(hash64(client_id.as_bytes()));
        }
    }
}
