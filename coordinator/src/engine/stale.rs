//! A stale log: what it may lack, job by job, and when a person may trust it again (C6).

use votum_commit::{Evidence, Forced, Installation, Stage};
use votum_ids::JobId;
use votum_machine::Moment;
use votum_wire::{CaseAction, CaseKind, CaseName, CaseView, EvidenceView};

use super::{Engine, rulings::waits_for, testimony::Stranger};
use crate::{
    action::{Action, Answer, Refusal},
    turn::Turn,
};

impl Engine {
    /// Shows what a stale log may lack: of every job that it leaves open, and as a whole.
    pub(super) fn stale_cases(&self, now: Moment) -> Vec<CaseView> {
        if !self.commit.is_stale() {
            return Vec::new();
        }
        let jobs = self.stale_jobs().into_iter();
        let jobs = jobs.filter_map(|job| self.stale_case(now, &job));
        jobs.chain([self.stale_log_case(now)]).collect()
    }

    /// Returns every job that a stale log may not tell enough of.
    fn stale_jobs(&self) -> Vec<JobId> {
        let strangers = self.testimony.strangers().map(|(job, _)| job);
        self.jobs.keys().chain(strangers).cloned().collect()
    }

    /// Shows the case of one job of a stale log; none if there is nothing to settle.
    pub(super) fn stale_case(&self, now: Moment, job: &JobId) -> Option<CaseView> {
        let scope = self.scope_of_stale(job)?;
        let known = self.jobs.contains_key(job);
        Some(CaseView {
            name: CaseName::stale(job.clone()),
            kind: CaseKind::StaleLog,
            reason: if known { LOG_STALE } else { NOT_IN_LOG }.to_owned(),
            message: scope.why,
            since: self.anchor,
            evidence: self.evidence_of_stale(now, job),
            actions: scope.actions,
        })
    }

    /// Gathers what the log and the workers tell of a job, oldest first.
    fn evidence_of_stale(&self, now: Moment, job: &JobId) -> Vec<EvidenceView> {
        let (started, now) = (self.anchor, self.anchor.at(now));
        let mut known = Vec::new();
        let mut tell = |at, text: String| known.push(EvidenceView { at, text });
        match self.jobs.get(job) {
            Some(open) => {
                tell(open.received, format!("received from {}", open.submission.by));
                if let Some(at) = open.started {
                    tell(at, "its first task was given to a worker".to_owned());
                }
                if !open.spec.effects.is_empty() {
                    let words = "if it has committed, its effects may have begun; they are not \
                                 begun by `commit`";
                    tell(now, words.to_owned());
                }
                let compensates = |task: &votum_job::TaskSpec| task.compensate.is_some();
                if open.spec.tasks.values().any(compensates) {
                    let words = "if it had aborted, its compensations may have run; they run \
                                 after `abort`";
                    tell(now, words.to_owned());
                }
            }
            None => tell(started, "the log has never heard of it".to_owned()),
        }
        let listed = self.testimony.of(job);
        for (attempt, worker) in self.testimony.staged(job) {
            let there =
                listed.get(&worker).is_some_and(|listing| listing.attempts.contains(&attempt));
            let word = if there { "is there" } else { "is not there any more" };
            let task = &attempt.task;
            tell(started, format!("the log has {task} staged on {worker}: it {word}"));
        }
        for (worker, listing) in &listed {
            tell(now, format!("{worker} {}", listing.words()));
        }
        for worker in self.awaited_reports() {
            tell(now, format!("{worker} has not told what it has since this start"));
        }
        known.sort_by_key(|piece| piece.at);
        known
    }

    /// Shows the case of the log as a whole.
    fn stale_log_case(&self, now: Moment) -> CaseView {
        let open = self.unsettled(now);
        CaseView {
            name: CaseName::stale_log(),
            kind: CaseKind::StaleLog,
            reason: LOG_STALE.to_owned(),
            message: open.clone().unwrap_or_else(|| SETTLED.to_owned()),
            since: self.anchor,
            evidence: self.evidence_of_log(now),
            actions: if open.is_none() { vec![CaseAction::Trust] } else { Vec::new() },
        }
    }

