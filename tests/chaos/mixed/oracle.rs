//! The verdict on a job that has ended: from the files that are seen, and from what its tasks told.

use std::fs;

use votum_job::FailureKind;
use votum_tests::{Cluster, Content, content_of};
use votum_wire::{JobState, JobView, Outcome};

use super::{
    SMALL,
    flavour::{COUNT, Flavour, INTERVAL},
    lane::target_of,
};

/// Judges a job, and the one that took over what it staged.
#[track_caller]
pub(crate) fn judge(cluster: &Cluster, flavour: Flavour, cancelled: bool, views: &[JobView]) {
    for (place, view) in views.iter().enumerate() {
        let may_commit = match flavour {
            Flavour::Failing => false,
            Flavour::Rescued => place == 1,
            Flavour::Instant
            | Flavour::Pinned
            | Flavour::Floating
            | Flavour::Stumbling
            | Flavour::Long
            | Flavour::Bulky
            | Flavour::Counting
            | Flavour::Saving
            | Flavour::Stepping
            | Flavour::Exclusive
            | Flavour::Greedy
            | Flavour::Patient
            | Flavour::Mended => true,
        };
        outcome(flavour, may_commit, cancelled, view);
        targets(cluster, flavour, view);
    }
    let view = views.last().expect("there is the job itself");
    match flavour {
        Flavour::Counting | Flavour::Saving => states(cluster, flavour, view),
        Flavour::Stepping => steps(cluster, view),
        Flavour::Exclusive => {
            let met = told(cluster, view, "met");
            assert_eq!(met, "", "two attempts met: {view:#?}");
        }
        Flavour::Greedy => limits(view),
        Flavour::Rescued => taken_over(cluster, views),
        Flavour::Instant
        | Flavour::Pinned
        | Flavour::Floating
        | Flavour::Stumbling
        | Flavour::Long
        | Flavour::Bulky
        | Flavour::Failing
        | Flavour::Patient
        | Flavour::Mended => {}
    }
}

#[track_caller]
fn outcome(flavour: Flavour, may_commit: bool, cancelled: bool, view: &JobView) {
    let reason = view.cause.as_ref().map_or("", |cause| cause.reason.as_str());
    match view.state {
        JobState::Committed if may_commit => {}
        JobState::Aborted if !may_commit => {}
        JobState::Aborted if cancelled && reason == "CANCELLED" => {}
        JobState::Aborted if EXCUSES.contains(&reason) => {}
        JobState::Received
        | JobState::Queued
        | JobState::Running
        | JobState::AwaitingApproval
        | JobState::Preparing
        | JobState::Committing
        | JobState::Committed
        | JobState::Aborting
        | JobState::Aborted
        | JobState::Quarantined => panic!("{flavour:?} has ended like this: {view:#?}"),
    }
}

/// Each output stands on exactly one worker, from the attempt that the coordinator names, or no
/// output stands anywhere.
#[track_caller]
fn targets(cluster: &Cluster, flavour: Flavour, view: &JobView) {
    for task in &view.tasks {
        let shown = shown(cluster, view, task.task.as_str());
        if view.state == JobState::Aborted
            || (flavour == Flavour::Rescued && task.task.as_str() != "t3")
        {
            assert!(shown.is_empty(), "{}: {shown:?}", view.job);
            continue;
        }
        let [content] = shown.as_slice() else {
            panic!("{} shows {}: {shown:?}, {view:#?}", view.job, task.task)
        };
        let last = task.attempts.last().expect("a committed task has run");
        assert_eq!(content.token(), Some(last.token.to_string().as_str()), "{task:#?}");
    }
}

/// A counting task goes on from whole states only, makes what an undisturbed one makes, and on one
/// worker never loses what it knows to be sealed.
#[track_caller]
fn states(cluster: &Cluster, flavour: Flavour, view: &JobView) {
    let told = told(cluster, view, "saved");
    let mut sealed = 0;
    for line in told.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |place: usize| words[place].parse::<u32>().expect("it tells numbers");
        match words[0] {
            "begun" => {
                let (sequence, count, rows) = (number(2), number(3), number(4));
                assert_eq!((count % INTERVAL, rows), (0, count), "half a state: {told}\n{view:#?}");
                assert_eq!(sequence == 0, count == 0, "a state of nowhere: {told}\n{view:#?}");
                if flavour == Flavour::Saving {
                    assert!(count >= sealed, "a sealed state was lost: {told}\n{view:#?}");
                }
            }
            "sealed" => sealed = number(2),
            other => panic!("{other} was never told: {told}"),
        }
    }
    if view.state == JobState::Committed {
        let rows: Vec<String> = (1..=COUNT).map(|row| format!("row {row}")).collect();
        assert_eq!(body(cluster, view, "t1"), rows, "{told}\n{view:#?}");
    }
}

