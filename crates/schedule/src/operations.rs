//! What operators do with workers: drain them, take them up again, remove them for good.

use votum_ids::{WorkerId, WorkerUid};
use votum_job::{AttemptEnd, Failure, FailureKind};
use votum_machine::Moment;

use crate::{
    Action, Drain, Orders, Record, Removal, Scheduler,
    active_job::Phase,
    agenda::Due,
    roster::{Session, Worker},
    scheduler::{Reaction, STOP_REPETITION},
};

/// Whether an installation may open a session under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Nobody else has the name.
    Admitted,
    /// The name belongs to another installation, connected or not.
    NameTaken {
        /// Whose it is.
        uid: WorkerUid,
    },
    /// An operator has removed this installation for good.
    Removed(Removal),
}

impl Scheduler {
    /// Says whether an installation may open a session under a name.
    #[must_use]
    pub fn admission(&self, worker: &WorkerId, uid: WorkerUid) -> Admission {
        if let Some(removal) =
            self.roster.orders(worker).and_then(|orders| orders.removed.get(&uid))
        {
            return Admission::Removed(removal.clone());
        }
        match self.roster.get(worker).filter(|known| !known.is_removed()) {
            Some(known) if known.registration.uid != uid => {
                Admission::NameTaken { uid: known.registration.uid }
            }
            Some(_) | None => Admission::Admitted,
        }
    }

    /// Takes no further attempts to a worker; repeated, the later order stands.
    pub(crate) fn order_drain(&mut self, now: Moment, name: &WorkerId, drain: Drain) -> Reaction {
        let Some(worker) = self.roster.get(name).filter(|worker| !worker.is_removed()) else {
            return Reaction::none();
        };
        let orders = Orders { drain: Some(drain), ..worker.orders.clone() };
        self.order(now, name, orders)
    }

    /// Gives a drained worker attempts again.
    pub(crate) fn order_resume(&mut self, now: Moment, name: &WorkerId) -> Reaction {
        let drained = |worker: &&Worker| worker.orders.drain.is_some() && !worker.is_removed();
        let Some(worker) = self.roster.get(name).filter(drained) else { return Reaction::none() };
        let orders = Orders { drain: None, ..worker.orders.clone() };
        let reaction = self.order(now, name, orders);
        self.heat_for(name);
        reaction
    }

    /// Removes an installation for good: what it ran and held is lost at once.
    ///
    /// A worker that is connected is not removed; whoever orders it looks first.
    pub(crate) fn order_removal(
        &mut self,
        now: Moment,
        name: &WorkerId,
        removal: Removal,
    ) -> Reaction {
        let absent = |worker: &&Worker| worker.session == Session::Absent && !worker.is_removed();
        let Some(worker) = self.roster.get(name).filter(absent) else { return Reaction::none() };
        let mut orders = Orders { drain: None, ..worker.orders.clone() };
        orders.removed.insert(worker.registration.uid, removal);
        self.drop_orphans_of(now, name);
        let reaction = self.order(now, name, orders);
        self.agenda.clear(&Due::Silence(name.clone()));
        self.roster.change(name, |worker| worker.unsettled = false);
        let jobs = self.roster.get(name).map(Worker::jobs).unwrap_or_default();
        self.reckonings.extend(jobs.into_iter().map(|job| (name.clone(), job)));
        self.unpark(now, name);
        reaction
    }

    fn order(&mut self, now: Moment, name: &WorkerId, orders: Orders) -> Reaction {
        let mut reaction = self.record(now, Record::Ordered { worker: name.clone(), orders });
        self.roster.change(name, |worker| worker.overdue = false);
        self.arm_drain(now, name);
        reaction.actions.push(Action::WorkerChanged { worker: name.clone() });
        reaction
    }

    /// Sets when what still runs on a drained worker is stopped.
    pub(crate) fn arm_drain(&mut self, now: Moment, name: &WorkerId) {
        let wall = self.anchor.at(now).max(self.last_recorded);
        let drain = self.roster.get(name).and_then(|worker| worker.orders.drain.as_ref());
        match drain.and_then(Drain::deadline) {
            Some(deadline) => {
                self.agenda.set(Due::Drained(name.clone()), now.after(deadline.since(wall)));
            }
            None => self.agenda.clear(&Due::Drained(name.clone())),
        }
    }

    /// Stops what still runs on a worker past the deadline of its drain; asked for again until
    /// nothing does.
    pub(crate) fn end_drain(&mut self, now: Moment, name: &WorkerId) -> Vec<Action> {
        self.roster.change(name, |worker| worker.overdue = true);
        let Some(worker) = self.roster.get(name) else { return Vec::new() };
        let Some(drain) = &worker.orders.drain else { return Vec::new() };
        let reason = why_stopped(name, drain);
        let stop = |(job, task): &(votum_ids::JobId, usize)| self.interrupt(job, *task, &reason);
        let stops: Vec<Action> = worker.live.iter().filter_map(stop).collect();
        if !stops.is_empty() {
            self.agenda.set(Due::Drained(name.clone()), now.after(STOP_REPETITION));
        }
        stops
    }

    /// Says in the report of an attempt that was stopped for a drain that no task is to blame.
    pub(crate) fn excuse_drained(
        &self,
        name: &WorkerId,
        job: &Phase,
        end: AttemptEnd,
    ) -> AttemptEnd {
        let Some(worker) = self.roster.get(name).filter(|worker| worker.overdue) else {
            return end;
        };
        match (end, &worker.orders.drain, job) {
            (AttemptEnd::Failed { failure, usage }, Some(drain), Phase::Running)
                if failure.kind == FailureKind::Stopped =>
            {
                let message = format!("stopped: {}", why_stopped(name, drain));
                let kind = FailureKind::Drained;
                AttemptEnd::Failed { failure: Failure { kind, message, ..failure }, usage }
            }
            (end, _, _) => end,
        }
    }
}

fn why_stopped(name: &WorkerId, drain: &Drain) -> String {
    match drain.reason.as_str() {
        "" => format!("worker {name} is drained"),
        reason => format!("worker {name} is drained: {reason}"),
    }
}
