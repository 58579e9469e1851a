//! Jobs with one concurrency key: one of them is under way at a time, on the whole cluster.

use std::{fs, time::Duration};

use votum_client::ClientError;
use votum_ids::JobId;
use votum_job::{ConcurrencyPolicy, JobSpec};
use votum_tests::{Cluster, JobDraft, TaskDraft, eventually, request};
use votum_wire::{HookState, JobState, JobView, Reason, TaskState};

use crate::{open_gate, patient, rescuing, wait_for_file};

#[test]
fn jobs_of_one_key_run_one_after_the_other_in_order() {
    let cluster = patient();
    let [first, second, third] =
        ["first", "second", "third"].map(|name| cluster.submit(&queued(&cluster, name)));
    runs(&cluster, &first);
    waits(&cluster, &second, &format!("waits for {first}, which holds the key nightly"));
    let words = format!("waits for {first}, which holds the key nightly; 1 waits before it");
    waits(&cluster, &third, &words);
    let queue = cluster.job(&third).queue.unwrap();
    assert_eq!((queue.key.as_str(), queue.holder, queue.ahead), ("nightly", Some(first), 1));
    assert_eq!(cluster.runs_of(&second, "t1") + cluster.runs_of(&third, "t1"), 0);

    open_gate(&cluster, "gate");
    let ended = [&second, &third].map(|job| cluster.ended(job));
    assert!(ended.iter().all(|view| view.state == JobState::Committed), "{ended:#?}");
    assert_eq!(told(&cluster), ["first", "second", "third"]);
    // The time of each counts from when it had the key.
    let [second, third] = ended;
    assert!(third.started >= second.ended, "{second:#?} {third:#?}");
}

#[test]
fn a_line_is_the_same_after_the_coordinator_was_killed() {
    let mut cluster = patient();
    let first = cluster.submit(&queued(&cluster, "first"));
    runs(&cluster, &first);
    let others: Vec<JobId> =
        ["b", "a", "d", "c"].map(|name| cluster.submit(&queued(&cluster, name))).into();
    restart(&mut cluster);
    for (ahead, job) in others.iter().enumerate() {
        let queue = cluster.job(job).queue.unwrap();
        assert_eq!((queue.holder, queue.ahead), (Some(first.clone()), ahead), "{job}");
    }
    let last = cluster.submit(&queued(&cluster, "last"));
    assert_eq!(cluster.job(&last).queue.unwrap().ahead, 4);
    open_gate(&cluster, "gate");
    cluster.ended(&others[0]);
    restart(&mut cluster);
    assert_eq!(cluster.ended(&last).state, JobState::Committed);
    assert_eq!(told(&cluster), ["first", "b", "a", "d", "c", "last"]);
}

#[test]
fn a_job_that_wants_it_so_is_refused_while_its_key_is_held() {
    let cluster = patient();
    let spec = |name| keyed(&cluster, name, "nightly", ConcurrencyPolicy::Reject);
    let id = request();
    let first = cluster.try_submit(&spec("first"), id).unwrap().job.unwrap().job;
    let refused = cluster.try_submit(&spec("second"), request()).unwrap_err();
    let ClientError::Refused(problem) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.reason, Reason::ConcurrencyKeyHeld);
    assert_eq!(problem.code, tonic::Code::AlreadyExists);
    assert_eq!(problem.metadata["holder"], first.as_str());
    assert_eq!(cluster.jobs().len(), 1);
    let repeated = cluster.try_submit(&spec("first"), id).unwrap();
    assert!(repeated.duplicate && repeated.job.unwrap().job == first);

    open_gate(&cluster, "gate");
    cluster.ended(&first);
    let second = cluster.submit(&spec("second"));
    assert_eq!(cluster.ended(&second).state, JobState::Committed);
}

#[test]
fn a_job_that_replaces_cancels_whoever_runs_or_waits() {
    let mut cluster = patient();
    let first = cluster.submit(&queued(&cluster, "first"));
    runs(&cluster, &first);
    let second = cluster.submit(&queued(&cluster, "second"));
    let third = cluster.submit(&keyed(&cluster, "third", "nightly", ConcurrencyPolicy::Replace));
    for job in [&first, &second] {
        let view = cluster.ended(job);
        assert!(view.state == JobState::Aborted && view.is_cancelled(), "{view:#?}");
        let cause = view.cause.unwrap();
        assert_eq!(cause.message, format!("cancelled: replaced by {third}"));
        assert_eq!(cause.by, cluster.job(&third).creator);
    }
    restart(&mut cluster);
    open_gate(&cluster, "gate");
    assert_eq!(cluster.ended(&third).state, JobState::Committed);
    assert_eq!(told(&cluster), ["third"]);
}

#[test]
fn whoever_waits_and_is_cancelled_frees_its_place() {
    let cluster = patient();
    let [first, second, third] =
        ["first", "second", "third"].map(|name| cluster.submit(&queued(&cluster, name)));
    waits(&cluster, &third, "waits for");
    let cancelled = cluster.block_on(cluster.client().cancel(&second, "not today")).unwrap();
    assert!(cancelled.is_cancelled());
    assert_eq!(cluster.ended(&second).state, JobState::Aborted);
    waits(&cluster, &third, &format!("waits for {first}, which holds the key nightly"));
    assert_eq!(cluster.job(&third).queue.unwrap().ahead, 0);
    open_gate(&cluster, "gate");
    assert_eq!(cluster.ended(&third).state, JobState::Committed);
    assert_eq!(told(&cluster), ["first", "third"]);
}

