//! What a job came to, in words and as an exit code.

use std::{collections::BTreeSet, time::Duration};

use votum_ids::WorkerId;
use votum_machine::WallTime;
use votum_wire::view::{JobState, JobView, OutputState, OutputView, TaskView};

use super::{amount, forced};
use crate::exit::Exit;

/// Returns the exit code of a job that has ended, or is held back by a lost worker.
pub(crate) fn exit_of(view: &JobView) -> Exit {
    match view.state {
        JobState::Committed | JobState::Aborted if view.is_mixed() => Exit::Mixed,
        JobState::Committing if view.is_held_back() => Exit::HeldBack,
        JobState::Committed => Exit::Done,
        JobState::Aborted | JobState::Aborting if view.is_cancelled() => Exit::Cancelled,
        JobState::Aborted | JobState::Aborting => Exit::Aborted,
        JobState::Received
        | JobState::Queued
        | JobState::Running
        | JobState::AwaitingApproval
        | JobState::Preparing
        | JobState::Committing
        | JobState::Quarantined => Exit::Failure,
    }
}

/// Returns one sentence on how a job ended, or where it stands.
pub(crate) fn sentence(view: &JobView) -> String {
    let job = &view.job;
    let took =
        took(view).map(|took| format!(" in {}", amount::stopwatch(took))).unwrap_or_default();
    match view.state {
        JobState::Committed if view.is_mixed() => {
            format!("MIXED {job}: {}; committed{took}: {}", forced::mixed(view), visible(view))
        }
        JobState::Aborted if view.is_mixed() => {
            format!("MIXED {job}: {}; aborted{took}", forced::mixed(view))
        }
        JobState::Committing if view.is_held_back() => {
            let names: Vec<&str> = view.held_back.iter().map(WorkerId::as_str).collect();
            let verb = if names.len() == 1 { "holds its" } else { "hold their" };
            let (names, shown) = (names.join(", "), visible(view));
            format!("{job} is decided to commit, but {names}, lost, {verb} outputs back; {shown}")
        }
        JobState::Committed => format!("committed {job}{took}: {}", visible(view)),
        JobState::Aborted if view.is_cancelled() => {
            format!("cancelled {job}{took}: nothing became visible")
        }
        JobState::Aborted => format!("aborted {job}{took}: nothing became visible"),
        JobState::Received
        | JobState::Queued
        | JobState::Running
        | JobState::AwaitingApproval
        | JobState::Preparing
        | JobState::Committing
        | JobState::Aborting => format!("{job} is {}", view.word()),
        JobState::Quarantined => format!("{job} is QUARANTINED: {}", view.state_message),
    }
}

/// Returns how long the job took, once it is decided.
pub(crate) fn took(view: &JobView) -> Option<Duration> {
    view.ended.or(view.decided).map(|end| end.since(view.created))
}

/// Returns how long the job has been going on.
pub(crate) fn elapsed(view: &JobView, now: WallTime) -> Duration {
    took(view).unwrap_or_else(|| now.since(view.created))
}

/// Returns every published output with its task.
pub(crate) fn published(view: &JobView) -> impl Iterator<Item = (&TaskView, &OutputView)> {
    let outputs = |task| -> Vec<(&TaskView, &OutputView)> {
        let task: &TaskView = task;
        task.outputs.iter().map(|output| (task, output)).collect()
    };
    view.tasks.iter().flat_map(outputs).filter(|(_, output)| {
        output.publish_path.is_some() && output.state == OutputState::Published
    })
}

fn visible(view: &JobView) -> String {
    let count = published(view).count() as u64;
    let workers: BTreeSet<&str> =
        published(view).map(|(_, output)| output.worker.as_str()).collect();
    let workers: Vec<&str> = workers.into_iter().collect();
    match count {
        0 => "it publishes nothing".to_owned(),
        _ => format!("{} visible on {}", amount::count(count, "output"), workers.join(", ")),
    }
}

/// Returns the workers that the tasks run on, or are pinned to.
pub(crate) fn workers(view: &JobView) -> Vec<WorkerId> {
    let pinned = view.spec.iter().flat_map(|spec| spec.tasks.values());
    let pinned = pinned.filter_map(|task| task.placement.worker.clone());
    let running = view.tasks.iter().filter_map(|task| task.worker.clone());
    pinned.chain(running).collect::<BTreeSet<_>>().into_iter().collect()
}
