//! The joined machines from submission to the end, without a network or a disk.

#![expect(clippy::wildcard_enum_match_arm, reason = "an assertion names what it wants")]

mod approving;
mod forcing;
mod operations;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use uuid::Uuid;
use votum_commit::{LogPosition, LogState, Start, Vote};
use votum_driver::{Durable, Stamped};
use votum_ids::{
    AttemptId, ClusterId, Digest, Epoch, Existing, FencingToken, Incarnation, OutputName, Target,
    TargetKind, TaskId, TxnId, WorkerUid,
};
use votum_job::{
    AttemptEnd, OnExhausted, OutputSpec, Placement, Program, StagedOutput, TaskSpec, Usage,
};
use votum_journal::Bearing;
use votum_wire::{
    Inventory,
    view::{JobState, TaskView},
};

mod quarantining;
mod queueing;
mod rescuing;
mod ruling;
mod simulating;

use super::*;
use crate::{
    event::Past,
    question::{Question, Wish},
    replies::Replies,
};

#[test]
fn a_job_is_received_durably_before_the_answer() {
    let mut world = World::new();
    let reaction = world.submit("sales", "s1");
    assert!(reaction.record.as_ref().unwrap().forced());
    assert!(matches!(
        reaction.actions.as_slice(),
        [
            ..,
            Action::Reply { answer: Answer::Received { duplicate: false, .. }, .. },
            Action::JobChanged { .. }
        ]
    ));
}

#[test]
fn the_same_request_returns_the_same_job() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let again = world.submit("sales", "s1");
    assert_eq!(again.record, None);
    assert!(matches!(
        again.actions.as_slice(),
        [Action::Reply { answer: Answer::Received { duplicate: true, .. }, .. }]
    ));
}

#[test]
fn a_job_for_an_unknown_worker_changes_nothing() {
    let mut world = World::new();
    let refused = world.submit("sales", "s9");
    assert_eq!(refused.record, None);
    assert!(matches!(
        refused.actions.as_slice(),
        [Action::Reply { answer: Answer::Refused(Refusal::NoSuchWorker { .. }), .. }]
    ));
}

#[test]
fn a_staged_job_is_voted_on_decided_and_released() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    let asked = world.frame(FromWorker::Ended { attempt: attempt.clone(), end: sealed() });
    assert!(asked.sends(|frame| matches!(frame, FromCoordinator::Commit(Message::Prepare { .. }))));

    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    let yes = FromWorker::Commit(Reply::Voted { txn: txn.clone(), vote: Vote::Yes });
    let decided = world.frame(yes);
    assert!(decided.records.iter().any(Record::forced));
    assert!(
        decided.sends(|frame| matches!(frame, FromCoordinator::Commit(Message::Commit { .. })))
    );
    assert_eq!(world.state(), Some(JobState::Committing));

    let acked = world.frame(FromWorker::Commit(Reply::Acked { txn }));
    assert_eq!(acked.records.last().map(Durable::bearing), Some(Bearing::Closes));
    assert!(acked.actions.iter().any(|action| matches!(
        action,
        Action::SendDurable { frame: FromCoordinator::Commit(Message::Release { .. }), .. }
    )));
    assert_eq!(world.state(), None);
}

#[test]
fn a_cancel_after_the_decision_is_refused() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    world.frame(FromWorker::Ended { attempt, end: sealed() });
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    world.frame(FromWorker::Commit(Reply::Voted { txn, vote: Vote::Yes }));
    let refused = world.cancel();
    assert_eq!(refused.record, None);
    assert!(matches!(
        refused.actions.as_slice(),
        [.., Action::Reply { answer: Answer::Refused(Refusal::AlreadyCommitting { .. }), .. }]
    ));
}

