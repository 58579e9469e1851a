//! Reads the fields of a mapping and collects what is wrong instead of stopping at it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use votum_job::closest;

use super::{
    Problem,
    params::{self, Kind, KnownToWorker, Unresolved},
    quantity,
    shape::Shape,
    tree::{Key, Node, Position, Value},
};

/// Reads nodes; every `None` it returns has left a problem behind.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    lines: Vec<&'a str>,
    params: BTreeMap<String, String>,
    /// What the worker knows of the task that is read.
    known: KnownToWorker,
    /// Of a published output that says nothing of its own.
    replicas: u32,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Reads nodes of this text.
    pub(super) fn new(source: &'a str) -> Self {
        Self {
            lines: source.lines().collect(),
            params: BTreeMap::new(),
            known: KnownToWorker::default(),
            replicas: 1,
            problems: Vec::new(),
        }
    }

    /// Returns everything that was wrong.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Replaces `${{ params.X }}` by these values from here on.
    pub(super) fn set_params(&mut self, params: BTreeMap<String, String>) {
        self.params = params;
    }

    /// Leaves expressions of these things to the worker, in texts that it reads, from here on.
    pub(super) fn set_known(&mut self, known: KnownToWorker) {
        self.known = known;
    }

    /// Gives every published output that many replicas from here on, unless it says otherwise.
    pub(super) fn set_replicas(&mut self, replicas: u32) {
        self.replicas = replicas;
    }

    /// Returns how many replicas an output has that says nothing of its own.
    pub(super) fn replicas(&self, published: bool) -> u32 {
        if published { self.replicas } else { 1 }
    }

    /// Keeps a problem.
    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Opens a mapping; fields that nobody knows are problems.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        shape: &'static Shape,
    ) -> Fields<'n> {
        let entries = self.entries(node);
        for (key, _) in entries {
            if shape.field(&key.text).is_none() {
                self.report(unknown_field(key, what, shape));
            }
        }
        Fields { node, entries, shape }
    }

    /// Returns the entries of a mapping; nothing counts as an empty one.
    pub(super) fn entries<'n>(&mut self, node: &'n Node) -> &'n [(Key, Node)] {
        match &node.value {
            Value::Mapping(entries) => entries,
            Value::Null => &[],
            Value::Scalar(_) | Value::Sequence(_) => {
                let problem = self.wrong_kind(node, "names with values, as `name: value`");
                self.report(problem);
                &[]
            }
        }
    }

    /// Returns the items of a list.
    pub(super) fn items<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        match &node.value {
            Value::Sequence(items) => items,
            Value::Null => &[],
            Value::Scalar(_) | Value::Mapping(_) => {
                let problem = self.wrong_kind(node, "a list, as `[a, b]`");
                self.report(problem);
                &[]
            }
        }
    }

    /// Returns text as it was written.
    pub(super) fn text<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        match &node.value {
            Value::Scalar(text) => Some(text),
            Value::Null => {
                self.report(Problem::new(node.at, "a value is missing".to_owned()));
                None
            }
            Value::Sequence(_) | Value::Mapping(_) => {
                let problem = self.wrong_kind(node, "text");
                self.report(problem);
                None
            }
        }
    }

    /// Returns text with its parameters replaced.
    pub(super) fn substituted(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        let substituted = params::substitute(text, &self.params, None);
        self.resolved(node, substituted)
    }

    /// Returns text with its parameters replaced in which the worker replaces what only it knows.
    pub(super) fn substituted_for_worker(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        let substituted = params::substitute(text, &self.params, Some(&self.known));
        self.resolved(node, substituted)
    }

    fn resolved(&mut self, node: &Node, text: Result<String, Unresolved>) -> Option<String> {
        let unresolved = match text {
            Ok(text) => return Some(text),
            Err(unresolved) => unresolved,
        };
        let at = self.find(node.at, &unresolved.expression);
        let width = unresolved.expression.chars().count();
        let mut problem = Problem::new(at, unresolved.to_string()).width(width);
        if let Some((kind, name)) = &unresolved.name {
            let meant = match kind {
                Kind::Parameter => closest(name, self.params.keys().map(String::as_str)),
                Kind::Input => closest(name, self.known.inputs.iter().map(String::as_str)),
                Kind::Output => closest(name, self.known.outputs.iter().map(String::as_str)),
            };
            let label = meant.map(|name| format!("did you mean `{}.{name}`?", kind.prefix()));
            problem = problem.label(label.unwrap_or_default());
        }
        self.report(problem.help(params::RULE));
        None
    }

    /// Returns what `read` makes of the text.
    pub(super) fn parsed<T, E: fmt::Display>(
        &mut self,
        node: &Node,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(node)?;
        self.accept(node, text, read(text))
    }

    /// Returns what `read` makes of the text with its parameters replaced.
    pub(super) fn parsed_substituted<T, E: fmt::Display>(
        &mut self,
        node: &Node,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.substituted(node)?;
        self.accept(node, &text, read(&text))
    }

    /// Returns a duration.
    pub(super) fn duration(&mut self, node: &Node) -> Option<Duration> {
        self.parsed(node, quantity::duration)
    }

    /// Returns yes or no.
    pub(super) fn flag(&mut self, node: &Node) -> Option<bool> {
        self.parsed(node, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("write `true` or `false`"),
        })
    }

    /// Returns names with texts, their parameters replaced.
    pub(super) fn texts(&mut self, node: &Node) -> BTreeMap<String, String> {
        self.texts_by(node, Self::substituted)
    }

    /// Returns names with texts in which the worker replaces what only it knows.
    pub(super) fn texts_for_worker(&mut self, node: &Node) -> BTreeMap<String, String> {
        self.texts_by(node, Self::substituted_for_worker)
    }

    fn texts_by(
        &mut self,
        node: &Node,
        read: fn(&mut Self, &Node) -> Option<String>,
    ) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for (key, value) in self.entries(node) {
            let text = match value.value {
                Value::Null => Some(String::new()),
                Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => read(self, value),
            };
            if let Some(text) = text {
                texts.insert(key.text.clone(), text);
            }
        }
        texts
    }

    /// Returns the items of a list, each read by `read`.
    pub(super) fn set<T: Ord, E: fmt::Display>(
        &mut self,
        node: &Node,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> BTreeSet<T> {
        self.items(node).iter().filter_map(|item| self.parsed(item, &read)).collect()
    }

    /// Returns a mapping's key as a name.
    pub(super) fn name<T, E: fmt::Display>(
        &mut self,
        key: &Key,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match read(&key.text) {
            Ok(name) => Some(name),
            Err(error) => {
                self.report(at_key(key, error.to_string()));
                None
            }
        }
    }

    /// Says in a word what a value is.
    pub(super) fn kind(&self, node: &Node) -> &'static str {
        match &node.value {
            Value::Null => "nothing",
            // What is quoted is text, whatever it looks like: then a quote stands at its place.
            Value::Scalar(text) if self.find(node.at, text) == node.at => {
                plain_kind(text).unwrap_or("text")
            }
            Value::Scalar(_) => "text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "names with values",
        }
    }

    fn wrong_kind(&self, node: &Node, wanted: &str) -> Problem {
        Problem::new(node.at, format!("expected {wanted}; found {}", self.kind(node)))
    }

    fn accept<T, E: fmt::Display>(
        &mut self,
        node: &Node,
        text: &str,
        read: Result<T, E>,
    ) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                let at = self.find(node.at, text);
                self.report(Problem::new(at, error.to_string()).width(text.trim().chars().count()));
                None
            }
        }
    }

    /// Returns where a piece of a value stands, if it stands in the value's first line.
    fn find(&self, at: Position, piece: &str) -> Position {
        let before = at.column - 1;
        let line = self.lines.get(at.line - 1).copied().unwrap_or_default();
        let rest: String = line.chars().skip(before).collect();
        match rest.find(piece) {
            Some(bytes) if !piece.is_empty() => {
                Position { line: at.line, column: at.column + rest[..bytes].chars().count() }
            }
            Some(_) | None => at,
        }
    }
}

