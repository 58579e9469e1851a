//! Lost participants: a case while they are lost, given up by a record, and never by a decision.

use super::*;
use crate::question::{Operation, Question};
use votum_wire::{CaseAction, Subject};

#[test]
fn only_a_lost_worker_that_owes_its_outputs_is_given_up() {
    let mut world = World::new();
    assert!(matches!(world.force(Moment::START, "s1"), Answer::Refused(Refusal::NotOpen { .. })));
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    world.frame(FromWorker::Ended { attempt, end: sealed() });
    let undecided = world.force(Moment::START, "s1");
    assert!(matches!(undecided, Answer::Refused(Refusal::NotDecided { .. })), "{undecided:?}");

    world.frame(yes());
    let connected = world.force(Moment::START, "s1");
    assert!(matches!(connected, Answer::Refused(Refusal::WorkerNotLost { .. })), "{connected:?}");
    let stranger = world.force(Moment::START, "s9");
    assert!(matches!(stranger, Answer::Refused(Refusal::NothingOwed { .. })), "{stranger:?}");
}

#[test]
fn a_logged_abort_is_not_forced_into_a_commit() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    world.started_attempt();
    let _cancelled = world.cancel();
    let refused = world.force(Moment::START, "s1");
    assert!(matches!(refused, Answer::Refused(Refusal::AbortRecorded { .. })), "{refused:?}");
}

#[test]
fn a_given_up_worker_that_comes_back_heals_the_job() {
    let mut world = committing();
    let lost = world.lose();
    let case = &world.engine.cases(lost)[0];
    assert_eq!(
        (case.name.to_string(), case.reason.as_str()),
        ("sales-1/worker:s1".to_owned(), "LOST_PARTICIPANT")
    );
    assert!(case.message.contains("report.report at s1:report.html"), "{}", case.message);
    assert_eq!(case.actions, [CaseAction::GiveUp]);

    let Answer::Forced(view) = world.force(lost, "s1") else { panic!("it is lost") };
    assert!(view.is_mixed() && view.held_back.is_empty(), "{view:?}");
    assert!(world.records.last().is_some_and(|(_, record)| record.forced()));
    world.settle_at(lost, Event::Tick);
    assert_eq!(world.state(), Some(JobState::Committed));
    assert!(world.engine.cases(lost).is_empty());
    let again = world.force(lost, "s1");
    assert!(matches!(again, Answer::Refused(Refusal::NothingOwed { .. })), "{again:?}");

    // A restart remembers what is owed.
    let mut later = world.restarted();
    later.settle_at(lost, Event::SessionOpened(hello()));
    let asked = later.settle_at(lost, commit(Reply::Inquired { txn: txn(), committed: false }));
    assert!(asked.sends(|frame| matches!(frame, FromCoordinator::Commit(Message::Commit { .. }))));
    let acked = later.settle_at(lost, commit(Reply::Acked { txn: txn() }));
    assert_eq!(acked.records.last().map(Durable::bearing), Some(Bearing::Closes));
    let shown = view::job::closed(ANCHOR, &job(), &later.stamped()).unwrap();
    assert!(!shown.is_mixed() && shown.forced[0].healed.is_some(), "{:?}", shown.forced);
    assert_eq!(shown.state, JobState::Committed);
}

#[test]
fn a_given_up_worker_that_does_not_ask_is_told_when_it_comes_back() {
    let mut world = committing();
    let lost = world.lose();
    assert!(matches!(world.force(lost, "s1"), Answer::Forced(_)));
    world.settle_at(lost, Event::Tick);
    world.settle_at(lost, Event::SessionOpened(hello()));
    let ended = Event::Frame { from: installation(), frame: FromWorker::InventoryEnded };
    let told = world.settle_at(lost, ended);
    assert!(told.sends(|frame| matches!(frame, FromCoordinator::Commit(Message::Commit { .. }))));
}

#[test]
fn a_removed_worker_is_owed_nothing_and_stays_mixed() {
    let mut world = committing();
    let lost = world.lose();
    let waiting = world.operate(Operation::Remove);
    assert!(waiting.actions.iter().any(|action| matches!(
        action,
        Action::Reply { answer: Answer::Refused(Refusal::WorkerInDoubt { .. }), .. }
    )));
    let resolved = world.resolve(lost, CaseAction::Retry);
    assert!(matches!(resolved, Answer::Refused(Refusal::IllegalResolution { .. })));
    assert_eq!(world.resolve(lost, CaseAction::GiveUp), Answer::Resolved);
    world.settle_at(lost, Event::Tick);

    let _ordered = world.operate(Operation::Remove);
    let closed = world.settle_at(lost, Event::Tick);
    assert_eq!(closed.records.last().map(Durable::bearing), Some(Bearing::Closes));
    let shown = view::job::closed(ANCHOR, &job(), &world.stamped()).unwrap();
    assert!(shown.is_mixed() && shown.forced[0].removed.is_some(), "{:?}", shown.forced);
}

