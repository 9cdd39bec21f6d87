//! Connections to brokers, the headers of every call, and routes.

use std::error::Error as _;
use std::str::FromStr;
use std::time::Duration;

use proto::admin::admin_client::AdminClient;
use proto::v2::messaging_service_client::MessagingServiceClient;
use proto::v2::{self, Code, Resource};
use thiserror::Error;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::ANSWER_BYTES_MAX;
use super::credentials::Credentials;
use super::tls::ClientTls;
use crate::access::certificate;
use crate::access::signature::{AUTHORIZATION, DATE_TIME};

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes in flight on one call and on one connection.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// `host:port` of a broker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort(String);

impl HostPort {
    /// From what a route says.
    pub fn of(endpoints: &v2::Endpoints) -> Option<HostPort> {
        let address = endpoints.addresses.first()?;
        let ipv6 = endpoints.scheme == v2::AddressScheme::IPv6 as i32;
        Some(HostPort(match ipv6 && !address.host.starts_with('[') {
            true => format!("[{}]:{}", address.host, address.port),
            false => format!("{}:{}", address.host, address.port),
        }))
    }

    /// As the protocol writes it.
    pub fn endpoints(&self) -> v2::Endpoints {
        let (host, port) = self.0.rsplit_once(':').expect("checked when it was made");
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let scheme = match host.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(_)) => v2::AddressScheme::IPv4,
            Ok(std::net::IpAddr::V6(_)) => v2::AddressScheme::IPv6,
            Err(_) => v2::AddressScheme::DomainName,
        };
        let address = v2::Address { host: host.to_owned(), port: port.parse().unwrap_or_default() };
        v2::Endpoints { scheme: scheme as i32, addresses: vec![address] }
    }

    /// A channel that connects at its first call, and again after a loss.
    fn channel(&self, tls: Option<&ClientTls>) -> Channel {
        match tls {
            None => self.endpoint().connect_lazy(),
            Some(tls) => tls.connect_lazy(&self.endpoint()),
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.0))
            .expect("host:port makes a URI: checked when it was made")
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
    }
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not HOST:PORT, such as 127.0.0.1:8081");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let uri = format!("http://{host}:{port}");
        let valid = !host.is_empty() && port > 0 && !host.contains('/') && Endpoint::from_shared(uri).is_ok();
        if valid { Ok(HostPort(format!("{host}:{port}"))) } else { Err(wrong()) }
    }
}

/// Why a client call failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No process listens there.
    #[error(
        "nothing listens on {endpoint}: start a broker with `ledgermq dev`, or name another with --endpoint"
    )]
    NothingListens {
        /// Where nothing listens.
        endpoint: HostPort,
    },
    /// The connection could not be made, or broke.
    #[error("cannot reach {endpoint}: {reason}")]
    Unreachable {
        /// The broker.
        endpoint: HostPort,
        /// What the network says.
        reason: String,
    },
    /// The broker answered with a code of the public protocol.
    #[error("{}", explain(*.code, .message))]
    Refused {
        /// The code.
        code: Code,
        /// The broker's sentence.
        message: String,
    },
    /// The broker answered with a gRPC status.
    #[error("{}", explain_status(.0))]
    Status(Box<Status>),
    /// The credentials cannot be used.
    #[error("{0}")]
    Credentials(String),
    /// Out of time.
    #[error("no success within {} s; the last failure: {last}", .after.as_secs_f32())]
    OutOfTime {
        /// The time there was.
        after: Duration,
        /// What happened last.
        last: Box<ClientError>,
    },
}

/// What to do about a signature that is missing or wrong.
const SIGN: &str = "name a user with --access-key and the file of its secret with --secret-key-file";

fn explain(code: Code, message: &str) -> String {
    let hint = if code == Code::Unauthorized { format!("; {SIGN}") } else { String::new() };
    format!("the broker refused: {message} ({} {}){hint}", code.as_str_name(), code as i32)
}

fn explain_status(status: &Status) -> String {
    match status.code() {
        tonic::Code::Unimplemented => {
            "the broker does not know this call: is it a LedgerMQ of this version?".to_owned()
        }
        tonic::Code::DeadlineExceeded => {
            format!("no answer in time: the outcome is unknown ({})", status.message())
        }
        tonic::Code::Unauthenticated => format!("the broker refused: {}; {SIGN}", status.message()),
        tonic::Code::PermissionDenied => format!("the broker refused: {}", status.message()),
        _ if status.message().is_empty() => format!("the broker failed: {}", status.code().description()),
        _ => status.message().to_owned(),
    }
}

