//! What a log comes to, and which logs come to nothing.

use std::{collections::BTreeSet, time::Duration};

use votum_commit::{
    Alarm, Cause, Coordinator, CoordinatorAction, CoordinatorEvent, CoordinatorRecord,
    Installation, LogPosition, LogState, Message, ParticipantAction, ParticipantEvent,
    ParticipantRecord, Participants, Pledge, Recorded, Reply, Share, Stage, Start, Vote,
    readable_commit,
};
use votum_ids::{
    ClusterId, Digest, Epoch, Existing, FencingToken, Incarnation, JobId, OutputName, Target,
    TargetKind, TaskId, TxnId, WorkerId, WorkerUid,
};
use votum_machine::{Machine, Moment, Reaction};

#[test]
fn a_commit_after_an_abort_is_corrupt() {
    let records = [aborting(), decided(1)];
    let corrupt = Coordinator::replay(start(2), records).unwrap_err();
    assert_eq!((corrupt.after, corrupt.found), (Recorded::Aborting, Recorded::CommitDecided));
    assert_eq!(corrupt.to_string(), "CommitDecided of sales cannot follow Aborting");
}

#[test]
fn an_end_of_nothing_is_corrupt() {
    let ended = CoordinatorRecord::Ended { job: job("sales") };
    let corrupt = Coordinator::replay(start(2), [ended]).unwrap_err();
    assert_eq!((corrupt.after, corrupt.found), (Recorded::Nothing, Recorded::Ended));
}

#[test]
fn a_commit_of_two_rounds_is_corrupt() {
    assert!(Coordinator::replay(start(2), [decided(1), decided(2)]).is_err());
}

#[test]
fn a_promise_in_a_refused_round_is_corrupt() {
    let refused = ParticipantRecord::Refused { txn: txn(1) };
    let corrupt = Participants::replay(uid("a1"), [refused, prepared(1)]).unwrap_err();
    assert_eq!((corrupt.after, corrupt.found), (Recorded::Refused, Recorded::Prepared));
}

#[test]
fn a_commit_without_a_promise_is_corrupt() {
    let committed = ParticipantRecord::Committed { txn: txn(1), pledges: pledges() };
    assert!(Participants::replay(uid("a1"), [committed]).is_err());
}

#[test]
fn a_corrupt_job_is_quarantined_and_others_recover() {
    let mut coordinator = Coordinator::new(start(2));
    coordinator.resume(job("sales"), [aborting(), decided(1)]).unwrap_err();
    let other = TxnId { job: job("rents"), ..txn(1) };
    let record = CoordinatorRecord::CommitDecided { txn: other, shares: vec![share()] };
    coordinator.resume(job("rents"), [record]).unwrap();
    assert_eq!(meet(&mut coordinator, None), Reaction::none());

    let stage = |name| coordinator.phase(&job(name)).map(|standing| standing.stage);
    assert_eq!(stage("sales"), Some(Stage::Quarantined));
    assert!(matches!(stage("rents"), Some(Stage::Delivering { .. })));
    assert_eq!(inquire(&mut coordinator), says(Message::Undecided { txn: txn(1) }));
}

#[test]
fn a_readable_commit_of_a_quarantined_job_is_delivered() {
    let mut coordinator = Coordinator::new(start(2));
    coordinator.set_aside(job("sales"), [decided(1)]);
    assert_eq!(meet(&mut coordinator, None), Reaction::none());
    let due = coordinator.step(Moment::START, CoordinatorEvent::Tick);
    assert_eq!(due, says(commit()));
    assert_eq!(inquire(&mut coordinator), says(commit()));

    let acked = Reply::Acked { txn: txn(1) };
    let event = CoordinatorEvent::Received { from: alice(), reply: acked };
    assert_eq!(coordinator.step(Moment::START, event), Reaction::none(), "it is never ended");
    let stage = coordinator.phase(&job("sales")).unwrap().stage;
    assert_eq!(
        stage,
        Stage::Delivering { txn: txn(1), unacked: BTreeSet::new(), given_up: BTreeSet::new() }
    );
}

