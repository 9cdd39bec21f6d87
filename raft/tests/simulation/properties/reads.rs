//! An answer knows all that was acknowledged before the question (property 3): no leader that was deposed answers.

use crate::history::History;

pub fn check(history: &History) -> Result<(), String> {
    match history.reads.iter().find(|read| read.end < read.acked_end) {
        Some(read) => Err(format!("an answer is from the past of {:?}: {read:?}", read.queue)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Read;
    use crate::properties::tests::QUEUE;

    #[test]
    fn an_answer_from_the_past_is_seen() {
        let mut history = History::default();
        history.reads.push(Read { queue: QUEUE, acked_end: 3, end: 3 });
        check(&history).expect("it holds");
        history.reads[0].end = 2;
        assert!(check(&history).unwrap_err().contains("past"));
    }
}