#[test]
fn jobs_of_other_keys_and_of_none_do_not_wait() {
    let cluster = patient();
    let first = cluster.submit(&queued(&cluster, "first"));
    let other = cluster.submit(&keyed(&cluster, "other", "weekly", ConcurrencyPolicy::Queue));
    let mut spec = queued(&cluster, "none");
    spec.concurrency = None;
    let none = cluster.submit(&spec);
    for job in [&first, &other, &none] {
        runs(&cluster, job);
    }
    open_gate(&cluster, "gate");
    for job in [&first, &other, &none] {
        assert_eq!(cluster.ended(job).state, JobState::Committed);
    }
}

#[test]
fn a_key_is_free_when_the_last_compensation_is_over() {
    let cluster = patient();
    let undo = wait_for_file(&cluster, "undone");
    let book = TaskDraft::new("book").runs("true").compensated(&undo);
    let fails = TaskDraft::new("fails").needs("book").attempts(1).runs("exit 7");
    let first = JobDraft::new("books").keyed("nightly", ConcurrencyPolicy::Queue);
    let first = cluster.submit(&first.task(book).task(fails).spec());
    let second = cluster.submit(&queued(&cluster, "second"));
    open_gate(&cluster, "gate");
    let undoes = |view: &JobView| view.hooks.iter().any(|hook| hook.state == HookState::Running);
    cluster.wait_for("it is undone", &first, undoes);
    waits(&cluster, &second, &format!("waits for {first}, which holds the key nightly"));
    open_gate(&cluster, "undone");
    assert_eq!(cluster.ended(&second).state, JobState::Committed);
    assert_eq!(cluster.ended(&first).state, JobState::Aborted);
}

#[test]
fn what_is_kept_for_a_rescue_holds_no_key_and_its_rescue_waits_in_line() {
    let mut cluster = patient();
    let key = queued(&cluster, "second").concurrency;
    let first = rescuing::aborted_with(&cluster, |spec| {
        spec.keep_staged = rescuing::HOUR;
        spec.concurrency = key;
    });
    assert!(cluster.job(&first).kept_until.is_some());
    let second = cluster.submit(&gated_by(&cluster, "second", "other", "nightly"));
    runs(&cluster, &second);
    open_gate(&cluster, "gate");
    let rescue = rescuing::rescue(&cluster, &first, false).unwrap().job.unwrap().job;
    restart(&mut cluster);
    waits(&cluster, &rescue, &format!("waits for {second}, which holds the key nightly"));
    open_gate(&cluster, "other");
    assert_eq!(cluster.ended(&rescue).state, JobState::Committed);
    assert!(cluster.job(&rescue).started >= cluster.job(&second).ended);
}

/// Writes a job that waits its turn.
fn queued(cluster: &Cluster, name: &str) -> JobSpec {
    keyed(cluster, name, "nightly", ConcurrencyPolicy::Queue)
}

/// Writes a job that says its name once the gate is open, and publishes.
fn keyed(cluster: &Cluster, name: &str, key: &str, policy: ConcurrencyPolicy) -> JobSpec {
    let mut spec = gated_by(cluster, name, "gate", key);
    spec.concurrency.as_mut().unwrap().policy = policy;
    spec
}

fn gated_by(cluster: &Cluster, name: &str, gate: &str, key: &str) -> JobSpec {
    let told = cluster.home().join("told");
    let target = format!("{name}.txt");
    let task = TaskDraft::new("t1")
        .on("s1")
        .counted(&cluster.runs())
        .runs(&wait_for_file(cluster, gate))
        .runs(&format!("echo {name} >> {}", told.display()))
        .writes("rows", &target)
        .publishes(&target);
    JobDraft::new(name).keyed(key, ConcurrencyPolicy::Queue).task(task).spec()
}

/// Returns who has run, in order.
fn told(cluster: &Cluster) -> Vec<String> {
    let told = fs::read_to_string(cluster.home().join("told")).unwrap();
    told.lines().map(str::to_owned).collect()
}

fn runs(cluster: &Cluster, job: &JobId) {
    eventually("it runs", LIMIT, || (cluster.runs_of(job, "t1") == 1).then_some(()));
}

#[track_caller]
fn waits(cluster: &Cluster, job: &JobId, words: &str) {
    let view = cluster.wait_for("it waits", job, |view| view.state_message.starts_with(words));
    assert_eq!((view.state, view.word()), (JobState::Queued, "QUEUED"), "{view:#?}");
    assert!(view.tasks.iter().all(|task| task.state <= TaskState::Ready), "{view:#?}");
}

fn restart(cluster: &mut Cluster) {
    cluster.coordinator().kill();
    cluster.coordinator().start();
    cluster.wait_until_ready();
}

const LIMIT: Duration = Duration::from_mins(1);
