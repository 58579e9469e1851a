//! What one step gathers: at most one fact of each machine, about one job, and then actions.

use std::collections::BTreeSet;

use votum_commit::{CoordinatorRecord, Forced};
use votum_ids::{Epoch, JobId, WorkerId};
use votum_machine::{Moment, Reaction, WallTime};

use crate::{
    action::{Action, Answer},
    record::{Closing, JobRecord, Record, Ruling, Tombstone},
    replies::ReplyId,
};

/// One step of the engine while it is being made.
#[derive(Debug)]
pub(crate) struct Turn {
    now: Moment,
    schedule: Option<votum_schedule::Record>,
    commit: Option<CoordinatorRecord>,
    prepared: Option<WallTime>,
    settle: Option<votum_settle::Record>,
    ruling: Option<(JobId, Ruling)>,
    closing: Option<Closing>,
    alone: Option<Record>,
    actions: Vec<Action>,
    changed: BTreeSet<JobId>,
    too_late: bool,
}

impl Turn {
    /// Starts a step.
    pub(crate) fn new(now: Moment) -> Self {
        Self {
            now,
            schedule: None,
            commit: None,
            prepared: None,
            settle: None,
            ruling: None,
            closing: None,
            alone: None,
            actions: Vec::new(),
            changed: BTreeSet::new(),
            too_late: false,
        }
    }

    /// Notes the scheduler's fact.
    pub(crate) fn schedule_record(&mut self, record: votum_schedule::Record) {
        self.schedule = Some(record);
    }

    /// Notes the commit coordinator's fact.
    pub(crate) fn commit_record(&mut self, record: CoordinatorRecord) {
        self.commit = Some(record);
    }

    /// Notes when the round was opened that the commit coordinator's fact decides.
    pub(crate) fn prepared(&mut self, at: Option<WallTime>) {
        self.prepared = at;
    }

    /// Notes the settlement's fact.
    pub(crate) fn settle_record(&mut self, record: votum_settle::Record) {
        self.settle = Some(record);
    }

    /// Notes what a person has decided about a job of which the log does not tell enough.
    pub(crate) fn ruling(&mut self, job: JobId, ruling: Ruling) {
        self.ruling = Some((job, ruling));
    }

    /// Notes that the job of this step is over.
    pub(crate) fn close(&mut self, closing: Closing) {
        self.closing = Some(closing);
    }

    /// Notes that a closed job's bytes may be reclaimed; nothing else happens in this step.
    pub(crate) fn forget(&mut self, closing: Closing) {
        self.alone = Some(Record::Forgotten(closing));
    }

    /// Notes what outlives a closed job's records; nothing else happens in this step.
    pub(crate) fn bury(&mut self, tombstone: Tombstone) {
        self.alone = Some(Record::Buried(tombstone));
    }

    /// Notes that a tombstone's time is over; nothing else happens in this step.
    pub(crate) fn crumble(&mut self, job: JobId) {
        self.alone = Some(Record::Crumbled { job });
    }

    /// Notes that a worker has seen the log further than it goes; nothing else happens in this step.
    pub(crate) fn log_found_stale(&mut self, by: WorkerId) {
        self.alone = Some(Record::LogFoundStale { by });
    }

    /// Notes that a stale log counts as complete; nothing else happens in this step.
    pub(crate) fn log_trusted(&mut self, trusted: Forced, above: Epoch) {
        self.alone = Some(Record::LogTrusted { trusted, above });
    }

    /// Adds an action.
    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Adds an answer to a client.
    pub(crate) fn reply(&mut self, reply: ReplyId, answer: Answer) {
        self.actions.push(Action::Reply { reply, answer });
    }

    /// Notes that whoever watches the job has something to see.
    pub(crate) fn changed(&mut self, job: &JobId) {
        self.changed.insert(job.clone());
    }

    /// Returns the jobs that the step has changed so far.
    pub(crate) fn changed_jobs(&self) -> Vec<JobId> {
        let recorded = [
            self.schedule.as_ref().and_then(votum_schedule::Record::job),
            self.commit.as_ref().map(CoordinatorRecord::job),
            self.settle.as_ref().map(votum_settle::Record::job),
        ];
        self.changed.iter().chain(recorded.into_iter().flatten()).cloned().collect()
    }

    /// Notes that an abort was refused because the commit is decided.
    pub(crate) fn too_late(&mut self) {
        self.too_late = true;
    }

    /// Returns the moment of the step.
    pub(crate) fn now(&self) -> Moment {
        self.now
    }

    /// Says whether the scheduler has decided something in this step.
    pub(crate) fn has_schedule_record(&self) -> bool {
        self.schedule.is_some()
    }

    /// Says whether the commit coordinator has decided something in this step.
    pub(crate) fn has_commit_record(&self) -> bool {
        self.commit.is_some()
    }

    /// Says whether the settlement has decided something in this step.
    pub(crate) fn has_settle_record(&self) -> bool {
        self.settle.is_some()
    }

    /// Says whether an abort was refused because the commit is decided.
    pub(crate) fn is_too_late(&self) -> bool {
        self.too_late
    }

    /// Ends the step.
    pub(crate) fn finish(mut self) -> Reaction<Record, Action> {
        let record = self.record();
        if let Some(Record::Job(record)) = &record {
            self.changed.insert(record.job.clone());
        }
        let changed = self.changed.into_iter().map(|job| Action::JobChanged { job });
        let reaction = Reaction::perform(self.actions.into_iter().chain(changed));
        match record {
            Some(record) => reaction.durably(record),
            None => reaction,
        }
    }

    fn record(&mut self) -> Option<Record> {
        if let Some(alone) = self.alone.take() {
            return Some(alone);
        }
        let schedule = match self.schedule.take() {
            Some(votum_schedule::Record::Registered(registration)) => {
                return Some(Record::Registered(registration));
            }
            Some(votum_schedule::Record::Ordered { worker, orders }) => {
                return Some(Record::Ordered { worker, orders });
            }
            schedule => schedule,
        };
        let commit = self.commit.take();
        let of_commit = commit.as_ref().map(CoordinatorRecord::job);
        let settle = self.settle.take();
        let of_settle = settle.as_ref().map(votum_settle::Record::job);
        let of_schedule = schedule.as_ref().and_then(votum_schedule::Record::job);
        let of_ruling = self.ruling.as_ref().map(|(job, _)| job);
        let of_closing = self.closing.as_ref().map(|closing| &closing.job);
        let job = of_schedule.or(of_commit).or(of_settle).or(of_ruling).or(of_closing)?.clone();
        Some(Record::Job(Box::new(JobRecord {
            job,
            schedule,
            commit,
            prepared: self.prepared,
            settle,
            ruling: self.ruling.take().map(|(_, ruling)| ruling),
            closing: self.closing.take(),
        })))
    }
}