#[test]
fn a_cancel_stops_what_runs_and_then_closes() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    let cancelled = world.cancel();
    assert!(cancelled.record.as_ref().is_some_and(Record::forced));
    assert!(
        cancelled.actions.iter().any(|action| matches!(
            action,
            Action::Send { frame: FromCoordinator::Stop { .. }, .. }
        ))
    );
    let failure = votum_job::Failure {
        kind: votum_job::FailureKind::Stopped,
        message: "stopped".to_owned(),
        stderr_tail: String::new(),
    };
    let end = AttemptEnd::Failed { failure, usage: Usage::default() };
    let closed = world.frame(FromWorker::Ended { attempt, end });
    assert_eq!(closed.records.last().map(Durable::bearing), Some(Bearing::Closes));
    assert_eq!(world.state(), None);
}

#[test]
fn nothing_is_recorded_of_a_job_after_its_end() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    let _cancelled = world.cancel();
    let held = votum_job::HeldCheckpoint {
        id: votum_ids::CheckpointId { attempt: attempt.clone(), sequence: 1 },
        digest: Digest([7; 32]),
        bytes: 1,
        steps: 0,
        read_token: String::new(),
    };
    let page = Inventory { checkpoints: vec![held], ..Inventory::default() };
    let listed = Event::Frame { from: installation(), frame: FromWorker::Inventory(page) };
    let failure = votum_job::Failure {
        kind: votum_job::FailureKind::Stopped,
        message: "stopped".to_owned(),
        stderr_tail: String::new(),
    };
    let end = AttemptEnd::Failed { failure, usage: Usage::default() };
    let ended = Event::Frame { from: installation(), frame: FromWorker::Ended { attempt, end } };
    // What is listed waits for a tick, and the end overtakes it.
    let _queued = world.step(listed);
    let closed = world.step(ended);
    assert_eq!(closed.record.map(|record| record.bearing()), Some(Bearing::Closes));

    let late = world.settle(Event::Tick);

    assert_eq!(late.records, []);
}

#[test]
fn a_note_after_its_end_does_not_bring_a_job_back() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    world.frame(FromWorker::Ended { attempt: attempt.clone(), end: sealed() });
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    world.frame(FromWorker::Commit(Reply::Voted { txn: txn.clone(), vote: Vote::Yes }));
    world.frame(FromWorker::Commit(Reply::Acked { txn }));
    let note = votum_schedule::Record::Started { attempt };
    let note = crate::record::JobRecord {
        job: job(),
        schedule: Some(note),
        commit: None,
        prepared: None,
        settle: None,
        ruling: None,
        closing: None,
    };
    let mut records: Vec<_> = world.records.into_iter().collect();
    records.push((ANCHOR, Record::Job(Box::new(note))));

    let mut engine = engine(Epoch(2));
    let of_job = records.into_iter().filter_map(|(at, record)| match record {
        Record::Job(record) => Some(Stamped { at, record: *record }),
        _ => None,
    });
    engine.resume(&job(), of_job.collect()).unwrap();

    assert_eq!(engine.view(Moment::START, &job()), None);
}

#[test]
fn what_a_worker_kept_of_a_closed_job_is_released() {
    let mut world = World::new();
    let attempt = AttemptId { job: job(), task: task(), token: token() };
    let listed = votum_job::ListedAttempt {
        attempt,
        number: 1,
        state: votum_job::AttemptState::Ended(sealed()),
    };
    let page = Inventory { attempts: vec![listed], ..Inventory::default() };
    let settled = world.frame(FromWorker::Inventory(page));
    assert!(settled.actions.iter().any(|action| matches!(
        action,
        Action::SendDurable { frame: FromCoordinator::Commit(Message::Release { .. }), .. }
    )));
}

#[test]
fn an_acknowledgement_of_a_closed_job_is_answered_with_release() {
    let mut world = World::new();
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    let settled = world.frame(FromWorker::Commit(Reply::Acked { txn }));
    assert!(settled.actions.iter().any(|action| matches!(
        action,
        Action::SendDurable { frame: FromCoordinator::Commit(Message::Release { .. }), .. }
    )));
}

