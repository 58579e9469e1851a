//! Tasks that run as another user: they work as any other, and touch nothing of the worker's.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    time::Duration,
};

use votum_job::{HealthCheck, TASK_USER_LABEL};
use votum_tests::{Cluster, JobDraft, TaskDraft, Timing, eventually, programs};
use votum_wire::JobState;

use crate::{not_run, open_gate, wait_for_file};

#[test]
fn a_job_of_another_user_resumes_and_publishes() {
    let Some(mut cluster) = of_nobody() else { return };
    let gate = wait_for_file(&cluster, "gate");
    let ran = for_nobody(&cluster.runs().join("ran"));
    let who = "id -un; echo $USER $LOGNAME $HOME $SHELL; grep NoNewPrivs /proc/self/status";
    let step = |rest: &str| format!("echo $VOTUM_STEP >> {}\n{rest}\n", ran.display());
    let steps = [
        ("fetch", step(&format!("({who}) > scratch; votum-report progress 1/3 steps"))),
        ("clean", step(&format!("{gate}; cat scratch > \"$VOTUM_OUTPUT_ROWS\""))),
        ("save", step("echo 7 > \"$VOTUM_CHECKPOINT_DIR/n\"; votum-report checkpoint")),
    ];
    let task = TaskDraft::of_steps("count", &steps).on("s1").leaves("rows", "deep/rows.txt");
    let mut spec = JobDraft::new("steps").task(task.publishes("rows.txt")).spec();
    let healthy = for_nobody(&cluster.runs().join("healthy"));
    for task in spec.tasks.values_mut() {
        task.health = Some(health(&format!("id -un >> {}", healthy.display())));
    }
    let job = cluster.submit(&spec);
    cluster.wait_for("the first step is durable", &job, |view| {
        view.tasks[0].checkpoint.is_some() && view.tasks[0].report.is_some()
    });
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    eventually("the second step runs", LIMIT, || read(&ran).contains("clean").then_some(()));
    eventually("its health was asked", LIMIT, || read(&healthy).contains('\n').then_some(()));
    cluster.cut_power("s1", &job);
    open_gate(&cluster, "gate");
    cluster.worker("s1").start();

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    assert_eq!(read(&ran), "fetch\nclean\nclean\nsave\n");
    assert!(read(&healthy).lines().all(|name| name == "nobody"));
    let rows = cluster.root("s1").join("rows.txt");
    let text = read(&rows);
    let [name, variables, privileges] = text.lines().collect::<Vec<_>>()[..] else {
        panic!("{text}");
    };
    assert_eq!((name, privileges), ("nobody", "NoNewPrivs:\t1"));
    assert!(variables.starts_with("nobody nobody /"), "{variables}");
    assert_eq!(owner_and_mode(&fs::canonicalize(&rows).unwrap()), (0, 0o444));
    let shown = cluster.shown("s1").unwrap();
    assert_eq!(shown.labels.get(TASK_USER_LABEL).map(String::as_str), Some("nobody"));
    cluster.wait_until_staging_is_empty();
}

#[test]
fn what_one_task_keeps_private_its_consumers_can_read() {
    let Some(cluster) = of_nobody() else { return };
    let private = TaskDraft::new("make")
        .on("s1")
        .leaves("rows", "rows.txt")
        .runs("umask 077; echo kept > \"$VOTUM_OUTPUT_ROWS\"");
    let reader = |id: &str, worker: &str| {
        let reader = TaskDraft::new(id).on(worker).reads("rows", "make", "rows");
        reader.leaves("sum", id).runs("cat \"$VOTUM_INPUT_ROWS\" > \"$VOTUM_OUTPUT_SUM\"")
    };
    let draft = JobDraft::new("private").task(private);
    let draft = draft.task(reader("here", "s1").publishes("here.txt"));
    let job = cluster.submit(&draft.task(reader("there", "s2").publishes("there.txt")).spec());

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    for (worker, target) in [("s1", "here.txt"), ("s2", "there.txt")] {
        assert_eq!(fs::read_to_string(cluster.root(worker).join(target)).unwrap(), "kept\n");
    }
}

