//! A state that lasts, for the log: said when it begins, now and then while it lasts, and when it ends.

use tokio::time::Instant;

use crate::limits::SAID_AGAIN_AFTER;

/// When the state was said last; nothing while it does not hold.
#[derive(Debug, Default)]
pub(super) struct Lasting {
    said: Option<Instant>,
}

impl Lasting {
    /// The state holds: whether to say so.
    pub(super) fn holds(&mut self, now: Instant) -> bool {
        let due = self.said.is_none_or(|said| now >= said + SAID_AGAIN_AFTER);
        if due {
            self.said = Some(now);
        }
        due
    }

    /// The state does not hold: whether it did, so that its end is to be said.
    pub(super) fn is_over(&mut self) -> bool {
        self.said.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_state_is_said_at_its_beginning_now_and_then_and_at_its_end() {
        let start = Instant::now();
        let mut state = Lasting::default();
        assert!(!state.is_over(), "it never held");
        let said = (0..1_500).filter(|second| state.holds(start + Duration::from_secs(*second)));
        assert_eq!(said.collect::<Vec<_>>(), [0, 600, 1_200]);
        assert!(state.is_over() && !state.is_over());
        assert!(state.holds(start), "it holds again");
    }
}
