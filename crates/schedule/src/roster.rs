//! The workers: who they are, whether they can be heard, and what they have.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use votum_ids::{AttemptId, CheckpointId, Incarnation, JobId, WorkerId, WorkerUid};
use votum_job::Placement;
use votum_machine::Moment;

use crate::{Orders, Registration};

/// Every worker that this cluster has ever met.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    workers: BTreeMap<WorkerId, Worker>,
    /// The workers with free slots, the freest first.
    vacancies: BTreeSet<Vacancy>,
    /// Where each task is that is with a worker.
    seats: BTreeMap<(JobId, usize), Seat>,
    /// Who holds a replica of what each task has sealed; tasks without one are not listed.
    replicas: BTreeMap<(JobId, usize), BTreeSet<WorkerId>>,
    /// What operators have ordered, also about names that nobody bears.
    orders: BTreeMap<WorkerId, Orders>,
}

/// A worker as the coordinator knows it.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) registration: Registration,
    pub(crate) session: Session,
    pub(crate) liveness: Liveness,
    /// When its last frame came, or when its lease last began anew.
    pub(crate) heard: Moment,
    /// Since when this start of the coordinator knows the present installation.
    pub(crate) installed: Moment,
    pub(crate) free_bytes: u64,
    /// Tasks whose live attempt it has.
    pub(crate) live: BTreeSet<(JobId, usize)>,
    /// Tasks whose sealed outputs it holds.
    pub(crate) held: BTreeSet<(JobId, usize)>,
    /// Tasks of whose sealed outputs it holds a replica.
    pub(crate) replicas: BTreeSet<(JobId, usize)>,
    /// Tasks of which it listed an attempt that the log does not know.
    pub(crate) orphans: BTreeSet<(JobId, usize)>,
    /// Whether it may still list, after a restart, attempts that the log forgot.
    pub(crate) unsettled: bool,
    /// What operators have ordered about it.
    pub(crate) orders: Orders,
    /// Whether its drain is past its deadline.
    pub(crate) overdue: bool,
    /// Checkpoints that it has told of in this session.
    pub(crate) listed_checkpoints: BTreeSet<CheckpointId>,
    vacancy: Option<Vacancy>,
}

/// How far a worker's session has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Session {
    /// It cannot be reached.
    Absent,
    /// It says what it has.
    Reconciling {
        incarnation: Incarnation,
        /// What it has said so far.
        listed: BTreeSet<AttemptId>,
    },
    /// Both sides agree.
    Ready {
        incarnation: Incarnation,
        /// What it did not list; gone once its job was told.
        missing: BTreeSet<AttemptId>,
    },
}

/// How long a worker has been silent (R2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Liveness {
    /// Within its lease.
    Fresh,
    /// Silent for half of its lease; only shown.
    Suspect,
    /// Past its lease: it takes no further attempts.
    Expired,
    /// Past lease and grace: what can run elsewhere does.
    Lost,
    /// Past `lost_after`: what is pinned to it has failed.
    GivenUp,
}

/// A worker with free slots; the order is the preference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Vacancy {
    slots: Reverse<u32>,
    bytes: Reverse<u64>,
    worker: WorkerId,
}

/// With whom a task is, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seat {
    /// Its live attempt is there.
    Live(WorkerId),
    /// Its sealed outputs are there.
    Held(WorkerId),
}

impl Roster {
    /// Takes a worker in, or changes how it introduced itself.
    pub(crate) fn register(&mut self, registration: Registration) {
        let name = registration.worker.clone();
        match self.workers.get_mut(&name) {
            Some(worker) => worker.registration = registration,
            None => {
                let orders = self.orders.get(&name).cloned().unwrap_or_default();
                self.workers.insert(name.clone(), Worker::new(registration, orders));
            }
        }
        self.refresh(&name);
    }

    /// Notes everything that operators have ordered about a name.
    pub(crate) fn order(&mut self, name: WorkerId, orders: Orders) {
        self.change(&name, |worker| worker.orders = orders.clone());
        self.orders.insert(name, orders);
    }

    pub(crate) fn orders(&self, name: &WorkerId) -> Option<&Orders> {
        self.orders.get(name)
    }

    pub(crate) fn get(&self, worker: &WorkerId) -> Option<&Worker> {
        self.workers.get(worker)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&WorkerId, &Worker)> {
        self.workers.iter()
    }

    /// Returns every worker that was not removed.
    pub(crate) fn present(&self) -> impl Iterator<Item = (&WorkerId, &Worker)> {
        self.workers.iter().filter(|(_, worker)| !worker.is_removed())
    }

    /// Changes a worker and keeps the order of preference in step.
    pub(crate) fn change<T>(
        &mut self,
        worker: &WorkerId,
        change: impl FnOnce(&mut Worker) -> T,
    ) -> Option<T> {
        let result = self.workers.get_mut(worker).map(change);
        self.refresh(worker);
        result
    }

