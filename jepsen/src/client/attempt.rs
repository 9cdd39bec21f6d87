//! What one attempt of a request came to, and what a request ended with.

use std::error::Error as _;

use proto::v2;

/// One attempt at one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt<T> {
    /// It was done.
    Answer(T),
    /// It was refused for good: it did not happen, and will not.
    Refused {
        /// The protocol's code.
        code: v2::Code,
        /// The broker's sentence.
        message: String,
    },
    /// It was not done, but may be later (`TOO_MANY_REQUESTS`): nothing was proposed.
    NotNow {
        /// The broker's sentence.
        why: String,
    },
    /// It never left: nobody listens there, or there is no way.
    Unsent {
        /// What the network said.
        why: String,
    },
    /// It may have happened, or may still happen.
    Unknown {
        /// What is known.
        why: String,
        /// Nothing was heard: the connection may be a black hole.
        silent: bool,
    },
}

/// What a request ended with, all attempts together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// It happened.
    Ok(T),
    /// It did not happen.
    Fail {
        /// The code of the refusal, if it was one.
        code: Option<v2::Code>,
        /// The reason.
        why: String,
    },
    /// Nobody knows.
    Info {
        /// The first reason for doubt.
        why: String,
    },
}

impl<T> Ended<T> {
    /// The same with another answer.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Ended<U> {
        match self {
            Ended::Ok(answer) => Ended::Ok(change(answer)),
            Ended::Fail { code, why } => Ended::Fail { code, why },
            Ended::Info { why } => Ended::Info { why },
        }
    }

    /// The answer, if there is one.
    pub fn ok(self) -> Option<T> {
        match self {
            Ended::Ok(answer) => Some(answer),
            _ => None,
        }
    }

    /// Why there is no answer.
    pub fn why(&self) -> &str {
        match self {
            Ended::Ok(_) => "",
            Ended::Fail { why, .. } | Ended::Info { why } => why,
        }
    }
}

impl Attempt<()> {
    /// Judges a status of the public protocol.
    pub(super) fn of_status(status: Option<v2::Status>) -> Attempt<()> {
        let v2::Status { code, message } = status.unwrap_or_default();
        match v2::Code::try_from(code).unwrap_or(v2::Code::Unspecified) {
            v2::Code::Ok => Attempt::Answer(()),
            v2::Code::TooManyRequests => Attempt::NotNow { why: message },
            // Whatever a server says about itself leaves the request in doubt.
            code if code as i32 >= 50_000 || code == v2::Code::Unspecified => {
                Attempt::Unknown { why: format!("{}: {message}", code.as_str_name()), silent: false }
            }
            code => Attempt::Refused { code, message },
        }
    }
}

impl<T> Attempt<T> {
    /// Judges a gRPC status: the request may have happened, unless the connection was refused.
    pub(super) fn of_grpc(status: &tonic::Status) -> Attempt<T> {
        let why = format!("{:?}: {}", status.code(), status.message());
        let mut cause = status.source();
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<std::io::Error>() {
                use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
                // These three come from connect(2) only.
                if matches!(io.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable) {
                    return Attempt::Unsent { why: io.to_string() };
                }
            }
            cause = error.source();
        }
        let silent = matches!(status.code(), tonic::Code::DeadlineExceeded | tonic::Code::Cancelled);
        Attempt::Unknown { why, silent }
    }

    /// The same for another answer; there must be none.
    pub(super) fn without_answer<U>(self) -> Attempt<U> {
        match self {
            Attempt::Answer(_) => unreachable!("an answer where there is none"),
            Attempt::Refused { code, message } => Attempt::Refused { code, message },
            Attempt::NotNow { why } => Attempt::NotNow { why },
            Attempt::Unsent { why } => Attempt::Unsent { why },
            Attempt::Unknown { why, silent } => Attempt::Unknown { why, silent },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: v2::Code) -> Option<v2::Status> {
        Some(v2::Status { code: code as i32, message: "m".to_owned() })
    }

    #[test]
    fn only_a_definite_refusal_is_a_failure() {
        assert_eq!(Attempt::of_status(status(v2::Code::Ok)), Attempt::Answer(()));
        for code in [v2::Code::InvalidReceiptHandle, v2::Code::TopicNotFound, v2::Code::MessageBodyEmpty] {
            let judged = Attempt::of_status(status(code));
            assert!(matches!(judged, Attempt::Refused { .. }), "{code:?} was judged {judged:?}");
        }
        for code in [v2::Code::ProxyTimeout, v2::Code::InternalError, v2::Code::InternalServerError] {
            let judged = Attempt::of_status(status(code));
            assert!(matches!(judged, Attempt::Unknown { .. }), "{code:?} was judged {judged:?}");
        }
        assert!(matches!(Attempt::of_status(None), Attempt::Unknown { .. }), "no status is no answer");
    }

    #[test]
    fn a_broken_connection_is_in_doubt() {
        let judged: Attempt<()> = Attempt::of_grpc(&tonic::Status::unavailable("broken pipe"));
        assert!(matches!(judged, Attempt::Unknown { silent: false, .. }), "{judged:?}");
        let judged: Attempt<()> = Attempt::of_grpc(&tonic::Status::deadline_exceeded("late"));
        assert!(matches!(judged, Attempt::Unknown { silent: true, .. }), "{judged:?}");
    }
}