#[test]
fn a_task_of_another_user_cannot_touch_what_is_not_its_own() {
    let Some(cluster) = of_nobody() else { return };
    let sealed = TaskDraft::new("sealed").on("s1").writes("rows", "rows.txt").publishes("rows.txt");
    let waiting = TaskDraft::new("waiting").on("s1").runs(&wait_for_file(&cluster, "gate"));
    let victim = cluster.submit(&JobDraft::new("victim").task(sealed).task(waiting).spec());
    eventually("its output is sealed", LIMIT, || {
        (cluster.sealings(&victim, "sealed") == 1).then_some(())
    });
    let data = cluster.data_dir("s1");
    let staged = only_entry(&cluster.staging("s1").join(victim.as_str()), "sealed.");
    let attempt = only_entry(&data.join("attempts").join(victim.as_str()), "waiting.");
    let (data, staged, attempt) = (data.display(), staged.display(), attempt.display());
    let attempts = [
        format!("echo x >> {staged}/out/rows.txt"),
        format!("rm -f {staged}/out/rows.txt"),
        format!("mv {staged}/out/rows.txt {staged}/out/other"),
        format!("mv {staged}/out {staged}/out2"),
        format!("echo x > {staged}/sealed.json"),
        format!("cat {attempt}/order.json"),
        format!("echo x > {attempt}/exit.json"),
        format!("rm -f {attempt}/launch.json"),
        format!("ls {attempt}"),
        format!("ls {data}"),
        format!("ls {data}/journal"),
        format!("ls {data}/checkpoints"),
        format!("cat {data}/read-token.key"),
        format!("echo x > {data}/bin/votum-report"),
        format!("echo x > {data}/lease.json"),
        "kill $PPID".to_owned(),
        "ls ../..".to_owned(),
    ];
    let mut hostile = TaskDraft::new("hostile").on("s1").leaves("done", "done.txt");
    hostile = hostile.runs(": > \"$VOTUM_OUTPUT_DONE\"");
    for (number, attempt) in (1..).zip(&attempts) {
        let line = format!("({attempt}) > /dev/null 2>&1 && echo {number} >> $VOTUM_OUTPUT_DONE");
        hostile = hostile.runs(&format!("{line} || :"));
    }
    let hostile = cluster.submit(&JobDraft::new("hostile").task(hostile.publishes("done")).spec());

    assert_eq!(cluster.ended(&hostile).state, JobState::Committed);
    let done = fs::read_to_string(cluster.root("s1").join("done")).unwrap();
    let done: Vec<&String> =
        done.lines().map(|number| &attempts[number.parse::<usize>().unwrap() - 1]).collect();
    assert!(done.is_empty(), "it could: {done:#?}");
    open_gate(&cluster, "gate");
    assert_eq!(cluster.ended(&victim).state, JobState::Committed);
    let rows = fs::read_to_string(cluster.root("s1").join("rows.txt")).unwrap();
    assert!(rows.starts_with(&format!("job={victim} task=sealed")), "{rows}");
}

#[test]
fn a_task_goes_on_as_who_it_was_over_restarts() {
    let Some(mut cluster) = of_nobody() else { return };
    let gate = cluster.home().join("gate");
    let (up, gate) = (for_nobody(&cluster.runs().join("up")), gate.display());
    let task = TaskDraft::new("goes")
        .on("s1")
        .attempts(1)
        .leaves("rows", "rows.txt")
        // Every path is looked up anew: one refusal ends the script.
        .runs(&format!("while [ ! -e {gate} ]; do"))
        .runs("  echo row >> \"$VOTUM_OUTPUT_ROWS\"; sleep 0.005")
        .runs(&format!("  echo up >> {}", up.display()))
        .runs("done; id -un > \"$VOTUM_OUTPUT_ROWS\"");
    let job = cluster.submit(&JobDraft::new("goes").task(task.publishes("rows.txt")).spec());
    let written = || fs::read_to_string(&up).unwrap().lines().count();
    for user in ["nobody", "nobody", "nobody", "daemon"] {
        let before = written();
        eventually("it goes on", LIMIT, || (written() > before + 10).then_some(()));
        cluster.worker("s1").kill();
        cluster.worker("s1").set_variable("VOTUM_TASK_USER", user);
        cluster.start_all();
    }
    open_gate(&cluster, "gate");

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    let rows = cluster.root("s1").join("rows.txt");
    assert_eq!(fs::read_to_string(&rows).unwrap(), "nobody\n");
    assert_eq!(owner_and_mode(&fs::canonicalize(&rows).unwrap()), (0, 0o444));
    let next = TaskDraft::new("next").on("s1").leaves("rows", "rows.txt");
    let next = next.runs("id -un > \"$VOTUM_OUTPUT_ROWS\"").publishes("next.txt");
    let next = cluster.submit(&JobDraft::new("next").task(next).spec());
    assert_eq!(cluster.ended(&next).state, JobState::Committed);
    let name = fs::read_to_string(cluster.root("s1").join("next.txt")).unwrap();
    assert_eq!(name, "daemon\n");
}