#[test]
fn an_inventory_ends_with_its_session() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    world.settle(Event::SessionOpened(hello()));
    let live = votum_job::ListedAttempt {
        attempt: attempt.clone(),
        number: 1,
        state: votum_job::AttemptState::Live,
    };
    let page = Inventory { attempts: vec![live], ..Inventory::default() };
    for frame in [FromWorker::Inventory(page), FromWorker::InventoryEnded] {
        let _queued = world.step(Event::Frame { from: installation(), frame });
    }
    let restarted = Hello { incarnation: Incarnation(Uuid::from_u128(2)), ..hello() };
    world.settle(Event::SessionOpened(restarted));

    let reconciled = world.frame(FromWorker::InventoryEnded);
    assert!(reconciled.sends(|frame| matches!(
        frame,
        FromCoordinator::Start(assignment) if assignment.attempt == attempt
    )));
}

#[test]
fn a_stale_log_lets_nothing_be_discarded() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    world.started_attempt();
    let seen = LogPosition {
        cluster: ClusterId(Uuid::nil()),
        epoch: Epoch(9),
        start: Incarnation(Uuid::from_u128(9)),
        lsn: 99,
    };
    world.settle(Event::SessionOpened(Hello { seen: Some(seen), ..hello() }));
    let unknown = FencingToken { epoch: Epoch(1), counter: 9 };
    let listed = votum_job::ListedAttempt {
        attempt: AttemptId { job: job(), task: task(), token: unknown },
        number: 1,
        state: votum_job::AttemptState::Ended(sealed()),
    };
    let page = Inventory { attempts: vec![listed], ..Inventory::default() };
    let settled = world.frame(FromWorker::Inventory(page));
    assert!(!settled.actions.iter().any(|action| matches!(
        action,
        Action::SendDurable { frame: FromCoordinator::Discard { .. }, .. }
    )));
}

#[test]
fn an_expired_job_never_takes_an_open_one_along() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let closing = Closing {
        job: job(),
        display_name: "sales".to_owned(),
        decision: votum_commit::Decision::Abort,
        received: ANCHOR,
        request: RequestId(Uuid::from_u128(9)),
        uid: Uuid::nil(),
        retention: Duration::from_secs(600),
        round: None,
        mixed: false,
        filed: None,
    };
    let expired = Event::Expired { closing, tombstone: None };
    assert_eq!(world.step(expired).record, None);
}

#[test]
fn a_pause_is_durable_before_the_answer() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let paused = world.steer(pause());
    assert!(paused.record.as_ref().is_some_and(Record::forced));
    assert!(matches!(steered(&paused), Answer::Steered(view) if view.pause.is_some()));
    let settled = world.settle(Event::Tick);
    assert!(!settled.sends(|frame| matches!(frame, FromCoordinator::Start(_))));

    let gone_on = world.steer(Wish::Unpause);
    assert!(gone_on.record.as_ref().is_some_and(Record::forced));
    world.started_attempt();
}

#[test]
fn a_pause_ends_a_round_and_leaves_nobody_in_doubt() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    world.frame(FromWorker::Ended { attempt, end: sealed() });
    assert_eq!(world.state(), Some(JobState::Preparing));

    let paused = world.steer(pause());
    assert!(paused.actions.iter().any(|action| matches!(
        action,
        Action::Send { frame: FromCoordinator::Commit(Message::RoundEnded { .. }), .. }
    )));
    assert_eq!(world.state(), Some(JobState::Running));
    let late = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    world.frame(FromWorker::Commit(Reply::Voted { txn: late, vote: Vote::Yes }));
    assert_eq!(world.state(), Some(JobState::Running));

    let _gone_on = world.steer(Wish::Unpause);
    let asked = world.settle(Event::Tick);
    assert!(asked.sends(|frame| matches!(frame, FromCoordinator::Commit(Message::Prepare { .. }))));
}

