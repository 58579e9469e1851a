//! Why a task does not run: one sentence for the person who asks.

use std::{fmt, time::Duration};

use votum_ids::{TaskId, WorkerId};
use votum_job::Placement;
use votum_machine::Moment;

use crate::{
    Scheduler, TaskStanding, WorkerState,
    active_job::{ActiveJob, TaskState, Tie},
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
            TaskStanding::Ready if !job.holds.is_empty() => Some("the job is paused".to_owned()),
            TaskStanding::Ready => Some(self.why_unplaced(job, position)),
            TaskStanding::Starting | TaskStanding::Running => self.why_unheard(now, job, position),
            TaskStanding::Staged => self.why_uncopied(job, position),
            TaskStanding::Failed | TaskStanding::Cancelled => None,
        }
    }

    /// Says since when nobody can hear a live attempt, or why it is not placed elsewhere.
    fn why_unheard(&self, now: Moment, job: &ActiveJob, position: usize) -> Option<String> {
        let name = &job.live_attempt(position)?.worker;
        let worker = self.roster.get(name)?;
        let silent = match now.since(worker.heard).as_secs() {
            0 => String::new(),
            seconds => format!(" (silent for {seconds} s)"),
        };
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

    fn why_unplaced(&self, job: &ActiveJob, task: usize) -> String {
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
            Some(name) => self.why_not_on(name, placement),
            None => self.why_nowhere(placement),
        }
    }

    fn why_not_on(&self, name: &WorkerId, placement: &Placement) -> String {
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
        match state(worker) {
            WorkerState::Absent | WorkerState::Lost => {
                format!("no worker named {name} is connected")
            }
            WorkerState::Draining | WorkerState::Drained => format!("worker {name} is drained"),
            WorkerState::Reconciling => format!("worker {name} is being reconciled"),
            WorkerState::Suspect => format!("worker {name} has been silent for too long"),
            WorkerState::Ready if worker.free_slots() > 0 => "is placed next".to_owned(),
            WorkerState::Ready => busy(worker.registration.slots, name),
        }
    }

    fn why_nowhere(&self, placement: &Placement) -> String {
        let matching = self.roster.iter().filter(|(_, worker)| worker.matches(placement));
        let open: Vec<&Worker> =
            matching.map(|(_, worker)| worker).filter(|worker| worker.is_open()).collect();
        let with = if placement.labels.is_empty() {
            String::new()
        } else {
            format!(" with {}", Labels(placement))
        };
        if open.is_empty() {
            let drained = |(_, worker): (&WorkerId, &Worker)| {
                worker.matches(placement) && state(worker) == WorkerState::Draining
            };
            if self.roster.iter().any(drained) {
                return format!("every connected worker{with} is drained");
            }
            return format!("no worker{with} is connected");
        }
        if open.iter().any(|worker| worker.free_slots() > 0) {
            return "is placed next".to_owned();
        }
        let slots: u32 = open.iter().map(|worker| worker.registration.slots).sum();
        match open.len() {
            1 => busy(slots, format_args!("the only connected worker{with}")),
            workers => busy(slots, format_args!("the {workers} connected workers{with}")),
        }
    }
}

fn busy(slots: u32, of: impl fmt::Display) -> String {
    match slots {
        1 => format!("the only slot of {of} is busy"),
        slots => format!("all {slots} slots of {of} are busy"),
    }
}

/// A few names, and how many more there are.
struct Listed<'a>(Vec<&'a TaskId>);

impl fmt::Display for Listed<'_> {
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
