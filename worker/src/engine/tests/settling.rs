//! A compensation meets what it undoes in every order (protocol.md §2).

use votum_job::{FlatMap, HookRole, Role, TaskSpec};

use super::*;

/// What comes from the coordinator; in the order of a sane session only the first comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Forward,
    Timeout,
    Compensation,
    LateForward,
}

/// The outside world on which the task and its compensation act.
#[derive(Debug, Default)]
struct Outside {
    booked: bool,
    undone: u32,
    runs: BTreeMap<u64, u32>,
    running: Option<u64>,
}

#[test]
fn every_order_of_forward_and_compensation_ends_undone() {
    let words = [Word::Forward, Word::Timeout, Word::Compensation, Word::LateForward];
    let mut orders = 0;
    for order in permutations(&words) {
        let mut alice = Alice::admitted();
        let mut outside = Outside::default();
        for word in &order {
            let actions = alice.hear(1, frame(*word));
            outside.obey(&mut alice, actions);
            // Every frame may come twice (R4).
            let actions = alice.hear(1, frame(*word));
            outside.obey(&mut alice, actions);
        }
        assert!(!outside.booked, "{order:?}: {outside:?}");
        assert_eq!(outside.undone, 1, "{order:?}: {outside:?}");
        assert_eq!(outside.running, None, "{order:?}");
        assert!(outside.runs.values().all(|runs| *runs == 1), "{order:?}: {outside:?}");
        orders += 1;
    }
    assert_eq!(orders, 24);
}

#[test]
fn a_late_forward_is_refused_after_a_restart() {
    let mut alice = Alice::admitted();
    let mut outside = Outside::default();
    let actions = alice.hear(1, frame(Word::Compensation));
    outside.obey(&mut alice, actions);

    let mut alice = alice.restarted();
    alice.connect(1);
    let actions = alice.hear(1, frame(Word::LateForward));
    outside.obey(&mut alice, actions);
    assert_eq!(outside.runs, BTreeMap::from([(2, 1)]));
}

#[test]
fn a_compensation_is_durable_before_it_begins() {
    let mut alice = Alice::admitted();
    alice.hear(1, frame(Word::Compensation));
    let accepted = alice.records.last().unwrap();
    assert!(matches!(accepted, Record::Accepted { hook: true, .. }), "{accepted:?}");
    assert!(accepted.forced());
}

#[test]
fn the_end_of_a_job_leaves_its_hooks_alone() {
    let mut alice = Alice::admitted();
    alice.seal(1);
    let start = alice.hear(1, frame(Word::Compensation));
    assert!(start.iter().any(|action| matches!(action, Action::Fetch(_))), "{start:?}");
    let actions = alice.hear(1, FromCoordinator::Commit(Message::Abort { job: job() }));
    let touched = actions.iter().any(|action| {
        matches!(action, Action::Stop { attempt: id, .. } | Action::Discard(id) if *id == attempt(2))
    });
    assert!(!touched, "{actions:?}");
    assert!(alice.engine.attempts.find(&attempt(2)).is_some_and(Attempt::is_live));
}

#[test]
fn a_compensation_is_not_released_with_the_job_that_it_undoes() {
    let mut alice = Alice::admitted();
    alice.seal(1);
    alice.hear(1, FromCoordinator::Acknowledged { attempt: attempt(1) });
    alice.hear(1, FromCoordinator::Commit(Message::Abort { job: job() }));
    assert_eq!(alice.engine.attempts.of_job(&job()).count(), 0);

    // Admitted again it has nothing left of the job, and hears at once what is to be undone.
    alice.session += 1;
    let session = SessionNumber(alice.session);
    alice.step(Event::Connected(session));
    for body in [welcome(), frame(Word::Compensation)] {
        let frame = Box::new(CoordinatorFrame { log: log(1, 10), body });
        alice.step(Event::Received { session, frame });
    }
    let actions = alice.tick();
    let stopped = actions.iter().any(|action| matches!(action, Action::Stop { .. }));
    assert!(!stopped, "{actions:?}");
}

