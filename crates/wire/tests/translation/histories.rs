//! Samples of what is told of a job's history, and of changes in the list of jobs.

use votum_machine::WallTime;
use votum_wire::{
    history::{EventPage, EventView},
    listing::{DeleteJob, ListChange},
};

use crate::samples::{Sample, job, job_id, sample, task_id, worker_id};

/// Returns a value of each.
pub(crate) fn samples() -> Vec<Sample> {
    let event = EventView {
        id: 7,
        lsn: 41,
        at: WallTime(1_700_000_000_123),
        kind: "assigned".to_owned(),
        text: "attempt 2 was given to s1".to_owned(),
        task: Some(task_id()),
        attempt: Some(2),
        worker: Some(worker_id()),
        by: "ana".to_owned(),
        forced: true,
        epoch: 3,
    };
    let bare = EventView { task: None, attempt: None, worker: None, ..event.clone() };
    vec![
        sample(event.clone()),
        sample(EventPage { events: vec![event, bare], next: Some("t".to_owned()) }),
        sample(DeleteJob { job: job_id() }),
        sample(ListChange::Job(Box::new(job().basic()))),
        sample(ListChange::Deleted(job_id())),
        sample(ListChange::Missed),
    ]
}
