//! Where an action of one machine becomes an event of the other, or a frame.

use std::collections::{BTreeMap, BTreeSet};

use votum_commit::{
    Alarm, Cause, CoordinatorAction, CoordinatorEvent, CoordinatorRecord, Decision, Installation,
    Pledge, Share,
};
use votum_ids::{AttemptId, JobId, WorkerId};
use votum_machine::{Machine, Moment};
use votum_schedule::Holding;
use votum_wire::FromCoordinator;

use super::{Engine, Pending, release};
use crate::{action::Action, record::Closing, turn::Turn};

impl Engine {
    /// Steps the scheduler, or queues the event if it has already decided something in this turn.
    pub(super) fn schedule(&mut self, turn: &mut Turn, event: votum_schedule::Event) {
        if turn.has_schedule_record() {
            return self.pending.push_back(Pending::Schedule(event));
        }
        let reaction = self.scheduler.step(turn.now(), event);
        if let Some(record) = reaction.record {
            self.note_healed(&record);
            self.note(turn.now(), record.job().cloned(), Some(&record), None);
            let begun = matches!(record, votum_schedule::Record::KeyTaken { .. });
            let begun = record.job().filter(|_| begun).cloned();
            turn.schedule_record(record);
            if let Some(job) = begun {
                self.begin_time(turn, &job);
            }
        }
        for action in reaction.actions {
            self.on_schedule_action(turn, action);
        }
    }

    pub(super) fn on_schedule_action(&mut self, turn: &mut Turn, action: votum_schedule::Action) {
        use votum_schedule::Action as Asked;
        match action {
            // The log may lack what was sealed or committed meanwhile: nothing is run over it
            // and nothing of it is called unwanted (C6, C9). The next inventory asks again.
            Asked::Start(_) | Asked::Discard { .. } | Asked::Replicate { .. }
                if self.commit.is_stale() => {}
            Asked::Start(assignment) => {
                turn.changed(&assignment.attempt.job);
                let worker = assignment.worker.clone();
                turn.act(Action::Send { worker, frame: FromCoordinator::Start(assignment) });
            }
            Asked::Stop { worker, attempt, grace, reason, checkpoint_first } => {
                let frame = FromCoordinator::Stop { attempt, grace, reason, checkpoint_first };
                turn.act(Action::Send { worker, frame });
            }
            Asked::Acknowledge { worker, attempt } => {
                let frame = FromCoordinator::Acknowledged { attempt };
                turn.act(Action::SendDurable { worker, frame });
            }
            Asked::Discard { worker, attempt } => {
                let frame = FromCoordinator::Discard { attempt };
                turn.act(Action::SendDurable { worker, frame });
            }
            Asked::Replicate { worker, point } => {
                turn.act(Action::Send { worker, frame: FromCoordinator::Replicate(point) });
            }
            Asked::DryVote { worker, request } => {
                turn.act(Action::Send { worker, frame: FromCoordinator::DryVote(request) });
            }
            Asked::DryVoted { job, came_to } => self.dry_voted(turn, &job, came_to),
            Asked::AllStaged { job, holdings, prepare_timeout } => {
                let shares = holdings.into_iter().map(share).collect();
                self.all_staged(turn, job, shares, prepare_timeout);
            }
            Asked::Withdraw { job } => self.unstaged(turn, job),
            Asked::Fail { job, reason, message } => {
                let cause = Cause { reason, message, by: "votum".to_owned() };
                self.commit(turn, CoordinatorEvent::AbortAsked { job, cause });
            }
            Asked::Replace { job, by, who } => self.replace(turn, job, &by, who),
            Asked::LineMoved { jobs } => jobs.iter().for_each(|job| turn.changed(job)),
            Asked::Stopped { job } => self.stopped(turn, job),
            Asked::WorkerChanged { worker } => {
                self.wake_waiting_for(turn, &worker);
                self.worker_changed(turn.now());
                self.replace_lost_publishers();
            }
        }
    }

