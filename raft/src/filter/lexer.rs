//! From characters to the words of a filter.

use super::number::Number;
use super::{SqlError, SqlFault};

/// A word of a filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// A keyword, or a property's name.
    Name(String),
    /// A number without its sign.
    Number(Number),
    /// One above the largest integer: only its negative is one.
    IntegerEnd,
    /// A text, without its quotes.
    Text(String),
    /// `=`, `<>`, `<`, `<=`, `>`, `>=`, `+`, `-`, `(`, `)` or `,`.
    Sign(&'static str),
    /// Behind the last word.
    End,
}

impl Word {
    /// As an error calls it.
    pub(super) fn describe(&self) -> String {
        match self {
            Word::Name(name) => name.clone(),
            Word::Number(number) => number.to_string(),
            Word::IntegerEnd => i64::MIN.unsigned_abs().to_string(),
            Word::Text(text) => format!("'{text}'"),
            Word::Sign(sign) => (*sign).to_owned(),
            Word::End => "the end of the filter".to_owned(),
        }
    }
}

/// A word and the character, counted from 1, at which it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub character: usize,
    pub word: Word,
}

/// The longer ones first: `<=` is not `<` and `=`.
const SIGNS: [&str; 11] = ["<>", "<=", ">=", "=", "<", ">", "+", "-", "(", ")", ","];

/// The words of `text`; the last one is [`Word::End`]. No more than one for each byte.
pub(super) fn words(text: &str) -> Result<Vec<Place>, SqlError> {
    let mut lexer = Lexer { rest: text, character: 1 };
    let mut places = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let character = lexer.character;
        let word = lexer.word()?;
        let last = word == Word::End;
        places.push(Place { character, word });
        if last {
            return Ok(places);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    /// The number of the first one of `rest`.
    character: usize,
}

impl<'a> Lexer<'a> {
    fn error<T>(&self, fault: SqlFault) -> Result<T, SqlError> {
        Err(SqlError { character: self.character, fault })
    }

    /// Takes `bytes` of the rest.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.character += taken.chars().count();
        self.rest = rest;
        taken
    }

    fn skip_blanks(&mut self) -> Result<(), SqlError> {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.take(blanks);
            if self.rest.starts_with("--") {
                let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
                self.take(end);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                let Some(end) = comment.find("*/") else { return self.error(SqlFault::OpenComment) };
                self.take(end + 4);
            } else {
                return Ok(());
            }
        }
    }

    fn word(&mut self) -> Result<Word, SqlError> {
        let Some(first) = self.rest.chars().next() else { return Ok(Word::End) };
        if first == '\'' {
            return self.text();
        }
        if is_letter(first) {
            let end = self.rest.find(|next| !is_letter(next) && !next.is_ascii_digit());
            return Ok(Word::Name(self.take(end.unwrap_or(self.rest.len())).to_owned()));
        }
        let second_is_digit = self.rest[first.len_utf8()..].starts_with(|next: char| next.is_ascii_digit());
        if first.is_ascii_digit() || (first == '.' && second_is_digit) {
            return self.number();
        }
        match SIGNS.into_iter().find(|sign| self.rest.starts_with(sign)) {
            Some(sign) => {
                self.take(sign.len());
                Ok(Word::Sign(sign))
            }
            None => self.error(SqlFault::Character(first)),
        }
    }

    /// A text: `''` inside it is one `'`.
    fn text(&mut self) -> Result<Word, SqlError> {
        let mut text = String::new();
        let mut at = 1;
        loop {
            let Some(end) = self.rest[at..].find('\'') else { return self.error(SqlFault::OpenText) };
            text.push_str(&self.rest[at..at + end]);
            at += end + 1;
            if !self.rest[at..].starts_with('\'') {
                self.take(at);
                return Ok(Word::Text(text));
            }
            text.push('\'');
            at += 1;
        }
    }

    /// Everything that looks as if it belonged to the number is one, or an error: `1x` is not two words.
    fn number(&mut self) -> Result<Word, SqlError> {
        let mut end = 0;
        for (at, next) in self.rest.char_indices() {
            let sign = matches!(next, '+' | '-') && self.rest[..at].ends_with(['e', 'E']);
            if !(next.is_ascii_digit() || next == '.' || is_letter(next) || sign) {
                break;
            }
            end = at + next.len_utf8();
        }
        let spelled = &self.rest[..end];
        let word = match is_integer(spelled) {
            Some(digits) => match digits.parse::<u64>() {
                Ok(integer) if integer == i64::MIN.unsigned_abs() => Word::IntegerEnd,
                Ok(integer) if integer < i64::MIN.unsigned_abs() => {
                    Word::Number(Number::Integer(integer as i64))
                }
                _ => return self.error(SqlFault::NumberRange(shorten(spelled))),
            },
            None => match spelled.parse::<f64>() {
                Ok(_) if is_octal(spelled) => return self.error(SqlFault::BadNumber(shorten(spelled))),
                Ok(float) if float.is_finite() => Word::Number(Number::Float(float)),
                Ok(_) => return self.error(SqlFault::NumberRange(shorten(spelled))),
                Err(_) => return self.error(SqlFault::BadNumber(shorten(spelled))),
            },
        };
        self.take(end);
        Ok(word)
    }
}

/// The digits of an integer: 0, or digits that do not begin with 0; an `L` may follow them.
fn is_integer(spelled: &str) -> Option<&str> {
    let digits = spelled.strip_suffix(['l', 'L']).unwrap_or(spelled);
    let all = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    (all && (digits == "0" || !digits.starts_with('0'))).then_some(digits)
}

/// Digits alone that begin with 0 mean another number to some readers, so they mean none here.
fn is_octal(spelled: &str) -> bool {
    spelled.bytes().all(|digit| digit.is_ascii_digit())
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphabetic() || letter == '_' || letter == '$'
}

/// So that an error's sentence stays one.
fn shorten(spelled: &str) -> String {
    match spelled.char_indices().nth(32) {
        Some((end, _)) => format!("{}...", &spelled[..end]),
        None => spelled.to_owned(),
    }
}