    /// Notes where a task is; returns the worker on which a slot became free.
    pub(crate) fn seat(&mut self, task: (JobId, usize), seat: Option<Seat>) -> Option<WorkerId> {
        if self.seats.get(&task) == seat.as_ref() {
            return None;
        }
        let left = match seat.clone() {
            Some(seat) => self.seats.insert(task.clone(), seat),
            None => self.seats.remove(&task),
        };
        match &seat {
            None => {}
            Some(Seat::Live(worker)) => {
                self.change(worker, |worker| worker.live.insert(task.clone()));
            }
            Some(Seat::Held(worker)) => {
                self.change(worker, |worker| worker.held.insert(task.clone()));
            }
        }
        match left {
            None => None,
            Some(Seat::Held(worker)) => {
                self.change(&worker, |worker| worker.held.remove(&task));
                None
            }
            Some(Seat::Live(worker)) => {
                self.change(&worker, |worker| worker.live.remove(&task));
                Some(worker)
            }
        }
    }

    /// Notes who holds a replica of what a task has sealed.
    pub(crate) fn seat_replicas(&mut self, task: (JobId, usize), holders: BTreeSet<WorkerId>) {
        let earlier = self.replicas.remove(&task).unwrap_or_default();
        for left in earlier.difference(&holders) {
            self.change(left, |worker| worker.replicas.remove(&task));
        }
        for joined in holders.difference(&earlier) {
            self.change(joined, |worker| worker.replicas.insert(task.clone()));
        }
        if !holders.is_empty() {
            self.replicas.insert(task, holders);
        }
    }

    /// Returns the freest worker that matches, another than `avoided` if there is one.
    pub(crate) fn freest(
        &self,
        placement: &Placement,
        avoided: Option<&WorkerId>,
    ) -> Option<&WorkerId> {
        let mut fallback = None;
        for vacancy in &self.vacancies {
            if !self.workers[&vacancy.worker].matches(placement) {
                continue;
            }
            if avoided != Some(&vacancy.worker) {
                return Some(&vacancy.worker);
            }
            fallback = Some(&vacancy.worker);
        }
        fallback
    }

    /// Returns a matching worker that may still list what the log forgot.
    pub(crate) fn unsettled(&self, placement: &Placement) -> Option<&WorkerId> {
        let unsettled = |(_, worker): &(&WorkerId, &Worker)| worker.unsettled;
        let matching = |(_, worker): &(&WorkerId, &Worker)| worker.matches(placement);
        self.workers.iter().filter(unsettled).find(matching).map(|(name, _)| name)
    }

    fn refresh(&mut self, name: &WorkerId) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let free = worker.free_slots();
        let vacancy = (worker.is_open() && free > 0).then(|| Vacancy {
            slots: Reverse(free),
            bytes: Reverse(worker.free_bytes),
            worker: name.clone(),
        });
        if worker.vacancy == vacancy {
            return;
        }
        if let Some(old) = worker.vacancy.take() {
            self.vacancies.remove(&old);
        }
        worker.vacancy.clone_from(&vacancy);
        self.vacancies.extend(vacancy);
    }
}

impl Worker {
    fn new(registration: Registration, orders: Orders) -> Self {
        Self {
            registration,
            session: Session::Absent,
            liveness: Liveness::Fresh,
            heard: Moment::START,
            installed: Moment::START,
            free_bytes: 0,
            live: BTreeSet::new(),
            held: BTreeSet::new(),
            replicas: BTreeSet::new(),
            orphans: BTreeSet::new(),
            unsettled: false,
            orders,
            overdue: false,
            listed_checkpoints: BTreeSet::new(),
            vacancy: None,
        }
    }

    /// Says whether both sides agree and it is not lost.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.session, Session::Ready { .. }) && !self.is_lost()
    }

    /// Says whether attempts may be placed on it.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.session, Session::Ready { .. })
            && self.liveness < Liveness::Expired
            && self.orders.drain.is_none()
    }

    /// Says whether an operator has removed this installation for good.
    pub(crate) fn is_removed(&self) -> bool {
        self.orders.removed.contains_key(&self.registration.uid)
    }

    /// Says whether what this installation was given is not with the worker any more.
    pub(crate) fn is_foreign(&self, uid: WorkerUid) -> bool {
        self.registration.uid != uid || self.is_removed()
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.liveness >= Liveness::Lost
    }

    pub(crate) fn free_slots(&self) -> u32 {
        let taken = u32::try_from(self.live.len()).unwrap_or(u32::MAX);
        self.registration.slots.saturating_sub(taken)
    }

    pub(crate) fn matches(&self, placement: &Placement) -> bool {
        let labels = &self.registration.labels;
        placement.worker.as_ref().is_none_or(|name| *name == self.registration.worker)
            && placement.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    }

    /// Returns the tasks of one job that are with this worker, live or held.
    pub(crate) fn tasks_of(&self, job: &JobId) -> BTreeSet<usize> {
        let range = (job.clone(), 0)..=(job.clone(), usize::MAX);
        let held = self.held.range(range.clone());
        self.live.range(range).chain(held).map(|(_, task)| *task).collect()
    }

    /// Returns the jobs that have something on this worker.
    pub(crate) fn jobs(&self) -> BTreeSet<JobId> {
        let all = self.live.iter().chain(&self.held).chain(&self.replicas);
        all.map(|(job, _)| job.clone()).collect()
    }

    pub(crate) fn is_missing(&self, attempt: &AttemptId) -> bool {
        match &self.session {
            Session::Ready { missing, .. } => missing.contains(attempt),
            Session::Absent | Session::Reconciling { .. } => false,
        }
    }
}
