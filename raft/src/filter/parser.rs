//! From words to the tree: the grammar of [`super`], one function for each of its lines.

use super::lexer::{Place as At, Word, words};
use super::number::Number;
use super::tree::{Condition, Place, Relation, Term, Truth};
use super::{SqlError, SqlFault};
use crate::limits::{SQL_DEPTH_MAX, SQL_PARTS_MAX, SQL_TEXT_BYTES_MAX};

/// What may stand on a side of a comparison, or be a condition by itself.
enum Operand {
    /// A value.
    Term(Term),
    /// TRUE, FALSE, or a condition in parentheses.
    Condition(Condition),
    /// NULL.
    Null,
}

/// An operand and where it begins.
struct Placed {
    character: usize,
    operand: Operand,
}

struct Parser {
    words: Vec<At>,
    at: usize,
    depth: usize,
    parts: usize,
}

pub(super) fn parse(text: &str) -> Result<Condition, SqlError> {
    if text.len() > SQL_TEXT_BYTES_MAX {
        let fault = SqlFault::TooLong { bytes: text.len(), max: SQL_TEXT_BYTES_MAX };
        return Err(SqlError { character: 1, fault });
    }
    let mut parser = Parser { words: words(text)?, at: 0, depth: 0, parts: 0 };
    let condition = parser.condition()?.into_condition()?;
    match parser.word() {
        Word::End => Ok(condition),
        _ => parser.expected("AND, OR or the end of the filter"),
    }
}

impl Parser {
    fn word(&self) -> &Word {
        &self.words[self.at].word
    }

    fn character(&self) -> usize {
        self.words[self.at].character
    }

    /// Goes behind the word in hand; there is always the end to stand at.
    fn next(&mut self) {
        self.at = (self.at + 1).min(self.words.len() - 1);
    }

    fn error<T>(&self, fault: SqlFault) -> Result<T, SqlError> {
        Err(SqlError { character: self.character(), fault })
    }

    fn expected<T>(&self, expected: &'static str) -> Result<T, SqlError> {
        self.error(SqlFault::Expected { expected, found: self.word().describe() })
    }

    fn stands(&self, keyword: &str) -> bool {
        matches!(self.word(), Word::Name(name) if name.eq_ignore_ascii_case(keyword))
    }

    fn takes(&mut self, keyword: &str) -> bool {
        let stands = self.stands(keyword);
        if stands {
            self.next();
        }
        stands
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let stands = matches!(self.word(), Word::Sign(found) if *found == sign);
        if stands {
            self.next();
        }
        stands
    }

    /// One more part of the tree.
    fn count(&mut self) -> Result<(), SqlError> {
        self.parts += 1;
        if self.parts > SQL_PARTS_MAX {
            return self.error(SqlFault::TooManyParts { max: SQL_PARTS_MAX });
        }
        Ok(())
    }

