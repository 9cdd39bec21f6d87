//! What was acked is there, once, where it was said to be, and was sent (properties 1, 2, 3, 9).

use std::collections::{BTreeMap, BTreeSet};

use raft::names::QueueKey;

use crate::history::{Ending, History, Kind};

type Places<'a> = BTreeMap<&'a str, (QueueKey, u64)>;

pub fn check(history: &History) -> Result<(), String> {
    let mut at: BTreeMap<(QueueKey, u64), &str> = BTreeMap::new();
    let mut of = Places::new();
    let mut by: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
    let sent: BTreeSet<&str> = history.sent.iter().map(|sent| sent.id.as_str()).collect();
    for got in &history.got {
        let place = (got.queue, got.offset);
        if !sent.contains(got.id.as_str()) {
            return Err(format!("{} was never sent, but is at {place:?}", got.id));
        }
        let (id, known) = (at.entry(place).or_insert(&got.id), of.entry(&got.id).or_insert(place));
        if *id != got.id || *known != place {
            return Err(format!("{} is at {place:?}, where {id} is, and at {known:?}", got.id));
        }
        by.entry(got.consumer).or_default().insert(&got.id);
    }
    acked_is_there(history, &of)?;
    for (consumer, ids) in &by {
        if let Some(id) = of.keys().find(|id| !ids.contains(*id)) {
            return Err(format!("{id} is lost for consumer group {consumer}: others have got it"));
        }
    }
    dense(&at)
}

fn acked_is_there(history: &History, of: &Places<'_>) -> Result<(), String> {
    // Half a transaction is nothing yet: see the property of transactions.
    for sent in history.sent.iter().filter(|sent| sent.kind != Kind::Half) {
        let Ending::Done(place) = &sent.ending else { continue };
        match (of.get(sent.id.as_str()), place) {
            (None, _) => return Err(format!("{} was acked at {place:?}, and is lost", sent.id)),
            (Some(found), Some(place)) if found != place => {
                return Err(format!("{} was acked at {place:?}, and is at {found:?}", sent.id));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Offsets count without gaps.
fn dense(at: &BTreeMap<(QueueKey, u64), &str>) -> Result<(), String> {
    let mut due: BTreeMap<QueueKey, u64> = BTreeMap::new();
    for (queue, offset) in at.keys() {
        let due = due.entry(*queue).or_insert(0);
        if offset != due {
            return Err(format!("{queue:?} has a message at {offset}, and none at {due}"));
        }
        *due += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::tests::{got, sent};

    fn history(sent: Vec<crate::history::Sent>, got: Vec<crate::history::Got>) -> History {
        History { sent, got, ..History::default() }
    }

    #[test]
    fn a_lost_message_is_seen() {
        let messages = vec![sent("a", Kind::Plain, 0), sent("b", Kind::Plain, 1)];
        let mut history = history(messages, vec![got("a", 0, 0, 10), got("b", 1, 0, 10)]);
        check(&history).expect("it holds");
        history.got[1].consumer = 2;
        assert!(check(&history).unwrap_err().contains("lost for"));
        history.got.pop();
        assert!(check(&history).unwrap_err().contains("and is lost"));
    }

    #[test]
    fn a_gap_a_phantom_and_a_message_at_two_places_are_seen() {
        let mut history = history(vec![sent("a", Kind::Plain, 0)], vec![got("a", 1, 0, 10)]);
        assert!(check(&history).unwrap_err().contains("acked at"));
        history.sent[0].ending = Ending::Unknown(String::new());
        assert!(check(&history).unwrap_err().contains("none at 0"));
        history.got = vec![got("z", 0, 0, 10)];
        assert!(check(&history).unwrap_err().contains("never sent"));
        history.got = vec![got("a", 0, 0, 10), got("a", 1, 20, 30)];
        assert!(check(&history).unwrap_err().contains("and at"));
    }
}
