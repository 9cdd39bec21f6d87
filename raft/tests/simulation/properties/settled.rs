//! What was settled does not come again, and what was not held any more is not settled (property 13).

use std::collections::BTreeMap;
use std::time::Duration;

use super::LATE;
use crate::history::{Ending, History};
use crate::workload::INVISIBLE;

pub fn check(history: &History) -> Result<(), String> {
    let mut settled: BTreeMap<(u32, &str), Duration> = BTreeMap::new();
    for one in history.settled.iter().filter(|one| one.ending == Ending::Done(())) {
        if one.begun > one.given + INVISIBLE + LATE {
            return Err(format!("{one:?}: the lease was long over"));
        }
        let ended = settled.entry((one.consumer, &one.id)).or_insert(one.ended);
        *ended = (*ended).min(one.ended);
    }
    for got in &history.got {
        let Some(ended) = settled.get(&(got.consumer, got.id.as_str())) else { continue };
        if got.begun > *ended {
            return Err(format!("{} was settled at {ended:?}, and came again: {got:?}", got.id));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::tests::{at, got, settled};

    #[test]
    fn a_message_that_comes_again_is_seen() {
        let mut history = History {
            settled: vec![settled("a", 1, 1)],
            got: vec![got("a", 0, 0, 10)],
            ..History::default()
        };
        check(&history).expect("it holds");
        history.got[0].begun = at(3);
        assert!(check(&history).unwrap_err().contains("came again"));
        history.settled[0].ending = Ending::Unknown(String::new());
        check(&history).expect("nobody was told that it is settled");
    }

    #[test]
    fn a_receipt_that_is_too_old_is_seen() {
        let late = (INVISIBLE + LATE).as_millis() as u64 + 2;
        let mut history = History { settled: vec![settled("a", 1, late)], ..History::default() };
        assert!(check(&history).unwrap_err().contains("long over"));
        history.settled[0].ending = Ending::Refused(String::new());
        check(&history).expect("it was refused");
    }
}