    /// Everything that can hold itself goes through here.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Parser) -> Result<T, SqlError>) -> Result<T, SqlError> {
        if self.depth == SQL_DEPTH_MAX {
            return self.error(SqlFault::TooDeep { max: SQL_DEPTH_MAX });
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn condition(&mut self) -> Result<Placed, SqlError> {
        self.joined("OR", Parser::conjunction, Condition::Any)
    }

    fn conjunction(&mut self) -> Result<Placed, SqlError> {
        self.joined("AND", Parser::negation, Condition::All)
    }

    fn joined(
        &mut self,
        keyword: &str,
        read: impl Fn(&mut Parser) -> Result<Placed, SqlError>,
        join: impl FnOnce(Vec<Condition>) -> Condition,
    ) -> Result<Placed, SqlError> {
        let first = read(self)?;
        if !self.stands(keyword) {
            return Ok(first);
        }
        let character = first.character;
        let mut conditions = vec![first.into_condition()?];
        while self.takes(keyword) {
            conditions.push(read(self)?.into_condition()?);
        }
        self.count()?;
        Ok(Placed { character, operand: Operand::Condition(join(conditions)) })
    }

    fn negation(&mut self) -> Result<Placed, SqlError> {
        let character = self.character();
        if !self.takes("NOT") {
            return self.equality();
        }
        self.count()?;
        let negated = self.deeper(Parser::negation)?.into_condition()?;
        Ok(Placed { character, operand: Operand::Condition(Condition::Not(Box::new(negated))) })
    }

    fn equality(&mut self) -> Result<Placed, SqlError> {
        let mut left = self.comparison()?;
        // Each turn puts what was read so far one deeper.
        let mut turns = 0;
        loop {
            let at = self.character();
            let character = left.character;
            let condition = if self.takes_sign("=") {
                equal(Relation::Equal, left, self.comparison()?, at)?
            } else if self.takes_sign("<>") {
                equal(Relation::NotEqual, left, self.comparison()?, at)?
            } else if self.takes("IS") {
                let not = self.takes("NOT");
                if !self.takes("NULL") {
                    return self.expected(if not { "NULL" } else { "NULL or NOT NULL" });
                }
                let missing = is_null(left.operand);
                if not { Condition::Not(Box::new(missing)) } else { missing }
            } else {
                return Ok(left);
            };
            self.count()?;
            turns += 1;
            if self.depth + turns > SQL_DEPTH_MAX {
                return self.error(SqlFault::TooDeep { max: SQL_DEPTH_MAX });
            }
            left = Placed { character, operand: Operand::Condition(condition) };
        }
    }

    fn comparison(&mut self) -> Result<Placed, SqlError> {
        let left = self.operand()?;
        let character = left.character;
        let order = [
            ("<", Relation::Less),
            ("<=", Relation::LessOrEqual),
            (">", Relation::Greater),
            (">=", Relation::GreaterOrEqual),
        ];
        let order = order.into_iter().find(|(sign, _)| self.takes_sign(sign));
        let condition = match order {
            Some((_, relation)) => {
                let left = left.into_number()?;
                let right = self.operand()?.into_number()?;
                Condition::Compare { relation, left, right }
            }
            None => {
                let not = self.takes("NOT");
                match self.predicate(left, not)? {
                    Ok(condition) if not => Condition::Not(Box::new(condition)),
                    Ok(condition) => condition,
                    Err(alone) => return Ok(alone),
                }
            }
        };
        self.count()?;
        Ok(Placed { character, operand: Operand::Condition(condition) })
    }

    /// What words say of `left`; `left` itself if none follows.
    fn predicate(&mut self, left: Placed, not: bool) -> Result<Result<Condition, Placed>, SqlError> {
        if self.takes("BETWEEN") {
            return self.between(left).map(Ok);
        }
        if self.takes("IN") {
            return self.one_of(left).map(Ok);
        }
        for place in [Place::Anywhere, Place::Start, Place::End] {
            if self.takes(place.keyword()) {
                let property = left.into_property(place.keyword())?;
                if matches!(self.word(), Word::Text(text) if text.is_empty()) {
                    return self.error(SqlFault::EmptyPart(place.keyword()));
                }
                let text = self.text()?;
                return Ok(Ok(Condition::Has { property, place, text }));
            }
        }
        match not {
            true => self.expected("BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH"),
            false => Ok(Err(left)),
        }
    }

    fn between(&mut self, left: Placed) -> Result<Condition, SqlError> {
        let value = left.into_number()?;
        let character = self.character();
        let low = self.operand()?.into_number()?;
        if !self.takes("AND") {
            return self.expected("AND and the upper bound of BETWEEN");
        }
        let high = self.operand()?.into_number()?;
        if let (Term::Number(low), Term::Number(high)) = (&low, &high)
            && low.compare(*high).is_gt()
        {
            let fault = SqlFault::EmptyRange(low.to_string(), high.to_string());
            return Err(SqlError { character, fault });
        }
        Ok(Condition::Between { value, low, high })
    }

    fn one_of(&mut self, left: Placed) -> Result<Condition, SqlError> {
        let property = left.into_property("IN")?;
        if !self.takes_sign("(") {
            return self.expected("( and a list of texts");
        }
        let mut texts = vec![self.text()?];
        while self.takes_sign(",") {
            self.count()?;
            texts.push(self.text()?);
        }
        if !self.takes_sign(")") {
            return self.expected(", or )");
        }
        texts.sort_unstable();
        texts.dedup();
        Ok(Condition::OneOf { property, texts })
    }

    fn text(&mut self) -> Result<Box<str>, SqlError> {
        let Word::Text(text) = self.word() else { return self.expected("a text in single quotes") };
        let text = text.as_str().into();
        self.next();
        Ok(text)
    }

    fn operand(&mut self) -> Result<Placed, SqlError> {
        let character = self.character();
        if self.takes_sign("+") {
            return self.deeper(|parser| parser.signed(character, false));
        }
        if self.takes_sign("-") {
            return self.deeper(|parser| parser.signed(character, true));
        }
        if self.takes_sign("(") {
            let inner = self.deeper(Parser::condition)?;
            if !self.takes_sign(")") {
                return self.expected(")");
            }
            return Ok(Placed { character, ..inner });
        }
        let operand = match self.word() {
            Word::Number(number) => Operand::Term(Term::Number(*number)),
            Word::Text(text) => Operand::Term(Term::Text(text.as_str().into())),
            Word::IntegerEnd => return self.error(SqlFault::NumberRange(self.word().describe())),
            Word::Name(name) => match name.to_ascii_uppercase().as_str() {
                "TRUE" => Operand::Condition(Condition::Constant(Truth::True)),
                "FALSE" => Operand::Condition(Condition::Constant(Truth::False)),
                "NULL" => Operand::Null,
                "AND" | "OR" | "NOT" | "IS" | "BETWEEN" | "IN" | "CONTAINS" | "STARTSWITH" | "ENDSWITH" => {
                    return self.expected("a property, a number, a text or a condition");
                }
                _ => Operand::Term(Term::Property(name.as_str().into())),
            },
            Word::Sign(_) | Word::End => {
                return self.expected("a property, a number, a text or a condition");
            }
        };
        self.count()?;
        self.next();
        Ok(Placed { character, operand })
    }

    /// What follows a sign.
    fn signed(&mut self, character: usize, negative: bool) -> Result<Placed, SqlError> {
        if negative && *self.word() == Word::IntegerEnd {
            self.next();
            let operand = Operand::Term(Term::Number(Number::Integer(i64::MIN)));
            return Ok(Placed { character, operand });
        }
        let signed = self.operand()?;
        let term = match signed.operand {
            Operand::Term(term @ (Term::Property(_) | Term::Negated(_) | Term::Number(_))) => term,
            other => {
                let fault = SqlFault::NoSign(other.kind());
                return Err(SqlError { character: signed.character, fault });
            }
        };
        let term = match term {
            term if !negative => term,
            Term::Property(name) => Term::Negated(name),
            Term::Negated(name) => Term::Property(name),
            Term::Number(number) => Term::Number(number.negated()),
            Term::Text(_) => unreachable!("a text has no sign"),
        };
        Ok(Placed { character, operand: Operand::Term(term) })
    }
}

impl Operand {
    fn kind(&self) -> &'static str {
        match self {
            Operand::Term(Term::Property(_)) => "property",
            Operand::Term(Term::Negated(_) | Term::Number(_)) => "number",
            Operand::Term(Term::Text(_)) => "text",
            Operand::Condition(_) => "condition",
            Operand::Null => "NULL",
        }
    }
}

