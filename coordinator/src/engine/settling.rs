//! What a decision leaves to do, joined with the scheduler that knows the workers.
//!
//! The settlement is opened in the frame that ends a job: when everybody has acknowledged the
//! commit, or when nothing of an aborted job runs any longer. Until it is settled the job stays
//! open, its decision final.

use serde::Serialize;
use votum_commit::{Cause, Decision, Installation};
use votum_ids::{JobId, TaskId};
use votum_job::ListedAttempt;
use votum_machine::{Machine, Moment, WallTime};
use votum_schedule::{GivenOut, Offer};
use votum_settle::{Case, Event as Settle, Facts, Host, Resolution, Started, Verdict};
use votum_wire::{
    CaseAction, CaseKind, CaseName, CaseView, EvidenceView, FromCoordinator, JobState, Subject,
};

use super::{Engine, Pending};
use crate::{
    action::{Action, Answer, Refusal},
    open_job::OpenJob,
    turn::Turn,
};

impl Engine {
    /// Steps the settlement, or queues the event if it has already decided something in this turn.
    pub(super) fn settle(&mut self, turn: &mut Turn, event: Settle) {
        if turn.has_settle_record() {
            return self.pending.push_back(Pending::Settle(event));
        }
        let again = match &event {
            // One try a step: what else is lost with the worker is the next step's.
            Settle::HostLost { .. } | Settle::HostGone { .. } => Some(event.clone()),
            Settle::Decided { .. }
            | Settle::Offered { .. }
            | Settle::Unplaceable { .. }
            | Settle::Ended { .. }
            | Settle::Answered { .. }
            | Settle::Joined { .. }
            | Settle::Listed { .. }
            | Settle::InventoryEnded { .. }
            | Settle::LookAgain
            | Settle::ResolutionAsked { .. }
            | Settle::Closed { .. }
            | Settle::Tick => None,
        };
        let reaction = self.settlement.step(turn.now(), event);
        if let Some(record) = reaction.record {
            if let Some(open) = self.jobs.get_mut(record.job()) {
                open.note_try(&record);
            }
            turn.settle_record(record);
            self.pending.extend(again.map(Pending::Settle));
        }
        for action in reaction.actions {
            self.on_settle_action(turn, action);
        }
    }

    fn on_settle_action(&mut self, turn: &mut Turn, action: votum_settle::Action) {
        use votum_settle::Action as Asked;
        match action {
            Asked::Place { job, hook, placement, undoes } => {
                let quiet = |task: &TaskId| self.scheduler.is_quiet(&job, task);
                // It is asked for again: nothing is offered before what it undoes is over (R3).
                if !undoes.as_ref().is_none_or(quiet) {
                    return;
                }
                match self.scheduler.find_host(&placement) {
                    Offer::Worker { worker, .. }
                        if self.settlement.trying_on(&worker) >= TRIES_PER_WORKER_MAX => {}
                    Offer::Worker { worker, uid, token } => {
                        let host = Host { worker, uid };
                        self.settle(turn, Settle::Offered { job, hook, host, token });
                    }
                    Offer::Later => {}
                    Offer::Never { message } => {
                        self.settle(turn, Settle::Unplaceable { job, hook, message });
                    }
                }
            }
            Asked::Start(assignment) => {
                let worker = assignment.worker.clone();
                turn.act(Action::Send { worker, frame: FromCoordinator::Start(assignment) });
            }
            Asked::Post(post) => turn.act(Action::Post(post)),
            Asked::Acknowledge { worker, attempt } => {
                let frame = FromCoordinator::Acknowledged { attempt };
                turn.act(Action::SendDurable { worker, frame });
            }
            Asked::Discard { worker, attempt } => {
                let frame = FromCoordinator::Discard { attempt };
                turn.act(Action::SendDurable { worker, frame });
            }
            Asked::Changed { job } => turn.changed(&job),
            Asked::Settled { job } => self.settled(turn, &job),
        }
    }

