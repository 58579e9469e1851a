//! What people do with a job: hand it in, follow it, mend what it waits for, cancel it, rescue it.

use std::{fs, path::Path, path::PathBuf};

use votum_client::{Client, ClientError};
use votum_ids::JobId;
use votum_tests::request;
use votum_wire::{
    JobState, JobView, PauseOrigin, Reason, TaskState, hold::RetryJob, request::SubmitJob,
    rescue::RescueJob,
};

use super::flavour::Flavour;

/// Hands a job in and follows it to its end, however long the coordinator is away; then the job
/// that takes over what it staged, if there is to be one.
pub(crate) async fn play(
    client: Client,
    submission: SubmitJob,
    flavour: Flavour,
    gate: PathBuf,
) -> Vec<JobView> {
    let job = loop {
        match client.submit(&submission).await {
            Ok(submitted) => break submitted.job.expect("it was not only validated").job,
            Err(error) => is_passing(&error)
                .unwrap_or_else(|| panic!("{:?} is refused: {error:?}", submission.job)),
        }
    };
    let view = follow(&client, &job, flavour, &gate).await;
    if flavour != Flavour::Rescued || view.state != JobState::Aborted {
        return vec![view];
    }
    mend(&gate);
    match rescue(&client, &job).await {
        Some(rescuer) => {
            let end = follow(&client, &rescuer, flavour, &gate).await;
            // What it kept may have changed, and how it ended may not.
            vec![view, end]
        }
        None => vec![view],
    }
}

/// Cancels a job, unless it is too late or too early for it.
pub(crate) async fn cancel(client: Client, job: JobId) {
    match client.cancel(&job, "chaos").await {
        // It was decided or rescued before, or not received yet, or nobody is there to hear it.
        Ok(_) | Err(ClientError::Unavailable { .. } | ClientError::TimedOut { .. }) => {}
        Err(ClientError::Refused(problem))
            if [Reason::AlreadyDecided, Reason::AlreadyRescued, Reason::JobNotFound]
                .contains(&problem.reason) => {}
        Err(error) => panic!("{job}: {error}: {error:?}"),
    }
}

async fn follow(client: &Client, job: &JobId, flavour: Flavour, gate: &Path) -> JobView {
    let mut watch = client.watch(job);
    loop {
        match watch.next().await {
            Some(Ok(view)) if view.state.is_final() => return view,
            Some(Ok(view)) => attend(client, &view, flavour, gate).await,
            Some(Err(error)) => {
                is_passing(&error).unwrap_or_else(|| panic!("{job} cannot be followed: {error:?}"))
            }
            None => panic!("{job} cannot be followed to its end"),
        }
    }
}

/// Does what the job waits for, if it is a person's.
async fn attend(client: &Client, view: &JobView, flavour: Flavour, gate: &Path) {
    let exhausted = view.pause.as_ref().is_some_and(|pause| pause.origin == PauseOrigin::Exhausted);
    let waits = view.tasks.iter().any(|task| task.state == TaskState::Retrying);
    if exhausted {
        mend(gate);
    } else if !(flavour == Flavour::Patient && waits) {
        return;
    }
    let wish = RetryJob { job: view.job.clone(), task: None };
    loop {
        match client.retry(&wish).await {
            Ok(_) => return,
            Err(ClientError::Refused(problem)) if LATE.contains(&problem.reason) => return,
            Err(error) => is_passing(&error)
                .unwrap_or_else(|| panic!("{} is not tried again: {error:?}", view.job)),
        }
    }
}

/// Asks for the job that takes over; there is none if nothing is kept.
async fn rescue(client: &Client, job: &JobId) -> Option<JobId> {
    let wish = RescueJob { job: job.clone(), request: Some(request()), validate_only: false };
    loop {
        match client.rescue(&wish).await {
            Ok(rescued) => return Some(rescued.job.expect("it was not only validated").job),
            Err(ClientError::Refused(problem)) if problem.reason == Reason::NothingKept => {
                return None;
            }
            Err(error) => {
                is_passing(&error).unwrap_or_else(|| panic!("{job} is not rescued: {error:?}"));
            }
        }
    }
}

fn mend(gate: &Path) {
    fs::write(gate, "").expect("the folder of runs is there");
}

/// Says whether an error goes away by itself.
fn is_passing(error: &ClientError) -> Option<()> {
    matches!(error, ClientError::Unavailable { .. } | ClientError::TimedOut { .. }).then_some(())
}

/// The answer to an earlier try was lost, or the job went on meanwhile.
const LATE: [Reason; 3] = [Reason::NothingToRetry, Reason::AlreadyDecided, Reason::NotPaused];
