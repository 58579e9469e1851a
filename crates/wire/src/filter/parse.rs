//! Reads the text of a filter from left to right.

use votum_job::closest;

use super::{
    BYTES_MAX, CONDITIONS_MAX, Condition, DEPTH_MAX, Expression, TextField,
    problem::{FilterProblem, InvalidFilter},
    value::{Instant, Order, Pattern, SHOWN_MAX},
};
use crate::JobState;

type Read<T> = Result<T, InvalidFilter>;

/// Reads a whole filter.
pub(super) fn expression(text: &str) -> Read<Expression> {
    let mut parser = Parser { text, at: 0, conditions: 0 };
    if text.len() > BYTES_MAX {
        let at = text.floor_char_boundary(BYTES_MAX);
        return Err(parser.wrong_at(at, FilterProblem::TooLong));
    }
    let expression = parser.expression(0)?;
    match parser.peek() {
        None => Ok(expression),
        // Everything else was read as another condition, or refused.
        Some(_) => Err(parser.wrong(FilterProblem::NotOpened)),
    }
}

/// A text and how far it was read.
struct Parser<'t> {
    text: &'t str,
    at: usize,
    conditions: usize,
}

/// What stands between two conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    And,
    Or,
}

impl<'t> Parser<'t> {
    fn expression(&mut self, depth: usize) -> Read<Expression> {
        if depth > DEPTH_MAX {
            return Err(self.wrong(FilterProblem::TooDeep));
        }
        let mut terms = vec![self.term(depth)?];
        let mut joined_by = None;
        loop {
            self.skip_space();
            let at = self.at;
            let Some(joint) = self.joint() else { break };
            if joined_by.is_some_and(|before| before != joint) {
                return Err(self.wrong_at(at, FilterProblem::Mixed));
            }
            joined_by = Some(joint);
            terms.push(self.term(depth)?);
        }
        Ok(match joined_by {
            Some(Joint::Or) => Expression::Any(terms),
            Some(Joint::And) | None => Expression::All(terms),
        })
    }

    /// Reads what joins the next term; two terms beside each other are joined as well.
    fn joint(&mut self) -> Option<Joint> {
        match self.peek()? {
            ')' => None,
            _begins_a_term if self.keyword("OR") => Some(Joint::Or),
            _begins_a_term => {
                self.keyword("AND");
                Some(Joint::And)
            }
        }
    }

    fn term(&mut self, depth: usize) -> Read<Expression> {
        self.skip_space();
        if self.keyword("NOT") {
            return Ok(Expression::Not(Box::new(self.simple(depth)?)));
        }
        self.simple(depth)
    }

    fn simple(&mut self, depth: usize) -> Read<Expression> {
        self.skip_space();
        let opened = self.at;
        if !self.take('(') {
            return self.condition();
        }
        let inner = self.expression(depth + 1)?;
        self.skip_space();
        if self.take(')') {
            return Ok(inner);
        }
        Err(self.wrong_at(opened, FilterProblem::NotClosed))
    }

