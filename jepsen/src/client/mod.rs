//! A client of the public protocol that tells truthfully what became of a request.
//!
//! One client is one logical process of a history: it has one request under way at a time. A request is
//! tried at one node after the other with the same identity (message id, attempt id, receipt), until
//! its outcome is known or its time is over.

mod admin;
mod attempt;
mod message_id;
mod orphans;
mod pull;
mod receive;
mod send;
mod settle;
mod votes;

use std::time::Duration;

use proto::admin::admin_client::AdminClient;
use proto::v2;
use proto::v2::messaging_service_client::MessagingServiceClient;
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

pub use admin::{AdminError, ClusterView, GroupSpec, GroupView, TopicSpec};
pub use attempt::{Attempt, Ended};
pub use message_id::MessageIds;
pub use orphans::{Answers, Orphans};
pub use pull::Pulled;
pub use receive::{Poll, Received};
pub use send::{Outgoing, Sent};
pub use settle::Resolution;
pub use votes::{Changed, VoteChange};

use crate::limits::{ATTEMPT_TIMEOUT, BACKOFF_MAX, BACKOFF_MIN, CONNECT_TIMEOUT};

/// A connection to one node, made when it is first used.
#[derive(Clone, Debug)]
struct Link {
    address: String,
    channel: Channel,
}

impl Link {
    fn new(address: &str) -> Link {
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .expect("host:port makes a URI")
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .connect_lazy();
        Link { address: address.to_owned(), channel }
    }
}

/// A client with a connection to every node. A clone shares the connections.
#[derive(Clone, Debug)]
pub struct Client {
    id: String,
    headers: MetadataMap,
    links: Vec<Link>,
    /// The node that is asked first.
    next: usize,
    attempt_timeout: Duration,
    /// How often the last request was tried.
    attempts: u32,
}

impl Client {
    /// A client named `id` of the nodes at these addresses (`host:port`), which it asks from the
    /// `first`-th on.
    ///
    /// # Panics
    /// If there is no address, or the id is not ASCII.
    pub fn new(id: &str, addresses: &[String], first: usize) -> Client {
        assert!(!addresses.is_empty(), "a client needs a node");
        let ascii = |text: &str| -> MetadataValue<Ascii> { text.parse().expect("plain ASCII") };
        let mut headers = MetadataMap::new();
        headers.insert("x-mq-client-id", ascii(id));
        headers.insert("x-mq-client-version", ascii(env!("CARGO_PKG_VERSION")));
        headers.insert("x-mq-language", ascii("JAVA"));
        headers.insert("x-mq-protocol", ascii("v2"));
        let links: Vec<Link> = addresses.iter().map(|address| Link::new(address)).collect();
        let next = first % links.len();
        Client { id: id.to_owned(), headers, links, next, attempt_timeout: ATTEMPT_TIMEOUT, attempts: 0 }
    }

    /// The same with another bound for each attempt.
    pub fn with_attempt_timeout(mut self, timeout: Duration) -> Client {
        self.attempt_timeout = timeout;
        self
    }

    /// The client's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How often the last request was tried, over all nodes.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Index of the node that is asked next.
    pub fn next_node(&self) -> usize {
        self.next
    }

    /// Asks this node first from now on.
    pub fn prefer(&mut self, node: usize) {
        self.next = node % self.links.len();
    }

    fn request<T>(&self, message: T, timeout: Duration) -> Request<T> {
        let mut request = Request::from_parts(self.headers.clone(), Default::default(), message);
        request.set_timeout(timeout);
        request
    }

    fn messaging(&self) -> MessagingServiceClient<Channel> {
        MessagingServiceClient::new(self.links[self.next].channel.clone())
            .max_decoding_message_size(crate::limits::ANSWER_BYTES_MAX)
    }

    fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.links[self.next].channel.clone())
            .max_decoding_message_size(crate::limits::ANSWER_BYTES_MAX)
    }

    /// Goes on to the next node. A connection on which an answer did not come may be dead without
    /// knowing it (a black hole): it is made anew.
    fn turn(&mut self, silent: bool) {
        if silent {
            let address = self.links[self.next].address.clone();
            self.links[self.next] = Link::new(&address);
        }
        self.next = (self.next + 1) % self.links.len();
    }

    /// Tries `call` until it is answered or `total` is over. Whatever was in doubt once stays in doubt,
    /// unless a later attempt is answered: it has the same identity.
    async fn persist<T>(
        &mut self,
        total: Duration,
        call: impl AsyncFnMut(&Client, Duration) -> Attempt<T>,
    ) -> Ended<T> {
        self.try_on(total, true, call).await
    }

    /// As [`Client::persist`], of what has no identity: an attempt in doubt is the last one, for it may still arrive, and
    /// take effect behind what comes later.
    async fn persist_until_in_doubt<T>(
        &mut self,
        total: Duration,
        call: impl AsyncFnMut(&Client, Duration) -> Attempt<T>,
    ) -> Ended<T> {
        self.try_on(total, false, call).await
    }

    async fn try_on<T>(
        &mut self,
        total: Duration,
        repeats_in_doubt: bool,
        mut call: impl AsyncFnMut(&Client, Duration) -> Attempt<T>,
    ) -> Ended<T> {
        let deadline = Instant::now() + total;
        let mut backoff = BACKOFF_MIN;
        let mut doubt = None;
        self.attempts = 0;
        loop {
            self.attempts += 1;
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = self.attempt_timeout.min(left.max(BACKOFF_MIN));
            // The server answers a little before the deadline it was told; a dead peer never does.
            let attempt = match tokio::time::timeout(timeout, call(self, timeout)).await {
                Ok(attempt) => attempt,
                Err(_) => Attempt::Unknown { why: "no answer in time".to_owned(), silent: true },
            };
            let (why, definite) = match attempt {
                Attempt::Answer(answer) => return Ended::Ok(answer),
                Attempt::Refused { code, message } => {
                    return match doubt {
                        None => Ended::Fail { code: Some(code), why: message },
                        Some(why) => Ended::Info { why },
                    };
                }
                Attempt::NotNow { why } | Attempt::Unsent { why } => {
                    self.turn(false);
                    (why, true)
                }
                Attempt::Unknown { why, silent } => {
                    self.turn(silent);
                    (why, false)
                }
            };
            if !definite {
                doubt = Some(why.clone());
            }
            let is_over = doubt.is_some() && !repeats_in_doubt;
            if is_over || Instant::now() + backoff >= deadline {
                return match doubt {
                    None => Ended::Fail { code: None, why },
                    Some(why) => Ended::Info { why },
                };
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }
}

/// A name without a namespace.
fn resource(name: &str) -> v2::Resource {
    v2::Resource { resource_namespace: String::new(), name: name.to_owned() }
}

/// A duration as the protocol writes it.
fn wire_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: duration.as_secs() as i64, nanos: duration.subsec_nanos() as i32 }
}

/// A queue of a topic; -1 stands for any.
fn message_queue(topic: &str, queue: i32) -> Option<v2::MessageQueue> {
    Some(v2::MessageQueue { topic: Some(resource(topic)), id: queue, ..Default::default() })
}

/// Judges a unary call whose answer holds a status.
fn judged<T>(
    result: Result<tonic::Response<T>, Status>,
    status: impl FnOnce(&T) -> Option<v2::Status>,
) -> Attempt<T> {
    match result {
        Err(status) => Attempt::of_grpc(&status),
        Ok(answer) => {
            let answer = answer.into_inner();
            match Attempt::of_status(status(&answer)) {
                Attempt::Answer(()) => Attempt::Answer(answer),
                other => other.without_answer(),
            }
        }
    }
}
