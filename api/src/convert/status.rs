//! Every error that a client can be told, its code and its sentence: the one table.

use proto::v2::{Code, Status};
use raft::request::{Rejection, RequestError};
use thiserror::Error;

use super::told::without_paths;

/// Why a request of a client was not carried out. The text is what the client's user reads.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The header that names the client is missing.
    #[error("the header x-mq-client-id is missing")]
    ClientIdRequired,
    /// Something without a code of its own makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// A topic name that may not be.
    #[error("{0}")]
    IllegalTopic(String),
    /// A consumer group name that may not be.
    #[error("{0}")]
    IllegalGroup(String),
    /// A tag that may not be.
    #[error("{0}")]
    IllegalTag(String),
    /// A message key that may not be.
    #[error("{0}")]
    IllegalKey(String),
    /// A message group that may not be.
    #[error("{0}")]
    IllegalMessageGroup(String),
    /// A property's key or value that may not be.
    #[error("{0}")]
    IllegalProperty(String),
    /// A message id that may not be.
    #[error("{0}")]
    IllegalMessageId(String),
    /// A filter that cannot be read.
    #[error("{0}")]
    IllegalFilter(String),
    /// A lease too short or too long.
    #[error("{0}")]
    IllegalInvisibleTime(String),
    /// A delivery time too far ahead.
    #[error("{0}")]
    IllegalDeliveryTime(String),
    /// A lite topic that may not be.
    #[error("{0}")]
    IllegalLiteTopic(String),
    /// A receipt handle that is not ours, or not of this consumer group.
    #[error("{0}")]
    InvalidReceipt(String),
    /// The message does not fit its topic's type.
    #[error("{0}")]
    TypeConflict(String),
    /// A client of an unknown kind.
    #[error("{0}")]
    UnrecognizedClientType(String),
    /// A batch without messages, or of several topics.
    #[error("{0}")]
    Corrupted(String),
    /// An offset that no queue has, or not this one.
    #[error("{0}")]
    IllegalOffset(String),
    /// The consumer group has no place in the queue.
    #[error("{0}")]
    OffsetNotFound(String),
    /// The deadline leaves no time for a long poll.
    #[error("{0}")]
    IllegalPollingTime(String),
    /// Client properties beyond the limits.
    #[error("{0}")]
    InvalidClientProperties(String),
    /// A body of more bytes than allowed.
    #[error("the body has {bytes} bytes; at most {max} are allowed")]
    BodyTooLarge {
        /// The body's length.
        bytes: usize,
        /// The longest allowed.
        max: usize,
    },
    /// A body without bytes.
    #[error("the body is empty")]
    BodyEmpty,
    /// Properties beyond the limits.
    #[error("{0}")]
    PropertiesTooLarge(String),
    /// Something that was named is not there.
    #[error("{0}")]
    NotFound(String),
    /// A client that was asked did not answer.
    #[error("{0}")]
    ClientSilent(String),
    /// A quota is used up.
    #[error("{0}")]
    TooManyRequests(String),
    /// Nothing came within the long poll. Not an error to a consumer.
    #[error("no new message")]
    NoMessage,
    /// It is not known who calls.
    #[error("{0}")]
    Unauthorized(String),
    /// Who calls may not do that, or no node can serve the topic.
    #[error("{0}")]
    Forbidden(String),
    /// Not built yet.
    #[error("{0} is not implemented yet")]
    NotImplemented(&'static str),
    /// A client subscribes to more lite topics than it may.
    #[error("{0}")]
    LiteSubscriptionQuota(String),
    /// A transaction id that is not ours, or of another message.
    #[error("{0}")]
    InvalidTransaction(String),
    /// What the cluster said.
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Fault {
        Fault::Request(RequestError::Rejected(rejection))
    }
}

