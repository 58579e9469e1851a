//! TOML text as a tree; the one file that knows the parser.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue, Error},
};

use super::{
    Problem,
    tree::{Budget, Key, Lines, Node, Value},
};

/// Reads a text.
pub(super) fn parse(source: &str) -> Result<Node, Problem> {
    let mut document = Document { source, lines: Lines::new(source), budget: Budget::default() };
    let root = DeTable::parse(source).map_err(|error| document.broken(&error))?;
    let span = root.span();
    document.table(root.into_inner(), span, 0)
}

struct Document<'a> {
    source: &'a str,
    lines: Lines<'a>,
    budget: Budget,
}

impl Document<'_> {
    fn node(&mut self, value: Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Problem> {
        let span = value.span();
        let at = self.lines.at(span.start);
        Budget::descend(at, depth)?;
        self.budget.take(at, 1)?;
        let value = match value.into_inner() {
            DeValue::Table(table) => return self.table(table, span, depth),
            DeValue::Array(items) => {
                let items = items.into_iter().map(|item| self.node(item, depth + 1));
                Value::Sequence(items.collect::<Result<_, _>>()?)
            }
            DeValue::String(text) => Value::Scalar(text.into_owned()),
            DeValue::Integer(number) => Value::Scalar(number.to_string()),
            DeValue::Float(number) => Value::Scalar(number.to_string()),
            DeValue::Boolean(flag) => Value::Scalar(flag.to_string()),
            // A date is the text that somebody wrote.
            DeValue::Datetime(_) => Value::Scalar(self.source[span].trim().to_owned()),
        };
        Ok(Node { at, value })
    }

    /// Makes a mapping of a table, in the order of the file.
    fn table(
        &mut self,
        table: DeTable<'_>,
        span: Range<usize>,
        depth: usize,
    ) -> Result<Node, Problem> {
        let mut entries = Vec::with_capacity(table.len());
        for (name, value) in table {
            let begin = name.span().start;
            let at = self.lines.at(begin);
            self.budget.take(at, 1)?;
            let key = Key { at, text: name.into_inner().into_owned() };
            entries.push((begin, (key, self.node(value, depth + 1)?)));
        }
        entries.sort_by_key(|(begin, _)| *begin);
        let entries = entries.into_iter().map(|(_, entry)| entry).collect();
        Ok(Node { at: self.lines.at(span.start), value: Value::Mapping(entries) })
    }

    fn broken(&self, error: &Error) -> Problem {
        let span = error.span().unwrap_or_default();
        let width = self
            .source
            .get(span.clone())
            .map_or(1, |text| text.lines().next().unwrap_or_default().chars().count());
        let message = error.message().trim().replace('\n', "; ");
        Problem::new(self.lines.at(span.start), format!("not valid TOML: {message}")).width(width)
    }
}
