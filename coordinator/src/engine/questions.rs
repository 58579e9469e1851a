//! What clients ask, and where each question is answered.

use super::{Engine, Pending};
use crate::{action::Answer, question::Question, replies::ReplyId, turn::Turn};

impl Engine {
    /// Answers a question, behind what the job in question has to settle first.
    pub(super) fn ask(&mut self, turn: &mut Turn, reply: ReplyId, question: Question) {
        let answer = match question {
            Question::Cancel { ref job, .. } | Question::Rescue { from: ref job, .. }
                if self.is_unsettled(job) =>
            {
                return self.pending.push_back(Pending::Asked { reply, question });
            }
            Question::Submit { ref spec, .. } if self.is_key_unsettled(spec) => {
                return self.pending.push_back(Pending::Asked { reply, question });
            }
            Question::Submit { intent, job, spec, submission } => {
                self.submit(turn, intent, job, spec, submission)
            }
            Question::Cancel { job, by, reason } => self.cancel(turn, &job, by, reason),
            Question::Steer { job, by, wish } => self.steer(turn, job, by, wish),
            Question::Approve { wish, by } => self.answer_approval(turn, wish, by),
            // Answered when it is over.
            Question::DryVote { job } => {
                return self.want_dry_vote(turn, reply, job);
            }
            Question::Rescue { intent, from, job, submission } => {
                self.rescue(turn, intent, &from, job, submission)
            }
            Question::Operate { worker, operation, by, reason } => {
                self.operate(turn, worker, operation, by, reason)
            }
            Question::Resolve { job, subject, action, by, reason } => {
                self.resolve_case(turn, job, subject, action, by, reason)
            }
            Question::TrustLog { action, by, reason } => self.trust_log(turn, action, by, reason),
            Question::Force { job, worker, by, reason } => {
                self.force(turn, &job, &worker, by, reason)
            }
            Question::Delete { closing, tombstone } => self.delete(turn, closing, tombstone),
            Question::ShowJobs { jobs } => {
                Answer::Jobs(jobs.iter().filter_map(|job| self.view(turn.now(), job)).collect())
            }
            Question::ChooseJobs { jobs, wanted, now } => {
                Answer::Chosen(self.choose(jobs, &wanted, now))
            }
            Question::ShowTxns { wanted } => Answer::Txns(self.txns(&wanted)),
            Question::ShowWorkers => self.workers(),
            Question::ShowCluster => Answer::Cluster(self.cluster()),
            Question::ShowFigures => Answer::Figures(Box::new(self.figures(turn.now()))),
            Question::ShowCases => Answer::Cases(self.cases(turn.now())),
        };
        turn.reply(reply, answer);
    }
}