    /// Steps the commit coordinator, or queues the event if it has already decided something.
    pub(super) fn commit(&mut self, turn: &mut Turn, event: CoordinatorEvent) {
        if turn.has_commit_record() {
            return self.pending.push_back(Pending::Commit(event));
        }
        let about = event.job().cloned();
        let reaction = self.commit.step(turn.now(), event);
        self.look_behind(about.as_ref());
        let committed =
            |action: &CoordinatorAction| matches!(action, CoordinatorAction::Committed { .. });
        let catches_up = |record: &CoordinatorRecord| {
            matches!(
                record,
                CoordinatorRecord::CaughtUp { .. }
                    | CoordinatorRecord::Removed { .. }
                    // With nothing left to wait for, only a commit ends so.
                    | CoordinatorRecord::Heuristic { .. }
            )
        };
        let commits = reaction.actions.iter().any(committed)
            || reaction.record.as_ref().is_some_and(catches_up);
        let decision = if commits { Decision::Commit } else { Decision::Abort };
        let closed = reaction.record.as_ref().and_then(closes).cloned();
        let ended_by_force = reaction.record.as_ref().and_then(heuristic_of).cloned();
        let closed = closed.or(ended_by_force.filter(|job| self.commit.phase(job).is_none()));
        if let Some(record) = reaction.record {
            self.note(turn.now(), Some(record.job().clone()), None, Some(&record));
            if let CoordinatorRecord::CommitDecided { txn, .. } = &record {
                turn.prepared(self.jobs.get(&txn.job).and_then(|open| open.prepared));
            }
            if matches!(
                record,
                CoordinatorRecord::GivenUp { .. } | CoordinatorRecord::Replaced { .. }
            ) {
                // Whoever was removed before that never comes to hear of it.
                self.forget_removed();
            }
            turn.commit_record(record);
        }
        for action in reaction.actions {
            self.on_commit_action(turn, action);
        }
        if let Some(job) = closed.filter(|job| !self.is_delivering(job)) {
            self.close(turn, &job, decision);
        }
    }

    fn on_commit_action(&mut self, turn: &mut Turn, action: CoordinatorAction) {
        self.overhear_action(turn.now(), &action);
        match action {
            CoordinatorAction::Send { to, message } => {
                let frame = FromCoordinator::Commit(message);
                turn.act(Action::Send { worker: to, frame });
            }
            CoordinatorAction::Preparing { txn } => {
                turn.changed(&txn.job);
                if let Some(open) = self.jobs.get_mut(&txn.job) {
                    open.prepared = Some(self.anchor.at(turn.now()));
                }
            }
            CoordinatorAction::ShareLost { job, holder } => {
                turn.changed(&job);
                let Installation { worker, uid } = holder;
                self.schedule(turn, votum_schedule::Event::ShareLost { job, worker, uid });
            }
            CoordinatorAction::Committing { txn } => {
                turn.changed(&txn.job);
                self.await_publishers(&txn.job);
                self.note_committing(&txn.job);
                self.schedule(turn, votum_schedule::Event::Committing { job: txn.job });
            }
            CoordinatorAction::Aborting { job, cause } => {
                turn.changed(&job);
                let why = cause.message;
                self.schedule(turn, votum_schedule::Event::Aborting { job, why });
            }
            CoordinatorAction::Replaced { txn, from } => self.publisher_replaced(turn, txn, from),
            CoordinatorAction::Declined { job, holder } => self.take_over_declined(job, holder),
            // The record of the same step ends the job.
            CoordinatorAction::Committed { job } => {
                self.open_settlement(turn, &job, Decision::Commit);
            }
            CoordinatorAction::TooLate { .. } => turn.too_late(),
            CoordinatorAction::Raise(alarm) => {
                if let Alarm::StaleLog { by } = &alarm {
                    self.pending.push_back(Pending::LogFoundStale { by: by.worker.clone() });
                }
                turn.act(Action::Raise { alarm: alarm.to_string() });
            }
        }
    }

