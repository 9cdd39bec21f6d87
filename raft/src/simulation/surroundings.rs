//! What a node takes from its surroundings, by the names of [`crate::seams`].

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use store::commit_log::{CommitLog, LogIdentity, LogOptions, OpenError};
use store::disk::Disk;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tonic::codegen::http::{self, Uri};
use tonic::server::NamedService;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Error};
use turmoil::net::TcpStream;

use crate::clock::ProcessClock;
use crate::names::{GroupId, NodeId};
use crate::simulation::world;
use crate::tls::PeerTls;

pub(crate) use super::runtime::SimulatedRuntime as Runtime;
pub(crate) use turmoil::net::TcpListener;

/// Blocking work has no thread of its own: it is done in one go, when its turn comes.
pub(crate) fn spawn_blocking<F, T>(work: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    tokio::spawn(async move { work() })
}

pub(crate) fn random() -> u128 {
    u128::from(world::random()) << 64 | u128::from(world::random())
}

pub(crate) fn disk() -> Arc<dyn Disk> {
    world::host().expect("a node starts in a host").disk
}

/// How often a disk that stands still looks whether it may go on.
const STALLED_LOOK_EVERY: Duration = Duration::from_millis(5);

/// A log whose work is done by a task, after the disk's delay.
pub(crate) fn open_log(
    disk: Arc<dyn Disk>,
    dir: &Path,
    identity: LogIdentity,
    options: LogOptions,
) -> Result<CommitLog, OpenError> {
    let work = Arc::new(Notify::new());
    let on_work = {
        let work = work.clone();
        Box::new(move || work.notify_one())
    };
    let options = LogOptions { prepare_ahead: false, ..options };
    let (log, stepper) = CommitLog::open_stepped(disk, dir, identity, options, on_work)?;
    let host = world::host().expect("a node starts in a host");
    let (node, delay) = (host.node, host.disk_delay_ms);
    tokio::spawn(async move {
        loop {
            work.notified().await;
            let extra_ms = world::random() % (delay.end - delay.start).max(1);
            tokio::time::sleep(Duration::from_millis(delay.start + extra_ms)).await;
            while world::disk_stalls(node) {
                tokio::time::sleep(STALLED_LOOK_EVERY).await;
            }
            if !stepper.step() {
                return;
            }
        }
    });
    Ok(log)
}

async fn dial(uri: Uri) -> io::Result<TokioIo<TcpStream>> {
    let address = uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
    Ok(TokioIo::new(TcpStream::connect(address).await?))
}

/// Without TLS: there is nobody else in a simulation.
pub(crate) fn connect_lazy(endpoint: &Endpoint, _: &PeerTls) -> Channel {
    endpoint.connect_with_connector_lazy(tower::service_fn(dial))
}

pub(crate) async fn connect(endpoint: &Endpoint, _: &PeerTls) -> Result<Channel, Error> {
    endpoint.connect_with_connector(tower::service_fn(dial)).await
}

/// What connects to a listener.
pub(crate) fn incoming(
    listener: TcpListener,
    _: &PeerTls,
) -> impl futures::Stream<Item = io::Result<Accepted>> + use<> {
    futures::stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(stream, _)| Accepted(stream));
        Some((accepted, listener))
    })
}

/// A connection, as tonic wants it.
pub(crate) struct Accepted(TcpStream);

impl Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, to)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Answers with a date of its own: hyper would put in one of the real clock, whose bytes are more or fewer when the second
/// changes.
pub(crate) fn dated<S>(service: S) -> Dated<S> {
    Dated(service)
}

/// A service whose answers have a date.
#[derive(Clone)]
pub(crate) struct Dated<S>(S);

impl<S: NamedService> NamedService for Dated<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B, R> tower::Service<http::Request<B>> for Dated<S>
where
    S: tower::Service<http::Request<B>, Response = http::Response<R>>,
    S::Future: Send + 'static,
{
    type Response = http::Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            let date = http::HeaderValue::from_static("Tue, 14 Nov 2023 22:13:20 GMT");
            answer.headers_mut().insert(http::header::DATE, date);
            Ok(answer)
        })
    }
}

/// Time that only goes forward: the host's.
pub(crate) fn monotonic() -> Instant {
    tokio::time::Instant::now().into_std()
}

pub(crate) fn wall_ms() -> u64 {
    world::wall_ms()
}

/// The clock of this host. Who asks outside of one (what is dropped when a host crashes) gets one that nobody looks at.
pub(crate) fn process_clock() -> Arc<ProcessClock> {
    world::clock().unwrap_or_else(|| Arc::new(ProcessClock::start()))
}

pub(crate) fn vote_granted(group: GroupId, voter: NodeId, term: u64, candidate: u64) {
    world::vote_granted(world::Vote { group, voter, term, candidate });
}
