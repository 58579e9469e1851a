//! Single claims about order, budgets, late truths and corrupt logs.

use std::time::Duration;

use votum_ids::TaskId;
use votum_job::FailureKind;
use votum_machine::WallTime;
use votum_settle::{Action, CorruptSettlement, Event, HookState, Record, Resolution, Trial};

use crate::{
    cast::{attempt, decision, end, failed, host, job, task, worker},
    world::World,
};

#[test]
fn the_end_does_not_wait_for_what_waits_for_a_case() {
    let mut world = committed(&[
        "effect charge at commit webhook attempts 1",
        "effect mail at commit webhook needs charge",
        "effect tidy at end webhook",
    ]);
    answer(&mut world, "charge", 1, 503);
    assert_eq!(state(&world, "mail"), HookState::Waiting);
    assert_eq!(state(&world, "tidy"), HookState::Running { worker: None });
}

#[test]
fn the_end_waits_again_once_a_case_is_retried() {
    let mut world =
        committed(&["effect charge at commit webhook attempts 1", "effect tidy at end"]);
    answer(&mut world, "charge", 1, 503);
    assert!(matches!(state(&world, "tidy"), HookState::Due { .. }));

    resolve(&mut world, "charge", Resolution::Retry);
    offer(&mut world, "alice", "tidy");

    assert_eq!(state(&world, "tidy"), HookState::Waiting, "{}", world.told);
    answer(&mut world, "charge", 2, 200);
    assert!(matches!(state(&world, "tidy"), HookState::Due { .. }));
}

#[test]
fn a_compensation_does_not_begin_beside_a_follower_that_is_retried() {
    let mut world = aborted(&[
        "task book undone",
        "task pay after book undone attempts 1",
        "started book by alice 1.1",
        "started pay by alice 1.2",
    ]);
    offer(&mut world, "alice", "pay");
    ended(&mut world, "alice", "pay#1.11", &["exit", "3"]);
    assert!(matches!(state(&world, "book"), HookState::Due { .. }));

    resolve(&mut world, "pay", Resolution::Retry);
    offer(&mut world, "alice", "pay");
    offer(&mut world, "alice", "book");

    assert_eq!(state(&world, "book"), HookState::Waiting, "{}", world.told);
    ended(&mut world, "alice", "pay#1.12", &["sealed"]);
    assert!(matches!(state(&world, "book"), HookState::Due { .. }));
}

#[test]
fn looking_for_workers_again_cuts_no_backoff_short() {
    let mut world = committed(&["effect mail at commit webhook attempts 9 backoff 1s"]);
    answer(&mut world, "mail", 1, 503);
    world.step(Event::LookAgain);
    world.settle();
    assert_eq!(posts(&world), 1, "{}", world.told);
    world.pass(Duration::from_secs(1));
    assert_eq!(posts(&world), 2);
}

#[test]
fn looking_for_workers_again_asks_at_once() {
    let mut world = committed(&["effect mail at commit"]);
    let before = world.actions.len();
    world.step(Event::LookAgain);
    world.settle();
    assert!(matches!(world.actions[before..], [Action::Place { .. }]));
}

#[test]
fn an_offer_that_nobody_asked_for_cuts_no_backoff_short() {
    let mut world = committed(&["effect mail at commit"]);
    offer(&mut world, "alice", "mail");
    ended(&mut world, "alice", "mail#1.11", &["exit", "3"]);
    offer(&mut world, "alice", "mail");
    assert!(matches!(state(&world, "mail"), HookState::Due { .. }), "{}", world.told);
}

#[test]
fn a_webhook_takes_no_worker() {
    let mut world = committed(&["effect mail at commit webhook"]);
    answer(&mut world, "mail", 1, 503);
    offer(&mut world, "alice", "mail");
    let message = "nobody".to_owned();
    world.step(Event::Unplaceable { job: job(), hook: task("mail"), message });
    assert!(matches!(state(&world, "mail"), HookState::Due { .. }), "{}", world.told);
}

#[test]
fn a_lost_worker_that_did_it_spares_another_try() {
    let mut world = committed(&["effect mail at commit"]);
    offer(&mut world, "alice", "mail");
    world.exhaust(&Event::HostLost { worker: worker("alice") });
    assert!(matches!(state(&world, "mail"), HookState::Due { .. }));

    ended(&mut world, "alice", "mail#1.11", &["sealed"]);

    assert_eq!(state(&world, "mail"), HookState::Done, "{}", world.told);
    assert_eq!(portrait(&world), World::portrait(&world.replayed(), &job()));
}

