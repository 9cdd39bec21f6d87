//! Dialling peers, and taking those that dial.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::codegen::http::Uri;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Error};

use super::{PeerTls, Shared, Transport};
use crate::limits::{PEER_HANDSHAKE_WAIT_MAX, PEER_HANDSHAKES_MAX};

/// A connection that is dialled when it is first used.
pub(crate) fn connect_lazy(endpoint: &Endpoint, tls: &PeerTls) -> Channel {
    match &tls.0 {
        None => endpoint.connect_lazy(),
        Some(shared) => endpoint.connect_with_connector_lazy(connector(shared)),
    }
}

/// A connection.
pub(crate) async fn connect(endpoint: &Endpoint, tls: &PeerTls) -> Result<Channel, Error> {
    match &tls.0 {
        None => endpoint.connect().await,
        Some(shared) => endpoint.connect_with_connector(connector(shared)).await,
    }
}

type Dialled = Pin<Box<dyn Future<Output = io::Result<TokioIo<Transport>>> + Send>>;

fn connector(
    shared: &Arc<Shared>,
) -> impl tower::Service<Uri, Response = TokioIo<Transport>, Error = io::Error, Future = Dialled>
+ Clone
+ Send
+ 'static {
    let shared = shared.clone();
    tower::service_fn(move |uri: Uri| -> Dialled {
        let shared = shared.clone();
        Box::pin(async move { shared.dial(&uri).await.map(TokioIo::new) })
    })
}

/// Dials what a URI names, and wants a certificate for its host, or for another name.
///
/// # Errors
/// What the network says, or that the other side is not trusted.
pub async fn dial(
    config: Arc<ClientConfig>,
    uri: &Uri,
    name: Option<ServerName<'static>>,
) -> io::Result<TlsStream<TcpStream>> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("{uri} is no host and port"));
    let host = uri.host().ok_or_else(invalid)?.trim_start_matches('[').trim_end_matches(']');
    let name = match name {
        Some(name) => name,
        None => ServerName::try_from(host.to_owned()).map_err(|_| invalid())?,
    };
    let stream = TcpStream::connect((host, uri.port_u16().ok_or_else(invalid)?)).await?;
    stream.set_nodelay(true)?;
    TlsConnector::from(config).connect(name, stream).await
}

impl Shared {
    async fn dial(&self, uri: &Uri) -> io::Result<Transport> {
        let secured = async {
            let stream = dial(self.current().client, uri, None).await?;
            self.check_name(stream.get_ref().1.peer_certificates())?;
            Ok(Transport::Tls(Box::new(stream.into())))
        };
        secured.await.inspect_err(|error: &io::Error| {
            // That nobody is there is for whoever watches over the peer to tell.
            use io::ErrorKind::{InvalidData, InvalidInput, PermissionDenied, UnexpectedEof};
            if matches!(error.kind(), InvalidData | InvalidInput | PermissionDenied | UnexpectedEof) {
                self.tell(uri.authority().map_or("", |authority| authority.as_str()), error);
            }
        })
    }

    async fn take(&self, stream: TcpStream) -> io::Result<Transport> {
        stream.set_nodelay(true)?;
        let stream = TlsAcceptor::from(self.current().server).accept(stream).await?;
        self.check_name(stream.get_ref().1.peer_certificates())?;
        Ok(Transport::Tls(Box::new(stream.into())))
    }
}

/// What connects to a listener, and is a peer.
pub(crate) fn incoming(
    listener: TcpListener,
    tls: &PeerTls,
) -> Pin<Box<dyn Stream<Item = io::Result<Transport>> + Send>> {
    let Some(shared) = tls.0.clone() else {
        let plain = TcpIncoming::from(listener).with_nodelay(Some(true));
        return Box::pin(plain.map(|accepted| accepted.map(Transport::Plain)));
    };
    let begun = Taking { listener, shared, handshakes: JoinSet::new(), order: VecDeque::new() };
    Box::pin(futures::stream::unfold(begun, |mut taking| async move {
        let next = taking.next().await;
        Some((next, taking))
    }))
}

/// Connections whose handshakes are under way, a bounded number of them: beyond that the one that takes longest goes, so
/// that who connects and says nothing keeps no peer out. They end with it.
struct Taking {
    listener: TcpListener,
    shared: Arc<Shared>,
    handshakes: JoinSet<Option<Transport>>,
    /// Those that may be under way, the oldest first.
    order: VecDeque<AbortHandle>,
}

impl Taking {
    async fn next(&mut self) -> io::Result<Transport> {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next(), if !self.handshakes.is_empty() => {
                    if let Ok(Some(transport)) = done {
                        return Ok(transport);
                    }
                }
                accepted = self.listener.accept() => {
                    let (stream, from) = accepted?;
                    self.begin(stream, from);
                }
            }
        }
    }

    fn begin(&mut self, stream: TcpStream, from: SocketAddr) {
        self.order.retain(|handshake| !handshake.is_finished());
        if self.order.len() >= PEER_HANDSHAKES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            oldest.abort();
        }
        let shared = self.shared.clone();
        self.order.push_back(self.handshakes.spawn(async move {
            let taken = timeout(PEER_HANDSHAKE_WAIT_MAX, shared.take(stream)).await;
            let taken = taken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            taken.inspect_err(|error| shared.tell(&from.to_string(), error)).ok()
        }));
    }
}
