//! What cannot be read, here or on a worker: listed, shown, and kept as it is (V3).

use std::collections::BTreeMap;

use votum_commit::CoordinatorRecord;
use votum_ids::{JobId, WorkerId};
use votum_machine::{Machine, Moment, WallTime};
use votum_schedule::{Record, Registration};
use votum_wire::{
    CaseKind, CaseName, CaseView, EvidenceView, Inventory, JobDamage, QuarantinedStream,
    UnreadableJob, WorkerDamage,
    view::{JobView, STREAMS_MAX, WorkerView},
};

use super::Engine;
use crate::{
    action::Refusal,
    quarantine::{Listing, Quarantined},
    record::{KnownRequest, job_stream, order_stream, worker_stream},
    view,
};

/// Everything that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    jobs: BTreeMap<JobId, Quarantined>,
    /// Streams other than those of jobs, and what follows from their damage.
    streams: BTreeMap<String, String>,
    /// What workers say that they cannot read of their own.
    workers: BTreeMap<WorkerId, BTreeMap<JobId, String>>,
}

impl Engine {
    /// Sets a job aside whose records cannot all be read: it is neither run nor decided, and
    /// nothing of it is released. A commit that can be read is delivered.
    pub(crate) fn quarantine(&mut self, quarantined: Quarantined) {
        let job = quarantined.job.clone();
        let closed = votum_schedule::Event::Closed { job: job.clone() };
        let _discards = self.scheduler.step(Moment::START, closed);
        self.keep_quarantined_key(&quarantined);
        let closed = votum_settle::Event::Closed { job: job.clone() };
        let _nothing = self.settlement.step(Moment::START, closed);
        self.count_later(&job);
        self.jobs.remove(&job);
        let readable = quarantined.decisions.iter().map(|told| told.record.clone());
        self.commit.set_aside(job.clone(), readable);
        if let Some(open) = &quarantined.open {
            let spec_digest = open.submission.spec_digest;
            let known = KnownRequest { job: job.clone(), spec_digest };
            self.requests.entry(open.submission.request).or_insert(known);
        }
        self.quarantine.jobs.insert(job, quarantined);
    }

    /// Notes that a stream has a record that cannot be read, and what follows from that.
    pub(crate) fn distrust(&mut self, stream: String, problem: String) {
        self.quarantine.streams.insert(stream, problem);
    }

    /// Says whether records of the job cannot be read.
    pub(super) fn is_quarantined(&self, job: &JobId) -> bool {
        self.quarantine.jobs.contains_key(job)
    }

    /// Refuses whatever would be done with a quarantined job.
    pub(super) fn not_quarantined(&self, job: &JobId) -> Result<(), Refusal> {
        match self.quarantine.jobs.get(job) {
            None => Ok(()),
            Some(found) => Err(Refusal::Quarantined { job: job.clone(), problem: found.problem() }),
        }
    }

    pub(super) fn quarantined_view(&self, job: &JobId) -> Option<JobView> {
        let found = self.quarantine.jobs.get(job)?;
        let stage = self.commit.phase(job).map(|standing| standing.stage);
        Some(view::job::quarantined(self.anchor, found, stage))
    }

    /// Shows quarantined jobs as cases, by name: what can be read, and what may be done.
    pub(super) fn quarantine_cases(&self) -> Vec<CaseView> {
        let jobs = self.quarantine.jobs.values();
        jobs.filter(|found| found.ruling.is_none()).map(|one| self.quarantine_case(one)).collect()
    }

    /// Shows the case of one quarantined job that nobody has ruled about.
    pub(super) fn quarantine_case_of(&self, job: &JobId) -> Option<CaseView> {
        let found = self.quarantine.jobs.get(job).filter(|found| found.ruling.is_none())?;
        Some(self.quarantine_case(found))
    }

    fn quarantine_case(&self, found: &Quarantined) -> CaseView {
        let view = self.quarantined_view(&found.job);
        let mut evidence = found.evidence(self.anchor);
        for told in view.iter().flat_map(|view| &view.participants) {
            let text = if told.acknowledged {
                format!("{} has acknowledged the commit", told.worker)
            } else {
                format!("{} is told the commit, and has not acknowledged it", told.worker)
            };
            evidence.push(EvidenceView { at: self.anchor, text });
        }
        for text in found.left_undone() {
            evidence.push(EvidenceView { at: self.anchor, text });
        }
        let scope = self.scope_of_quarantined(found);
        CaseView {
            name: CaseName::log(found.job.clone()),
            kind: CaseKind::Quarantine,
            reason: QUARANTINED.to_owned(),
            message: format!("{}; {}", found.problem(), scope.why),
            since: self.anchor,
            evidence,
            actions: scope.actions,
        }
    }

    pub(super) fn quarantined_count(&self) -> u64 {
        self.quarantine.jobs.len() as u64
    }

