//! Tasks that could start, by what they ask of a worker; the oldest job's come first.
//!
//! Tasks with equal wishes form a class: if one finds no worker, none does. A
//! class is *hot* when something changed for it, and cold once no worker was
//! found, so that a full cluster is not searched again until a slot is free.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::{JobId, WorkerId};
use votum_job::Placement;

/// A ready task; ordered by the age of its job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    /// Counts the jobs in the order of their receipt.
    pub(crate) age: u64,
    /// The job.
    pub(crate) job: JobId,
    /// The task's number in the job's graph.
    pub(crate) task: usize,
}

/// The ready tasks.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    seats: BTreeMap<Spot, Seat>,
    classes: BTreeMap<Placement, BTreeSet<Spot>>,
    /// The hot classes by their oldest task, and the other way round.
    hot: BTreeMap<Spot, Placement>,
    heads: BTreeMap<Placement, Spot>,
    parked: BTreeMap<WorkerId, BTreeSet<Spot>>,
}

/// Where a task waits.
#[derive(Debug)]
enum Seat {
    /// For any worker that matches.
    Class(Placement),
    /// For news of this worker, whoever runs it then.
    Parked(WorkerId),
}

impl Queue {
    /// Lets a task wait for a worker.
    pub(crate) fn insert(&mut self, spot: Spot, placement: &Placement) {
        if self.seats.contains_key(&spot) {
            return;
        }
        self.seats.insert(spot.clone(), Seat::Class(placement.clone()));
        self.classes.entry(placement.clone()).or_default().insert(spot);
        self.heat(placement);
    }

    pub(crate) fn remove(&mut self, spot: &Spot) {
        match self.seats.remove(spot) {
            None => {}
            Some(Seat::Parked(worker)) => {
                if let Some(spots) = self.parked.get_mut(&worker) {
                    spots.remove(spot);
                    if spots.is_empty() {
                        self.parked.remove(&worker);
                    }
                }
            }
            Some(Seat::Class(placement)) => {
                if let Some(spots) = self.classes.get_mut(&placement) {
                    spots.remove(spot);
                    if spots.is_empty() {
                        self.classes.remove(&placement);
                    }
                }
                if self.heads.get(&placement) == Some(spot) {
                    self.heat(&placement);
                }
            }
        }
    }

    /// Lets a task wait for news of `worker`.
    pub(crate) fn park(&mut self, spot: Spot, worker: &WorkerId) {
        self.remove(&spot);
        self.seats.insert(spot.clone(), Seat::Parked(worker.clone()));
        self.parked.entry(worker.clone()).or_default().insert(spot);
    }

    /// Returns the tasks that waited for news of `worker`; they wait nowhere then.
    pub(crate) fn unpark(&mut self, worker: &WorkerId) -> BTreeSet<Spot> {
        let spots = self.parked.remove(worker).unwrap_or_default();
        for spot in &spots {
            self.seats.remove(spot);
        }
        spots
    }

    /// Notes that something changed for this class.
    pub(crate) fn heat(&mut self, placement: &Placement) {
        self.cool(placement);
        if let Some(first) = self.classes.get(placement).and_then(BTreeSet::first) {
            self.hot.insert(first.clone(), placement.clone());
            self.heads.insert(placement.clone(), first.clone());
        }
    }

    fn cool(&mut self, placement: &Placement) {
        if let Some(head) = self.heads.remove(placement) {
            self.hot.remove(&head);
        }
    }

    /// Notes that a worker with these labels has a free slot.
    pub(crate) fn heat_for(&mut self, worker: &WorkerId, labels: &BTreeMap<String, String>) {
        let pinned = Placement { worker: Some(worker.clone()), labels: BTreeMap::new() };
        let theirs = self.classes.range(pinned..).map(|(class, _)| class);
        let theirs = theirs.take_while(|class| class.worker.as_ref() == Some(worker));
        let anyones = self.classes.keys().take_while(|class| class.worker.is_none());
        let matching: Vec<Placement> = anyones
            .chain(theirs)
            .filter(|class| {
                class.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
            })
            .cloned()
            .collect();
        for class in matching {
            self.heat(&class);
        }
    }

    /// Returns how many tasks wait.
    pub(crate) fn len(&self) -> usize {
        self.seats.len()
    }

    pub(crate) fn has_hot(&self) -> bool {
        !self.hot.is_empty()
    }

    /// Takes the oldest task of a hot class; its class is cold then, the task still waits.
    pub(crate) fn take_hot(&mut self) -> Option<(Spot, Placement)> {
        let (spot, placement) = self.hot.pop_first()?;
        self.heads.remove(&placement);
        Some((spot, placement))
    }

    /// Returns the worker whose news a task waits for, if it waits for one.
    pub(crate) fn parked_on(&self, spot: &Spot) -> Option<&WorkerId> {
        match self.seats.get(spot)? {
            Seat::Parked(worker) => Some(worker),
            Seat::Class(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(age: u64, task: usize) -> Spot {
        Spot { age, job: JobId::new("sales").unwrap(), task }
    }

    fn pinned(worker: &str) -> Placement {
        Placement { worker: Some(WorkerId::new(worker).unwrap()), labels: BTreeMap::new() }
    }

    #[test]
    fn the_oldest_job_of_any_hot_class_comes_first() {
        let mut queue = Queue::default();
        queue.insert(spot(2, 0), &Placement::default());
        queue.insert(spot(1, 5), &pinned("alice"));
        queue.insert(spot(1, 3), &pinned("alice"));
        assert_eq!(queue.take_hot(), Some((spot(1, 3), pinned("alice"))));
        assert_eq!(queue.take_hot(), Some((spot(2, 0), Placement::default())));
        assert_eq!(queue.take_hot(), None);
    }

    #[test]
    fn a_cold_class_is_hot_again_when_its_worker_has_a_slot() {
        let mut queue = Queue::default();
        queue.insert(spot(1, 0), &pinned("alice"));
        queue.insert(spot(1, 1), &pinned("bob"));
        while queue.take_hot().is_some() {}
        queue.heat_for(&WorkerId::new("bob").unwrap(), &BTreeMap::new());
        assert_eq!(queue.take_hot(), Some((spot(1, 1), pinned("bob"))));
        assert_eq!(queue.take_hot(), None);
    }

    #[test]
    fn a_parked_task_returns_with_news_of_its_worker() {
        let alice = WorkerId::new("alice").unwrap();
        let mut queue = Queue::default();
        queue.insert(spot(1, 0), &Placement::default());
        queue.park(spot(1, 0), &alice);
        assert_eq!(queue.parked_on(&spot(1, 0)), Some(&alice));
        assert_eq!(queue.take_hot(), None);
        assert_eq!(queue.unpark(&alice), BTreeSet::from([spot(1, 0)]));
        assert_eq!(queue.parked_on(&spot(1, 0)), None);
    }
}
