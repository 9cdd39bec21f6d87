//! Commands that clients were sent over telemetry, and that wait for their answers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use proto::v2::Status;
use tokio::sync::oneshot;

use crate::limits::PENDING_COMMANDS_MAX;

/// What a client answered.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientAnswer {
    /// To a request for its threads.
    StackTrace(String),
    /// To a message that it was to consume.
    Verified(Status),
}

struct Waiting {
    client_id: String,
    answer: oneshot::Sender<ClientAnswer>,
}

/// Who waits for which answer, by the nonce that command and answer share. At most [`PENDING_COMMANDS_MAX`].
#[derive(Default)]
pub struct Pending {
    // A mutex: a person's command now and then.
    waiting: Mutex<HashMap<String, Waiting>>,
}

impl Pending {
    /// A nonce for a command to a client, and where its answer comes. `None` if too many wait.
    pub fn ask(&self, client_id: &str) -> Option<(String, oneshot::Receiver<ClientAnswer>)> {
        let mut waiting = self.lock();
        if waiting.len() >= PENDING_COMMANDS_MAX {
            return None;
        }
        let nonce = format!("{:032x}", rand::random::<u128>());
        let (answer, receiver) = oneshot::channel();
        waiting.insert(nonce.clone(), Waiting { client_id: client_id.to_owned(), answer });
        Some((nonce, receiver))
    }

    /// An answer came. One that nobody waits for, or of another client, is dropped.
    pub fn answered(&self, client_id: &str, nonce: &str, answer: ClientAnswer) {
        let mut waiting = self.lock();
        if waiting.get(nonce).is_some_and(|waiting| waiting.client_id == client_id)
            && let Some(waiting) = waiting.remove(nonce)
        {
            // Who asked may have given up.
            let _ = waiting.answer.send(answer);
        }
    }

    /// Nobody waits for it any more.
    pub fn forget(&self, nonce: &str) {
        self.lock().remove(nonce);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_reaches_who_asked_and_only_from_who_was_asked() {
        let pending = Pending::default();
        let (nonce, answer) = pending.ask("a").unwrap();
        pending.answered("b", &nonce, ClientAnswer::StackTrace("not mine".into()));
        pending.answered("a", "another nonce", ClientAnswer::StackTrace("too late".into()));
        pending.answered("a", &nonce, ClientAnswer::StackTrace("main".into()));
        assert_eq!(answer.await, Ok(ClientAnswer::StackTrace("main".into())));
        pending.answered("a", &nonce, ClientAnswer::StackTrace("twice".into()));
        let (nonce, answer) = pending.ask("a").unwrap();
        pending.forget(&nonce);
        assert!(answer.await.is_err());
    }
}
