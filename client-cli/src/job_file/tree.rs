//! A job file's text as a tree in which every node knows its place, whatever the syntax.
//!
//! Scalars stay text: `no`, `1.10` and `0644` mean what was written, and each
//! field decides how it reads its text.

use super::{
    Problem,
    limits::{DEPTH_MAX, NODES_MAX},
};

/// A place in the file; both numbers count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The first character of the file.
    pub(super) const START: Self = Self { line: 1, column: 1 };
}

/// A node of the tree.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// Text as it was written.
    Scalar(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Names and what they stand for, in the order of the file; no name comes twice.
    Mapping(Vec<(Key, Node)>),
}

/// A name in a mapping.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// Where it begins.
    pub at: Position,
    /// The name.
    pub text: String,
}

impl Node {
    /// Returns the value and the place of an entry.
    pub(super) fn entry(&self, name: &str) -> Option<(&Key, &Self)> {
        let Value::Mapping(entries) = &self.value else { return None };
        entries.iter().find(|(key, _)| key.text == name).map(|(key, node)| (key, node))
    }

    /// Returns how many levels lie below it.
    pub(super) fn height(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(_) => 0,
            Value::Sequence(items) => 1 + items.iter().map(Self::height).max().unwrap_or(0),
            Value::Mapping(entries) => {
                1 + entries.iter().map(|(_, value)| value.height()).max().unwrap_or(0)
            }
        }
    }
}

/// Says that a name stands twice in one mapping.
pub(super) fn twice(at: Position, name: &str, first: Position) -> Problem {
    Problem::new(at, format!("`{name}` stands here twice"))
        .width(name.chars().count())
        .label(format!("the first is on line {}", first.line))
}

/// Counts what a file unfolds to, and how deep it is nested.
#[derive(Debug, Default)]
pub(super) struct Budget {
    nodes: usize,
}

impl Budget {
    /// Counts nodes; an alias counts as what it unfolds to, not as what it takes to write it.
    pub(super) fn take(&mut self, at: Position, nodes: usize) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            let message = format!("the job file unfolds to more than {NODES_MAX} values");
            return Err(Problem::new(at, message));
        }
        Ok(())
    }

    /// Returns how many were counted.
    pub(super) fn taken(&self) -> usize {
        self.nodes
    }

    /// Refuses what lies too deep.
    pub(super) fn descend(at: Position, depth: usize) -> Result<(), Problem> {
        if depth > DEPTH_MAX {
            return Err(Problem::new(at, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(())
    }
}

/// Finds lines and columns for places that are counted in bytes.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    source: &'a str,
    /// Where each line begins.
    begins: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// Looks at a text.
    pub(super) fn new(source: &'a str) -> Self {
        let ends = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let begins = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { source, begins }
    }

    /// Returns the place of a byte; the end of the text for one behind it.
    pub(super) fn at(&self, byte: usize) -> Position {
        let byte = byte.min(self.source.len());
        let line = self.begins.partition_point(|begin| *begin <= byte);
        let begin = self.begins[line - 1];
        let before = self.source.as_bytes()[begin..byte].iter();
        // Bytes that continue a character are none of their own.
        let column = before.filter(|byte| (**byte & 0xC0) != 0x80).count() + 1;
        Position { line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_as_lines_and_characters() {
        let lines = Lines::new("ä: 1\nb: é x\n");
        let found = |byte| (lines.at(byte).line, lines.at(byte).column);
        assert_eq!(found(0), (1, 1));
        assert_eq!(found(2), (1, 2));
        assert_eq!(found(6), (2, 1));
        assert_eq!(found(12), (2, 6));
        assert_eq!(found(900), (3, 1));
    }
}