    /// Opens the settlement of a job whose decision is final; nothing if it leaves nothing to do.
    pub(super) fn open_settlement(&mut self, turn: &mut Turn, job: &JobId, decision: Decision) {
        let Some(open) = self.jobs.get(job) else { return };
        let verdict = match decision {
            Decision::Commit => Verdict::Commit,
            Decision::Abort => Verdict::Abort,
        };
        let compensatable = open.spec.tasks.values().any(|task| task.compensate.is_some());
        if open.spec.effects.is_empty() && !(compensatable && verdict == Verdict::Abort) {
            return;
        }
        let decided = open.decided.unwrap_or_else(|| self.anchor.at(turn.now()));
        let announcement = announcement(job, open, verdict, decided);
        let facts = Facts { verdict, decided, uid: open.submission.uid, announcement };
        let (facts, spec) = (Box::new(facts), open.spec.clone());
        let started = match verdict {
            Verdict::Commit => Vec::new(),
            Verdict::Abort => self.scheduler.given_out(job).into_iter().map(started).collect(),
        };
        self.settle(turn, Settle::Decided { job: job.clone(), spec, facts, started });
    }

    /// Answers the wish to cancel a job whose decision is carried out.
    pub(super) fn cancel_over(&self, turn: &Turn, job: &JobId, over: Decision) -> Answer {
        let state = match (over, self.view(turn.now(), job)) {
            (Decision::Abort, Some(view)) => return Answer::Cancelling(Box::new(view)),
            (Decision::Commit | Decision::Abort, _) => JobState::Committed,
        };
        Answer::Refused(Refusal::Decided { job: job.clone(), state })
    }

    /// Closes a job that waited for nothing but its settlement.
    fn settled(&mut self, turn: &mut Turn, job: &JobId) {
        if let Some(decision) = self.jobs.get(job).and_then(|open| open.over) {
            self.close(turn, job, decision);
        }
    }

    /// Says whether something that the decision left is still to do.
    pub(super) fn is_settling(&self, job: &JobId) -> bool {
        self.settlement.is_open(job) && !self.settlement.is_settled(job)
    }

    /// Queues what a worker lists of the tries that it knows of; hands everything else back.
    pub(super) fn list_try(
        &mut self,
        from: &Installation,
        listed: ListedAttempt,
    ) -> Option<ListedAttempt> {
        if !self.settlement.knows(&listed.attempt) {
            return Some(listed);
        }
        self.pending.push_back(Pending::Settle(Settle::Listed { host: host(from), listed }));
        None
    }

    /// Tells the settlement what became of a worker.
    pub(super) fn worker_changed(&mut self, now: Moment) {
        self.look_at_hosts(now);
        self.pending.push_back(Pending::Settle(Settle::LookAgain));
    }

    /// Tells the settlement which of the workers that try something are lost, or gone for good.
    ///
    /// Asked at every sign of life of any worker: without one nothing could be tried elsewhere.
    pub(super) fn look_at_hosts(&mut self, now: Moment) {
        for host in self.settlement.hosts() {
            if self.scheduler.is_gone(now, &host.worker, host.uid) {
                self.pending.push_back(Pending::Settle(Settle::HostGone { host }));
            } else if self.scheduler.is_lost(&host.worker) {
                let worker = host.worker;
                self.pending.push_back(Pending::Settle(Settle::HostLost { worker }));
            }
        }
    }

    /// Shows every case, by job and subject.
    pub(super) fn cases(&self, now: Moment) -> Vec<CaseView> {
        let hooks = self.hook_cases().into_iter();
        let jobs = hooks.chain(self.lost_participants(now)).chain(self.quarantine_cases());
        jobs.chain(self.stale_cases(now)).collect()
    }

    /// Shows the cases of effects and compensations, by job and name.
    pub(super) fn hook_cases(&self) -> Vec<CaseView> {
        self.settlement.cases().into_iter().map(shown_case).collect()
    }