impl ClientError {
    /// From the status of a gRPC call to `endpoint`.
    pub fn of_call(endpoint: &HostPort, status: Status) -> Self {
        match status.source() {
            Some(source) => ClientError::of_transport(endpoint, source, status.message()),
            None if status.code() == tonic::Code::Unavailable => {
                ClientError::Unreachable { endpoint: endpoint.clone(), reason: status.message().to_owned() }
            }
            None => ClientError::Status(Box::new(status)),
        }
    }

    fn of_transport(endpoint: &HostPort, error: &(dyn std::error::Error + 'static), message: &str) -> Self {
        let endpoint = endpoint.clone();
        let mut cause = Some(error);
        let mut last = message.to_owned();
        while let Some(error) = cause {
            let io = error.downcast_ref::<std::io::Error>();
            if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
                return ClientError::NothingListens { endpoint };
            }
            last = error.to_string();
            cause = error.source();
        }
        ClientError::Unreachable { endpoint, reason: last }
    }

    /// From a status inside an answer; `Ok` if it is no error.
    pub fn of_answer(status: Option<v2::Status>) -> Result<(), ClientError> {
        let status = status.unwrap_or_default();
        match Code::try_from(status.code).unwrap_or(Code::Unspecified) {
            Code::Ok => Ok(()),
            code => Err(ClientError::Refused { code, message: status.message }),
        }
    }

