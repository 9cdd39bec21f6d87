//! Half a transaction comes when it is committed, and never otherwise (property 10).

use std::collections::BTreeMap;

use crate::history::{Ended, Ending, History, Kind};

pub fn check(history: &History) -> Result<(), String> {
    let ended: BTreeMap<&str, &Ended> =
        history.ended.iter().map(|ended| (ended.id.as_str(), ended)).collect();
    let halves = history.sent.iter().filter(|sent| sent.kind == Kind::Half).map(|sent| sent.id.as_str());
    for id in halves {
        let first = history.got.iter().filter(|got| got.id == id).min_by_key(|got| got.at);
        match (ended.get(id), first) {
            (None, Some(got)) => return Err(format!("nobody committed {id}, and it came: {got:?}")),
            (Some(ended), Some(got)) if !ended.commit || got.at < ended.begun => {
                return Err(format!("{id} came, by {got:?}, with {ended:?}"));
            }
            (Some(ended), None) if ended.commit && ended.ending == Ending::Done(()) => {
                return Err(format!("{id} was committed, and is lost: {ended:?}"));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::tests::{at, got, sent};

    #[test]
    fn one_that_comes_uncommitted_and_one_that_is_lost_are_seen() {
        let ended = Ended { id: "a".into(), commit: true, begun: at(1), ending: Ending::Done(()) };
        let mut history = History {
            sent: vec![sent("a", Kind::Half, 0)],
            got: vec![got("a", 0, 0, 10)],
            ended: vec![ended],
            ..History::default()
        };
        check(&history).expect("it is committed");
        history.ended[0].begun = at(2);
        assert!(check(&history).unwrap_err().contains("came, by"));
        let ended = history.ended.remove(0);
        assert!(check(&history).unwrap_err().contains("nobody committed"));
        history.ended.push(ended);
        history.got.clear();
        assert!(check(&history).unwrap_err().contains("lost"));
        history.ended[0].commit = false;
        check(&history).expect("it was rolled back");
    }
}
