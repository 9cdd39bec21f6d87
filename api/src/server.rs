//! The gRPC port.

use std::net::SocketAddr;
use std::sync::Arc;

use proto::admin::admin_server::AdminServer;
use proto::v2;
use proto::v2::messaging_service_server::MessagingServiceServer;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::admin::AdminService;
use crate::client_port;
use crate::edge::{EdgeError, EdgeState};
use crate::limits;
use crate::messaging::Messaging;
use crate::port::Accepting;
use crate::port::admission::AdmissionLayer;
use crate::rocketmq_admin::RocketmqAdmin;
use crate::stand_in;
use crate::tls::PortTls;

/// Listens and serves until the state says stop. Answers with the address that is bound.
///
/// # Errors
/// When the address or the certificate cannot be used.
pub async fn start(
    state: Arc<EdgeState>,
) -> Result<(SocketAddr, JoinHandle<Result<(), EdgeError>>), EdgeError> {
    let wanted = state.options.bind;
    let tls = Arc::new(PortTls::read(&state.options.tls)?);
    let acceptor = tls.acceptor(&[b"h2"])?;
    let bind = |source| EdgeError::Bind { address: wanted, source };
    let listener = client_port::own(wanted, !state.options.stand_in_for.is_empty()).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let services = services(state.clone()).await?;

    let (ready, connections) = mpsc::channel(limits::READY_CONNECTIONS_MAX);
    let accepting = |listener, ready| Accepting {
        listener,
        acceptor: acceptor.clone(),
        tls_only: state.options.tls.only,
        ready,
        holdings: state.holdings.clone(),
        cuts: state.cuts.clone(),
        is_http2: true,
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
    tokio::spawn(tls.keep_fresh(state.stopping.clone()));
    let (closing, stopping) = (state.closing.clone(), state.stopping.clone());
    let closed = stopping.clone();
    tokio::spawn(async move {
        while listeners.join_next().await.is_some() {}
        closed.cancel();
    });
    let admission = AdmissionLayer(state.holdings.clone());
    let task = tokio::spawn(async move {
        let incoming = ReceiverStream::new(connections);
        let serving = async {
            let stop = stopping.clone().cancelled_owned();
            let mut server = http2().layer(admission);
            let served = server.add_routes(services).serve_with_incoming_shutdown(incoming, stop).await;
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
