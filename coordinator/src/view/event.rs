//! A job's records as sentences: what `ListEvents` tells, oldest first.

use std::collections::BTreeMap;

use votum_commit::CoordinatorRecord;
use votum_driver::Stamped;
use votum_ids::{AttemptId, FencingToken, JobId, TaskId, WorkerId};
use votum_journal::{Stored, Urgency};
use votum_machine::WallTime;
use votum_settle::{Record as SettleRecord, Trial};
use votum_wire::history::EventView;

use crate::{quarantine, record::JobRecord, sentence, view::fact};

/// Returns the events of a job; a record that cannot be read is one that says so.
///
/// Every fact of a record is an event of its own, so that the numbers of a history that is read
/// again, or has grown, are the same.
pub(crate) fn events(job: &JobId, stored: &[Stored]) -> Vec<EventView> {
    let mut history =
        History { numbers: BTreeMap::new(), events: Vec::new(), decided: false, closed: false };
    let mut last = WallTime(0);
    for (at, record) in stored.iter().enumerate() {
        match quarantine::read_one(job, record) {
            Ok(Stamped { at, record: told }) => {
                last = at;
                history.take(record, at, &told);
            }
            Err(problem) => {
                let damage = quarantine::damage(stored, at, problem);
                let text = format!("this record cannot be read: {}", damage.problem);
                history.add(record, last, Fact::new("unreadable", text));
            }
        }
    }
    history.events
}

/// One fact, before it has a place in the history.
#[derive(Debug, Default)]
pub(crate) struct Fact {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    pub(crate) attempt: Option<AttemptId>,
    pub(crate) task: Option<TaskId>,
    pub(crate) number: Option<u32>,
    pub(crate) worker: Option<WorkerId>,
    pub(crate) by: String,
}

impl Fact {
    /// Makes a fact about the job as a whole.
    pub(crate) fn new(kind: &'static str, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), ..Self::default() }
    }

    /// Says which attempt it is about.
    pub(crate) fn of(mut self, attempt: &AttemptId) -> Self {
        self.attempt = Some(attempt.clone());
        self
    }

    /// Says which task or hook it is about.
    pub(crate) fn task(mut self, task: &TaskId) -> Self {
        self.task = Some(task.clone());
        self
    }

    /// Says which worker it is about.
    pub(crate) fn at(mut self, worker: &WorkerId) -> Self {
        self.worker = Some(worker.clone());
        self
    }

    /// Says who asked for it.
    pub(crate) fn by(mut self, who: &str) -> Self {
        who.clone_into(&mut self.by);
        self
    }
}

/// A history while it is being told.
struct History {
    /// How people count the attempts.
    numbers: BTreeMap<(TaskId, FencingToken), u32>,
    events: Vec<EventView>,
    decided: bool,
    closed: bool,
}

impl History {
    fn take(&mut self, stored: &Stored, at: WallTime, record: &JobRecord) {
        if let Some(schedule) = &record.schedule {
            if let votum_schedule::Record::Assigned { attempt, number, .. } = schedule {
                self.numbers.insert((attempt.task.clone(), attempt.token), *number);
            }
            self.add(stored, at, fact::of_schedule(schedule));
        }
        if let Some(opened) = record.prepared.filter(|_| !self.decided) {
            let words = "the round of votes that is decided was opened";
            self.add(stored, opened, Fact::new("round_opened", words));
        }
        if let Some(commit) = &record.commit {
            self.decided |= matches!(
                commit,
                CoordinatorRecord::CommitDecided { .. } | CoordinatorRecord::Aborting { .. }
            );
            self.add(stored, at, fact::of_commit(commit));
        }
        if let Some(settle) = &record.settle {
            self.add(stored, at, of_settle(settle));
        }
        if let Some(ruling) = &record.ruling {
            let words = sentence::of_ruling(ruling);
            self.add(stored, at, Fact::new("settled", words).by(&ruling.forced.by));
        }
        // What is noted of a job that is closed closes nothing.
        if record.closing.is_some() && !std::mem::replace(&mut self.closed, true) {
            self.add(stored, at, Fact::new("closed", "nothing is owed or left to do"));
        }
    }

    fn add(&mut self, stored: &Stored, at: WallTime, fact: Fact) {
        let Fact { kind, text, attempt, task, number, worker, by } = fact;
        let counted =
            attempt.as_ref().and_then(|id| self.numbers.get(&(id.task.clone(), id.token)).copied());
        self.events.push(EventView {
            id: self.events.len() as u64 + 1,
            lsn: stored.lsn.0,
            at,
            kind: kind.to_owned(),
            text,
            task: attempt.map(|id| id.task).or(task),
            attempt: counted.or(number),
            worker,
            by,
            forced: stored.urgency == Urgency::Forced,
            epoch: stored.epoch,
        });
    }
}

/// Tells what is recorded of effects and compensations.
fn of_settle(record: &SettleRecord) -> Fact {
    match record {
        SettleRecord::Opened { facts, .. } => {
            let words = format!("what follows from the {} is due", facts.verdict.word());
            Fact::new("settlement_opened", words)
        }
        SettleRecord::Intended { hook, number, at, .. } => {
            let place = at.as_ref().map(|(host, _)| host.worker.clone());
            let by = place.as_ref().map_or("the coordinator itself", |worker| worker.as_str());
            let fact = Fact::new("hook_intended", format!("may be tried, by {by}")).task(hook);
            Fact { number: Some(*number), worker: place, ..fact }
        }
        SettleRecord::Tried { hook, number, trial, .. } => {
            let (kind, words) = match trial {
                Trial::Done => ("hook_done", "took effect".to_owned()),
                Trial::Failed { message, .. } => ("hook_failed", message.clone()),
                Trial::Unknown { message } => {
                    ("hook_unknown", format!("nobody knows whether it took effect: {message}"))
                }
            };
            Fact { number: Some(*number), ..Fact::new(kind, words).task(hook) }
        }
        SettleRecord::Stranded { hook, message, .. } => {
            Fact::new("hook_stranded", format!("no worker can do it: {message}")).task(hook)
        }
        SettleRecord::Resolved { hook, resolution, by, reason, .. } => {
            let words = match resolution {
                votum_settle::Resolution::Retry => "it is tried again",
                votum_settle::Resolution::Done => "it counts as done",
                votum_settle::Resolution::GiveUp => "it stays undone",
            };
            let words = format!("a person decided: {words}: {reason}");
            Fact::new("hook_resolved", words).task(hook).by(by)
        }
    }
}