    fn condition(&mut self) -> Read<Expression> {
        let at = self.at;
        self.conditions += 1;
        if self.conditions > CONDITIONS_MAX {
            return Err(self.wrong(FilterProblem::TooManyConditions));
        }
        let name = self.until(|c| c.is_whitespace() || "()'\":=!<>,".contains(c));
        self.check_begin(at, name)?;
        let (name, key) = match name.split_once('.') {
            Some(("labels", "")) => ("labels", Some(self.quoted()?.unwrap_or_default())),
            Some(("labels", key)) => ("labels", Some(key.to_owned())),
            Some(_) | None => (name, None),
        };
        self.skip_space();
        let Some(comparator) = self.comparator() else {
            return Err(self.wrong_at(at, nothing_compared(name)));
        };
        let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) else {
            let nearest = closest(name, FIELDS.iter().map(|(known, _)| *known));
            return Err(self.wrong_at(at, FilterProblem::UnknownField { name: cut(name), nearest }));
        };
        self.skip_space();
        let value_at = self.at;
        let value = self.value()?;
        let compared = Compared { comparator, value: &value };
        compared.with(*field, key).map_err(|problem| {
            let of_the_name =
                matches!(problem, FilterProblem::Comparator { .. } | FilterProblem::KeyMissing);
            self.wrong_at(if of_the_name { at } else { value_at }, problem)
        })
    }

    /// Refuses what begins no condition.
    fn check_begin(&self, at: usize, name: &str) -> Read<()> {
        let small = ["AND", "OR", "NOT"].into_iter().find(|word| word.eq_ignore_ascii_case(name));
        let problem = match (name, small, self.text[self.at..].chars().next()) {
            ("AND" | "OR" | "NOT", ..) | ("", None, None | Some(')')) => {
                FilterProblem::ConditionMissing
            }
            ("", None, Some(other)) => FilterProblem::Unexpected(other),
            (_, Some(word), _) => FilterProblem::SmallLetters(word),
            (name, None, _) if name.starts_with('-') => FilterProblem::Minus,
            (_, None, _) => return Ok(()),
        };
        Err(self.wrong_at(at, problem))
    }

    fn comparator(&mut self) -> Option<Comparator> {
        let rest = &self.text[self.at..];
        let (word, found) = COMPARATORS.iter().find(|(word, _)| rest.starts_with(word))?;
        self.at += word.len();
        Some(*found)
    }

    fn value(&mut self) -> Read<String> {
        if let Some(text) = self.quoted()? {
            return Ok(text);
        }
        let value = self.until(|c| c.is_whitespace() || "()'\"=!<>,".contains(c));
        match self.text[self.at..].chars().next() {
            Some(sign @ ('=' | '!' | '<' | '>' | ',')) => {
                Err(self.wrong(FilterProblem::Unquoted(sign)))
            }
            Some(_) | None if value.is_empty() => Err(self.wrong(FilterProblem::ValueMissing)),
            Some(_) | None => Ok(value.to_owned()),
        }
    }

    /// Reads a text in quotes, in which a backslash takes the next character as it is.
    fn quoted(&mut self) -> Read<Option<String>> {
        let opened = self.at;
        let Some(quote) = ['"', '\''].into_iter().find(|quote| self.take(*quote)) else {
            return Ok(None);
        };
        let mut text = String::new();
        let mut escaped = false;
        for (offset, c) in self.text[self.at..].char_indices() {
            match c {
                c if escaped => {
                    text.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                c if c == quote => {
                    self.at += offset + c.len_utf8();
                    return Ok(Some(text));
                }
                c => text.push(c),
            }
        }
        Err(self.wrong_at(opened, FilterProblem::QuoteNotClosed))
    }

    /// Takes a word if it stands here by itself.
    fn keyword(&mut self, word: &str) -> bool {
        let Some(rest) = self.text[self.at..].strip_prefix(word) else { return false };
        let ends = rest.chars().next().is_none_or(|c| c.is_whitespace() || c == '(');
        self.at += if ends { word.len() } else { 0 };
        ends
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.text[self.at..].starts_with(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'t str {
        let rest = &self.text[self.at..];
        let taken = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn skip_space(&mut self) {
        self.until(|c| !c.is_whitespace());
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.text[self.at..].chars().next()
    }

    fn wrong(&self, problem: FilterProblem) -> InvalidFilter {
        self.wrong_at(self.at, problem)
    }

    fn wrong_at(&self, at: usize, problem: FilterProblem) -> InvalidFilter {
        debug_assert!(
            self.text.is_char_boundary(at),
            "whoever shows the place cuts the text there"
        );
        InvalidFilter { at, problem }
    }
}

/// What a field is compared with, and how.
struct Compared<'v> {
    comparator: Comparator,
    value: &'v str,
}

impl Compared<'_> {
    fn with(&self, field: Field, key: Option<String>) -> Result<Expression, FilterProblem> {
        match field {
            Field::State => self.equal("state", state(self.value)?),
            Field::Paused => self.flag("paused", Condition::Paused),
            Field::Cancelled => self.flag("cancelled", Condition::Cancelled),
            Field::Text(name, field) => {
                self.equal(name, Condition::Text(field, Pattern::read(self.value)?))
            }
            Field::Labels => match (key, self.comparator) {
                (Some(key), _) if !key.is_empty() => {
                    self.equal("labels", Condition::Label(key, Pattern::read(self.value)?))
                }
                (None, Comparator::Has) => {
                    let key = self.value.to_owned();
                    Ok(Expression::Is(Condition::Label(key, Pattern::anything())))
                }
                (Some(_) | None, _) => Err(FilterProblem::KeyMissing),
            },
            Field::Received => self.time("received", Condition::Received),
            Field::Ended if self.value == "*" && self.comparator == Comparator::Has => {
                Ok(Expression::Is(Condition::HasEnded))
            }
            Field::Ended => self.time("ended", Condition::Ended),
        }
    }

    fn equal(&self, field: &'static str, wanted: Condition) -> Result<Expression, FilterProblem> {
        match self.comparator {
            Comparator::Equal | Comparator::Has => Ok(Expression::Is(wanted)),
            Comparator::Unequal => Ok(Expression::Not(Box::new(Expression::Is(wanted)))),
            Comparator::Order(_) => Err(self.comparator_of(field, "`=`, `!=` and `:`")),
        }
    }

    fn flag(&self, field: &'static str, wanted: Condition) -> Result<Expression, FilterProblem> {
        let equal = self.equal(field, wanted)?;
        match self.value {
            "true" => Ok(equal),
            "false" => Ok(Expression::Not(Box::new(equal))),
            other => Err(FilterProblem::NoFlag(cut(other))),
        }
    }

    fn time(
        &self,
        field: &'static str,
        condition: fn(Order, Instant) -> Condition,
    ) -> Result<Expression, FilterProblem> {
        let Comparator::Order(order) = self.comparator else {
            return Err(self.comparator_of(field, "`<`, `<=`, `>` and `>=`"));
        };
        Ok(Expression::Is(condition(order, Instant::read(self.value)?)))
    }

    fn comparator_of(&self, field: &'static str, comparators: &'static str) -> FilterProblem {
        let word = COMPARATORS.iter().find(|(_, known)| *known == self.comparator);
        let comparator = word.map_or("", |(word, _)| word);
        FilterProblem::Comparator { field, comparator, comparators }
    }
}