impl Fault {
    /// The code of the public protocol. "Not now" is always 42900, the one code on which clients
    /// back off; an unknown fate is 50400, which they retry.
    pub fn code(&self) -> Code {
        match self {
            Fault::ClientIdRequired => Code::ClientIdRequired,
            Fault::BadRequest(_) => Code::BadRequest,
            Fault::Unauthorized(_) => Code::Unauthorized,
            Fault::IllegalTopic(_) => Code::IllegalTopic,
            Fault::IllegalGroup(_) => Code::IllegalConsumerGroup,
            Fault::IllegalTag(_) => Code::IllegalMessageTag,
            Fault::IllegalKey(_) => Code::IllegalMessageKey,
            Fault::IllegalMessageGroup(_) => Code::IllegalMessageGroup,
            Fault::IllegalProperty(_) => Code::IllegalMessagePropertyKey,
            Fault::IllegalMessageId(_) => Code::IllegalMessageId,
            Fault::IllegalFilter(_) => Code::IllegalFilterExpression,
            Fault::IllegalInvisibleTime(_) => Code::IllegalInvisibleTime,
            Fault::IllegalDeliveryTime(_) => Code::IllegalDeliveryTime,
            Fault::IllegalLiteTopic(_) => Code::IllegalLiteTopic,
            Fault::InvalidReceipt(_) => Code::InvalidReceiptHandle,
            Fault::TypeConflict(_) => Code::MessagePropertyConflictWithType,
            Fault::UnrecognizedClientType(_) => Code::UnrecognizedClientType,
            Fault::Corrupted(_) => Code::MessageCorrupted,
            Fault::IllegalOffset(_) => Code::IllegalOffset,
            Fault::OffsetNotFound(_) => Code::OffsetNotFound,
            Fault::IllegalPollingTime(_) => Code::IllegalPollingTime,
            Fault::InvalidClientProperties(_) => Code::InvalidClientProperties,
            Fault::BodyTooLarge { .. } => Code::MessageBodyTooLarge,
            Fault::BodyEmpty => Code::MessageBodyEmpty,
            Fault::PropertiesTooLarge(_) => Code::MessagePropertiesTooLarge,
            Fault::NotFound(_) => Code::NotFound,
            Fault::ClientSilent(_) => Code::RequestTimeout,
            Fault::TooManyRequests(_) => Code::TooManyRequests,
            Fault::NoMessage => Code::MessageNotFound,
            Fault::Forbidden(_) => Code::Forbidden,
            Fault::NotImplemented(_) => Code::NotImplemented,
            Fault::InvalidTransaction(_) => Code::InvalidTransactionId,
            Fault::LiteSubscriptionQuota(_) => Code::LiteSubscriptionQuotaExceeded,
            Fault::Request(error) => match error {
                RequestError::Rejected(rejection) => match rejection {
                    Rejection::TopicNotFound { .. } => Code::TopicNotFound,
                    Rejection::ConsumerNotFound { .. } => Code::ConsumerGroupNotFound,
                    Rejection::InvalidReceipt => Code::InvalidReceiptHandle,
                    Rejection::AlreadyExists { .. } | Rejection::Invalid(_) => Code::BadRequest,
                    Rejection::NotWaiting => Code::MessageNotFound,
                    Rejection::TransactionOver(_) => Code::InvalidTransactionId,
                    Rejection::Full(_) | Rejection::Respread => Code::TooManyRequests,
                    Rejection::LiteTopicQuota(_) => Code::LiteTopicQuotaExceeded,
                },
                RequestError::NoLeader { .. }
                | RequestError::Overloaded { .. }
                | RequestError::DiskFull { .. }
                | RequestError::Stopping => Code::TooManyRequests,
                RequestError::Unknown { .. } => Code::ProxyTimeout,
            },
        }
    }

    /// The status for a client of `language`.
    pub fn status(&self, language: ClientLanguage) -> Status {
        let message = without_paths(self.to_string());
        Status { code: language.known(self.code()) as i32, message }
    }

    /// The same on the admin service, whose errors are gRPC's own.
    pub fn grpc(&self) -> tonic::Status {
        let text = without_paths(self.to_string());
        match self {
            Fault::NotImplemented(_) => tonic::Status::unimplemented(text),
            Fault::NotFound(_) => tonic::Status::not_found(text),
            Fault::Unauthorized(_) => tonic::Status::unauthenticated(text),
            Fault::Forbidden(_) => tonic::Status::permission_denied(text),
            Fault::ClientSilent(_) => tonic::Status::deadline_exceeded(text),
            Fault::TooManyRequests(_) => tonic::Status::resource_exhausted(text),
            Fault::Request(RequestError::Rejected(rejection)) => match rejection {
                Rejection::TopicNotFound { .. } | Rejection::ConsumerNotFound { .. } => {
                    tonic::Status::not_found(text)
                }
                Rejection::AlreadyExists { .. } => tonic::Status::already_exists(text),
                Rejection::InvalidReceipt | Rejection::Invalid(_) => tonic::Status::invalid_argument(text),
                Rejection::NotWaiting | Rejection::TransactionOver(_) => {
                    tonic::Status::failed_precondition(text)
                }
                Rejection::Full(_) | Rejection::LiteTopicQuota(_) | Rejection::Respread => {
                    tonic::Status::resource_exhausted(text)
                }
            },
            Fault::Request(
                RequestError::NoLeader { .. }
                | RequestError::Overloaded { .. }
                | RequestError::DiskFull { .. }
                | RequestError::Stopping,
            ) => tonic::Status::resource_exhausted(text),
            Fault::Request(RequestError::Unknown { .. }) => tonic::Status::deadline_exceeded(text),
            _ => tonic::Status::invalid_argument(text),
        }
    }
}

/// The status of what went well. Clients compare the text.
pub fn ok() -> Status {
    Status { code: Code::Ok as i32, message: "OK".to_owned() }
}

