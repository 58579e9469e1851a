//! Whole stories of one worker, asserted on what it asks for and what it records.

mod adopting;
mod doubting;
mod dry_voting;
mod leasing;
mod pruning;
mod saving;
mod settling;
mod stopping;

use std::collections::BTreeMap;

use votum_commit::{Knowledge, Objection, Pledge, Reply, Vote};
use votum_driver::{Awaits, Durable};
use votum_ids::{AttemptId, ClusterId};
use votum_job::{AttemptEnd, AttemptState, Comeback, Failure, FailureKind, SelfReport};

use super::*;
use crate::testing::{alice, assignment, attempt, job, log, output, pledge, staged, txn, usage};
use crate::{action::Resumed, doubts::DoubtNews};

/// A worker on its way, with the records it has made.
struct Alice {
    engine: Engine,
    now: Moment,
    session: u64,
    records: Vec<Record>,
    told: Vec<DoubtNews>,
}

impl Alice {
    fn new() -> Self {
        let engine = Engine::new(alice(), GRACE_MAX);
        Self {
            engine,
            now: Moment::START.after(PRUNE_INTERVAL),
            session: 0,
            records: Vec::new(),
            told: Vec::new(),
        }
    }

    /// A worker that was admitted by a coordinator of epoch 1.
    fn admitted() -> Self {
        let mut alice = Self::new();
        alice.tick();
        alice.connect(1);
        alice
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let reaction = self.engine.step(self.now, event);
        self.records.extend(reaction.record);
        // What is told about a doubt is a matter of its own tests.
        let mut actions = reaction.actions;
        actions.retain(|action| {
            if let Action::TellDoubt(news) = action {
                self.told.push(news.clone());
            }
            !matches!(action, Action::TellDoubt(_))
        });
        actions
    }

    /// Ticks until nothing is due, as the driver does.
    fn tick(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while self.engine.next_deadline().is_some_and(|due| due <= self.now) {
            actions.extend(self.step(Event::Tick));
        }
        actions
    }

    fn pass(&mut self, wait: Duration) -> Vec<Action> {
        self.now = self.now.after(wait);
        self.tick()
    }

    fn hear(&mut self, epoch: u64, body: FromCoordinator) -> Vec<Action> {
        let session = SessionNumber(self.session);
        let frame = Box::new(CoordinatorFrame { log: log(epoch, 10), body });
        let mut actions = self.step(Event::Received { session, frame });
        actions.extend(self.tick());
        actions
    }

    fn connect(&mut self, epoch: u64) -> Vec<Action> {
        self.session += 1;
        self.step(Event::Connected(SessionNumber(self.session)));
        self.hear(epoch, welcome())
    }

    fn start(&mut self, counter: u64) -> Vec<Action> {
        self.hear(1, FromCoordinator::Start(Box::new(assignment(counter))))
    }

    fn happen(&mut self, counter: u64, event: AttemptEvent) -> Vec<Action> {
        let mut actions = self.step(Event::Attempt(attempt(counter), event));
        actions.extend(self.tick());
        actions
    }

    /// Runs an attempt until its outputs are sealed.
    fn seal(&mut self, counter: u64) -> Vec<Action> {
        self.start(counter);
        self.happen(counter, fetched(BTreeMap::new()));
        self.happen(counter, AttemptEvent::Started { pid: 42 });
        self.happen(counter, AttemptEvent::Exited { usage: usage() });
        self.happen(counter, AttemptEvent::Sealed { outputs: staged() })
    }

    /// Seals the first attempt and votes Yes on it.
    fn prepare(&mut self) -> Vec<Action> {
        self.seal(1);
        self.hear(1, prepare(pledge(1)));
        let checked = ParticipantEvent::Checked { txn: txn(1), result: Vote::Yes };
        self.step(Event::Participant(checked))
    }

    /// The same worker after a crash that lost nothing recorded.
    fn restarted(self) -> Self {
        let (own, jobs): (Vec<Record>, Vec<Record>) =
            self.records.into_iter().partition(|record| record.job().is_none());
        let mut alice = Self::new();
        alice.engine = Engine::replay(crate::testing::alice(), GRACE_MAX, own);
        alice.engine.resume(&job(), jobs).unwrap();
        alice.tick();
        alice
    }
}

