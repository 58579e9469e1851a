//! Every crash point of every daemon, one real kill at a time.
//!
//! The points are listed from the sources, so a point that nobody reaches fails
//! the test. After each kill the daemon starts again and the job must end with
//! one outcome everywhere.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and a long one says how far it is"
)]

mod points;

use std::{collections::BTreeSet, sync::Mutex, thread, time::Duration};

use points::{Plan, Role};
use votum_ids::JobId;
use votum_job::FailureKind;
use votum_tests::{Cluster, Flavour, Stopwatch, Timing, Trial, eventually, programs, signal_of};
use votum_wire::{JobState, JobView, Outcome, request::SubmitJob};

#[test]
fn a_kill_at_any_crash_point_leaves_one_outcome() {
    let points = points::named_in_sources();
    for (point, reason) in points::UNREACHABLE {
        println!("NOT RUN: {point}: {reason}");
    }
    let plans = Mutex::new(points::plans(&points));
    let planned: BTreeSet<String> =
        plans.lock().unwrap().iter().map(|plan| plan.point.clone()).collect();
    let excepted = |point: &&String| !points::is_elsewhere(point);
    let unplanned: Vec<_> =
        points.iter().filter(excepted).filter(|point| !planned.contains(*point)).collect();
    assert!(unplanned.is_empty(), "nobody tries these points: {unplanned:?}");

    let kills: usize = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(|| run_lane(&plans))).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).sum()
    });
    println!("crash points: {}, kills: {kills}, every one with one outcome", planned.len());
}

#[test]
fn a_daemon_that_dies_at_its_first_start_starts_again() {
    for point in points::AT_FIRST_START {
        let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
        for daemon in ["coordinator", "s1"] {
            cluster.daemon(daemon).start_with(&[("VOTUM_CRASH_AT", point)]);
            let status = cluster.daemon(daemon).wait_for_exit(LIMIT);
            assert_eq!(signal_of(status), Some(9), "{point} was not reached by {daemon}");
        }
        cluster.start_all();
        let trial = Trial::new(Flavour::Commits);
        trial.lay_out(&cluster);
        let job = cluster.submit(&trial.spec("first", &cluster));
        let view = cluster.ended(&job);
        assert_eq!(view.state, JobState::Committed);
        trial.judge(&cluster, &view);
    }
}

/// Works plans off on one cluster, and returns how many kills there were.
fn run_lane(plans: &Mutex<Vec<Plan>>) -> usize {
    let mut cluster = Cluster::started(&programs!(), Timing::PATIENT);
    let reader = Trial::reader(&cluster);
    let mut committed = BTreeSet::new();
    let mut kills = 0;
    while let Some(plan) = next(plans) {
        let watch = Stopwatch::start();
        for view in try_plan(&mut cluster, &plan) {
            if view.state == JobState::Committed {
                committed.insert(view.job.to_string());
            }
        }
        println!("{plan}: {:?}", watch.elapsed());
        kills += 1;
    }
    let (reads, bad) = reader.bad_reads(&committed);
    assert!(bad.is_empty(), "read what must not be seen: {bad:#?}");
    println!("{reads} reads beside {kills} kills, none bad");
    kills
}

fn next(plans: &Mutex<Vec<Plan>>) -> Option<Plan> {
    plans.lock().ok()?.pop()
}

/// Kills one daemon at one point, starts it again, and judges every job that was under way.
fn try_plan(cluster: &mut Cluster, plan: &Plan) -> Vec<JobView> {
    let trial = Trial::new(plan.flavour);
    cluster.daemon(&plan.daemon).kill();
    let armed = plan.armed();
    cluster.daemon(&plan.daemon).start_with(&[("VOTUM_CRASH_AT", &armed)]);
    let mut jobs: Vec<JobId> = Vec::new();
    // A point that each job passes once is passed twice by two jobs.
    for _ in 0..plan.visit.max(2) {
        trial.lay_out(cluster);
        let spec = trial.spec("crash", cluster);
        let (job, is_killed) = submit_and_wait(cluster, plan, &spec);
        let view = cluster.ended(&job);
        trial.judge(cluster, &view);
        let expected = match plan.flavour {
            Flavour::Commits | Flavour::Stumbles | Flavour::Saves => JobState::Committed,
            Flavour::Fails => JobState::Aborted,
        };
        assert_eq!(view.state, expected, "{plan}: {view:#?}");
        jobs.push(job);
        if is_killed {
            // What was acknowledged before is still there.
            return jobs.iter().map(|job| cluster.job(job)).collect();
        }
    }
    panic!("{plan} was never reached");
}