    /// Decides a case, or says why the log does not allow it (H1); durable before the answer.
    pub(super) fn resolve_case(
        &mut self,
        turn: &mut Turn,
        job: JobId,
        subject: Subject,
        action: CaseAction,
        by: String,
        reason: String,
    ) -> Answer {
        let hook = match &subject {
            Subject::Hook(hook) => hook.clone(),
            Subject::Worker(worker) => {
                let worker = worker.clone();
                return self.resolve_lost(turn, job, worker, action, by, reason);
            }
            Subject::Log | Subject::Stale => {
                return self.rule(turn, job, subject, action, by, reason);
            }
        };
        let Some(case) = self.settlement.case(&job, &hook) else {
            return Answer::Refused(Refusal::NoCase { job, subject });
        };
        if self.commit.is_stale() {
            return Answer::Refused(Refusal::LogStale);
        }
        let wanted = resolution(action).filter(|wanted| case.legal.contains(wanted));
        let Some(resolution) = wanted else {
            let legal = case.legal.iter().map(|legal| legal.word()).collect();
            return Answer::Refused(Refusal::IllegalResolution { job, subject, legal });
        };
        self.settle(turn, Settle::ResolutionAsked { job, hook, resolution, by, reason });
        Answer::Resolved
    }

    /// Says when the settlement wants a tick; never on a stale log, which may lack what was done.
    pub(super) fn settling_due(&self) -> Option<Moment> {
        self.settlement.next_deadline().filter(|_| !self.commit.is_stale())
    }
}

pub(super) fn host(installation: &Installation) -> Host {
    Host { worker: installation.worker.clone(), uid: installation.uid }
}

fn started(given_out: GivenOut) -> Started {
    let GivenOut { task, attempts, worker, uid } = given_out;
    Started { task, attempts, host: Host { worker, uid } }
}

fn resolution(action: CaseAction) -> Option<Resolution> {
    match action {
        CaseAction::Retry => Some(Resolution::Retry),
        CaseAction::Done => Some(Resolution::Done),
        CaseAction::GiveUp => Some(Resolution::GiveUp),
        CaseAction::Commit | CaseAction::Abort | CaseAction::Resume | CaseAction::Trust => None,
    }
}

fn shown_case(case: Case) -> CaseView {
    let evidence = case.evidence.into_iter();
    CaseView {
        name: CaseName::hook(case.job, case.hook),
        kind: match case.kind {
            votum_settle::HookKind::Effect => CaseKind::Effect,
            votum_settle::HookKind::Compensation => CaseKind::Compensation,
        },
        reason: case.cause.word().to_owned(),
        message: case.message,
        since: case.since,
        evidence: evidence.map(|one| EvidenceView { at: one.at, text: one.text }).collect(),
        actions: case.legal.into_iter().map(crate::view::hook::case_action).collect(),
    }
}

/// What every hook is told of the job: the body of webhooks, and `VOTUM_JOB_FILE`.
#[derive(Serialize)]
struct Announcement<'a> {
    job: &'a str,
    uid: String,
    name: &'a str,
    decision: &'static str,
    decided_unix_ms: u64,
    creator: &'a str,
    labels: &'a std::collections::BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Why<'a>>,
}

/// Why a job aborted.
#[derive(Serialize)]
struct Why<'a> {
    reason: &'a str,
    message: &'a str,
    by: &'a str,
}

fn announcement(job: &JobId, open: &OpenJob, verdict: Verdict, decided: WallTime) -> String {
    let announcement = Announcement {
        job: job.as_str(),
        uid: open.submission.uid.to_string(),
        name: &open.spec.display_name,
        decision: verdict.word(),
        decided_unix_ms: decided.0,
        creator: &open.submission.by,
        labels: &open.spec.labels,
        cause: open.cause.as_ref().map(why),
    };
    serde_json::to_string(&announcement).expect("its keys are strings")
}

fn why(Cause { reason, message, by }: &Cause) -> Why<'_> {
    Why { reason, message, by }
}

/// So many tries of hooks are under way on one worker at a time; the others wait.
const TRIES_PER_WORKER_MAX: usize = 16;