impl Placed {
    fn error<T>(&self, fault: SqlFault) -> Result<T, SqlError> {
        Err(SqlError { character: self.character, fault })
    }

    fn into_condition(self) -> Result<Condition, SqlError> {
        match self.operand {
            Operand::Condition(condition) => Ok(condition),
            Operand::Term(Term::Property(name)) => Ok(Condition::Holds(name)),
            Operand::Null => Ok(Condition::Constant(Truth::Unknown)),
            Operand::Term(_) => self.error(SqlFault::NotACondition(self.operand.kind())),
        }
    }

    /// A value that has an order.
    fn into_number(self) -> Result<Term, SqlError> {
        match self.operand {
            Operand::Term(term @ (Term::Property(_) | Term::Negated(_) | Term::Number(_))) => Ok(term),
            _ => self.error(SqlFault::NotOrdered(self.operand.kind())),
        }
    }

    fn into_property(self, keyword: &'static str) -> Result<Box<str>, SqlError> {
        match self.operand {
            Operand::Term(Term::Property(name)) => Ok(name),
            _ => self.error(SqlFault::NotAProperty(keyword, self.operand.kind())),
        }
    }
}

/// `left = right` or `left <> right`; `at` is where the sign stands.
fn equal(relation: Relation, left: Placed, right: Placed, at: usize) -> Result<Condition, SqlError> {
    let kinds = (left.operand.kind(), right.operand.kind());
    for side in [&left, &right] {
        if matches!(side.operand, Operand::Null) {
            return side.error(SqlFault::ComparedWithNull);
        }
    }
    match (left.operand, right.operand) {
        (Operand::Term(left), Operand::Term(right)) => match (&left, &right) {
            (Term::Text(_), Term::Number(_) | Term::Negated(_))
            | (Term::Number(_) | Term::Negated(_), Term::Text(_)) => {
                Err(SqlError { character: at, fault: SqlFault::Incomparable(kinds.0, kinds.1) })
            }
            _ => Ok(Condition::Compare { relation, left, right }),
        },
        (left, right) => same(relation, left, right)
            .ok_or(SqlError { character: at, fault: SqlFault::Incomparable(kinds.0, kinds.1) }),
    }
}

/// Two conditions, or a condition and a property that is the word for one.
fn same(relation: Relation, left: Operand, right: Operand) -> Option<Condition> {
    let condition = |operand| match operand {
        Operand::Condition(condition) => Some(Box::new(condition)),
        Operand::Term(Term::Property(name)) => Some(Box::new(Condition::Holds(name))),
        Operand::Term(_) | Operand::Null => None,
    };
    let same = Condition::Same(condition(left)?, condition(right)?);
    Some(if relation == Relation::Equal { same } else { Condition::Not(Box::new(same)) })
}

fn is_null(operand: Operand) -> Condition {
    match operand {
        Operand::Null => Condition::Constant(Truth::True),
        Operand::Condition(condition) => Condition::IsUnknown(Box::new(condition)),
        Operand::Term(Term::Property(name)) => Condition::Missing(name),
        Operand::Term(Term::Number(_) | Term::Text(_)) => Condition::Constant(Truth::False),
        // What spells no number has no negative: as unknown as its comparison with itself.
        Operand::Term(Term::Negated(name)) => {
            let (left, right) = (Term::Negated(name.clone()), Term::Negated(name));
            Condition::IsUnknown(Box::new(Condition::Compare { relation: Relation::Equal, left, right }))
        }
    }
}