/// Hands a job in, and if its daemon dies at the point, starts it again.
fn submit_and_wait(cluster: &mut Cluster, plan: &Plan, spec: &votum_job::JobSpec) -> (JobId, bool) {
    match plan.role {
        // It may die before it answers; the client asks again under the same request id.
        Role::Coordinator => {
            let client = cluster.client().clone();
            let submission = SubmitJob {
                spec: spec.clone(),
                job: None,
                request: Some(votum_tests::request()),
                validate_only: false,
            };
            let submitting = cluster.spawn(async move { client.submit(&submission).await });
            let is_killed = restart_when_killed(cluster, plan, |_| submitting.is_finished());
            let submitted = cluster.block_on(submitting).unwrap().unwrap();
            let job = submitted.job.unwrap().job;
            let is_killed = is_killed || restart_when_killed(cluster, plan, has_ended(&job));
            (job, is_killed)
        }
        Role::Worker => {
            let job = cluster.submit(spec);
            let is_killed = restart_when_killed(cluster, plan, has_ended(&job));
            (job, is_killed)
        }
        Role::Supervisor => {
            let job = cluster.submit(spec);
            cluster.wait_for("an attempt is cut off", &job, is_interrupted);
            cluster.daemon(&plan.daemon).kill();
            cluster.daemon(&plan.daemon).start();
            (job, true)
        }
    }
}

/// Waits until the armed daemon is killed and starts it again, or until `is_over`.
fn restart_when_killed(
    cluster: &mut Cluster,
    plan: &Plan,
    is_over: impl Fn(&Cluster) -> bool,
) -> bool {
    let status = eventually("it is killed, or the job goes on without that", LIMIT, || {
        if let Some(status) = cluster.daemon(&plan.daemon).exited() {
            return Some(Some(status));
        }
        is_over(cluster).then_some(None)
    });
    // The last steps of a job follow its end: it is released, what it has staged goes, and that
    // is recorded.
    let last = |cluster: &mut Cluster| {
        eventually("it is killed, or nothing is staged any more", LIMIT, || {
            let status = cluster.daemon(&plan.daemon).exited();
            (status.is_some() || cluster.staged().is_empty()).then_some(status)
        })
    };
    let status = status.or_else(|| last(cluster));
    let status = status.or_else(|| cluster.daemon(&plan.daemon).exits_within(AFTER_THE_END));
    let Some(status) = status else { return false };
    assert_eq!(signal_of(status), Some(9), "{plan}: it ended by itself");
    cluster.daemon(&plan.daemon).start();
    true
}

fn has_ended(job: &JobId) -> impl Fn(&Cluster) -> bool {
    move |cluster| cluster.glance(job).is_some_and(|view| view.state.is_final())
}

fn is_interrupted(view: &JobView) -> bool {
    let mut attempts = view.tasks.iter().flat_map(|task| &task.attempts);
    attempts.any(|attempt| match &attempt.outcome {
        Some(Outcome::Failed(failure)) => failure.kind == FailureKind::Interrupted,
        Some(Outcome::Succeeded) | None => false,
    })
}

/// So many clusters at a time.
const LANES: usize = 2;
const LIMIT: Duration = Duration::from_mins(1);
/// What is recorded last of a job is recorded within this after nothing of it is staged any more.
const AFTER_THE_END: Duration = Duration::from_millis(400);