    /// The broker's code, if it is a refusal of the public protocol.
    pub fn code(&self) -> Option<Code> {
        match self {
            ClientError::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The connection was lost, or never came up: another broker may do.
    pub fn is_connection(&self) -> bool {
        match self {
            ClientError::NothingListens { .. } | ClientError::Unreachable { .. } => true,
            ClientError::Status(status) => {
                matches!(
                    status.code(),
                    tonic::Code::Unavailable | tonic::Code::Cancelled | tonic::Code::Unknown
                )
            }
            _ => false,
        }
    }

    /// The broker is loaded or has no leader yet: the same call will do later.
    pub fn is_transient(&self) -> bool {
        match self {
            ClientError::Refused { code, .. } => *code == Code::TooManyRequests,
            ClientError::Status(status) => status.code() == tonic::Code::ResourceExhausted,
            _ => false,
        }
    }
}

fn new_client_id() -> String {
    let number: u32 = rand::random();
    format!("ledgermq@{}@{number:08x}", std::process::id())
}

/// The headers that an official client sends with every call; and whether its connections have TLS.
#[derive(Clone, Debug)]
pub struct Headers {
    map: MetadataMap,
    client_id: String,
    tls: Option<ClientTls>,
}

impl Headers {
    /// Headers of a new client, signed with its credentials if it has some.
    ///
    /// # Errors
    /// [`ClientError::Credentials`].
    pub fn new(credentials: Option<&Credentials>) -> Result<Self, ClientError> {
        let client_id = new_client_id();
        let ascii = |text: &str| -> MetadataValue<Ascii> { text.parse().expect("plain ASCII") };
        let mut map = MetadataMap::new();
        map.insert("x-mq-client-id", ascii(&client_id));
        map.insert("x-mq-client-version", ascii(env!("CARGO_PKG_VERSION")));
        map.insert("x-mq-language", ascii("RUST"));
        map.insert("x-mq-protocol", ascii("v2"));
        if let Some(credentials) = credentials {
            credentials.sign(&mut map).map_err(ClientError::Credentials)?;
        }
        Ok(Headers { map, client_id, tls: None })
    }

    /// Headers of a new client that is a user by the certificate of its connections.
    ///
    /// # Errors
    /// [`ClientError::Credentials`].
    pub fn of_certificate(user: &str) -> Result<Self, ClientError> {
        let mut headers = Headers::new(None)?;
        let value = certificate::header(user).parse();
        let value = value.map_err(|_| ClientError::Credentials(format!("{user:?} is no name of a user")))?;
        headers.map.insert(AUTHORIZATION, value);
        Ok(headers)
    }

    /// Those of another client that is the same user.
    pub fn of_another(&self) -> Headers {
        let client_id = new_client_id();
        let mut map = self.map.clone();
        map.insert("x-mq-client-id", client_id.parse().expect("plain ASCII"));
        Headers { map, client_id, tls: self.tls.clone() }
    }

    /// The same, and connections with TLS.
    pub fn over(self, tls: Option<ClientTls>) -> Headers {
        Headers { tls, ..self }
    }

    /// The TLS of its connections.
    pub fn tls(&self) -> Option<&ClientTls> {
        self.tls.as_ref()
    }

    /// The headers that say who it is.
    pub fn signature(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let value = |name| Some((name, self.map.get(name)?.to_str().ok()?));
        [DATE_TIME, AUTHORIZATION].into_iter().filter_map(value)
    }

    /// This client's id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// A request with these headers and a deadline.
    pub fn request<T>(&self, message: T, timeout: Duration) -> Request<T> {
        let mut request = Request::from_parts(self.map.clone(), Default::default(), message);
        request.set_timeout(timeout);
        request
    }

    /// These headers with a deadline, for many requests.
    pub fn metadata(&self, timeout: Duration) -> MetadataMap {
        self.request((), timeout).metadata().clone()
    }
}

/// One connection to one broker.
#[derive(Clone, Debug)]
pub struct Broker {
    /// Where it is.
    pub endpoint: HostPort,
    /// The connection.
    pub channel: Channel,
    /// This client's headers.
    pub headers: Headers,
}

impl Broker {
    /// Connects now, so that a wrong address is told at once.
    pub async fn connect(endpoint: HostPort, headers: Headers) -> Result<Broker, ClientError> {
        let connected = match &headers.tls {
            None => endpoint.endpoint().connect().await,
            Some(tls) => tls.connect(&endpoint.endpoint()).await,
        };
        match connected {
            Ok(channel) => Ok(Broker { endpoint, channel, headers }),
            Err(error) => Err(ClientError::of_transport(&endpoint, &error, "no connection")),
        }
    }

    /// Connects at the first call.
    pub fn lazy(endpoint: HostPort, headers: Headers) -> Broker {
        let channel = endpoint.channel(headers.tls.as_ref());
        Broker { endpoint, channel, headers }
    }

    /// The public service.
    pub fn messaging(&self) -> MessagingServiceClient<Channel> {
        MessagingServiceClient::new(self.channel.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
            .max_encoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The service behind the command line.
    pub fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The public service for consoles.
    pub fn rocketmq_admin(&self) -> v2::admin_client::AdminClient<Channel> {
        v2::admin_client::AdminClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Turns the result of a call to this broker into ours.
    pub fn answer<T>(&self, result: Result<tonic::Response<T>, Status>) -> Result<T, ClientError> {
        result.map(tonic::Response::into_inner).map_err(|status| ClientError::of_call(&self.endpoint, status))
    }

    /// The brokers that serve a topic, this one first.
    pub async fn route(&self, topic: &str, timeout: Duration) -> Result<Vec<Broker>, ClientError> {
        let message = v2::QueryRouteRequest {
            topic: Some(resource(topic)),
            endpoints: Some(self.endpoint.endpoints()),
        };
        let result = self.messaging().query_route(self.headers.request(message, timeout)).await;
        let answer = self.answer(result)?;
        ClientError::of_answer(answer.status)?;
        let mut brokers = vec![self.clone()];
        for queue in answer.message_queues {
            let endpoint = queue.broker.and_then(|broker| HostPort::of(&broker.endpoints?));
            let known = |endpoint: &HostPort| brokers.iter().any(|broker| broker.endpoint == *endpoint);
            if let Some(endpoint) = endpoint.filter(|endpoint| !known(endpoint)) {
                brokers.push(Broker::lazy(endpoint, self.headers.clone()));
            }
        }
        Ok(brokers)
    }
}

/// A name without a namespace.
pub fn resource(name: &str) -> Resource {
    Resource { resource_namespace: String::new(), name: name.to_owned() }
}

/// A duration as the protocol writes it.
pub fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: duration.as_secs() as i64, nanos: duration.subsec_nanos() as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_host_and_port() {
        for valid in ["127.0.0.1:8081", "localhost:8081", "[::1]:8081", "broker-1.example.com:80"] {
            assert_eq!(HostPort::from_str(valid).unwrap().to_string(), valid);
        }
        for wrong in
            ["", "localhost", "localhost:", ":8081", "localhost:0", "localhost:99999", "http://a:1", "a b:1"]
        {
            assert!(HostPort::from_str(wrong).is_err(), "{wrong:?} was taken as an endpoint");
        }
    }

    #[test]
    fn an_endpoint_survives_the_protocol() {
        for text in ["127.0.0.1:8081", "[::1]:8081", "localhost:8081"] {
            let endpoint = HostPort::from_str(text).unwrap();
            assert_eq!(HostPort::of(&endpoint.endpoints()), Some(endpoint));
        }
    }
}