#[test]
fn what_cannot_be_wished_is_refused_without_a_record() {
    let mut world = World::new();
    let unknown = world.steer(pause());
    assert!(matches!(steered(&unknown), Answer::Refused(Refusal::NotOpen { .. })));
    let _received = world.submit("sales", "s1");
    let retry = |task| Wish::Retry { task };
    for (wish, refusal) in [
        (Wish::Unpause, Refusal::NotPaused { job: job() }),
        (retry(None), Refusal::NothingToRetry { job: job(), task: None }),
        (
            retry(Some(TaskId::new("other").unwrap())),
            Refusal::NoSuchTask { job: job(), task: TaskId::new("other").unwrap() },
        ),
    ] {
        let refused = world.steer(wish);
        assert_eq!(refused.record, None);
        assert_eq!(*steered(&refused), Answer::Refused(refusal));
    }
    world.started_attempt();
    let _cancelled = world.cancel();
    let refused = world.steer(pause());
    assert!(matches!(steered(&refused), Answer::Refused(Refusal::Decided { .. })));
}

#[test]
fn replaying_the_records_gives_the_same_picture() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    world.frame(FromWorker::Ended { attempt, end: sealed() });
    let before = world.engine.view(Moment::START, &job()).unwrap();

    let mut engine = engine(Epoch(2));
    for (at, record) in world.records.clone() {
        if let Record::Registered(registration) = record {
            engine.register(at, registration).unwrap();
        }
    }
    let records = world.records.into_iter().filter_map(|(at, record)| match record {
        Record::Job(record) => Some(Stamped { at, record: *record }),
        _ => None,
    });
    engine.resume(&job(), records.collect()).unwrap();
    let after = engine.view(Moment::START, &job()).unwrap();
    // What a task waits for is not recorded: no worker has come back yet.
    let tasks = |view: JobView| view.tasks.into_iter().map(|task| TaskView { waits: None, ..task });
    assert_eq!(after.started, before.started);
    assert!(tasks(after).eq(tasks(before)));
    // Whoever keeps something of an open job keeps the same spec.
    for engine in [&world.engine, &engine] {
        let scheduled = engine.scheduler.spec(&job()).unwrap();
        assert!(std::ptr::eq(&raw const *engine.jobs[&job()].spec, scheduled));
    }
}

/// An engine, a connected worker `s1`, and everything that was recorded.
struct World {
    engine: Engine,
    replies: Replies,
    records: Vec<(WallTime, Record)>,
    /// Of the coordinator's last start.
    epoch: u64,
}

/// What one event and the ticks after it came to.
#[derive(Debug)]
struct Settled {
    records: Vec<Record>,
    actions: Vec<Action>,
}

impl Settled {
    fn sends(&self, wanted: impl Fn(&FromCoordinator) -> bool) -> bool {
        self.actions.iter().any(|action| match action {
            Action::Send { frame, .. } | Action::SendDurable { frame, .. } => wanted(frame),
            _ => false,
        })
    }
}

impl World {
    fn new() -> Self {
        let (replies, records) = (Replies::default(), Vec::new());
        let mut world = Self { engine: engine(Epoch(1)), replies, records, epoch: 1 };
        world.settle(Event::SessionOpened(hello()));
        world.frame(FromWorker::InventoryEnded);
        world
    }

    fn submit(&mut self, name: &str, worker: &str) -> Reaction<Record, Action> {
        let event = Event::Asked {
            reply: self.replies.register().0,
            question: Question::Submit {
                intent: Intent::Receive,
                job: job(),
                spec: Arc::new(spec(name, worker)),
                submission: submission(),
            },
        };
        self.step(event)
    }

    fn cancel(&mut self) -> Reaction<Record, Action> {
        let (reply, by) = (self.replies.register().0, "ana".to_owned());
        self.step(Event::Asked {
            reply,
            question: Question::Cancel { job: job(), by, reason: String::new() },
        })
    }

