//! Chooses a worker for a ready task: its inputs' largest holder, else the freest that matches.

use std::collections::BTreeMap;

use votum_ids::{AttemptId, WorkerId};
use votum_job::{Assignment, InputSource, InputSpec, ResolvedInput, Role};
use votum_machine::Moment;

use crate::{
    Action, Outcome, Record, Scheduler, active_job::ActiveJob, agenda::Due, queue::Spot,
    scheduler::Reaction,
};

/// Where a ready task can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// To this worker, at once.
    Worker(WorkerId),
    /// Nowhere before there is news of this worker.
    AwaitNews(WorkerId),
    /// Nowhere before some worker has a free slot.
    NoSlot,
}

impl Scheduler {
    /// Places one task, the oldest job's first.
    pub(crate) fn place(&mut self, now: Moment) -> Reaction {
        let Some((spot, placement)) = self.queue.take_hot() else { return Reaction::none() };
        match self.choose(&spot) {
            // Nobody in the class can go where this task cannot: it stays cold.
            Choice::NoSlot => Reaction::none(),
            Choice::AwaitNews(worker) => {
                self.queue.park(spot, &worker);
                self.queue.heat(&placement);
                Reaction::none()
            }
            Choice::Worker(worker) => {
                self.queue.remove(&spot);
                self.queue.heat(&placement);
                self.assign(now, &spot, worker)
            }
        }
    }

    fn assign(&mut self, now: Moment, spot: &Spot, worker: WorkerId) -> Reaction {
        let (Some(job), Some(known)) = (self.jobs.get(&spot.job), self.roster.get(&worker)) else {
            return Reaction::none();
        };
        let task = job.graph.name(spot.task).clone();
        let uid = known.registration.uid;
        let number = u32::try_from(job.tasks[spot.task].attempts.len()).unwrap_or(u32::MAX - 1) + 1;
        let exclusive = job.task_spec(spot.task).acts_outside();
        let attempt = AttemptId { job: spot.job.clone(), task, token: self.next_token() };
        let record = Record::Assigned { attempt: attempt.clone(), number, worker, uid, exclusive };
        let reaction = self.record(now, record);
        match self.assignment(now, &attempt) {
            Some(assignment) => reaction.then(Action::Start(Box::new(assignment))),
            None => reaction,
        }
    }

    pub(crate) fn choose(&self, spot: &Spot) -> Choice {
        let Some(job) = self.jobs.get(&spot.job) else { return Choice::NoSlot };
        let placement = &job.task_spec(spot.task).placement;
        let held = match self.takeover(job, spot.task) {
            Some(kept) if kept.outputs.is_empty() => BTreeMap::new(),
            Some(kept) => {
                BTreeMap::from([(&kept.worker, kept.outputs.iter().map(|o| o.bytes).sum())])
            }
            None => self.input_bytes(job, spot.task),
        };
        let ready = |worker: &WorkerId| self.roster.get(worker).is_some_and(|w| w.is_ready());
        if let Some(absent) = held.keys().find(|worker| !ready(worker)) {
            return Choice::AwaitNews((*absent).clone());
        }
        let eligible = |name: &WorkerId| {
            self.roster.get(name).is_some_and(|worker| {
                worker.is_open() && worker.free_slots() > 0 && worker.matches(placement)
            })
        };
        if let Some(pinned) = &placement.worker {
            return if eligible(pinned) { Choice::Worker(pinned.clone()) } else { Choice::NoSlot };
        }
        // The log may have lost the last assignments before a restart; whoever could
        // have got this one is asked first (R4).
        if job.inherited
            && let Some(worker) = self.roster.unsettled(placement)
        {
            return Choice::AwaitNews(worker.clone());
        }
        if let Some(choice) = self.at_checkpoint(job, spot.task, &eligible) {
            return choice;
        }
        let last = job.tasks[spot.task].attempts.last();
        let failed = last.filter(|attempt| matches!(attempt.outcome, Outcome::Failed { .. }));
        let failed_on = failed.map(|attempt| &attempt.worker);
        let nearest = held
            .iter()
            .filter(|(worker, bytes)| {
                **bytes > 0 && eligible(worker) && failed_on != Some(**worker)
            })
            .max_by(|(a, a_bytes), (b, b_bytes)| a_bytes.cmp(b_bytes).then(b.cmp(a)))
            .map(|(worker, _)| *worker);
        let chosen = nearest.or_else(|| self.roster.freest(placement, failed_on));
        chosen.map_or(Choice::NoSlot, |worker| Choice::Worker(worker.clone()))
    }

    /// Adds up, for each worker, the bytes of the task's inputs that it holds.
    fn input_bytes<'a>(&self, job: &'a ActiveJob, task: usize) -> BTreeMap<&'a WorkerId, u64> {
        let mut held = BTreeMap::new();
        for input in job.task_spec(task).inputs.values() {
            let InputSpec::TaskOutput { task, output } = input else { continue };
            let Some(source) = job.graph.position(task) else { continue };
            let Some(attempt) = job.held_attempt(source) else { continue };
            if let Some(sealed) = attempt.held_outputs().iter().find(|o| o.name == *output) {
                *held.entry(&attempt.worker).or_insert(0) += sealed.bytes;
            }
        }
        held
    }

    /// Spells out the order to run the live attempt of a task; none if an input is gone.
    pub(crate) fn assignment(&self, now: Moment, id: &AttemptId) -> Option<Assignment> {
        let job = self.jobs.get(&id.job)?;
        let task = job.graph.position(&id.task)?;
        let attempt = job.live_attempt(task).filter(|attempt| attempt.id == *id)?;
        let spec = job.task_spec(task);
        let mut inputs = Vec::with_capacity(spec.inputs.len());
        for (name, input) in &spec.inputs {
            let source = match input {
                InputSpec::WorkerPath(path) => Some(InputSource::WorkerPath(path.clone())),
                InputSpec::TaskOutput { task, output } => {
                    let held = job.held_attempt(job.graph.position(task)?)?;
                    let address = &self.roster.get(&held.worker)?.registration.artifact_address;
                    let sealed = held.held_outputs().iter().find(|sealed| sealed.name == *output);
                    sealed.map(|sealed| InputSource::Staged {
                        holder: held.worker.clone(),
                        address: address.clone(),
                        attempt: held.id.clone(),
                        output: output.clone(),
                        digest: sealed.digest,
                        bytes: sealed.bytes,
                        read_token: sealed.read_token.clone(),
                    })
                }
            };
            // An optional output that was not made is an input that is not there.
            inputs.extend(source.map(|source| ResolvedInput { name: name.clone(), source }));
        }
        let deadline = self.agenda.moment(&Due::Deadline(id.job.clone()));
        let rest = deadline.map_or(spec.timeout, |deadline| deadline.since(now));
        let assignment = Assignment {
            attempt: attempt.id.clone(),
            number: attempt.number,
            worker: attempt.worker.clone(),
            job_name: job.spec.display_name.clone(),
            spec: spec.clone(),
            job_env: job.spec.env.clone(),
            params: job.spec.params.clone(),
            inputs,
            time_limit: spec.timeout.min(rest),
            resume: self.resume_points(job, task),
            role: Role::Task,
        };
        match self.takeover(job, task) {
            Some(kept) => self.take_over(kept, assignment),
            None => Some(assignment),
        }
    }
}
