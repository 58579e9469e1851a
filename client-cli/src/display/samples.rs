//! Jobs for tests of what people see: the nightly pipeline at several moments.

use std::time::Duration;

use uuid::Uuid;
use votum_commit::{Cause, Decision, Objection, Vote};
use votum_ids::{Digest, Epoch, FencingToken};
use votum_job::{Amount, Failure, FailureKind, Progress, SelfReport};
use votum_machine::WallTime;
use votum_wire::{
    CaseAction, HookKind, HookState, HookView, ResolutionView, TrialOutcome, TrialView,
    view::{
        AttemptView, JobHolder, JobState, JobView, Outcome, OutputState, OutputView,
        ParticipantView, QuarantineView, RecordDamage, ReportView, TaskState, TaskView,
        WorkerDamage,
    },
};

/// 2026-11-21 01:00:00 UTC: when every sample job was received.
pub(crate) const RECEIVED: WallTime = WallTime(1_795_222_800_000);

/// Returns a moment after [`RECEIVED`].
pub(crate) fn at(seconds: u64) -> WallTime {
    RECEIVED.after(Duration::from_secs(seconds))
}

/// A job one of whose records cannot be read.
pub(crate) fn quarantined() -> JobView {
    let holder = |worker: &str, holding: &str| JobHolder {
        worker: worker.parse().unwrap(),
        holding: holding.to_owned(),
    };
    JobView {
        state: JobState::Quarantined,
        state_message: "record 5 of 9 cannot be read; nothing of it is run, decided or discarded"
            .to_owned(),
        quarantine: Some(QuarantineView {
            records: 9,
            damages: vec![RecordDamage {
                number: 5,
                lsn: 812,
                version: 1,
                kind: Some("ended".to_owned()),
                forced: true,
                problem: "it cannot be decoded: missing field `end`".to_owned(),
            }],
            last_state: Some(JobState::Running),
            last_recorded: Some(at(3)),
            holders: vec![
                holder("s1", "lists 1 attempt that ended"),
                holder("s2", "had part in it, says the log"),
            ],
        }),
        worker_damages: vec![WorkerDamage {
            worker: "s3".parse().unwrap(),
            problem: "record 2 of 4 cannot be read: it cannot be decoded".to_owned(),
        }],
        ..received("sales-k3f9x2ab")
    }
}

/// A job nothing has happened to.
pub(crate) fn received(job: &str) -> JobView {
    let (name, _) = job.rsplit_once('-').unwrap();
    JobView {
        job: job.parse().unwrap(),
        uid: Uuid::from_u128(0x01a1_f3c2),
        display_name: name.to_owned(),
        spec: None,
        state: JobState::Received,
        state_message: "waits for its first task".to_owned(),
        decision: None,
        cause: None,
        tasks: ["extract", "load", "report"].map(|name| task(name, TaskState::Waiting)).into(),
        participants: Vec::new(),
        created: RECEIVED,
        started: None,
        prepared: None,
        decided: None,
        ended: None,
        creator: "ana".to_owned(),
        pause: None,
        further_pauses: Vec::new(),
        rescued_from: None,
        kept_until: None,
        kept_release: None,
        rescued_by: None,
        quarantine: None,
        queue: None,
        worker_damages: Vec::new(),
        hooks: Vec::new(),
        forced: Vec::new(),
        held_back: Vec::new(),
        approval: None,
        dry_vote: None,
    }
}

/// One task runs, two wait.
pub(crate) fn running() -> JobView {
    let mut view = received("nightly-sales-k3f9x2ab");
    view.state = JobState::Running;
    view.state_message = "1 task runs".to_owned();
    run(&mut view.tasks[0], "s1", 2);
    view
}

/// One task runs for the sixth time; what became of the fourth and the fifth is known.
pub(crate) fn retried() -> JobView {
    let mut view = running();
    let task = &mut view.tasks[0];
    let (first, third) = (task.attempts[0].clone(), "s3".parse().unwrap());
    let failed = |kind, message: &str| {
        let (message, stderr_tail) = (message.to_owned(), String::new());
        Some(Outcome::Failed(Failure { kind, message, stderr_tail }))
    };
    task.omitted_attempts = 3;
    task.attempts = vec![
        AttemptView {
            number: 4,
            ended: Some(at(30)),
            outcome: failed(FailureKind::ExitCode(65), "exit code 65"),
            ..first.clone()
        },
        AttemptView {
            number: 5,
            worker: "s2".parse().unwrap(),
            started: None,
            ended: Some(at(40)),
            outcome: failed(FailureKind::WorkerLost, "its worker was lost"),
            ..first.clone()
        },
        AttemptView { number: 6, worker: third, started: Some(at(42)), ..first },
    ];
    task.worker = Some(task.attempts[2].worker.clone());
    view
}

/// One task runs and says how far it is.
pub(crate) fn reporting() -> JobView {
    let mut view = running();
    let amount = Amount::Counted { done: 7, total: 17, unit: "pages".to_owned() };
    view.tasks[0].report = Some(ReportView {
        report: SelfReport {
            progress: Some(Progress { amount, message: "page 7".to_owned() }),
            warnings: 1,
            last_warning: "page 6 was slow".to_owned(),
            ..SelfReport::default()
        },
        at: at(60),
        rate: Some(120_000),
        end: Some(at(143)),
    });
    view
}

