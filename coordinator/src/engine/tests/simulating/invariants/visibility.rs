//! Nothing undecided is ever visible, and nobody publishes what does not name it.

use votum_commit::Decision;

use super::{Held, Invariant, hold};
use crate::engine::tests::simulating::{fact::Fact, known::Known};

/// Looks at what becomes visible.
pub(super) struct Visibility;

impl Invariant for Visibility {
    fn name(&self) -> &'static str {
        "visibility"
    }

    fn rule(&self) -> &'static str {
        "C3, C13: nothing is visible before CommitDecided is durable, and a worker publishes exactly what names it"
    }

    fn source(&self) -> &'static str {
        "Haerder, Reuter 1983, atomicity and isolation of the commit"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        let Fact::Shown { at, txn, pledge } = fact else { return Ok(()) };
        let (worker, what) = (&at.worker, format!("{}.{}", pledge.task, pledge.output));
        if known.has_forced(at, Decision::Commit) {
            return Ok(());
        }
        let learned = known.committed.contains(&((*at).clone(), (*txn).clone()));
        hold(learned, || format!("{worker} shows {what}, and has no record of the commit"))?;
        let decided = known.decision == Some(Decision::Commit);
        hold(decided && known.round.as_ref() == Some(*txn), || {
            format!("{worker} shows {what} of {txn}, which nobody has decided")
        })?;
        // Whoever was named may have been replaced since, and reads that after the order: it takes
        // back what it has shown (C13), which the end of the job is held to.
        let mut named = known.shares.iter().chain(known.taken_over.values());
        let named = named.any(|share| share.holder == **at && share.pledges.contains(pledge));
        hold(named, || format!("{worker} shows {what}, which does not name it"))
    }
}
