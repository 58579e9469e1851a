//! When one part fails, nothing of any part becomes visible.

use std::{fs, time::Duration};

use votum_client::ClientError;
use votum_commit::Decision;
use votum_ids::{Existing, JobId};
use votum_job::{FailureKind, TaskSignal};
use votum_tests::{Cluster, JobDraft, Stopwatch, TaskDraft, Visible, eventually};
use votum_wire::{
    JobState, JobView, LogStream, Outcome, Reason, TaskState, names::Scope, request::TailLogs,
};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn a_cancelled_job_ends_its_processes_and_shows_nothing() {
    let cluster = patient();
    let gate = wait_for_file(&cluster, "never");
    let job =
        cluster.submit(&JobDraft::trio_with("stop", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    assert!(!cluster.processes_of(&job).is_empty());

    let watch = Stopwatch::start();
    let answer = cluster.block_on(cluster.client().cancel(&job, "not needed")).unwrap();
    assert_eq!(answer.decision, Some(Decision::Abort), "{answer:#?}");
    cluster.wait_until_nothing_runs(&job);
    let gone_after = watch.elapsed();
    let again = cluster.block_on(cluster.client().cancel(&job, "not needed")).unwrap();

    let view = cluster.ended(&job);
    assert_aborted(&cluster, &view, "CANCELLED");
    assert_eq!(again.job, job);
    assert!(view.cause.unwrap().message.contains("not needed"));
    // The grace period is half a second; the rest is for a busy machine.
    assert!(gone_after < Duration::from_secs(10), "{gone_after:?}");
}

#[test]
fn a_program_that_ignores_the_request_is_killed_after_its_grace() {
    let cluster = patient();
    let stubborn = TaskDraft::new("stubborn")
        .on("s1")
        .runs("trap '' TERM")
        .counted(&cluster.runs())
        .runs(&wait_for_file(&cluster, "never"));
    let job = cluster.submit(&JobDraft::new("deaf").task(stubborn).spec());
    eventually("it runs", LIMIT, || (cluster.runs_of(&job, "stubborn") == 1).then_some(()));
    cluster.block_on(cluster.client().cancel(&job, "")).unwrap();
    cluster.wait_until_nothing_runs(&job);
    assert_eq!(cluster.ended(&job).state, JobState::Aborted);
}

#[test]
fn a_child_that_left_the_group_and_minds_nothing_is_killed_too() {
    let cluster = patient();
    let up = cluster.home().join("up");
    let script = cluster.home().join("escaped.sh");
    // In a session of its own, reparented, deaf to everything that can be ignored.
    let lines = "trap '' TERM HUP INT USR1\necho $$ > $1.new\nmv $1.new $1\n";
    fs::write(&script, format!("{lines}while :; do sleep 1; done\n")).unwrap();
    let escaping = TaskDraft::new("escaping")
        .on("s1")
        .runs(&format!("( setsid sh {} {} & )", script.display(), up.display()))
        .runs("trap '' TERM")
        .runs(&wait_for_file(&cluster, "never"));
    let job = cluster.submit(&JobDraft::new("escape").task(escaping).spec());
    let escaped: i32 = eventually("the child has left", LIMIT, || {
        fs::read_to_string(&up).ok()?.trim().parse().ok()
    });
    assert!(cluster.processes_of(&job).iter().any(|one| one.pid == escaped));
    cluster.block_on(cluster.client().cancel(&job, "")).unwrap();
    cluster.wait_until_nothing_runs(&job);
    assert_eq!(cluster.ended(&job).state, JobState::Aborted);
}

#[test]
fn a_task_reads_why_it_is_stopped_before_its_own_signal_comes() {
    let cluster = patient();
    let told = cluster.home().join("told");
    let tells = format!("trap 'cat \"$VOTUM_CANCEL_FILE\" >> {}; exit 1' USR1", told.display());
    let task = |name: &str| {
        TaskDraft::new(name)
            .on("s1")
            .attempts(1)
            .runs("trap '' TERM")
            .runs(&tells)
            .counted(&cluster.runs())
            .runs(&wait_for_file(&cluster, "never"))
    };
    let spec = |name: &str, limit| {
        let mut spec = JobDraft::new(name).task(task("t1")).spec();
        let task = spec.tasks.values_mut().next().unwrap();
        (task.stop_signal, task.grace_period) = (TaskSignal::Usr1, LIMIT);
        task.timeout = limit;
        spec
    };
    let cancelled = cluster.submit(&spec("cancelled", LIMIT));
    eventually("it runs", LIMIT, || (cluster.runs_of(&cancelled, "t1") == 1).then_some(()));
    cluster.block_on(cluster.client().cancel(&cancelled, "wrong date")).unwrap();
    cluster.ended(&cancelled);
    assert_eq!(fs::read_to_string(&told).unwrap(), "cancelled: wrong date");

    fs::remove_file(&told).unwrap();
    let slow = cluster.submit(&spec("slow", Duration::from_secs(1)));
    assert_eq!(cluster.ended(&slow).cause.unwrap().reason, "TIMED_OUT");
    assert_eq!(fs::read_to_string(&told).unwrap(), "it did not end within 1 s");
}

#[test]
fn only_what_was_cancelled_can_be_cancelled_again() {
    let cluster = patient();
    let fails = TaskDraft::new("t1").runs("exit 7").attempts(1);
    let failed = cluster.submit(&JobDraft::new("failed").task(fails).spec());
    assert_eq!(cluster.ended(&failed).state, JobState::Aborted);
    let error = cluster.block_on(cluster.client().cancel(&failed, "")).unwrap_err();
    let ClientError::Refused(problem) = error else { panic!("{error:?}") };
    assert_eq!(problem.reason, Reason::AlreadyDecided);
    assert!(problem.message.contains("ABORTED already"), "{problem:?}");

    let waits = TaskDraft::new("t1").runs(&wait_for_file(&cluster, "never"));
    let job = cluster.submit(&JobDraft::new("waits").task(waits).spec());
    cluster.block_on(cluster.client().cancel(&job, "first")).unwrap();
    let first = cluster.ended(&job);
    let again = cluster.block_on(cluster.client().cancel(&job, "second")).unwrap();
    assert_eq!(again.cause, first.cause);
}

#[test]
fn a_committed_job_cannot_be_cancelled() {
    let cluster = patient();
    let job = cluster.submit(&JobDraft::trio("done", "rows.txt", &cluster.runs()).spec());
    cluster.ended(&job);

    let refused = cluster.block_on(cluster.client().cancel(&job, "too late")).unwrap_err();
    let ClientError::Refused(problem) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.reason, Reason::AlreadyDecided);
    assert_eq!(problem.code, tonic::Code::FailedPrecondition);
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Everything);
}

