//! A job, a worker or an order taken up where its records end.

use votum_commit::{CoordinatorEvent, Decision};
use votum_driver::Stamped;
use votum_ids::{JobId, WorkerId};
use votum_machine::{Machine, Moment, WallTime};
use votum_schedule::{CorruptSchedule, Orders, Registration};

use super::{Engine, Pending};
use crate::{
    open_job::OpenJob,
    quarantine::Contradiction,
    record::{JobRecord, KnownRequest, Ruled},
};

impl Engine {
    /// Returns the time of day at the daemon's start.
    pub(crate) fn anchor(&self) -> WallTime {
        self.anchor
    }

    /// Takes a job up where its records end.
    ///
    /// # Errors
    /// At the first record that cannot follow those before it; the caller then quarantines
    /// the job.
    pub(crate) fn resume(
        &mut self,
        job: &JobId,
        records: Vec<Stamped<JobRecord>>,
    ) -> Result<(), Contradiction> {
        if records.iter().any(|stamped| stamped.record.closing.is_some()) {
            // What was noted later does not bring it back: its end was told.
            return Ok(());
        }
        let open = OpenJob::replay(&records).ok_or_else(Contradiction::no_receipt)?;
        let rulings = records.iter().filter_map(|stamped| stamped.record.ruling.as_ref());
        if rulings.into_iter().any(|ruling| ruling.ruled == Ruled::Resume) {
            self.testimony.vouch(job.clone());
        }
        for (number, Stamped { at, record }) in records.iter().enumerate() {
            if let Some(schedule) = &record.schedule {
                let replayed = self.scheduler.replay(*at, schedule);
                replayed
                    .map_err(|corrupt| Contradiction { at: number, why: corrupt.to_string() })?;
            }
            if let Some(settle) = &record.settle {
                let replayed = self.settlement.replay(*at, &open.spec, settle);
                replayed
                    .map_err(|corrupt| Contradiction { at: number, why: corrupt.to_string() })?;
            }
        }
        let decisions = records.into_iter().map(|stamped| stamped.record.commit).enumerate();
        let decisions = decisions.filter_map(|(number, commit)| Some((number, commit?)));
        let (numbers, decisions): (Vec<usize>, Vec<_>) = decisions.unzip();
        self.commit.resume(job.clone(), decisions).map_err(|corrupt| Contradiction {
            at: numbers.get(corrupt.at).copied().unwrap_or_default(),
            why: corrupt.to_string(),
        })?;
        self.settlement.resume(job);
        // What is over is not decided once more.
        if open.over.is_none() {
            let deadline = self.deadline(&open);
            let opened = CoordinatorEvent::Opened { job: job.clone(), deadline };
            let _none = self.commit.step(Moment::START, opened);
        }
        if !open.spec.keep_staged.is_zero() {
            let keeps = CoordinatorEvent::KeepsStaged { job: job.clone() };
            let _none = self.commit.step(Moment::START, keeps);
        }
        // The scheduler's records do not tell what was decided.
        let decision = self.commit.phase(job).and_then(|standing| standing.decision());
        let decision = decision.or(open.over);
        let event = decision.map(|decision| match decision {
            Decision::Commit => votum_schedule::Event::Committing { job: job.clone() },
            Decision::Abort => {
                let why = open.cause.as_ref().map(|cause| cause.message.clone());
                let why = why.unwrap_or_default();
                votum_schedule::Event::Aborting { job: job.clone(), why }
            }
        });
        self.pending.extend(event.map(Pending::Schedule));
        let known = KnownRequest { job: job.clone(), spec_digest: open.submission.spec_digest };
        self.requests.insert(open.submission.request, known);
        let delivers = decision == Some(Decision::Commit) && open.over.is_none();
        self.count_later(job);
        self.jobs.insert(job.clone(), Box::new(open));
        self.resume_key(job);
        if delivers {
            self.watch_publishers(job);
            self.note_delivering(job);
        }
        Ok(())
    }

    /// Remembers a worker that introduced itself before.
    ///
    /// # Errors
    /// When the record does not follow from those before it.
    pub(crate) fn register(
        &mut self,
        at: WallTime,
        registration: Registration,
    ) -> Result<(), CorruptSchedule> {
        self.scheduler.replay(at, &votum_schedule::Record::Registered(registration))
    }

    /// Remembers what operators have ordered about a worker.
    ///
    /// # Errors
    /// When the record does not follow from those before it.
    pub(crate) fn order(
        &mut self,
        at: WallTime,
        worker: WorkerId,
        orders: Orders,
    ) -> Result<(), CorruptSchedule> {
        self.scheduler.replay(at, &votum_schedule::Record::Ordered { worker, orders })
    }

    /// Turns the recorded deadline into a moment; one that has passed is due at once (V5). None
    /// while the job waits for its key.
    pub(super) fn deadline(&self, open: &OpenJob) -> Option<Moment> {
        let rest = open.since?.after(open.spec.time_in_all()).since(self.anchor);
        Some(Moment::START.after(rest))
    }
}
