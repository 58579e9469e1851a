//! Participants that are lost after the decision: a case for a person, and what that may force.
//!
//! Such a case is derived from where the commit stands and from what the scheduler knows of the
//! worker, never stored: it goes when the worker comes back, and when it is given up.

use std::collections::BTreeSet;

use votum_commit::{
    CoordinatorEvent, Decision, Evidence, Forced, Installation, Pledge, Reply, Stage, Vote,
};
use votum_ids::{JobId, WorkerId};
use votum_machine::Moment;
use votum_schedule::Admission;
use votum_wire::{CaseAction, CaseKind, CaseName, CaseView, EvidenceView, JobState, Subject};

use super::{Engine, Pending, release};
use crate::{
    action::{Answer, Refusal},
    turn::Turn,
};

impl Engine {
    /// Gives up a lost worker that a decided commit waits for; durable before the answer (C12).
    pub(super) fn force(
        &mut self,
        turn: &mut Turn,
        job: &JobId,
        worker: &WorkerId,
        by: String,
        reason: String,
    ) -> Answer {
        match self.give_up(turn, job, worker, by, reason) {
            Err(refusal) => Answer::Refused(refusal),
            Ok(()) => {
                let view = self.view(turn.now(), job).expect("somebody is owed, so it stays open");
                Answer::Forced(Box::new(view))
            }
        }
    }

    fn give_up(
        &mut self,
        turn: &mut Turn,
        job: &JobId,
        worker: &WorkerId,
        by: String,
        reason: String,
    ) -> Result<(), Refusal> {
        let holder = self.may_give_up(turn.now(), job, worker)?;
        let evidence = self.evidence(turn.now(), job, &holder);
        let forced = Forced { by, reason, evidence };
        let event = CoordinatorEvent::GiveUpAsked { job: job.clone(), holder, forced };
        self.commit(turn, event);
        Ok(())
    }