/// A step that is done is not done again, and finds what the ones before it left.
#[track_caller]
fn steps(cluster: &Cluster, view: &JobView) {
    let told = told(cluster, view, "steps");
    let steps: Vec<&str> = told.lines().collect();
    assert!(steps.is_sorted(), "a step was repeated: {steps:?}\n{view:#?}");
    if view.state == JobState::Committed {
        assert_eq!(body(cluster, view, "t1"), ["1", "scratch"], "{view:#?}");
    }
}

/// What takes more than it may never succeeds, and is told why it did not.
#[track_caller]
fn limits(view: &JobView) {
    for attempt in &view.tasks[0].attempts {
        let Some(outcome) = &attempt.outcome else { continue };
        match outcome {
            Outcome::Succeeded => assert!(attempt.number > 2, "nobody stopped it: {view:#?}"),
            Outcome::Failed(failure) => {
                let unnamed = matches!(failure.kind, FailureKind::ExitCode(code) if code != 9)
                    || matches!(failure.kind, FailureKind::Signal(_));
                // From the third on it takes no more than it may, and meets full disks at most;
                // where a disk is full at times, an earlier one may not get as far as its limit.
                let may_be_full = attempt.worker.as_str() == SMALL;
                let misnamed = unnamed && attempt.number <= 2 && !may_be_full;
                assert!(!misnamed, "a limit is not named: {attempt:#?}");
            }
        }
    }
}

/// What was taken over was made by the job before, and is what the last attempt made otherwise.
#[track_caller]
fn taken_over(cluster: &Cluster, views: &[JobView]) {
    let [old, new] = views else { return };
    assert_eq!(new.rescued_from.as_ref(), Some(&old.job));
    if new.state != JobState::Committed {
        return;
    }
    let inputs: Vec<Content> = body(cluster, new, "t3").into_iter().map(Content).collect();
    for (task, content) in ["t1", "t2"].into_iter().zip(&inputs) {
        if cluster.runs_of(&new.job, task) == 0 {
            assert_eq!(content.job(), Some(old.job.as_str()), "{new:#?}");
        } else {
            let jobs = [Some(old.job.as_str()), Some(new.job.as_str())];
            assert!(jobs.contains(&content.job()), "{content:?}: {new:#?}");
        }
    }
    assert_eq!(inputs.len(), 2, "{inputs:?}");
}

/// Returns what is seen of a job at the target of a task, worker by worker.
fn shown(cluster: &Cluster, view: &JobView, task: &str) -> Vec<Content> {
    cluster
        .targets(&target_of(view.job.as_str(), task))
        .iter()
        .filter_map(|target| content_of(target))
        .filter(|content| content.job() == Some(view.job.as_str()))
        .collect()
}

/// Returns the lines of what a task published, without the first, which says who it is from.
fn body(cluster: &Cluster, view: &JobView, task: &str) -> Vec<String> {
    let shown = shown(cluster, view, task);
    shown.iter().flat_map(|content| content.0.lines().skip(1)).map(str::to_owned).collect()
}

/// Reads what the tasks of a job told outside of their staging.
fn told(cluster: &Cluster, view: &JobView, what: &str) -> String {
    fs::read_to_string(cluster.runs().join(format!("{}.{what}", view.job))).unwrap_or_default()
}

/// Why a job may abort that nobody cancelled: what its tasks write names the attempt, so outputs
/// that are lost again and again never come out the same (R5); and losses of machines are bounded.
const EXCUSES: [&str; 6] = [
    "NONDETERMINISTIC",
    "WORKER_LOST",
    "INTERRUPTED",
    "INPUT_UNAVAILABLE",
    "STORAGE_FAILED",
    "DISK_FULL",
];
