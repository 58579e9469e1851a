//! No two participants of the deciding round finish differently.

use std::collections::BTreeSet;

use votum_commit::{CoordinatorRecord, Decision, Installation, ParticipantRecord};
use votum_worker::Record as WorkerRecord;

use super::{Held, Invariant, hold};
use crate::{
    engine::tests::simulating::{
        fact::{End, Fact},
        known::Known,
    },
    record::Record,
};

/// Remembers who has given its part up.
#[derive(Default)]
pub(super) struct Agreement {
    aborted: BTreeSet<Installation>,
}

impl Invariant for Agreement {
    fn name(&self) -> &'static str {
        "agreement"
    }

    fn rule(&self) -> &'static str {
        "C1: no two participants of the deciding round finish differently, a recorded heuristic excepted"
    }

    fn source(&self) -> &'static str {
        "Bernstein, Hadzilacos, Goodman 1987, AC1; Gray, Lamport 2006, stability and consistency"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        match fact {
            Fact::Noted {
                at,
                record: WorkerRecord::Participant(ParticipantRecord::Aborted { .. }),
            } => {
                self.aborted.insert((*at).clone());
                let owes = known.owners.values().any(|owner| owner == *at);
                hold(!owes || known.has_forced(at, Decision::Abort), || {
                    format!("{} aborts what the decided round names of it", at.worker)
                })
            }
            Fact::Logged(Record::Job(record)) => match &record.commit {
                Some(CoordinatorRecord::CommitDecided { shares, .. }) => {
                    let lost = shares.iter().map(|share| &share.holder);
                    let mut lost = lost.filter(|holder| self.aborted.contains(holder));
                    lost.next().map_or(Ok(()), |holder| {
                        Err(format!("the round commits, and {} has aborted it", holder.worker))
                    })
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn judge(&mut self, end: &End<'_>, known: &Known) -> Held {
        let commits = known.decision == Some(Decision::Commit);
        for (at, output) in known.visible.keys() {
            let named = commits && known.owners.get(output) == Some(at);
            let excused = known.has_forced(at, Decision::Commit) || known.gone.contains(at);
            hold(named || excused, || {
                format!("{}.{} is visible at {} in the end", output.0, output.1, at.worker)
            })?;
        }
        for (output, owner) in &known.owners {
            let visible = known.visible.contains_key(&(owner.clone(), output.clone()));
            let excused = known.has_forced(owner, Decision::Abort)
                || known.given_up.contains(owner)
                || known.gone.contains(owner);
            hold(visible || excused, || {
                format!("{}.{} is not visible at {} in the end", output.0, output.1, owner.worker)
            })?;
        }
        if !commits {
            return Ok(());
        }
        for (name, task) in &end.spec.tasks {
            for (given, spec) in &task.outputs {
                let output = (name.clone(), given.clone());
                let named = spec.publish.is_none() || known.owners.contains_key(&output);
                hold(named, || format!("{name}.{given} was committed by nobody"))?;
            }
        }
        Ok(())
    }
}