fn fetched(inputs: BTreeMap<votum_ids::OutputName, std::path::PathBuf>) -> AttemptEvent {
    AttemptEvent::Fetched { inputs, resumed: Resumed::default() }
}

const GRACE_MAX: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_secs(3);
const LEASE: Duration = Duration::from_secs(15);

fn welcome() -> FromCoordinator {
    FromCoordinator::Welcome {
        lease: LEASE,
        heartbeat_interval: INTERVAL,
        stop_grace: Duration::from_secs(10),
        protocol: 2,
        newest: 2,
    }
}

fn prepare(pledge: Pledge) -> FromCoordinator {
    FromCoordinator::Commit(Message::Prepare {
        txn: txn(1),
        holder: alice(),
        pledges: vec![pledge],
        peers: Vec::new(),
    })
}

fn commit() -> FromCoordinator {
    let pledges = vec![pledge(1)];
    FromCoordinator::Commit(Message::Commit { txn: txn(1), holder: alice(), pledges })
}

fn stop(counter: u64) -> FromCoordinator {
    let (grace, reason) = (Duration::from_secs(1), "cancelled by bob".to_owned());
    FromCoordinator::Stop { attempt: attempt(counter), grace, reason, checkpoint_first: false }
}

fn sealed_report(counter: u64) -> Action {
    let end = AttemptEnd::Sealed { outputs: staged(), usage: usage() };
    Action::Send(FromWorker::Ended { attempt: attempt(counter), end })
}

fn interrupted() -> AttemptEvent {
    let failure = Failure {
        kind: FailureKind::Interrupted,
        message: String::new(),
        stderr_tail: "last words".to_owned(),
    };
    AttemptEvent::Failed { failure, usage: usage() }
}

fn failure_of(actions: &[Action]) -> Option<(AttemptId, FailureKind)> {
    actions.iter().find_map(|action| {
        let Action::Send(FromWorker::Ended { attempt, end }) = action else { return None };
        let AttemptEnd::Failed { failure, .. } = end else { return None };
        Some((attempt.clone(), failure.kind))
    })
}

/// The states of what an inventory lists.
fn listed(actions: &[Action]) -> Vec<AttemptState> {
    let pages = actions.iter().filter_map(|action| {
        let Action::Send(FromWorker::Inventory(page)) = action else { return None };
        Some(&page.attempts)
    });
    pages.flatten().map(|listed| listed.state.clone()).collect()
}

#[test]
fn an_attempt_is_fetched_run_sealed_and_reported() {
    let mut alice = Alice::admitted();
    let order = Box::new(assignment(1));
    assert_eq!(alice.start(1), [Action::Fetch(order.clone())]);
    let inputs = BTreeMap::from([(output("old"), "/in/old".into())]);
    let fetched = alice.happen(1, fetched(inputs.clone()));
    assert_eq!(
        fetched,
        [Action::Run { assignment: order.clone(), inputs, resumed: Resumed::default() }]
    );
    let started = alice.happen(1, AttemptEvent::Started { pid: 42 });
    let report = FromWorker::Started { attempt: attempt(1), pid: 42 };
    assert_eq!(started, [Action::Send(report)]);
    let exited = alice.happen(1, AttemptEvent::Exited { usage: usage() });
    assert_eq!(exited, [Action::Seal(order)]);
    let sealed = alice.happen(1, AttemptEvent::Sealed { outputs: staged() });
    assert_eq!(sealed, [sealed_report(1)]);
    let record = Record::Sealed { attempt: attempt(1), outputs: staged(), usage: usage() };
    assert_eq!(alice.records.last(), Some(&record));
}

#[test]
fn a_start_that_comes_twice_runs_once() {
    let mut alice = Alice::admitted();
    alice.start(1);
    assert_eq!(alice.start(1), []);
    alice.happen(1, fetched(BTreeMap::new()));
    alice.happen(1, AttemptEvent::Started { pid: 42 });
    let report = FromWorker::Started { attempt: attempt(1), pid: 42 };
    assert_eq!(alice.start(1), [Action::Send(report)]);
}