/// Reads the word of a state; what is shown in place of a state counts as well.
fn state(word: &str) -> Result<Condition, FilterProblem> {
    let named = |known: &str| known.eq_ignore_ascii_case(word);
    if let Some(state) = JobState::ALL.into_iter().find(|state| named(state.word())) {
        return Ok(Condition::State(state));
    }
    if let Some((_, condition)) = SHOWN_AS_STATES.iter().find(|(known, _)| named(known)) {
        return Ok(condition.clone());
    }
    let upper = cut(word).to_uppercase();
    let known = JobState::ALL.map(JobState::word).into_iter();
    let nearest = closest(&upper, known.chain(SHOWN_AS_STATES.iter().map(|(word, _)| *word)));
    Err(FilterProblem::UnknownState { name: cut(word), nearest })
}

fn nothing_compared(name: &str) -> FilterProblem {
    FilterProblem::NothingCompared(cut(name))
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

/// What a job can be chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    State,
    Paused,
    Cancelled,
    Text(&'static str, TextField),
    Labels,
    Received,
    Ended,
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparator {
    Has,
    Equal,
    Unequal,
    Order(Order),
}

/// The fields; those that the API calls otherwise have that name as well.
const FIELDS: [(&str, Field); 14] = [
    ("state", Field::State),
    ("paused", Field::Paused),
    ("cancelled", Field::Cancelled),
    ("id", Field::Text("id", TextField::Id)),
    ("name", Field::Text("name", TextField::Name)),
    ("display_name", Field::Text("display_name", TextField::Name)),
    ("by", Field::Text("by", TextField::By)),
    ("creator", Field::Text("creator", TextField::By)),
    ("labels", Field::Labels),
    ("received", Field::Received),
    ("created", Field::Received),
    ("create_time", Field::Received),
    ("ended", Field::Ended),
    ("end_time", Field::Ended),
];
/// The longer ones first.
const COMPARATORS: [(&str, Comparator); 7] = [
    ("!=", Comparator::Unequal),
    ("<=", Comparator::Order(Order::NotAfter)),
    (">=", Comparator::Order(Order::NotBefore)),
    (":", Comparator::Has),
    ("=", Comparator::Equal),
    ("<", Comparator::Order(Order::Before)),
    (">", Comparator::Order(Order::After)),
];
/// What lists show in place of a state.
static SHOWN_AS_STATES: [(&str, Condition); 5] = [
    ("AWAITING", Condition::State(JobState::AwaitingApproval)),
    ("PAUSED", Condition::Paused),
    ("PAUSING", Condition::Paused),
    ("CANCELLED", Condition::Cancelled),
    ("CANCELED", Condition::Cancelled),
];
