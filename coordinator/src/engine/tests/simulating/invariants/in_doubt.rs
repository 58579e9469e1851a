//! Nobody who has promised decides alone.

use std::collections::BTreeSet;

use votum_commit::{Decision, Installation, ParticipantRecord};
use votum_ids::TxnId;
use votum_worker::Record as WorkerRecord;

use super::{Held, Invariant, hold};
use crate::engine::tests::simulating::{fact::Fact, known::Known};

/// Remembers who has learned that a round ended.
#[derive(Default)]
pub(super) struct InDoubt {
    ended: BTreeSet<(Installation, TxnId)>,
}

impl Invariant for InDoubt {
    fn name(&self) -> &'static str {
        "in_doubt"
    }

    fn rule(&self) -> &'static str {
        "C5: a prepared participant never decides alone, however long it waits"
    }

    fn source(&self) -> &'static str {
        "Skeen 1981, blocking; Gray 1978: a prepared process waits for the decision"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        let Fact::Noted { at, record: WorkerRecord::Participant(record) } = fact else {
            return Ok(());
        };
        let worker = &at.worker;
        match record {
            ParticipantRecord::Aborted { job } => hold(!known.excludes_abort(), || {
                format!("{worker} aborts {job}, which nobody has decided")
            }),
            ParticipantRecord::Committed { txn, .. }
            | ParticipantRecord::TakenOver { txn, .. }
            | ParticipantRecord::StoodDown { txn, .. } => {
                let decided = known.decision == Some(Decision::Commit);
                hold(decided && known.round.as_ref() == Some(txn), || {
                    format!("{worker} takes {txn} for committed, which nobody has decided")
                })
            }
            ParticipantRecord::RoundEnded { txn } => {
                self.ended.insert(((*at).clone(), txn.clone()));
                hold(known.round.as_ref() != Some(txn), || {
                    format!("{worker} leaves the doubt about {txn}, which has committed")
                })
            }
            ParticipantRecord::Prepared { .. }
            | ParticipantRecord::Refused { .. }
            | ParticipantRecord::Forced(_)
            | ParticipantRecord::Released { .. } => Ok(()),
        }
    }
}
