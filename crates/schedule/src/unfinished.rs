//! What a job that is out of time was still waiting for, in words.

use votum_job::Failure;

use crate::{
    Attempt, Outcome,
    active_job::{ActiveJob, Blame, TaskState},
};

impl ActiveJob {
    /// Says that a job is out of time, and what was still under way.
    pub(crate) fn out_of_time(&self) -> Blame {
        let (staged, tasks) = (self.staged, self.tasks.len());
        let from = if self.since == Some(self.received) { "its receipt" } else { "taking its key" };
        let mut message = format!(
            "the job was not decided within {:?} of {from}; {staged} of {tasks} tasks were staged",
            self.spec.timeout
        );
        let unfinished: Vec<String> =
            (0..tasks).filter_map(|position| unfinished(self, position)).collect();
        for told in unfinished.iter().take(TOLD_MAX) {
            message.push_str(&format!("; {told}"));
        }
        if unfinished.len() > TOLD_MAX {
            message.push_str(&format!("; and {} more", unfinished.len() - TOLD_MAX));
        }
        Blame { reason: "DEADLINE_EXCEEDED".into(), message }
    }
}

/// Says where a task stands that was begun, and why its last attempt failed, if one did.
fn unfinished(job: &ActiveJob, position: usize) -> Option<String> {
    let name = job.graph.name(position);
    let attempts = &job.tasks[position].attempts;
    let last = attempts.last()?;
    let stands = match &job.tasks[position].state {
        TaskState::Live if last.started.is_some() => format!("{name} runs on {}", last.worker),
        TaskState::Live => format!("{name} is starting on {}", last.worker),
        TaskState::Pending | TaskState::Retrying(_) => format!("{name} waits for another attempt"),
        TaskState::Staged | TaskState::Failed(_) => return None,
    };
    Some(format!("{stands}{}", after_failure(attempts)))
}

/// Says in brackets which attempt failed last and why; nothing if none did.
pub(crate) fn after_failure(attempts: &[Attempt]) -> String {
    let failed = attempts.iter().rev().find_map(|attempt| Some((attempt, failure(attempt)?)));
    failed.map_or_else(String::new, |(attempt, failure)| {
        format!(" (attempt {} failed: {})", attempt.number, failure.message)
    })
}

fn failure(attempt: &Attempt) -> Option<&Failure> {
    match &attempt.outcome {
        Outcome::Failed { failure, .. } => Some(failure),
        Outcome::Live | Outcome::Sealed { .. } | Outcome::Lost | Outcome::Superseded => None,
    }
}

/// Most tasks that one sentence tells of.
const TOLD_MAX: usize = 3;