/// The fields of one mapping.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'n> {
    /// The mapping itself.
    pub node: &'n Node,
    entries: &'n [(Key, Node)],
    shape: &'static Shape,
}

impl<'n> Fields<'n> {
    /// Returns the value of a field that was given.
    pub(super) fn find(&self, name: &str) -> Option<&'n Node> {
        debug_assert!(
            self.shape.field(name).is_some(),
            "{name} is no field of {}",
            self.shape.name
        );
        self.entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
    }

    /// Returns the key of a field that was given.
    pub(super) fn key(&self, name: &str) -> Option<&'n Key> {
        self.entries.iter().find(|(key, _)| key.text == name).map(|(key, _)| key)
    }

    /// Returns where the mapping's first field stands, or would stand.
    pub(super) fn at(&self) -> Position {
        self.entries.first().map_or(self.node.at, |(key, _)| key.at)
    }
}

/// Makes a problem that underlines a key.
pub(super) fn at_key(key: &Key, message: String) -> Problem {
    Problem::new(key.at, message).width(key.text.chars().count())
}

fn unknown_field(key: &Key, what: &str, shape: &Shape) -> Problem {
    let problem = at_key(key, format!("unknown field `{}` in {what}", key.text));
    match closest(&key.text, shape.names()) {
        Some(name) => problem.label(format!("did you mean `{name}`?")),
        None => {
            let known: Vec<&str> = shape.names().collect();
            problem.help(format!("known here: {}", known.join(", ")))
        }
    }
}

/// A scalar that is no text in any of the three syntaxes, unless it is quoted.
fn plain_kind(text: &str) -> Option<&'static str> {
    match text {
        "true" | "false" => Some("a boolean"),
        // The language knows names of numbers, such as `inf`, that the syntaxes do not.
        _other if !text.contains(|c: char| c.is_ascii_digit()) => None,
        _other => text.parse::<f64>().is_ok().then_some("a number"),
    }
}
