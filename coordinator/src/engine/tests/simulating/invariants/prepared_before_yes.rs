//! Who votes Yes has promised it durably, and holds what it promises as durably.

use votum_commit::{Decision, Reply, Vote};
use votum_ids::AttemptId;
use votum_wire::FromWorker;

use super::{Held, Invariant, hold};
use crate::engine::tests::simulating::{fact::Fact, known::Known};

/// Looks at the votes.
pub(super) struct PreparedBeforeYes;

impl Invariant for PreparedBeforeYes {
    fn name(&self) -> &'static str {
        "prepared_before_yes"
    }

    fn rule(&self) -> &'static str {
        "C4: a YES vote is sent only after the outputs are durable and the PREPARED record is forced"
    }

    fn source(&self) -> &'static str {
        "Mohan, Lindsay, Obermarck 1986, section 2: the subordinate forces its prepare record first"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        let Fact::Said { from, frame: FromWorker::Commit(Reply::Voted { txn, vote }) } = fact
        else {
            return Ok(());
        };
        if *vote != Vote::Yes || known.has_forced(from, Decision::Commit) {
            return Ok(());
        }
        let worker = &from.worker;
        let promised = known.prepared.get(&((*from).clone(), txn.clone()));
        let Some(promised) = promised else {
            return Err(format!("{worker} votes Yes in {txn} without a durable promise"));
        };
        for pledge in promised {
            let (job, task, token) = (txn.job.clone(), pledge.task.clone(), pledge.token);
            let place = ((*from).clone(), AttemptId { job, task, token });
            hold(known.sealed.contains(&place), || {
                format!("{worker} votes Yes in {txn}, and {} is not durably sealed there", place.1)
            })?;
        }
        Ok(())
    }
}
