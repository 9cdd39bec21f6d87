//! Message ids as the state machine compares them.

use raft::hash::{hash64, hash128};
use raft::limits::{FIND_AFTER_BIRTH_MS, FIND_BEFORE_BIRTH_MS};
use raft::question::By;

/// 2021-01-01, from which official ids count their seconds, in milliseconds since 1970.
const ID_EPOCH_MS: u64 = 1_609_459_200_000;
/// An id that is older when its message comes does not help to find it.
const AGE_MS_MAX: u64 = 60_000;
/// Nor one that lies farther ahead: the clock of its maker is ahead of ours.
const AHEAD_MS_MAX: u64 = 1_000;
// What comes within them is found by a search for the id, also when it is stored a while later, or by a leader whose
// clock differs a little.
const _: () = assert!(AHEAD_MS_MAX * 2 <= FIND_BEFORE_BIRTH_MS && AGE_MS_MAX * 2 <= FIND_AFTER_BIRTH_MS);

/// 128 bits that stand for a message id in the dedup window, never 0.
///
/// An official id is 17 bytes in hex: version 1, then MAC, process, second and sequence. Those 16
/// bytes are already unique; an id of any other shape is hashed.
pub fn dedup_key(message_id: &str) -> u128 {
    match official(message_id.as_bytes()) {
        Some(0) | None => hash128(message_id.as_bytes()),
        Some(bytes) => bytes,
    }
}

/// 128 bits that stand for what a message is by one of its properties.
pub fn business_key(property: &str, value: &str) -> u128 {
    // The length keeps apart what is name and what is value.
    let text = format!("{}\0{property}\0{value}", property.len());
    hash128(text.as_bytes())
}

/// The second in which an official id was made, in milliseconds since 1970.
pub fn born_ms(message_id: &str) -> Option<u64> {
    let seconds = (official(message_id.as_bytes())? >> 32) as u32;
    Some(ID_EPOCH_MS + u64::from(seconds) * 1_000)
}

/// The hash under which a message is found by its id, where the id does not tell when it came.
/// No key of a message has the same: keys have no control characters.
pub fn index_hash(message_id: &str) -> u64 {
    hash64(&[b"\0id\0", message_id.as_bytes()].concat())
}

/// Whether a message that comes at `now_ms` by the log's clock is found by the second of birth in its id alone.
pub fn tells_when_it_came(message_id: &str, now_ms: u64) -> bool {
    let fits = |born_ms: u64| born_ms <= now_ms + AHEAD_MS_MAX && now_ms <= born_ms + AGE_MS_MAX;
    born_ms(message_id).is_some_and(fits)
}

/// A search by id.
pub fn by_id(message_id: &str) -> By {
    By::Id {
        id: message_id.to_owned(),
        dedup: dedup_key(message_id),
        hash: index_hash(message_id),
        born_ms: born_ms(message_id),
    }
}

fn official(id: &[u8]) -> Option<u128> {
    let (version, rest) = id.split_at_checked(2)?;
    if id.len() != 34 || version != b"01" {
        return None;
    }
    rest.iter().try_fold(0u128, |bytes, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        Some((bytes << 4) | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_official_id_is_its_own_key() {
        let key = dedup_key("01FFEEDDCCBBAA00112233445566778899");
        assert_eq!(key, 0xFFEE_DDCC_BBAA_0011_2233_4455_6677_8899);
        assert_eq!(key, dedup_key("01ffeeddccbbaa00112233445566778899"));
    }

    #[test]
    fn a_business_key_counts_with_its_property() {
        let key = business_key("order", "7");
        assert_eq!(key, business_key("order", "7"));
        for (property, value) in [("order", "8"), ("orde", "r7"), ("customer", "7")] {
            assert_ne!(key, business_key(property, value), "{property}={value}");
        }
    }

    #[test]
    fn an_official_id_tells_its_second_of_birth() {
        let id = "01FFEEDDCCBBAA00110000000500000001";
        assert_eq!(born_ms(id), Some(ID_EPOCH_MS + 5_000));
        for (came_ms, tells) in [(3_900, false), (4_000, true), (64_000, true), (66_000, false)] {
            assert_eq!(tells_when_it_came(id, ID_EPOCH_MS + came_ms), tells, "at {came_ms}");
        }
        assert_eq!(born_ms("order-7"), None);
        assert_ne!(index_hash("order-7"), hash64(b"order-7"), "a key with the same text is another one");
    }

    #[test]
    fn any_other_shape_is_hashed() {
        for id in ["a", "02FFEEDDCCBBAA00112233445566778899", "01FFEEDDCCBBAA0011223344556677889G", "é"] {
            assert_eq!(dedup_key(id), hash128(id.as_bytes()), "{id}");
        }
    }
}