#[test]
fn an_older_token_is_never_run_and_never_left_unanswered() {
    let refused = |actions: &[Action], token: u64| {
        matches!(actions, [Action::Send(FromWorker::Ended { attempt: ended, end: AttemptEnd::Failed { .. } })]
            if *ended == attempt(token))
    };
    let mut alice = Alice::admitted();
    alice.start(2);
    assert!(refused(&alice.start(1), 1));
    alice.hear(1, FromCoordinator::Discard { attempt: attempt(2) });
    alice.happen(2, interrupted());
    assert!(refused(&alice.start(1), 1), "an attempt that is gone fences the older ones");
    assert!(refused(&alice.start(2), 2), "and itself");
}

#[test]
fn a_newer_token_ends_and_discards_the_older_attempt() {
    let mut alice = Alice::admitted();
    alice.start(1);
    let actions = alice.start(2);
    assert!(matches!(
        actions.as_slice(),
        [Action::Fetch(_), Action::Stop { attempt: stopped, .. }, Action::Send(_)]
            if *stopped == attempt(1)
    ));
    assert_eq!(alice.happen(1, interrupted()), [Action::Discard(attempt(1))]);
}

#[test]
fn a_stopped_attempt_ends_as_stopped_whatever_it_answers() {
    let ends = [
        AttemptEvent::Exited { usage: usage() },
        AttemptEvent::Sealed { outputs: staged() },
        interrupted(),
    ];
    for end in ends {
        let mut alice = Alice::admitted();
        alice.start(1);
        alice.happen(1, fetched(BTreeMap::new()));
        let asked = alice.hear(1, stop(1));
        assert!(matches!(asked.as_slice(), [Action::Stop { .. }]));
        let reported = alice.happen(1, end);
        assert_eq!(failure_of(&reported), Some((attempt(1), FailureKind::Stopped)));
    }
}

#[test]
fn a_stop_after_the_end_is_answered_with_the_report() {
    let mut alice = Alice::admitted();
    alice.seal(1);
    assert_eq!(alice.hear(1, stop(1)), [sealed_report(1)]);
}

#[test]
fn an_attempt_that_runs_too_long_times_out() {
    let mut alice = Alice::admitted();
    alice.start(1);
    alice.happen(1, fetched(BTreeMap::new()));
    let asked = alice.pass(Duration::from_mins(1));
    assert!(asked.iter().any(|action| matches!(action, Action::Stop { .. })));
    let reported = alice.happen(1, interrupted());
    assert_eq!(failure_of(&reported), Some((attempt(1), FailureKind::TimedOut)));
}

#[test]
fn last_words_come_before_the_word_of_the_end() {
    for end in [AttemptEvent::Exited { usage: usage() }, interrupted()] {
        let mut alice = Alice::admitted();
        alice.start(1);
        alice.happen(1, fetched(BTreeMap::new()));
        alice.happen(1, AttemptEvent::Started { pid: 42 });
        let report = Box::new(SelfReport { warnings: 1, ..SelfReport::default() });
        let said = AttemptEvent::Reported { report: report.clone(), checkpoints: Vec::new() };
        alice.happen(1, said);

        let ended = alice.happen(1, end);

        let (attempt, age) = (attempt(1), Duration::ZERO);
        let told = Action::Send(FromWorker::Reported { attempt, report, age });
        assert_eq!((ended.len(), &ended[0]), (2, &told));
    }
}

#[test]
fn an_acknowledged_failure_is_forgotten_and_its_staging_removed() {
    let mut alice = Alice::admitted();
    alice.start(1);
    alice.happen(1, interrupted());
    let acknowledged = alice.hear(1, FromCoordinator::Acknowledged { attempt: attempt(1) });
    assert_eq!(acknowledged, [Action::Discard(attempt(1))]);
    let record = Record::Acknowledged { attempt: attempt(1), rest: Rest::Nothing };
    assert_eq!(alice.records.last(), Some(&record));
}