#[test]
fn a_readable_abort_of_a_quarantined_job_is_told_to_nobody() {
    let mut coordinator = Coordinator::new(start(2));
    coordinator.set_aside(job("sales"), [aborting()]);
    assert_eq!(meet(&mut coordinator, None), Reaction::none());
    assert_eq!(inquire(&mut coordinator), says(Message::Undecided { txn: txn(1) }));
}

#[test]
fn nobody_decides_a_quarantined_job() {
    let mut coordinator = Coordinator::new(start(2));
    coordinator.set_aside(job("sales"), []);
    assert_eq!(meet(&mut coordinator, None), Reaction::none());
    let cause = Cause { reason: "CANCELLED".into(), message: "-".into(), by: "dora".into() };
    let voted = Reply::Voted { txn: txn(1), vote: Vote::Yes };
    for event in [
        CoordinatorEvent::Opened { job: job("sales"), deadline: Some(Moment::START) },
        CoordinatorEvent::AllStaged {
            job: job("sales"),
            shares: vec![share()],
            prepare_timeout: Duration::ZERO,
        },
        CoordinatorEvent::Received { from: alice(), reply: voted },
        CoordinatorEvent::AbortAsked { job: job("sales"), cause },
        CoordinatorEvent::Stopped { job: job("sales") },
        CoordinatorEvent::Tick,
    ] {
        assert_eq!(coordinator.step(Moment::START, event), Reaction::none());
    }
    assert_eq!(inquire(&mut coordinator), says(Message::Undecided { txn: txn(1) }));
}

#[test]
fn a_commit_that_a_worker_was_told_is_adopted_for_a_quarantined_job() {
    let mut coordinator = Coordinator::new(start(2));
    coordinator.set_aside(job("sales"), []);
    assert_eq!(meet(&mut coordinator, None), Reaction::none());
    let event = CoordinatorEvent::FoundCommitted { from: alice(), txn: txn(1), share: share() };
    let adopted = coordinator.step(Moment::START, event);
    assert_eq!(adopted.record, Some(decided(1)));
    assert!(!coordinator.is_stale(), "the log is damaged, not old");
    assert_eq!(inquire(&mut coordinator), says(commit()));
}

#[test]
fn a_commit_with_a_word_against_it_is_not_readable() {
    let elsewhere = Share { address: "bob:7878".to_owned(), pledges: Vec::new(), ..share() };
    let another = CoordinatorRecord::CommitDecided { txn: txn(1), shares: vec![elsewhere] };
    let job = job("sales");
    assert!(readable_commit(&job, [decided(1), decided(1)]).is_some());
    for against in [aborting(), decided(2), another] {
        assert_eq!(readable_commit(&job, [decided(1), against.clone()]), None);
        assert_eq!(readable_commit(&job, [against, decided(1)]), None);
    }
    assert_eq!(readable_commit(&JobId::new("rents").unwrap(), [decided(1)]), None);
    assert_eq!(readable_commit(&job, []), None);
}

#[test]
fn a_quarantined_participant_obeys_nobody() {
    let mut worker = Participants::new(uid("a1"));
    let refused = ParticipantRecord::Refused { txn: txn(1) };
    worker.resume(job("sales"), [refused, prepared(1)]).unwrap_err();
    for message in [commit(), Message::Abort { job: job("sales") }] {
        let event = ParticipantEvent::Received { message, log: position(1, "c1", 1) };
        assert_eq!(worker.step(Moment::START, event), Reaction::none());
    }
}

#[test]
fn a_decision_without_an_end_is_delivered_at_once() {
    let mut coordinator = Coordinator::replay(start(2), [decided(1)]).unwrap();
    assert_eq!(coordinator.next_deadline(), Some(Moment::START));
    let reaction = coordinator.step(Moment::START, CoordinatorEvent::Tick);
    assert_eq!(reaction, says(commit()));
}

#[test]
fn a_worker_that_knows_more_makes_the_log_stale() {
    let mut coordinator = opened();
    let alarm = CoordinatorAction::Raise(Alarm::StaleLog { by: alice() });
    let met = meet(&mut coordinator, Some(position(1, "c1", 8)));
    assert_eq!(met, Reaction::perform([alarm]));
    assert!(coordinator.is_stale());
    assert_eq!(inquire(&mut coordinator), says(Message::Undecided { txn: txn(1) }));
}