#[test]
fn a_lost_worker_that_did_it_ends_the_case() {
    let mut world = committed(&["effect mail at commit park"]);
    offer(&mut world, "alice", "mail");
    world.exhaust(&Event::HostLost { worker: worker("alice") });
    assert_eq!(state(&world, "mail"), HookState::Parked);

    world.step(Event::Joined { host: host("alice") });
    list(&mut world, "alice", "mail#1.11", &["sealed"]);

    assert_eq!(state(&world, "mail"), HookState::Done, "{}", world.told);
    assert_eq!(portrait(&world), World::portrait(&world.replayed(), &job()));
}

#[test]
fn a_late_report_changes_nothing_that_a_person_closed() {
    let mut world = committed(&["effect mail at commit park"]);
    offer(&mut world, "alice", "mail");
    world.exhaust(&Event::HostLost { worker: worker("alice") });
    resolve(&mut world, "mail", Resolution::GiveUp);
    let before = world.records.len();

    ended(&mut world, "alice", "mail#1.11", &["sealed"]);
    list(&mut world, "alice", "mail#1.11", &["live"]);
    resolve(&mut world, "mail", Resolution::Retry);

    assert_eq!(world.records.len(), before, "{}", world.told);
    assert!(matches!(state(&world, "mail"), HookState::Closed { .. }));
}

#[test]
fn a_late_failure_counts_for_no_other_try() {
    let mut world = committed(&["effect mail at commit"]);
    offer(&mut world, "alice", "mail");
    world.exhaust(&Event::HostLost { worker: worker("alice") });
    world.pass(Duration::from_secs(3));
    offer(&mut world, "bob", "mail");

    ended(&mut world, "alice", "mail#1.11", &["exit", "3"]);
    ended(&mut world, "alice", "mail#1.11", &["sealed"]);

    assert_eq!(state(&world, "mail"), HookState::Running { worker: Some(worker("bob")) });
}

#[test]
fn a_successful_report_comes_from_the_installation_that_has_the_try() {
    let mut world = committed(&["effect mail at commit"]);
    offer(&mut world, "alice", "mail");
    ended(&mut world, "alice=2", "mail#1.11", &["sealed"]);
    assert_eq!(state(&world, "mail"), HookState::Running { worker: Some(worker("alice")) });
}

#[test]
fn every_try_on_a_lost_worker_is_ended() {
    let mut world = committed(&["effect log at commit", "effect mail at commit"]);
    offer(&mut world, "alice", "log");
    offer(&mut world, "alice", "mail");
    world.exhaust(&Event::HostLost { worker: worker("alice") });
    assert!(world.settlement.hosts().is_empty());
}

#[test]
fn what_a_server_broke_over_may_have_taken_effect() {
    for status in [100, 500, 502, 504, 507, 520, 524, 599, 700] {
        assert!(matches!(Trial::of_status(status), Trial::Unknown { .. }), "{status}");
    }
    for status in [408, 425, 429, 503] {
        let trial = Trial::of_status(status);
        assert!(matches!(trial, Trial::Failed { hopeless: false, .. }), "{status}");
    }
    for status in [301, 400, 401, 404, 410, 422, 501] {
        let trial = Trial::of_status(status);
        assert!(matches!(trial, Trial::Failed { hopeless: true, .. }), "{status}");
    }
}

#[test]
fn what_fails_after_its_program_may_have_taken_effect() {
    for kind in [
        FailureKind::StorageFailed,
        FailureKind::OutputMissing,
        FailureKind::OutputRefused,
        FailureKind::Signal(9),
        FailureKind::Interrupted,
    ] {
        let mut world = committed(&["effect mail at commit park"]);
        offer(&mut world, "alice", "mail");
        let (host, attempt, end) = (host("alice"), attempt("mail#1.11"), Box::new(failed(kind)));
        world.step(Event::Ended { host, attempt, end });
        assert_eq!(state(&world, "mail"), HookState::Parked, "{kind:?}");
    }
}

#[test]
fn long_last_words_are_cut() {
    let mut world = committed(&["effect mail at commit"]);
    offer(&mut world, "alice", "mail");
    let votum_job::AttemptEnd::Failed { mut failure, usage } = end(&["exit", "3"]) else {
        panic!()
    };
    failure.stderr_tail = "ü".repeat(100_000);
    failure.message = "ä".repeat(100_000);
    let end = Box::new(votum_job::AttemptEnd::Failed { failure, usage });
    world.step(Event::Ended { host: host("alice"), attempt: attempt("mail#1.11"), end });
    let view = world.settlement.hooks(&job()).remove(0);
    assert!(view.trials[0].trial.message().unwrap().len() < 3_000);
}

#[test]
fn a_stranding_of_what_was_not_due_is_corrupt() {
    let mut world = committed(&["effect mail at commit webhook"]);
    answer(&mut world, "mail", 1, 200);
    let stranded =
        Record::Stranded { job: job(), hook: task("mail"), message: "nobody".to_owned() };
    let refused = replay(&world, vec![stranded]);
    assert!(matches!(refused, Err(CorruptSettlement::NotSought { .. })), "{refused:?}");
}

