//! A round that anybody was told is refused never commits.

use votum_commit::{CoordinatorRecord, Decision, Knowledge, ParticipantRecord};
use votum_worker::Record as WorkerRecord;

use super::{Held, Invariant, hold};
use crate::{
    engine::tests::simulating::{fact::Fact, known::Known},
    record::Record,
};

/// Looks at what peers tell each other.
pub(super) struct Refusals;

impl Invariant for Refusals {
    fn name(&self) -> &'static str {
        "refusals"
    }

    fn rule(&self) -> &'static str {
        "C7: a peer answers REFUSED after it has forced the refusal, and promises nothing in that round for ever"
    }

    fn source(&self) -> &'static str {
        "Bernstein, Hadzilacos, Goodman 1987, 7.4: cooperative termination"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        match fact {
            Fact::PeerTold { by, txn, knowledge: Knowledge::Refused } => {
                let refused = known.refused.contains(&((*by).clone(), (*txn).clone()));
                // Whoever has learned that another round committed knows that this one never will.
                let other = known.round.as_ref().is_some_and(|round| round != *txn);
                hold(refused || other || !known.excludes_abort(), || {
                    format!("{} says that it refuses {txn} without a durable refusal", by.worker)
                })
            }
            Fact::PeerTold { by, txn, knowledge: Knowledge::Commit } => {
                let decided = known.decision == Some(Decision::Commit);
                hold(decided && known.round.as_ref() == Some(*txn), || {
                    format!("{} says that {txn} commits, which nobody has decided", by.worker)
                })
            }
            Fact::Noted {
                at,
                record: WorkerRecord::Participant(ParticipantRecord::Prepared { txn, .. }),
            } => hold(!known.refused.contains(&((*at).clone(), txn.clone())), || {
                format!("{} promises in {txn}, which it has refused", at.worker)
            }),
            Fact::Logged(Record::Job(record)) => match &record.commit {
                Some(CoordinatorRecord::CommitDecided { txn, .. }) => {
                    let by = known.refused.iter().find(|(_, refused)| refused == txn);
                    by.map_or(Ok(()), |(by, _)| {
                        Err(format!("{txn} commits, and {} has refused it", by.worker))
                    })
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
