//! What was measured, and what it means for the goals.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;
use serde::Serialize;

use crate::{
    goals::{Judged, judged},
    machine::{MachineView, load},
    page,
    statistics::{Figure, growth},
};

/// Everything that one run of the benchmarks found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Where and when.
    pub(crate) machine: MachineView,
    /// By name.
    pub(crate) figures: BTreeMap<String, Figure>,
    /// Costs that grow with something, for the plots.
    pub(crate) curves: Vec<Curve>,
    /// The goals, each with what was measured.
    pub(crate) goals: Vec<Judged>,
    /// Sentences that a reader needs.
    pub(crate) notes: Vec<String>,
}

/// A cost that grows with something.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Curve {
    /// Of its plot.
    pub(crate) title: &'static str,
    /// What grows.
    pub(crate) along: &'static str,
    /// What it costs, with its unit.
    pub(crate) cost: &'static str,
    /// In order.
    pub(crate) points: Vec<(f64, f64)>,
    /// From the first to the last point, against `n log n`: at most 1 if it grows no faster.
    pub(crate) growth: Option<f64>,
}

impl Report {
    /// Begins an empty one.
    pub(crate) fn begun(machine: MachineView) -> Self {
        let (figures, curves, notes) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { machine, figures, curves, goals: Vec::new(), notes }
    }

    /// Adds a figure, and tells it; nothing without a run.
    pub(crate) fn add(&mut self, name: &str, unit: &'static str, runs: Vec<f64>) {
        if let Some(figure) = Figure::of(unit, runs) {
            let Figure { median, min, max, .. } = figure;
            tell(&format!("{name}: {median:.3} {unit} ({min:.3} to {max:.3})"));
            self.figures.insert(name.to_owned(), figure);
        }
    }

    /// Adds a curve; nothing without a point.
    pub(crate) fn draw(
        &mut self,
        title: &'static str,
        along: &'static str,
        cost: &'static str,
        points: Vec<(f64, f64)>,
    ) {
        if !points.is_empty() {
            let growth = growth(&points);
            self.curves.push(Curve { title, along, cost, points, growth });
        }
    }

    /// Adds a sentence, once.
    pub(crate) fn note(&mut self, sentence: &str) {
        if !self.notes.iter().any(|note| note == sentence) {
            tell(sentence);
            self.notes.push(sentence.to_owned());
        }
    }

    /// Returns the median of a figure, if it was measured.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        self.figures.get(name).map(|figure| figure.median)
    }

    /// Compares with the goals and writes `bench.json` and `bench.html`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn write(&mut self, folder: &Path) -> anyhow::Result<()> {
        self.machine.load_after = load();
        self.goals = judged(self);
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (name, text) in
            [("bench.json", serde_json::to_string_pretty(self)?), ("bench.html", page::page(self))]
        {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// Tells the person at the terminal.
#[expect(clippy::print_stdout, reason = "a command for people")]
pub(crate) fn tell(text: &str) {
    println!("bench: {text}");
}
