//! The gRPC port: TLS and plaintext, told apart by the first byte.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use proto::admin::admin_server::AdminServer;
use proto::v2;
use proto::v2::messaging_service_server::MessagingServiceServer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::admin::AdminService;
use crate::client_port;
use crate::edge::{EdgeError, EdgeState};
use crate::limits;
use crate::messaging::Messaging;
use crate::rocketmq_admin::RocketmqAdmin;
use crate::stand_in;
use crate::tls;

/// The first byte of every TLS connection: the content type "handshake". HTTP/2 begins with `P`.
const TLS_HANDSHAKE: u8 = 0x16;

/// Listens and serves until the state says stop. Answers with the address that is bound.
///
/// # Errors
/// When the address or the certificate cannot be used.
pub async fn start(
    state: Arc<EdgeState>,
) -> Result<(SocketAddr, JoinHandle<Result<(), EdgeError>>), EdgeError> {
    let wanted = state.options.bind;
    let acceptor = tls::acceptor(&state.options.tls)?;
    let bind = |source| EdgeError::Bind { address: wanted, source };
    let listener = client_port::own(wanted, !state.options.stand_in_for.is_empty()).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let services = services(state.clone()).await?;

    let (ready, connections) = mpsc::channel(limits::READY_CONNECTIONS_MAX);
    let room = state.room.clone();
    let accepting = |listener, ready| Accepting {
        listener,
        acceptor: acceptor.clone(),
        ready,
        room: room.clone(),
        closing: state.closing.clone(),
    };
    let mut listeners = JoinSet::new();
    listeners.spawn(accepting(listener, ready).run());
    let mut guests = JoinSet::new();
    for neighbour in &state.options.stand_in_for {
        match client_port::stand_in(*neighbour) {
            Ok(listener) => {
                let (ready, connections) = mpsc::channel(limits::READY_CONNECTIONS_MAX);
                listeners.spawn(accepting(listener, ready).run());
                guests.spawn(stand_in::serve(state.clone(), services.clone(), *neighbour, connections));
            }
            // A convenience of a shared machine: the node serves its own port without it.
            Err(error) => tracing::warn!(%neighbour, %error, "cannot stand in for a neighbour"),
        }
    }
    let (closing, stopping) = (state.closing.clone(), state.stopping.clone());
    let closed = stopping.clone();
    tokio::spawn(async move {
        while listeners.join_next().await.is_some() {}
        closed.cancel();
    });
    let task = tokio::spawn(async move {
        let incoming = ReceiverStream::new(connections);
        let serving = async {
            let stop = stopping.clone().cancelled_owned();
            let served = http2().add_routes(services).serve_with_incoming_shutdown(incoming, stop).await;
            while served.is_ok() && guests.join_next().await.is_some() {}
            served
        };
        let served = tokio::select! {
            served = serving => served,
            // What does not finish in time is cut.
            () = async { stopping.cancelled().await; tokio::time::sleep(limits::SHUTDOWN_GRACE).await } => Ok(()),
        };
        // If the server failed by itself, nothing else may go on.
        closing.cancel();
        stopping.cancel();
        Ok(served?)
    });
    Ok((address, task))
}

/// The HTTP/2 side of the client port.
pub(crate) fn http2() -> Server {
    Server::builder()
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits::STREAMS_PER_CONNECTION_MAX)
        .max_frame_size(limits::HTTP2_FRAME_BYTES_MAX)
        .http2_max_header_list_size(limits::HEADER_LIST_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(limits::PENDING_RESET_STREAMS_MAX))
        .http2_max_local_error_reset_streams(Some(limits::LOCAL_RESET_STREAMS_MAX))
        .http2_keepalive_interval(Some(limits::KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(limits::KEEPALIVE_TIMEOUT))
}

/// All services of the client port.
pub(crate) async fn services(state: Arc<EdgeState>) -> Result<Routes, EdgeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    let messaging = MessagingServiceServer::new(Messaging::new(state.clone()))
        .max_decoding_message_size(limits::INBOUND_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(limits::OUTBOUND_MESSAGE_BYTES_MAX);
    let rocketmq_admin = v2::admin_server::AdminServer::new(RocketmqAdmin::new(state.clone()))
        .max_decoding_message_size(limits::INBOUND_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(limits::OUTBOUND_MESSAGE_BYTES_MAX);
    let admin = AdminServer::new(AdminService::new(state));
    health.set_serving::<MessagingServiceServer<Messaging>>().await;
    health.set_serving::<AdminServer<AdminService>>().await;
    health.set_serving::<v2::admin_server::AdminServer<RocketmqAdmin>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let unusable = |error: tonic_reflection::server::Error| EdgeError::Reflection(error.to_string());
    let reflection_v1 = reflection().build_v1().map_err(unusable)?;
    let reflection_v1alpha = reflection().build_v1alpha().map_err(unusable)?;
    let mut routes = Routes::builder();
    routes
        .add_service(messaging)
        .add_service(admin)
        .add_service(rocketmq_admin)
        .add_service(health_service)
        .add_service(reflection_v1)
        .add_service(reflection_v1alpha);
    Ok(routes.routes())
}

/// The task that accepts connections. It alone owns the listener.
struct Accepting {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<io::Result<Connection>>,
    room: Arc<Semaphore>,
    closing: CancellationToken,
}

impl Accepting {
    async fn run(self) {
        let mut opening = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                // First: who is in the queue of a listener when it closes would be reset.
                accepted = self.listener.accept() => accepted,
                () = self.closing.cancelled() => break,
                Some(_) = opening.join_next(), if !opening.is_empty() => continue,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(limits::ACCEPT_RETRY_PAUSE).await;
                    continue;
                }
            };
            // Beyond the bound a connection is closed at once, so that its client tries another node.
            let Ok(permit) = self.room.clone().try_acquire_owned() else {
                tracing::warn!("too many connections: one is closed");
                continue;
            };
            opening.spawn(open(stream, permit, self.acceptor.clone(), self.ready.clone()));
        }
        drop(self.listener);
        // Who was taken in at the last moment is served, and told to go like the others.
        let opened = async { while opening.join_next().await.is_some() {} };
        let _ = timeout(limits::CLOSING_GRACE, opened).await;
    }
}

/// Brings a connection through its first bytes, and hands it to the HTTP/2 server.
async fn open(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    let connecting = async {
        stream.set_nodelay(true)?;
        let info = stream.connect_info();
        let mut first = [0u8; 1];
        let io = match stream.peek(&mut first).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            _ if first[0] == TLS_HANDSHAKE => Transport::Tls(Box::new(acceptor.accept(stream).await?)),
            _ => Transport::Plain(stream),
        };
        Ok(Connection { io, info, _permit: permit, ended: CancellationToken::new().drop_guard() })
    };
    match timeout(limits::FIRST_BYTES_TIMEOUT, connecting).await {
        // A send fails only when the server is gone.
        Ok(Ok(connection)) => drop(ready.send(Ok(connection)).await),
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended in its first bytes"),
        Err(_) => tracing::debug!("a connection said nothing for too long"),
    }
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection of either kind. Its place is free again when it is dropped.
pub(crate) struct Connection {
    io: Transport,
    info: TcpConnectInfo,
    _permit: OwnedSemaphorePermit,
    ended: DropGuard,
}

impl Connection {
    /// Cancelled when the connection is over.
    pub(crate) fn ended(&self) -> CancellationToken {
        self.ended.token().clone()
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.info.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.io {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
