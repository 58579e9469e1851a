//! Effects follow the decision that they belong to, and take place.

use std::collections::BTreeSet;

use votum_commit::Decision;
use votum_ids::TaskId;
use votum_job::{JobSpec, Trigger};
use votum_settle::Record as SettleRecord;

use super::{Held, Invariant, hold};
use crate::{
    engine::tests::simulating::{
        cast::BOOK,
        fact::{End, Fact},
        known::Known,
    },
    record::Record,
};

/// Remembers what may be tried, and what is durably done.
#[derive(Default)]
pub(super) struct Effects {
    intended: BTreeSet<TaskId>,
    done: BTreeSet<TaskId>,
}

impl Invariant for Effects {
    fn name(&self) -> &'static str {
        "effects"
    }

    fn rule(&self) -> &'static str {
        "C3, C11, section 2: an effect begins after its decision and its intent are durable, and never once it is done"
    }

    fn source(&self) -> &'static str {
        "Garcia-Molina, Salem 1987, sagas; Mehrotra et al. 1992, retriable after pivot"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        match fact {
            Fact::Logged(Record::Job(record)) => {
                match &record.settle {
                    Some(SettleRecord::Intended { hook, .. }) => {
                        self.intended.insert(hook.clone());
                    }
                    Some(SettleRecord::Tried {
                        hook, trial: votum_settle::Trial::Done, ..
                    }) => {
                        self.done.insert(hook.clone());
                    }
                    _ => {}
                }
                Ok(())
            }
            Fact::Began { order, .. } if order.role.is_task() => Ok(()),
            Fact::Began { order, .. } => self.begins(&order.attempt.task, known),
            Fact::Posted { hook, .. } => self.begins(hook, known),
            _ => Ok(()),
        }
    }

    fn judge(&mut self, end: &End<'_>, known: &Known) -> Held {
        for effect in end.spec.effects.keys() {
            let wanted = belongs(end.spec, effect, known.decision);
            let times = known.took_place.get(effect).copied().unwrap_or_default();
            let as_wanted = (times > 0) == wanted || known.abandoned.contains(effect);
            hold(as_wanted, || format!("{effect} took place {times} times"))?;
        }
        Ok(())
    }
}

impl Effects {
    fn begins(&self, hook: &TaskId, known: &Known) -> Held {
        let belongs = known.spec.as_ref().is_some_and(|spec| belongs(spec, hook, known.decision));
        hold(belongs, || format!("{hook} begins, and {:?} is durable", known.decision))?;
        hold(self.intended.contains(hook), || {
            format!("{hook} begins before its intent is durable")
        })?;
        hold(!self.done.contains(hook), || format!("{hook} begins again, and is durably done"))
    }
}

/// Says whether a hook belongs to a decision.
fn belongs(spec: &JobSpec, hook: &TaskId, decision: Option<Decision>) -> bool {
    let Some(decision) = decision else { return false };
    match (spec.effects.get(hook).map(|effect| effect.after), decision) {
        (Some(Trigger::End), _)
        | (Some(Trigger::Commit), Decision::Commit)
        | (Some(Trigger::Abort), Decision::Abort) => true,
        (None, Decision::Abort) => hook.as_str() == BOOK,
        (Some(Trigger::Commit), Decision::Abort)
        | (Some(Trigger::Abort) | None, Decision::Commit) => false,
    }
}