#[test]
fn a_smaller_epoch_is_not_listened_to() {
    let mut alice = Alice::admitted();
    alice.connect(3);
    assert!(alice.records.contains(&Record::EpochSeen { log: log(3, 10) }));
    let left = alice.connect(2);
    assert!(matches!(left.as_slice(), [Action::Leave { .. }]));
    assert!(matches!(alice.start(1).as_slice(), [Action::Leave { .. }]));
}

#[test]
fn another_cluster_is_not_listened_to() {
    let mut alice = Alice::admitted();
    alice.step(Event::Connected(SessionNumber(9)));
    let foreign = LogPosition { cluster: ClusterId(uuid::Uuid::nil()), ..log(5, 1) };
    let frame = Box::new(CoordinatorFrame { log: foreign, body: welcome() });
    let left = alice.step(Event::Received { session: SessionNumber(9), frame });
    assert!(matches!(left.as_slice(), [Action::Leave { .. }]));
}

#[test]
fn orders_before_the_admission_are_not_obeyed() {
    let mut alice = Alice::admitted();
    alice.step(Event::Connected(SessionNumber(2)));
    alice.session = 2;
    assert!(matches!(alice.start(1).as_slice(), [Action::Leave { .. }]));
}

#[test]
fn a_report_waits_for_the_inventory_while_nobody_listens() {
    let mut alice = Alice::admitted();
    alice.start(1);
    alice.step(Event::Disconnected(SessionNumber(1)));
    assert_eq!(alice.happen(1, interrupted()), []);
    let actions = alice.connect(1);
    assert!(matches!(listed(&actions).as_slice(), [AttemptState::Ended(_)]));
    assert_eq!(actions.last(), Some(&Action::Send(FromWorker::InventoryEnded)));
}

#[test]
fn the_inventory_has_pages_of_a_bounded_size() {
    use std::iter::empty;

    let many = vec![staged().remove(0); 200];
    let attempts = (1..=5).map(|counter| votum_job::ListedAttempt {
        attempt: attempt(counter),
        number: 1,
        state: AttemptState::Ended(AttemptEnd::Sealed { outputs: many.clone(), usage: usage() }),
    });
    let frames = inventory::pages(attempts, empty(), empty(), empty(), empty());
    assert_eq!(frames.len(), 6, "one page each, and the end");
    let none = inventory::pages(empty(), empty(), empty(), empty(), empty());
    assert_eq!(none, [FromWorker::InventoryEnded]);
}

#[test]
fn signs_of_life_come_at_the_wanted_interval() {
    let mut alice = Alice::admitted();
    assert_eq!(alice.pass(INTERVAL / 2), []);
    assert_eq!(alice.pass(INTERVAL / 2), [Action::Heartbeat { number: 1 }]);
    assert_eq!(alice.pass(INTERVAL), [Action::Heartbeat { number: 2 }]);
}

#[test]
fn what_is_not_sealed_here_is_not_even_checked() {
    let mut alice = Alice::admitted();
    alice.seal(1);
    let foreign = Pledge { digest: votum_ids::Digest([6; 32]), ..pledge(1) };
    let vote = Vote::No(Objection::NotHeld);
    let voted = FromWorker::Commit(Reply::Voted { txn: txn(1), vote });
    assert_eq!(alice.hear(1, prepare(foreign)), [Action::Send(voted)]);
}

/// Nothing ticks in between.
#[test]
fn what_was_just_sealed_is_covered_by_the_end_of_its_job() {
    let mut alice = Alice::admitted();
    alice.start(1);
    alice.happen(1, fetched(BTreeMap::new()));
    alice.happen(1, AttemptEvent::Started { pid: 42 });
    alice.happen(1, AttemptEvent::Exited { usage: usage() });
    alice.step(Event::Attempt(attempt(1), AttemptEvent::Sealed { outputs: staged() }));
    let abort = FromCoordinator::Commit(Message::Abort { job: job() });
    let frame = Box::new(CoordinatorFrame { log: log(1, 10), body: abort });
    alice.step(Event::Received { session: SessionNumber(alice.session), frame });
    let aborted = votum_commit::ParticipantRecord::Aborted { job: job() };
    assert_eq!(alice.records.last(), Some(&Record::Participant(aborted)));
}

