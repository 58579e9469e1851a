//! When each phase of an open commit began, for as long as its job is open.

use std::{collections::BTreeMap, time::Duration};

use votum_ids::{JobId, TxnId};
use votum_machine::Moment;

/// The commits that are under way, as this start of the coordinator has seen them.
///
/// Nothing rests on it: what is forgotten is not measured.
#[derive(Debug, Default)]
pub(super) struct Phases(BTreeMap<JobId, Phase>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// This round asks for votes.
    Preparing { txn: TxnId, since: Moment },
    /// The decision is recorded and not yet durable.
    Deciding { since: Moment },
    /// The decision is durable.
    Applying { since: Moment },
}

impl Phases {
    /// Notes that somebody is asked for a vote; only the first of a round counts.
    pub(super) fn prepare(&mut self, now: Moment, txn: &TxnId) {
        match self.0.get(&txn.job) {
            Some(Phase::Preparing { txn: known, .. }) if known == txn => {}
            None if self.0.len() >= JOBS_MAX => {}
            Some(_) | None => {
                let phase = Phase::Preparing { txn: txn.clone(), since: now };
                self.0.insert(txn.job.clone(), phase);
            }
        }
    }

    /// Notes a commit decision; returns how long the votes took.
    pub(super) fn decide(&mut self, now: Moment, txn: &TxnId) -> Option<Duration> {
        let phase = self.0.get_mut(&txn.job)?;
        let Phase::Preparing { txn: known, since } = phase else { return None };
        let took = (known == txn).then(|| now.since(*since));
        *phase = Phase::Deciding { since: now };
        took
    }

    /// Notes that a decision leaves, and so is durable; returns how long that took, once.
    pub(super) fn leave(&mut self, now: Moment, job: &JobId) -> Option<Duration> {
        let phase = self.0.get_mut(job)?;
        let Phase::Deciding { since } = *phase else { return None };
        *phase = Phase::Applying { since: now };
        Some(now.since(since))
    }

    /// Notes that everybody has acknowledged; returns how long that took, once.
    pub(super) fn apply(&mut self, now: Moment, job: &JobId) -> Option<Duration> {
        match self.0.remove(job)? {
            Phase::Applying { since } => Some(now.since(since)),
            Phase::Preparing { .. } | Phase::Deciding { .. } => None,
        }
    }

    /// Forgets a job that is over in another way.
    pub(super) fn forget(&mut self, job: &JobId) {
        self.0.remove(job);
    }
}

/// So many commits at a time are measured.
const JOBS_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use votum_ids::Epoch;

    use super::*;

    #[test]
    fn each_phase_is_measured_once_from_its_own_start() {
        let (mut phases, txn) = (Phases::default(), txn(1));
        phases.prepare(at(10), &txn);
        phases.prepare(at(20), &txn);
        assert_eq!(phases.decide(at(30), &txn), Some(Duration::from_millis(20)));
        assert_eq!(phases.leave(at(35), &txn.job), Some(Duration::from_millis(5)));
        assert_eq!(phases.leave(at(36), &txn.job), None);
        assert_eq!(phases.apply(at(45), &txn.job), Some(Duration::from_millis(10)));
        assert_eq!(phases.apply(at(46), &txn.job), None);
    }

    #[test]
    fn another_round_begins_to_count_anew() {
        let mut phases = Phases::default();
        phases.prepare(at(10), &txn(1));
        phases.prepare(at(50), &txn(2));
        assert_eq!(phases.decide(at(60), &txn(2)), Some(Duration::from_millis(10)));
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::since_start(Duration::from_millis(milliseconds))
    }

    fn txn(counter: u64) -> TxnId {
        TxnId { job: JobId::new("sales").unwrap(), epoch: Epoch(1), counter }
    }
}
