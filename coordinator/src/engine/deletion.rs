//! Forgetting a job at a client's word: the same way as at the end of its retention, only sooner.

use super::{Engine, Pending};
use crate::{
    action::{Answer, Refusal},
    record::{Closing, Tombstone},
    turn::Turn,
};

impl Engine {
    /// Forgets a job that has ended, unless it is open for anybody's sake.
    ///
    /// The tombstone stands in the log before what it stands for goes, and the answer waits for it:
    /// a crash in between leaves the records for the end of their retention.
    pub(super) fn delete(
        &mut self,
        turn: &mut Turn,
        closing: Closing,
        tombstone: Option<Box<Tombstone>>,
    ) -> Answer {
        let job = closing.job.clone();
        if let Err(refusal) = self.not_quarantined(&job) {
            return Answer::Refused(refusal);
        }
        if self.jobs.contains_key(&job)
            && let Some(view) = self.view(turn.now(), &job)
        {
            let why = if view.state.is_final() { view.state_message } else { String::new() };
            return Answer::Refused(Refusal::NotEnded { job, state: view.state, why });
        }
        match tombstone {
            Some(tombstone) => {
                turn.bury(*tombstone);
                self.pending.push_back(Pending::Forget(closing));
            }
            None => self.forget(turn, closing),
        }
        Answer::Deleted
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use uuid::Uuid;
    use votum_commit::Decision;
    use votum_ids::{Epoch, JobId};
    use votum_machine::{Machine as _, Moment, Reaction, WallTime};

    use crate::{
        action::{Action, Answer, Refusal},
        engine::tests::{engine, job, spec, submission},
        event::Event,
        question::{Intent, Question},
        record::{Closing, Record, Tombstone},
        replies::Replies,
    };

    #[test]
    fn a_deleted_job_leaves_its_tombstone_before_its_records_go() {
        let mut engine = engine(Epoch(1));
        let question = deletion(&job());
        let Question::Delete { closing, tombstone: Some(tombstone) } = deletion(&job()) else {
            panic!("a deletion has a tombstone")
        };

        let first = engine.step(Moment::START, asked(question));
        let then = engine.step(Moment::START, Event::Tick);

        assert_eq!(first.record, Some(Record::Buried(*tombstone)));
        assert_eq!(answer(&first), &Answer::Deleted);
        assert_eq!(then.record, Some(Record::Forgotten(closing)));
    }

    #[test]
    fn an_open_job_is_not_deleted() {
        let mut engine = engine(Epoch(1));
        let mut spec = spec("sales", "s1");
        spec.tasks.values_mut().for_each(|task| task.placement.worker = None);
        let spec = Arc::new(spec);
        let (intent, submission) = (Intent::Receive, submission());
        let submit = Question::Submit { intent, job: job(), spec, submission };
        let _ = engine.step(Moment::START, asked(submit));

        let reaction = engine.step(Moment::START, asked(deletion(&job())));

        assert_eq!(reaction.record, None);
        let Answer::Refused(Refusal::NotEnded { job: named, why, .. }) = answer(&reaction) else {
            panic!("{reaction:?}")
        };
        assert_eq!((named, why.as_str()), (&job(), ""));
    }

    fn asked(question: Question) -> Event {
        Event::Asked { reply: Replies::default().register().0, question }
    }

    fn answer(reaction: &Reaction<Record, Action>) -> &Answer {
        let answer = reaction.actions.iter().find_map(|action| match action {
            Action::Reply { answer, .. } => Some(answer),
            Action::Send { .. }
            | Action::SendDurable { .. }
            | Action::JobChanged { .. }
            | Action::Refuse { .. }
            | Action::Post(_)
            | Action::Recall { .. }
            | Action::RecallForced { .. }
            | Action::LookUp { .. }
            | Action::StartAgain
            | Action::Raise { .. } => None,
        });
        answer.expect("a question is answered in its step")
    }

    fn deletion(job: &JobId) -> Question {
        let closing = Closing {
            job: job.clone(),
            display_name: "sales".to_owned(),
            decision: Decision::Commit,
            received: WallTime(1_000),
            request: submission().request,
            uid: Uuid::nil(),
            retention: Duration::from_secs(600),
            round: None,
            mixed: false,
            filed: None,
        };
        let tombstone = Tombstone {
            closing: closing.clone(),
            ended: WallTime(2_000),
            spec_digest: None,
            kept: Duration::from_secs(600),
            deleted_by: Some("ana".to_owned()),
            removed: None,
        };
        Question::Delete { closing, tombstone: Some(Box::new(tombstone)) }
    }
}
