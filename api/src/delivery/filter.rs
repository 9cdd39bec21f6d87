//! Filters: tags, or SQL92.

use bytes::Bytes;
use proto::v2::{FilterExpression, FilterType};
use raft::filter::SqlFilter;
use raft::hash::hash64;
use raft::request::Filter;

use crate::convert::status::Fault;
use crate::limits::FILTER_TAGS_MAX;

/// Reads a filter: tags separated by `||`, each trimmed; nothing or `*` is all.
///
/// # Errors
/// [`Fault::IllegalFilter`] for too many tags, and for SQL that is none.
pub fn parse(expression: Option<&FilterExpression>) -> Result<Filter, Fault> {
    let Some(expression) = expression else { return Ok(Filter::All) };
    match expression.r#type() {
        FilterType::Sql => return sql(&expression.expression),
        FilterType::Tag | FilterType::Unspecified => {}
    }
    let text = expression.expression.trim();
    if text.is_empty() || text == "*" {
        return Ok(Filter::All);
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
    Ok(Filter::AnyOf(hashes))
}

/// Whether a filter, as a client gave it, lets a message through; one that is none lets all through.
pub fn lets_through(expression: &FilterExpression, tag_hash: u64, record: &Bytes) -> bool {
    match parse(Some(expression)) {
        Ok(Filter::Sql(text)) => SqlFilter::parse(&text).is_ok_and(|filter| filter.wants(record)),
        Ok(Filter::AnyOf(hashes)) => hashes.contains(&tag_hash),
        Ok(Filter::All) | Err(_) => true,
    }
}

/// Reads a SQL92 filter. It travels as text: the leader of each broker group reads it again.
fn sql(text: &str) -> Result<Filter, Fault> {
    match SqlFilter::parse(text) {
        Ok(_) => Ok(Filter::Sql(text.into())),
        Err(error) => Err(Fault::IllegalFilter(format!("the filter is not valid SQL92: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Filter, Fault> {
        parse(Some(&FilterExpression { r#type: FilterType::Tag as i32, expression: text.into() }))
    }

    fn any(tags: &[&str]) -> Filter {
        let mut hashes: Vec<_> = tags.iter().map(|tag| hash64(tag.as_bytes())).collect();
        hashes.sort_unstable();
        Filter::AnyOf(hashes)
    }

    #[test]
    fn nothing_or_a_star_is_all() {
        assert_eq!(parse(None), Ok(Filter::All));
        for text in ["", "  ", "*", " * "] {
            assert_eq!(read(text), Ok(Filter::All), "{text:?}");
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
    }

    #[test]
    fn sql_is_read_and_errors_say_where() {
        let read = |text: &str| {
            parse(Some(&FilterExpression { r#type: FilterType::Sql as i32, expression: text.into() }))
        };
        assert_eq!(read("a = 1"), Ok(Filter::Sql("a = 1".into())));
        let Err(Fault::IllegalFilter(sentence)) = read("a >> 1") else { panic!("it is refused") };
        assert_eq!(
            sentence,
            "the filter is not valid SQL92: at character 4: a property, a number, a text or a condition \
             must stand here, not >"
        );
        assert!(matches!(read(""), Err(Fault::IllegalFilter(_))));
    }
}