/// The status of several entries together: theirs if they agree, else [`Code::MultipleResults`],
/// which the Rust client does not know: it gets the first bad one.
pub fn of_entries<'a>(entries: impl Iterator<Item = &'a Status>, language: ClientLanguage) -> Status {
    let mut first: Option<&Status> = None;
    let mut bad: Option<&Status> = None;
    let mut mixed = false;
    for status in entries {
        mixed |= first.is_some_and(|first| first.code != status.code);
        first = first.or(Some(status));
        if status.code != Code::Ok as i32 {
            bad = bad.or(Some(status));
        }
    }
    match (bad, mixed) {
        (None, _) => ok(),
        (Some(bad), false) => bad.clone(),
        (Some(bad), true) if language == ClientLanguage::Rust => bad.clone(),
        (Some(bad), true) => Status {
            code: Code::MultipleResults as i32,
            message: format!("the entries have several results; the first bad one: {}", bad.message),
        },
    }
}

/// What a client is written in, as far as it changes what it must be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientLanguage {
    /// `JAVA`.
    Java,
    /// `GO`.
    Go,
    /// `PYTHON`.
    Python,
    /// `RUST`.
    Rust,
    /// Node.js, which calls itself `HTTP`.
    Node,
    /// All others.
    #[default]
    Other,
}

impl ClientLanguage {
    /// Reads the header `x-mq-language`.
    pub fn parse(header: &str) -> ClientLanguage {
        match header {
            "JAVA" => ClientLanguage::Java,
            "GO" | "GOLANG" => ClientLanguage::Go,
            "PYTHON" => ClientLanguage::Python,
            "RUST" => ClientLanguage::Rust,
            "HTTP" | "NODE_JS" | "NODEJS" => ClientLanguage::Node,
            _ => ClientLanguage::Other,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            ClientLanguage::Java => "java",
            ClientLanguage::Go => "go",
            ClientLanguage::Python => "python",
            ClientLanguage::Rust => "rust",
            ClientLanguage::Node => "node",
            ClientLanguage::Other => "other",
        }
    }

    /// The nearest code that such a client knows: the Rust client panics on one that it does not.
    fn known(self, code: Code) -> Code {
        if self != ClientLanguage::Rust {
            return code;
        }
        match code {
            Code::IllegalOffset | Code::IllegalLiteTopic | Code::InvalidClientProperties => Code::BadRequest,
            Code::MessageBodyEmpty => Code::BadRequest,
            Code::OffsetNotFound => Code::NotFound,
            Code::LiteTopicQuotaExceeded | Code::LiteSubscriptionQuotaExceeded => Code::TooManyRequests,
            known => known,
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::names::GroupId;

    use super::*;

    fn code(fault: Fault) -> i32 {
        fault.status(ClientLanguage::Java).code
    }

    #[test]
    fn not_now_is_always_42900_and_an_unknown_fate_50400() {
        assert_eq!(code(RequestError::NoLeader { group: GroupId(1) }.into()), 42900);
        assert_eq!(code(RequestError::Overloaded { what: "x" }.into()), 42900);
        assert_eq!(
            code(RequestError::DiskFull { node: raft::names::NodeId(1), used_percent: 91 }.into()),
            42900
        );
        assert_eq!(code(RequestError::Stopping.into()), 42900);
        assert_eq!(code(RequestError::Unknown { reason: "x".into() }.into()), 50400);
    }

    #[test]
    fn refusals_have_the_codes_of_the_protocol() {
        assert_eq!(code(Rejection::TopicNotFound { name: "t".into() }.into()), 40402);
        assert_eq!(code(Rejection::ConsumerNotFound { name: "g".into() }.into()), 40403);
        assert_eq!(code(Rejection::InvalidReceipt.into()), 40013);
        assert_eq!(code(Fault::NoMessage), 40401);
        assert_eq!(code(Fault::BodyEmpty), 41302);
        assert_eq!(code(Fault::NotImplemented("x")), 50100);
    }

    #[test]
    fn the_rust_client_gets_only_codes_that_it_knows() {
        for fault in [
            Fault::BodyEmpty,
            Fault::IllegalLiteTopic(String::new()),
            Fault::InvalidClientProperties(String::new()),
        ] {
            assert_eq!(fault.status(ClientLanguage::Rust).code, 40000, "{fault:?}");
        }
        assert_eq!(Fault::NoMessage.status(ClientLanguage::Rust).code, 40401);
    }

    #[test]
    fn entries_that_differ_are_multiple_results() {
        let good = ok();
        let bad = Fault::from(Rejection::InvalidReceipt).status(ClientLanguage::Java);
        let of = |entries: [&Status; 2], language| of_entries(entries.into_iter(), language).code;
        assert_eq!(of([&good, &good], ClientLanguage::Java), 20000);
        assert_eq!(of([&bad, &bad], ClientLanguage::Java), 40013);
        assert_eq!(of([&good, &bad], ClientLanguage::Java), 30000);
        assert_eq!(of([&good, &bad], ClientLanguage::Rust), 40013);
        assert_eq!(ok().message, "OK");
    }
}
