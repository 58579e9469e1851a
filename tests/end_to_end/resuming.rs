//! Tasks that are interrupted go on from what they saved, there or elsewhere.

use std::{fs, path::PathBuf, time::Duration};

use votum_ids::{JobId, WorkerId};
use votum_job::{CheckpointPolicy, TaskSignal};
use votum_tests::{Cluster, JobDraft, SmallDisk, TaskDraft, Timing, eventually, programs};
use votum_wire::{CheckpointView, JobState, JobView, TaskView, operation::DrainWorker};

use crate::{hasty, not_run, open_gate, patient, wait_for_file};

#[test]
fn after_a_power_cut_less_than_one_interval_is_repeated() {
    let mut cluster = patient();
    let job = cluster.submit(&JobDraft::new("reboot").task(counting(&cluster).on("s1")).spec());
    wait_until_at_70_percent(&cluster, &job);
    cluster.cut_power("s1", &job);
    open_gate(&cluster, "gate");
    cluster.worker("s1").start();

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(counted(&cluster, &job), (1..=14).chain(11..=20).collect::<Vec<_>>());
    assert_eq!(result(&cluster, &view), undisturbed());
    wait_until_no_checkpoint_is_left(&cluster);
}

#[test]
fn a_task_goes_on_elsewhere_from_a_copy_of_its_checkpoint() {
    let mut cluster = hasty();
    let policy = CheckpointPolicy { replicate: true, ..CheckpointPolicy::default() };
    let job =
        cluster.submit(&JobDraft::new("replica").task(counting(&cluster).saves(policy)).spec());
    wait_until_at_70_percent(&cluster, &job);
    let saved = cluster.wait_for("two workers have checkpoint 2", &job, |view| {
        let saved = checkpoint(view);
        saved.is_some_and(|saved| saved.sequence == 2 && saved.workers.len() == 2)
    });
    let lost = task(&saved).worker.clone().unwrap();
    assert!(checkpoint(&saved).unwrap().workers.contains(&lost));
    cluster.cut_power(lost.as_str(), &job);
    open_gate(&cluster, "gate");

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_ne!(task(&view).worker, Some(lost.clone()));
    assert_eq!(counted(&cluster, &job), (1..=14).chain(11..=20).collect::<Vec<_>>());
    assert_eq!(result(&cluster, &view), undisturbed());

    // What is left on the first machine goes when it comes back.
    cluster.worker(lost.as_str()).start();
    wait_until_no_checkpoint_is_left(&cluster);
}

#[test]
fn a_task_goes_on_where_nobody_had_its_checkpoint() {
    let mut cluster = hasty();
    let policy = CheckpointPolicy { replicate: true, ..CheckpointPolicy::default() };
    let job = cluster.submit(&JobDraft::new("third").task(counting(&cluster).saves(policy)).spec());
    wait_until_at_70_percent(&cluster, &job);
    let saved = cluster.wait_for("two workers have checkpoint 2", &job, |view| {
        let saved = checkpoint(view);
        saved.is_some_and(|saved| saved.sequence == 2 && saved.workers.len() == 2)
    });
    let lost = task(&saved).worker.clone().unwrap();
    let holders = &checkpoint(&saved).unwrap().workers;
    let holder = holders.iter().find(|worker| **worker != lost).unwrap().clone();
    // The one with the copy gives it to others and runs nothing itself.
    let (reason, time_limit) = ("maintenance".to_owned(), None);
    let order = DrainWorker { worker: holder.clone(), time_limit, reason };
    cluster.block_on(cluster.client().drain_worker(&order)).unwrap();
    cluster.cut_power(lost.as_str(), &job);
    open_gate(&cluster, "gate");

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    let third = task(&view).worker.clone().unwrap();
    assert!(third != lost && third != holder, "{view:#?}");
    assert_eq!(counted(&cluster, &job), (1..=14).chain(11..=20).collect::<Vec<_>>());
    assert_eq!(result(&cluster, &view), undisturbed());
}

