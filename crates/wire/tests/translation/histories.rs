//! Samples of what is told of a job's history and outputs, and of changes in the list of jobs.

use votum_machine::WallTime;
use votum_wire::{
    history::{EventPage, EventView},
    listing::{DeleteJob, ListChange},
    output::{
        EntryContent, ListOutputFiles, OutputEntry, OutputFiles, OutputId, OutputPiece, ReadOutput,
        TargetStanding,
    },
};

use crate::samples::{Sample, digest, job, job_id, output_name, sample, task_id, worker_id};

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
    let mut all = of_outputs();
    all.extend([
        sample(event.clone()),
        sample(EventPage { events: vec![event, bare], next: Some("t".to_owned()) }),
        sample(DeleteJob { job: job_id() }),
        sample(ListChange::Job(Box::new(job().basic()))),
        sample(ListChange::Deleted(job_id())),
        sample(ListChange::Missed),
    ]);
    all
}

fn of_outputs() -> Vec<Sample> {
    let output = OutputId { job: job_id(), task: task_id(), output: output_name() };
    let entry = |path: &str, content| OutputEntry { path: path.to_owned(), mode: 0o444, content };
    let file = EntryContent::File { size: 7, digest: digest() };
    let link = EntryContent::Link { target: "a".to_owned() };
    let entries = vec![entry("a", file), entry("b", EntryContent::Directory), entry("c", link)];
    vec![
        sample(ListOutputFiles { output: output.clone(), staged: true }),
        sample(OutputFiles { single_file: true, entries, target: Some(TargetStanding::InPlace) }),
        sample(TargetStanding::Replaced { by: job_id() }),
        sample(TargetStanding::Foreign),
        sample(TargetStanding::Gone),
        sample(ReadOutput {
            output,
            path: "a".to_owned(),
            offset: 3,
            limit: Some(4),
            staged: true,
        }),
        sample(OutputPiece { offset: 3, data: "rows".into() }),
    ]
}