#[test]
fn what_this_start_has_said_itself_is_not_unknown() {
    let mut coordinator = opened();
    assert_eq!(meet(&mut coordinator, Some(position(2, "c2", 900))), Reaction::none());
    assert!(!coordinator.is_stale());
    assert_eq!(inquire(&mut coordinator), says(Message::RoundEnded { txn: txn(1) }));
}

#[test]
fn the_log_of_another_cluster_is_refused() {
    let mut coordinator = opened();
    let cluster = uuid("f0").parse().unwrap();
    let seen = LogPosition { cluster, ..position(1, "c1", 1) };
    let alarm = CoordinatorAction::Raise(Alarm::ForeignLog { by: alice(), cluster });
    assert_eq!(meet(&mut coordinator, Some(seen)), Reaction::perform([alarm]));
    assert_eq!(inquire(&mut coordinator), says(Message::Undecided { txn: txn(1) }));
}

#[test]
fn nothing_is_presumed_before_the_worker_was_met() {
    let mut coordinator = Coordinator::new(start(2));
    assert_eq!(inquire(&mut coordinator), says(Message::Undecided { txn: txn(1) }));
    assert_eq!(meet(&mut coordinator, None), Reaction::none());
    assert_eq!(inquire(&mut coordinator), says(Message::Abort { job: job("sales") }));
}

#[test]
fn a_commit_of_an_aborted_job_is_an_alarm() {
    let mut coordinator = Coordinator::replay(start(2), [aborting()]).unwrap();
    let found = CoordinatorEvent::FoundCommitted { from: alice(), txn: txn(1), share: share() };
    let alarm = Alarm::CommitOfAbortedJob { job: job("sales"), by: alice() };
    let raised = Reaction::perform([CoordinatorAction::Raise(alarm)]);
    assert_eq!(coordinator.step(Moment::START, found), raised);
}

#[test]
fn a_commit_of_other_pledges_is_an_alarm() {
    let mut worker = Participants::replay(uid("a1"), [prepared(1)]).unwrap();
    let message = Message::Commit { txn: txn(1), holder: alice(), pledges: Vec::new() };
    let event = ParticipantEvent::Received { message, log: position(1, "c1", 1) };
    let alarm = ParticipantAction::Raise(Alarm::CommitOutOfDoubt { txn: txn(1) });
    assert_eq!(worker.step(Moment::START, event), Reaction::perform([alarm]));
    assert_eq!(worker.in_doubt().collect::<Vec<_>>(), [&txn(1)]);
}

#[test]
fn a_released_job_does_not_begin_anew_for_an_hour() {
    let records = [prepared(1), ParticipantRecord::Released { job: job("sales") }];
    let mut worker = Participants::replay(uid("a1"), records).unwrap();
    let discard = Reaction::perform([ParticipantAction::Discard { job: job("sales") }]);
    assert_eq!(worker.step(Moment::START, ParticipantEvent::Tick), discard);
    let sealed = || ParticipantEvent::Sealed { job: job("sales") };
    assert_eq!(worker.step(Moment::START, sealed()), discard);

    let later = Moment::since_start(Duration::from_secs(3600));
    assert_eq!(worker.step(later, ParticipantEvent::Tick), Reaction::none());
    assert_eq!(worker.next_deadline(), None);
    assert_eq!(worker.step(later, sealed()), Reaction::none());
    assert_eq!(worker.jobs().count(), 1);
}

#[test]
fn a_hundred_thousand_open_jobs_tick_one_by_one() {
    let mut coordinator = Coordinator::new(start(2));
    for number in 0..100_000 {
        let job = job(&format!("sales-{number}"));
        let opened = CoordinatorEvent::Opened { job: job.clone(), deadline: None };
        let _ = coordinator.step(Moment::START, opened);
        let (shares, prepare_timeout) = (vec![share()], Duration::from_secs(30));
        let staged = CoordinatorEvent::AllStaged { job, shares, prepare_timeout };
        let _ = coordinator.step(Moment::START, staged);
    }
    let soon = Moment::since_start(Duration::from_secs(1));
    let mut asked = 0;
    while coordinator.next_deadline().is_some_and(|due| due <= soon) {
        asked += coordinator.step(soon, CoordinatorEvent::Tick).actions.len();
    }
    assert_eq!(asked, 100_000);
}

