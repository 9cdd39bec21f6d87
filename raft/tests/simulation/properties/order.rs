//! In a consumer group that keeps order, the messages of a message group come one after the other (property 8): a later
//! one comes only when the earlier ones are settled, failovers included.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Got, History, Kind};

/// The consumer group that keeps order: the second one that is made.
const ORDERED: u32 = 2;

pub fn check(history: &History) -> Result<(), String> {
    let orders: BTreeMap<&str, u64> = history
        .sent
        .iter()
        .filter_map(|sent| match sent.kind {
            Kind::Ordered(order) => Some((sent.id.as_str(), order)),
            _ => None,
        })
        .collect();
    let mut groups: BTreeMap<u64, Vec<&Got>> = BTreeMap::new();
    for got in history.got.iter().filter(|got| got.consumer == ORDERED) {
        if let Some(order) = orders.get(got.id.as_str()) {
            groups.entry(*order).or_default().push(got);
        }
    }
    groups.values_mut().try_for_each(|gots| in_order(history, gots))
}

fn in_order(history: &History, gots: &mut [&Got]) -> Result<(), String> {
    gots.sort_by_key(|got| (got.leased_ms, got.offset));
    // What was given so far, and by when it was given last.
    let mut given: Vec<&Got> = Vec::new();
    for got in gots {
        // Settled, as far as anybody may know: an attempt to settle it began before this one came.
        let settled: BTreeSet<&str> = history
            .settled
            .iter()
            .filter(|settled| settled.consumer == ORDERED && settled.begun < got.at)
            .map(|settled| settled.id.as_str())
            .collect();
        let open = |before: &&&Got| before.id != got.id && !settled.contains(before.id.as_str());
        for before in given.iter().filter(open) {
            // In one batch they may come together.
            if before.leased_ms != got.leased_ms && got.leased_ms.0 < before.leased_ms.1 {
                return Err(format!("two of a message group are out at once: {before:?} and {got:?}"));
            }
            if before.leased_ms != got.leased_ms && got.offset > before.offset {
                return Err(format!("{got:?} came although {before:?} is not settled"));
            }
        }
        given.retain(|before| before.id != got.id);
        given.push(got);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::tests::{at, got, sent, settled};

    #[test]
    fn a_second_one_that_is_out_too_early_is_seen() {
        let mut history = History {
            sent: vec![sent("a", Kind::Ordered(0), 0), sent("b", Kind::Ordered(0), 1)],
            got: vec![got("a", 0, 0, 10), got("b", 1, 5, 15)],
            settled: vec![settled("a", 1, 2)],
            ..History::default()
        };
        history.got.iter_mut().for_each(|got| got.consumer = ORDERED);
        history.settled[0].consumer = ORDERED;
        history.got[1].at = at(3);
        check(&history).expect("the first one is settled before the second one comes");
        history.settled.clear();
        assert!(check(&history).unwrap_err().contains("out at once"));
        history.got[1].leased_ms = (11, 20);
        assert!(check(&history).unwrap_err().contains("not settled"));
        history.got[1].leased_ms = (0, 10);
        check(&history).expect("they came in one batch");
    }
}
