//! The tasks of a job and what they wait for, as text, for Graphviz, for Markdown and as a picture.

use std::{collections::BTreeMap, fmt::Write as _};

use votum_ids::TaskId;
use votum_job::Graph;
use votum_wire::view::TaskState;

use super::{
    paint::{Paint, Tone},
    table::{Table, cell},
};

/// A graph, and where its tasks stand if they are those of a job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawing<'a> {
    pub name: &'a str,
    pub graph: &'a Graph,
    pub states: &'a BTreeMap<TaskId, TaskState>,
}

impl Drawing<'_> {
    /// Draws it level by level: what stands on one level waits for nothing on it.
    pub(crate) fn text(&self, paint: Paint) -> String {
        let mut table = Table::new(["LEVEL", "TASK", "STATE", "WAITS FOR", "FEEDS"]);
        for (level, tasks) in self.graph.levels().iter().enumerate() {
            for (number, &task) in tasks.iter().enumerate() {
                let state = self.states.get(self.graph.name(task));
                let tone = state.map_or(Tone::Plain, |state| Tone::of_task(*state));
                table.row([
                    cell(if number == 0 { level.to_string() } else { String::new() }),
                    cell(format!(
                        "{}{}",
                        "  ".repeat(level.min(INDENTS_MAX)),
                        self.graph.name(task)
                    )),
                    cell(state.map_or("-", |state| state.word())).tone(tone),
                    cell(self.names(self.graph.predecessors(task))),
                    cell(self.names(self.graph.successors(task))),
                ]);
            }
        }
        table.text(paint)
    }

    /// Writes it for Graphviz.
    pub(crate) fn dot(&self) -> String {
        let mut out = format!("digraph {:?} {{\n  rankdir=LR;\n  node [shape=box];\n", self.name);
        for &task in self.graph.order() {
            let _ =
                writeln!(out, "  {:?} [label={:?}];", self.label(task), self.worded(task, "\n"));
        }
        for (from, to) in self.edges() {
            let _ = writeln!(out, "  {:?} -> {:?};", self.label(from), self.label(to));
        }
        out + "}\n"
    }

    /// Writes it for pages that draw Mermaid.
    pub(crate) fn mermaid(&self) -> String {
        let mut out = String::from("flowchart LR\n");
        for &task in self.graph.order() {
            let _ = writeln!(out, "  t{task}[\"{}\"]", self.worded(task, "<br/>"));
        }
        for (from, to) in self.edges() {
            let _ = writeln!(out, "  t{from} --> t{to}");
        }
        out
    }

    /// Draws it: one column for each level.
    pub(crate) fn svg(&self) -> String {
        let levels = self.graph.levels();
        let rows = levels.iter().map(Vec::len).max().unwrap_or(1);
        let names = self.graph.names().iter().map(|name| name.as_str().chars().count());
        let box_width = BOX_LEAST.max(names.max().unwrap_or(0) * CHAR_WIDTH + 2 * MARGIN);
        let column = box_width + COLUMN_GAP;
        let (width, height) = (levels.len() * column + MARGIN, rows * ROW + 2 * MARGIN);
        let mut places = BTreeMap::new();
        for (level, tasks) in levels.iter().enumerate() {
            let top = (rows - tasks.len()) * ROW / 2;
            for (number, &task) in tasks.iter().enumerate() {
                places.insert(task, (MARGIN + level * column, MARGIN + top + number * ROW));
            }
        }
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"13\">\n<title>{}</title>\n",
            escaped(self.name)
        );
        for (from, to) in self.edges() {
            let ((x1, y1), (x2, y2)) = (places[&from], places[&to]);
            let (x1, y1, y2) = (x1 + box_width, y1 + BOX_HEIGHT / 2, y2 + BOX_HEIGHT / 2);
            let bend = (x1 + x2) / 2;
            let _ = writeln!(
                out,
                "<path d=\"M{x1} {y1} C{bend} {y1} {bend} {y2} {x2} {y2}\" fill=\"none\" \
                 stroke=\"#8a94a6\"/>"
            );
        }
        for (task, (x, y)) in places {
            let name = self.graph.name(task);
            let state = self.states.get(name);
            let (fill, word) = (colour(state.copied()), state.map_or("", |state| state.word()));
            let middle = x + box_width / 2;
            let name_at = if word.is_empty() { y + 25 } else { y + 17 };
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{box_width}\" height=\"{BOX_HEIGHT}\" rx=\"6\" \
                 fill=\"{fill}\" stroke=\"#5b6577\"/>\n<text x=\"{middle}\" y=\"{name_at}\" \
                 text-anchor=\"middle\" fill=\"#1c2230\">{}</text>",
                escaped(name.as_str())
            );
            if !word.is_empty() {
                let word_at = y + 33;
                let _ = writeln!(
                    out,
                    "<text x=\"{middle}\" y=\"{word_at}\" text-anchor=\"middle\" font-size=\"10\" \
                     fill=\"#3c4658\">{word}</text>"
                );
            }
        }
        out + "</svg>\n"
    }

    fn edges(&self) -> impl Iterator<Item = (usize, usize)> {
        let order = self.graph.order().iter();
        order.flat_map(|&from| self.graph.successors(from).iter().map(move |&to| (from, to)))
    }

    fn label(&self, task: usize) -> &str {
        self.graph.name(task).as_str()
    }

    fn worded(&self, task: usize, between: &str) -> String {
        let name = self.graph.name(task);
        match self.states.get(name) {
            Some(state) => format!("{name}{between}{}", state.word()),
            None => name.to_string(),
        }
    }

    fn names(&self, tasks: &[usize]) -> String {
        let names: Vec<&str> = tasks.iter().map(|&task| self.label(task)).collect();
        if names.is_empty() { "-".to_owned() } else { names.join(", ") }
    }
}