    /// Decides the case of a lost participant: giving it up is all that a person can do.
    pub(super) fn resolve_lost(
        &mut self,
        turn: &mut Turn,
        job: JobId,
        worker: WorkerId,
        action: CaseAction,
        by: String,
        reason: String,
    ) -> Answer {
        let is_open = self.held_back_by(&job).iter().any(|holder| holder.worker == worker);
        let subject = Subject::Worker(worker.clone());
        if !is_open {
            return Answer::Refused(Refusal::NoCase { job, subject });
        }
        if action != CaseAction::GiveUp {
            let legal = vec![CaseAction::GiveUp.word()];
            return Answer::Refused(Refusal::IllegalResolution { job, subject, legal });
        }
        match self.give_up(turn, &job, &worker, by, reason) {
            Ok(()) => Answer::Resolved,
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    /// Returns the installation that may be given up, or says why the log does not allow it (H1).
    fn may_give_up(
        &self,
        now: Moment,
        job: &JobId,
        worker: &WorkerId,
    ) -> Result<Installation, Refusal> {
        self.not_quarantined(job)?;
        let Some(open) = self.jobs.get(job) else {
            return Err(Refusal::NotOpen { job: job.clone() });
        };
        if self.commit.is_stale() {
            return Err(Refusal::LogStale);
        }
        let (job, worker) = (job.clone(), worker.clone());
        let state = self.view(now, &job).map_or(JobState::Received, |view| view.state);
        let (unacked, given_up) = match self.commit.phase(&job).map(|standing| standing.stage) {
            Some(Stage::Delivering { unacked, given_up, .. }) => (unacked, given_up),
            Some(Stage::Owing { given_up, .. }) => (BTreeSet::new(), given_up),
            Some(Stage::Aborting { .. }) => return Err(Refusal::AbortRecorded { job, state }),
            Some(Stage::Working | Stage::Preparing { .. } | Stage::Quarantined) | None => {
                return Err(match open.over {
                    Some(Decision::Abort) => Refusal::AbortRecorded { job, state },
                    Some(Decision::Commit) => nothing_owed(job, worker, PUBLISHED),
                    None => Refusal::NotDecided { job, state },
                });
            }
        };
        let named = |holder: &&Installation| holder.worker == worker;
        if let Some(holder) = unacked.iter().find(named) {
            return if self.holds_back(&job, holder) {
                Ok(holder.clone())
            } else {
                Err(Refusal::WorkerNotLost { job, worker })
            };
        }
        let given_up = given_up.iter().find(named).and_then(|holder| open.missing(holder));
        Err(match given_up {
            Some(outcome) => {
                nothing_owed(job, worker, &format!("{} did it already", outcome.forced.by))
            }
            None if open.publishers.iter().any(|holder| holder.worker == worker) => {
                nothing_owed(job, worker, PUBLISHED)
            }
            None => nothing_owed(job, worker, "it has promised to publish nothing of the job"),
        })
    }

    /// Returns the participants that a decided commit waits for in vain: they are lost, or have
    /// declined to take another's place.
    pub(super) fn held_back_by(&self, job: &JobId) -> Vec<Installation> {
        if self.is_quarantined(job) {
            return Vec::new(); // That is a case of its own, which allows no action.
        }
        match self.commit.phase(job).map(|standing| standing.stage) {
            Some(Stage::Delivering { unacked, .. }) => {
                unacked.into_iter().filter(|holder| self.holds_back(job, holder)).collect()
            }
            Some(
                Stage::Working
                | Stage::Preparing { .. }
                | Stage::Owing { .. }
                | Stage::Aborting { .. }
                | Stage::Quarantined,
            )
            | None => Vec::new(),
        }
    }

    fn holds_back(&self, job: &JobId, holder: &Installation) -> bool {
        self.is_lost(holder) || self.has_declined_alone(job, holder)
    }

    /// Says whether an installation is lost (R2), or not even known any more.
    pub(super) fn is_lost(&self, holder: &Installation) -> bool {
        let known = self.scheduler.worker(&holder.worker);
        known.is_none_or(|known| known.registration.uid != holder.uid)
            || self.scheduler.is_lost(&holder.worker)
    }

    /// Shows the cases of lost participants, by job and worker.
    pub(super) fn lost_participants(&self, now: Moment) -> Vec<CaseView> {
        let jobs = self
            .jobs
            .keys()
            .flat_map(|job| self.held_back_by(job).into_iter().map(move |holder| (job, holder)));
        jobs.map(|(job, holder)| self.lost_participant(now, job, &holder)).collect()
    }

    fn lost_participant(&self, now: Moment, job: &JobId, holder: &Installation) -> CaseView {
        let decided = self.jobs.get(job).and_then(|open| open.decided);
        let known = self.scheduler.worker(&holder.worker);
        let known = known.filter(|known| known.registration.uid == holder.uid);
        let lost = known.map(|known| {
            self.anchor.at(known.heard.after(self.lease.length).after(self.lease.stop_grace))
        });
        let owed = self.commit.owed(job, holder);
        let missing = owed.iter().flat_map(|share| &share.pledges);
        let missing = missing.filter(|pledge| pledge.target.is_some());
        let missing: Vec<String> = missing.map(|pledge| place(holder, pledge)).collect();
        let stands = if self.is_lost(holder) {
            "is lost"
        } else {
            "holds nothing of what it shall publish in the place of another"
        };
        let evidence = self.evidence(now, job, holder).into_iter();
        CaseView {
            name: CaseName::worker(job.clone(), holder.worker.clone()),
            kind: CaseKind::LostParticipant,
            reason: LOST_PARTICIPANT.to_owned(),
            message: format!(
                "COMMIT is decided and {} {stands}; missing: {}",
                holder.worker,
                missing.join(", ")
            ),
            since: lost.max(decided).unwrap_or_else(|| self.anchor.at(now)),
            evidence: evidence.map(|Evidence { at, text }| EvidenceView { at, text }).collect(),
            actions: vec![CaseAction::GiveUp],
        }
    }

    /// Gathers what is known about a participant that has not published, oldest first.
    fn evidence(&self, now: Moment, job: &JobId, holder: &Installation) -> Vec<Evidence> {
        let Some(open) = self.jobs.get(job) else { return Vec::new() };
        let (worker, started, now) = (&holder.worker, self.anchor, self.anchor.at(now));
        let mut known = Vec::new();
        let mut tell = |at, text: String| known.push(Evidence { at, text });
        let talk = open.exchange.with(holder);
        if let Some((Vote::Yes, at)) = talk.vote {
            tell(at, format!("{worker} voted YES: it promised durably to obey the decision"));
        }
        if let Some(Stage::Delivering { txn, .. }) =
            self.commit.phase(job).map(|standing| standing.stage)
        {
            let words = "COMMIT is durable; every participant had voted YES in round";
            let decided = open.decided.unwrap_or(started);
            tell(decided, format!("{words} {}.{}", txn.epoch, txn.counter));
        }
        match (talk.commits_sent, talk.commit_sent) {
            (0, _) | (_, None) => {
                tell(started, format!("COMMIT was not sent to {worker} since this start"));
            }
            (count, Some(at)) => {
                tell(at, format!("COMMIT was sent to {worker}, {count} times since this start"));
            }
        }
        match self.scheduler.worker(worker) {
            Some(known) if known.registration.uid != holder.uid => {
                let other = known.registration.uid;
                tell(now, format!("{worker} is another installation now: {other}"));
            }
            Some(known) if known.heard == Moment::START => {
                tell(started, format!("{worker} was not heard since this start"));
            }
            Some(known) => {
                tell(self.anchor.at(known.heard), format!("the last sign of life of {worker}"));
            }
            None => tell(now, format!("{worker} is not known any more")),
        }
        for publisher in &open.publishers {
            let share = self.commit.promised(job, publisher);
            let pledges = share.map_or(&[][..], |share| share.pledges.as_slice());
            let acknowledged = open.exchange.with(publisher).acknowledged;
            for pledge in pledges.iter().filter(|pledge| pledge.target.is_some()) {
                let place = place(publisher, pledge);
                if publisher == holder {
                    tell(now, format!("missing: {place}, digest {}", pledge.digest));
                } else if let Some(at) = acknowledged {
                    tell(at, format!("published: {place}"));
                }
            }
        }
        known.sort_by_key(|evidence| evidence.at);
        known
    }

    /// Wakes whoever watches a job that waits for this worker to publish.
    pub(super) fn wake_waiting_for(&self, turn: &mut Turn, worker: &WorkerId) {
        for job in self.jobs.keys() {
            if let Some(Stage::Delivering { unacked, .. }) =
                self.commit.phase(job).map(|standing| standing.stage)
                && unacked.iter().any(|holder| holder.worker == *worker)
            {
                turn.changed(job);
            }
        }
    }

    /// Says whether somebody is waited for to publish.
    pub(super) fn is_delivering(&self, job: &JobId) -> bool {
        let stage = self.commit.phase(job).map(|standing| standing.stage);
        matches!(stage, Some(Stage::Delivering { .. }))
    }

    /// Returns who was given up and is still to be told of the commit (C14).
    pub(super) fn owed(&self, job: &JobId) -> BTreeSet<Installation> {
        match self.commit.phase(job).map(|standing| standing.stage) {
            Some(Stage::Delivering { given_up, .. } | Stage::Owing { given_up, .. }) => given_up,
            Some(
                Stage::Working
                | Stage::Preparing { .. }
                | Stage::Aborting { .. }
                | Stage::Quarantined,
            )
            | None => BTreeSet::new(),
        }
    }

    /// Says whether nobody is waited for, and somebody who was given up is still to be told.
    pub(super) fn owes(&self, job: &JobId) -> bool {
        let stage = self.commit.phase(job).map(|standing| standing.stage);
        matches!(stage, Some(Stage::Owing { .. }))
    }

    /// Says whether what an installation has of a job may still be needed.
    pub(super) fn concerns(&self, from: &Installation, job: &JobId) -> bool {
        let over_for_others = self.owes(job) && !self.is_settling(job);
        self.jobs.contains_key(job) && (!over_for_others || self.owed(job).contains(from))
    }

    /// Lets everybody forget a job but those that were given up: its record stays for them.
    pub(super) fn part_ways(&mut self, turn: &mut Turn, job: &JobId) {
        let owed: BTreeSet<WorkerId> =
            self.owed(job).into_iter().map(|holder| holder.worker).collect();
        let visited = self.settlement.visited(job);
        let involved: BTreeSet<WorkerId> =
            self.scheduler.involved(job).into_iter().chain(visited).collect();
        for worker in involved.difference(&owed) {
            turn.act(release(worker.clone(), job.clone()));
        }
        let rescued = self.jobs.get(job).and_then(|open| open.submission.rescue.clone());
        if let Some(rescue) = rescued {
            self.settle_rescued(&rescue.from);
        }
        turn.changed(job);
    }

    /// Tells a worker that has come back which commits it is owed, as if it had asked.
    ///
    /// It need not be in doubt: it may have published, and the record of its acknowledgement
    /// may have been lost.
    pub(super) fn tell_owed(&mut self, from: &Installation) {
        let rounds = self.jobs.keys().filter_map(|job| match self.commit.phase(job)?.stage {
            Stage::Delivering { txn, given_up, .. } | Stage::Owing { txn, given_up } => {
                given_up.contains(from).then_some(txn)
            }
            Stage::Working
            | Stage::Preparing { .. }
            | Stage::Aborting { .. }
            | Stage::Quarantined => None,
        });
        let asks = rounds.map(|txn| {
            let reply = Reply::Inquired { txn, committed: false };
            Pending::Commit(CoordinatorEvent::Received { from: from.clone(), reply })
        });
        let asks: Vec<_> = asks.collect();
        self.pending.extend(asks);
    }

    /// Forgets what is owed to installations that an operator has removed for good.
    ///
    /// Asked at every removal, when somebody is given up or replaced, and at the start of the daemon
    /// for what a crash has left.
    pub(crate) fn forget_removed(&mut self) {
        let jobs = self
            .jobs
            .keys()
            .flat_map(|job| self.owed(job).into_iter().map(move |holder| (job.clone(), holder)));
        let removed = jobs.filter(|(_, holder)| {
            let admission = self.scheduler.admission(&holder.worker, holder.uid);
            matches!(admission, Admission::Removed(_))
        });
        let events = removed.map(|(job, holder)| CoordinatorEvent::Removed { job, holder });
        let events: Vec<_> = events.map(Pending::Commit).collect();
        self.pending.extend(events);
    }
}

fn nothing_owed(job: JobId, worker: WorkerId, why: &str) -> Refusal {
    Refusal::NothingOwed { job, worker, why: why.to_owned() }
}

/// Names an output and where it becomes visible.
fn place(holder: &Installation, pledge: &Pledge) -> String {
    let path = pledge.target.as_ref().map_or("", |target| target.path.as_str());
    format!("{}.{} at {}:{path}", pledge.task, pledge.output, holder.worker)
}

const PUBLISHED: &str = "it has acknowledged the commit, its outputs are visible";
/// Why such a case is one, for programs.
const LOST_PARTICIPANT: &str = "LOST_PARTICIPANT";