#[test]
fn a_try_out_of_turn_is_corrupt() {
    let world =
        committed(&["effect log at commit webhook", "effect mail at commit webhook needs log"]);
    let intended = |hook: TaskId, number| Record::Intended { job: job(), hook, number, at: None };
    for (hook, number) in [("mail", 1), ("log", 1), ("log", 3)] {
        let refused = replay(&world, vec![intended(task(hook), number)]);
        assert!(matches!(refused, Err(CorruptSettlement::NotDue { .. })), "{refused:?}");
    }
}

#[test]
fn a_success_after_a_known_failure_is_corrupt() {
    let mut world = committed(&["effect mail at commit"]);
    offer(&mut world, "alice", "mail");
    ended(&mut world, "alice", "mail#1.11", &["exit", "3"]);
    let tried = |number, trial| Record::Tried { job: job(), hook: task("mail"), number, trial };
    for record in [tried(1, Trial::Done), tried(2, Trial::Done)] {
        let refused = replay(&world, vec![record]);
        assert!(matches!(refused, Err(CorruptSettlement::NotRunning { .. })), "{refused:?}");
    }
}

#[test]
fn a_decision_that_leaves_nothing_is_not_recorded() {
    let mut world = World::new();
    world.step(decision(&job(), "commit", &["task book undone", "effect cry at abort webhook"]));
    assert!(world.records.is_empty());
    assert!(!world.settlement.is_open(&job()));
}

#[test]
fn a_second_decision_changes_nothing() {
    let mut world = committed(&["effect mail at commit webhook"]);
    let before = world.records.len();
    world.step(decision(&job(), "abort", &["effect cry at abort webhook"]));
    assert_eq!(world.records.len(), before);
}

#[test]
fn a_closed_job_is_forgotten_whole() {
    let mut world = committed(&["effect mail at commit webhook"]);
    world.step(Event::Closed { job: job() });
    assert_eq!(world.settlement.cases(), []);
    assert!(!world.settlement.is_open(&job()));
    assert_eq!(votum_machine::Machine::next_deadline(&world.settlement), None);
}

#[test]
fn the_attempts_of_a_task_are_no_tries() {
    let world = aborted(&["task book undone", "started book by alice 1.1"]);
    assert!(!world.settlement.knows(&attempt("book#1.1")));
    assert!(world.settlement.knows(&attempt("book#1.11")));
}

fn committed(lines: &[&str]) -> World {
    decided("commit", lines)
}

fn aborted(lines: &[&str]) -> World {
    decided("abort", lines)
}

fn decided(verdict: &str, lines: &[&str]) -> World {
    let mut world = World::new();
    world.step(decision(&job(), verdict, lines));
    world.settle();
    world
}

fn offer(world: &mut World, on: &str, hook: &str) {
    let (host, token) = (host(on), world.next_token());
    world.step(Event::Offered { job: job(), hook: task(hook), host, token });
    world.settle();
}

fn ended(world: &mut World, on: &str, which: &str, how: &[&str]) {
    let (host, attempt, end) = (host(on), attempt(which), Box::new(end(how)));
    world.step(Event::Ended { host, attempt, end });
    world.settle();
}

fn list(world: &mut World, on: &str, which: &str, how: &[&str]) {
    let state = match how {
        ["live"] => votum_job::AttemptState::Live,
        how => votum_job::AttemptState::Ended(end(how)),
    };
    let listed = votum_job::ListedAttempt { attempt: attempt(which), number: 1, state };
    world.step(Event::Listed { host: host(on), listed });
}

fn answer(world: &mut World, hook: &str, number: u32, status: u16) {
    let trial = Trial::of_status(status);
    world.step(Event::Answered { job: job(), hook: task(hook), number, trial });
    world.settle();
}

fn resolve(world: &mut World, hook: &str, resolution: Resolution) {
    let (by, reason) = ("ana".to_owned(), "I looked".to_owned());
    world.step(Event::ResolutionAsked { job: job(), hook: task(hook), resolution, by, reason });
    world.settle();
}

fn state(world: &World, hook: &str) -> HookState {
    let views = world.settlement.hooks(&job());
    views.into_iter().find(|view| view.hook == task(hook)).unwrap().state
}

fn posts(world: &World) -> usize {
    world.actions.iter().filter(|action| matches!(action, Action::Post(_))).count()
}

fn portrait(world: &World) -> String {
    World::portrait(&world.settlement, &job())
}

/// Replays the records of a world with these after them.
fn replay(world: &World, more: Vec<Record>) -> Result<(), CorruptSettlement> {
    let mut settlement = World::replayed(world);
    more.iter().try_for_each(|record| {
        let spec = world.spec(record.job());
        settlement.replay(WallTime(2_000_000), spec, record)
    })
}