/// Fills a box; its word says the same.
fn colour(state: Option<TaskState>) -> &'static str {
    match state {
        None | Some(TaskState::Waiting | TaskState::Cancelled | TaskState::Discarded) => "#eef1f5",
        Some(TaskState::Ready | TaskState::Retrying) => "#fdeec3",
        Some(TaskState::Starting | TaskState::Running) => "#cfe6fb",
        Some(TaskState::Staged | TaskState::Prepared | TaskState::Committed) => "#d3f0d8",
        Some(TaskState::Failed) => "#f8d3d3",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Deeper levels are not moved further.
const INDENTS_MAX: usize = 8;
const MARGIN: usize = 12;
const BOX_LEAST: usize = 90;
const BOX_HEIGHT: usize = 42;
const CHAR_WIDTH: usize = 8;
const COLUMN_GAP: usize = 56;
const ROW: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job_file::{self, GivenParams, MissingParams};

    #[test]
    fn every_task_and_edge_is_in_every_drawing() {
        let file = "version: 1\nname: etl\ntasks:\n  a: { run: 'true' }\n  b: { run: 'true', needs: [a] }\n  \
                    c: { run: 'true', needs: [a, b] }\n";
        let (given, missing) = (GivenParams::default(), MissingParams::Refused);
        let spec = job_file::parse("etl.yaml", file.as_bytes(), None, &given, missing).unwrap();
        let graph = Graph::check(&spec).unwrap();
        let states = [(TaskId::new("a").unwrap(), TaskState::Running)].into();
        let drawing = Drawing { name: &spec.display_name, graph: &graph, states: &states };
        let edges = drawing.edges().count();
        assert_eq!(drawing.dot().matches(" -> ").count(), edges);
        assert_eq!(drawing.mermaid().matches(" --> ").count(), edges);
        assert_eq!(drawing.svg().matches("<path").count(), edges);
        assert_eq!(drawing.svg().matches("<rect").count(), graph.len());
        assert_eq!(drawing.text(Paint::Off).lines().count(), graph.len() + 1);
    }
}