    /// Returns the first streams with a damaged record; those of no single job come first.
    pub(super) fn quarantined_streams(&self) -> Vec<QuarantinedStream> {
        let streams = self.quarantine.streams.iter();
        let streams = streams.map(|(stream, problem)| (stream.clone(), problem.clone()));
        let jobs = self.quarantine.jobs.keys().filter_map(|job| {
            Some((job_stream(job).to_string(), self.quarantined_view(job)?.state_message))
        });
        let shown = streams.chain(jobs).take(STREAMS_MAX);
        shown.map(|(stream, problem)| QuarantinedStream { stream, problem }).collect()
    }

    /// Says whether the worker may hold something of a quarantined job.
    pub(super) fn holds_quarantined(&self, worker: &WorkerId, job: &JobId) -> bool {
        let found = self.quarantine.jobs.get(job);
        found.is_some_and(|found| found.holders().contains_key(worker))
    }

    /// Returns what a worker lists of a quarantined job.
    pub(super) fn quarantined_listing(
        &mut self,
        job: &JobId,
        worker: &WorkerId,
    ) -> Option<&mut Listing> {
        let found = self.quarantine.jobs.get_mut(job)?;
        Some(found.listed.entry(worker.clone()).or_default())
    }

    /// Returns what is known of the job, if it is quarantined.
    pub(crate) fn quarantined_of(&self, job: &JobId) -> Option<&Quarantined> {
        self.quarantine.jobs.get(job)
    }

    /// Returns what is known of the job, to add to it.
    pub(super) fn quarantined_mut(&mut self, job: &JobId) -> Option<&mut Quarantined> {
        self.quarantine.jobs.get_mut(job)
    }

    /// Lets go of a quarantined job that a person has settled.
    pub(super) fn take_quarantined(&mut self, job: &JobId) -> Option<Quarantined> {
        self.quarantine.jobs.remove(job)
    }

    /// Returns the quarantined jobs whose commit a person has confirmed.
    pub(super) fn ruled_committed(&self) -> Vec<JobId> {
        let ruled = self.quarantine.jobs.values().filter(|found| found.is_ruled_committed());
        ruled.map(|found| found.job.clone()).collect()
    }

    /// Notes of which jobs a worker cannot read its own records.
    pub(super) fn note_unreadable(&mut self, worker: &WorkerId, page: &Inventory) {
        for UnreadableJob { job, problem } in &page.unreadable {
            let known = self.quarantine.workers.entry(worker.clone()).or_default();
            if known.len() < UNREADABLE_MAX {
                known.insert(job.clone(), problem.clone());
            }
        }
    }

    /// Drops what a worker has listed before: it lists everything again.
    pub(super) fn forget_damages(&mut self, worker: &WorkerId) {
        self.quarantine.workers.remove(worker);
        for found in self.quarantine.jobs.values_mut() {
            found.listed.remove(worker);
        }
    }

    /// Returns the workers that cannot read their own records of a job.
    pub(super) fn damages_of(&self, job: &JobId) -> Vec<WorkerDamage> {
        let known = self.quarantine.workers.iter();
        let damage = known.filter_map(|(worker, jobs)| {
            let (worker, problem) = (worker.clone(), jobs.get(job)?.clone());
            Some(WorkerDamage { worker, problem })
        });
        damage.collect()
    }

    pub(super) fn shown_workers(&self) -> Vec<WorkerView> {
        let views = view::worker::all(self.anchor, &self.scheduler).into_iter();
        views.map(|view| self.with_damages(view)).collect()
    }

    /// Adds the jobs of which a worker cannot read its own records, and what it says of itself.
    pub(super) fn with_damages(&self, mut view: WorkerView) -> WorkerView {
        let known = self.quarantine.workers.get(&view.worker).into_iter().flatten();
        let damage = |(job, problem): (&JobId, &String)| JobDamage {
            job: job.clone(),
            problem: problem.clone(),
        };
        view.damages = known.map(damage).collect();
        self.vitals.shown(&mut view);
        view
    }

    /// Notes a commit that was adopted for a quarantined job.
    pub(super) fn note_quarantined(&mut self, at: WallTime, record: &CoordinatorRecord) {
        if let Some(found) = self.quarantine.jobs.get_mut(record.job()) {
            found.learn(at, record.clone());
        }
    }

    /// Notes that a record states anew what a damaged one had told.
    pub(super) fn note_healed(&mut self, record: &Record) {
        if self.quarantine.streams.is_empty() {
            return;
        }
        if let Record::Registered(Registration { worker, .. }) = record {
            self.quarantine.streams.remove(worker_stream(worker).as_str());
        }
        if let Record::Ordered { worker, .. } = record {
            self.quarantine.streams.remove(order_stream(worker).as_str());
        }
    }
}

/// Most jobs of one worker of which it is remembered that it cannot read them.
const UNREADABLE_MAX: usize = 1_000;
/// Why such a case is one, for programs.
const QUARANTINED: &str = "QUARANTINED";
