//! JSON text as a tree: strict JSON (RFC 8259), no comments, no comma at the end of a list.

use std::collections::BTreeMap;

use serde_json::{Number, from_str};

use super::{
    Problem,
    tree::{Budget, Key, Lines, Node, Position, Value, twice},
};

/// Reads a text.
pub(super) fn parse(source: &str) -> Result<Node, Problem> {
    let mut document =
        Document { source, at: 0, lines: Lines::new(source), budget: Budget::default() };
    let root = document.node(0)?;
    match document.look() {
        None => Ok(root),
        Some(_) => Err(document.broken("nothing may follow the last brace")),
    }
}

struct Document<'a> {
    source: &'a str,
    /// The byte that is read next.
    at: usize,
    lines: Lines<'a>,
    budget: Budget,
}

impl Document<'_> {
    fn node(&mut self, depth: usize) -> Result<Node, Problem> {
        let next = self.look();
        let at = self.lines.at(self.at);
        Budget::descend(at, depth)?;
        self.budget.take(at, 1)?;
        let value = match next {
            Some(b'{') => self.mapping(depth)?,
            Some(b'[') => self.sequence(depth)?,
            Some(b'"') => Value::Scalar(self.string()?),
            Some(_) => self.word()?,
            None => return Err(self.broken("a value is missing")),
        };
        Ok(Node { at, value })
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut items = Vec::new();
        self.at += 1;
        if self.take(b']') {
            return Ok(Value::Sequence(items));
        }
        loop {
            items.push(self.node(depth + 1)?);
            if self.take(b']') {
                return Ok(Value::Sequence(items));
            }
            if !self.take(b',') {
                return Err(self.broken("a list goes on with `,` or ends with `]`"));
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut entries = Vec::new();
        let mut seen: BTreeMap<String, Position> = BTreeMap::new();
        self.at += 1;
        if self.take(b'}') {
            return Ok(Value::Mapping(entries));
        }
        loop {
            if self.look() != Some(b'"') {
                return Err(self.broken("a name in double quotes belongs here"));
            }
            let at = self.lines.at(self.at);
            self.budget.take(at, 1)?;
            let text = self.string()?;
            if let Some(first) = seen.insert(text.clone(), at) {
                return Err(twice(at, &text, first));
            }
            if !self.take(b':') {
                return Err(self.broken("`:` belongs between a name and its value"));
            }
            entries.push((Key { at, text }, self.node(depth + 1)?));
            if self.take(b'}') {
                return Ok(Value::Mapping(entries));
            }
            if !self.take(b',') {
                return Err(self.broken("the braces go on with `,` or end with `}`"));
            }
        }
    }

    /// Reads text in quotes; the quote is the next byte.
    fn string(&mut self) -> Result<String, Problem> {
        let rest = &self.source.as_bytes()[self.at..];
        let mut escaped = false;
        let end = rest.iter().skip(1).position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        });
        let Some(end) = end else { return Err(self.broken("text without its closing quote")) };
        let quoted = &self.source[self.at..=self.at + 1 + end];
        let text = from_str(quoted).map_err(|_| {
            self.broken("text with an escape or a control character that JSON does not have")
        })?;
        self.at += quoted.len();
        Ok(text)
    }

    /// Reads a number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<Value, Problem> {
        let rest = &self.source[self.at..];
        let belongs = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
        let word = &rest[..rest.find(|c| !belongs(c)).unwrap_or(rest.len())];
        let value = match word {
            "null" => Value::Null,
            "true" | "false" => Value::Scalar(word.to_owned()),
            _ if from_str::<Number>(word).is_ok() => Value::Scalar(word.to_owned()),
            _ => {
                let problem = self.broken("this is no value of JSON");
                return Err(problem.width(word.chars().count()).help(
                    "values are text in double quotes, numbers, `true`, `false`, `null`, lists \
                     and braces",
                ));
            }
        };
        self.at += word.len();
        Ok(value)
    }

    /// Skips what means nothing, and returns the byte that is read next.
    fn look(&mut self) -> Option<u8> {
        let rest = &self.source.as_bytes()[self.at..];
        let blank = |byte: &&u8| matches!(**byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += rest.iter().take_while(blank).count();
        self.source.as_bytes().get(self.at).copied()
    }

    /// Goes past this byte if it is the next.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.look() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn broken(&self, what: &str) -> Problem {
        Problem::new(self.lines.at(self.at), format!("not valid JSON: {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(source: &str) -> String {
        let value = parse(source).unwrap().value;
        let Value::Scalar(text) = value else { panic!("{value:?}") };
        text
    }

    #[test]
    fn scalars_of_json_stay_what_was_written() {
        assert_eq!(scalar(r#" "a\"b\u00e4\ud83d\ude00\\" "#), "a\"bä😀\\");
        assert_eq!(scalar("1.10"), "1.10");
        assert_eq!(scalar("true"), "true");
        assert!(matches!(parse("null").unwrap().value, Value::Null));
    }

    #[test]
    fn what_json_does_not_have_is_refused_at_its_place() {
        for (source, line, column) in [
            ("", 1, 1),
            ("{\"a\": 1,}", 1, 9),
            ("[1,\n 2 3]", 2, 4),
            ("{\"a\" 1}", 1, 6),
            ("{a: 1}", 1, 2),
            ("[01]", 1, 2),
            ("// no\n{}", 1, 1),
            ("{} {}", 1, 4),
            ("\"open", 1, 1),
            ("\"\\x\"", 1, 1),
            ("[NaN]", 1, 2),
        ] {
            let problem = parse(source).unwrap_err();
            assert!(
                problem.is_where(&Problem::new(Position { line, column }, String::new())),
                "{source}: {problem:?}"
            );
        }
    }

    #[test]
    fn a_name_given_twice_in_json_names_both_places() {
        let problem = parse("{\"a\": 1,\n \"a\": 2}").unwrap_err();
        assert!(format!("{problem:?}").contains("the first is on line 1"), "{problem:?}");
    }
}
