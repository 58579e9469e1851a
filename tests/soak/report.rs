//! What a run comes to: the first third of its samples beside the last one.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    KEPT,
    load::Tally,
    sample::{Quantity, Sample},
};

/// A run in figures.
pub(crate) struct Report {
    seed: u64,
    length: Duration,
    tally: Tally,
    rows: Vec<Row>,
    samples: Value,
}

/// One figure at the beginning and at the end of a run.
struct Row {
    name: String,
    unit: &'static str,
    /// Medians; none of nothing.
    first: Option<f64>,
    last: Option<f64>,
    bound: Bound,
}

/// How large a figure may be in the last third.
#[derive(Clone, Copy)]
struct Bound {
    /// So many times what it was in the first one.
    times: f64,
    /// And so much more.
    more: f64,
}

impl Report {
    /// Compares the thirds of a run that has come to rest.
    pub(crate) fn of(seed: u64, length: Duration, tally: &Tally, samples: &[Sample]) -> Self {
        // What is kept for a while grows until the first of it is forgotten.
        let rest = (KEPT * 4).max(length / 10);
        let settled: Vec<&Sample> = samples.iter().filter(|sample| sample.at > rest).collect();
        let third = settled.len() / 3;
        let (first, last) = (&settled[..third], &settled[settled.len() - third..]);
        let mut series: BTreeMap<(&str, Quantity), ()> = BTreeMap::new();
        series.extend(samples.iter().flat_map(|sample| sample.sizes.keys().map(|key| (*key, ()))));
        let mut rows: Vec<Row> = series
            .into_keys()
            .map(|key| {
                let of = |part: &[&Sample]| {
                    median(part.iter().filter_map(|sample| sample.sizes.get(&key).copied()))
                };
                let (name, (what, unit)) = (key.0, key.1.described());
                Row {
                    name: format!("{name}: {what}"),
                    unit,
                    first: of(first),
                    last: of(last),
                    bound: key.1.bound(),
                }
            })
            .collect();
        rows.extend(latencies(first, last));
        let samples = samples.iter().map(Sample::as_json).collect();
        Self { seed, length, tally: *tally, rows, samples }
    }

    /// Returns every figure that is larger at the end than it may be.
    pub(crate) fn grown(&self) -> Vec<String> {
        self.rows.iter().filter(|row| !row.holds()).map(Row::line).collect()
    }

    /// Returns a line for each figure, and one for the run.
    pub(crate) fn table(&self) -> String {
        let heading = format!(
            "{:32} {:>10} {:>10} {:>10}\n",
            "median of", "1st third", "last third", "at most"
        );
        let rows = self.rows.iter().map(|row| row.line() + "\n").collect::<String>();
        let Self { seed, length, tally, .. } = self;
        format!("{heading}{rows}{tally}, in {length:.0?}, seed {seed}")
    }

    /// Writes `soak.json` and `soak.txt`.
    pub(crate) fn write(&self, folder: &Path) {
        let row = |row: &Row| {
            json!({
                "name": row.name,
                "unit": row.unit,
                "first_third": row.first,
                "last_third": row.last,
                "at_most": row.at_most(),
                "holds": row.holds(),
            })
        };
        let report = json!({
            "seed": self.seed,
            "seconds": self.length.as_secs(),
            "committed": self.tally.committed,
            "failed": self.tally.failed,
            "cancelled": self.tally.cancelled,
            "figures": self.rows.iter().map(row).collect::<Value>(),
            "samples": self.samples,
        });
        fs::create_dir_all(folder).expect("the folder of the report can be made");
        let text = serde_json::to_string_pretty(&report).expect("JSON is text");
        fs::write(folder.join("soak.json"), text).expect("the report can be written");
        fs::write(folder.join("soak.txt"), self.table() + "\n").expect("the report can be written");
    }
}

impl Row {
    fn at_most(&self) -> Option<f64> {
        Some(self.first? * self.bound.times + self.bound.more)
    }

