//! What a person rules where the log does not tell enough: only what is known, and all of it durable.

use votum_commit::{CoordinatorRecord, Decision, Pledge};
use votum_journal::Stored;
use votum_wire::{CaseAction, CaseView, CommittedRound, Subject};

use super::{
    quarantining::{
        committed, damage, decision_at, frame, frames, listed, restarted, settle, stored, taken_up,
    },
    *,
};
use crate::{
    record::{JobRecord, Ruled},
    recovery::take_up,
};

#[test]
fn a_damaged_job_is_aborted_by_the_word_of_every_worker() {
    let (stored, attempt) = committed();
    let damaged = damage(&stored[..3], 1, b"nothing");
    let mut engine = restarted(&damaged);
    let page = Inventory {
        attempts: vec![listed(attempt)],
        prepared: vec![txn()],
        ..Inventory::default()
    };
    settle(&mut engine, frame(FromWorker::Inventory(page)));
    assert_eq!(only_case(&engine).actions, [], "s1 may have more to tell");
    let early = rule(&mut engine, Subject::Log, CaseAction::Abort);
    let Answer::Refused(Refusal::NotSettled { why, .. }) = answer_of(&early) else {
        panic!("{early:?}")
    };
    assert!(why.contains("start s1"), "{why}");

    settle(&mut engine, frame(FromWorker::InventoryEnded));
    assert_eq!(only_case(&engine).actions, [CaseAction::Abort]);
    let refused = rule(&mut engine, Subject::Log, CaseAction::Commit);
    assert!(matches!(answer_of(&refused), Answer::Refused(Refusal::IllegalResolution { .. })));
    let ruled = rule(&mut engine, Subject::Log, CaseAction::Abort);
    assert_eq!(answer_of(&ruled), &Answer::Resolved);
    let told = frames(&ruled);
    assert!(told.contains(&FromCoordinator::Commit(Message::Abort { job: job() })), "{told:?}");
    assert!(told.contains(&FromCoordinator::Commit(Message::Release { job: job() })), "{told:?}");
    let [record] = ruled.records.as_slice() else { panic!("{ruled:?}") };
    assert!(record.forced() && record.bearing() == Bearing::Closes);
    assert!(engine.cases(Moment::START).is_empty() && engine.view(Moment::START, &job()).is_none());

    // It stays settled, and its end can be read although the rest cannot.
    let records = with(&damaged, record);
    assert!(take_up(&mut super::engine(Epoch(3)), &job(), &records).is_none());
    let found = quarantined(&records);
    let view = view::job::quarantined(ANCHOR, &found, None);
    assert_eq!((view.state, view.decision), (JobState::Aborted, Some(Decision::Abort)));
    assert!(view.state_message.starts_with("settled as aborted by ana: looked"), "{view:?}");
}

#[test]
fn a_damaged_job_whose_commit_is_known_is_ended_as_committed() {
    let (stored, _attempt) = committed();
    let damaged = damage(&stored[..=decision_at(&stored)], 1, b"nothing");
    let mut engine = restarted(&damaged);
    assert_eq!(only_case(&engine).actions, [CaseAction::Commit]);
    let refused = rule(&mut engine, Subject::Log, CaseAction::Abort);
    assert!(matches!(answer_of(&refused), Answer::Refused(Refusal::IllegalResolution { .. })));
    let ruled = rule(&mut engine, Subject::Log, CaseAction::Commit);
    assert_eq!(answer_of(&ruled), &Answer::Resolved);
    let record = ruled.records.first().unwrap();
    assert!(record.forced() && record.bearing() == Bearing::Continues);
    assert!(engine.cases(Moment::START).is_empty());

    // A restart goes on with it; it ends once everybody has acknowledged and told what it has.
    let records = with(&damaged, record);
    let mut later = taken_up(&records);
    settle(&mut later, Event::SessionOpened(hello()));
    let acked = settle(&mut later, frame(FromWorker::Commit(Reply::Acked { txn: txn() })));
    assert!(acked.records.iter().all(|record| record.bearing() != Bearing::Closes), "{acked:?}");
    // Whoever is in doubt about it is not told to abort when all that are named have applied it.
    let bob = Installation { worker: WorkerId::new("s9").unwrap(), uid: installation().uid };
    let met = Hello { installation: bob.clone(), ..hello() };
    settle(&mut later, Event::SessionOpened(met));
    let asks = FromWorker::Commit(Reply::Inquired { txn: txn(), committed: false });
    let asked = settle(&mut later, Event::Frame { from: bob.clone(), frame: asks });
    assert_eq!(frames(&asked), []);
    let page = Inventory { prepared: vec![txn()], ..Inventory::default() };
    for frame in [FromWorker::Inventory(page), FromWorker::InventoryEnded] {
        let heard = settle(&mut later, Event::Frame { from: bob.clone(), frame });
        assert!(
            heard.records.iter().all(|record| record.bearing() != Bearing::Closes),
            "{heard:?}"
        );
    }
    let acked = FromWorker::Commit(Reply::Acked { txn: txn() });
    settle(&mut later, Event::Frame { from: bob, frame: acked });
    let heard = settle(&mut later, frame(FromWorker::InventoryEnded));
    assert_eq!(heard.records.last().map(Durable::bearing), Some(Bearing::Closes), "{heard:?}");
    assert!(frames(&heard).contains(&FromCoordinator::Commit(Message::Release { job: job() })));
    assert!(later.view(Moment::START, &job()).is_none());
}

