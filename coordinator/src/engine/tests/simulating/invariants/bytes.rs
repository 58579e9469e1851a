//! What was voted is what is published, byte for byte.

use votum_commit::CoordinatorRecord;
use votum_ids::AttemptId;

use super::{Held, Invariant, hold};
use crate::{
    engine::tests::simulating::{fact::Fact, known::Known},
    record::Record,
};

/// Compares digests.
pub(super) struct Bytes;

impl Invariant for Bytes {
    fn name(&self) -> &'static str {
        "bytes"
    }

    fn rule(&self) -> &'static str {
        "C13: PREPARE and COMMIT name token and digest, and exactly those bytes become visible"
    }

    fn source(&self) -> &'static str {
        "Lampson, Sturgis 1979: intentions are what was agreed on, and are carried out unchanged"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        match fact {
            Fact::Shown { at, txn, pledge } => {
                let (job, task, token) = (txn.job.clone(), pledge.task.clone(), pledge.token);
                let place = ((*at).clone(), AttemptId { job, task, token });
                let held = known.kept.get(&place).and_then(|kept| kept.get(&pledge.output));
                hold(held == Some(&pledge.digest), || {
                    format!("{} shows {} as {held:?}, not as it was voted", at.worker, place.1)
                })
            }
            Fact::Logged(Record::Job(record)) => {
                let Some(CoordinatorRecord::CommitDecided { txn, shares }) = &record.commit else {
                    return Ok(());
                };
                for share in shares {
                    let promised = known.prepared.get(&(share.holder.clone(), txn.clone()));
                    let same = promised.is_none_or(|promised| *promised == share.pledges);
                    hold(same, || {
                        format!("{} is to publish what it has not voted on", share.holder.worker)
                    })?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