fn opened() -> Coordinator {
    let mut coordinator = Coordinator::new(start(2));
    let opened = CoordinatorEvent::Opened { job: job("sales"), deadline: None };
    assert_eq!(coordinator.step(Moment::START, opened), Reaction::none());
    coordinator
}

fn meet(
    coordinator: &mut Coordinator,
    seen: Option<LogPosition>,
) -> Reaction<CoordinatorRecord, CoordinatorAction> {
    coordinator.step(Moment::START, CoordinatorEvent::Met { from: alice(), seen })
}

fn inquire(coordinator: &mut Coordinator) -> Reaction<CoordinatorRecord, CoordinatorAction> {
    let reply = Reply::Inquired { txn: txn(1), committed: false };
    coordinator.step(Moment::START, CoordinatorEvent::Received { from: alice(), reply })
}

fn says(message: Message) -> Reaction<CoordinatorRecord, CoordinatorAction> {
    Reaction::perform([CoordinatorAction::Send { to: alice().worker, message }])
}

fn commit() -> Message {
    Message::Commit { txn: txn(1), holder: alice(), pledges: pledges() }
}

fn decided(counter: u64) -> CoordinatorRecord {
    CoordinatorRecord::CommitDecided { txn: txn(counter), shares: vec![share()] }
}

fn aborting() -> CoordinatorRecord {
    let word = |text: &str| text.to_owned();
    let cause = Cause { reason: word("CANCELLED"), message: word("-"), by: word("dora") };
    CoordinatorRecord::Aborting { job: job("sales"), cause }
}

fn prepared(counter: u64) -> ParticipantRecord {
    ParticipantRecord::Prepared {
        txn: txn(counter),
        holder: alice(),
        pledges: pledges(),
        peers: Vec::new(),
        log: position(1, "c1", 1),
    }
}

fn share() -> Share {
    Share { holder: alice(), address: "alice:7878".to_owned(), pledges: pledges() }
}

fn pledges() -> Vec<Pledge> {
    let target = Target {
        path: "rows".to_owned(),
        kind: TargetKind::File,
        mode: None,
        existing: Existing::Replace,
        generations_kept: None,
    };
    vec![Pledge {
        task: TaskId::new("load").expect("it is well formed"),
        output: OutputName::new("rows").expect("it is well formed"),
        token: FencingToken { epoch: Epoch(1), counter: 1 },
        digest: Digest([7; 32]),
        replaceable: false,
        target: Some(target),
    }]
}

fn start(epoch: u64) -> Start {
    Start {
        cluster: cluster(),
        epoch: Epoch(epoch),
        incarnation: uuid("c2").parse::<Incarnation>().expect("it is well formed"),
        held: position(1, "c1", 7),
        log: LogState::Whole,
    }
}

fn position(epoch: u64, start: &str, lsn: u64) -> LogPosition {
    let start = uuid(start).parse().expect("it is well formed");
    LogPosition { cluster: cluster(), epoch: Epoch(epoch), start, lsn }
}

fn alice() -> Installation {
    Installation { worker: WorkerId::new("alice").expect("it is well formed"), uid: uid("a1") }
}

fn txn(counter: u64) -> TxnId {
    TxnId { job: job("sales"), epoch: Epoch(1), counter }
}

fn job(name: &str) -> JobId {
    JobId::new(name).expect("it is well formed")
}

fn cluster() -> ClusterId {
    uuid("cc").parse().expect("it is well formed")
}

fn uid(end: &str) -> WorkerUid {
    uuid(end).parse().expect("it is well formed")
}

fn uuid(end: &str) -> String {
    format!("00000000-0000-0000-0000-{end:0>12}")
}
