//! Names of topics and consumer groups.

use crate::check::reserved;
use crate::convert::name::{DEAD_LETTERS, RETRIES};
use crate::convert::status::Fault;
use crate::limits::{
    GROUP_NAME_BYTES_MAX, SYSTEM_TOPIC_NAME_BYTES_MAX, TOPIC_NAME_BYTES_MAX, USER_NAME_BYTES_MAX,
};

/// Whether a topic may have this name.
///
/// # Errors
/// [`Fault::IllegalTopic`] with a sentence.
pub fn topic(name: &str) -> Result<(), Fault> {
    let illegal = |why: String| Err(Fault::IllegalTopic(why));
    if name.trim().is_empty() {
        return illegal("the topic's name is blank".into());
    }
    let longest = match is_system_topic(name) {
        true => SYSTEM_TOPIC_NAME_BYTES_MAX,
        false => TOPIC_NAME_BYTES_MAX,
    };
    if name.len() > longest {
        let length = name.len();
        return illegal(format!("the topic's name has {length} bytes; at most {longest} are allowed"));
    }
    if let Some(odd) = name.chars().find(|letter| !is_name_letter(*letter)) {
        return illegal(format!(
            "the topic's name contains {odd:?}; allowed are letters, digits, '_', '-', '%' and '|'"
        ));
    }
    if reserved::TOPIC_NAMES.contains(&name) || name.starts_with(reserved::TOPIC_PREFIX) {
        return illegal(format!("{name} is a system topic"));
    }
    Ok(())
}

/// Whether a user may have this name: it is the access key of its clients, and stands in a header.
///
/// # Errors
/// [`Fault::BadRequest`] with a sentence.
pub fn user(name: &str) -> Result<(), Fault> {
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || b"_-.".contains(&letter);
    let begins = name.bytes().next().is_some_and(|letter| letter.is_ascii_alphanumeric());
    match begins && name.len() <= USER_NAME_BYTES_MAX && name.bytes().all(fits) {
        true => Ok(()),
        false => Err(Fault::BadRequest(format!(
            "{name:?} is no name for a user: it has 1 to {USER_NAME_BYTES_MAX} letters, digits, '_', '-' and '.', and \
             begins with a letter or a digit"
        ))),
    }
}

/// Whether a consumer group may have this name.
///
/// # Errors
/// [`Fault::IllegalGroup`] with a sentence.
pub fn group(name: &str) -> Result<(), Fault> {
    let illegal = |why: String| Err(Fault::IllegalGroup(why));
    if name.trim().is_empty() {
        return illegal("the consumer group's name is blank".into());
    }
    if name.len() > GROUP_NAME_BYTES_MAX {
        let length = name.len();
        return illegal(format!(
            "the consumer group's name has {length} bytes; at most {GROUP_NAME_BYTES_MAX} are allowed"
        ));
    }
    if let Some(odd) = name.chars().find(|letter| !is_name_letter(*letter)) {
        return illegal(format!(
            "the consumer group's name contains {odd:?}; allowed are letters, digits, '_', '-', '%' and '|'"
        ));
    }
    if name.starts_with(reserved::GROUP_PREFIX) {
        return illegal(format!("{name} is a system consumer group"));
    }
    Ok(())
}

/// Whether the topic belongs to a consumer group (its dead letters or retries): longer names, and
/// never made by a client's first use.
pub fn is_system_topic(name: &str) -> bool {
    name.starts_with(DEAD_LETTERS) || name.starts_with(RETRIES)
}

fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '%' | '|' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_checked_against_each_limit() {
        let long = "t".repeat(127);
        for good in ["orders", "a%b|c_d-E9", long.as_str(), &format!("%DLQ%{long}{}", "x".repeat(100))] {
            assert_eq!(topic(good), Ok(()), "{good}");
        }
        let longer = "t".repeat(128);
        for bad in ["", "  ", longer.as_str(), "a b", "ü", "a.b", "TBW102", "rmq_sys_x", &"%DLQ%".repeat(60)]
        {
            assert!(matches!(topic(bad), Err(Fault::IllegalTopic(_))), "{bad}");
        }
    }

    #[test]
    fn groups_are_checked_against_each_limit() {
        assert_eq!(group(&"g".repeat(120)), Ok(()));
        for bad in ["", " ", &"g".repeat(121), "a/b", "CID_RMQ_SYS_x"] {
            assert!(matches!(group(bad), Err(Fault::IllegalGroup(_))), "{bad}");
        }
    }
}
