//! One port for TLS and plaintext, health and reflection, and clients that misbehave.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::*;

async fn tls_channel(server: &Server) -> Channel {
    let cert = server.data.path().join("tls/self-signed.cert.pem");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert).expect("the certificate")).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let address = server.address;
    let connect = tower::service_fn(move |_: tonic::codegen::http::Uri| {
        let connector = connector.clone();
        async move {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::try_from("localhost").expect("a name");
            let stream = connector.connect(name, stream).await?;
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    // The scheme is http because the connector does the TLS.
    Endpoint::from_static("http://localhost").connect_with_connector(connect).await.expect("a TLS connection")
}

#[tokio::test]
async fn tls_and_plaintext_are_served_on_one_port() {
    let server = Server::start().await;
    let plain = server.client("plain").await;
    let secret = Client::over(tls_channel(&server).await, "secret");
    secret.send(message("demo", "over TLS")).await;
    assert_eq!(plain.bodies(receive("demo", "g1", 5_000)).await, ["over TLS"]);
    assert_eq!(secret.bodies(receive("demo", "g2", 5_000)).await, ["over TLS"]);
}

#[tokio::test]
async fn a_port_that_speaks_tls_only_does_not_answer_plaintext() {
    let server = Server::start_with(1, |options| options.tls.only = true).await;
    let uri = format!("http://{}", server.address);
    let plain = Channel::from_shared(uri).expect("a URI").connect_lazy();
    let plain = Client::over(plain, "plain");
    let refused = plain.stub.clone().send_message(plain.request(Default::default())).await;
    assert!(refused.is_err(), "{refused:?}");
    let secret = Client::over(tls_channel(&server).await, "secret");
    secret.send(message("demo", "over TLS")).await;
}

#[tokio::test]
async fn rubbish_and_silence_harm_nobody() {
    let server = Server::start().await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    for rubbish in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x00\x05hello", b"\x00\xff\x00\xff"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(rubbish).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }
    server.client("c1").await.send(message("demo", "x")).await;
}

#[tokio::test]
async fn a_request_beyond_all_limits_fails_alone() {
    let server = Server::start().await;
    let mut client = server.client("c1").await;
    let huge = proto::v2::SendMessageRequest {
        messages: (0..5).map(|_| message("demo", &"x".repeat(4 << 20))).collect(),
    };
    let request = client.request(huge);
    let refused = client.stub.send_message(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange);
    client.send(message("demo", "x")).await;
}

#[tokio::test]
async fn health_and_reflection_are_there() {
    let server = Server::start().await;
    let channel =
        Channel::from_shared(format!("http://{}", server.address)).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel.clone());
    for service in ["", "apache.rocketmq.v2.MessagingService", "ledgermq.admin.v1.Admin"] {
        let request = HealthCheckRequest { service: service.into() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(channel);
    let answers = reflection.server_reflection_info(tokio_stream::once(ask)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!() };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&"apache.rocketmq.v2.MessagingService".to_owned()), "{names:?}");
}
