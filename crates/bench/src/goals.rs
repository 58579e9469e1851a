//! The goals, and when a figure reaches them.
//!
//! Each is a ratio of figures of one run. A bound that needs a figure which was not taken is not
//! compared: the report then says so instead of judging.

use serde::Serialize;

use crate::report::Report;

/// One clause of a goal with what was found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Judged {
    /// Such as `P3`.
    pub(crate) goal: &'static str,
    /// What is measured.
    pub(crate) what: &'static str,
    /// Of the measured value and the bounds.
    pub(crate) unit: &'static str,
    /// The median.
    pub(crate) measured: Option<f64>,
    /// What must be reached.
    pub(crate) must: Mark,
    /// What may be reached.
    pub(crate) stretch: Mark,
}

/// One bound with its verdict.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mark {
    /// The bound in words; empty if there is none.
    pub(crate) text: &'static str,
    /// Its value in this run.
    pub(crate) bound: Option<f64>,
    /// What follows.
    pub(crate) verdict: Verdict,
}

/// What follows from a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The figure keeps within the bound.
    Reached,
    /// It does not.
    Missed,
    /// The figure or what it is compared with was not taken.
    NotMeasured,
    /// There is no such bound.
    None,
}

impl Verdict {
    /// Returns the word for people.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Missed => "missed",
            Self::NotMeasured => "not measured",
            Self::None => "–",
        }
    }
}

/// Compares a report with every goal.
pub(crate) fn judged(report: &Report) -> Vec<Judged> {
    CLAUSES.iter().map(|clause| clause.judged(report)).collect()
}

/// Returns the goals that there are.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let mut last = "";
    CLAUSES.iter().map(|clause| clause.goal).filter(move |goal| {
        let is_first = *goal != last;
        last = goal;
        is_first
    })
}

