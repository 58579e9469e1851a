//! Nobody is asked to promise before a person has approved.

use votum_commit::Message;
use votum_schedule::Record as ScheduleRecord;
use votum_wire::FromCoordinator;

use super::{Held, Invariant, hold};
use crate::{
    engine::tests::simulating::{fact::Fact, known::Known},
    record::Record,
};

/// Remembers the answer.
#[derive(Default)]
pub(super) struct Approval {
    approved: Option<u32>,
    asked: Option<u32>,
}

impl Invariant for Approval {
    fn name(&self) -> &'static str {
        "approval"
    }

    fn rule(&self) -> &'static str {
        "AWAITING_APPROVAL, C12: nobody is prepared while a person thinks, and what was approved is what is voted on"
    }

    fn source(&self) -> &'static str {
        "Gray 1978: the doubt is kept short; nothing is locked while a person is asked"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        match fact {
            Fact::Logged(Record::Job(record)) => {
                match &record.schedule {
                    Some(ScheduleRecord::ApprovalAsked { contents, .. }) => {
                        self.asked = Some(*contents);
                    }
                    Some(ScheduleRecord::Approved { contents, .. }) => {
                        self.approved = Some(*contents);
                    }
                    _ => {}
                }
                Ok(())
            }
            Fact::Sent { frame: FromCoordinator::Commit(Message::Prepare { txn, .. }), .. }
                if known.spec.as_ref().is_some_and(|spec| spec.approval.is_some()) =>
            {
                hold(self.approved.is_some() && self.approved >= self.asked, || {
                    format!("{txn} is opened, and nobody has approved it durably")
                })
            }
            _ => Ok(()),
        }
    }
}