    /// Says whether it stays within its bound; what was never measured does.
    fn holds(&self) -> bool {
        match (self.last, self.at_most()) {
            (Some(last), Some(most)) => last <= most,
            (None, _) | (_, None) => true,
        }
    }

    fn line(&self) -> String {
        let number =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
        let name = format!("{}, {}", self.name, self.unit);
        let verdict = if self.holds() { "" } else { "  GROWN" };
        let [first, last, most] = [self.first, self.last, self.at_most()].map(number);
        format!("{name:32} {first:>10} {last:>10} {most:>10}{verdict}")
    }
}

impl Quantity {
    /// Returns what it is, and its unit.
    fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::Memory => ("memory", "MiB"),
            Self::Descriptors => ("descriptors", "open"),
            Self::Threads => ("threads", "alive"),
            Self::Files => ("files", "there"),
            Self::Kept => ("kept", "MiB"),
            Self::Log => ("log", "MiB"),
            Self::Index => ("index", "MiB"),
        }
    }

    fn bound(self) -> Bound {
        match self {
            Self::Memory => Bound { times: 1.15, more: 8.0 },
            // Those of the attempts that happen to run.
            Self::Descriptors => Bound { times: 1.0, more: 24.0 },
            Self::Threads => Bound { times: 1.0, more: 12.0 },
            Self::Files => Bound { times: 1.2, more: 150.0 },
            Self::Kept => Bound { times: 1.2, more: 2.0 },
            // The log is given back in segments of 64 MiB, and not before one is full.
            Self::Log => Bound { times: 1.0, more: 192.0 },
            Self::Index => Bound { times: 1.5, more: 24.0 },
        }
    }
}

impl Sample {
    fn as_json(&self) -> Value {
        let mut object = serde_json::Map::new();
        object.insert("seconds".to_owned(), json!(self.at.as_secs_f64()));
        for ((daemon, quantity), size) in &self.sizes {
            object.insert(format!("{daemon}: {}", quantity.described().0), json!(size));
        }
        let median_ms = |all: &[Duration]| median(all.iter().map(|one| one.as_secs_f64() * 1e3));
        object.insert("submission ms".to_owned(), json!(median_ms(&self.latencies.submits)));
        object.insert("job ms".to_owned(), json!(median_ms(&self.latencies.jobs)));
        object.insert("machine ms".to_owned(), json!(self.yardstick.as_secs_f64() * 1e3));
        object.insert("jobs".to_owned(), json!(self.latencies.submits.len()));
        Value::Object(object)
    }
}

/// Compares how long people wait; a machine that others made busier may let them wait longer.
fn latencies(first: &[&Sample], last: &[&Sample]) -> [Row; 3] {
    let row = |name: &str, bound, of: fn(&Sample) -> Vec<Duration>| {
        let middle = |part: &[&Sample]| {
            median(part.iter().flat_map(|one| of(one)).map(|took| took.as_secs_f64() * 1e3))
        };
        Row { name: name.to_owned(), unit: "ms", first: middle(first), last: middle(last), bound }
    };
    let machine = row("process and synced file", MACHINE, |sample| vec![sample.yardstick]);
    let busier = match (machine.first, machine.last) {
        (Some(first), Some(last)) if first > 0.0 => (last / first).max(1.0),
        (None | Some(_), None | Some(_)) => 1.0,
    };
    let bound = Bound { times: LATENCY.times * busier, ..LATENCY };
    [
        row("submission answered", bound, |sample| sample.latencies.submits.clone()),
        row("job committed", bound, |sample| sample.latencies.jobs.clone()),
        machine,
    ]
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// It is measured to know the machine, and may be anything.
const MACHINE: Bound = Bound { times: f64::INFINITY, more: 0.0 };
/// Beyond what the machine itself became slower.
const LATENCY: Bound = Bound { times: 1.5, more: 100.0 };