#[test]
fn a_job_is_prepared_published_and_released() {
    let mut alice = Alice::admitted();
    alice.seal(1);
    let check = Action::Check { txn: txn(1), pledges: vec![pledge(1)] };
    assert_eq!(alice.hear(1, prepare(pledge(1))), [check]);
    let checked = ParticipantEvent::Checked { txn: txn(1), result: Vote::Yes };
    let yes = FromWorker::Commit(Reply::Voted { txn: txn(1), vote: Vote::Yes });
    assert_eq!(alice.step(Event::Participant(checked)), [Action::Send(yes)]);
    let publish = Action::Publish { txn: txn(1), pledges: vec![pledge(1)] };
    assert_eq!(alice.hear(1, commit()), [publish]);
    let published = ParticipantEvent::Published { txn: txn(1) };
    let acked = FromWorker::Commit(Reply::Acked { txn: txn(1) });
    assert_eq!(alice.step(Event::Participant(published)), [Action::Send(acked)]);
    let release = FromCoordinator::Commit(Message::Release { job: job() });
    assert_eq!(alice.hear(1, release), [Action::DiscardJob(job())]);
    assert_eq!(listed(&alice.connect(1)), []);
}

#[test]
fn an_order_to_discard_waits_where_a_promise_names_the_job() {
    let mut alice = Alice::admitted();
    alice.prepare();
    assert_eq!(alice.hear(1, FromCoordinator::Discard { attempt: attempt(1) }), []);
    let publish = Action::Publish { txn: txn(1), pledges: vec![pledge(1)] };
    assert_eq!(alice.hear(1, commit()), [publish]);
}

#[test]
fn an_abort_ends_what_runs_and_removes_what_is_sealed() {
    let mut alice = Alice::admitted();
    alice.seal(1);
    let mut other = assignment(2);
    other.attempt.task = votum_ids::TaskId::new("other").unwrap();
    let running = other.attempt.clone();
    alice.hear(1, FromCoordinator::Start(Box::new(other)));
    let abort = FromCoordinator::Commit(Message::Abort { job: job() });
    let actions = alice.hear(1, abort);
    assert!(actions.contains(&Action::Discard(attempt(1))));
    assert!(
        actions.iter().any(|action| {
            matches!(action, Action::Stop { attempt, .. } if *attempt == running)
        })
    );
    let reported = alice.step(Event::Attempt(running.clone(), interrupted()));
    assert_eq!(failure_of(&reported), Some((running, FailureKind::Stopped)));
}

#[test]
fn an_aborted_job_without_remains_is_forgotten_at_reconnect() {
    let mut alice = Alice::admitted();
    alice.seal(1);
    alice.hear(1, FromCoordinator::Commit(Message::Abort { job: job() }));
    let actions = alice.connect(1);
    assert!(actions.contains(&Action::DiscardJob(job())));
    let released = votum_commit::ParticipantRecord::Released { job: job() };
    assert_eq!(alice.records.last(), Some(&Record::Participant(released)));
}

#[test]
fn what_was_sealed_is_listed_after_a_restart() {
    let mut alice = Alice::admitted();
    alice.seal(1);
    let mut alice = alice.restarted();
    let end = AttemptEnd::Sealed { outputs: staged(), usage: usage() };
    assert_eq!(listed(&alice.connect(1)), [AttemptState::Ended(end)]);
    let check = Action::Check { txn: txn(1), pledges: vec![pledge(1)] };
    assert_eq!(alice.hear(1, prepare(pledge(1))), [check]);
}

