//! What became of the sends whose outcome nobody knew.

use serde::{Deserialize, Serialize};

use super::{Evidence, Fate, MessageNumber};
use crate::history::{Outcome, Place, Symbol};

/// What became of a message none of whose sends was confirmed, and at least one left unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It took effect: it is at this place.
    At(Place),
    /// It is in a log, and has no place that was seen (a half message, a delayed one).
    Logged,
    /// It did not take effect: everything was read, and it is nowhere.
    Absent,
    /// Not enough was read to say.
    Open,
}

/// How many of them there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// See [`Resolution::At`].
    pub at_a_place: u64,
    /// See [`Resolution::Logged`].
    pub logged: u64,
    /// See [`Resolution::Absent`].
    pub absent: u64,
    /// See [`Resolution::Open`].
    pub open: u64,
}

impl Evidence<'_> {
    /// Every message whose sends were left unknown, with what became of it.
    pub fn resolutions(&self) -> impl Iterator<Item = (Symbol, Resolution)> + '_ {
        (0..self.messages.len() as MessageNumber).filter_map(|number| {
            let outcomes = || self.sends_of(number).map(|send| send.outcome);
            if outcomes().any(|outcome| outcome == Outcome::Ok) || outcomes().all(|one| one == Outcome::Fail)
            {
                return None;
            }
            let resolution = match self.fate(number) {
                Fate::At(place) => Resolution::At(place),
                Fate::Logged => Resolution::Logged,
                Fate::Absent => Resolution::Absent,
                Fate::Unknown => Resolution::Open,
            };
            Some((self.messages[number as usize].id, resolution))
        })
    }

    /// Counts them.
    pub fn resolved(&self) -> Resolved {
        let mut resolved = Resolved::default();
        for (_, resolution) in self.resolutions() {
            match resolution {
                Resolution::At(_) => resolved.at_a_place += 1,
                Resolution::Logged => resolved.logged += 1,
                Resolution::Absent => resolved.absent += 1,
                Resolution::Open => resolved.open += 1,
            }
        }
        resolved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, send};

    #[test]
    fn unknown_sends_are_resolved_by_the_final_reads() {
        let mut story = Story::new();
        story.op(send("there").info()).op(send("gone").info()).op(send("logged").info());
        story.op(send("refused").fail()).op(send("retried").info()).op(send("retried"));
        story.store("there", 0, 0).record(&[1], "logged", 1);
        let history = story.history();
        let open = Resolved { at_a_place: 1, logged: 1, absent: 0, open: 1 };
        assert_eq!(Evidence::new(&history).resolved(), open);
        story.read_queue(0, 0, 1);
        let history = story.history();
        let all = Resolved { at_a_place: 1, logged: 1, absent: 1, open: 0 };
        assert_eq!(Evidence::new(&history).resolved(), all);
    }
}