#[test]
fn a_stale_log_leaves_open_only_what_workers_do_not_contradict() {
    let (stored, attempt) = committed();
    let running = &stored[..=decision_at(&stored) - 1];
    // What the log has staged is still there: it may go on, or be aborted.
    let mut engine = stale(running);
    assert_eq!(case_of_job(&engine).actions, []);
    let page = Inventory { attempts: vec![listed(attempt)], ..Inventory::default() };
    settle(&mut engine, frame(FromWorker::Inventory(page)));
    settle(&mut engine, frame(FromWorker::InventoryEnded));
    assert_eq!(case_of_job(&engine).actions, [CaseAction::Resume, CaseAction::Abort]);
    let early = trust(&mut engine);
    assert!(matches!(answer_of(&early), Answer::Refused(Refusal::NotSettled { .. })), "{early:?}");
    let ruled = rule(&mut engine, Subject::Stale, CaseAction::Resume);
    assert!(ruled.records.iter().any(Record::forced), "{ruled:?}");
    // Nobody has anything of it any more: it had ended, and only a person can see how.
    let mut engine = stale(running);
    settle(&mut engine, frame(FromWorker::InventoryEnded));
    assert_eq!(case_of_job(&engine).actions, [CaseAction::Commit, CaseAction::Abort]);
    let ruled = rule(&mut engine, Subject::Stale, CaseAction::Commit);
    assert_eq!(ruled.records.last().map(Durable::bearing), Some(Bearing::Closes), "{ruled:?}");
    let records: Vec<_> = job_records(&with(running, ruled.records.last().unwrap()));
    let view = view::job::closed(ANCHOR, &job(), &records).unwrap();
    assert_eq!((view.state, view.decision), (JobState::Committed, Some(Decision::Commit)));
    assert!(view.state_message.contains("settled as committed by ana: looked"), "{view:?}");
}

#[test]
fn an_abort_that_is_ruled_on_a_stale_log_stands() {
    let (stored, attempt) = committed();
    let running = &stored[..=decision_at(&stored) - 1];
    let mut engine = stale(running);
    let page = Inventory { attempts: vec![listed(attempt)], ..Inventory::default() };
    settle(&mut engine, frame(FromWorker::Inventory(page)));
    settle(&mut engine, frame(FromWorker::InventoryEnded));
    let ruled = rule(&mut engine, Subject::Stale, CaseAction::Abort);
    let aborts = |record: &Record| {
        matches!(record, Record::Job(record)
        if record.ruling.as_ref().is_some_and(|ruling| ruling.ruled == Ruled::Abort)
            && matches!(record.commit, Some(CoordinatorRecord::Aborting { .. })))
    };
    assert!(ruled.records.iter().any(|record| record.forced() && aborts(record)), "{ruled:?}");
    assert_eq!(engine.view(Moment::START, &job()).unwrap().decision, Some(Decision::Abort));
    let trusted = trust(&mut engine);
    assert_eq!(answer_of(&trusted), &Answer::Resolved);
    assert!(matches!(trusted.records.as_slice(), [Record::LogTrusted { .. }]), "{trusted:?}");
    assert!(trusted.actions.contains(&Action::StartAgain));

    // The start that trusts the log carries it out.
    let records = ruled.records.iter().fold(running.to_vec(), |all, one| with(&all, one));
    let mut later = taken_up(&records);
    let met = settle(&mut later, Event::SessionOpened(hello()));
    assert_eq!(met.records.last().map(Durable::bearing), Some(Bearing::Closes), "{met:?}");
}

