//! What a person rules about a job of which the log does not tell enough: damaged, or stale (C6, V3).
//!
//! Nothing is presumed. A commit that anybody knows leaves no choice; without one an abort needs the
//! word of every worker. What was ruled is durable before anybody is told.

use std::collections::{BTreeMap, BTreeSet};

use votum_commit::{
    Cause, CoordinatorEvent, CoordinatorRecord, Decision, Evidence, Forced, Installation, Message,
    Share, Stage,
};
use votum_ids::{AttemptId, JobId, TxnId, WorkerId};
use votum_machine::Machine;
use votum_wire::{CaseAction, CaseName, CaseView, EvidenceView, FromCoordinator, Subject};

use super::{Engine, Pending, release, testimony::Stranger};
use crate::{
    action::{Action, Answer, Refusal},
    quarantine::{Listing, Quarantined},
    record::{Closing, KnownRequest, Ruled, Ruling},
    turn::Turn,
};

/// What may be done about a job, and what stands in the way of the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    /// What a person may do.
    pub(super) actions: Vec<CaseAction>,
    /// What is known, or missing, in one sentence.
    pub(super) why: String,
}

impl Scope {
    fn nothing(why: impl Into<String>) -> Self {
        Self { actions: Vec::new(), why: why.into() }
    }

    fn of(actions: impl Into<Vec<CaseAction>>, why: impl Into<String>) -> Self {
        Self { actions: actions.into(), why: why.into() }
    }
}

impl Engine {
    /// Says what may be done about a quarantined job.
    pub(super) fn scope_of_quarantined(&self, found: &Quarantined) -> Scope {
        if self.commit.is_stale() {
            return Scope::nothing("the log as a whole is stale, which comes first");
        }
        if found.commit.is_some() {
            return Scope::of([CaseAction::Commit], "its commit is known, and stands");
        }
        if found.tells_of_commit() {
            let why = "a commit can be read, but not who publishes what";
            return Scope::nothing(why);
        }
        if found.listed.values().any(|listing| listing.committed.is_some()) {
            return Scope::nothing("a worker was told to commit, and that is being adopted");
        }
        if let Some(why) = self.cannot_tell(&found.job) {
            return Scope::nothing(why);
        }
        if found.abort().is_some() {
            let why = "its abort can be read, and no worker knows of a commit";
            return Scope::of([CaseAction::Abort], why);
        }
        if found.listed.values().all(|listing| *listing == Listing::default()) {
            let why = "no worker has anything of it: look whether its outputs are visible";
            return Scope::of([CaseAction::Commit, CaseAction::Abort], why);
        }
        let why = "every worker has told what it has, and none knows of a commit";
        Scope::of([CaseAction::Abort], why)
    }

    /// Says what may be done about a job of a stale log; none if there is nothing to settle.
    pub(super) fn scope_of_stale(&self, job: &JobId) -> Option<Scope> {
        if !self.commit.is_stale() || self.is_quarantined(job) {
            return None;
        }
        let listed = self.testimony.of(job);
        let Some(open) = self.jobs.get(job) else {
            let known = self.testimony.strangers().find(|(stranger, _)| *stranger == job)?.1;
            return match known {
                Stranger::Settled => None,
                Stranger::LookedUp => Some(Scope::nothing("it is looked up in the journal")),
                Stranger::Unknown => Some(self.scope_of_stranger(job, &listed)),
            };
        };
        let stage = self.commit.phase(job).map(|standing| standing.stage);
        let undecided = matches!(stage, Some(Stage::Working | Stage::Preparing { .. }));
        if open.over.is_some() || !undecided || self.testimony.is_vouched(job) {
            return None;
        }
        if listed.values().any(|listing| listing.committed.is_some()) {
            return Some(Scope::nothing("a worker was told to commit, and that is being adopted"));
        }
        if let Some(why) = self.cannot_tell(job) {
            return Some(Scope::nothing(why));
        }
        let staged = self.testimony.staged(job);
        let (there, gone): (Vec<_>, Vec<_>) =
            staged.iter().partition(|(attempt, worker)| holds(&listed, worker, attempt));
        let in_doubt = listed.values().any(|listing| listing.prepared.is_some());
        let live = listed.values().any(|listing| listing.live > 0);
        let has_anything = listed.values().any(|listing| *listing != Listing::default());
        let mut actions = vec![CaseAction::Abort];
        if has_anything && gone.is_empty() {
            actions.insert(0, CaseAction::Resume);
        }
        if !in_doubt && !live && there.is_empty() {
            actions.insert(0, CaseAction::Commit);
        }
        let why = match (has_anything, gone.is_empty()) {
            (false, _) => "no worker has anything of it: look whether its outputs are visible",
            (true, true) => "every worker has told what it has, and none knows of a commit",
            (true, false) => "none knows of a commit, but what was staged is not there any more",
        };
        Some(Scope::of(actions, why))
    }

