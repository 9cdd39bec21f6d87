//! What a client says about itself in free form.

use std::collections::HashMap;

use crate::convert::status::Fault;
use crate::limits::{
    CLIENT_PROPERTIES_BYTES_MAX, CLIENT_PROPERTIES_MAX, CLIENT_PROPERTY_KEY_BYTES_MAX,
    CLIENT_PROPERTY_VALUE_BYTES_MAX,
};

/// Checks the properties against their limits.
///
/// # Errors
/// [`Fault::InvalidClientProperties`] with a sentence.
pub fn check(properties: &HashMap<String, String>) -> Result<(), Fault> {
    let invalid = |why: String| Err(Fault::InvalidClientProperties(why));
    if properties.len() > CLIENT_PROPERTIES_MAX {
        let count = properties.len();
        return invalid(format!("{count} client properties; at most {CLIENT_PROPERTIES_MAX} are allowed"));
    }
    let mut bytes = 0;
    for (key, value) in properties {
        if !is_key(key) {
            return invalid(format!(
                "the client property {key:?} must be a letter and then up to {} letters, digits, '_', '.' or '-'",
                CLIENT_PROPERTY_KEY_BYTES_MAX - 1
            ));
        }
        if value.len() > CLIENT_PROPERTY_VALUE_BYTES_MAX {
            let length = value.len();
            return invalid(format!(
                "the client property {key} has {length} bytes; at most {CLIENT_PROPERTY_VALUE_BYTES_MAX} are allowed"
            ));
        }
        bytes += key.len() + value.len();
    }
    if bytes > CLIENT_PROPERTIES_BYTES_MAX {
        return invalid(format!(
            "the client properties have {bytes} bytes; at most {CLIENT_PROPERTIES_BYTES_MAX} are allowed"
        ));
    }
    Ok(())
}

fn is_key(key: &str) -> bool {
    let mut letters = key.chars();
    key.len() <= CLIENT_PROPERTY_KEY_BYTES_MAX
        && letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<(), Fault> {
        check(&pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }

    #[test]
    fn each_limit_is_checked() {
        assert_eq!(of(&[("zone.a-1_x", &"v".repeat(256)), (&"k".repeat(64), "")]), Ok(()));
        for bad in ["", "1a", "a b", "é", &"k".repeat(65)] {
            assert!(of(&[(bad, "")]).is_err(), "{bad}");
        }
        assert!(of(&[("k", &"v".repeat(257))]).is_err());
        let many: HashMap<_, _> = (0..33).map(|number| (format!("k{number}"), String::new())).collect();
        assert!(check(&many).is_err());
        let long: HashMap<_, _> = (0..17).map(|number| (format!("k{number}"), "v".repeat(256))).collect();
        assert!(check(&long).is_err(), "17 x 256 bytes are more than 4 KiB");
    }
}
