//! YAML and JSON text as a tree in which every node knows its place; the one file that knows the parser.
//!
//! Scalars stay text: `no`, `1.10` and `0644` mean what was written, and each
//! field decides how it reads its text.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

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

    fn of(span: Span) -> Self {
        Self { line: span.start.line().max(1), column: span.start.col() + 1 }
    }
}

/// A node of the tree.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub value: Value,
    weight: usize,
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
}

/// Reads the one document of a text.
pub(super) fn parse(source: &str) -> Result<Node, Problem> {
    let mut document =
        Document { parser: Parser::new_from_str(source), anchors: BTreeMap::new(), nodes: 0 };
    document.root()
}

struct Document<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl<'a> Document<'a> {
    fn root(&mut self) -> Result<Node, Problem> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::StreamEnd) {
                break;
            }
            if matches!(event, Event::DocumentStart(..)) && root.is_some() {
                let at = Position::of(span);
                return Err(Problem::new(at, "a job file holds one document".to_owned()));
            }
            let around =
                matches!(event, Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd);
            if !around {
                root = Some(self.node(event, span, 0)?);
            }
        }
        root.ok_or_else(|| Problem::new(Position::START, "the job file is empty".to_owned()))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(broken(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser may add events; what is no value is refused"
    )]
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Problem> {
        let at = Position::of(span);
        if depth > DEPTH_MAX {
            return Err(Problem::new(at, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        let is_alias = matches!(event, Event::Alias(_));
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                no_tag(at, tag.as_deref())?;
                let value = match (style, text.as_ref()) {
                    (ScalarStyle::Plain, "" | "~" | "null") => Value::Null,
                    _ => Value::Scalar(text.into_owned()),
                };
                (Node { at, value, weight: 1 }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                no_tag(at, tag.as_deref())?;
                (self.sequence(at, depth)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                no_tag(at, tag.as_deref())?;
                (self.mapping(at, depth)?, anchor)
            }
            Event::Alias(anchor) => {
                let unknown = || Problem::new(at, "this alias stands in its own anchor".to_owned());
                let mut node = self.anchors.get(&anchor).ok_or_else(unknown)?.clone();
                node.at = at;
                (node, 0)
            }
            _ => return Err(Problem::new(at, "a value is missing".to_owned())),
        };
        let counted = if is_alias { node.weight } else { 1 };
        self.count(at, counted)?;
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn sequence(&mut self, at: Position, depth: usize) -> Result<Node, Problem> {
        let mut items = Vec::new();
        let mut weight = 1;
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Node { at, value: Value::Sequence(items), weight });
            }
            let item = self.node(event, span, depth + 1)?;
            weight += item.weight;
            items.push(item);
        }
    }

    fn mapping(&mut self, at: Position, depth: usize) -> Result<Node, Problem> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: BTreeMap<String, Position> = BTreeMap::new();
        let mut weight = 1;
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Node { at, value: Value::Mapping(entries), weight });
            }
            let key_at = Position::of(span);
            let text = match self.node(event, span, depth + 1)?.value {
                Value::Scalar(text) => text,
                Value::Null | Value::Sequence(_) | Value::Mapping(_) => {
                    return Err(Problem::new(key_at, "a name must be text".to_owned()));
                }
            };
            if let Some(first) = seen.insert(text.clone(), key_at) {
                return Err(Problem::new(key_at, format!("`{text}` stands here twice"))
                    .width(text.chars().count())
                    .label(format!("the first is on line {}", first.line)));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            weight += value.weight + 1;
            entries.push((Key { at: key_at, text }, value));
        }
    }

    /// Counts nodes; an alias counts as what it unfolds to, not as what it takes to write it.
    fn count(&mut self, at: Position, nodes: usize) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            let message = format!("the job file unfolds to more than {NODES_MAX} values");
            return Err(Problem::new(at, message));
        }
        Ok(())
    }
}

fn no_tag(at: Position, tag: Option<&Tag>) -> Result<(), Problem> {
    match tag {
        None => Ok(()),
        Some(tag) => {
            Err(Problem::new(at, format!("tags such as `{}` are not allowed", tag.original())))
        }
    }
}

fn broken(error: &ScanError) -> Problem {
    let mark = error.marker();
    let at = Position { line: mark.line().max(1), column: mark.col() + 1 };
    Problem::new(at, format!("not valid YAML: {}", error.info()))
}