/// Everything is staged; one vote is missing.
pub(crate) fn preparing() -> JobView {
    let mut view = running();
    view.state = JobState::Preparing;
    view.state_message = "votes are collected".to_owned();
    for (task, (worker, seconds)) in
        view.tasks.iter_mut().zip([("s1", 242), ("s3", 37), ("s2", 118)])
    {
        run(task, worker, 2);
        stage(task, seconds);
    }
    view.participants = vec![
        ParticipantView {
            worker: "s1".parse().unwrap(),
            vote: Some(Vote::ReadOnly),
            acknowledged: false,
        },
        ParticipantView {
            worker: "s2".parse().unwrap(),
            vote: Some(Vote::Yes),
            acknowledged: false,
        },
        ParticipantView { worker: "s3".parse().unwrap(), vote: None, acknowledged: false },
    ];
    view
}

/// Everything is visible.
pub(crate) fn committed() -> JobView {
    let mut view = preparing();
    view.state = JobState::Committed;
    view.decision = Some(Decision::Commit);
    view.decided = Some(at(403));
    view.ended = Some(at(404));
    for task in &mut view.tasks {
        task.state = TaskState::Committed;
        for output in &mut task.outputs {
            output.state = OutputState::Published;
        }
    }
    for participant in &mut view.participants {
        participant.vote.get_or_insert(Vote::Yes);
        participant.acknowledged = true;
    }
    view
}

/// The last task failed.
pub(crate) fn aborted() -> JobView {
    let mut view = preparing();
    view.state = JobState::Aborted;
    view.decision = Some(Decision::Abort);
    view.decided = Some(at(1102));
    view.ended = Some(at(1102));
    view.cause = Some(Cause {
        reason: "EXIT_CODE".to_owned(),
        message: "task load failed: exit code 65 after 3 attempts on s3".to_owned(),
        by: "votum".to_owned(),
    });
    view.participants.clear();
    for task in &mut view.tasks {
        task.state = TaskState::Discarded;
        for output in &mut task.outputs {
            output.state = OutputState::Discarded;
        }
    }
    let load = &mut view.tasks[1];
    load.state = TaskState::Failed;
    load.outputs.clear();
    load.attempts[0].outcome = Some(Outcome::Failed(Failure {
        kind: FailureKind::ExitCode(65),
        message: "exit code 65".to_owned(),
        stderr_tail: "reading rows\nrow 88213: bad currency code 'ZZZ'\n".to_owned(),
    }));
    view
}

/// The last task failed; effects and compensations are under way.
pub(crate) fn settling() -> JobView {
    let mut view = aborted();
    let trial = |number, worker: Option<&str>, outcome, message: &str| TrialView {
        number,
        worker: worker.map(|worker| worker.parse().unwrap()),
        ended: at(1_105),
        outcome,
        message: message.to_owned(),
    };
    let failed = |number, worker| trial(number, Some(worker), TrialOutcome::Failed, "exit code 7");
    let mut page = hook("page", HookKind::Effect, HookState::Due, 1);
    page.next = Some(at(1_122));
    page.trials = vec![trial(1, None, TrialOutcome::Unknown, "no answer within 10 s")];
    let mut load = hook("load", HookKind::Compensation, HookState::Parked, 3);
    load.trials = vec![failed(2, "s2"), failed(3, "s3")];
    let mut post = hook("post", HookKind::Effect, HookState::Running, 1);
    post.worker = Some("s1".parse().unwrap());
    let mut tell = hook("tell", HookKind::Effect, HookState::Closed, 2);
    tell.trials = vec![failed(2, "s1")];
    tell.resolution = Some(ResolutionView {
        action: CaseAction::GiveUp,
        by: "ana".to_owned(),
        reason: "the receiver is gone".to_owned(),
        at: at(1_108),
    });
    let extract = hook("extract", HookKind::Compensation, HookState::Waiting, 0);
    view.hooks = vec![extract, load, page, post, tell];
    view
}

fn hook(name: &str, kind: HookKind, state: HookState, tries: u32) -> HookView {
    HookView {
        hook: name.parse().unwrap(),
        kind,
        state,
        tries,
        worker: None,
        next: None,
        trials: Vec::new(),
        attempts: Vec::new(),
        resolution: None,
    }
}

/// A worker voted No.
pub(crate) fn voted_down() -> JobView {
    let mut view = preparing();
    view.participants[2].vote = Some(Vote::No(Objection::Failed {
        reason: "TARGET_EXISTS".to_owned(),
        message: "/srv/load exists".to_owned(),
    }));
    view
}

fn task(name: &str, state: TaskState) -> TaskView {
    TaskView {
        task: name.parse().unwrap(),
        state,
        worker: None,
        attempts: Vec::new(),
        omitted_attempts: 0,
        outputs: Vec::new(),
        retry_at: None,
        report: None,
        checkpoint: None,
        waits: None,
    }
}

fn run(task: &mut TaskView, worker: &str, started: u64) {
    task.state = TaskState::Running;
    task.worker = Some(worker.parse().unwrap());
    task.attempts = vec![AttemptView {
        number: 1,
        worker: worker.parse().unwrap(),
        token: FencingToken { epoch: Epoch(1), counter: 1 },
        started: Some(at(started)),
        ended: None,
        outcome: None,
        usage: None,
    }];
}

fn stage(task: &mut TaskView, seconds: u64) {
    task.state = TaskState::Staged;
    task.attempts[0].ended =
        task.attempts[0].started.map(|at| at.after(Duration::from_secs(seconds)));
    task.attempts[0].outcome = Some(Outcome::Succeeded);
    let (files, bytes, path) = match task.task.as_str() {
        "extract" => (1, 1_288_490_189, None),
        "report" => (214, 9_000_000, Some("/srv/www/reports/2026-11-21")),
        _ => (1, 4_198, Some("/srv/load/rows.csv")),
    };
    task.outputs = vec![OutputView {
        output: "data".parse().unwrap(),
        worker: task.worker.clone().unwrap(),
        state: OutputState::Staged,
        files,
        bytes,
        digest: Digest([0xab; 32]),
        publish_path: path.map(str::to_owned),
    }];
}
