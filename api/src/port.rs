//! Connections of a port: TLS and plaintext, told apart by the first byte.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use raft::tls::Transport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::limits;

/// The first byte of every TLS connection: the content type "handshake". HTTP/2 begins with `P`.
const TLS_HANDSHAKE: u8 = 0x16;

/// The task that accepts connections. It alone owns the listener.
pub(crate) struct Accepting {
    /// Where it listens.
    pub listener: TcpListener,
    /// What becomes of those that speak TLS.
    pub acceptor: TlsAcceptor,
    /// Who does not speak TLS is not spoken to.
    pub tls_only: bool,
    /// Who is through its first bytes.
    pub ready: mpsc::Sender<io::Result<Connection>>,
    /// Room for connections.
    pub room: Arc<Semaphore>,
    /// Fires when it is to end.
    pub closing: CancellationToken,
}

impl Accepting {
    /// Accepts until it is to end.
    pub(crate) async fn run(self) {
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
            let (acceptor, ready) = (self.acceptor.clone(), self.ready.clone());
            opening.spawn(open(stream, permit, acceptor, self.tls_only, ready));
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
    tls_only: bool,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    let connecting = async {
        stream.set_nodelay(true)?;
        let info = stream.connect_info();
        let mut first = [0u8; 1];
        let io = match stream.peek(&mut first).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            _ if first[0] == TLS_HANDSHAKE => Transport::Tls(Box::new(acceptor.accept(stream).await?.into())),
            _ if tls_only => {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "this port speaks TLS only"));
            }
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
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
