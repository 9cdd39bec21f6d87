//! Who asks, and whether that may be a browser that somebody else's page sent here.

use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use raft::clock;
use tonic::Extensions;
use tonic::metadata::MetadataMap;

use super::calls::Asking;
use super::error::ApiError;
use super::session::Session;
use crate::access::seal::SealKey;
use crate::access::signature::{DATE_TIME, sign};
use crate::http::guard;
use crate::port::Peer;

/// Names the caller as a client, as every call of the protocol does.
const CLIENT_ID: &str = "x-mq-client-id";
/// Set by browsers: whether a page of another site asks (W3C Fetch Metadata).
const FETCH_SITE: &str = "sec-fetch-site";

/// Whoever asks, with the session if it is one that asks.
pub struct Asked {
    /// For the calls.
    pub asking: Asking,
    /// Who is logged in.
    pub session: Option<Session>,
}

/// Finds out by cookie, Basic credentials or a signature. Whether it is true, the gate looks.
pub fn asked(headers: &HeaderMap, peer: &Peer, key: Option<&SealKey>) -> Asked {
    let session = match headers.contains_key(AUTHORIZATION) {
        true => None,
        false => key.and_then(|key| Session::of_headers(headers, key, clock::now_ms())),
    };
    let passed_on = session.as_ref().map(|session| signed_by(&session.user, &session.secret));
    Asked { asking: asking(passed_on.unwrap_or_else(|| guard::signed(headers).into_owned()), peer), session }
}

/// Somebody who shows a name and a secret.
pub fn showing(user: &str, secret: &str, peer: &Peer) -> Asking {
    asking(signed_by(user, secret), peer)
}

fn signed_by(user: &str, secret: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let date = (clock::now_ms() / 1_000).to_string();
    if let Ok(signature) = HeaderValue::from_str(&sign(user, secret.as_bytes(), date.as_bytes())) {
        headers.insert(AUTHORIZATION, signature);
        headers.insert(DATE_TIME, date.parse().expect("a number"));
    }
    headers
}

fn asking(headers: HeaderMap, peer: &Peer) -> Asking {
    let mut passed_on = HeaderMap::new();
    for name in [AUTHORIZATION.as_str(), DATE_TIME] {
        if let Some(value) = headers.get(name) {
            passed_on.insert(name.parse::<axum::http::HeaderName>().expect("a name"), value.clone());
        }
    }
    passed_on.insert(CLIENT_ID, HeaderValue::from_static("console"));
    let mut extensions = Extensions::new();
    extensions.insert(peer.clone());
    Asking { headers: MetadataMap::from_headers(passed_on), extensions }
}

/// Refuses what a page of another site has a browser ask: nothing but JSON is taken, for which a browser asks permission first,
/// and nobody gives it.
///
/// # Errors
/// See there.
pub fn is_own_page(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.get(FETCH_SITE).is_some_and(|site| site == "cross-site") {
        return Err(ApiError::forbidden("a page of another site asked for this"));
    }
    let is_json = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim().to_ascii_lowercase().starts_with("application/json"));
    match *method == Method::POST && !is_json {
        true => Err(ApiError::with(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send JSON, and say so: content-type: application/json",
        )),
        false => Ok(()),
    }
}

/// Refuses what was asked for by a name that somebody else may have given this machine: where everybody who reaches the port is
/// trusted, and only this machine does, a page of his could reach it by such a name.
///
/// # Errors
/// See there.
pub fn is_own_name(headers: &HeaderMap) -> Result<(), ApiError> {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_own = name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost");
    match is_own {
        true => Ok(()),
        false => Err(ApiError::forbidden(
            "this node trusts all who reach it, so it answers only to localhost or an address: ask for it by one of these",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn pages_of_others_get_nothing_done() {
        let json = headers(&[("content-type", "application/json; charset=utf-8")]);
        assert!(is_own_page(&Method::POST, &json).is_ok());
        assert!(is_own_page(&Method::GET, &headers(&[("sec-fetch-site", "same-origin")])).is_ok());
        for form in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            assert!(is_own_page(&Method::POST, &headers(&[("content-type", form)])).is_err(), "{form}");
        }
        assert!(is_own_page(&Method::POST, &headers(&[])).is_err());
        assert!(is_own_page(&Method::GET, &headers(&[("sec-fetch-site", "cross-site")])).is_err());
    }

    #[test]
    fn a_name_that_anybody_may_give_is_not_ours() {
        for own in
            ["127.0.0.1:8082", "[::1]:8082", "localhost:8082", "LOCALHOST", "node.localhost:1", "10.0.0.7"]
        {
            assert!(is_own_name(&headers(&[("host", own)])).is_ok(), "{own}");
        }
        for other in ["evil.example:8082", "127.0.0.1.evil.example", "localhost.evil.example", ""] {
            assert!(is_own_name(&headers(&[("host", other)])).is_err(), "{other}");
        }
        assert!(is_own_name(&HeaderMap::new()).is_err());
    }
}