#[test]
fn cancelling_ends_the_whole_tree_of_another_user() {
    let Some(cluster) = of_nobody() else { return };
    let up = for_nobody(&cluster.runs().join("up"));
    let told = for_nobody(&cluster.runs().join("told"));
    let task = TaskDraft::new("tree")
        .on("s1")
        .runs(&format!("trap 'cat $VOTUM_CANCEL_FILE > {}' TERM", told.display()))
        .runs("setsid sh -c 'trap \"\" TERM; while :; do sleep 600; done' &")
        .runs(&format!("echo up > {}", up.display()))
        .runs("while :; do sleep 0.05; done")
        .ends_within(Duration::from_mins(10), Duration::from_secs(3));
    let job = cluster.submit(&JobDraft::new("tree").task(task).spec());
    eventually("it runs", LIMIT, || fs::read_to_string(&up).ok()?.contains("up").then_some(()));

    cluster.block_on(cluster.client().cancel(&job, "wrong date")).unwrap();

    assert_eq!(cluster.ended(&job).state, JobState::Aborted);
    cluster.wait_until_nothing_runs(&job);
    assert_eq!(fs::read_to_string(&told).unwrap(), "cancelled: wrong date");
    cluster.wait_until_staging_is_empty();
}

#[test]
fn a_worker_does_not_start_if_tasks_cannot_run_as_named() {
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    let mut cases =
        vec![("s1", "no-such-user", "there is no such user"), ("s2", "root", "who is root")];
    if is_root() {
        let away = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        cluster.worker("s3").wrap(&["setpriv", away[0], away[1], away[2]]);
        cases.push(("s3", "daemon", "the worker does not run as root"));
    } else {
        cases = vec![("s1", "daemon", "the worker does not run as root")];
    }
    for (worker, user, complaint) in cases {
        let daemon = cluster.worker(worker);
        daemon.add_argument(&format!("--task-user={user}"));
        daemon.start();
        let status = daemon.wait_for_exit(LIMIT);
        let log = daemon.log();
        if log.contains("setpriv: failed to execute") {
            not_run("another user may not run the worker's program here");
            continue;
        }
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(complaint) && log.contains(user), "{log}");
    }
}

/// Starts a cluster whose tasks run as nobody, if that is possible here.
fn of_nobody() -> Option<Cluster> {
    if !is_root() {
        not_run("only root can run tasks as another user");
        return None;
    }
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    for dir in [cluster.home(), &cluster.runs()] {
        fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
    }
    for worker in ["s1", "s2", "s3"] {
        cluster.worker(worker).set_variable("VOTUM_TASK_USER", "nobody");
    }
    cluster.start_all();
    Some(cluster)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes an empty file that tasks can write.
fn for_nobody(path: &Path) -> PathBuf {
    fs::write(path, "").unwrap();
    chown(path, Some(NOBODY), None).unwrap();
    path.to_owned()
}

fn health(script: &str) -> HealthCheck {
    HealthCheck {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(30),
        failures: 3,
    }
}

/// Returns the one thing in a directory whose name begins like this.
fn only_entry(dir: &Path, beginning: &str) -> PathBuf {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let begins = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(beginning);
    let mut found = entries.filter(|entry| begins(&entry.file_name()));
    let first = found.next().unwrap().path();
    assert!(found.next().is_none());
    first
}

fn owner_and_mode(path: &Path) -> (u32, u32) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.uid(), metadata.mode() & 0o7777)
}

const NOBODY: u32 = 65534;
const LIMIT: Duration = Duration::from_mins(1);
