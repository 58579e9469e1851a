//! Why a task does not run: one sentence for the person who asks.

use std::{fmt, time::Duration};

use votum_ids::{JobId, WorkerId};
use votum_job::Placement;
use votum_machine::Moment;

use crate::{
    Scheduler, TaskStanding, WorkerState,
    active_job::{ActiveJob, Phase, TaskState, Tie},
    queue::Spot,
    roster::Worker,
    unfinished::after_failure,
    view::state,
};

impl Scheduler {
    pub(crate) fn why_waiting(
        &self,
        now: Moment,
        job: &ActiveJob,
        position: usize,
        state: TaskStanding,
        retry_at: Option<Moment>,
    ) -> Option<String> {
        match state {
            TaskStanding::Waiting => {
                let open = job.graph.predecessors(position).iter().copied();
                let open = open.filter(|&before| job.tasks[before].state != TaskState::Staged);
                Some(format!("waits for {}", Listed(open.map(|at| job.graph.name(at)).collect())))
            }
            TaskStanding::Retrying => {
                let rest = retry_at.map_or(Duration::ZERO, |at| at.since(now));
                let rest = rest.as_millis().div_ceil(1000);
                Some(format!("retries in {rest} s{}", after_failure(&job.tasks[position].attempts)))
            }
            TaskStanding::Ready if job.since.is_none() => {
                Some("the job waits for its concurrency key".to_owned())
            }
            TaskStanding::Ready if !job.holds.is_empty() => Some("the job is paused".to_owned()),
            TaskStanding::Ready => Some(self.why_unplaced(now, job, position)),
            TaskStanding::Starting | TaskStanding::Running => self.why_unheard(now, job, position),
            TaskStanding::Staged => {
                let unheld = self.why_unheld(now, job, position);
                unheld.or_else(|| self.why_uncopied(job, position))
            }
            TaskStanding::Failed | TaskStanding::Cancelled => None,
        }
    }

    /// Says since when nobody can hear a live attempt, or why it is not placed elsewhere.
    fn why_unheard(&self, now: Moment, job: &ActiveJob, position: usize) -> Option<String> {
        let name = &job.live_attempt(position)?.worker;
        let worker = self.roster.get(name)?;
        let silent = silence(now, worker);
        match state(worker) {
            WorkerState::Ready
            | WorkerState::Draining
            | WorkerState::Drained
            | WorkerState::Reconciling => return None,
            WorkerState::Suspect => {
                return Some(format!("worker {name} is suspect{silent}"));
            }
            WorkerState::Absent => {
                return Some(format!("worker {name} is not connected{silent}"));
            }
            WorkerState::Lost => {}
        }
        Some(match job.tie(position)? {
            Tie::Pinned => format!("worker {name} is lost, and the task is pinned to it"),
            Tie::Exclusive => format!(
                "worker {name} is lost and may still run this exclusive task; \
                 waits for its return or removal"
            ),
        })
    }

    /// Says that nobody can hear who alone holds what is staged of a task.
    fn why_unheld(&self, now: Moment, job: &ActiveJob, position: usize) -> Option<String> {
        let attempt = job.held_attempt(position).filter(|it| !it.held_outputs().is_empty())?;
        let away = |worker: &Worker| match state(worker) {
            WorkerState::Suspect => Some("is suspect"),
            WorkerState::Absent => Some("is not connected"),
            WorkerState::Lost => Some("is lost"),
            WorkerState::Ready
            | WorkerState::Draining
            | WorkerState::Drained
            | WorkerState::Reconciling => None,
        };
        let worker = self.roster.get(&attempt.worker)?;
        let how = away(worker).filter(|_| job.phase == Phase::Running)?;
        let copy = |name: &WorkerId| self.roster.get(name).is_some_and(Worker::is_ready);
        let copied = job.tasks[position].replicas.keys().any(copy);
        let (name, silent) = (&attempt.worker, silence(now, worker));
        let outputs = format!("its outputs lie on worker {name}, which {how}{silent}");
        (!copied).then_some(outputs)
    }

    fn why_unplaced(&self, now: Moment, job: &ActiveJob, task: usize) -> String {
        let spot = Spot { age: job.age, job: job.id.clone(), task };
        if let Some(worker) = self.queue.parked_on(&spot) {
            let holds = self.roster.get(worker).is_some_and(|worker| !worker.unsettled);
            let saved = job.tasks[task].last_checkpoint();
            let saved = saved.is_some_and(|known| known.holders.contains_key(worker));
            return if holds && saved {
                format!("waits for worker {worker}, which holds a checkpoint, to come back")
            } else if holds {
                format!("waits for worker {worker}, which holds an input, to come back")
            } else {
                format!("waits for worker {worker} to come back and say what it runs")
            };
        }
        let placement = &job.task_spec(task).placement;
        match &placement.worker {
            Some(name) => self.why_not_on(now, name, placement),
            None => self.why_nowhere(placement),
        }
    }

