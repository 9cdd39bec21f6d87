//! A message is with one consumer at a time (property 12): by the log's time no lease begins before the one before it
//! has ended.

use std::collections::BTreeMap;

use crate::history::{Got, History};

pub fn check(history: &History) -> Result<(), String> {
    let mut leases: BTreeMap<(u32, &str), Vec<&Got>> = BTreeMap::new();
    for got in &history.got {
        leases.entry((got.consumer, &got.id)).or_default().push(got);
    }
    for ((_, id), mut gots) in leases {
        gots.sort_by_key(|got| (got.leased_ms, got.attempt));
        for pair in gots.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            // The same delivery, told twice: a request that was repeated.
            let same = before.leased_ms == after.leased_ms && before.attempt == after.attempt;
            if !same && (after.leased_ms.0 < before.leased_ms.1 || after.attempt <= before.attempt) {
                return Err(format!("{id} was leased twice at once: {before:?} and {after:?}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::tests::got;

    #[test]
    fn a_second_lease_within_the_first_is_seen() {
        let mut second = got("a", 0, 10, 20);
        second.attempt = 2;
        let mut history = History { got: vec![got("a", 0, 0, 10), second], ..History::default() };
        check(&history).expect("it holds");
        history.got[1].leased_ms.0 = 9;
        assert!(check(&history).unwrap_err().contains("leased twice"));
    }
}
