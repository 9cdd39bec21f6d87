//! How commands end.

use std::process::ExitCode;

use thiserror::Error;

use crate::client::access::ClientError;
use proto::v2::Code;

/// What `ledgermq --help` says about exit codes. Kept beside [`Failure::code`].
pub const EXIT_CODES: &str = "\
Exit codes:
  0   done
  1   failed
  2   wrong usage or configuration; nothing was done
  3   nothing received, or nothing there
  4   no broker could be reached
  74  a disk failed or is full; the node stopped
  134 a defect: the process stopped itself (SIGABRT)";

/// Why a command did not do what it was told to. The text is for a person, and says what to do next.
#[derive(Debug, Error)]
pub enum Failure {
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
    /// It cannot be tried like this.
    #[error("{0}")]
    Usage(String),
    /// There was nothing.
    #[error("{0}")]
    Nothing(String),
    /// No broker.
    #[error("{0}")]
    Unreachable(String),
    /// A disk failed.
    #[error("{0}")]
    Disk(String),
}

impl Failure {
    /// The process's exit code: see [`EXIT_CODES`].
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Failed(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Nothing(_) => 3,
            Failure::Unreachable(_) => 4,
            Failure::Disk(_) => 74,
        })
    }

    /// From an I/O error while doing something with a file.
    pub fn io(what: impl std::fmt::Display, error: &std::io::Error) -> Failure {
        let sentence = format!("cannot {what}: {error}");
        if is_disk_failure(error) { Failure::Disk(sentence) } else { Failure::Failed(sentence) }
    }

    /// From an error with a chain of causes.
    pub fn of_chain(error: &anyhow::Error) -> Failure {
        let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
        let sentence = format!("{error:#}");
        match io.is_some_and(is_disk_failure) {
            true => Failure::Disk(sentence),
            false => Failure::Failed(sentence),
        }
    }

    /// From a failed call about a topic.
    pub fn about_topic(error: ClientError, topic: &str) -> Failure {
        match is_missing(&error, Code::TopicNotFound) {
            true => Failure::Failed(format!(
                "topic {topic} does not exist: create it with `ledgermq topic create {topic}`"
            )),
            false => error.into(),
        }
    }

    /// From a failed call about a consumer group.
    pub fn about_group(error: ClientError, group: &str) -> Failure {
        match is_missing(&error, Code::ConsumerGroupNotFound) {
            true => Failure::Failed(format!(
                "consumer group {group} does not exist: create it with `ledgermq group create {group}`"
            )),
            false => error.into(),
        }
    }

    /// From a failed call about a consumer group in a topic: either may be missing.
    pub fn about_group_in_topic(error: ClientError, group: &str, topic: &str) -> Failure {
        let is_topic = match &error {
            ClientError::Refused { code, .. } => *code == Code::TopicNotFound,
            ClientError::Status(status) => status.message().starts_with("topic "),
            _ => false,
        };
        match is_topic {
            true => Failure::about_topic(error, topic),
            false => Failure::about_group(error, group),
        }
    }
}

fn is_missing(error: &ClientError, code: Code) -> bool {
    match error {
        ClientError::Refused { code: given, .. } => *given == code,
        ClientError::Status(status) => status.code() == tonic::Code::NotFound,
        _ => false,
    }
}

fn is_disk_failure(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    let kinds = [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem, ErrorKind::QuotaExceeded];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::NothingListens { .. } | ClientError::Unreachable { .. } => {
                Failure::Unreachable(error.to_string())
            }
            ClientError::OutOfTime { last, .. } if last.is_connection() => {
                Failure::Unreachable(error.to_string())
            }
            _ => Failure::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_documented() {
        let failures: [Failure; 5] = [
            Failure::Failed(String::new()),
            Failure::Usage(String::new()),
            Failure::Nothing(String::new()),
            Failure::Unreachable(String::new()),
            Failure::Disk(String::new()),
        ];
        for (failure, code) in failures.iter().zip(["1 ", "2 ", "3 ", "4 ", "74 "]) {
            assert!(EXIT_CODES.contains(&format!("\n  {code}")), "{failure:?} has no line");
            let number: u8 = code.trim().parse().unwrap();
            assert_eq!(failure.code(), ExitCode::from(number));
        }
    }

    #[test]
    fn a_missing_topic_says_how_to_make_it() {
        let error = ClientError::Refused { code: Code::TopicNotFound, message: "no".into() };
        let failure = Failure::about_topic(error, "demo");
        assert_eq!(
            failure.to_string(),
            "topic demo does not exist: create it with `ledgermq topic create demo`"
        );
    }

    #[test]
    fn a_full_disk_has_its_own_code() {
        let error = anyhow::Error::new(std::io::Error::from(std::io::ErrorKind::StorageFull)).context("g1");
        assert!(matches!(Failure::of_chain(&error), Failure::Disk(_)));
        let error = anyhow::Error::new(std::io::Error::from(std::io::ErrorKind::AddrInUse)).context("grpc");
        assert!(matches!(Failure::of_chain(&error), Failure::Failed(_)));
    }
}
