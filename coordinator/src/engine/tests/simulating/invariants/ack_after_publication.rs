//! An acknowledgement follows the durable publication.

use votum_commit::{Installation, Reply};
use votum_wire::FromWorker;

use super::{Held, Invariant, hold};
use crate::engine::tests::simulating::{fact::Fact, known::Known};

/// Looks at acknowledgements.
pub(super) struct AckAfterPublication;

impl Invariant for AckAfterPublication {
    fn name(&self) -> &'static str {
        "ack_after_publication"
    }

    fn rule(&self) -> &'static str {
        "C8: the acknowledgement follows the durable publication"
    }

    fn source(&self) -> &'static str {
        "Mohan, Lindsay, Obermarck 1986, section 3: the ack is sent after the commit record is forced"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        match fact {
            Fact::Said { from, frame: FromWorker::Commit(Reply::Acked { txn }) }
                if known.round.as_ref() == Some(txn) =>
            {
                let mut shares = known.shares.iter().filter(|share| share.holder == **from);
                let pledges = shares.next().into_iter().flat_map(|share| &share.pledges);
                let mut owed = pledges.filter(|pledge| pledge.target.is_some());
                let missing = owed.find(|pledge| !was_shown(known, from, pledge));
                hold(missing.is_none(), || {
                    format!("{} acknowledges {txn} before {missing:?} is visible", from.worker)
                })
            }
            Fact::Said { from, frame: FromWorker::Commit(Reply::TookOver { txn, .. }) } => {
                let mut owned = known.owners.iter().filter(|(_, owner)| owner == from);
                let missing = owned.find(|(output, owner)| {
                    !known.ever_shown.contains(&((*owner).clone(), (*output).clone()))
                });
                hold(missing.is_none(), || {
                    format!("{} says it took over {txn} before {missing:?} is visible", from.worker)
                })
            }
            _ => Ok(()),
        }
    }
}

fn was_shown(known: &Known, at: &Installation, pledge: &votum_commit::Pledge) -> bool {
    let output = (pledge.task.clone(), pledge.output.clone());
    known.ever_shown.contains(&(at.clone(), output))
}
