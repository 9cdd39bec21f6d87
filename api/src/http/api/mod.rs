//! The HTTP API: the admin service as JSON under `/api/v1`, for the console and for scripts.
//!
//! Each call is a line of [`calls`]; what it takes and gives is a message of `admin.proto` ([`transcode`]), and [`openapi`] tells
//! all that. A call passes the same gate, with the same demands, as over gRPC.

mod asking;
pub mod calls;
mod error;
mod events;
pub mod openapi;
pub mod session;
mod transcode;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Query, RawPathParams, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, get, on};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use raft::access::{Action, User};
use raft::clock;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::access::demands::Signed;
use crate::access::signature::AUTHORIZATION;
use crate::admin::AdminService;
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::metrics::Exporter;
use crate::port::Peer;
use calls::{Asking, CALLS, Call, Verb};
use error::ApiError;
use events::Shared;
use session::Session;
use transcode::{RequestFields, json_of, method};

/// Where it is.
pub const ROOT: &str = "/api/v1";
/// A request's body has at most so many bytes: a message of 4 MiB as base64, and what else there is.
const BODY_BYTES_MAX: usize = 8 << 20;
/// Bodies that are read at the same time have so many MiB together.
const BODIES_MIB_MAX: usize = 64;
/// A login has at most so many bytes, and must be there within this: anybody may send one.
const LOGIN_BYTES_MAX: usize = 4 << 10;
const LOGIN_WAIT_MAX: Duration = Duration::from_secs(5);
/// A body must be there within this.
const BODY_WAIT_MAX: Duration = Duration::from_secs(30);
/// A wrong login takes so long: who guesses gets nowhere.
const WRONG_LOGIN_PAUSE: Duration = Duration::from_millis(500);

/// Set where nobody but the page itself asks: it does not make a session last.
const BACKGROUND: &str = "x-ledgermq-background";
/// The stream of what changes. A page opens it again every few minutes by itself, and a browser sets no header there.
const EVENTS: &str = "/events";

/// What the API works with.
#[derive(Clone)]
pub struct Api {
    exporter: Arc<Exporter>,
    /// It answers only to names that are this machine's own.
    trusts_all: bool,
    bodies: Arc<Semaphore>,
    shared: Arc<Shared>,
    closing: CancellationToken,
}

impl Api {
    /// Over the edge that the exporter watches. `trusts_all`: there is no access control, and nobody but this machine reaches
    /// the port.
    pub fn new(exporter: Arc<Exporter>, trusts_all: bool, closing: CancellationToken) -> Api {
        let bodies = Semaphore::new(BODIES_MIB_MAX).into();
        Api { exporter, trusts_all, bodies, shared: Arc::default(), closing }
    }

    fn edge(&self) -> Result<Arc<EdgeState>, ApiError> {
        self.exporter
            .edge()
            .ok_or_else(|| ApiError::unavailable("this node is starting, or stopping: try again"))
    }

    /// The routes.
    pub fn routes(self) -> Router {
        let mut calls = Router::new();
        for call in CALLS {
            calls = calls.route(call.path, on(filter(call.verb), answer).layer(Extension(call)));
        }
        calls
            .route("/session", get(session_now).post(log_in).delete(log_out))
            .route(EVENTS, get(events_of))
            .route("/openapi.json", get(|| async { Json(openapi::document()) }))
            .fallback(|| async {
                ApiError::with(StatusCode::NOT_FOUND, "there is no such call: see /api/v1/openapi.json")
            })
            .method_not_allowed_fallback(|| async {
                ApiError::with(StatusCode::METHOD_NOT_ALLOWED, "not with this verb: see /api/v1/openapi.json")
            })
            .layer(middleware::from_fn_with_state(self.clone(), guarded))
            .with_state(self)
    }
}

fn filter(verb: Verb) -> MethodFilter {
    match verb {
        Verb::Get => MethodFilter::GET,
        Verb::Post => MethodFilter::POST,
        Verb::Put => MethodFilter::PUT,
        Verb::Patch => MethodFilter::PATCH,
        Verb::Delete => MethodFilter::DELETE,
    }
}