    fn steer(&mut self, wish: Wish) -> Reaction<Record, Action> {
        let (reply, by) = (self.replies.register().0, "ana".to_owned());
        self.step(Event::Asked { reply, question: Question::Steer { job: job(), by, wish } })
    }

    /// Ticks until the job's only task is given to the worker.
    fn started_attempt(&mut self) -> AttemptId {
        let settled = self.settle(Event::Tick);
        let assigned = settled.actions.into_iter().find_map(|action| match action {
            Action::Send { frame: FromCoordinator::Start(assignment), .. } => {
                Some(assignment.attempt)
            }
            _ => None,
        });
        assigned.expect("the task is placed on the only worker")
    }

    fn frame(&mut self, frame: FromWorker) -> Settled {
        self.settle(Event::Frame { from: installation(), frame })
    }

    fn settle(&mut self, event: Event) -> Settled {
        let mut settled = Settled { records: Vec::new(), actions: Vec::new() };
        let mut next = Some(event);
        while let Some(event) = next {
            let reaction = self.step(event);
            settled.records.extend(reaction.record);
            settled.actions.extend(reaction.actions);
            let due = self.engine.next_deadline().is_some_and(|due| due <= Moment::START);
            next = due.then_some(Event::Tick);
        }
        settled
    }

    fn step(&mut self, event: Event) -> Reaction<Record, Action> {
        let reaction = self.engine.step(Moment::START, event);
        // Compares what it has counted on the way with what there is.
        let _totals = self.engine.totals();
        let recorded = reaction.record.clone().map(|record| (ANCHOR, record));
        self.records.extend(recorded);
        reaction
    }

    fn state(&self) -> Option<JobState> {
        self.engine.view(Moment::START, &job()).map(|view| view.state)
    }
}

fn pause() -> Wish {
    Wish::Pause { reason: "later".to_owned(), live: votum_schedule::LiveAttempts::GoOn }
}

fn steered(reaction: &Reaction<Record, Action>) -> &Answer {
    let answer = reaction.actions.iter().find_map(|action| match action {
        Action::Reply { answer, .. } => Some(answer),
        _ => None,
    });
    answer.expect("a wish is answered in its step")
}

pub(crate) fn engine(epoch: Epoch) -> Engine {
    engine_at(epoch, ANCHOR)
}

fn engine_at(epoch: Epoch, anchor: WallTime) -> Engine {
    engine_of(epoch, anchor, LogState::Whole)
}

fn engine_of(epoch: Epoch, anchor: WallTime, log: LogState) -> Engine {
    let cluster = ClusterId(Uuid::nil());
    let incarnation = Incarnation(Uuid::from_u128(u128::from(epoch.0)));
    let held = LogPosition { cluster, epoch: Epoch(0), start: incarnation, lsn: 0 };
    let start = Start { cluster, epoch, incarnation, held, log };
    let scheduler = Scheduler::new(votum_schedule::Config::default(), epoch, anchor);
    let lease = Lease {
        length: Duration::from_secs(15),
        heartbeat_interval: Duration::from_secs(3),
        stop_grace: Duration::from_secs(10),
        protocols: Versions::OURS,
    };
    Engine::new(anchor, 10, lease, scheduler, Coordinator::new(start))
}

fn hello() -> Hello {
    Hello {
        installation: installation(),
        incarnation: Incarnation(Uuid::nil()),
        version: "0".to_owned(),
        labels: BTreeMap::new(),
        slots: 2,
        artifact_address: "127.0.0.1:1".to_owned(),
        publish_roots: vec!["/srv".to_owned()],
        seen: None,
        protocols: Versions::OURS,
    }
}

