//! A replica counts when it is as durable as what it copies.

use std::collections::{BTreeMap, BTreeSet};

use votum_commit::{CoordinatorRecord, Installation};
use votum_ids::AttemptId;
use votum_schedule::Record as ScheduleRecord;
use votum_worker::Record as WorkerRecord;

use super::{Held, Invariant, hold};
use crate::{
    engine::tests::simulating::{fact::Fact, known::Known},
    record::Record,
};

/// Remembers on how many workers an attempt was sealed.
#[derive(Default)]
pub(super) struct Replicas {
    sealed: BTreeMap<AttemptId, BTreeSet<Installation>>,
}

impl Invariant for Replicas {
    fn name(&self) -> &'static str {
        "replicas"
    }

    fn rule(&self) -> &'static str {
        "C13: a replica is counted when it is sealed durably, and nothing commits before there are enough"
    }

    fn source(&self) -> &'static str {
        "Gifford 1979: a write counts at a replica once it is on its stable storage"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        match fact {
            Fact::Noted { at, record: WorkerRecord::Sealed { attempt, .. } } => {
                self.sealed.entry(attempt.clone()).or_default().insert((*at).clone());
                Ok(())
            }
            Fact::Logged(Record::Job(record)) => {
                if let Some(ScheduleRecord::Replicated { attempt, worker, uid, .. }) =
                    &record.schedule
                {
                    let at = Installation { worker: worker.clone(), uid: *uid };
                    let durable = known.sealed.contains(&(at, attempt.clone()));
                    return hold(durable, || {
                        format!("the replica of {attempt} at {worker} counts, and is not durable")
                    });
                }
                match &record.commit {
                    Some(CoordinatorRecord::CommitDecided { txn, shares }) => {
                        self.enough(known, txn, shares)
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

impl Replicas {
    fn enough(
        &self,
        known: &Known,
        txn: &votum_ids::TxnId,
        shares: &[votum_commit::Share],
    ) -> Held {
        let Some(spec) = &known.spec else { return Ok(()) };
        for pledge in shares.iter().flat_map(|share| &share.pledges) {
            let (job, task, token) = (txn.job.clone(), pledge.task.clone(), pledge.token);
            let wanted = spec.tasks.get(&task).map_or(1, votum_job::TaskSpec::replicas);
            let attempt = AttemptId { job, task, token };
            let held = self.sealed.get(&attempt).map_or(0, BTreeSet::len);
            hold(held >= wanted as usize, || {
                format!("{txn} commits {attempt}, which {held} of {wanted} workers held")
            })?;
        }
        Ok(())
    }
}