#[test]
fn a_task_that_keeps_failing_aborts_the_job() {
    let cluster = patient();
    let failing = "echo so it goes >&2; exit 7";
    let mut spec = JobDraft::trio_with("fails", "rows.txt", &cluster.runs(), failing).spec();
    spec.tasks.values_mut().next_back().unwrap().retry.attempts = 3;
    let job = cluster.submit(&spec);
    let view = cluster.ended(&job);

    assert_aborted(&cluster, &view, "EXIT_CODE");
    assert!(view.cause.as_ref().unwrap().message.contains("t3"), "{:?}", view.cause);
    let t3 = view.tasks.iter().find(|task| task.task.as_str() == "t3").unwrap();
    assert_eq!(t3.state, TaskState::Failed);
    assert_eq!(t3.attempts.len(), 3);
    assert_eq!(cluster.runs_of(&job, "t3"), 3);
    let Some(Outcome::Failed(failure)) = &t3.attempts[2].outcome else { panic!("{t3:#?}") };
    assert_eq!(failure.kind, FailureKind::ExitCode(7));
    assert!(failure.stderr_tail.contains("so it goes"), "{failure:?}");
    for task in &view.tasks[..2] {
        assert_eq!(task.state, TaskState::Discarded, "{task:#?}");
    }
    assert_eq!(logs(&cluster, &job, LogStream::Stderr), "so it goes\n".repeat(3));
}

