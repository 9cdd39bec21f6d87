//! Connections of a port: TLS and plaintext, told apart by the first byte; and what callers may hold of a node.

pub(crate) mod admission;
mod bucket;
pub mod cut;
mod frames;
mod framing;
pub mod holdings;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use raft::tls::Transport;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::access::proof::Proof;
use crate::limits;
use cut::{Cut, Cuts};
use frames::FrameWatch;
use holdings::{Holder, Holdings, Taken};

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
    /// What callers hold.
    pub holdings: Arc<Holdings>,
    /// How many connections were cut.
    pub cuts: Arc<Cuts>,
    /// Whether it is HTTP/2 that is spoken, and nothing else.
    pub is_http2: bool,
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
            let (stream, address) = match accepted {
                Ok((stream, remote)) => (stream, remote.ip()),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(limits::ACCEPT_RETRY_PAUSE).await;
                    continue;
                }
            };
            // Beyond the bound a connection is closed at once, so that its client tries another node.
            let holder = self.holdings.holder(address);
            let Some(taken) = self.holdings.take_connection(&holder) else {
                if let Some(untold) = holder.may_be_told_of() {
                    let untold = (untold > 0).then_some(untold);
                    tracing::warn!(%address, untold, "no room for this connection: it is closed");
                }
                continue;
            };
            let opened = Opening {
                stream,
                holder,
                taken,
                acceptor: self.acceptor.clone(),
                tls_only: self.tls_only,
                cuts: self.cuts.clone(),
                is_http2: self.is_http2,
            };
            opening.spawn(open(opened, self.ready.clone()));
        }
        drop(self.listener);
        // Who was taken in at the last moment is served, and told to go like the others.
        let opened = async { while opening.join_next().await.is_some() {} };
        let _ = timeout(limits::CLOSING_GRACE, opened).await;
    }
}

/// A connection of which nothing is known yet.
struct Opening {
    stream: TcpStream,
    holder: Arc<Holder>,
    taken: Taken,
    acceptor: TlsAcceptor,
    tls_only: bool,
    cuts: Arc<Cuts>,
    is_http2: bool,
}

/// Brings a connection through its first bytes, and hands it to the HTTP server.
async fn open(opening: Opening, ready: mpsc::Sender<io::Result<Connection>>) {
    let cuts = opening.cuts.clone();
    match timeout(limits::FIRST_BYTES_TIMEOUT, opening.connection()).await {
        // A send fails only when the server is gone.
        Ok(Ok(connection)) => drop(ready.send(Ok(connection)).await),
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended in its first bytes"),
        Err(_) => cuts.count(Cut::Silence),
    }
}

impl Opening {
    async fn connection(self) -> io::Result<Connection> {
        let Opening { stream, holder, taken, acceptor, tls_only, cuts, is_http2 } = self;
        stream.set_nodelay(true)?;
        let tcp = stream.connect_info();
        let mut first = [0u8; 1];
        let io = match stream.peek(&mut first).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            _ if first[0] == TLS_HANDSHAKE => Transport::Tls(Box::new(acceptor.accept(stream).await?.into())),
            _ if tls_only => {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "this port speaks TLS only"));
            }
            _ => Transport::Plain(stream),
        };
        let cuts = is_http2.then_some(cuts);
        let certificate = match &io {
            Transport::Tls(stream) => stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned(),
            Transport::Plain(_) => None,
        };
        let is_tls = matches!(io, Transport::Tls(_));
        let certificate = certificate.map(Arc::new);
        let peer = Peer { tcp, holder, certificate, is_tls, proof: Arc::default() };
        Ok(Connection::over(io, peer, taken, cuts))
    }
}

/// Who is at the other end of a connection: an extension of each of its requests.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) tcp: TcpConnectInfo,
    /// Whose room it takes.
    pub holder: Arc<Holder>,
    /// Its certificate, which a trusted authority signed, if it has one.
    pub certificate: Option<Arc<CertificateDer<'static>>>,
    /// Whether it is encrypted.
    pub is_tls: bool,
    /// Who the last of its requests was proved to be of.
    pub proof: Arc<Proof>,
}

impl Peer {
    /// Where.
    pub(crate) fn address(&self) -> SocketAddr {
        self.tcp.remote_addr().unwrap_or_else(|| (IpAddr::from(Ipv4Addr::UNSPECIFIED), 0).into())
    }
}

#[cfg(fuzzing)]
impl Peer {
    /// At the other end of a connection that there is not: nothing was proved over it yet.
    pub(crate) fn nowhere(holder: Arc<Holder>) -> Peer {
        let tcp = TcpConnectInfo { local_addr: None, remote_addr: None };
        Peer { tcp, holder, certificate: None, is_tls: false, proof: Arc::default() }
    }
}

/// A connection of either kind. Its place is free again when it is dropped.
pub(crate) struct Connection<T = Transport> {
    io: T,
    peer: Peer,
    watch: Option<Watch>,
    _taken: Taken,
    ended: DropGuard,
}

/// What looks after a connection that speaks HTTP/2.
struct Watch {
    frames: FrameWatch,
    /// Until it has begun.
    patience: Option<Pin<Box<Sleep>>>,
    cuts: Arc<Cuts>,
    holder: Arc<Holder>,
}

impl Watch {
    fn came(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.frames.came(bytes, Instant::now()).map_err(|why| self.cut(why))?;
        if self.frames.has_begun() {
            self.patience = None;
        }
        Ok(())
    }

    /// Whether it has said nothing of what every client says first, for too long.
    fn is_silent(&mut self, context: &mut Context<'_>) -> bool {
        self.patience.as_mut().is_some_and(|patience| patience.as_mut().poll(context).is_ready())
    }

    fn cut(&self, why: Cut) -> io::Error {
        self.cuts.count(why);
        if why != Cut::Silence {
            self.holder.was_cut();
        }
        io::Error::new(io::ErrorKind::ConnectionAborted, format!("a connection was cut: {}", why.name()))
    }
}

impl<T> Connection<T> {
    /// Over something that is connected. With `cuts` it speaks HTTP/2, and is cut for what it does.
    pub(crate) fn over(io: T, peer: Peer, taken: Taken, cuts: Option<Arc<Cuts>>) -> Connection<T> {
        let watch = cuts.map(|cuts| Watch {
            frames: FrameWatch::new(),
            patience: Some(Box::pin(sleep(limits::FIRST_BYTES_TIMEOUT))),
            cuts,
            holder: peer.holder.clone(),
        });
        Connection { io, peer, watch, _taken: taken, ended: CancellationToken::new().drop_guard() }
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> Peer {
        self.peer.clone()
    }

    fn wrote(&mut self, written: &io::Result<usize>) {
        if let (Some(watch), Ok(bytes)) = (&mut self.watch, written) {
            watch.frames.sent(*bytes);
        }
    }

    /// Cancelled when the connection is over.
    pub(crate) fn ended(&self) -> CancellationToken {
        self.ended.token().clone()
    }
}

impl<T> Connected for Connection<T> {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = &mut *self;
        let read = Pin::new(&mut this.io).poll_read(context, buffer);
        let Some(watch) = &mut this.watch else { return read };
        if read.is_pending() && watch.is_silent(context) {
            return Poll::Ready(Err(watch.cut(Cut::Silence)));
        }
        ready!(read)?;
        Poll::Ready(watch.came(&buffer.filled()[before..]))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(context, bytes));
        self.wrote(&written);
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(context, slices));
        self.wrote(&written);
        Poll::Ready(written)
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