    /// Forgets a job that owes nothing to anybody, and lets its workers forget it too.
    ///
    /// While something that its decision left is to do, or owed to somebody who was given up, it
    /// stays.
    pub(super) fn close(&mut self, turn: &mut Turn, job: &JobId, decision: Decision) {
        if self.is_settling(job) {
            return turn.changed(job);
        }
        if self.owes(job) {
            return self.part_ways(turn, job);
        }
        self.awaited.remove(job);
        let visited = self.settlement.visited(job);
        let closed = votum_settle::Event::Closed { job: job.clone() };
        let _nothing = self.settlement.step(turn.now(), closed);
        let Some(open) = self.jobs.remove(job) else { return };
        self.leave_crossing(job);
        self.kept.remove(job);
        // What was taken over is visible: nobody rescues it once more.
        if let (Some(rescue), Decision::Commit) = (&open.submission.rescue, decision) {
            self.settle_rescued(&rescue.from);
        }
        let involved: BTreeSet<WorkerId> =
            self.scheduler.involved(job).into_iter().chain(visited).collect();
        for worker in involved {
            turn.act(release(worker, job.clone()));
        }
        let given_up = self.given_up(turn.now(), job);
        // At once, also where the scheduler has decided something in this turn: what it would
        // record of the job until later would open its stream again.
        let closed = votum_schedule::Event::Closed { job: job.clone() };
        for action in self.scheduler.step(turn.now(), closed).actions {
            self.on_schedule_action(turn, action);
        }
        let closing = Closing::of(job.clone(), &open, decision, open.round.clone());
        self.departed.keep(closing.unfiled(), given_up);
        turn.close(closing);
    }

    /// Returns the attempts of a job that were given up and of which nothing was heard since.
    fn given_up(&self, now: Moment, job: &JobId) -> BTreeMap<AttemptId, Installation> {
        let tasks = self.scheduler.job(now, job).map(|view| view.tasks).unwrap_or_default();
        let attempts = tasks.into_iter().flat_map(|task| task.attempts);
        let lost = attempts.filter(|attempt| {
            attempt.outcome == votum_schedule::Outcome::Lost && attempt.comeback.is_none()
        });
        lost.map(|attempt| (attempt.id, Installation { worker: attempt.worker, uid: attempt.uid }))
            .collect()
    }

    /// Remembers when something was recorded, for people.
    pub(super) fn note(
        &mut self,
        now: Moment,
        job: Option<JobId>,
        schedule: Option<&votum_schedule::Record>,
        commit: Option<&CoordinatorRecord>,
    ) {
        let at = self.anchor.at(now);
        if let Some(record) = commit {
            self.note_quarantined(at, record);
        }
        if let Some(open) = job.and_then(|job| self.jobs.get_mut(&job)) {
            open.note(at, schedule, commit);
        }
    }
}

/// Returns the job about which something was forced.
fn heuristic_of(record: &CoordinatorRecord) -> Option<&JobId> {
    matches!(record, CoordinatorRecord::Heuristic { .. }).then(|| record.job())
}

/// Says which job a record closes, if the transaction has ended with it.
fn closes(record: &CoordinatorRecord) -> Option<&JobId> {
    match record {
        CoordinatorRecord::CommitDecided { txn, shares } if shares.is_empty() => Some(&txn.job),
        CoordinatorRecord::CommitDecided { .. }
        | CoordinatorRecord::Aborting { .. }
        | CoordinatorRecord::Replaced { .. }
        | CoordinatorRecord::Heuristic { .. }
        | CoordinatorRecord::GivenUp { .. } => None,
        CoordinatorRecord::Ended { job } => Some(job),
        CoordinatorRecord::CaughtUp { txn, .. } | CoordinatorRecord::Removed { txn, .. } => {
            Some(&txn.job)
        }
    }
}

fn share(holding: Holding) -> Share {
    let pledge = |held: votum_schedule::HeldOutput| Pledge {
        task: held.task,
        output: held.output,
        token: held.token,
        digest: held.digest,
        target: held.target,
        replaceable: held.replaceable,
    };
    Share {
        holder: Installation { worker: holding.worker, uid: holding.uid },
        address: holding.address,
        pledges: holding.outputs.into_iter().map(pledge).collect(),
    }
}
