//! What is over is told as it was decided, and nothing of it is left.

use votum_commit::Decision;
use votum_wire::view::JobState;

use super::{Held, Invariant, hold};
use crate::engine::tests::simulating::{
    fact::{End, Fact},
    known::Known,
};

/// Looks at the end.
pub(super) struct NothingLeft;

impl Invariant for NothingLeft {
    fn name(&self) -> &'static str {
        "nothing_left"
    }

    fn rule(&self) -> &'static str {
        "liveness: every job reaches COMMITTED or ABORTED, and no staging is left over"
    }

    fn source(&self) -> &'static str {
        "Bernstein, Hadzilacos, Goodman 1987, AC5: when failures are repaired, all processes decide"
    }

    fn see(&mut self, _fact: &Fact<'_>, _known: &Known) -> Held {
        Ok(())
    }

    fn judge(&mut self, end: &End<'_>, known: &Known) -> Held {
        let shown = match known.decision {
            Some(Decision::Commit) => JobState::Committed,
            Some(Decision::Abort) => JobState::Aborted,
            None => return Err("it is over, and nothing was decided".to_owned()),
        };
        hold(end.view.state == shown, || {
            format!("{shown:?} was decided, and it is shown as {:?}", end.view.state)
        })?;
        let left = known.kept.keys().find(|(at, _)| !known.gone.contains(at));
        hold(left.is_none(), || format!("{left:?} is left"))
    }
}
