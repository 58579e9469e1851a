//! What is due when: one moment for each thing, and the earliest at hand.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::{JobId, WorkerId};
use votum_machine::Moment;

/// Something that happens by the passing of time alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A worker was silent for too long: suspect, then lost, then given up.
    Silence(WorkerId),
    /// What was given to an earlier installation of a worker, or before its removal, is over by now.
    Parted(WorkerId),
    /// A job is past its end.
    Deadline(JobId),
    /// A failed task may be tried again.
    Retry(JobId, usize),
    /// An attempt ran past its limit and its worker said nothing.
    Overrun(JobId, usize),
    /// What still runs on a drained worker is stopped.
    Drained(WorkerId),
    /// A dry vote is to be held, or the time of one that is held is over.
    DryVote(JobId),
    /// Everything is staged and a dry vote has passed: a person is to be asked.
    Asking(JobId),
    /// The time of an approval is over.
    Approval(JobId),
    /// The last checkpoint of the task may lie on one worker only.
    Replication(JobId, usize),
    /// What the task has sealed may lie on too few workers.
    Copying(JobId, usize),
}

/// The deadlines, each at most once.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    moments: BTreeMap<Due, Moment>,
    order: BTreeSet<(Moment, Due)>,
}

impl Agenda {
    /// Sets when `due` comes, whatever was set before.
    pub(crate) fn set(&mut self, due: Due, at: Moment) {
        self.clear(&due);
        self.moments.insert(due.clone(), at);
        self.order.insert((at, due));
    }

    pub(crate) fn clear(&mut self, due: &Due) {
        if let Some(at) = self.moments.remove(due) {
            self.order.remove(&(at, due.clone()));
        }
    }

    pub(crate) fn moment(&self, due: &Due) -> Option<Moment> {
        self.moments.get(due).copied()
    }

    pub(crate) fn earliest(&self) -> Option<Moment> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the most overdue thing.
    pub(crate) fn take_due(&mut self, now: Moment) -> Option<Due> {
        self.order.first().filter(|(at, _)| *at <= now)?;
        let (_, due) = self.order.pop_first()?;
        self.moments.remove(&due);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thing_is_due_once_at_its_last_setting() {
        let at = |secs| Moment::since_start(Duration::from_secs(secs));
        let job = JobId::new("sales").unwrap();
        let mut agenda = Agenda::default();
        agenda.set(Due::Deadline(job.clone()), at(1));
        agenda.set(Due::Deadline(job.clone()), at(3));
        agenda.set(Due::Retry(job.clone(), 0), at(2));
        assert_eq!(agenda.take_due(at(1)), None);
        assert_eq!(agenda.earliest(), Some(at(2)));
        assert_eq!(agenda.take_due(at(9)), Some(Due::Retry(job.clone(), 0)));
        assert_eq!(agenda.take_due(at(9)), Some(Due::Deadline(job)));
        assert_eq!(agenda.take_due(at(9)), None);
    }
}
