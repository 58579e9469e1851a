//! The metrics of real daemons follow what real jobs do.

use std::time::Duration;

use votum_tests::{Cluster, Exposition, JobDraft, Timing, eventually, free_port, programs};
use votum_wire::JobState;

#[test]
fn the_metrics_of_both_daemons_follow_two_jobs() {
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    let shown = format!("127.0.0.1:{}", free_port());
    cluster.worker("s1").add_argument(&format!("--metrics-listen={shown}"));
    cluster.start_all();
    let before = Exposition::of(cluster.address()).unwrap();
    let worker_before = Exposition::of(&shown).unwrap();

    let good = cluster.submit(&JobDraft::trio("good", "rows.txt", &cluster.runs()).spec());
    assert_eq!(cluster.ended(&good).state, JobState::Committed);
    let draft = JobDraft::trio_with("bad", "rows.txt", &cluster.runs(), "exit 3");
    let bad = cluster.submit(&draft.spec());
    assert_eq!(cluster.ended(&bad).state, JobState::Aborted);
    cluster.wait_until_staging_is_empty();

    let after = eventually("both jobs are closed", LIMIT, || {
        let seen = Exposition::of(cluster.address()).ok()?;
        (seen.sum("votum_job_duration_seconds_count", &[]) > 1.5).then_some(seen)
    });
    assert_counted(&before, &after);
    assert_standing(&after);
    let worker_after = Exposition::of(&shown).unwrap();
    assert_worker(&worker_before, &worker_after);
    for series in after.series().chain(worker_after.series()) {
        let of_a_job = [good.as_str(), bad.as_str()].iter().any(|job| series.contains(job));
        assert!(!of_a_job, "an id in a label: {series}");
    }
}

/// Checks what the coordinator has counted of one commit and one abort.
#[track_caller]
fn assert_counted(before: &Exposition, after: &Exposition) {
    for (series, more) in [
        ("votum_jobs_received_total", 2.0),
        ("votum_jobs_decided_total{outcome=\"COMMITTED\",cause=\"\"}", 1.0),
        ("votum_jobs_decided_total{outcome=\"ABORTED\",cause=\"EXIT_CODE\"}", 1.0),
        ("votum_job_duration_seconds_count{outcome=\"COMMITTED\"}", 1.0),
        ("votum_job_duration_seconds_count{outcome=\"ABORTED\"}", 1.0),
        ("votum_commit_phase_duration_seconds_count{phase=\"prepare\"}", 1.0),
        ("votum_commit_phase_duration_seconds_count{phase=\"decide\"}", 1.0),
        ("votum_commit_phase_duration_seconds_count{phase=\"apply\"}", 1.0),
        ("votum_votes_total{vote=\"yes\"}", 3.0),
        ("votum_store_records_total{urgency=\"forced\"}", 4.0),
    ] {
        let found = after.value(series) - before.value(series);
        assert!((found - more).abs() < 0.5, "{series} grew by {found}, not by {more}");
    }
    // Three of the good job; the bad one's first two may end before they are stopped.
    assert!(after.value("votum_task_attempts_total{outcome=\"STAGED\"}") >= 3.0);
    assert!(after.value("votum_task_attempts_total{outcome=\"EXIT_CODE\"}") >= 1.0);
    for series in [
        "votum_task_staged_bytes_total",
        "votum_store_written_bytes_total",
        "votum_store_flush_duration_seconds_count",
        "votum_decision_deliveries_total{decision=\"COMMIT\"}",
    ] {
        assert!(after.value(series) > before.value(series), "{series} does not grow");
    }
    let submits = ["service=\"votum.v1.JobService\"", "method=\"SubmitJob\"", "code=\"OK\""];
    let found = after.sum("votum_grpc_requests_total", &submits);
    assert!((found - 2.0).abs() < 0.5, "{found} submits");
    assert!(after.sum("votum_grpc_request_duration_seconds_count", &submits[..2]) > 1.5);
}

/// Checks what stands when everything is over.
#[track_caller]
fn assert_standing(after: &Exposition) {
    for (series, value) in [
        ("votum_workers{state=\"READY\"}", 3.0),
        ("votum_workers{state=\"LOST\"}", 0.0),
        ("votum_sessions_opened_total", 3.0),
        ("votum_jobs{state=\"RUNNING\"}", 0.0),
        ("votum_tasks{state=\"READY\"}", 0.0),
        ("votum_in_doubt_transactions", 0.0),
        ("votum_oldest_in_doubt_seconds", 0.0),
        ("votum_cases{kind=\"lost_participant\"}", 0.0),
        ("votum_jobs_mixed", 0.0),
        ("votum_log_stale", 0.0),
        ("votum_epoch", 1.0),
        ("votum_alarms_total", 0.0),
    ] {
        let found = after.value(series);
        assert!((found - value).abs() < 0.5, "{series} is {found}, not {value}");
    }
    assert!(after.value("votum_store_bytes") > 0.0);
    assert!(after.value("votum_recovery_duration_seconds") > 0.0);
    assert!(after.value("process_resident_memory_bytes") > 1e6);
}

/// Checks what a worker has counted of its parts of both jobs.
#[track_caller]
fn assert_worker(before: &Exposition, after: &Exposition) {
    assert!(after.value("votum_attempts_total{outcome=\"STAGED\"}") >= 1.0);
    for (series, value) in [
        ("votum_prepare_duration_seconds_count", 1.0),
        ("votum_publish_duration_seconds_count", 1.0),
        ("votum_session_up", 1.0),
        ("votum_slots", 4.0),
        ("votum_attempts_live", 0.0),
        ("votum_in_doubt_rounds", 0.0),
    ] {
        let found = after.value(series);
        assert!((found - value).abs() < 0.5, "{series} is {found}, not {value}");
    }
    for series in [
        "votum_staged_bytes_total",
        "votum_artifact_bytes_total{direction=\"out\"}",
        "votum_store_flush_duration_seconds_count",
    ] {
        assert!(after.value(series) > before.value(series), "{series} does not grow");
    }
    assert!(after.value("votum_shadow_free_bytes") > 0.0);
}

const LIMIT: Duration = Duration::from_mins(1);