/// Before anything is read: may it be the page of somebody else that asks? And a session that is used lasts.
async fn guarded(State(api): State<Api>, peer: ConnectInfo<Peer>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let own_name = if api.trusts_all { asking::is_own_name(headers) } else { Ok(()) };
    if let Err(error) = own_name.and_then(|()| asking::is_own_page(request.method(), headers)) {
        return error.into_response();
    }
    // What a page asks by itself is no sign of somebody who looks at it.
    let by_itself = headers.contains_key(BACKGROUND) || request.uri().path() == EVENTS;
    let edge = if by_itself { None } else { api.edge().ok() };
    let renewed = edge.and_then(|edge| renewed(&edge, headers, &peer.0));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Some(cookie) = renewed.filter(|_| response.status().is_success()) {
        response.headers_mut().entry(SET_COOKIE).or_insert(cookie);
    }
    response
}

/// The cookie of a session, if it is to be made anew.
fn renewed(edge: &EdgeState, headers: &HeaderMap, peer: &Peer) -> Option<HeaderValue> {
    let key = edge.gate.key()?;
    let session = Session::of_headers(headers, key, clock::now_ms())?.used(clock::now_ms())?;
    session.set_cookie(key, peer.is_tls)?.parse().ok()
}

/// Answers a call.
async fn answer(
    State(api): State<Api>,
    Extension(call): Extension<&'static Call>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    path: RawPathParams,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let edge = api.edge()?;
    let asking = asking::asked(request.headers(), &peer, edge.gate.key()).asking;
    // Whoever is nobody does not even have his body read.
    known(&edge, &asking)?;
    let body = if call.verb.has_body() { read(&api, request.into_body()).await? } else { Bytes::new() };
    let input = method(call.method).input();
    let mut fields = RequestFields::of_body(input, &body).map_err(ApiError::bad_request)?;
    let from_query =
        query.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (&**name, &**value));
    for (name, value) in from_query.chain(&path) {
        fields.put(name, value).map_err(ApiError::bad_request)?;
    }
    let encoded = fields.encoded().map_err(ApiError::bad_request)?;
    let json = perform(&api, call.method, asking, encoded.into()).await?;
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}

/// Does it, and gives the answer as JSON.
async fn perform(api: &Api, name: &str, asking: Asking, encoded: Bytes) -> Result<Vec<u8>, ApiError> {
    let call = CALLS.iter().find(|call| call.method == name).expect("a call of ours");
    let service = AdminService::new(api.edge()?);
    let answer = (call.perform)(service, asking, encoded).await?;
    json_of(method(name).output(), &answer).map_err(|error| {
        tracing::error!(name, %error, "an answer cannot be written as JSON");
        ApiError::from(tonic::Status::internal("the answer cannot be written as JSON"))
    })
}

/// Reads what a call takes, once there is room for it.
async fn read(api: &Api, body: Body) -> Result<Bytes, ApiError> {
    let bytes = body.size_hint().exact().unwrap_or(u64::MAX).min(BODY_BYTES_MAX as u64);
    let mib = u32::try_from(bytes >> 20).unwrap_or(u32::MAX) + 1;
    let _room = api.bodies.acquire_many(mib).await.map_err(|_| ApiError::unavailable("this node stops"))?;
    whole(body, BODY_BYTES_MAX, BODY_WAIT_MAX).await
}

async fn whole(body: Body, bytes_max: usize, wait_max: Duration) -> Result<Bytes, ApiError> {
    match timeout(wait_max, axum::body::to_bytes(body, bytes_max)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => {
            let why = format!("a request like this has at most {} KiB", bytes_max >> 10);
            Err(ApiError::with(StatusCode::PAYLOAD_TOO_LARGE, why))
        }
        Err(_) => Err(ApiError::with(StatusCode::REQUEST_TIMEOUT, "the request did not come to its end")),
    }
}