#[test]
fn what_tasks_wrote_can_be_read_while_and_after_they_run() {
    let cluster = patient();
    let talking = TaskDraft::new("talks")
        .on("s2")
        .runs("echo first")
        .runs(&wait_for_file(&cluster, "gate"))
        .runs("echo second");
    let job = cluster.submit(&JobDraft::new("logs").task(talking).spec());
    eventually("the first line is there", LIMIT, || {
        (logs(&cluster, &job, LogStream::Stdout) == "first\n").then_some(())
    });
    open_gate(&cluster, "gate");
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    assert_eq!(logs(&cluster, &job, LogStream::Stdout), "first\nsecond\n");
}

#[test]
fn a_missing_output_fails_the_task() {
    let cluster = patient();
    let forgetful = TaskDraft::new("t4")
        .on("s2")
        .runs(":")
        .leaves("report", "report.txt")
        .publishes("report.txt");
    let spec =
        JobDraft::trio("missing", "rows.txt", &cluster.runs()).task(forgetful.attempts(1)).spec();
    let job = cluster.submit(&spec);
    let view = cluster.ended(&job);
    assert_aborted(&cluster, &view, "OUTPUT_MISSING");
    assert!(!cluster.root("s2").join("report.txt").exists());
}

#[test]
fn a_target_that_must_be_free_makes_its_worker_vote_no() {
    let cluster = patient();
    fs::write(cluster.root("s2").join("rows.txt"), "mine\n").unwrap();
    let mut spec = JobDraft::trio("taken", "rows.txt", &cluster.runs()).spec();
    for task in spec.tasks.values_mut() {
        for output in task.outputs.values_mut() {
            output.publish.as_mut().unwrap().existing = Existing::Fail;
        }
    }
    let job = cluster.submit(&spec);
    let view = cluster.ended(&job);

    assert_aborted(&cluster, &view, "TARGET_EXISTS");
    let cause = view.cause.unwrap();
    assert_eq!(cause.by, "s2");
    assert!(cause.message.starts_with("s2 voted No: "), "{cause:?}");
    assert_eq!(fs::read_to_string(cluster.root("s2").join("rows.txt")).unwrap(), "mine\n");
}

#[test]
fn a_program_that_does_not_exist_is_not_tried_again() {
    let cluster = patient();
    let mut spec = JobDraft::new("nothing").task(TaskDraft::new("t1").on("s1")).spec();
    spec.tasks.values_mut().next().unwrap().program =
        votum_job::Program::Command(vec!["no-such-program-here".to_owned()]);
    let job = cluster.submit(&spec);
    let view = cluster.ended(&job);
    assert_aborted(&cluster, &view, "SPAWN_FAILED");
    assert_eq!(view.tasks[0].attempts.len(), 1);
}

/// Asserts that a job has ended without a trace.
#[track_caller]
fn assert_aborted(cluster: &Cluster, view: &JobView, reason: &str) {
    assert_eq!(view.state, JobState::Aborted, "{view:#?}");
    assert_eq!(view.decision, Some(Decision::Abort));
    assert_eq!(view.cause.as_ref().unwrap().reason, reason, "{:?}", view.cause);
    assert_eq!(cluster.visible(&view.job, "rows.txt"), Visible::Nothing);
    cluster.wait_until_staging_is_empty();
    cluster.wait_until_nothing_runs(&view.job);
}

/// Reads everything that a job wrote to one stream.
fn logs(cluster: &Cluster, job: &JobId, stream: LogStream) -> String {
    let wanted = TailLogs {
        scope: Scope::job(job.clone()),
        follow: false,
        tail_lines: None,
        stream: Some(stream),
        since: None,
        timed: false,
    };
    let mut logs = cluster.client().logs(wanted);
    let mut text = Vec::new();
    cluster.block_on(async {
        while let Some(piece) = logs.next().await {
            text.extend_from_slice(&piece.unwrap().data);
        }
    });
    String::from_utf8(text).unwrap()
}

const LIMIT: Duration = Duration::from_mins(1);
