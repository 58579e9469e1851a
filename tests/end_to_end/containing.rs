//! Tasks that take more than they may: each is ended with the right error, and harms nobody else.

use std::{fs, time::Duration};

use votum_job::{Failure, FailureKind, HealthCheck, RESERVED_LABELS, Resources};
use votum_tests::{Cluster, JobDraft, TaskDraft, Visible};
use votum_wire::{JobState, Outcome};

use crate::patient;

#[test]
fn a_task_that_takes_all_memory_is_out_of_memory() {
    let cluster = patient();
    if !limits(&cluster, "memory") {
        return;
    }
    let resources = Resources { memory_bytes: Some(48 << 20), ..Resources::default() };
    let failure = failure_of(&cluster, hungry("exec tail /dev/zero").limited(resources));

    assert_eq!(failure.kind, FailureKind::OutOfMemory, "{failure:?}");
    assert!(failure.message.contains("limit of 48.0 MiB"), "{failure:?}");
    others_are_fine(&cluster);
}

#[test]
fn a_fork_bomb_stays_among_its_own_processes() {
    let cluster = patient();
    if !limits(&cluster, "processes") {
        return;
    }
    let resources = Resources { processes: Some(32), ..Resources::default() };
    // A session of its own each: no process group holds them together.
    let bomb =
        "bomb() { setsid sh -c \"$0\" & bomb | bomb & }; (bomb) 2> /dev/null & exec sleep 600";
    let bomb = hungry(bomb).limited(resources).ends_within(Duration::from_secs(3), SHORT);
    let failure = failure_of(&cluster, bomb);

    assert_eq!(failure.kind, FailureKind::TimedOut, "{failure:?}");
    others_are_fine(&cluster);
}

#[test]
fn a_fork_bomb_in_a_health_command_ends_with_its_task() {
    let cluster = patient();
    if !limits(&cluster, "processes") {
        return;
    }
    let resources = Resources { processes: Some(32), ..Resources::default() };
    let bomb =
        "bomb() { setsid sh -c \"$0\" & bomb | bomb & }; (bomb) 2> /dev/null & exec sleep 600";
    let health = HealthCheck {
        command: ["sh", "-c", bomb].map(str::to_owned).to_vec(),
        interval: SHORT,
        timeout: Duration::from_secs(4),
        failures: 2,
    };
    let task = hungry("exec sleep 600").limited(resources).checked_by(health);
    let failure = failure_of(&cluster, task);

    assert_eq!(failure.kind, FailureKind::Unhealthy, "{failure:?}");
    assert!(failure.message.ends_with("met the task's limit of processes"), "{failure:?}");
    others_are_fine(&cluster);
}

#[test]
fn an_output_of_ten_gigabytes_meets_its_disk_limit() {
    let cluster = patient();
    let resources = Resources { disk_bytes: Some(8 << 20), ..Resources::default() };
    let one_file = hungry("head -c 10G /dev/zero > \"$VOTUM_OUTPUT_ROWS\"").limited(resources);
    let many = "i=0; while :; do i=$((i+1)); head -c 2M /dev/zero > \"$VOTUM_OUTPUT_DIR/$i\"; \
                sleep 0.05; done";

    for task in [one_file, hungry(many).limited(resources)] {
        let failure = failure_of(&cluster, task);
        assert_eq!(failure.kind, FailureKind::DiskFull, "{failure:?}");
        assert!(failure.message.contains("limit of 8.0 MiB"), "{failure:?}");
    }
    cluster.wait_until_staging_is_empty();
    others_are_fine(&cluster);
}

#[test]
fn a_flood_of_output_is_cut_and_counted() {
    let mut cluster = patient();
    let settings = cluster.home().join("worker.toml");
    fs::write(&settings, "[tasks]\nlog_limit = \"1MiB\"\n").unwrap();
    cluster.worker("s1").kill();
    cluster.worker("s1").add_argument(&format!("--config={}", settings.display()));
    cluster.start_all();
    let flood = hungry("yes flood | head -c 300M; echo last; touch \"$VOTUM_OUTPUT_ROWS\"");
    let job = cluster.submit(&JobDraft::new("flood").task(flood).spec());

    others_are_fine(&cluster);

    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    let logs = cluster.home().join("s1/data/attempts").join(job.as_str());
    let attempt = fs::read_dir(logs).unwrap().next().unwrap().unwrap().path();
    let exit = fs::read_to_string(attempt.join("exit.json")).unwrap();
    assert!(exit.contains(&format!("\"stdout_bytes\":{}", 300 * (1 << 20) + 5)), "{exit}");
    let kept: u64 = fs::read_dir(&attempt)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("stdout.log"))
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert!((1..=1 << 20).contains(&kept), "{kept}");
}

#[test]
fn a_task_that_ignores_every_request_is_killed() {
    let cluster = patient();
    let deaf = "trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM; sleep 600' & \
                while :; do sleep 600 || :; done";
    let deaf = hungry(deaf).ends_within(Duration::from_secs(2), Duration::from_millis(500));
    let failure = failure_of(&cluster, deaf);

    assert_eq!(failure.kind, FailureKind::TimedOut, "{failure:?}");
    others_are_fine(&cluster);
}

/// A task of one attempt, which would publish something if it succeeded.
fn hungry(script: &str) -> TaskDraft {
    TaskDraft::new("hungry").on("s1").attempts(1).leaves("rows", "rows").runs(script)
}

/// Runs a job of the task, which fails, and returns why; nothing of it is left.
fn failure_of(cluster: &Cluster, task: TaskDraft) -> Failure {
    let job = cluster.submit(&JobDraft::new("hungry").task(task).spec());
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Aborted, "{view:#?}");
    cluster.wait_until_nothing_runs(&job);
    let [attempt] = view.tasks[0].attempts.as_slice() else { panic!("{:#?}", view.tasks[0]) };
    let Some(Outcome::Failed(failure)) = &attempt.outcome else { panic!("{attempt:#?}") };
    failure.clone()
}

/// Runs a job on all workers, as if nothing had happened on one of them.
fn others_are_fine(cluster: &Cluster) {
    let job = cluster.submit(&JobDraft::trio("other", "other.txt", &cluster.runs()).spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    assert_eq!(cluster.visible(&job, "other.txt"), Visible::Everything);
}

/// Says whether the workers of this machine can limit something.
#[expect(clippy::print_stdout, reason = "a test that cannot run says so")]
fn limits(cluster: &Cluster, what: &str) -> bool {
    let workers = cluster.block_on(cluster.client().workers()).unwrap();
    let label = format!("{RESERVED_LABELS}limit.{what}");
    let can = workers.iter().all(|worker| worker.labels.contains_key(&label));
    if !can {
        println!("NOT RUN: no control group can limit {what} here");
    }
    can
}

const SHORT: Duration = Duration::from_millis(300);
