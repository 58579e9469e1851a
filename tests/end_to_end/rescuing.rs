//! An aborted job that keeps what it staged is taken up by another one.

use std::{fs, time::Duration};

use votum_client::ClientError;
use votum_ids::JobId;
use votum_job::JobSpec;
use votum_tests::{Cluster, JobDraft, Visible};
use votum_wire::{
    JobState, Reason, TaskState,
    rescue::{RescueJob, Rescued},
};

use crate::{open_gate, patient};

#[test]
fn a_rescue_runs_only_what_was_not_staged() {
    let mut cluster = patient();
    let job = aborted(&cluster, HOUR);
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Nothing);
    // The order to keep is as durable as the abort.
    for daemon in ["coordinator", "s1", "s2"] {
        cluster.daemon(daemon).kill();
    }
    cluster.start_all();
    cluster.wait_until_ready();
    let view = cluster.job(&job);
    assert_eq!(view.state, JobState::Aborted, "{view:#?}");
    assert!(view.kept_until.is_some());

    let plan = rescue(&cluster, &job, true).unwrap();
    assert_eq!(plan.job, None);
    assert_eq!(fates(&plan), [("t1", true), ("t2", true), ("t3", false)]);

    open_gate(&cluster, "gate");
    let rescued = rescue(&cluster, &job, false).unwrap().job.unwrap();
    assert_eq!(rescued.rescued_from, Some(job.clone()));
    let view = cluster.ended(&rescued.job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    let runs = |task| (cluster.runs_of(&job, task), cluster.runs_of(&rescued.job, task));
    assert_eq!([runs("t1"), runs("t2"), runs("t3")], [(1, 0), (1, 0), (1, 1)]);
    let rows = fs::read_to_string(cluster.root("s1").join("rows.txt")).unwrap();
    assert!(rows.contains(&format!("job={job}")), "t1 was taken over: {rows}");
    // What the aborted job kept has served its purpose.
    cluster.wait_until_staging_is_empty();
    assert_eq!(cluster.job(&job).kept_until, None);
    let ClientError::Refused(problem) = rescue(&cluster, &job, false).unwrap_err() else {
        panic!("it was rescued twice")
    };
    assert_eq!(problem.reason, Reason::AlreadyRescued);
    assert_eq!(problem.metadata["successor"], rescued.job.as_str());
    assert_eq!(cluster.job(&job).rescued_by, Some(rescued.job));
}

#[test]
fn what_nobody_rescues_is_discarded_when_its_time_is_over() {
    let cluster = patient();
    let job = aborted(&cluster, Duration::from_secs(3));
    let view = cluster.wait_for("the time is over", &job, |view| view.kept_until.is_none());
    assert_eq!(view.state, JobState::Aborted);
    cluster.wait_until_staging_is_empty();
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Nothing);
    assert_eq!(reason_of(rescue(&cluster, &job, false)), Reason::NothingKept);
}

#[test]
fn what_lies_on_a_lost_disk_is_made_again() {
    let mut cluster = patient();
    let job = aborted(&cluster, HOUR);
    cluster.daemon("s1").kill();
    fs::remove_dir_all(cluster.staging("s1")).unwrap();
    cluster.start_all();
    cluster.wait_until_ready();

    open_gate(&cluster, "gate");
    let rescued = rescue(&cluster, &job, false).unwrap().job.unwrap();
    let view = cluster.ended(&rescued.job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    let runs = |task| cluster.runs_of(&rescued.job, task);
    assert_eq!((runs("t1"), runs("t2"), runs("t3")), (1, 0, 1));
    let rows = |worker| fs::read_to_string(cluster.root(worker).join("rows.txt")).unwrap();
    assert!(rows("s1").contains(&format!("job={}", rescued.job)), "{}", rows("s1"));
    assert!(rows("s2").contains(&format!("job={job}")), "{}", rows("s2"));
}

/// Lets t3 of a trio fail for good after t1 and t2 are staged.
pub(crate) fn aborted(cluster: &Cluster, keep_staged: Duration) -> JobId {
    aborted_with(cluster, |spec| spec.keep_staged = keep_staged)
}

/// Does so with a job that says more of itself.
pub(crate) fn aborted_with(cluster: &Cluster, say: impl FnOnce(&mut JobSpec)) -> JobId {
    let check = format!("[ -e {} ]", cluster.home().join("gate").display());
    let mut spec: JobSpec =
        JobDraft::trio_with("rescued", "rows.txt", &cluster.runs(), &check).spec();
    say(&mut spec);
    spec.tasks.values_mut().next_back().unwrap().retry.attempts = 1;
    let job = cluster.submit(&spec);
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Aborted, "{view:#?}");
    assert_eq!(view.tasks[0].state, TaskState::Staged);
    job
}

pub(crate) fn rescue(
    cluster: &Cluster,
    job: &JobId,
    validate_only: bool,
) -> Result<Rescued, ClientError> {
    let wish = RescueJob { job: job.clone(), request: None, validate_only };
    cluster.block_on(cluster.client().rescue(&wish))
}

fn fates(plan: &Rescued) -> Vec<(&str, bool)> {
    plan.plan.iter().map(|task| (task.task.as_str(), task.runs.is_empty())).collect()
}

pub(crate) fn reason_of(answer: Result<Rescued, ClientError>) -> Reason {
    let ClientError::Refused(problem) = answer.unwrap_err() else { panic!("it was not refused") };
    problem.reason
}

pub(crate) const HOUR: Duration = Duration::from_hours(1);
