//! Which crash points there are, and who is killed at them while doing what.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
};

use votum_tests::Flavour;

/// One kill.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Where.
    pub(crate) point: String,
    /// At which visit, counted from 1.
    pub(crate) visit: u32,
    /// Which kind of process.
    pub(crate) role: Role,
    /// Whose environment names the point.
    pub(crate) daemon: String,
    /// What the job does meanwhile.
    pub(crate) flavour: Flavour,
}

/// Which kind of process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The coordinator.
    Coordinator,
    /// A worker.
    Worker,
    /// The supervisor of an attempt; the worker that it belongs to lives on.
    Supervisor,
}

impl Plan {
    /// Returns the value of `VOTUM_CRASH_AT`.
    pub(crate) fn armed(&self) -> String {
        format!("{}:{}", self.point, self.visit)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} in {} ({:?})", self.point, self.visit, self.daemon, self.flavour)
    }
}

/// Lists every crash point that the sources of the daemons name.
pub(crate) fn named_in_sources() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut points = BTreeSet::new();
    for folder in FOLDERS {
        for file in files_below(&root.join(folder)) {
            let text = fs::read_to_string(file).unwrap();
            let named = text.split("crash_point!(\"").skip(1);
            points.extend(named.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    assert!(points.len() >= 30, "the sources were not found: {points:?}");
    points
}

/// Says whether a point is tried by another test.
pub(crate) fn is_elsewhere(point: &str) -> bool {
    AT_FIRST_START.contains(&point) || UNREACHABLE.iter().any(|(name, _)| *name == point)
}

/// Plans at least two kills for each point, and more where every record and action passes.
pub(crate) fn plans(points: &BTreeSet<String>) -> Vec<Plan> {
    let mut plans = Vec::new();
    for point in points.iter().filter(|point| !is_elsewhere(point)) {
        let family = point.split('.').next().unwrap_or_default();
        match family {
            "journal" | "driver" => {
                plans.extend([1, 4, 9].map(|visit| at_coordinator(point, visit, Flavour::Commits)));
                plans.push(at_coordinator(point, 7, Flavour::Fails));
                for (visit, worker) in [(1, "s1"), (3, "s2"), (6, "s3")] {
                    plans.push(at_worker(point, visit, worker, Flavour::Commits));
                }
            }
            "coordinator" => {
                plans.extend([1, 2].map(|visit| at_coordinator(point, visit, Flavour::Commits)));
            }
            "process" if IN_SUPERVISOR.contains(&point.as_str()) => {
                let plan = at_worker(point, 1, "s1", Flavour::Commits);
                plans.push(Plan { role: Role::Supervisor, ..plan.clone() });
                plans.push(Plan { role: Role::Supervisor, daemon: "s3".to_owned(), ..plan });
            }
            _ => {
                let flavour = match point.as_str() {
                    point if point.contains("discard") => Flavour::Stumbles,
                    point if point.contains("checkpoint") => Flavour::Saves,
                    _ => Flavour::Commits,
                };
                for (visit, worker) in [(1, "s1"), (2, "s3")] {
                    plans.push(at_worker(point, visit, worker, flavour));
                }
            }
        }
    }
    plans
}

fn at_coordinator(point: &str, visit: u32, flavour: Flavour) -> Plan {
    let (point, daemon) = (point.to_owned(), "coordinator".to_owned());
    Plan { point, visit, role: Role::Coordinator, daemon, flavour }
}

fn at_worker(point: &str, visit: u32, worker: &str, flavour: Flavour) -> Plan {
    let (point, daemon) = (point.to_owned(), worker.to_owned());
    Plan { point, visit, role: Role::Worker, daemon, flavour }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// A new journal makes its first segment: once in the life of a daemon.
pub(crate) const AT_FIRST_START: [&str; 3] =
    ["journal.before_segment", "journal.segment_written", "journal.segment_named"];
/// What no small job reaches, and who tries it instead.
pub(crate) const UNREACHABLE: [(&str, &str); 6] = [
    ("journal.before_head", "64 MiB of dead records are needed; journal/tests/crash.rs tries it"),
    ("journal.after_head", "64 MiB of dead records are needed; journal/tests/crash.rs tries it"),
    ("shadow.retire.after_rename", "two earlier jobs are needed; end_to_end/retiring.rs tries it"),
    ("shadow.retire.after_removal", "two earlier jobs are needed; shadow/retiring.rs tries it"),
    ("shadow.publish.after_clearing", "a revert is needed; end_to_end/reverting.rs tries it"),
    ("shadow.publish.after_bringing_back", "a revert is needed; shadow/putting_back.rs tries it"),
];
/// Points in the process that supervises an attempt; it passes each of them once.
const IN_SUPERVISOR: [&str; 2] = ["process.after_spawn", "process.before_exit_record"];
/// Where crash points may stand.
const FOLDERS: [&str; 6] = [
    "crates/driver/src",
    "crates/journal/src",
    "crates/process/src",
    "crates/shadow/src",
    "worker/src",
    "coordinator/src",
];