fn caller(asking: &Asking) -> Caller {
    let request = tonic::Request::from_parts(asking.headers.clone(), asking.extensions.clone(), ());
    Caller::of(request).0
}

/// Who is logged in, and what this node is.
async fn session_now(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let edge = api.edge()?;
    let asked = asking::asked(&headers, &peer, edge.gate.key());
    let told = told_of(&edge, &asked.asking, asked.session.as_ref());
    let shows_nothing = !asked.asking.headers.contains_key(AUTHORIZATION);
    told.map(Json).map_err(|error| match error.is_of_nobody() && shows_nothing {
        true => ApiError::nobody("nobody is logged in, or the session is over: log in"),
        false => error,
    })
}

/// The user who asks; nobody where everybody may. One who is disabled has no session, and begins none.
fn known(edge: &EdgeState, asking: &Asking) -> Result<Option<User>, ApiError> {
    let catalog = edge.node.catalog();
    let admitted = edge.gate.admit(&catalog, &edge.options.cluster, &caller(asking), &Signed);
    let user = admitted.map_err(|fault| fault.grpc())?;
    match user.is_some_and(|user| !user.enabled) {
        true => Err(ApiError::disabled()),
        false => Ok(user.cloned()),
    }
}

fn told_of(edge: &EdgeState, asking: &Asking, session: Option<&Session>) -> Result<Value, ApiError> {
    let user = known(edge, asking)?;
    let id = edge.node.id();
    let name = edge.live_nodes().iter().find(|node| node.id == id).map(|node| node.name.clone());
    Ok(json!({
        "access_control": edge.gate.is_closed(),
        "user": user.as_ref().map_or("", |user| &user.name),
        "role": user.as_ref().map_or("administer", role),
        "expires_unix_ms": session.map(Session::ends_ms),
        "cluster": edge.options.cluster,
        "node": { "id": id.0, "name": name.unwrap_or_default() },
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

/// What a user does here, roughly: its rules say exactly.
fn role(user: &User) -> &'static str {
    let changes = [Action::Publish, Action::Create, Action::Update, Action::Delete];
    let may_change = |rule: &raft::access::Rule| {
        rule.effect == raft::access::Effect::Allow
            && changes.iter().any(|action| rule.actions.contains(action))
    };
    match user.is_acting_admin() {
        true => "administer",
        false if user.rules.iter().any(may_change) => "operate",
        false => "see",
    }
}

/// Who wants in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    user: String,
    secret: String,
}

async fn log_in(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Result<Response, ApiError> {
    let edge = api.edge()?;
    let Some(key) = edge.gate.key().filter(|_| edge.gate.is_closed()) else {
        return Err(ApiError::bad_request("access is not controlled here: there is nothing to log in to"));
    };
    let body = whole(request.into_body(), LOGIN_BYTES_MAX, LOGIN_WAIT_MAX).await?;
    let Login { user, secret } =
        serde_json::from_slice(&body).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let asking = asking::showing(&user, &secret, &peer);
    let session = Session::begin(user, secret, clock::now_ms());
    let told = match told_of(&edge, &asking, Some(&session)) {
        Ok(told) => told,
        Err(error) if error.is_of_nobody() => {
            sleep(WRONG_LOGIN_PAUSE).await;
            return Err(error.of_login());
        }
        Err(error) => return Err(error),
    };
    let cookie = session.set_cookie(key, peer.is_tls);
    let cookie = cookie.ok_or_else(|| ApiError::unavailable("the system gives no random bytes"))?;
    Ok(([(SET_COOKIE, cookie)], Json(told)).into_response())
}

async fn log_out(ConnectInfo(peer): ConnectInfo<Peer>) -> Response {
    ([(SET_COOKIE, session::no_cookie(peer.is_tls))], Json(json!({}))).into_response()
}

async fn events_of(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let edge = api.edge()?;
    let asked = asking::asked(&headers, &peer, edge.gate.key());
    known(&edge, &asked.asking)?;
    Ok(events::stream(api, asked.asking).into_response())
}
