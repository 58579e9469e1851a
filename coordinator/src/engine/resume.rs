//! A job taken up where its records end, or set aside because they make no sense.

use anyhow::Context;
use votum_commit::{CoordinatorEvent, Decision};
use votum_driver::Stamped;
use votum_ids::{JobId, WorkerId};
use votum_machine::{Machine, Moment, WallTime};
use votum_schedule::{CorruptSchedule, Orders, Registration};

use super::{Engine, Pending};
use crate::{
    open_job::OpenJob,
    record::{JobRecord, KnownRequest},
};

impl Engine {
    /// Takes a job up where its records end.
    ///
    /// # Errors
    /// When the records cannot be replayed; the caller then quarantines the job.
    pub(crate) fn resume(
        &mut self,
        job: &JobId,
        records: Vec<Stamped<JobRecord>>,
    ) -> anyhow::Result<()> {
        if records.iter().any(|stamped| stamped.record.closing.is_some()) {
            // What was noted later does not bring it back: its end was told.
            return Ok(());
        }
        let open = OpenJob::replay(&records).context("its first record is missing")?;
        for Stamped { at, record } in &records {
            if let Some(schedule) = &record.schedule {
                self.scheduler.replay(*at, schedule)?;
            }
        }
        let decisions = records.into_iter().filter_map(|stamped| stamped.record.commit);
        self.commit.resume(job.clone(), decisions)?;
        let deadline = self.deadline(&open);
        let opened = CoordinatorEvent::Opened { job: job.clone(), deadline };
        let _none = self.commit.step(Moment::START, opened);
        if !open.spec.keep_staged.is_zero() {
            let keeps = CoordinatorEvent::KeepsStaged { job: job.clone() };
            let _none = self.commit.step(Moment::START, keeps);
        }
        // The scheduler's records do not tell what was decided.
        let decision = self.commit.phase(job).and_then(|standing| standing.decision());
        let event = decision.map(|decision| match decision {
            Decision::Commit => votum_schedule::Event::Committing { job: job.clone() },
            Decision::Abort => {
                let standing = self.commit.phase(job);
                let cause = standing.as_ref().and_then(|standing| standing.cause());
                let why = cause.map(|cause| cause.message.clone()).unwrap_or_default();
                votum_schedule::Event::Aborting { job: job.clone(), why }
            }
        });
        self.pending.extend(event.map(Pending::Schedule));
        let known = KnownRequest { job: job.clone(), spec_digest: open.submission.spec_digest };
        self.requests.insert(open.submission.request, known);
        self.jobs.insert(job.clone(), open);
        Ok(())
    }

    /// Sets a job aside whose records cannot be read: it is neither run, decided nor released.
    pub(crate) fn quarantine(&mut self, job: JobId) {
        let closed = votum_schedule::Event::Closed { job: job.clone() };
        let _discards = self.scheduler.step(Moment::START, closed);
        self.jobs.remove(&job);
        self.quarantined.insert(job);
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

    /// Turns the recorded deadline into a moment; one that has passed is due at once (V5).
    fn deadline(&self, open: &OpenJob) -> Option<Moment> {
        let rest = open.received.after(open.spec.timeout).since(self.anchor);
        Some(Moment::START.after(rest))
    }
}