/// One clause of a goal, as it is compared.
struct Clause {
    goal: &'static str,
    what: &'static str,
    unit: &'static str,
    measured: Value,
    better: Better,
    must: (&'static str, Value),
    stretch: (&'static str, Value),
}

type Value = fn(&Report) -> Option<f64>;

/// Which way a figure improves.
#[derive(Clone, Copy)]
enum Better {
    Lower,
    Higher,
}

impl Clause {
    fn judged(&self, report: &Report) -> Judged {
        let measured = (self.measured)(report);
        let mark = |(text, bound): (&'static str, Value)| {
            let bound = bound(report);
            let verdict = match (text, measured, bound) {
                ("", _, _) => Verdict::None,
                (_, Some(measured), Some(bound)) => {
                    let keeps = match self.better {
                        Lower => measured <= bound,
                        Higher => measured >= bound,
                    };
                    if keeps { Verdict::Reached } else { Verdict::Missed }
                }
                (_, None, _) | (_, _, None) => Verdict::NotMeasured,
            };
            Mark { text, bound, verdict }
        };
        let (must, stretch) = (mark(self.must), mark(self.stretch));
        let Self { goal, what, unit, .. } = *self;
        Judged { goal, what, unit, measured, must, stretch }
    }
}

/// Shortens the table below.
const fn clause(
    goal: &'static str,
    what: &'static str,
    (measured, unit, better): (Value, &'static str, Better),
    must: (&'static str, Value),
    stretch: (&'static str, Value),
) -> Clause {
    Clause { goal, what, unit, measured, better, must, stretch }
}

fn times(report: &Report, factor: f64, name: &str) -> Option<f64> {
    Some(factor * report.median(name)?)
}

fn limits(report: &Report, syncs: f64, calls: f64) -> Option<f64> {
    Some(times(report, syncs, "limit.fdatasync")? + times(report, calls, "limit.unary")?)
}

fn one_over(report: &Report, name: &str, over: &str) -> Option<f64> {
    Some(report.median(name)? / report.median(over)?)
}

const NO_BOUND: (&str, Value) = ("", |_| None);

use Better::{Higher, Lower};

const CLAUSES: [Clause; 40] = [
    clause(
        "P1",
        "submit to received, one at a time, p50",
        (|r| r.median("submit.received.c1"), "ms", Lower),
        ("4 D + 2 G", |r| limits(r, 4.0, 2.0)),
        ("2 D + 2 G", |r| limits(r, 2.0, 2.0)),
    ),
    clause(
        "P1",
        "the same beside Restate's accept",
        (|r| r.median("submit.received.c1"), "ms", Lower),
        ("0.5 x Restate", |r| times(r, 0.5, "peer.restate.accept.c1")),
        ("0.2 x Restate", |r| times(r, 0.2, "peer.restate.accept.c1")),
    ),
    clause(
        "P2",
        "accepted each second, 64 submitters",
        (|r| r.median("submit.rate.c64"), "1/s", Higher),
        ("3 x Restate", |r| times(r, 3.0, "peer.restate.accept.rate.c64")),
        ("10 x Restate", |r| times(r, 10.0, "peer.restate.accept.rate.c64")),
    ),
    clause(
        "P2",
        "the same beside a bare call",
        (|r| r.median("submit.rate.c64"), "1/s", Higher),
        NO_BOUND,
        ("0.5 x gRPC with 64 callers", |r| times(r, 0.5, "limit.unary.rate.c64")),
    ),
    clause(
        "P3",
        "ordinary job end to end, one at a time, p50, beside Restate with empty steps",
        (|r| r.median("job.end_to_end.c1"), "ms", Lower),
        ("1.0 x Restate", |r| times(r, 1.0, "peer.restate.empty.end_to_end.c1")),
        ("0.6 x Restate", |r| times(r, 0.6, "peer.restate.empty.end_to_end.c1")),
    ),
    clause(
        "P3",
        "the same beside Slurm",
        (|r| r.median("job.end_to_end.c1"), "ms", Lower),
        ("0.02 x Slurm", |r| times(r, 0.02, "peer.slurm.end_to_end.c1")),
        NO_BOUND,
    ),
    clause(
        "P4",
        "ordinary jobs each second, 64 in flight, beside Celery",
        (|r| r.median("job.rate.c64"), "1/s", Higher),
        ("3 x Celery", |r| times(r, 3.0, "peer.celery.rate.c64")),
        NO_BOUND,
    ),
    clause(
        "P4",
        "the same beside Restate that spawns",
        (|r| r.median("job.rate.c64"), "1/s", Higher),
        ("3 x Restate with /bin/true", |r| times(r, 3.0, "peer.restate.spawn.rate.c64")),
        NO_BOUND,
    ),
    clause(
        "P4",
        "the same beside Slurm",
        (|r| r.median("job.rate.c64"), "1/s", Higher),
        ("10 x Slurm", |r| times(r, 10.0, "peer.slurm.rate.c64")),
        NO_BOUND,
    ),
    clause(
        "P4",
        "the same beside what the machine can spawn",
        (|r| r.median("job.rate.c64"), "1/s", Higher),
        NO_BOUND,
        ("0.5 x spawns / 3", |r| times(r, 0.5 / 3.0, "limit.spawn.rate")),
    ),
    clause(
        "P5",
        "jobs each second, 64 in flight, no program and no files",
        (|r| r.median("empty.rate.c64"), "1/s", Higher),
        ("1.0 x Restate", |r| times(r, 1.0, "peer.restate.empty.rate.c64")),
        ("2 x Restate", |r| times(r, 2.0, "peer.restate.empty.rate.c64")),
    ),
    clause(
        "P6",
        "last vote asked for to decision heard, 3 workers, no files, one at a time, p50",
        (|r| r.median("round.decided.c1"), "ms", Lower),
        ("1.0 x PostgreSQL x3", |r| times(r, 1.0, "peer.postgres.commit.c1")),
        ("2 D + 3 G", |r| limits(r, 2.0, 3.0)),
    ),
    clause(
        "P7",
        "decisions each second, 64 in flight",
        (|r| r.median("empty.rate.c64"), "1/s", Higher),
        ("1.0 x PostgreSQL x3", |r| times(r, 1.0, "peer.postgres.rate.c64")),
        ("2 x PostgreSQL x3", |r| times(r, 2.0, "peer.postgres.rate.c64")),
    ),
    clause(
        "P8",
        "commit with a file of 4 KiB on each of 3 workers, vote to published",
        (|r| r.median("commit.files.3"), "ms", Lower),
        ("2 x P6 + 2 x durable publish", |r| {
            Some(times(r, 2.0, "round.decided.c1")? + times(r, 2.0, "limit.publish")?)
        }),
        ("P6 + durable publish", |r| {
            Some(r.median("round.decided.c1")? + r.median("limit.publish")?)
        }),
    ),
    clause(
        "P9",
        "commit time of many bytes beside that of 4 KiB",
        (|r| one_over(r, "commit.bytes.most", "commit.bytes.least"), "x", Lower),
        ("2 x", |_| Some(2.0)),
        ("1.2 x", |_| Some(1.2)),
    ),
    clause(
        "P10",
        "staged bytes each second, hashed and forced",
        (|r| r.median("staging.rate"), "MiB/s", Higher),
        ("0.6 x cp then fsync", |r| times(r, 0.6, "limit.copy.rate")),
        ("0.9 x cp then fsync", |r| times(r, 0.9, "limit.copy.rate")),
    ),
    clause(
        "P11",
        "file from worker to worker, hashed",
        (|r| r.median("transfer.rate"), "MiB/s", Higher),
        ("0.4 x TCP", |r| times(r, 0.4, "limit.tcp.rate")),
        ("0.7 x TCP", |r| times(r, 0.7, "limit.tcp.rate")),
    ),
    clause(
        "P12",
        "forced records a job, coordinator",
        (|r| r.median("forced.coordinator"), "records", Lower),
        ("2", |_| Some(2.0)),
        NO_BOUND,
    ),
    clause(
        "P12",
        "forced records a job, each of 3 workers (sealed, prepared, committed)",
        (|r| r.median("forced.worker"), "records", Lower),
        ("3", |_| Some(3.0)),
        NO_BOUND,
    ),
    clause(
        "P12",
        "forced records a job, a worker that only read (sealed)",
        (|r| r.median("forced.reader"), "records", Lower),
        ("1", |_| Some(1.0)),
        NO_BOUND,
    ),
    clause(
        "P12",
        "syncs of the coordinator's log a job, 64 in flight",
        (|r| r.median("job.syncs.c64"), "syncs", Lower),
        NO_BOUND,
        ("0.5", |_| Some(0.5)),
    ),
    clause(
        "P13",
        "accepted jobs lost or half visible after kills and power cuts",
        (|_| None, "jobs", Lower),
        ("0 (cargo xtask chaos, power-cut)", |_| Some(0.0)),
        NO_BOUND,
    ),
    clause(
        "P14",
        "coordinator's restart until it accepts, 100,000 jobs open",
        (|r| r.median("restart.100000"), "s", Lower),
        ("3 s", |_| Some(3.0)),
        ("1 s", |_| Some(1.0)),
    ),
    clause(
        "P14",
        "the same with 20,000 jobs beside Restate",
        (|r| r.median("restart.20000"), "s", Lower),
        ("1.0 x Restate", |r| times(r, 1.0, "peer.restate.restart.20000")),
        NO_BOUND,
    ),
    clause(
        "P15",
        "every job decided after that restart, workers alive",
        (|r| r.median("restart.drained"), "s", Lower),
        ("2 x jobs / P7", |r| times(r, 2.0 * DRAINED, "empty.interval.c64")),
        ("1 x jobs / P7", |r| times(r, DRAINED, "empty.interval.c64")),
    ),
    clause(
        "P16",
        "memory of an idle coordinator",
        (|r| r.median("memory.coordinator"), "MB", Lower),
        ("30 MB", |_| Some(30.0)),
        ("15 MB", |_| Some(15.0)),
    ),
    clause(
        "P16",
        "memory for 100,000 open jobs",
        (|r| r.median("memory.jobs.100000"), "MB", Lower),
        ("150 MB", |_| Some(150.0)),
        ("50 MB", |_| Some(50.0)),
    ),
    clause(
        "P17",
        "memory of an idle worker",
        (|r| r.median("memory.worker"), "MB", Lower),
        ("20 MB", |_| Some(20.0)),
        ("10 MB", |_| Some(10.0)),
    ),
    clause(
        "P18",
        "1,000 workers that beat each second",
        (|r| r.median("crowd.cpu"), "% of a core", Lower),
        ("10 %", |_| Some(10.0)),
        NO_BOUND,
    ),
    clause(
        "P18",
        "memory for them",
        (|r| r.median("crowd.memory"), "MB", Lower),
        ("100 MB", |_| Some(100.0)),
        NO_BOUND,
    ),
    clause(
        "P18",
        "ordinary jobs each second beside them",
        (|r| r.median("crowd.job.rate.c64"), "1/s", Higher),
        ("0.8 x P4", |r| times(r, 0.8, "job.rate.c64")),
        NO_BOUND,
    ),
    clause(
        "P19",
        "one job over 1,000 workers, first vote asked for to every one told",
        (|r| r.median("wide.1000"), "s", Lower),
        ("1 s", |_| Some(1.0)),
        ("0.3 s", |_| Some(0.3)),
    ),
    clause(
        "P20",
        "one call of a real coordinator, p50",
        (|r| r.median("call.c1"), "ms", Lower),
        ("2 ms", |_| Some(2.0)),
        NO_BOUND,
    ),
    clause(
        "P21",
        "the journal, 64 writers, records each second",
        (|r| r.median("journal.rate.c64"), "1/s", Higher),
        ("0.5 x bare file", |r| times(r, 0.5, "limit.append.rate.c64")),
        ("0.8 x bare file", |r| times(r, 0.8, "limit.append.rate.c64")),
    ),
    clause(
        "growth",
        "restart as jobs grow, against n log n",
        (|r| growth_of(r, "Restart"), "x", Lower),
        ("1 x", |_| Some(1.0)),
        NO_BOUND,
    ),
    clause(
        "growth",
        "memory as jobs grow, against n log n",
        (|r| growth_of(r, "Memory"), "x", Lower),
        ("1 x", |_| Some(1.0)),
        NO_BOUND,
    ),
    clause(
        "growth",
        "submitting as open jobs grow, against n log n",
        (|r| growth_of(r, "Submitting"), "x", Lower),
        ("1 x", |_| Some(1.0)),
        NO_BOUND,
    ),
    clause(
        "growth",
        "a commit as its workers grow, against n log n",
        (|r| growth_of(r, "Commit over"), "x", Lower),
        ("1 x", |_| Some(1.0)),
        NO_BOUND,
    ),
    clause(
        "growth",
        "one job as its tasks grow, against n log n",
        (|r| growth_of(r, "One job"), "x", Lower),
        ("1 x", |_| Some(1.0)),
        NO_BOUND,
    ),
    clause(
        "growth",
        "a commit with files as its workers grow, against n log n",
        (|r| growth_of(r, "Commit with files"), "x", Lower),
        ("1 x", |_| Some(1.0)),
        NO_BOUND,
    ),
];

fn growth_of(report: &Report, title: &str) -> Option<f64> {
    report.curves.iter().find(|curve| curve.title.starts_with(title))?.growth
}

/// How many jobs are decided after a restart.
pub(crate) const DRAINED: f64 = 10_000.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::MachineView;

    fn report(figures: &[(&str, f64)]) -> Report {
        let mut report = Report::begun(MachineView::of(std::path::Path::new("/")));
        for (name, value) in figures {
            report.add(name, "ms", vec![*value]);
        }
        report
    }

    fn first(report: &Report, goal: &str) -> (Verdict, Verdict) {
        let found = judged(report).into_iter().find(|judged| judged.goal == goal).unwrap();
        (found.must.verdict, found.stretch.verdict)
    }

    #[test]
    fn every_goal_has_a_line_in_every_report() {
        let goals: Vec<_> = names().collect();
        for number in 1..=21 {
            assert!(goals.contains(&format!("P{number}").as_str()), "P{number}");
        }
        let empty = judged(&report(&[]));
        let unmeasured = |mark: &Mark| matches!(mark.verdict, Verdict::NotMeasured | Verdict::None);
        assert!(empty.iter().all(|one| unmeasured(&one.must) && unmeasured(&one.stretch)));
    }

    #[test]
    fn a_bound_is_made_of_figures_of_the_same_run() {
        let with = |received: f64| {
            let limits = [("limit.fdatasync", 0.25), ("limit.unary", 0.15)];
            report(&[limits[0], limits[1], ("submit.received.c1", received)])
        };
        assert_eq!(first(&with(0.8), "P1"), (Verdict::Reached, Verdict::Reached));
        assert_eq!(first(&with(1.2), "P1"), (Verdict::Reached, Verdict::Missed));
        assert_eq!(first(&with(1.4), "P1"), (Verdict::Missed, Verdict::Missed));
    }

    #[test]
    fn what_was_not_compared_is_not_judged() {
        let alone = report(&[("job.rate.c64", 90.0)]);
        assert_eq!(first(&alone, "P4").0, Verdict::NotMeasured);
        let beside = report(&[("job.rate.c64", 90.0), ("peer.celery.rate.c64", 20.0)]);
        assert_eq!(first(&beside, "P4").0, Verdict::Reached);
    }
}