    /// Says what has to be settled before the log may be trusted; none: nothing.
    fn unsettled(&self, now: Moment) -> Option<String> {
        let awaited = self.awaited_reports();
        if !awaited.is_empty() {
            return Some(waits_for(&awaited));
        }
        let cases = self.stale_jobs().into_iter();
        let cases: Vec<String> =
            cases.filter_map(|job| Some(self.stale_case(now, &job)?.name.to_string())).collect();
        if let Some(first) = cases.first() {
            return Some(match cases.len() {
                1 => format!("{first} comes first"),
                more => format!("{first} and {} further cases come first", more - 1),
            });
        }
        let mut doubts = self.jobs.keys().filter_map(|job| self.doubts_a_commit(job));
        doubts.next()
    }

    /// Names somebody who is in doubt about a commit that the coordinator cannot tell it.
    fn doubts_a_commit(&self, job: &JobId) -> Option<String> {
        let Some(Stage::Delivering { txn, .. }) = self.commit.phase(job).map(|it| it.stage) else {
            return None;
        };
        let listed = self.testimony.of(job).into_iter();
        let mut doubts = listed.filter(|(worker, listing)| {
            let uid = self.scheduler.worker(worker).map(|view| view.registration.uid);
            let holder = uid.map(|uid| Installation { worker: worker.clone(), uid });
            let named = holder.is_some_and(|holder| self.commit.promised(job, &holder).is_some());
            listing.prepared.as_ref() == Some(&txn) && !named
        });
        doubts.next().map(|(worker, _)| {
            format!("{worker} is in doubt about {job}, which commits; its peers tell it")
        })
    }

    /// Gathers what is known about the log and the workers.
    fn evidence_of_log(&self, now: Moment) -> Vec<EvidenceView> {
        let at = self.anchor.at(now);
        let awaited = self.awaited_reports();
        let workers = self.scheduler.workers().map(|view| {
            let worker = view.registration.worker;
            if awaited.contains(&worker) {
                format!("{worker} has not told what it has since this start")
            } else {
                format!("{worker} has told all that it has")
            }
        });
        let strangers = self.testimony.strangers();
        let unknown = strangers.filter(|(_, known)| *known == Stranger::Unknown).count();
        let mut texts = vec!["the log may end before the last decision".to_owned()];
        texts.extend(workers);
        texts.push(format!("jobs that are open in the log: {}", self.jobs.len()));
        texts.push(format!("jobs that workers have and the log does not know: {unknown}"));
        let settling = self.jobs.keys().filter(|job| self.is_settling(job)).count();
        if settling > 0 {
            texts.push(format!(
                "jobs that have effects or compensations to do: {settling}; what the log does not \
                 know as done is tried again, under the same key"
            ));
        }
        texts.into_iter().map(|text| EvidenceView { at, text }).collect()
    }

    /// Trusts a stale log at a person's word, once nothing of it is left to settle; durable before
    /// the answer. The coordinator then starts again from it.
    pub(super) fn trust_log(
        &mut self,
        turn: &mut Turn,
        action: CaseAction,
        by: String,
        reason: String,
    ) -> Answer {
        let case = CaseName::stale_log();
        if !self.commit.is_stale() {
            let why = "the log is not stale".to_owned();
            return Answer::Refused(Refusal::NotSettled { case, why });
        }
        if let Some(why) = self.unsettled(turn.now()) {
            return Answer::Refused(Refusal::NotSettled { case, why });
        }
        if action != CaseAction::Trust {
            let why = "it can only be trusted".to_owned();
            return Answer::Refused(Refusal::NotSettled { case, why });
        }
        let evidence = self.evidence_of_log(turn.now()).into_iter();
        let evidence = evidence.map(|EvidenceView { at, text }| Evidence { at, text }).collect();
        turn.log_trusted(Forced { by, reason, evidence }, self.testimony.above());
        turn.act(Action::StartAgain);
        Answer::Resolved
    }
}

/// Why such a case is one, for programs.
const LOG_STALE: &str = "LOG_STALE";
/// The same, for a job that only workers know.
const NOT_IN_LOG: &str = "NOT_IN_LOG";
/// Said of a log of which nothing is left to settle.
const SETTLED: &str = "every worker has told what it has, and every job is settled";