pub(crate) fn spec(name: &str, worker: &str) -> JobSpec {
    let target = Target {
        path: "report.html".to_owned(),
        kind: TargetKind::File,
        mode: None,
        existing: Existing::Replace,
        generations_kept: None,
    };
    let output = OutputSpec {
        path: "report.html".to_owned(),
        optional: false,
        bytes_max: None,
        replicas: 1,
        publish: Some(target),
    };
    let task_spec = TaskSpec {
        placement: Placement {
            worker: Some(WorkerId::new(worker).unwrap()),
            labels: BTreeMap::new(),
        },
        outputs: [(output_name(), output)].into(),
        timeout: Duration::from_secs(60),
        grace_period: Duration::from_secs(1),
        ..TaskSpec::of(Program::Command(vec!["true".to_owned()]))
    };
    JobSpec {
        display_name: name.to_owned(),
        description: String::new(),
        labels: BTreeMap::new(),
        params: BTreeMap::new(),
        env: BTreeMap::new(),
        timeout: Duration::from_secs(600),
        retention: Duration::from_secs(600),
        prepare_timeout: Duration::from_secs(60),
        approval: None,
        dry_vote: None,
        on_exhausted: OnExhausted::Abort,
        keep_staged: Duration::ZERO,
        concurrency: None,
        tasks: [(task(), task_spec)].into(),
        effects: BTreeMap::new(),
    }
}

fn sealed() -> AttemptEnd {
    let output = StagedOutput {
        name: output_name(),
        digest: Digest([7; 32]),
        files: 1,
        bytes: 10,
        read_token: "secret".to_owned(),
    };
    AttemptEnd::Sealed { outputs: vec![output], usage: Usage::default() }
}

pub(crate) fn submission() -> Submission {
    Submission {
        uid: Uuid::nil(),
        by: "ana".to_owned(),
        request: RequestId(Uuid::nil()),
        spec_digest: Digest([1; 32]),
        rescue: None,
        traceparent: None,
    }
}

fn installation() -> Installation {
    Installation { worker: WorkerId::new("s1").unwrap(), uid: WorkerUid(Uuid::nil()) }
}

fn token() -> FencingToken {
    FencingToken { epoch: Epoch(1), counter: 1 }
}

pub(crate) fn job() -> JobId {
    JobId::new("sales-1").unwrap()
}

fn task() -> TaskId {
    TaskId::new("report").unwrap()
}

fn output_name() -> OutputName {
    OutputName::new("report").unwrap()
}

const ANCHOR: WallTime = WallTime(1_000_000);

#[test]
fn a_tombstone_stands_before_what_it_stands_for_goes() {
    let mut world = World::new();
    let closing = Closing {
        job: job(),
        display_name: "sales".to_owned(),
        decision: votum_commit::Decision::Commit,
        received: ANCHOR,
        request: submission().request,
        uid: Uuid::nil(),
        retention: Duration::from_secs(600),
        round: None,
        mixed: false,
        filed: None,
    };
    let tombstone = crate::record::Tombstone {
        closing: closing.clone(),
        ended: ANCHOR,
        spec_digest: Some(submission().spec_digest),
        kept: Duration::from_secs(600),
        deleted_by: None,
        removed: None,
    };
    let expired =
        Event::Expired { closing: closing.clone(), tombstone: Some(Box::new(tombstone.clone())) };
    let settled = world.settle(expired);
    assert_eq!(settled.records, [Record::Buried(tombstone), Record::Forgotten(closing)]);
}

#[test]
fn a_commit_that_somebody_misses_is_never_answered_abort() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    world.frame(FromWorker::Ended { attempt, end: sealed() });
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    world.frame(FromWorker::Commit(Reply::Voted { txn: txn.clone(), vote: Vote::Yes }));

    // Long after every retention it is still open, and tells whoever asks (C14).
    let late = Moment::START.after(Duration::from_hours(24 * 365));
    while world.engine.next_deadline().is_some_and(|due| due <= late) {
        let reaction = world.engine.step(late, Event::Tick);
        assert!(reaction.record.is_none_or(|record| record.bearing() != Bearing::Closes));
    }
    let frame = FromWorker::Commit(Reply::Inquired { txn, committed: false });
    let answered = world.engine.step(late, Event::Frame { from: installation(), frame });
    assert!(answered.actions.iter().any(|action| matches!(
        action,
        Action::Send { frame: FromCoordinator::Commit(Message::Commit { .. }), .. }
    )));
}

