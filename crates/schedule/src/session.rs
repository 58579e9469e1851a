//! What workers do as such: they join, list what they have, speak, fall silent and are lost.

use std::collections::BTreeSet;

use votum_ids::{AttemptId, Incarnation, WorkerId};
use votum_job::{AttemptState, Comeback, ListedAttempt};
use votum_machine::Moment;

use crate::{
    Action, Admission, Record, Registration, Scheduler,
    active_job::Phase,
    agenda::Due,
    reports::Standing,
    rerun::OUTDATED,
    roster::{Liveness, Session, Worker},
    scheduler::Reaction,
};

impl Scheduler {
    /// Opens a session; until its inventory ended, nothing is placed there (R4).
    pub(crate) fn join(&mut self, now: Moment, registration: Registration) -> Reaction {
        let name = registration.worker.clone();
        let incarnation = registration.incarnation;
        if let Admission::Removed(_) = self.admission(&name, registration.uid) {
            return Reaction::none();
        }
        let known = self.roster.get(&name).map(|worker| worker.registration.clone());
        let same = known.as_ref().is_some_and(|known| {
            *known == Registration { incarnation: known.incarnation, ..registration.clone() }
        });
        let installed = known.as_ref().is_none_or(|known| known.uid != registration.uid);
        let mut reaction = if same {
            Reaction::none()
        } else {
            self.record(now, Record::Registered(registration))
        };
        self.drop_orphans_of(now, &name);
        self.roster.change(&name, |worker| {
            worker.session = Session::Reconciling { incarnation, listed: BTreeSet::new() };
            worker.registration.incarnation = incarnation;
            worker.listed_checkpoints.clear();
            worker.liveness = Liveness::Fresh;
            worker.heard = now;
            if installed {
                worker.installed = now;
            }
        });
        self.agenda.set(Due::Silence(name.clone()), now.after(self.config.suspicion()));
        // What another installation had is lost with it; each job is told in its own step.
        let jobs = self.roster.get(&name).map(Worker::jobs).unwrap_or_default();
        self.reckonings.extend(jobs.into_iter().map(|job| (name.clone(), job)));
        reaction.actions.push(Action::WorkerChanged { worker: name });
        reaction
    }

    /// Takes in one line of an inventory.
    pub(crate) fn list(
        &mut self,
        now: Moment,
        worker: &WorkerId,
        listed: ListedAttempt,
    ) -> Reaction {
        let mut actions = self.hear(now, worker, None);
        let ListedAttempt { attempt, number, state } = listed;
        let mut reaction = match state {
            AttemptState::Ended(end) => self.end_numbered(now, worker, attempt, Some(number), end),
            AttemptState::Live => match self.standing(worker, &attempt) {
                Standing::Live => {
                    self.note_listed(worker, &attempt);
                    let stop = self.stop_unwanted(&attempt);
                    Reaction::perform(stop)
                }
                Standing::Unknown { task } => {
                    let state = AttemptState::Live;
                    Reaction::perform(self.find(now, task, worker, attempt, Some(number), state))
                }
                Standing::Copy { task } => {
                    self.note_copying(now, worker, &attempt, task);
                    Reaction::none()
                }
                // The seal was forced before it was reported: this line is older.
                Standing::Sealed | Standing::Replica => {
                    self.note_listed(worker, &attempt);
                    Reaction::none()
                }
                // A process whose end was recorded without it, or that was replaced.
                Standing::Failed | Standing::Fenced => {
                    let reaction = self.note_comeback(now, &attempt, Comeback::Running);
                    reaction.then(Action::Discard { worker: worker.clone(), attempt })
                }
            },
        };
        actions.append(&mut reaction.actions);
        reaction.actions = actions;
        reaction
    }

    /// Ends an inventory: what was not listed is not there (R4).
    pub(crate) fn reconcile(&mut self, now: Moment, name: &WorkerId) -> Reaction {
        let mut actions = self.hear(now, name, None);
        let Some(worker) = self.roster.get(name) else { return Reaction::none() };
        let Session::Reconciling { incarnation, listed } = &worker.session else {
            return Reaction::perform(actions);
        };
        let (incarnation, uid) = (*incarnation, worker.registration.uid);
        let mut missing = BTreeSet::new();
        for (job, task) in worker.live.iter().chain(&worker.held) {
            let Some(active) = self.jobs.get(job) else { continue };
            let attempt = active.live_attempt(*task).or_else(|| {
                active.held_attempt(*task).filter(|attempt| !attempt.held_outputs().is_empty())
            });
            if let Some(attempt) = attempt
                && attempt.uid == uid
                && !listed.contains(&attempt.id)
            {
                missing.insert(attempt.id.clone());
                self.reckonings.insert((name.clone(), job.clone()));
            }
        }
        for (job, task) in &worker.replicas {
            let Some(active) = self.jobs.get(job) else { continue };
            let held = active.held_attempt(*task);
            let known = active.tasks[*task].replicas.get(name);
            if let Some(attempt) = held.filter(|_| known.is_some_and(|known| known.uid == uid))
                && !listed.contains(&attempt.id)
            {
                missing.insert(attempt.id.clone());
                self.reckonings.insert((name.clone(), job.clone()));
            }
        }
        let jobs = worker.jobs();
        self.roster.change(name, |worker| {
            worker.session = Session::Ready { incarnation, missing };
            worker.unsettled = false;
        });
        self.reports.extend(jobs);
        self.reconcile_checkpoints(name);
        self.unpark(now, name);
        self.heat_for(name);
        if self.roster.get(name).is_some_and(|worker| worker.overdue) {
            // The order to stop may have been lost with the session before.
            self.agenda.set(Due::Drained(name.clone()), now);
        }
        actions.push(Action::WorkerChanged { worker: name.clone() });
        Reaction::perform(actions)
    }

