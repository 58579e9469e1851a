//! Where a field of a checked job stands in its file.
//!
//! The rules of a job name fields as `tasks[load].retry.attempts`; the tree is
//! walked along that path as far as the file goes.

use super::tree::{Node, Position, Value};

/// A place in the file and how many characters to underline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it begins.
    pub at: Position,
    /// How many characters it has.
    pub width: usize,
}

/// Which half of a field to point at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// What it is called.
    Name,
    /// What it holds.
    Value,
}

/// Finds the deepest part of `path` that the file has.
pub(super) fn locate(root: &Node, path: &str, half: Half) -> Place {
    let mut place = Place { at: root.at, width: 1 };
    let mut node = root;
    for segment in path.split(['.', '[', ']']).filter(|segment| !segment.is_empty()) {
        let next = match &node.value {
            Value::Mapping(_) => node
                .entry(file_name(segment))
                .map(|(key, value)| (Place { at: key.at, width: key.text.chars().count() }, value)),
            Value::Sequence(items) => segment
                .parse()
                .ok()
                .and_then(|index: usize| items.get(index))
                .or_else(|| items.iter().find(|item| is_text(item, segment)))
                .map(|item| (Place { at: item.at, width: width(item) }, item)),
            Value::Null | Value::Scalar(_) => None,
        };
        match next {
            Some((found, value)) => {
                place = found;
                node = value;
            }
            // The spec has levels that a shorthand of the file leaves out.
            None => continue,
        }
    }
    if half == Half::Value
        && let Some((key, value)) = longhand(path).iter().find_map(|name| node.entry(name))
    {
        place = Place { at: key.at, width: key.text.chars().count() };
        node = value;
    }
    match node.value {
        Value::Scalar(_) if half == Half::Value && node.at.line == place.at.line => {
            Place { at: node.at, width: width(node) }
        }
        Value::Scalar(_) | Value::Null | Value::Sequence(_) | Value::Mapping(_) => place,
    }
}

/// Returns the fields of which a file spells one out where the spec has a single value.
fn longhand(path: &str) -> &'static [&'static str] {
    if path.ends_with(".publish") {
        &["file", "tree"]
    } else if path.contains(".inputs.") {
        &["from", "worker_path"]
    } else {
        &[]
    }
}

fn is_text(node: &Node, text: &str) -> bool {
    matches!(&node.value, Value::Scalar(scalar) if scalar == text)
}

fn width(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(text) => text.lines().next().unwrap_or_default().chars().count().max(1),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) => 1,
    }
}

/// Returns what the file calls a field of the spec.
fn file_name(segment: &str) -> &str {
    match segment {
        "display_name" => "name",
        "bytes_max" => "max_bytes",
        "backoff_max" => "max_backoff",
        other => other,
    }
}
