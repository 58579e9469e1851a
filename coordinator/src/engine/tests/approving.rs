//! A person before the vote: nothing is asked of a worker before the answer, which is durable first.

use std::sync::Arc;

use votum_job::DryVoteAnswer;
use votum_wire::{Verdict, approval::ApproveJob};

use super::*;

#[test]
fn an_approval_is_durable_before_anybody_is_asked_to_vote() {
    let mut world = World::new();
    world.awaits_approval();
    assert_eq!(world.state(), Some(JobState::AwaitingApproval));
    let etag = world.view().approval.unwrap().etag;
    let approved = world.answer(Verdict::Approve, Some(etag));
    assert!(approved.record.as_ref().is_some_and(Record::forced));
    let prepares = |action: &Action| {
        let prepare = |frame: &FromCoordinator| {
            matches!(frame, FromCoordinator::Commit(Message::Prepare { .. }))
        };
        matches!(action, Action::Send { frame, .. } if prepare(frame))
    };
    assert!(approved.actions.iter().any(prepares));
    assert!(
        matches!(steered(&approved), Answer::Approved(view) if view.state == JobState::Preparing)
    );
    let again = world.answer(Verdict::Approve, None);
    let refused = Refusal::NotAwaitingApproval { job: job(), state: JobState::Preparing };
    assert_eq!(steered(&again), &Answer::Refused(refused));
}

#[test]
fn an_approval_of_something_else_changes_nothing() {
    let mut world = World::new();
    world.awaits_approval();
    let stale = world.answer(Verdict::Approve, Some("0123".to_owned()));
    assert_eq!(stale.record, None);
    assert!(matches!(steered(&stale), Answer::Refused(Refusal::StaleEtag { .. })));
    assert_eq!(world.state(), Some(JobState::AwaitingApproval));
}

#[test]
fn a_rejection_aborts_the_job_with_its_reason() {
    let mut world = World::new();
    world.awaits_approval();
    let rejected = world.answer(Verdict::Reject, None);
    assert!(rejected.record.as_ref().is_some_and(Record::forced));
    let Answer::Approved(view) = steered(&rejected) else { panic!("{rejected:?}") };
    let cause = view.cause.as_ref().unwrap();
    assert_eq!((cause.reason.as_str(), cause.by.as_str()), (votum_wire::REJECTED, "ana"));
}

#[test]
fn whoever_wants_a_dry_vote_is_answered_when_it_is_over() {
    let mut world = World::new();
    let _received = world.submit("sales", "s1");
    world.started_attempt();
    let asked = world.dry_vote();
    assert!(asked.actions.iter().all(|action| !matches!(action, Action::Reply { .. })));
    let answered = world.answer_dry_vote(&asked.actions);
    let told = |action: &Action| matches!(action, Action::Reply { answer: Answer::DryVoted(view), .. } if view.is_clean());
    assert!(answered.actions.iter().any(told), "{:?}", answered.actions);

    let _second = world.dry_vote();
    let cancelled = world.cancel();
    let overtaken = |action: &Action| {
        let Action::Reply { answer, .. } = action else { return false };
        matches!(answer, Answer::Refused(Refusal::VoteUnderWay { .. }))
    };
    assert!(cancelled.actions.iter().any(overtaken), "{:?}", cancelled.actions);
    let late = world.dry_vote();
    assert!(late.actions.iter().any(overtaken), "{:?}", late.actions);
}

#[test]
fn a_restart_asks_the_same_person_the_same_thing() {
    let mut world = World::new();
    world.awaits_approval();
    let before = world.view();
    let (epoch, records) = (Epoch(2), std::mem::take(&mut world.records));
    let mut later = engine(epoch);
    let of_job = records.into_iter().filter_map(|(at, record)| match record {
        Record::Job(record) => Some(Stamped { at, record: *record }),
        _ => None,
    });
    later.resume(&job(), of_job.collect()).unwrap();
    let after = later.view(Moment::START, &job()).unwrap();
    assert_eq!(after.state, JobState::AwaitingApproval);
    assert_eq!((after.approval, after.dry_vote), (before.approval, before.dry_vote));
}

impl World {
    /// Brings a job that asks for an approval to where it waits for one.
    fn awaits_approval(&mut self) {
        let spec = JobSpec { approval: Some(Duration::from_hours(24)), ..spec("sales", "s1") };
        let question = Question::Submit {
            intent: Intent::Receive,
            job: job(),
            spec: Arc::new(spec),
            submission: submission(),
        };
        let _received = self.step(Event::Asked { reply: self.replies.register().0, question });
        let attempt = self.started_attempt();
        let staged = self.frame(FromWorker::Ended { attempt, end: sealed() });
        assert!(
            !staged.sends(|frame| matches!(frame, FromCoordinator::Commit(_))),
            "{:?}",
            staged.actions
        );
        self.answer_dry_vote(&staged.actions);
    }

    fn answer_dry_vote(&mut self, actions: &[Action]) -> Settled {
        let asked = actions.iter().find_map(|action| match action {
            Action::Send { frame: FromCoordinator::DryVote(request), .. } => Some(request),
            _ => None,
        });
        let request = asked.expect("the worker is asked");
        let (job, id) = (request.job.clone(), request.id);
        let (findings, bases) = (Vec::new(), Vec::new());
        let answer = DryVoteAnswer { job, id, findings, omitted: 0, bases };
        self.frame(FromWorker::DryVoted(Box::new(answer)))
    }

    fn answer(&mut self, verdict: Verdict, etag: Option<String>) -> Reaction<Record, Action> {
        let (by, reason) = ("ana".to_owned(), "looked at it".to_owned());
        let wish = ApproveJob { job: job(), verdict, reason, etag };
        let (reply, question) = (self.replies.register().0, Question::Approve { wish, by });
        self.step(Event::Asked { reply, question })
    }

    fn dry_vote(&mut self) -> Reaction<Record, Action> {
        let reply = self.replies.register().0;
        self.step(Event::Asked { reply, question: Question::DryVote { job: job() } })
    }

    fn view(&self) -> JobView {
        self.engine.view(Moment::START, &job()).unwrap()
    }
}
