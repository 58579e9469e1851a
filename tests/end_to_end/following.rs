//! Logs that somebody follows while daemons come and go.

use std::{collections::BTreeMap, time::Duration};

use tokio::sync::mpsc;
use votum_client::ClientError;
use votum_ids::{JobId, TaskId};
use votum_job::Trigger;
use votum_tests::{Cluster, JobDraft, TaskDraft, eventually};
use votum_wire::{
    JobState, LogPiece, LogStream, Reason,
    names::{Scope, TaskScope},
    request::TailLogs,
};

use crate::{open_gate, patient, settling::settled, wait_for_file};

#[test]
fn restarts_neither_lose_nor_repeat_a_followed_byte() {
    let mut cluster = patient();
    let job = cluster.submit(&JobDraft::new("counts").task(counting(&cluster)).spec());
    let mut followed = follow(&cluster, &job);
    followed.until_more_is_seen();

    cluster.worker("s1").kill();
    cluster.worker("s1").start();
    followed.until_more_is_seen();
    cluster.coordinator().kill();
    cluster.coordinator().start();
    followed.until_more_is_seen();
    cluster.worker("s1").kill();
    cluster.coordinator().kill();
    cluster.start_all();
    followed.until_more_is_seen();
    open_gate(&cluster, "gate");
    let texts = followed.until_the_end(&cluster);

    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    let numbers: Vec<u32> = texts["counts/1"].lines().map(|line| line.parse().unwrap()).collect();
    let expected = 1..=u32::try_from(numbers.len()).unwrap();
    assert!(numbers.iter().copied().eq(expected), "a gap or a repetition: {numbers:?}");
    assert_eq!(cluster.job(&job).tasks[0].attempts.len(), 1);
}

#[test]
fn attempts_appear_while_all_tasks_are_followed() {
    let cluster = patient();
    let failing = |name, worker| {
        TaskDraft::new(name)
            .on(worker)
            .runs("echo \"$VOTUM_TASK_ID try $VOTUM_ATTEMPT\"")
            .runs("if [ $VOTUM_ATTEMPT = 1 ]; then exit 1; fi")
            .runs(&wait_for_file(&cluster, "gate"))
    };
    let draft = JobDraft::new("merged").task(failing("left", "s1")).task(failing("right", "s2"));
    let job = cluster.submit(&draft.spec());
    let mut followed = follow(&cluster, &job);
    eventually("each second attempt is heard while it runs", LIMIT, || {
        followed.receive();
        ["left/2", "right/2"].iter().all(|one| followed.texts.contains_key(*one)).then_some(())
    });
    open_gate(&cluster, "gate");

    let texts = followed.until_the_end(&cluster);

    for (task, number) in [("left", 1), ("left", 2), ("right", 1), ("right", 2)] {
        assert_eq!(texts[&format!("{task}/{number}")], format!("{task} try {number}\n"));
    }
}

/// A task that counts quickly until the gate opens.
#[test]
fn what_is_tried_around_the_decision_has_logs_too() {
    let cluster = patient();
    let acts = TaskDraft::new("reserve").on("s1").runs("echo reserved").compensated("echo freed");
    let fails = TaskDraft::new("pay").needs("reserve").attempts(1).runs("exit 7");
    let draft = JobDraft::new("undone").task(acts).task(fails);
    let job = cluster.submit(&draft.effect("page", Trigger::Abort, "echo paged").spec());
    let read = |task: &str, follow| {
        let task = TaskScope { task: TaskId::new(task).unwrap(), number: None };
        let scope = Scope { job: job.clone(), task: Some(task) };
        let stream = Some(LogStream::Stdout);
        let wanted =
            TailLogs { scope, follow, tail_lines: None, stream, since: None, timed: false };
        let mut logs = cluster.client().logs(wanted);
        let mut texts = BTreeMap::new();
        while let Some(piece) = cluster.block_on(logs.next()) {
            let LogPiece { attempt, data, .. } = piece.unwrap();
            let name = attempt.to_string().replace(job.as_str(), "J");
            *texts.entry(name).or_insert_with(String::new) += str::from_utf8(&data).unwrap();
        }
        texts
    };
    let texts = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };

    let followed: BTreeMap<String, String> = read("page", true);
    settled(&cluster, &job);

    assert_eq!(followed, texts(&[("jobs/J/effects/page/attempts/1", "paged\n")]));
    assert_eq!(
        read("reserve", false),
        texts(&[
            ("jobs/J/tasks/reserve/attempts/1", "reserved\n"),
            ("jobs/J/compensations/reserve/attempts/1", "freed\n"),
        ])
    );
}

