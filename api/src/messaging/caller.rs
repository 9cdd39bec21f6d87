//! Who calls, and how long it waits: what the headers say.

use std::net::IpAddr;
use std::time::Duration;

use raft::spans::SpanContext;
use tokio::time::Instant;
use tonic::codegen::http::HeaderMap;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Extensions, Request};

use crate::convert::status::{ClientLanguage, Fault};
use crate::limits::{DEADLINE_MARGIN_MIN, REQUEST_TIMEOUT, REQUEST_TIMEOUT_MAX};
use crate::port::Peer;
use crate::session::registry::ClientFacts;

/// With the value `replica` a pull is answered from what the asked node has applied.
pub const READ_HEADER: &str = "x-ledgermq-read";

/// The headers of a request, read where they are needed.
#[derive(Debug)]
pub struct Caller {
    headers: MetadataMap,
    extensions: Extensions,
}

impl Caller {
    /// Takes a request apart.
    pub fn of<T>(request: Request<T>) -> (Caller, T) {
        let (headers, extensions, body) = request.into_parts();
        (Caller { headers, extensions }, body)
    }

    /// Who asks over HTTP.
    pub(crate) fn over_http(headers: HeaderMap, peer: Peer) -> Caller {
        let mut extensions = Extensions::new();
        extensions.insert(peer);
        Caller { headers: MetadataMap::from_headers(headers), extensions }
    }

    /// The value of a header, if it is text.
    pub(crate) fn header(&self, name: &'static str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value of a header, text or not.
    pub(crate) fn bytes(&self, name: &'static str) -> Option<&[u8]> {
        self.headers.get(name).map(MetadataValue::as_encoded_bytes)
    }

    /// The client's id.
    ///
    /// # Errors
    /// [`Fault::ClientIdRequired`] when the header is missing or empty.
    pub fn client_id(&self) -> Result<&str, Fault> {
        self.header("x-mq-client-id").filter(|id| !id.is_empty()).ok_or(Fault::ClientIdRequired)
    }

    /// What the client is written in.
    pub fn language(&self) -> ClientLanguage {
        self.header("x-mq-language").map(ClientLanguage::parse).unwrap_or_default()
    }

    /// The namespace of resources that name none; empty for none.
    pub fn namespace(&self) -> &str {
        self.header("x-mq-namespace").unwrap_or_default()
    }

    /// Whether a read may come from this node's own replica instead of the leader's.
    pub fn reads_replica(&self) -> bool {
        self.header(READ_HEADER).is_some_and(|value| value.eq_ignore_ascii_case("replica"))
    }

    /// The span of the client that this request belongs to, if it says.
    pub fn traceparent(&self) -> Option<SpanContext> {
        self.header("traceparent").and_then(SpanContext::parse)
    }

    /// The time that the client gives this request, if it says.
    pub fn timeout(&self) -> Option<Duration> {
        self.header("grpc-timeout").and_then(parse_timeout)
    }

    /// When the cluster must have answered, so that the answer reaches the client in time.
    pub fn deadline(&self) -> Instant {
        Instant::now() + budget(self.timeout())
    }

    /// The address that it calls from.
    pub fn source(&self) -> Option<IpAddr> {
        self.peer().map(|peer| peer.address().ip().to_canonical())
    }

    /// Who is at the other end of its connection.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        self.extensions.get::<Peer>()
    }

    /// What the client says of itself in its headers.
    pub fn facts(&self) -> ClientFacts {
        ClientFacts {
            language: self.language(),
            version: self.header("x-mq-client-version").unwrap_or_default().to_owned(),
            address: self.peer().map(|peer| peer.address().to_string()).unwrap_or_default(),
        }
    }
}

/// The time that the cluster has, of the time that the client gives.
fn budget(timeout: Option<Duration>) -> Duration {
    let left = timeout.unwrap_or(REQUEST_TIMEOUT).min(REQUEST_TIMEOUT_MAX);
    left.saturating_sub(margin(left))
}

/// A tenth, at least [`DEADLINE_MARGIN_MIN`], but never more than half of what there is.
fn margin(left: Duration) -> Duration {
    (left / 10).max(DEADLINE_MARGIN_MIN).min(left / 2)
}

/// Reads `grpc-timeout`: up to eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(headers: &[(&'static str, &str)]) -> Caller {
        let mut request = Request::new(());
        for (name, value) in headers {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        Caller::of(request).0
    }

    #[test]
    fn timeouts_are_read_in_every_unit() {
        let of = |text| parse_timeout(text).map(|timeout| timeout.as_nanos());
        assert_eq!(of("3S"), Some(3_000_000_000));
        assert_eq!(of("2999925u"), Some(2_999_925_000));
        assert_eq!(of("1M"), Some(60_000_000_000));
        assert_eq!(of("99999999H"), Some(99_999_999 * 3_600 * 1_000_000_000));
        for bad in ["", "S", "3", "3s", "-3S", "123456789S", "3é"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_answer_is_due_before_the_client_gives_up() {
        let of = |timeout_ms: u64| budget(Some(Duration::from_millis(timeout_ms))).as_millis();
        assert_eq!(budget(None).as_millis(), 2_700);
        assert_eq!((of(500), of(100), of(3_600_000)), (400, 50, 27_000));
    }

    #[test]
    fn headers_say_who_calls() {
        let named = caller(&[("x-mq-client-id", "c"), ("x-mq-language", "HTTP"), ("x-mq-namespace", "shop")]);
        assert_eq!(named.client_id(), Ok("c"));
        assert_eq!((named.language(), named.namespace()), (ClientLanguage::Node, "shop"));
        assert_eq!(caller(&[]).client_id(), Err(Fault::ClientIdRequired));
        assert_eq!(caller(&[("x-mq-client-id", "")]).client_id(), Err(Fault::ClientIdRequired));
    }
}