    /// Renews a lease.
    pub(crate) fn hear(
        &mut self,
        now: Moment,
        name: &WorkerId,
        free_bytes: Option<u64>,
    ) -> Vec<Action> {
        let Some(worker) = self.roster.get(name) else { return Vec::new() };
        if worker.session == Session::Absent {
            // A straggler of a session that is over.
            return Vec::new();
        }
        let was = worker.liveness;
        self.roster.change(name, |worker| {
            worker.heard = now;
            worker.liveness = Liveness::Fresh;
            worker.free_bytes = free_bytes.unwrap_or(worker.free_bytes);
        });
        if was == Liveness::Fresh {
            return Vec::new();
        }
        self.agenda.set(Due::Silence(name.clone()), now.after(self.config.suspicion()));
        self.reports.extend(self.roster.get(name).map(Worker::jobs).unwrap_or_default());
        self.unpark(now, name);
        self.heat_for(name);
        vec![Action::WorkerChanged { worker: name.clone() }]
    }

    /// Ends a session; the lease runs on.
    pub(crate) fn disconnect(
        &mut self,
        now: Moment,
        name: &WorkerId,
        ended: Incarnation,
    ) -> Reaction {
        let current = match self.roster.get(name).map(|worker| &worker.session) {
            Some(Session::Reconciling { incarnation, .. } | Session::Ready { incarnation, .. }) => {
                *incarnation == ended
            }
            Some(Session::Absent) | None => false,
        };
        if !current {
            return Reaction::none();
        }
        self.drop_orphans_of(now, name);
        self.roster.change(name, |worker| worker.session = Session::Absent);
        Reaction::perform([Action::WorkerChanged { worker: name.clone() }])
    }

    /// Moves a silent worker from fresh to suspect, expired, lost and given up (R2).
    pub(crate) fn count_silence(&mut self, now: Moment, name: WorkerId) -> Vec<Action> {
        let Some(worker) = self.roster.get(&name).filter(|worker| !worker.is_removed()) else {
            return Vec::new();
        };
        let (heard, was) = (worker.heard, worker.liveness);
        let lost_at = heard.after(self.config.lease).after(self.config.stop_grace);
        let given_up_at = heard.after(self.config.lost_after).max(lost_at);
        let suspect_at = heard.after(self.config.suspicion());
        let expired_at = heard.after(self.config.lease);
        let (liveness, next) = if now < suspect_at {
            (Liveness::Fresh, Some(suspect_at))
        } else if now < expired_at {
            (Liveness::Suspect, Some(expired_at))
        } else if now < lost_at {
            (Liveness::Expired, Some(lost_at))
        } else if was < Liveness::Lost || now < given_up_at {
            (Liveness::Lost, Some(given_up_at))
        } else {
            (Liveness::GivenUp, None)
        };
        if let Some(next) = next {
            self.agenda.set(Due::Silence(name.clone()), next);
        }
        if liveness == was {
            return Vec::new();
        }
        self.roster.change(&name, |worker| worker.liveness = liveness);
        if liveness >= Liveness::Lost {
            self.roster.change(&name, |worker| worker.unsettled = false);
            self.drop_orphans_of(now, &name);
            let jobs = self.roster.get(&name).map(Worker::jobs).unwrap_or_default();
            self.reckonings.extend(jobs.into_iter().map(|job| (name.clone(), job)));
            self.unpark(now, &name);
        }
        vec![Action::WorkerChanged { worker: name }]
    }

    /// Begins every lease anew: while nobody listened, silence proves nothing.
    pub(crate) fn renew_leases(&mut self, now: Moment) {
        let names: Vec<WorkerId> = self.roster.present().map(|(name, _)| name.clone()).collect();
        for name in names {
            let lost = self.roster.change(&name, |worker| {
                worker.heard = now;
                if !worker.is_lost() {
                    worker.liveness = Liveness::Fresh;
                }
                worker.is_lost()
            });
            let fresh = self.config.suspicion();
            let wait = if lost == Some(true) { self.config.lost_after } else { fresh };
            self.agenda.set(Due::Silence(name.clone()), now.after(wait));
            self.heat_for(&name);
        }
    }

    /// Lets the tasks that waited for news of a worker look for one again.
    pub(crate) fn unpark(&mut self, now: Moment, name: &WorkerId) {
        for spot in self.queue.unpark(name) {
            self.reindex(now, self.anchor.at(now), &spot.job, spot.task);
        }
    }

    pub(crate) fn drop_orphans_of(&mut self, now: Moment, name: &WorkerId) {
        let orphans = self.roster.change(name, |worker| std::mem::take(&mut worker.orphans));
        for (id, task) in orphans.unwrap_or_default() {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.orphans.remove(&task);
                self.reindex(now, self.anchor.at(now), &id, task);
            }
        }
    }

    /// Notes that the worker has what the log says it has.
    pub(crate) fn note_listed(&mut self, name: &WorkerId, attempt: &AttemptId) {
        self.roster.change(name, |worker| {
            if let Session::Reconciling { listed, .. } = &mut worker.session {
                listed.insert(attempt.clone());
            }
        });
    }

    /// Repeats the order to stop a live attempt that shall not go on.
    fn stop_unwanted(&self, attempt: &AttemptId) -> Option<Action> {
        let job = self.jobs.get(&attempt.job)?;
        let task = job.graph.position(&attempt.task)?;
        match job.phase {
            Phase::Aborting { ref why, .. } => self.stop(&attempt.job, task, why),
            Phase::Running if job.tasks[task].outdated => self.stop(&attempt.job, task, OUTDATED),
            Phase::Running => self.stop_set_aside(&attempt.job, task),
            Phase::Failing(_) | Phase::Committing => None,
        }
    }
}