    fn why_not_on(&self, now: Moment, name: &WorkerId, placement: &Placement) -> String {
        let Some(worker) = self.roster.get(name).filter(|worker| !worker.is_removed()) else {
            return if self.is_removed_worker(name) {
                format!("worker {name} was deleted, and no other has its name")
            } else {
                format!("no worker named {name} is known")
            };
        };
        if !worker.matches(placement) {
            return format!("worker {name} does not have the labels {}", Labels(placement));
        }
        let silent = silence(now, worker);
        let pinned = format!("it is pinned to worker {name}, which");
        match state(worker) {
            WorkerState::Absent => format!("{pinned} is not connected{silent}"),
            WorkerState::Lost => format!("{pinned} is lost{silent}"),
            WorkerState::Draining | WorkerState::Drained => {
                format!("{pinned} is drained{}", drained_by(worker))
            }
            WorkerState::Reconciling => format!("worker {name} is being reconciled"),
            WorkerState::Suspect => format!("{pinned} is suspect{silent}"),
            WorkerState::Ready if worker.free_slots() > 0 => "is placed next".to_owned(),
            WorkerState::Ready => self.busy(&[worker], format_args!("worker {name}")),
        }
    }

    fn why_nowhere(&self, placement: &Placement) -> String {
        let matching = self.roster.present().filter(|(_, worker)| worker.matches(placement));
        let matching: Vec<(&WorkerId, &Worker)> = matching.collect();
        if matching.is_empty() {
            return self.unmatched(placement);
        }
        let with = if placement.labels.is_empty() {
            String::new()
        } else {
            format!(" with {}", Labels(placement))
        };
        let open = matching.iter().map(|(_, worker)| *worker).filter(|worker| worker.is_open());
        let open: Vec<&Worker> = open.collect();
        if open.is_empty() {
            let away = matching.iter().map(|(name, worker)| format!("{name} {}", absence(worker)));
            return format!("no worker{with} can take it: {}", Listed(away.collect()));
        }
        if open.iter().any(|worker| worker.free_slots() > 0) {
            return "is placed next".to_owned();
        }
        match open.len() {
            1 => self.busy(&open, format_args!("the only connected worker{with}")),
            workers => self.busy(&open, format_args!("the {workers} connected workers{with}")),
        }
    }

    /// Says which of the labels no worker has, connected or not.
    fn unmatched(&self, placement: &Placement) -> String {
        if self.roster.present().next().is_none() {
            return "no worker is connected".to_owned();
        }
        let is_there = |(key, value): &(&String, &String)| {
            let has = |(_, worker): (&WorkerId, &Worker)| {
                worker.registration.labels.get(*key) == Some(*value)
            };
            self.roster.present().any(has)
        };
        let lacking = placement.labels.iter().filter(|label| !is_there(label));
        let lacking: Vec<String> = lacking.map(|(key, value)| format!("{key}={value}")).collect();
        match lacking.as_slice() {
            [] => format!("no worker has all of the labels {}", Labels(placement)),
            [one] => format!("no worker has the label {one}"),
            [..] => format!("no worker has the labels {}", Listed(lacking)),
        }
    }

    /// Says that no slot of some workers is free, and what takes them.
    fn busy(&self, workers: &[&Worker], of: impl fmt::Display) -> String {
        let live = workers.iter().flat_map(|worker| &worker.live);
        let name = |(job, task): &(JobId, usize)| {
            let known = self.jobs.get(job)?;
            Some(format!("{job}/{}", known.graph.name(*task)))
        };
        let with = match Listed(live.filter_map(name).collect()) {
            Listed(names) if names.is_empty() => String::new(),
            names => format!(" with {names}"),
        };
        match workers.iter().map(|worker| worker.registration.slots).sum() {
            1_u32 => format!("the only slot of {of} is busy{with}"),
            slots => format!("all {slots} slots of {of} are busy{with}"),
        }
    }
}

/// Says how long nothing was heard of a worker.
fn silence(now: Moment, worker: &Worker) -> String {
    match now.since(worker.heard).as_secs() {
        0 => String::new(),
        seconds => format!(" (silent for {seconds} s)"),
    }
}

/// Says why a worker takes nothing.
fn absence(worker: &Worker) -> String {
    match state(worker) {
        WorkerState::Absent => "is not connected".to_owned(),
        WorkerState::Lost => "is lost".to_owned(),
        WorkerState::Suspect => "is suspect".to_owned(),
        WorkerState::Reconciling => "is being reconciled".to_owned(),
        WorkerState::Draining | WorkerState::Drained | WorkerState::Ready => {
            format!("is drained{}", drained_by(worker))
        }
    }
}

/// Says who has drained a worker, and why.
fn drained_by(worker: &Worker) -> String {
    let Some(drain) = &worker.orders.drain else { return String::new() };
    let why = if drain.reason.is_empty() { String::new() } else { format!(": {}", drain.reason) };
    if drain.by.is_empty() { why } else { format!(" by {}{why}", drain.by) }
}

/// A few names, and how many more there are.
struct Listed<T>(Vec<T>);

impl<T: fmt::Display> fmt::Display for Listed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().take(NAMES_SHOWN_MAX).enumerate() {
            let separator = if at > 0 { ", " } else { "" };
            write!(f, "{separator}{name}")?;
        }
        match self.0.len().saturating_sub(NAMES_SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

struct Labels<'a>(&'a Placement);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.0.labels.iter().enumerate() {
            let separator = if at > 0 { ", " } else { "" };
            write!(f, "{separator}{name}={value}")?;
        }
        Ok(())
    }
}

/// So many names stand in a sentence.
const NAMES_SHOWN_MAX: usize = 3;