impl Outside {
    /// Does what the worker asks for, until it asks for nothing more.
    fn obey(&mut self, alice: &mut Alice, actions: Vec<Action>) {
        let mut open = VecDeque::from(actions);
        while let Some(action) = open.pop_front() {
            match action {
                Action::Fetch(order) => {
                    let counter = order.attempt.token.counter;
                    open.extend(alice.happen(counter, fetched(BTreeMap::new())));
                }
                Action::Run { assignment, .. } => {
                    let counter = assignment.attempt.token.counter;
                    assert_eq!(self.running, None, "two run at once");
                    *self.runs.entry(counter).or_default() += 1;
                    open.extend(alice.happen(counter, AttemptEvent::Started { pid: 42 }));
                    if assignment.role.is_task() {
                        self.booked = true;
                        self.running = Some(counter);
                        continue;
                    }
                    self.booked = false;
                    self.undone += 1;
                    open.extend(alice.happen(counter, AttemptEvent::Exited { usage: usage() }));
                }
                Action::Seal(order) => {
                    let sealed = AttemptEvent::Sealed { outputs: Vec::new() };
                    open.extend(alice.happen(order.attempt.token.counter, sealed));
                }
                Action::Stop { attempt, .. } if self.running == Some(attempt.token.counter) => {
                    self.running = None;
                    let failure = Failure {
                        kind: FailureKind::Signal(15),
                        message: "ended".to_owned(),
                        stderr_tail: String::new(),
                    };
                    let failed = AttemptEvent::Failed { failure, usage: usage() };
                    open.extend(alice.happen(attempt.token.counter, failed));
                }
                Action::Stop { .. }
                | Action::Greet { .. }
                | Action::Send(_)
                | Action::Heartbeat { .. }
                | Action::RenewLease { .. }
                | Action::Leave { .. }
                | Action::SealCheckpoint(_)
                | Action::Answer { .. }
                | Action::Signal { .. }
                | Action::Replicate(_)
                | Action::RemoveCheckpoint(_)
                | Action::RemoveCheckpoints(_)
                | Action::Discard(_)
                | Action::DiscardJob(_)
                | Action::Check { .. }
                | Action::DryVote { .. }
                | Action::Publish { .. }
                | Action::TakeOver { .. }
                | Action::Withdraw { .. }
                | Action::AskPeer { .. }
                | Action::AnswerPeer { .. }
                | Action::TellDoubt { .. }
                | Action::AnswerLocal { .. }
                | Action::Raise(_)
                | Action::PruneLogs { .. }
                | Action::Exit => {}
            }
        }
    }
}

fn frame(word: Word) -> FromCoordinator {
    let task = |counter| {
        let order = assignment(counter);
        let spec = TaskSpec { outputs: FlatMap::new(), ..order.spec };
        Assignment { spec, ..order }
    };
    match word {
        Word::Forward | Word::LateForward => FromCoordinator::Start(Box::new(task(1))),
        Word::Timeout => FromCoordinator::Stop {
            attempt: attempt(1),
            grace: Duration::from_secs(1),
            reason: "timed out".to_owned(),
            checkpoint_first: false,
        },
        Word::Compensation => {
            let hook = HookRole {
                key: "sales-7/load".to_owned(),
                verdict: "abort".to_owned(),
                announcement: "{}".to_owned(),
                undoes: vec![attempt(1).token],
            };
            let role = Role::Hook(Box::new(hook));
            FromCoordinator::Start(Box::new(Assignment { role, ..task(2) }))
        }
    }
}

fn permutations(words: &[Word]) -> Vec<Vec<Word>> {
    let [_, _, ..] = words else { return vec![words.to_vec()] };
    let mut all = Vec::new();
    for (at, first) in words.iter().enumerate() {
        let mut rest = words.to_vec();
        rest.remove(at);
        for mut order in permutations(&rest) {
            order.insert(0, *first);
            all.push(order);
        }
    }
    all
}
