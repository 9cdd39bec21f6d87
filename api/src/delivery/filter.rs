//! Tag filters.

use proto::v2::{FilterExpression, FilterType};
use raft::hash::hash64;
use raft::request::TagFilter;

use crate::convert::status::Fault;
use crate::limits::FILTER_TAGS_MAX;

/// Reads a filter: tags separated by `||`, each trimmed; nothing or `*` is all.
///
/// # Errors
/// [`Fault::IllegalFilter`] for too many tags, [`Fault::NotImplemented`] for SQL.
pub fn parse(expression: Option<&FilterExpression>) -> Result<TagFilter, Fault> {
    let Some(expression) = expression else { return Ok(TagFilter::All) };
    match expression.r#type() {
        FilterType::Sql => return Err(Fault::NotImplemented("a SQL92 filter")),
        FilterType::Tag | FilterType::Unspecified => {}
    }
    let text = expression.expression.trim();
    if text.is_empty() || text == "*" {
        return Ok(TagFilter::All);
    }
    let mut hashes: Vec<u64> = text
        .split("||")
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
        .map(|tag| hash64(tag.as_bytes()))
        .collect();
    if hashes.is_empty() {
        return Err(Fault::IllegalFilter(format!("the filter {text:?} names no tag")));
    }
    if hashes.len() > FILTER_TAGS_MAX {
        let count = hashes.len();
        return Err(Fault::IllegalFilter(format!(
            "the filter names {count} tags; at most {FILTER_TAGS_MAX} are allowed"
        )));
    }
    hashes.sort_unstable();
    hashes.dedup();
    Ok(TagFilter::AnyOf(hashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TagFilter, Fault> {
        parse(Some(&FilterExpression { r#type: FilterType::Tag as i32, expression: text.into() }))
    }

    fn any(tags: &[&str]) -> TagFilter {
        let mut hashes: Vec<_> = tags.iter().map(|tag| hash64(tag.as_bytes())).collect();
        hashes.sort_unstable();
        TagFilter::AnyOf(hashes)
    }

    #[test]
    fn nothing_or_a_star_is_all() {
        assert_eq!(parse(None), Ok(TagFilter::All));
        for text in ["", "  ", "*", " * "] {
            assert_eq!(read(text), Ok(TagFilter::All), "{text:?}");
        }
    }

    #[test]
    fn tags_are_split_and_trimmed_and_stand_once() {
        assert_eq!(read("red"), Ok(any(&["red"])));
        assert_eq!(read(" red||blue || red|| "), Ok(any(&["red", "blue"])));
    }

    #[test]
    fn what_cannot_be_a_filter_is_refused() {
        assert!(matches!(read("||"), Err(Fault::IllegalFilter(_))));
        let many = (0..=FILTER_TAGS_MAX).map(|tag| tag.to_string()).collect::<Vec<_>>().join("||");
        assert!(matches!(read(&many), Err(Fault::IllegalFilter(_))));
        let sql = FilterExpression { r#type: FilterType::Sql as i32, expression: "a = 1".into() };
        assert!(matches!(parse(Some(&sql)), Err(Fault::NotImplemented(_))));
    }
}
