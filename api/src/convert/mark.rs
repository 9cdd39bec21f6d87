//! Where the next page of a search begins, as text that a client gives back.

use raft::question::Mark;

use crate::convert::status::Fault;

/// As text.
pub fn mark_text(mark: Mark) -> String {
    format!("{}.{}.{}", mark.stored_ms, mark.queue, mark.number)
}

/// From text; nothing for the first page.
///
/// # Errors
/// [`Fault::BadRequest`] for anything that [`mark_text`] did not write.
pub fn read_mark(text: &str) -> Result<Option<Mark>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let read = || {
        let mut parts = text.split('.');
        let stored_ms = parts.next()?.parse().ok()?;
        let queue = parts.next()?.parse().ok()?;
        let number = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Mark { stored_ms, queue, number })
    };
    let wrong = || Fault::BadRequest(format!("{text:?} is not what an earlier page ended with"));
    read().map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_rubbish_is_refused() {
        let mark = Mark { stored_ms: 1 << 41, queue: 7, number: 9 };
        assert_eq!(read_mark(&mark_text(mark)), Ok(Some(mark)));
        assert_eq!(read_mark(""), Ok(None));
        for wrong in ["x", "1", "1.2", "1.2.3.4", "1.2.-3", "1.99999999999.3"] {
            assert!(matches!(read_mark(wrong), Err(Fault::BadRequest(_))), "{wrong}");
        }
    }
}