#[test]
fn a_commit_that_only_workers_know_is_the_only_choice() {
    let mut engine = stale(&[]);
    let page = Inventory { committed: vec![round()], ..Inventory::default() };
    let said = settle(&mut engine, frame(FromWorker::Inventory(page.clone())));
    assert!(said.actions.contains(&Action::LookUp { job: job() }), "{said:?}");
    assert_eq!(case_of_job(&engine).actions, [], "the journal is asked first");
    settle(&mut engine, Event::LookedUp { job: job(), ended: false });
    settle(&mut engine, frame(FromWorker::InventoryEnded));
    let case = case_of_job(&engine);
    assert_eq!((case.reason.as_str(), case.actions), ("NOT_IN_LOG", vec![CaseAction::Commit]));
    let refused = rule(&mut engine, Subject::Stale, CaseAction::Abort);
    assert!(matches!(answer_of(&refused), Answer::Refused(Refusal::IllegalResolution { .. })));
    // Whoever is in doubt about it is left to its peers.
    let asked = settle(
        &mut engine,
        frame(FromWorker::Commit(Reply::Inquired { txn: txn(), committed: false })),
    );
    assert_eq!(frames(&asked), []);
    let ruled = rule(&mut engine, Subject::Stale, CaseAction::Commit);
    let [record] = ruled.records.as_slice() else { panic!("{ruled:?}") };
    assert!(record.forced());
    assert_eq!(answer_of(&trust(&mut engine)), &Answer::Resolved);

    let records = with(&[], record);
    let mut later = taken_up(&records);
    let view = later.view(Moment::START, &job()).unwrap();
    assert_eq!(view.decision, Some(Decision::Commit), "{view:?}");
    settle(&mut later, Event::SessionOpened(hello()));
    settle(&mut later, frame(FromWorker::Inventory(page)));
    settle(&mut later, frame(FromWorker::Commit(Reply::Acked { txn: txn() })));
    let heard = settle(&mut later, frame(FromWorker::InventoryEnded));
    assert_eq!(heard.records.last().map(Durable::bearing), Some(Bearing::Closes), "{heard:?}");
}

#[test]
fn a_job_that_only_workers_know_is_aborted_without_a_commit() {
    let (_, attempt) = committed();
    let mut engine = stale(&[]);
    let page = Inventory { attempts: vec![listed(attempt)], ..Inventory::default() };
    settle(&mut engine, frame(FromWorker::Inventory(page)));
    settle(&mut engine, Event::LookedUp { job: job(), ended: false });
    assert_eq!(case_of_job(&engine).actions, [], "not every worker has told what it has");
    settle(&mut engine, frame(FromWorker::InventoryEnded));
    assert_eq!(case_of_job(&engine).actions, [CaseAction::Abort]);
    let ruled = rule(&mut engine, Subject::Stale, CaseAction::Abort);
    let [record] = ruled.records.as_slice() else { panic!("{ruled:?}") };
    assert!(record.forced() && record.bearing() == Bearing::Closes);
    let view = view::job::quarantined(ANCHOR, &quarantined(&with(&[], record)), None);
    assert_eq!((view.state, view.decision), (JobState::Aborted, Some(Decision::Abort)));
    assert_eq!(answer_of(&trust(&mut engine)), &Answer::Resolved);
}

/// Takes the job up in a start whose log is stale, and meets its worker.
fn stale(stored: &[Stored]) -> Engine {
    let mut engine = engine_of(Epoch(2), ANCHOR, LogState::Stale);
    assert!(stored.is_empty() || take_up(&mut engine, &job(), stored).is_none());
    engine.remember_stale_log();
    settle(&mut engine, Event::SessionOpened(hello()));
    engine
}

fn rule(engine: &mut Engine, subject: Subject, action: CaseAction) -> Settled {
    let (by, reason) = ("ana".to_owned(), "looked".to_owned());
    ask(engine, Question::Resolve { job: job(), subject, action, by, reason })
}

fn trust(engine: &mut Engine) -> Settled {
    let (action, by, reason) = (CaseAction::Trust, "ana".to_owned(), "all there".to_owned());
    ask(engine, Question::TrustLog { action, by, reason })
}

fn ask(engine: &mut Engine, question: Question) -> Settled {
    let reply = Replies::default().register().0;
    settle(engine, Event::Asked { reply, question })
}

fn answer_of(settled: &Settled) -> &Answer {
    let answer = settled.actions.iter().find_map(|action| match action {
        Action::Reply { answer, .. } => Some(answer),
        _ => None,
    });
    answer.expect("a question is answered")
}

fn only_case(engine: &Engine) -> CaseView {
    let cases = engine.cases(Moment::START);
    let [case] = cases.as_slice() else { panic!("{cases:?}") };
    case.clone()
}

fn case_of_job(engine: &Engine) -> CaseView {
    let cases = engine.cases(Moment::START);
    let found = cases.iter().find(|case| case.name.job.is_some());
    found.unwrap_or_else(|| panic!("{cases:?}")).clone()
}

fn with(records: &[Stored], record: &Record) -> Vec<Stored> {
    let mut all = records.to_vec();
    all.push(stored(ANCHOR, record, records.len() as u64 + 1));
    all
}

fn job_records(stored: &[Stored]) -> Vec<Stamped<JobRecord>> {
    crate::quarantine::read(&job(), stored).unwrap()
}

/// Returns what is known of a job whose records cannot all be read.
fn quarantined(stored: &[Stored]) -> crate::quarantine::Quarantined {
    let damages = crate::quarantine::read(&job(), stored).err().unwrap_or_default();
    crate::quarantine::Quarantined::new(ANCHOR, job(), stored, damages)
}

fn round() -> CommittedRound {
    let pledge = Pledge {
        task: task(),
        output: output_name(),
        token: token(),
        digest: Digest([7; 32]),
        replaceable: false,
        target: None,
    };
    CommittedRound { txn: txn(), pledges: vec![pledge] }
}

fn txn() -> TxnId {
    TxnId { job: job(), epoch: Epoch(1), counter: 1 }
}
