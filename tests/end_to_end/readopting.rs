//! Tasks that outlive their worker's daemon, again and again (R6).

use std::{fs, time::Duration};

use votum_job::FailureKind;
use votum_tests::{Cluster, JobDraft, TaskDraft, Visible, eventually, processes_mentioning};
use votum_wire::{JobState, Outcome};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn fifty_kills_of_the_daemon_do_not_disturb_a_task() {
    let mut cluster = patient();
    let counter = cluster.home().join("counted");
    let job = cluster.submit(&JobDraft::new("counts").task(counting(&cluster, "exit 7")).spec());
    eventually("it counts", LIMIT, || fs::metadata(&counter).ok());
    let pid = task_pid(&counter);

    for kill in 1..=50 {
        cluster.worker("s1").kill();
        let before = counted(&counter).len();
        cluster.worker("s1").start();
        eventually("it is adopted", LIMIT, || {
            (cluster.worker("s1").log().matches(ADOPTED).count() == kill).then_some(())
        });
        eventually("it counts on", LIMIT, || (counted(&counter).len() > before).then_some(()));
        assert_eq!(task_pid(&counter), pid);
    }
    open_gate(&cluster, "gate");

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Aborted, "{view:#?}");
    let [attempt] = view.tasks[0].attempts.as_slice() else { panic!("{:#?}", view.tasks[0]) };
    let Some(Outcome::Failed(failure)) = &attempt.outcome else { panic!("{attempt:#?}") };
    assert_eq!(failure.kind, FailureKind::ExitCode(7));
    let counted = counted(&counter);
    assert!(counted.iter().copied().eq(1..=counted.len()), "a gap or a repetition: {counted:?}");
    assert_eq!(cluster.runs_of(&job, "t1"), 1);
    cluster.wait_until_nothing_runs(&job);
}

#[test]
fn a_task_that_ended_while_its_daemon_was_away_counts() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let job =
        cluster.submit(&JobDraft::trio_with("away", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    cluster.worker("s3").kill();
    open_gate(&cluster, "gate");
    cluster.wait_until_nothing_runs(&job);
    cluster.worker("s3").start();

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert!(view.tasks.iter().all(|task| task.attempts.len() == 1), "{view:#?}");
    assert_eq!(cluster.runs_of(&job, "t3"), 1);
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Everything);
}

#[test]
fn an_upgrade_in_place_leaves_tasks_running() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let job =
        cluster.submit(&JobDraft::trio_with("upgrade", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    let before = cluster.processes_of(&job);
    assert!(cluster.worker("s3").terminate(LIMIT).success());
    cluster.worker("s3").start();
    cluster.wait_until_ready();
    let after = cluster.processes_of(&job);
    let supervisor = before.iter().find(|one| one.command.contains("supervise"));
    assert!(supervisor.is_some_and(|one| after.contains(one)), "{before:#?} {after:#?}");
    open_gate(&cluster, "gate");

    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    assert_eq!(cluster.runs_of(&job, "t3"), 1);
}

#[test]
fn a_cancel_reaches_an_adopted_task() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "never");
    let job =
        cluster.submit(&JobDraft::trio_with("cancel", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    cluster.worker("s3").kill();
    cluster.worker("s3").start();
    cluster.wait_until_ready();
    assert!(!cluster.processes_of(&job).is_empty(), "it goes on");

    cluster.block_on(cluster.client().cancel(&job, "not needed")).unwrap();

    assert_eq!(cluster.ended(&job).state, JobState::Aborted);
    cluster.wait_until_nothing_runs(&job);
    assert_eq!(cluster.runs_of(&job, "t3"), 1);
}

/// A task that counts to a file until the gate opens, and then does what is left.
fn counting(cluster: &Cluster, then: &str) -> TaskDraft {
    let (counter, gate) = (cluster.home().join("counted"), cluster.home().join("gate"));
    let count = format!(
        "i=0; while [ ! -e {} ]; do i=$((i+1)); echo \"$i $$\" >> {}; sleep 0.02; done",
        gate.display(),
        counter.display()
    );
    TaskDraft::new("t1").on("s1").attempts(1).counted(&cluster.runs()).runs(&count).runs(then)
}

/// Returns the numbers that the task has written, whole lines only.
fn counted(counter: &std::path::Path) -> Vec<usize> {
    let text = fs::read_to_string(counter).unwrap();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
}

/// Returns the process that wrote last, which is alive.
fn task_pid(counter: &std::path::Path) -> i32 {
    let text = eventually("a line is whole", LIMIT, || {
        fs::read_to_string(counter).ok().filter(|text| text.ends_with('\n'))
    });
    let pid = text.lines().last().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let alive = processes_mentioning("VOTUM_JOB_ID=counts-");
    assert!(alive.iter().any(|one| one.pid == pid), "{pid} is not among {alive:#?}");
    pid
}

/// What a worker logs of each attempt that it adopts.
const ADOPTED: &str = "goes on with what ran";
const LIMIT: Duration = Duration::from_mins(1);