    fn scope_of_stranger(&self, job: &JobId, listed: &BTreeMap<WorkerId, Listing>) -> Scope {
        let rounds: BTreeSet<&TxnId> =
            listed.values().filter_map(|listing| listing.committed.as_ref()).collect();
        match rounds.len() {
            0 => match self.cannot_tell(job) {
                Some(why) => Scope::nothing(why),
                None => {
                    let why = "the log does not know it, and no worker knows of a commit";
                    Scope::of([CaseAction::Abort], why)
                }
            },
            1 => Scope::of([CaseAction::Commit], "a worker was told to commit it: that stands"),
            _ => Scope::nothing("workers were told to commit different rounds of it"),
        }
    }

    /// Says whose word about a job is missing; none: every worker has told all of it.
    fn cannot_tell(&self, job: &JobId) -> Option<String> {
        let awaited = self.awaited_reports();
        if !awaited.is_empty() {
            return Some(waits_for(&awaited));
        }
        let damaged = self.damages_of(job).into_iter().next()?;
        Some(format!("{} cannot read its own records of it", damaged.worker))
    }

    /// Rules about a job, or says why the log and the workers do not allow it (H1); durable before
    /// the answer.
    pub(super) fn rule(
        &mut self,
        turn: &mut Turn,
        job: JobId,
        subject: Subject,
        action: CaseAction,
        by: String,
        reason: String,
    ) -> Answer {
        let case = match subject {
            Subject::Log => self.quarantine_case_of(&job),
            Subject::Stale => self.stale_case(turn.now(), &job),
            Subject::Hook(_) | Subject::Worker(_) => None,
        };
        let Some(CaseView { message, actions, evidence, .. }) = case else {
            return Answer::Refused(Refusal::NoCase { job, subject });
        };
        let ruled = match action {
            CaseAction::Commit => Some(Ruled::Commit),
            CaseAction::Abort => Some(Ruled::Abort),
            CaseAction::Resume => Some(Ruled::Resume),
            CaseAction::Retry | CaseAction::Done | CaseAction::GiveUp | CaseAction::Trust => None,
        };
        let ruled = ruled.filter(|_| actions.contains(&action));
        let Some(ruled) = ruled else {
            if actions.is_empty() {
                let case = CaseName { job: Some(job), subject };
                return Answer::Refused(Refusal::NotSettled { case, why: message });
            }
            let legal = actions.into_iter().map(CaseAction::word).collect();
            return Answer::Refused(Refusal::IllegalResolution { job, subject, legal });
        };
        let evidence = evidence.into_iter();
        let evidence = evidence.map(|EvidenceView { at, text }| Evidence { at, text }).collect();
        let ruling = Ruling { ruled, forced: Forced { by, reason, evidence } };
        turn.changed(&job);
        turn.ruling(job.clone(), ruling.clone());
        if self.is_quarantined(&job) {
            self.rule_quarantined(turn, job, ruling);
        } else if self.jobs.contains_key(&job) {
            self.rule_stale(turn, job, ruling);
        } else {
            self.rule_stranger(turn, job, ruling);
        }
        Answer::Resolved
    }

    fn rule_quarantined(&mut self, turn: &mut Turn, job: JobId, ruling: Ruling) {
        let ruled = ruling.ruled;
        let cause = cause(&ruling.forced);
        let at = self.anchor.at(turn.now());
        let Some(found) = self.quarantined_mut(&job) else { return };
        found.rule(at, ruling);
        let known = found.commit.is_some();
        match ruled {
            // It goes on as it is, denied to nobody, until everybody has applied it.
            Ruled::Commit if known => self.pending.push_back(Pending::Conclude { job }),
            // Nobody has anything of it: what a person has seen is all there is to record.
            Ruled::Commit => self.close_quarantined(turn, &job, Decision::Commit),
            Ruled::Abort => {
                turn.commit_record(CoordinatorRecord::Aborting { job: job.clone(), cause });
                self.close_quarantined(turn, &job, Decision::Abort);
            }
            Ruled::Resume => {}
        }
    }

    fn rule_stale(&mut self, turn: &mut Turn, job: JobId, ruling: Ruling) {
        match ruling.ruled {
            Ruled::Commit => {
                self.settled_by_hand(turn, &job);
                self.close(turn, &job, Decision::Commit);
            }
            Ruled::Abort => {
                let cause = cause(&ruling.forced);
                self.commit(turn, CoordinatorEvent::AbortSettled { job, cause });
            }
            Ruled::Resume => self.testimony.vouch(job),
        }
    }

    /// Lets the commit coordinator forget a job that a person closes.
    fn settled_by_hand(&mut self, turn: &Turn, job: &JobId) {
        let event = CoordinatorEvent::EndSettled { job: job.clone() };
        let _nothing = self.commit.step(turn.now(), event);
    }

