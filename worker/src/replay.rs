//! Records to state: a worker continues from what its journal holds.
//!
//! Replaying is repeatable and isolated: a job whose records contradict each
//! other is quarantined, keeps its data, and costs no other job anything (V1).

use std::{collections::BTreeMap, time::Duration};

use thiserror::Error;
use votum_commit::{CorruptTransaction, Installation, ParticipantEvent, ParticipantRecord};
use votum_ids::{AttemptId, CheckpointId, JobId};
use votum_machine::{Machine, Moment};

use crate::{
    attempt::{Attempt, Cause},
    attempts::Attempts,
    engine::{Engine, Pending},
    record::{Record, Rest},
    saved::Saved,
};

/// Why a job was quarantined.
#[derive(Debug, Error)]
pub enum CorruptJob {
    /// A record of it cannot be decoded.
    #[error(transparent)]
    Unreadable(#[from] votum_driver::Unreadable),
    /// The records of its transaction contradict each other.
    #[error(transparent)]
    Transaction(#[from] CorruptTransaction),
    /// A record speaks of an attempt that no record took on.
    #[error("a record of {attempt} has no acceptance before it")]
    NotAccepted {
        /// Which.
        attempt: AttemptId,
    },
    /// A record of another job or of the worker stands in its stream.
    #[error("it does not speak of this job")]
    Misplaced,
}

impl Engine {
    /// Continues what the worker's own stream holds.
    #[must_use]
    pub fn replay(
        me: Installation,
        grace_max: Duration,
        records: impl IntoIterator<Item = Record>,
    ) -> Self {
        let mut engine = Self::new(me, grace_max);
        for record in records {
            if let Record::EpochSeen { log } = record {
                engine.resume_epoch(log);
            }
        }
        engine
    }

    /// Continues one job from all its records, in order.
    ///
    /// # Errors
    /// [`CorruptJob`] when they contradict each other; the job is then quarantined.
    pub fn resume(&mut self, job: &JobId, records: Vec<Record>) -> Result<(), CorruptJob> {
        let count = records.len();
        self.try_resume(job, records).map_err(|(at, corrupt)| {
            self.quarantine(job.clone(), problem(at, count, &corrupt));
            corrupt
        })
    }

    /// Continues it; the error says which record makes no sense, counted from 0.
    fn try_resume(&mut self, job: &JobId, records: Vec<Record>) -> Result<(), (usize, CorruptJob)> {
        let mut attempts = BTreeMap::new();
        let mut promises = Vec::new();
        let mut numbers = Vec::new();
        let mut published = None;
        let mut saved = Saved::default();
        for (at, record) in records.into_iter().enumerate() {
            if record.job() != Some(job) {
                return Err((at, CorruptJob::Misplaced));
            }
            match record {
                Record::Published { txn } => published = Some(txn),
                // What it makes superfluous was removed then, or is swept now.
                Record::CheckpointHeld { held } => drop(saved.hold(held)),
                Record::CheckpointGone { id, .. } => drop(saved.forget(&id)),
                Record::CheckpointsReleased { .. } => drop(saved.forget_job(job)),
                record @ (Record::EpochSeen { .. }
                | Record::Accepted { .. }
                | Record::StopDecided { .. }
                | Record::Sealed { .. }
                | Record::Failed { .. }
                | Record::Acknowledged { .. }
                | Record::Discarded { .. }
                | Record::Participant(_)) => {
                    if let Record::Participant(ParticipantRecord::Released { .. }) = &record {
                        saved.forget_job(job);
                    }
                    if let Record::Participant(_) = &record {
                        numbers.push(at);
                    }
                    next(&mut attempts, &mut promises, record).map_err(|corrupt| (at, corrupt))?;
                }
            }
        }
        let resumed = self.participants.resume(job.clone(), promises.iter().cloned());
        resumed.map_err(|corrupt| {
            let at = numbers.get(corrupt.at).copied().unwrap_or_default();
            (at, CorruptJob::Transaction(corrupt))
        })?;
        for record in &promises {
            self.note(record);
        }
        if let Some(txn) = published {
            // Nobody listens yet: whoever waits for the acknowledgement asks again.
            let _acknowledgement =
                self.participants.step(Moment::START, ParticipantEvent::Published { txn });
        }
        for held in saved.all() {
            self.saved.hold(held.clone());
        }
        let mut staged = false;
        for (id, attempt) in attempts {
            staged |= attempt.is_sealed() && !attempt.is_hook();
            if !attempt.is_gone() {
                self.attempts.insert(&id, attempt);
            }
        }
        if staged {
            // Known before anybody is listened to; what follows from it has its turn later.
            let event = ParticipantEvent::Sealed { job: job.clone() };
            let wanted = self.participants.step(Moment::START, event.clone());
            if !wanted.actions.is_empty() {
                self.pending.push_back(Pending::Participant(event));
            }
        }
        Ok(())
    }

    /// Touches nothing of a job from here on, and takes no part in it; `problem` says why.
    pub fn quarantine(&mut self, job: JobId, problem: String) {
        self.quarantined.insert(job, problem);
    }

    /// Returns why a job is quarantined, if it is.
    #[must_use]
    pub fn problem(&self, job: &JobId) -> Option<&str> {
        self.quarantined.get(job).map(String::as_str)
    }

    /// Returns the attempts that were under way when the daemon ended.
    pub fn cut_off(&self) -> impl Iterator<Item = &AttemptId> {
        Attempts::live(&self.attempts)
    }

    /// Says whether a record knows of the checkpoint, or its job must not be touched.
    #[must_use]
    pub fn knows_checkpoint(&self, id: &CheckpointId) -> bool {
        self.quarantined.contains_key(&id.attempt.job) || self.saved.find(id).is_some()
    }

    /// Says whether a record knows of the attempt, or its job must not be touched.
    #[must_use]
    pub fn knows(&self, attempt: &AttemptId) -> bool {
        self.quarantined.contains_key(&attempt.job) || self.attempts.find(attempt).is_some()
    }
}

/// Says which of a job's records makes no sense, and why.
pub(crate) fn problem(at: usize, count: usize, corrupt: &CorruptJob) -> String {
    let why = match corrupt {
        CorruptJob::Unreadable(unreadable) => unreadable.why(),
        CorruptJob::Transaction(_) | CorruptJob::NotAccepted { .. } | CorruptJob::Misplaced => {
            corrupt.to_string()
        }
    };
    format!("record {} of {count} cannot be read: {why}", at + 1)
}

/// Repeats one record of a job.
fn next(
    attempts: &mut BTreeMap<AttemptId, Attempt>,
    promises: &mut Vec<ParticipantRecord>,
    record: Record,
) -> Result<(), CorruptJob> {
    let mut change = |id: &AttemptId, change: &dyn Fn(&mut Attempt)| match attempts.get_mut(id) {
        Some(attempt) => {
            change(attempt);
            Ok(())
        }
        None => Err(CorruptJob::NotAccepted { attempt: id.clone() }),
    };
    match record {
        // All but the first are kept aside by the caller.
        Record::EpochSeen { .. }
        | Record::Published { .. }
        | Record::CheckpointHeld { .. }
        | Record::CheckpointGone { .. }
        | Record::CheckpointsReleased { .. } => return Err(CorruptJob::Misplaced),
        Record::Accepted { attempt, number, hook } => {
            attempts.insert(attempt.clone(), Attempt::cut_off(attempt, number, hook));
        }
        Record::StopDecided { attempt, kind, message, grace } => {
            let cause = Cause { kind, message };
            change(&attempt, &|known| known.replay_stop(cause.clone(), grace))?;
        }
        Record::Sealed { attempt, outputs, usage } => {
            change(&attempt, &|known| known.replay_sealed(outputs.clone(), usage))?;
        }
        Record::Failed { attempt, failure, usage } => {
            change(&attempt, &|known| known.replay_failed(failure.clone(), usage))?;
        }
        Record::Acknowledged { attempt, .. } => {
            change(&attempt, &|known| drop(known.acknowledge(Rest::Something)))?;
        }
        Record::Discarded { attempt, .. } => {
            change(&attempt, &|known| drop(known.discard(Rest::Something)))?;
        }
        Record::Participant(record) => {
            match &record {
                ParticipantRecord::Aborted { .. } => {
                    attempts.retain(|_, attempt| attempt.is_hook() || !attempt.is_sealed());
                }
                ParticipantRecord::Released { .. } => attempts.clear(),
                ParticipantRecord::Prepared { .. }
                | ParticipantRecord::Refused { .. }
                | ParticipantRecord::RoundEnded { .. }
                | ParticipantRecord::Committed { .. }
                | ParticipantRecord::TakenOver { .. }
                | ParticipantRecord::StoodDown { .. }
                // Whatever was forced, the bytes stay until the coordinator's word (C9).
                | ParticipantRecord::Forced(_) => {}
            }
            promises.push(record);
        }
    }
    Ok(())
}
