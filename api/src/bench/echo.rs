//! A bare server that answers `SendMessage` with OK and does nothing else: what gRPC alone can do on
//! this machine. A process of its own, like a broker.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use prost::Message;
use proto::v2;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::wire::SEND_PATH;

const REQUEST_BYTES_MAX: usize = 64 << 20;

/// Serves until the process ends.
pub async fn serve(listener: TcpListener) -> Result<(), tonic::transport::Error> {
    tonic::transport::Server::builder()
        .initial_stream_window_size(Some(2 << 20))
        .initial_connection_window_size(Some(16 << 20))
        .add_service(Echo)
        // The builder's own option covers only the listeners that it makes.
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
}

/// The service.
#[derive(Clone, Copy, Debug)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "apache.rocketmq.v2.MessagingService";
}

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != SEND_PATH {
                return Ok(Status::unimplemented("this server only echoes SendMessage").into_http());
            }
            let mut grpc = Grpc::new(SendCodec).max_decoding_message_size(REQUEST_BYTES_MAX);
            Ok(grpc.unary(AnswerOk, request).await)
        })
    }
}

struct AnswerOk;

impl UnaryService<v2::SendMessageRequest> for AnswerOk {
    type Response = v2::SendMessageResponse;
    type Future = std::future::Ready<Result<Response<v2::SendMessageResponse>, Status>>;

    fn call(&mut self, request: Request<v2::SendMessageRequest>) -> Self::Future {
        let ok = || Some(v2::Status { code: v2::Code::Ok as i32, message: "OK".to_owned() });
        let entries = request.into_inner().messages.into_iter().map(|message| v2::SendResultEntry {
            status: ok(),
            message_id: message.system_properties.unwrap_or_default().message_id,
            ..Default::default()
        });
        let answer = v2::SendMessageResponse { status: ok(), entries: entries.collect() };
        std::future::ready(Ok(Response::new(answer)))
    }
}

/// Decodes the request whole, as a broker has to.
#[derive(Clone, Copy, Debug, Default)]
struct SendCodec;

impl Codec for SendCodec {
    type Encode = v2::SendMessageResponse;
    type Decode = v2::SendMessageRequest;
    type Encoder = SendCodec;
    type Decoder = SendCodec;

    fn encoder(&mut self) -> SendCodec {
        SendCodec
    }

    fn decoder(&mut self) -> SendCodec {
        SendCodec
    }
}

impl Encoder for SendCodec {
    type Item = v2::SendMessageResponse;
    type Error = Status;

    fn encode(&mut self, answer: Self::Item, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        answer.encode(to).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for SendCodec {
    type Item = v2::SendMessageRequest;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let decoded = v2::SendMessageRequest::decode(from);
        decoded.map(Some).map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{send, template};
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_bench_measures_an_echo() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut load = template::tests::load(256, 4, 3);
        load.endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
        tokio::spawn(serve(listener));
        let report = send::run(&load, |_| ()).await.unwrap();
        assert_eq!(report.errors, 0, "{:?}", report.last_error);
        assert!(report.messages > 100, "{report:?}");
        assert!(report.latency_ms.p50 > 0.0 && report.latency_ms.p50 <= report.latency_ms.max, "{report:?}");
        assert!(report.longest_gap_ms < 900.0, "{report:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_that_refuses_is_counted_as_errors() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut load = template::tests::load(256, 1, 0);
        load.endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
        // An HTTP/2 server without any service.
        let routes = tonic::service::Routes::default();
        let server = tonic::transport::Server::builder().add_routes(routes);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let report = send::run(&load, |_| ()).await.unwrap();
        assert_eq!(report.messages, 0);
        assert!(report.errors > 0 && report.last_error.is_some(), "{report:?}");
        assert!(report.longest_gap_ms > 900.0, "{report:?}");
    }
}