#[test]
fn whoever_was_in_doubt_asks_after_a_restart() {
    let mut alice = Alice::admitted();
    alice.prepare();
    let mut alice = alice.restarted();
    let actions = alice.connect(1);
    assert!(actions.iter().any(|action| {
        matches!(action, Action::Send(FromWorker::Inventory(page)) if page.prepared == [txn(1)])
    }));
    let inquired =
        Action::Send(FromWorker::Commit(Reply::Inquired { txn: txn(1), committed: false }));
    assert!(actions.contains(&inquired));
    let publish = Action::Publish { txn: txn(1), pledges: vec![pledge(1)] };
    assert_eq!(alice.hear(1, commit()), [publish]);
}

#[test]
fn what_ran_at_the_crash_is_reported_when_it_is_gone() {
    let mut alice = Alice::admitted();
    alice.start(1);
    let mut alice = alice.restarted();
    assert_eq!(alice.engine.cut_off().collect::<Vec<_>>(), [&attempt(1)]);
    alice.happen(1, interrupted());
    let listed = listed(&alice.connect(1));
    let [AttemptState::Ended(AttemptEnd::Failed { failure, .. })] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    assert_eq!(failure.kind, FailureKind::Interrupted);
    assert_eq!(failure.stderr_tail, "last words");
}

#[test]
fn what_no_record_knows_of_is_listed_and_kept() {
    let mut alice = Alice::new();
    alice.tick();
    alice.step(Event::Found { attempt: attempt(1), number: 3 });
    alice.happen(1, interrupted());
    let actions = alice.connect(1);
    assert!(matches!(listed(&actions).as_slice(), [AttemptState::Ended(_)]));
    let discarded = alice.hear(1, FromCoordinator::Discard { attempt: attempt(1) });
    let told = FromWorker::Discarded { attempt: attempt(1), comeback: Comeback::Failed };
    assert_eq!(discarded, [Action::Discard(attempt(1)), Action::Send(told)]);
}

#[test]
fn a_corrupt_job_is_refused_and_not_touched() {
    let mut alice = Alice::new();
    alice.tick();
    let stray = Record::Sealed { attempt: attempt(1), outputs: staged(), usage: usage() };
    alice.engine.resume(&job(), vec![stray]).unwrap_err();
    let actions = alice.connect(1);
    let why = format!("a record of {} has no acceptance before it", attempt(1));
    let problem = format!("record 1 of 1 cannot be read: {why}");
    let unreadable = vec![UnreadableJob { job: job(), problem }];
    let page = votum_wire::Inventory { unreadable, ..Default::default() };
    assert!(actions.contains(&Action::Send(FromWorker::Inventory(page))), "{actions:?}");
    let refused = alice.hear(1, prepare(pledge(1)));
    let vote = Vote::No(Objection::NotHeld);
    assert_eq!(refused, [Action::Send(FromWorker::Commit(Reply::Voted { txn: txn(1), vote }))]);
    assert_eq!(alice.hear(1, FromCoordinator::Discard { attempt: attempt(1) }), []);
    let refused = alice.start(2);
    assert_eq!(failure_of(&refused), Some((attempt(2), FailureKind::StorageFailed)));
    assert_eq!(alice.hear(1, FromCoordinator::Acknowledged { attempt: attempt(2) }), []);
    for message in [Message::Abort { job: job() }, Message::Release { job: job() }] {
        assert_eq!(alice.hear(1, FromCoordinator::Commit(message)), []);
    }
    let by = alice_named("bob");
    let asked = ParticipantEvent::PeerAsked {
        txn: txn(1),
        asked: crate::testing::alice().uid,
        updates: true,
        by: by.clone(),
    };
    let unknown = Action::AnswerPeer { to: by, txn: txn(1), knowledge: Knowledge::Unknown };
    assert_eq!(alice.step(Event::Participant(asked)), [unknown]);
    assert!(alice.records.iter().all(|record| record.job().is_none()));
}

#[test]
fn a_record_of_another_job_quarantines_the_stream_it_stands_in() {
    let mut alice = Alice::new();
    let other = JobId::new("rents").unwrap();
    let accepted = Record::Accepted { attempt: attempt(1), number: 1, hook: false };
    alice.engine.resume(&other, vec![accepted]).unwrap_err();
    let problem = alice.engine.problem(&other).unwrap();
    assert_eq!(problem, "record 1 of 1 cannot be read: it does not speak of this job");
    assert_eq!(alice.engine.problem(&job()), None);
}

