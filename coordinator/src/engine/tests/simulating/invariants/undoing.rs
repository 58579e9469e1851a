//! What was done outside by a job that aborts is undone, once it is over.

use votum_commit::Decision;
use votum_ids::TaskId;
use votum_job::Role;
use votum_settle::{Record as SettleRecord, Trial};

use super::{Held, Invariant, hold};
use crate::{
    engine::tests::simulating::{
        cast::BOOK,
        fact::{End, Fact},
        known::Known,
    },
    record::Record,
};

/// Remembers how often it was undone.
#[derive(Default)]
pub(super) struct Undoing {
    times: u32,
    done: bool,
}

impl Invariant for Undoing {
    fn name(&self) -> &'static str {
        "undoing"
    }

    fn rule(&self) -> &'static str {
        "section 2: on abort a compensation runs once per task, and no attempt of the task follows it"
    }

    fn source(&self) -> &'static str {
        "Garcia-Molina, Salem 1987: T1..Tj, Cj..C1"
    }

    fn see(&mut self, fact: &Fact<'_>, _known: &Known) -> Held {
        match fact {
            Fact::Began { order, .. } if order.attempt.task.as_str() == BOOK => match &order.role {
                Role::Task => hold(self.times == 0, || {
                    format!("{} begins after it was undone", order.attempt)
                }),
                Role::Hook(_) => hold(!self.done, || format!("{} is undone again", order.attempt)),
            },
            Fact::Ended { order, well: true, .. }
                if order.attempt.task.as_str() == BOOK && !order.role.is_task() =>
            {
                self.times += 1;
                Ok(())
            }
            Fact::Logged(Record::Job(record)) => {
                self.done |= matches!(
                    &record.settle,
                    Some(SettleRecord::Tried { hook, trial: Trial::Done, .. })
                        if hook.as_str() == BOOK
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn judge(&mut self, end: &End<'_>, known: &Known) -> Held {
        let book = TaskId::new(BOOK).unwrap();
        if !end.spec.tasks.contains_key(&book) {
            return Ok(());
        }
        match known.decision {
            Some(Decision::Commit) => {
                hold(self.times == 0, || "undone although it committed".to_owned())?;
                hold(known.booked, || "what committed was never booked".to_owned())
            }
            Some(Decision::Abort) | None => {
                let undone = !known.booked || known.abandoned.contains(&book);
                hold(undone, || "left booked after an abort".to_owned())?;
                hold(end.faulty || self.times <= 1, || {
                    "undone twice although nothing went wrong".to_owned()
                })
            }
        }
    }
}
