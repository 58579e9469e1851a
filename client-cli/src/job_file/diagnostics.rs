//! How a problem of a job file looks: what is wrong, where, the line itself, and what to do.

use std::fmt::{self, Write as _};

use super::tree::Position;

/// One thing that is wrong with a job file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    at: Position,
    /// What it is about instead, if that is no place of the file.
    beside: Option<String>,
    width: usize,
    message: String,
    label: String,
    help: Option<String>,
}

impl Problem {
    /// Says what is wrong and where.
    pub(super) fn new(at: Position, message: String) -> Self {
        Self { at, beside: None, width: 1, message, label: String::new(), help: None }
    }

    /// Says what is wrong with something that was given beside the file.
    pub(super) fn beside_the_file(given: String, message: String) -> Self {
        Self { beside: Some(given), ..Self::new(Position::START, message) }
    }

    /// Says whether both are about one place.
    pub(super) fn is_where(&self, other: &Self) -> bool {
        self.at == other.at && self.beside == other.beside
    }

    /// Underlines this many characters.
    pub(super) fn width(mut self, width: usize) -> Self {
        self.width = width.max(1);
        self
    }

    /// Stands beside the underline.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Stands below the source: what would make it right.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn render(&self, out: &mut String, file: &str, lines: &[&str]) -> fmt::Result {
        let Position { line, column } = self.at;
        writeln!(out, "error: {}", self.message)?;
        if self.beside.is_some() {
            let more = (!self.label.is_empty()).then_some(&self.label);
            return more
                .into_iter()
                .chain(&self.help)
                .try_for_each(|line| writeln!(out, "  = {line}"));
        }
        let gutter = line.to_string().len();
        writeln!(out, "{:gutter$}--> {file}:{line}:{column}", "")?;
        if let Some(source) = lines.get(line - 1).filter(|source| source.len() <= LINE_BYTES_MAX) {
            let visible = source.replace('\t', " ");
            let indent = column.saturating_sub(1).min(visible.chars().count());
            let room = visible.chars().count().saturating_sub(indent).max(1);
            let mark = "^".repeat(self.width.min(room));
            writeln!(out, "{:gutter$} |", "")?;
            writeln!(out, "{line} | {visible}")?;
            writeln!(out, "{:gutter$} | {:indent$}{mark} {}", "", "", self.label)?;
        } else if !self.label.is_empty() {
            writeln!(out, "{:gutter$} = {}", "", self.label)?;
        }
        if let Some(help) = &self.help {
            writeln!(out, "{:gutter$} = {help}", "")?;
        }
        Ok(())
    }
}

/// A job file that was refused, with everything that is wrong with it.
#[derive(Debug)]
pub(crate) struct Rejection {
    file: String,
    source: String,
    problems: Vec<Problem>,
}

impl Rejection {
    /// Keeps what is needed to show the problems, in the order of the file.
    pub(super) fn new(file: &str, source: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.at);
        Self { file: file.to_owned(), source: source.to_owned(), problems }
    }

    /// Returns the problems as `file:line:column: message`, one each, for programs.
    pub(crate) fn one_line_each(&self) -> Vec<String> {
        let file = &self.file;
        self.problems
            .iter()
            .map(|Problem { at, beside, message, label, .. }| {
                let colon = if label.is_empty() { "" } else { ": " };
                match beside {
                    Some(given) => format!("{given}: {message}{colon}{label}"),
                    None => format!("{file}:{}:{}: {message}{colon}{label}", at.line, at.column),
                }
            })
            .collect()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<&str> = self.source.lines().collect();
        for problem in self.problems.iter().take(PROBLEMS_SHOWN_MAX) {
            let mut text = String::new();
            problem.render(&mut text, &self.file, &lines)?;
            for line in text.lines() {
                writeln!(f, "{}", line.trim_end())?;
            }
            writeln!(f)?;
        }
        let count = self.problems.len();
        let shown = if count > PROBLEMS_SHOWN_MAX {
            format!(", {PROBLEMS_SHOWN_MAX} of them shown")
        } else {
            String::new()
        };
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{}: {count} {noun}{shown}", self.file)
    }
}

impl std::error::Error for Rejection {}

/// Longer lines are not repeated.
const LINE_BYTES_MAX: usize = 400;
/// A file that is wrong everywhere does not fill the terminal.
const PROBLEMS_SHOWN_MAX: usize = 20;