#[test]
fn a_peer_learns_what_this_worker_knows() {
    let mut alice = Alice::admitted();
    alice.prepare();
    let bob =
        Installation { uid: votum_ids::WorkerUid(uuid::Uuid::from_u128(2)), ..alice_named("bob") };
    let asked = ParticipantEvent::PeerAsked {
        txn: txn(1),
        asked: crate::testing::alice().uid,
        updates: true,
        by: bob.clone(),
    };
    let answer = Action::AnswerPeer { to: bob, txn: txn(1), knowledge: Knowledge::InDoubt };
    assert_eq!(alice.step(Event::Participant(asked)), [answer]);
}

#[test]
fn a_worker_that_stops_its_tasks_leaves_after_the_last() {
    let mut alice = Alice::admitted();
    alice.start(1);
    assert_eq!(alice.step(Event::Terminated(Parting::TasksStop)), []);
    let asked = alice.tick();
    assert!(matches!(asked.as_slice(), [Action::Stop { grace, .. }] if *grace == GRACE_MAX));
    let mut other = assignment(2);
    other.attempt.task = votum_ids::TaskId::new("other").unwrap();
    assert_eq!(alice.hear(1, FromCoordinator::Start(Box::new(other))), []);
    let actions = alice.happen(1, interrupted());
    assert_eq!(failure_of(&actions), Some((attempt(1), FailureKind::Interrupted)));
    assert!(actions.ends_with(&[Action::Send(FromWorker::Goodbye), Action::Exit]));
}

#[test]
fn replaying_twice_ends_in_the_same_inventory() {
    let mut alice = Alice::admitted();
    alice.prepare();
    alice.hear(1, commit());
    let records = alice.records.clone();
    let mut once = alice.restarted();
    let first = once.connect(1);
    once.records = records;
    let second = once.restarted().connect(1);
    assert_eq!(first, second);
}

fn alice_named(name: &str) -> Installation {
    Installation { worker: votum_ids::WorkerId::new(name).unwrap(), ..alice() }
}

#[test]
fn a_sealed_output_outlives_its_acknowledgement() {
    let mut alice = Alice::admitted();
    alice.seal(1);
    assert_eq!(alice.hear(1, FromCoordinator::Acknowledged { attempt: attempt(1) }), []);
    let mut alice = alice.restarted();
    let end = AttemptEnd::Sealed { outputs: staged(), usage: usage() };
    assert_eq!(listed(&alice.connect(1)), [AttemptState::Ended(end)]);
}

#[test]
fn bytes_go_only_after_the_record_that_lets_them_go() {
    let mut alice = Alice::admitted();
    alice.prepare();
    alice.hear(1, commit());
    alice.step(Event::Participant(ParticipantEvent::Published { txn: txn(1) }));
    let release = FromCoordinator::Commit(Message::Release { job: job() });
    let released = alice.hear(1, release);
    assert_eq!(released, [Action::DiscardJob(job())]);
    assert!(alice.records.last().is_some_and(|record| !record.forced()));
    assert!(released.iter().all(Action::awaits_lazy_records));

    let mut alice = Alice::admitted();
    alice.seal(1);
    let discarded = alice.hear(1, FromCoordinator::Discard { attempt: attempt(1) });
    assert_eq!(discarded[0], Action::Discard(attempt(1)));
    assert!(discarded[0].awaits_lazy_records());
}

#[test]
fn what_is_published_is_not_published_again_after_a_restart() {
    let mut alice = Alice::admitted();
    alice.prepare();
    alice.hear(1, commit());
    alice.step(Event::Participant(ParticipantEvent::Published { txn: txn(1) }));

    let mut alice = alice.restarted();
    alice.connect(1);
    // Whoever still publishes does not acknowledge.
    let acked = FromWorker::Commit(Reply::Acked { txn: txn(1) });
    assert_eq!(alice.hear(1, commit()), [Action::Send(acked)]);
    assert_eq!(alice.records, []);
}