    /// Rules about a job that only workers know; it is carried out by the start that trusts the log.
    fn rule_stranger(&mut self, turn: &mut Turn, job: JobId, ruling: Ruling) {
        self.testimony.know(job.clone(), Stranger::Settled);
        match ruling.ruled {
            Ruled::Commit => {
                let listed = self.testimony.of(&job).into_iter();
                let mut told = listed.filter_map(|(worker, listing)| {
                    Some((worker, listing.committed?, listing.pledges))
                });
                let Some(first) = told.next() else { return };
                let txn = first.1.clone();
                let shares = std::iter::once(first).chain(told).filter_map(|told| {
                    let (worker, _, pledges) = told;
                    let registration = self.scheduler.worker(&worker)?.registration;
                    let holder = Installation { worker, uid: registration.uid };
                    Some(Share { holder, address: registration.artifact_address, pledges })
                });
                let shares = shares.collect();
                turn.commit_record(CoordinatorRecord::CommitDecided { txn, shares });
            }
            Ruled::Abort => {
                let cause = cause(&ruling.forced);
                turn.commit_record(CoordinatorRecord::Aborting { job: job.clone(), cause });
                let now = self.anchor.at(turn.now());
                turn.close(Closing::of_stranger(job, now, Decision::Abort, None));
            }
            Ruled::Resume => {}
        }
    }

    /// Ends a quarantined job whose commit a person has confirmed, once every participant has
    /// applied it and nobody is in doubt about it; later events ask again.
    pub(super) fn conclude(&mut self, turn: &mut Turn, job: &JobId) {
        let Some(found) = self.quarantined_of(job) else { return };
        let in_doubt = found.listed.values().any(|listing| listing.prepared.is_some());
        let stage = self.commit.phase(job).map(|standing| standing.stage);
        let applied =
            matches!(stage, Some(Stage::Delivering { unacked, .. }) if unacked.is_empty());
        let over = found.is_ruled_committed() && applied;
        if over && !in_doubt && !self.commit.is_stale() && self.awaited_reports().is_empty() {
            self.close_quarantined(turn, job, Decision::Commit);
        }
    }

    /// Asks later whether anything is left of the quarantined jobs that are ruled committed.
    pub(super) fn conclude_later(&mut self) {
        let ruled = self.ruled_committed();
        self.pending.extend(ruled.into_iter().map(|job| Pending::Conclude { job }));
    }

    /// Remembers what the log held before anybody was heard, if it is stale.
    pub(crate) fn remember_stale_log(&mut self) {
        if self.commit.is_stale() {
            self.remember_staged();
        }
    }

    fn close_quarantined(&mut self, turn: &mut Turn, job: &JobId, decision: Decision) {
        self.settled_by_hand(turn, job);
        let Some(found) = self.take_quarantined(job) else { return };
        self.free_quarantined_key(turn, &found);
        for (worker, listing) in &found.listed {
            if decision == Decision::Abort && listing.prepared.is_some() {
                let message = Message::Abort { job: job.clone() };
                let frame = FromCoordinator::Commit(message);
                turn.act(Action::SendDurable { worker: worker.clone(), frame });
            }
        }
        for worker in found.holders().into_keys() {
            turn.act(release(worker, job.clone()));
        }
        let now = self.anchor.at(turn.now());
        let round = found.commit.as_ref().map(|(txn, _)| txn.clone());
        let round = round.filter(|_| decision == Decision::Commit);
        let closing = match &found.open {
            // What it was filed under comes from records that may say otherwise than was ruled.
            Some(open) => Closing::of(job.clone(), open, decision, round).unfiled(),
            None => {
                let received = found.first_readable.unwrap_or(now);
                Closing::of_stranger(job.clone(), received, decision, round)
            }
        };
        if let Some(open) = &found.open {
            let spec_digest = open.submission.spec_digest;
            let known = KnownRequest { job: job.clone(), spec_digest };
            self.requests.insert(open.submission.request, known);
        }
        turn.changed(job);
        turn.close(closing);
    }
}

/// Says why a job aborts that a person has ruled about.
fn cause(forced: &Forced) -> Cause {
    Cause {
        reason: SETTLED.to_owned(),
        message: format!("settled as aborted: {}", forced.reason),
        by: forced.by.clone(),
    }
}

/// Says whether a worker lists an attempt.
fn holds(listed: &BTreeMap<WorkerId, Listing>, worker: &WorkerId, attempt: &AttemptId) -> bool {
    listed.get(worker).is_some_and(|listing| listing.attempts.contains(attempt))
}

/// Says whose word is missing.
pub(super) fn waits_for(workers: &[WorkerId]) -> String {
    let names: Vec<&str> = workers.iter().take(NAMES_MAX).map(WorkerId::as_str).collect();
    let rest = workers.len().saturating_sub(NAMES_MAX);
    let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    format!(
        "not every worker has told what it has: start {}{more}, or delete what is gone for good",
        names.join(", ")
    )
}

/// Why a job aborted that a person has settled, for programs.
const SETTLED: &str = "SETTLED";
/// Most workers that a sentence names.
const NAMES_MAX: usize = 4;