#[test]
fn a_full_disk_costs_a_checkpoint_and_not_the_one_before() {
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    fs::create_dir_all(cluster.checkpoints("s1")).unwrap();
    let disk = SmallDisk::mounted(&cluster.checkpoints("s1"), 4);
    if let Err(reason) = &disk {
        return not_run(reason);
    }
    cluster.start_all();
    let told = cluster.home().join("told");
    let counting = TaskDraft::new("count")
        .on("s1")
        .counted(&cluster.runs())
        .leaves("rows", "rows.txt")
        .runs("cd \"$VOTUM_CHECKPOINT_DIR\"")
        .runs("cat n 2> /dev/null && exec cp n \"$VOTUM_OUTPUT_ROWS\"")
        .runs("echo 1 > n; votum-report checkpoint")
        // More than is free: the copy ends half-way.
        .runs("echo 2 > n; head -c 8M /dev/zero > large")
        .runs(&format!("votum-report checkpoint 2> {0}.new || mv {0}.new {0}", told.display()))
        .runs(&wait_for_file(&cluster, "gate"))
        .publishes("rows.txt");
    let job = cluster.submit(&JobDraft::new("full").task(counting).spec());
    // It goes on, and knows why nothing was sealed.
    eventually("it is told", LIMIT, || told.exists().then_some(()));
    let why = fs::read_to_string(&told).unwrap();
    assert!(why.contains("No space left"), "{why}");
    let view = cluster.job(&job);
    assert_eq!(checkpoint(&view).unwrap().sequence, 1, "{view:#?}");
    assert_eq!(task(&view).attempts.len(), 1, "{view:#?}");
    cluster.cut_power("s1", &job);
    cluster.worker("s1").start();

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(result(&cluster, &view), "1\n");
    wait_until_no_checkpoint_is_left(&cluster);
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before() {
    let mut cluster = patient();
    let job = cluster.submit(&JobDraft::new("damage").task(counting(&cluster).on("s1")).spec());
    wait_until_at_70_percent(&cluster, &job);
    cluster.cut_power("s1", &job);
    let copies = cluster.checkpoints("s1").join(job.as_str()).join("count");
    let last = fs::read_dir(copies).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let rows = last.join("state/checkpoint/rows");
    fs::set_permissions(&rows, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(&rows, "these rows were never counted\n").unwrap();
    open_gate(&cluster, "gate");
    cluster.worker("s1").start();

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(counted(&cluster, &job), (1..=14).chain(6..=20).collect::<Vec<_>>());
    assert_eq!(result(&cluster, &view), undisturbed());
}

#[test]
fn steps_that_are_done_are_not_repeated_after_a_power_cut() {
    let mut cluster = patient();
    let gate = wait_for_file(&cluster, "gate");
    let ran = ran_file(&cluster);
    let step = |rest: &str| format!("echo $VOTUM_STEP >> {}\n{rest}\n", ran.display());
    let steps = [
        ("fetch", step("echo raw > scratch; echo 1 > \"$VOTUM_OUTPUT_ROWS\"")),
        ("clean", step(&format!("{gate}; cat scratch >> \"$VOTUM_OUTPUT_ROWS\""))),
        ("load", step("echo 3 >> \"$VOTUM_OUTPUT_ROWS\"")),
    ];
    let task = TaskDraft::of_steps("count", &steps).on("s1").leaves("rows", "rows.txt");
    let job = cluster.submit(&JobDraft::new("steps").task(task.publishes("rows.txt")).spec());
    let view =
        cluster.wait_for("the first step is durable", &job, |view| checkpoint(view).is_some());
    assert_eq!(checkpoint(&view).unwrap().steps, 1);
    let steps_run = || fs::read_to_string(&ran).unwrap_or_default();
    eventually("the second step runs", LIMIT, || steps_run().contains("clean").then_some(()));
    cluster.cut_power("s1", &job);
    open_gate(&cluster, "gate");
    cluster.worker("s1").start();

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(steps_run(), "fetch\nclean\nclean\nload\n");
    assert_eq!(result(&cluster, &view), "1\nraw\n3\n");
}

#[test]
fn a_signal_at_the_interval_asks_a_task_for_its_state() {
    let cluster = patient();
    let policy = CheckpointPolicy {
        every: Some(Duration::from_secs(1)),
        signal: Some(TaskSignal::Usr1),
        ..CheckpointPolicy::default()
    };
    let save = "echo 7 > n.new; mv n.new \"$VOTUM_CHECKPOINT_DIR/n\"; \
                echo checkpoint >> \"$VOTUM_REPORT\"";
    let task = TaskDraft::new("count")
        .on("s1")
        .saves(policy)
        .runs(&format!("trap '{save}' USR1"))
        .runs(&wait_for_file(&cluster, "gate"))
        .leaves("rows", "rows.txt")
        .runs("cp \"$VOTUM_CHECKPOINT_DIR/n\" \"$VOTUM_OUTPUT_ROWS\"")
        .publishes("rows.txt");
    let job = cluster.submit(&JobDraft::new("signal").task(task).spec());
    cluster.wait_for("its state is sealed", &job, |view| checkpoint(view).is_some());
    open_gate(&cluster, "gate");

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(result(&cluster, &view), "7\n");
}

#[test]
fn a_drained_worker_gives_back_all_that_was_done() {
    let cluster = patient();
    let policy = CheckpointPolicy {
        every: Some(Duration::from_hours(1)),
        signal: Some(TaskSignal::Usr1),
        ..CheckpointPolicy::default()
    };
    let never = wait_for_file(&cluster, "never");
    let draft = TaskDraft::new("count")
        .saves(policy)
        .attempts(1)
        .ends_within(Duration::from_hours(1), LIMIT)
        .runs("n=$(cat \"$VOTUM_CHECKPOINT_DIR/n\" 2> /dev/null || echo 0)")
        .runs("trap 'echo $n > \"$VOTUM_CHECKPOINT_DIR/n\"; votum-report checkpoint' USR1")
        .runs("while [ \"$n\" -lt 20 ]; do n=$((n + 1))")
        .runs(&format!("  echo $n >> {}", ran_file(&cluster).display()))
        .runs(&format!("  if [ $n = 14 ]; then {never}; fi"))
        .runs("done")
        .leaves("rows", "rows.txt")
        .runs("echo $n > \"$VOTUM_OUTPUT_ROWS\"")
        .publishes("rows.txt");
    let job = cluster.submit(&JobDraft::new("drained").task(draft).spec());
    eventually("it waits", LIMIT, || counted(&cluster, &job).contains(&14).then_some(()));
    let worker = task_worker(&cluster.job(&job));
    let reason = "another disk".to_owned();
    let order =
        DrainWorker { worker: worker.clone(), time_limit: Some(Duration::from_millis(1)), reason };
    cluster.block_on(cluster.client().drain_worker(&order)).unwrap();

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_ne!(task_worker(&view), worker);
    assert_eq!(task(&view).attempts.len(), 2);
    assert_eq!(counted(&cluster, &job), (1..=20).collect::<Vec<_>>());
    assert_eq!(result(&cluster, &view), "20\n");
}

/// A task that counts to 20, saves itself at every 5, and waits at 14 for a gate.
fn counting(cluster: &Cluster) -> TaskDraft {
    let gate = wait_for_file(cluster, "gate");
    TaskDraft::new("count")
        .leaves("rows", "rows.txt")
        .runs("n=$(cat \"$VOTUM_CHECKPOINT_DIR/n\" 2> /dev/null || echo 0)")
        .runs("cp \"$VOTUM_CHECKPOINT_DIR/rows\" \"$VOTUM_OUTPUT_ROWS\" 2> /dev/null || :")
        .runs("while [ \"$n\" -lt 20 ]; do")
        .runs("  n=$((n + 1))")
        .runs(&format!("  echo $n >> {}", ran_file(cluster).display()))
        .runs("  echo \"row $n\" >> \"$VOTUM_OUTPUT_ROWS\"")
        .runs(&format!("  if [ $n = 14 ]; then {gate}; fi"))
        .runs("  if [ $((n % 5)) = 0 ]; then")
        .runs("    cp \"$VOTUM_OUTPUT_ROWS\" \"$VOTUM_CHECKPOINT_DIR/rows\"")
        .runs("    echo $n > \"$VOTUM_CHECKPOINT_DIR/n\"")
        .runs("    votum-report checkpoint")
        .runs("  fi")
        .runs("done")
        .publishes("rows.txt")
}

/// What the counting task leaves when nothing happens to it.
fn undisturbed() -> String {
    (1..=20).map(|n| format!("row {n}\n")).collect()
}

fn ran_file(cluster: &Cluster) -> PathBuf {
    cluster.runs().join("ran")
}

fn counted(cluster: &Cluster, _job: &JobId) -> Vec<u32> {
    let text = fs::read_to_string(ran_file(cluster)).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

#[track_caller]
fn wait_until_at_70_percent(cluster: &Cluster, job: &JobId) {
    eventually("it has counted to 14", LIMIT, || counted(cluster, job).contains(&14).then_some(()));
    cluster.wait_for("the last checkpoint is known", job, |view| {
        checkpoint(view).is_some_and(|saved| saved.sequence == 2)
    });
}

#[track_caller]
fn wait_until_no_checkpoint_is_left(cluster: &Cluster) {
    eventually("no checkpoint is left", LIMIT, || {
        let empty = |worker| fs::read_dir(cluster.checkpoints(worker)).unwrap().next().is_none();
        ["s1", "s2", "s3"].into_iter().all(empty).then_some(())
    });
}

fn task(view: &JobView) -> &TaskView {
    &view.tasks[0]
}

fn task_worker(view: &JobView) -> WorkerId {
    task(view).worker.clone().expect("it was given to a worker")
}

fn checkpoint(view: &JobView) -> Option<&CheckpointView> {
    task(view).checkpoint.as_ref()
}

fn result(cluster: &Cluster, view: &JobView) -> String {
    let worker = task(view).worker.as_ref().unwrap();
    fs::read_to_string(cluster.root(worker.as_str()).join("rows.txt")).unwrap()
}

const LIMIT: Duration = Duration::from_mins(1);
