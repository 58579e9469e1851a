//! Workers that stay away, or stand still, until they are given up.

use std::time::Duration;

use votum_ids::JobId;
use votum_job::JobSpec;
use votum_tests::{Cluster, Content, Dice, JobDraft, TaskDraft, content_of, let_pass};
use votum_wire::{JobState, JobView};

/// How a worker is away.
#[derive(Debug, Clone, Copy)]
enum Absence {
    /// Killed, and started again.
    Killed,
    /// Frozen, and going on as if nothing had been.
    Frozen,
}

/// Plays one round: a job that may run anywhere, one worker away beyond its lease, a verdict.
pub(crate) fn play(cluster: &mut Cluster, dice: &mut Dice, round: u64) -> JobView {
    let absence = if dice.chance(50) { Absence::Killed } else { Absence::Frozen };
    let victim = *dice.choose(&["s1", "s2", "s3"]);
    let (begin, length) = (dice.time_below(BEGIN), dice.time_below(LENGTH));
    println!("round {round}: {victim} is {absence:?} after {begin:?} for {length:?}");

    let job = cluster.submit(&spec(cluster, dice));
    let_pass(begin);
    match absence {
        Absence::Killed => cluster.worker(victim).kill(),
        Absence::Frozen => cluster.worker(victim).freeze(),
    }
    let_pass(length);
    match absence {
        Absence::Killed => cluster.worker(victim).start(),
        Absence::Frozen => cluster.worker(victim).thaw(),
    }
    let view = cluster.ended(&job);
    cluster.wait_until_ready();
    judge(cluster, &view);
    view
}

/// Writes a job whose tasks may run on any worker, some of them for a while.
fn spec(cluster: &Cluster, dice: &mut Dice) -> JobSpec {
    let mut task = |id: &str| {
        let pause = f64::from(u32::try_from(dice.below(1500)).unwrap_or_default()) / 1000.0;
        TaskDraft::new(id)
            .counted(&cluster.runs())
            .attempts(20)
            .runs(&format!("sleep {pause}"))
            .writes("rows", id)
            .publishes(id)
    };
    let third = task("t3").reads("left", "t1", "rows").reads("right", "t2", "rows");
    JobDraft::new("away")
        .votes_within(Duration::from_secs(5))
        .task(task("t1"))
        .task(task("t2"))
        .task(third)
        .spec()
}

/// Exactly one worker shows each output, of the attempt that the coordinator names, or nobody
/// shows any.
fn judge(cluster: &Cluster, view: &JobView) {
    for task in &view.tasks {
        let shown: Vec<Content> = cluster
            .targets(task.task.as_str())
            .iter()
            .filter_map(|target| content_of(target))
            .filter(|content| content.job() == Some(view.job.as_str()))
            .collect();
        match view.state {
            JobState::Committed => {
                let [content] = shown.as_slice() else {
                    panic!("{} shows {}: {shown:?}", view.job, task.task)
                };
                let last = task.attempts.last().unwrap();
                assert_eq!(content.token(), Some(last.token.to_string().as_str()), "{task:#?}");
                let worker = task.worker.as_ref().unwrap();
                let target = cluster.root(worker.as_str()).join(task.task.as_str());
                assert_eq!(content_of(&target).as_ref(), Some(content));
            }
            JobState::Received
            | JobState::Running
            | JobState::Preparing
            | JobState::Committing
            | JobState::Aborting
            | JobState::Aborted => assert!(shown.is_empty(), "{}: {shown:?}", view.job),
        }
    }
    cluster.wait_until_staging_is_empty();
    cluster.wait_until_nothing_runs(&view.job);
}

/// Returns every target of these jobs, for a reader.
pub(crate) fn targets(cluster: &Cluster) -> Vec<std::path::PathBuf> {
    ["t1", "t2", "t3"].iter().flat_map(|task| cluster.targets(task)).collect()
}

/// Says which jobs a reader may have seen.
pub(crate) fn committed(view: &JobView) -> Option<JobId> {
    (view.state == JobState::Committed).then(|| view.job.clone())
}

/// Two tasks one after the other take up to three seconds.
const BEGIN: Duration = Duration::from_millis(2500);
/// From a blink to twice the time after which a worker is given up.
const LENGTH: Duration = Duration::from_secs(5);
