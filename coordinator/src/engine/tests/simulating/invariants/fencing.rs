//! An old token counts for nothing.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::{AttemptId, FencingToken, TaskId};
use votum_job::{AttemptEnd, AttemptState};
use votum_schedule::Record as ScheduleRecord;
use votum_wire::FromWorker;

use super::{Held, Invariant, hold};
use crate::{
    engine::tests::simulating::{fact::Fact, known::Known},
    record::Record,
};

/// Remembers which attempt was given out last, and which were reported.
#[derive(Default)]
pub(super) struct Fencing {
    newest: BTreeMap<TaskId, FencingToken>,
    reported: BTreeSet<AttemptId>,
}

impl Invariant for Fencing {
    fn name(&self) -> &'static str {
        "fencing"
    }

    fn rule(&self) -> &'static str {
        "R1: every message of an attempt carries its token, and an old token cannot report or take effect"
    }

    fn source(&self) -> &'static str {
        "Gray, Cheriton 1989, leases; Kleppmann 2016, fencing tokens"
    }

    fn see(&mut self, fact: &Fact<'_>, _known: &Known) -> Held {
        match fact {
            Fact::Said { frame: FromWorker::Ended { attempt, .. }, .. } => {
                self.reported.insert(attempt.clone());
                Ok(())
            }
            Fact::Said { frame: FromWorker::Inventory(page), .. } => {
                let ended = page.attempts.iter();
                let ended = ended.filter(|one| matches!(one.state, AttemptState::Ended(_)));
                self.reported.extend(ended.map(|one| one.attempt.clone()));
                Ok(())
            }
            Fact::Logged(Record::Job(record)) => match &record.schedule {
                Some(ScheduleRecord::Assigned { attempt, .. }) => {
                    let before = self.newest.insert(attempt.task.clone(), attempt.token);
                    hold(before.is_none_or(|before| before < attempt.token), || {
                        format!("{attempt} was given out after {before:?}")
                    })
                }
                // What became of one that nobody lists is said by the coordinator itself.
                Some(ScheduleRecord::Ended { end: AttemptEnd::Failed { .. }, .. }) => Ok(()),
                Some(ScheduleRecord::Ended { attempt, .. }) => {
                    let newest = self.newest.get(&attempt.task);
                    hold(newest.is_none_or(|newest| *newest == attempt.token), || {
                        format!("the end of {attempt} counts, and {newest:?} is the last one")
                    })?;
                    hold(self.reported.contains(attempt), || {
                        format!("the end of {attempt} counts, which nobody has reported")
                    })
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
