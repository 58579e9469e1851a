//! A dry vote: the disk is looked at, and what the records say of it; nothing is recorded.

use votum_commit::Pledge;
use votum_job::{Candidate, DryVoteAnswer, DryVoteRequest, Finding};
use votum_wire::FromWorker;

use crate::{
    action::Action,
    engine::{Engine, Reaction},
};

impl Engine {
    /// Lets the disk be looked at, or says at once that a vote would be No.
    pub(super) fn dry_vote(&mut self, request: Box<DryVoteRequest>) -> Reaction {
        if let Some(problem) = self.quarantined.get(&request.job) {
            let DryVoteRequest { job, id, .. } = *request;
            let finding = Finding {
                worker: self.me.worker.clone(),
                task: None,
                output: None,
                target: None,
                reason: "JOB_QUARANTINED".to_owned(),
                message: format!("the worker cannot read its own records of the job: {problem}"),
            };
            let (findings, bases) = (vec![finding], Vec::new());
            let answer = DryVoteAnswer { job, id, findings, omitted: 0, bases };
            return Reaction::perform([Action::Send(FromWorker::DryVoted(Box::new(answer)))]);
        }
        let held = |candidate: &Candidate| {
            candidate.sealed.is_none_or(|sealed| {
                let pledge = Pledge {
                    task: candidate.task.clone(),
                    output: candidate.output.clone(),
                    token: sealed.token,
                    digest: sealed.digest,
                    target: None,
                    replaceable: false,
                };
                self.attempts.holds(&request.job, &pledge)
            })
        };
        let not_held = request.candidates.iter().filter(|candidate| !held(candidate));
        let not_held = not_held.map(|one| (one.task.clone(), one.output.clone())).collect();
        Reaction::perform([Action::DryVote { request, not_held }])
    }
}
