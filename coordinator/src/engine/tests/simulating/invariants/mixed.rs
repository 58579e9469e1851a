//! Damage that people have done is told.

use votum_commit::Decision;

use super::{Held, Invariant, hold};
use crate::engine::tests::simulating::{
    fact::{End, Fact},
    known::Known,
};

/// Compares what the job is said to be with what is visible.
pub(super) struct Mixed;

impl Invariant for Mixed {
    fn name(&self) -> &'static str {
        "mixed"
    }

    fn rule(&self) -> &'static str {
        "H2: every forced action is recorded with who and why; a contradiction shows as MIXED"
    }

    fn source(&self) -> &'static str {
        "X/Open XA 1991, heuristic decisions: a mix is reported, never swallowed"
    }

    fn see(&mut self, _fact: &Fact<'_>, _known: &Known) -> Held {
        Ok(())
    }

    fn judge(&mut self, end: &End<'_>, known: &Known) -> Held {
        let commits = known.decision == Some(Decision::Commit);
        let missing = known.owners.iter().find(|(output, owner)| {
            commits
                && !known.ever_shown.contains(&((*owner).clone(), (*output).clone()))
                && (known.given_up.contains(owner) || known.has_forced(owner, Decision::Abort))
        });
        // What was forced on a machine that is gone for good was told to nobody.
        let undecided = known.visible.keys().find(|(at, output)| {
            known.has_forced(at, Decision::Commit)
                && !known.gone.contains(at)
                && (!commits || known.owners.get(output) != Some(at))
        });
        let is_mixed = missing.is_some() || undecided.is_some();
        hold(!is_mixed || end.view.is_mixed(), || {
            format!("{missing:?} is missing, {undecided:?} was not decided, and nobody says so")
        })?;
        hold(is_mixed || !end.view.is_mixed() || !known.gone.is_empty(), || {
            format!("it is told to be mixed, and is not: {:?}", end.view.forced)
        })?;
        let told = known.forced.iter().filter(|(at, _)| !known.gone.contains(at));
        for (at, heuristic) in told {
            let shown = end.view.forced.iter().any(|one| one.worker == at.worker);
            let (by, what) = (&heuristic.forced.by, heuristic.outcome);
            hold(shown, || {
                format!("{by} has forced {what:?} at {}, and nothing tells it", at.worker)
            })?;
        }
        Ok(())
    }
}