#[test]
fn a_silent_worker_hides_no_log_of_another() {
    let mut cluster = patient();
    let says = |name: &str, worker| TaskDraft::new(name).on(worker).runs(&format!("echo {name}"));
    let draft = JobDraft::new("silence").task(says("left", "s1")).task(says("right", "s2"));
    let job = cluster.submit(&draft.spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);

    cluster.worker("s1").freeze();
    let mut logs = cluster.client().logs(TailLogs {
        scope: Scope::job(job.clone()),
        follow: false,
        tail_lines: None,
        stream: None,
        since: None,
        timed: false,
    });
    let piece = cluster.block_on(logs.next()).unwrap().unwrap();
    let refused = cluster.block_on(logs.next()).unwrap();
    cluster.worker("s1").thaw();

    assert_eq!((piece.attempt.task.as_str(), &*piece.data), ("right", b"right\n".as_slice()));
    match refused {
        Err(ClientError::Refused(problem)) => {
            assert_eq!(problem.reason, Reason::WorkerUnreachable);
            assert!(problem.message.contains("s1"), "{problem}");
        }
        other => panic!("a worker stood still, and nobody said so: {other:?}"),
    }
}

fn counting(cluster: &Cluster) -> TaskDraft {
    let gate = cluster.home().join("gate");
    TaskDraft::new("counts").on("s1").runs("i=0").runs(&format!(
        "while [ ! -e {} ]; do i=$((i+1)); echo $i; sleep 0.01; done",
        gate.display()
    ))
}

/// What a client that follows has received.
struct Followed {
    pieces: mpsc::Receiver<LogPiece>,
    /// By task and attempt.
    texts: BTreeMap<String, String>,
}

fn follow(cluster: &Cluster, job: &JobId) -> Followed {
    let wanted = TailLogs {
        scope: Scope::job(job.clone()),
        follow: true,
        tail_lines: None,
        stream: Some(LogStream::Stdout),
        since: None,
        timed: false,
    };
    let mut logs = cluster.client().logs(wanted);
    let (sender, pieces) = mpsc::channel(1024);
    cluster.spawn(async move {
        while let Some(piece) = logs.next().await {
            // An unreachable coordinator is asked again: the logs go on where they broke off.
            if let Ok(piece) = piece
                && sender.send(piece).await.is_err()
            {
                return;
            }
        }
    });
    Followed { pieces, texts: BTreeMap::new() }
}

impl Followed {
    fn receive(&mut self) {
        while let Ok(piece) = self.pieces.try_recv() {
            self.add(&piece);
        }
    }

    fn add(&mut self, piece: &LogPiece) {
        let name = format!("{}/{}", piece.attempt.task, piece.attempt.number);
        let text = self.texts.entry(name).or_default();
        assert_eq!(piece.offset, text.len() as u64, "a gap or a repetition in {piece:?}");
        text.push_str(std::str::from_utf8(&piece.data).unwrap());
    }

    fn seen(&self) -> usize {
        self.texts.values().map(String::len).sum()
    }

    #[track_caller]
    fn until_more_is_seen(&mut self) {
        let before = self.seen();
        eventually("more is heard", LIMIT, || {
            self.receive();
            (self.seen() > before).then_some(())
        });
    }

    fn until_the_end(mut self, cluster: &Cluster) -> BTreeMap<String, String> {
        while let Some(piece) = cluster.block_on(self.pieces.recv()) {
            self.add(&piece);
        }
        self.texts
    }
}

const LIMIT: Duration = Duration::from_mins(1);