#[test]
fn a_removal_that_a_crash_cut_short_is_finished() {
    let mut world = committing();
    let lost = world.lose();
    assert!(matches!(world.force(lost, "s1"), Answer::Forced(_)));
    world.settle_at(lost, Event::Tick);
    let _ordered = world.operate(Operation::Remove);

    let mut later = world.restarted();
    let closed = later.settle_at(Moment::START, Event::Tick);
    assert_eq!(closed.records.last().map(Durable::bearing), Some(Bearing::Closes));
}

fn committing() -> World {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    let attempt = world.started_attempt();
    world.frame(FromWorker::Ended { attempt, end: sealed() });
    world.frame(yes());
    assert_eq!(world.state(), Some(JobState::Committing));
    world
}

impl World {
    /// Lets the only worker fall silent until it is lost.
    fn lose(&mut self) -> Moment {
        self.disconnect();
        // Second by second: a clock that jumps would begin every lease anew (R2).
        let times = (1..=60).map(|second| Moment::START.after(Duration::from_secs(second)));
        let lost = times.inspect(|now| drop(self.settle_at(*now, Event::Tick))).last().unwrap();
        assert_eq!(self.engine.view(lost, &job()).unwrap().held_back.len(), 1);
        lost
    }

    fn force(&mut self, now: Moment, worker: &str) -> Answer {
        let (by, reason) = ("ana".to_owned(), "its disk is gone".to_owned());
        let worker = WorkerId::new(worker).unwrap();
        self.ask_at(now, Question::Force { job: job(), worker, by, reason })
    }

    fn resolve(&mut self, now: Moment, action: CaseAction) -> Answer {
        let (by, reason) = ("ana".to_owned(), "its disk is gone".to_owned());
        let subject = Subject::Worker(installation().worker);
        self.ask_at(now, Question::Resolve { job: job(), subject, action, by, reason })
    }

    fn ask_at(&mut self, now: Moment, question: Question) -> Answer {
        let reply = self.replies.register().0;
        let reaction = self.step_at(now, Event::Asked { reply, question });
        let answer = reaction.actions.into_iter().find_map(|action| match action {
            Action::Reply { answer, .. } => Some(answer),
            _ => None,
        });
        answer.expect("it is answered in its step")
    }

    fn settle_at(&mut self, now: Moment, event: Event) -> Settled {
        let mut settled = Settled { records: Vec::new(), actions: Vec::new() };
        let mut next = Some(event);
        while let Some(event) = next {
            let reaction = self.step_at(now, event);
            settled.records.extend(reaction.record);
            settled.actions.extend(reaction.actions);
            let due = self.engine.next_deadline().is_some_and(|due| due <= now);
            next = due.then_some(Event::Tick);
        }
        settled
    }

    fn step_at(&mut self, now: Moment, event: Event) -> Reaction<Record, Action> {
        let reaction = self.engine.step(now, event);
        self.records.extend(reaction.record.clone().map(|record| (ANCHOR, record)));
        reaction
    }

    fn restarted(self) -> Self {
        let mut later = Self { engine: engine(Epoch(2)), ..self };
        for (at, record) in later.records.clone() {
            match record {
                Record::Registered(registration) => {
                    later.engine.register(at, registration).unwrap();
                }
                Record::Ordered { worker, orders } => {
                    later.engine.order(at, worker, orders).unwrap();
                }
                _ => {}
            }
        }
        let records = later.stamped();
        later.engine.resume(&job(), records).unwrap();
        later.engine.forget_removed();
        later
    }

    fn stamped(&self) -> Vec<Stamped<crate::record::JobRecord>> {
        let records = self.records.clone().into_iter();
        let records = records.filter_map(|(at, record)| match record {
            Record::Job(record) => Some(Stamped { at, record: *record }),
            _ => None,
        });
        records.collect()
    }
}

fn commit(reply: Reply) -> Event {
    Event::Frame { from: installation(), frame: FromWorker::Commit(reply) }
}

fn yes() -> FromWorker {
    FromWorker::Commit(Reply::Voted { txn: txn(), vote: Vote::Yes })
}

fn txn() -> TxnId {
    TxnId { job: job(), epoch: Epoch(1), counter: 1 }
}
