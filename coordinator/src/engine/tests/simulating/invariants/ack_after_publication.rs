//! An acknowledgement follows the durable publication.

use votum_commit::{Pledge, Reply, Share};
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
            // Whoever was forced, and was released after the log had noted that, has forgotten it:
            // a late COMMIT is answered as if it had been published, and nobody waits for that.
            Fact::Said { from, frame: FromWorker::Commit(Reply::Acked { txn }) }
                if known.round.as_ref() == Some(txn) && !known.heuristics.contains(*from) =>
            {
                let share = known.shares.iter().find(|share| share.holder == **from);
                let missing = share.and_then(|share| missing(known, share));
                hold(missing.is_none(), || {
                    format!("{} acknowledges {txn} before {missing:?} is visible", from.worker)
                })
            }
            Fact::Said { from, frame: FromWorker::Commit(Reply::TookOver { txn, number }) }
                if known.round.as_ref() == Some(txn) =>
            {
                let share = known.taken_over.get(number).filter(|share| share.holder == **from);
                let missing = share.and_then(|share| missing(known, share));
                hold(share.is_some() && missing.is_none(), || {
                    format!("{} says it took over {txn} as {number}, of {share:?}", from.worker)
                })
            }
            _ => Ok(()),
        }
    }
}

/// Returns something of a share that was never visible.
fn missing<'share>(known: &Known, share: &'share Share) -> Option<&'share Pledge> {
    let mut owed = share.pledges.iter().filter(|pledge| pledge.target.is_some());
    owed.find(|pledge| {
        let output = (pledge.task.clone(), pledge.output.clone());
        !known.ever_shown.contains(&(share.holder.clone(), output))
    })
}
