//! What operators order about workers: durable, refused where it would decide, and replayed.

use super::*;
use votum_wire::Behind;

use crate::question::{Operation, Question};

#[test]
fn a_drain_is_durable_before_its_answer() {
    let mut world = World::new();
    let reaction = world.operate(Operation::Drain { time_limit: None });
    assert!(reaction.record.as_ref().is_some_and(Record::forced));
    assert!(reaction.actions.iter().any(|action| matches!(
        action,
        Action::Reply { answer: Answer::Ordered(view), .. } if view.drain.is_some()
    )));
}

#[test]
fn a_connected_worker_is_not_removed() {
    let mut world = World::new();
    let reaction = world.operate(Operation::Remove);
    assert_eq!(reaction.record, None);
    assert!(matches!(
        refusal(&reaction),
        Some(Refusal::WorkerConnected { running: 0, holding: 0, .. })
    ));
}

#[test]
fn a_worker_that_a_commit_waits_for_is_not_removed() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    world.frame(FromWorker::Ended { attempt, end: sealed() });
    world.disconnect();
    let jobs = vec![job()];
    let voting = world.operate(Operation::Remove);
    assert!(matches!(refusal(&voting), Some(Refusal::WorkerInDoubt { jobs: j, .. }) if *j == jobs));

    world.settle(Event::SessionOpened(hello()));
    let txn = TxnId { job: job(), epoch: Epoch(1), counter: 1 };
    let decided = world.frame(FromWorker::Commit(Reply::Voted { txn, vote: Vote::Yes }));
    assert!(decided.records.iter().any(Record::forced));
    world.disconnect();
    let committing = world.operate(Operation::Remove);
    assert_eq!(committing.record, None);
    assert!(matches!(
        refusal(&committing),
        Some(Refusal::WorkerInDoubt { jobs: j, .. }) if *j == jobs
    ));
}

#[test]
fn a_removed_installation_is_refused_after_a_restart() {
    let mut world = World::new();
    world.disconnect();
    let removed = world.operate(Operation::Remove);
    assert!(removed.record.as_ref().is_some_and(Record::forced));

    let mut later = World { engine: engine(Epoch(2)), ..world };
    for (at, record) in later.records.clone() {
        match record {
            Record::Registered(registration) => later.engine.register(at, registration).unwrap(),
            Record::Ordered { worker, orders } => later.engine.order(at, worker, orders).unwrap(),
            _ => {}
        }
    }
    let returned = later.settle(Event::SessionOpened(hello()));
    assert!(matches!(
        returned.actions.as_slice(),
        [Action::Refuse { refusal: Refusal::WorkerRemoved { by, reason, .. }, .. }]
            if by == "ana" && reason == "scrapped"
    ));
    assert_eq!(later.frame(FromWorker::InventoryEnded).records, []);

    let successor = later.settle(Event::SessionOpened(other_hello()));
    assert!(matches!(successor.records.as_slice(), [Record::Registered(_)]));
    assert!(successor.sends(|frame| matches!(frame, FromCoordinator::Welcome { .. })));
}

#[test]
fn a_name_belongs_to_its_installation_also_while_it_is_away() {
    let mut world = World::new();
    world.disconnect();
    let refused = world.settle(Event::SessionOpened(other_hello()));
    assert!(matches!(
        refused.actions.as_slice(),
        [Action::Refuse { refusal: Refusal::NameTaken { holder, .. }, .. }]
            if *holder == installation().uid
    ));
    let returned = world.settle(Event::SessionOpened(hello()));
    assert!(returned.sends(|frame| matches!(frame, FromCoordinator::Welcome { .. })));
}

#[test]
fn a_worker_without_a_common_version_hears_who_is_behind() {
    let mut world = World::new();
    let newest = Versions::OURS.newest();
    let later = (newest + 1, newest + 2);
    for (range, expected) in [((1, 1), Behind::Worker), (later, Behind::Coordinator)] {
        let protocols = Versions::new(range.0, range.1).unwrap();
        let refused = world.settle(Event::SessionOpened(Hello { protocols, ..hello() }));
        assert!(matches!(
            refused.actions.as_slice(),
            [Action::Refuse { refusal: Refusal::ProtocolMismatch { behind, .. }, .. }]
                if *behind == expected
        ));
    }
    let protocols = Versions::new(1, newest + 1).unwrap();
    let welcomed = world.settle(Event::SessionOpened(Hello { protocols, ..hello() }));
    assert!(welcomed.sends(
        |frame| matches!(frame, FromCoordinator::Welcome { protocol, .. } if *protocol == newest)
    ));
}

fn refusal(reaction: &Reaction<Record, Action>) -> Option<&Refusal> {
    reaction.actions.iter().find_map(|action| match action {
        Action::Reply { answer: Answer::Refused(refusal), .. } => Some(refusal),
        _ => None,
    })
}

/// Another installation under the same name.
fn other_hello() -> Hello {
    let uid = WorkerUid(Uuid::from_u128(7));
    Hello { installation: Installation { uid, ..installation() }, ..hello() }
}

impl World {
    pub(super) fn operate(&mut self, operation: Operation) -> Reaction<Record, Action> {
        let event = Event::Asked {
            reply: self.replies.register().0,
            question: Question::Operate {
                worker: installation().worker,
                operation,
                by: "ana".to_owned(),
                reason: "scrapped".to_owned(),
            },
        };
        self.step(event)
    }

    pub(super) fn disconnect(&mut self) {
        let worker = installation().worker;
        let incarnation = hello().incarnation;
        self.settle(Event::SessionClosed { worker, incarnation });
    }
}
