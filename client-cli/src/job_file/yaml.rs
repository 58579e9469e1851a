//! YAML text as a tree; the one file that knows the parser.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{
    Problem,
    tree::{Budget, Key, Node, Position, Value, twice},
};

/// Reads the one document of a text.
pub(super) fn parse(source: &str) -> Result<Node, Problem> {
    let budget = Budget::default();
    let mut document =
        Document { parser: Parser::new_from_str(source), anchors: BTreeMap::new(), budget };
    document.root()
}

struct Document<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// What each anchor stands for, and how many nodes that is.
    anchors: BTreeMap<usize, (Node, usize)>,
    budget: Budget,
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
                let at = position(span);
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
        let at = position(span);
        Budget::descend(at, depth)?;
        let before = self.budget.taken();
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                no_tag(at, tag.as_deref())?;
                let value = match (style, text.as_ref()) {
                    (ScalarStyle::Plain, "" | "~" | "null") => Value::Null,
                    _ => Value::Scalar(text.into_owned()),
                };
                (Node { at, value }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                no_tag(at, tag.as_deref())?;
                (self.sequence(at, depth)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                no_tag(at, tag.as_deref())?;
                (self.mapping(at, depth)?, anchor)
            }
            Event::Alias(anchor) => return self.alias(at, anchor, depth),
            _ => return Err(Problem::new(at, "a value is missing".to_owned())),
        };
        self.budget.take(at, 1)?;
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.budget.taken() - before));
        }
        Ok(node)
    }

    fn alias(&mut self, at: Position, anchor: usize, depth: usize) -> Result<Node, Problem> {
        let unknown = || Problem::new(at, "this alias stands in its own anchor".to_owned());
        let (node, weight) = self.anchors.get(&anchor).ok_or_else(unknown)?;
        self.budget.take(at, *weight)?;
        Budget::descend(at, depth + node.height())?;
        Ok(Node { at, value: node.value.clone() })
    }

    fn sequence(&mut self, at: Position, depth: usize) -> Result<Node, Problem> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Node { at, value: Value::Sequence(items) });
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn mapping(&mut self, at: Position, depth: usize) -> Result<Node, Problem> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: BTreeMap<String, Position> = BTreeMap::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Node { at, value: Value::Mapping(entries) });
            }
            let key_at = position(span);
            let text = match self.node(event, span, depth + 1)?.value {
                Value::Scalar(text) => text,
                Value::Null | Value::Sequence(_) | Value::Mapping(_) => {
                    return Err(Problem::new(key_at, "a name must be text".to_owned()));
                }
            };
            if let Some(first) = seen.insert(text.clone(), key_at) {
                return Err(twice(key_at, &text, first));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            entries.push((Key { at: key_at, text }, value));
        }
    }
}

fn position(span: Span) -> Position {
    Position { line: span.start.line().max(1), column: span.start.col() + 1 }
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