#[test]
fn a_job_that_is_not_open_is_looked_up_before_presumption() {
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    let mut world = World::new();
    let asked =
        world.frame(FromWorker::Commit(Reply::Inquired { txn: txn.clone(), committed: false }));
    let recall = Action::Recall { from: installation(), txn: txn.clone() };
    assert_eq!(asked.actions, [recall]);

    let abort = FromCoordinator::Commit(Message::Abort { job: job() });
    let ended = FromCoordinator::Commit(Message::RoundEnded { txn: txn.clone() });
    let undecided = FromCoordinator::Commit(Message::Undecided { txn: txn.clone() });
    for (past, answer) in [
        (Past::NotCommitted, &abort),
        (Past::OtherRoundCommitted, &ended),
        (Past::Committed, &undecided),
        (Past::Unreadable, &undecided),
    ] {
        let from = installation();
        let answered = world.settle(Event::Recalled { from, txn: txn.clone(), past });
        assert!(answered.sends(|frame| frame == answer), "{past:?}: {:?}", answered.actions);
        let raised = answered.actions.iter().any(|one| matches!(one, Action::Raise { .. }));
        assert_eq!(raised, matches!(past, Past::Committed | Past::Unreadable));
        // Nobody else would ever let go of what it left there.
        let release = FromCoordinator::Commit(Message::Release { job: job() });
        assert_eq!(answered.sends(|frame| *frame == release), !raised);
    }
}

/// It acknowledged, and began again before it had noted that.
#[test]
fn whoever_asks_for_the_publisher_of_a_closed_job_is_released() {
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    let mut world = World::new();
    let frame = FromWorker::Commit(Reply::Inquired { txn, committed: true });
    let answered = world.settle(Event::Frame { from: installation(), frame });
    let release = FromCoordinator::Commit(Message::Release { job: job() });
    assert!(answered.sends(|frame| *frame == release), "{:?}", answered.actions);
}

#[test]
fn a_question_is_answered_before_what_its_asker_says_next() {
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    world.frame(FromWorker::Ended { attempt, end: sealed() });
    world.frame(FromWorker::Commit(Reply::Voted { txn: txn.clone(), vote: Vote::Yes }));

    // Both are read before anything ticks, as the loop does it.
    let prepared = vec![txn.clone()];
    let inventory = FromWorker::Inventory(Inventory { prepared, ..Inventory::default() });
    let mut actions = Vec::new();
    for frame in [inventory, FromWorker::Commit(Reply::Acked { txn })] {
        actions.extend(world.step(Event::Frame { from: installation(), frame }).actions);
    }
    actions.extend(world.settle(Event::Tick).actions);
    let told = |message: &Message| match message {
        Message::Commit { .. } => true,
        Message::Abort { .. } => panic!("{actions:?}"),
        _ => false,
    };
    assert!(actions.iter().any(|action| matches!(
        action,
        Action::Send { frame: FromCoordinator::Commit(message), .. } if told(message)
    )));
    assert!(
        !actions
            .iter()
            .any(|action| matches!(action, Action::Raise { .. } | Action::Recall { .. }))
    );
}

#[test]
fn what_was_looked_up_says_nothing_of_a_later_job() {
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let event = Event::Recalled { from: installation(), txn: txn.clone(), past: Past::Committed };
    let answered = world.settle(event);
    let ended = FromCoordinator::Commit(Message::RoundEnded { txn });
    assert!(answered.sends(|frame| *frame == ended), "{:?}", answered.actions);
}
