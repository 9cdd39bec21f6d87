//! Nothing comes before it is due, by the log's time (property 11).

use std::collections::BTreeMap;

use crate::history::{History, Kind};

pub fn check(history: &History) -> Result<(), String> {
    let due: BTreeMap<&str, u64> = history
        .sent
        .iter()
        .filter_map(|sent| match sent.kind {
            Kind::Delayed(due_ms) => Some((sent.id.as_str(), due_ms)),
            _ => None,
        })
        .collect();
    let early =
        history.got.iter().find(|got| due.get(got.id.as_str()).is_some_and(|due| got.leased_ms.0 < *due));
    match early {
        Some(got) => Err(format!("{got:?} came before {}", due[got.id.as_str()])),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::tests::{got, sent};

    #[test]
    fn one_that_is_early_is_seen() {
        let sent = vec![sent("a", Kind::Delayed(5), 0)];
        let mut history = History { sent, got: vec![got("a", 0, 5, 10)], ..History::default() };
        check(&history).expect("it is due");
        history.got[0].leased_ms.0 = 4;
        assert!(check(&history).unwrap_err().contains("came before"));
    }
}
