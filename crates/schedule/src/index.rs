//! Keeps queues, deadlines and the roster in step with what the records say.

use votum_ids::{JobId, WorkerId};
use votum_machine::{Moment, WallTime};

use crate::{
    Scheduler,
    active_job::{Phase, TaskState},
    agenda::{Agenda, Due},
    approval::Clock,
    queue::{Queue, Spot},
    roster::Seat,
};

impl Scheduler {
    /// Turns what was replayed into deadlines and queues: every lease begins anew (R2, V5).
    pub(crate) fn begin(&mut self, now: Moment) {
        self.begun = true;
        self.last_step = now;
        self.queue = Queue::default();
        self.agenda = Agenda::default();
        // A wall clock that went back makes the rest of every deadline start anew.
        let wall = self.anchor.at(now).max(self.last_recorded);
        let workers: Vec<WorkerId> = self.roster.present().map(|(name, _)| name.clone()).collect();
        for worker in workers {
            self.roster.change(&worker, |worker| {
                worker.heard = now;
                worker.installed = now;
                worker.unsettled = true;
            });
            self.arm_drain(now, &worker);
            self.agenda.set(Due::Silence(worker), now.after(self.config.suspicion()));
        }
        let mut jobs: Vec<(WallTime, JobId, usize)> =
            self.jobs.iter().map(|(id, job)| (job.received, id.clone(), job.tasks.len())).collect();
        jobs.sort();
        for (_, job, tasks) in jobs {
            self.age += 1;
            if let Some(active) = self.jobs.get_mut(&job) {
                active.age = self.age;
            }
            self.arm_deadline(now, wall, &job);
            // Until the workers are back nobody could answer.
            self.arm_dry_vote(now.after(self.config.lease), &job);
            for task in 0..tasks {
                self.reindex(now, wall, &job, task);
                if self.wants_replica(&job, task) {
                    self.agenda.set(Due::Replication(job.clone(), task), now);
                }
            }
            self.reports.insert(job);
        }
        self.take_up_lines();
        let changed_hands: Vec<(WorkerId, JobId)> = self
            .roster
            .iter()
            .flat_map(|(name, worker)| worker.jobs().into_iter().map(|job| (name.clone(), job)))
            .collect();
        self.reckonings.extend(changed_hands);
    }

    pub(crate) fn arm_deadline(&mut self, now: Moment, wall: WallTime, id: &JobId) {
        let Some(job) = self.jobs.get(id) else { return };
        let Some(since) = job.since else { return };
        let (clock, due, end) = match job.clock() {
            clock @ Clock::Work => {
                (clock, Due::Deadline(id.clone()), since.after(job.spec.timeout))
            }
            clock @ Clock::Person { expires } => (clock, Due::Approval(id.clone()), expires),
            clock @ Clock::Overtime => {
                (clock, Due::Deadline(id.clone()), since.after(job.spec.time_in_all()))
            }
        };
        self.agenda.clear(&Due::Deadline(id.clone()));
        self.agenda.clear(&Due::Approval(id.clone()));
        self.agenda.set(due, now.after(end.since(wall)));
        if let Some(job) = self.jobs.get_mut(id) {
            job.approval.clock = Some(clock);
        }
    }

    /// Brings queues, deadlines and the roster in step with the state of one task.
    pub(crate) fn reindex(&mut self, now: Moment, wall: WallTime, id: &JobId, task: usize) {
        let Some(job) = self.jobs.get(id) else { return };
        let spot = Spot { age: job.age, job: id.clone(), task };
        let adoptable = job.is_ready(task) && job.orphans.contains_key(&task);
        if job.is_placeable(task) && !adoptable {
            self.queue.insert(spot, &job.task_spec(task).placement);
        } else {
            self.queue.remove(&spot);
        }
        if adoptable {
            self.adoptions.insert((id.clone(), task));
        } else {
            self.adoptions.remove(&(id.clone(), task));
        }
        let retry = match &job.tasks[task].state {
            TaskState::Retrying(until) => Some(*until),
            TaskState::Pending | TaskState::Live | TaskState::Staged | TaskState::Failed(_) => None,
        };
        let spec = job.task_spec(task);
        let limit = spec.timeout.saturating_add(spec.grace_period);
        let started = job.live_attempt(task).and_then(|attempt| attempt.started);
        let overrun = started.map(|started| started.after(limit));
        let live = job.live_attempt(task).map(|attempt| Seat::Live(attempt.worker.clone()));
        let held = || job.held_attempt(task).map(|attempt| Seat::Held(attempt.worker.clone()));
        let seat = live.or_else(held);
        let copying = Due::Copying(id.clone(), task);
        let wants_copy = job.phase == Phase::Running && job.lacks_replicas(task) > 0;
        let holders = job.tasks[task].replicas.keys().cloned().collect();
        self.arm(now, wall, Due::Retry(id.clone(), task), retry);
        self.arm(now, wall, Due::Overrun(id.clone(), task), overrun);
        if !wants_copy {
            self.agenda.clear(&copying);
        } else if self.agenda.moment(&copying).is_none() {
            self.agenda.set(copying, now);
        }
        self.roster.seat_replicas((id.clone(), task), holders);
        self.seat(id, task, seat);
    }

    /// Sets a deadline unless it is set already; the first setting knows the clock it came from.
    fn arm(&mut self, now: Moment, wall: WallTime, due: Due, at: Option<WallTime>) {
        match at {
            None => self.agenda.clear(&due),
            Some(at) if self.agenda.moment(&due).is_none() => {
                self.agenda.set(due, now.after(at.since(wall)));
            }
            Some(_) => {}
        }
    }

    pub(crate) fn seat(&mut self, id: &JobId, task: usize, seat: Option<Seat>) {
        if let Some(freed) = self.roster.seat((id.clone(), task), seat) {
            self.heat_for(&freed);
        }
    }

    /// Looks again at what could run on a worker that has a free slot.
    pub(crate) fn heat_for(&mut self, worker: &WorkerId) {
        if let Some(known) = self.roster.get(worker)
            && known.is_open()
            && known.free_slots() > 0
        {
            self.queue.heat_for(worker, &known.registration.labels);
        }
    }
}
