//! Who may read the metrics, where access is controlled: a user who may `get` the cluster.
//!
//! A request is signed as those of gRPC are, or has the user and its secret as HTTP's Basic credentials (RFC 7617), which is
//! what Prometheus has to offer.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use raft::access::Action;
use raft::node::Node;

use crate::access::demand::{Demand, Demands, Names};
use crate::access::gate::{AccessControl, Gate};
use crate::access::signature::{DATE_TIME, sign};
use crate::convert::status::Fault;
use crate::messaging::caller::Caller;
use crate::port::Peer;

/// What is signed on behalf of somebody who shows the secret itself.
const SHOWN: &str = "shown";

/// Stands before the metrics.
pub(super) struct Guard {
    gate: Gate,
    node: Node,
    cluster: String,
}

/// To read the metrics.
struct ReadMetrics;

impl Demands for ReadMetrics {
    fn demands<'a>(&'a self, _: &Names<'a>) -> Vec<Demand<'a>> {
        vec![Demand::Cluster(Action::Get)]
    }
}

impl Guard {
    pub(super) fn new(node: Node, control: AccessControl, cluster: String) -> Arc<Guard> {
        Arc::new(Guard { gate: Gate::new(control), node, cluster })
    }

    /// Lets those go on who may.
    pub(super) async fn admit(
        State(guard): State<Arc<Guard>>,
        ConnectInfo(peer): ConnectInfo<Peer>,
        request: Request,
        next: Next,
    ) -> Response {
        let caller = Caller::over_http(signed(request.headers()).into_owned(), peer);
        let catalog = guard.node.catalog();
        let admitted = guard.gate.admit(&catalog, &guard.cluster, &caller, &ReadMetrics).map(drop);
        match admitted {
            Ok(()) => next.run(request).await,
            Err(Fault::Forbidden(why)) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
            Err(fault) => {
                let asks = [(WWW_AUTHENTICATE, "Basic realm=\"LedgerMQ\", charset=\"UTF-8\"")];
                (StatusCode::UNAUTHORIZED, asks, format!("{fault}\n")).into_response()
            }
        }
    }
}

/// The headers, signed with the secret that they show, if they show one.
pub(super) fn signed(headers: &HeaderMap) -> Cow<'_, HeaderMap> {
    let Some((name, secret)) = headers.get(AUTHORIZATION).and_then(basic) else {
        return Cow::Borrowed(headers);
    };
    let Ok(value) = HeaderValue::from_str(&sign(&name, secret.as_bytes(), SHOWN.as_bytes())) else {
        return Cow::Borrowed(headers);
    };
    let mut headers = headers.clone();
    headers.insert(AUTHORIZATION, value);
    headers.insert(DATE_TIME, HeaderValue::from_static(SHOWN));
    Cow::Owned(headers)
}

/// The user and the secret of Basic credentials.
fn basic(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    let decoded =
        BASE64_STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (name, secret) = str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((name.to_owned(), secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_a_user_and_its_secret() {
        let of = |text: &'static str| basic(&HeaderValue::from_static(text));
        // RFC 7617, section 2.
        let aladdin = Some(("Aladdin".to_owned(), "open sesame".to_owned()));
        assert_eq!(of("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), aladdin);
        assert_eq!(of("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), aladdin);
        assert_eq!(of("Basic YTpiOmM="), Some(("a".to_owned(), "b:c".to_owned())));
        for wrong in ["", "Basic", "Basic !", "Basic YWJj", "Bearer YTpi", "Basic /w=="] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn who_shows_a_secret_is_taken_for_who_signed_with_it() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        let made = signed(&headers);
        assert_eq!(made[AUTHORIZATION], sign("a", b"b", SHOWN.as_bytes()).as_str());
        headers.insert(AUTHORIZATION, HeaderValue::from_static("MQv2-HMAC-SHA1 Credential=a"));
        assert_eq!(signed(&headers).into_owned(), headers);
    }
}
