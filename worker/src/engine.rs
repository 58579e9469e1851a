//! The worker as one machine: attempts and participants joined; still pure.
//!
//! The two halves meet in four places. A sealed attempt makes its job staged. A
//! round is checked only against what is sealed here. An order to discard waits
//! where a promise names the job. And the end of a job, decided in the commit
//! protocol, takes its attempts with it.

mod doubting;
mod dry_vote;
mod forcing;
mod saving;
mod settling;
mod transactions;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use votum_commit::{Installation, LogPosition, Message, ParticipantEvent, Participants, Reply};
use votum_ids::{AttemptId, JobId};
use votum_job::{Assignment, AttemptEnd, Failure, FailureKind, Usage};
use votum_machine::{Machine, Moment};
use votum_wire::{
    CommittedRound, CoordinatorFrame, FORCED_SINCE, FromCoordinator, FromWorker, UnreadableJob,
};

use crate::{
    action::Action,
    attempt::{Attempt, Cause},
    attempts::Attempts,
    doubts::Doubts,
    engine::saving::Saving,
    event::{Ask, AttemptEvent, CheckpointEvent, Event, Parting, SessionNumber},
    inventory,
    lease::Lease,
    record::{Record, Rest},
    saved::Saved,
};

/// What a worker answers to one event.
pub(crate) type Reaction = votum_machine::Reaction<Record, Action>;

/// One worker: its attempts, its promises, and what it knows of the coordinator.
#[derive(Debug)]
pub struct Engine {
    me: Installation,
    grace_max: Duration,
    pub(crate) attempts: Attempts,
    pub(crate) participants: Participants,
    promises: BTreeMap<JobId, Promise>,
    doubts: Doubts,
    /// The checkpoints that are here.
    pub(crate) saved: Saved,
    /// What is saved of running attempts.
    savings: BTreeMap<AttemptId, Saving>,
    /// Jobs whose records cannot be understood, and why: nothing of them is touched, run or
    /// promised (V1).
    pub(crate) quarantined: BTreeMap<JobId, String>,
    /// The largest epoch, as it was recorded.
    epoch: Option<LogPosition>,
    /// The furthest position that anybody told; reported at the next greeting (C6).
    seen: Option<LogPosition>,
    session: Option<Session>,
    lease: Lease,
    /// Compensations that wait for the end of what they undo.
    deferred: BTreeMap<AttemptId, Box<Assignment>>,
    /// What follows from earlier steps and needs steps of its own.
    pub(crate) pending: VecDeque<Pending>,
    prune: Moment,
    prune_interval: Duration,
    life: Life,
}

/// What the commit protocol has durably made of a job here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// In doubt about a round.
    Prepared,
    /// Publishes, until released.
    Committed,
    /// Discarded, until released.
    Aborted,
}

#[derive(Debug)]
struct Session {
    number: SessionNumber,
    phase: SessionPhase,
}

#[derive(Debug)]
enum SessionPhase {
    /// Hello is on its way.
    Greeting,
    /// The coordinator has admitted this worker.
    Admitted { heartbeat: Moment, interval: Duration, protocol: u32 },
}

#[derive(Debug)]
pub(crate) enum Pending {
    Participant(ParticipantEvent),
    Discard(AttemptId),
    Stop(AttemptId, StopWish),
    Ask(AttemptId, Ask),
    Start(Box<Assignment>),
    /// An aborted job of which nothing was left.
    Release {
        job: JobId,
        log: LogPosition,
    },
}

/// Why an attempt is to end, one of many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopWish {
    /// Its job was aborted.
    Aborted,
    /// The daemon was asked to end, and its tasks with it.
    Parting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Takes attempts on.
    Working,
    /// Waits for the last attempt to end.
    Leaving,
    /// Has said goodbye.
    Left,
}

impl Machine for Engine {
    type Event = Event;
    type Record = Record;
    type Action = Action;

    fn step(&mut self, now: Moment, event: Event) -> Reaction {
        let mut reaction = match event {
            Event::Connected(number) => self.greet(now, number),
            Event::Disconnected(number) => self.disconnected(number),
            Event::Received { session, frame } => self.receive(now, session, *frame),
            Event::Attempt(attempt, event) => self.attempt_changed(now, &attempt, event),
            Event::Adopted { assignment, pid, elapsed } => {
                self.adopt(now, assignment, pid, elapsed)
            }
            Event::Checkpoint(attempt, event) => self.saving_changed(&attempt, event),
            Event::CheckpointArrived(held) => self.hold(held),
            Event::CheckpointSpoilt(id) => self.spoilt(id),
            Event::Found { attempt, number } => self.found(attempt, number),
            Event::Participant(event) => self.participate(now, event),
            Event::Local { ask, question } => self.answer_local(now, ask, question),
            Event::Terminated(parting) => self.leave(parting),
            Event::Removed => self.leave(Parting::TasksStop),
            Event::Tick => self.tick(now),
        };
        if self.life == Life::Leaving && self.attempts.live().next().is_none() {
            self.life = Life::Left;
            reaction = reaction.then(Action::Send(FromWorker::Goodbye)).then(Action::Exit);
        }
        self.take_up_deferred();
        // Before it is admitted a worker says nothing: its inventory will.
        let protocol = self.session.as_ref().and_then(|session| session.phase.protocol());
        reaction.actions.retain(|action| {
            // A coordinator that does not know the word is told after its upgrade.
            let forced = matches!(action, Action::Send(FromWorker::Commit(Reply::Forced(_))));
            let since = if forced { FORCED_SINCE } else { 0 };
            !matches!(action, Action::Send(_)) || protocol.is_some_and(|spoken| spoken >= since)
        });
        reaction
    }

    fn next_deadline(&self) -> Option<Moment> {
        if !self.pending.is_empty() {
            return Some(Moment::START);
        }
        let heartbeat = self.session.as_ref().and_then(|session| session.phase.heartbeat());
        let deadlines = [
            heartbeat,
            self.lapse(),
            self.attempts.next_deadline(),
            self.participants.next_deadline(),
            self.saving_deadline(),
        ];
        deadlines.into_iter().flatten().chain([self.prune]).min()
    }
}

impl Engine {
    /// Makes a worker that knows nothing yet.
    ///
    /// `grace_max` bounds the grace of a program when the daemon is asked to end.
    #[must_use]
    pub fn new(me: Installation, grace_max: Duration) -> Self {
        Self {
            participants: Participants::new(me.uid),
            me,
            grace_max,
            attempts: Attempts::default(),
            promises: BTreeMap::new(),
            doubts: Doubts::default(),
            saved: Saved::default(),
            savings: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            epoch: None,
            seen: None,
            session: None,
            lease: Lease::default(),
            deferred: BTreeMap::new(),
            pending: VecDeque::new(),
            prune: Moment::START,
            prune_interval: PRUNE_INTERVAL,
            life: Life::Working,
        }
    }

    /// Looks for the directories of old attempts as often as some may have become old.
    pub(crate) fn keep_logs_for(&mut self, retention: Duration) {
        self.prune_interval = retention.clamp(PRUNE_INTERVAL_MIN, PRUNE_INTERVAL);
    }

    fn greet(&mut self, now: Moment, number: SessionNumber) -> Reaction {
        self.lease.greet(now);
        self.session = Some(Session { number, phase: SessionPhase::Greeting });
        let promised = self.participants.seen();
        let seen = match (self.seen, promised) {
            (Some(seen), Some(promised)) if promised.outruns(&seen) => Some(promised),
            (seen, promised) => seen.or(promised),
        };
        Reaction::perform([Action::Greet { session: number, seen }])
    }

    fn disconnected(&mut self, number: SessionNumber) -> Reaction {
        // The end of an earlier connection may be noticed late.
        if self.session.as_ref().is_some_and(|session| session.number == number) {
            self.session = None;
        }
        Reaction::none()
    }

    fn receive(&mut self, now: Moment, number: SessionNumber, frame: CoordinatorFrame) -> Reaction {
        let Some(session) = self.session.as_mut().filter(|session| session.number == number) else {
            // What an earlier connection still brought will be said again.
            return Reaction::none();
        };
        let CoordinatorFrame { log, body } = frame;
        let leave = |reason| Reaction::perform([Action::Leave { session: number, reason }]);
        let raised = match self.epoch {
            Some(epoch) if epoch.cluster != log.cluster => {
                return leave("it belongs to another cluster");
            }
            Some(epoch) if epoch.epoch > log.epoch => return leave("its epoch is over"),
            Some(epoch) => epoch.epoch < log.epoch,
            None => true,
        };
        if let FromCoordinator::Welcome {
            lease,
            heartbeat_interval: interval,
            stop_grace,
            protocol,
            ..
        } = body
        {
            self.lease.welcomed(lease, stop_grace);
            let heartbeat = now.after(interval);
            session.phase = SessionPhase::Admitted { heartbeat, interval, protocol };
            self.notice(log);
            return self.admitted(log, raised);
        }
        if raised || session.phase.heartbeat().is_none() {
            return leave("it gave orders before it admitted this worker");
        }
        self.notice(log);
        self.obey(now, log, body)
    }

    fn notice(&mut self, log: LogPosition) {
        if self.seen.is_none_or(|seen| log.outruns(&seen)) {
            self.seen = Some(log);
        }
    }

    /// Answers the admission with everything this worker has (R4).
    fn admitted(&mut self, log: LogPosition, raised: bool) -> Reaction {
        let frames = inventory::pages(
            self.attempts.listed(),
            self.participants.in_doubt().cloned(),
            self.participants.committed().map(|(txn, pledges)| CommittedRound {
                txn: txn.clone(),
                pledges: pledges.to_vec(),
            }),
            self.saved.all().cloned(),
            self.quarantined
                .iter()
                .map(|(job, problem)| UnreadableJob { job: job.clone(), problem: problem.clone() }),
        );
        self.attempts.repeat_reports();
        self.pending.push_back(Pending::Participant(ParticipantEvent::Connected));
        self.release_unlisted(log);
        let frames = frames.into_iter().map(Action::Send);
        // Who runs is listed without saying so; that it runs may have been said to nobody.
        let running = self.attempts.reports_of_running();
        let reaction = Reaction::perform(self.renewal().into_iter().chain(frames).chain(running));
        if !raised {
            return reaction;
        }
        self.epoch = Some(log);
        reaction.durably(Record::EpochSeen { log })
    }

    /// Forgets jobs that were aborted, or whose publication another has taken over, and of which
    /// nothing is left: the inventory does not list them, so that nobody would ever release them.
    ///
    /// What an earlier session still said is not read any more, so no order can come late.
    fn release_unlisted(&mut self, log: LogPosition) {
        for job in self.participants.aborted().chain(self.participants.stood_down()) {
            // What was forced about it is told first.
            let told = self.participants.is_reported(job);
            if told && self.attempts.of_job(job).next().is_none() {
                self.pending.push_back(Pending::Release { job: job.clone(), log });
            }
        }
    }

    fn obey(&mut self, now: Moment, log: LogPosition, order: FromCoordinator) -> Reaction {
        match order {
            // Answered where the epoch is compared.
            FromCoordinator::Welcome { .. } => Reaction::none(),
            FromCoordinator::HeartbeatAcknowledged { number } => {
                self.lease.acknowledged(number);
                Reaction::perform(self.renewal())
            }
            FromCoordinator::Start(assignment) => self.start(now, assignment),
            FromCoordinator::Stop { attempt, grace, reason, checkpoint_first: true } => {
                let cause = Cause::stopped(&reason);
                self.save_and_stop(now, &attempt, grace, reason, cause)
            }
            FromCoordinator::Stop { attempt, grace, reason, checkpoint_first: false } => self
                .attempts
                .react(&attempt, |attempt| attempt.stop(grace, &reason, Cause::stopped(&reason))),
            FromCoordinator::Acknowledged { attempt } => {
                let rest = match self.attempts.find(&attempt) {
                    Some(known) if known.is_sealed() => Rest::Something,
                    Some(_) | None => self.rest_without(&attempt),
                };
                self.attempts.react(&attempt, |attempt| attempt.acknowledge(rest))
            }
            FromCoordinator::Discard { attempt } => self.discard(&attempt),
            FromCoordinator::Replicate(point) => self.replicate(point),
            FromCoordinator::DryVote(request) => self.dry_vote(request),
            FromCoordinator::Commit(message) => {
                self.participate(now, ParticipantEvent::Received { message, log })
            }
        }
    }

    /// Tells the supervisors how long the lease lasts.
    fn renewal(&self) -> Option<Action> {
        self.lease.last_moment().map(|until| Action::RenewLease { until })
    }

    /// Says when the lease ends, if anything here must end with it.
    fn lapse(&self) -> Option<Moment> {
        self.lease.end().filter(|_| self.attempts.exclusive().next().is_some())
    }

    /// Ends the next one of what may have effects beside those of its successor (R3); the
    /// rest goes on.
    fn stop_exclusive(&mut self) -> Reaction {
        let (grace_max, reason) = (self.lease.grace_max(), self.lease.reason());
        let Some(id) = self.attempts.exclusive().next().cloned() else { return Reaction::none() };
        self.attempts.react(&id, |attempt| {
            let grace = attempt.grace().min(grace_max);
            attempt.stop(grace, &reason, Cause::interrupted(&reason))
        })
    }

    fn start(&mut self, now: Moment, assignment: Box<Assignment>) -> Reaction {
        let id = assignment.attempt.clone();
        if let Some(known) = self.attempts.find(&id) {
            return known.repeat();
        }
        // An equal token is that of an attempt that is gone, a larger one fences this one (R1).
        let fenced = self.attempts.newest(&id).is_some_and(|newest| newest >= id.token);
        let here = self.life == Life::Working && assignment.worker == self.me.worker;
        if !here {
            return Reaction::none();
        }
        if let Some(problem) = self.quarantined.get(&id.job) {
            let message = format!("this worker cannot read its own records of the job: {problem}");
            return refuse(id, FailureKind::StorageFailed, &message);
        }
        if fenced {
            // A log that lost what came later may order it; a mere repeat is known to be over.
            let message = "this worker has seen the end of it, or a later attempt";
            return refuse(id, FailureKind::Interrupted, message);
        }
        self.pending.extend(self.attempts.older(&id).into_iter().map(Pending::Discard));
        if self.must_wait(&assignment) {
            self.deferred.insert(id, assignment);
            return Reaction::none();
        }
        let (attempt, reaction) = Attempt::accept(now, assignment);
        self.attempts.insert(&id, attempt);
        reaction
    }

    fn discard(&mut self, id: &AttemptId) -> Reaction {
        if self.quarantined.contains_key(&id.job) {
            return Reaction::none();
        }
        let promised = match self.promises.get(&id.job) {
            Some(Promise::Prepared | Promise::Committed) => true,
            Some(Promise::Aborted) | None => false,
        };
        match self.attempts.find(id) {
            // Something that no record knows of may lie there all the same.
            None => Reaction::perform([Action::Discard(id.clone())]),
            // A promise outlives the order: the decision says what becomes of it (C5).
            Some(attempt) if promised && attempt.is_sealed() => Reaction::none(),
            Some(_) => {
                let rest = self.rest_without(id);
                let comeback = self.attempts.find(id).and_then(Attempt::comeback);
                let attempt = id.clone();
                let told = comeback.map(|comeback| FromWorker::Discarded { attempt, comeback });
                let mut reaction = self.attempts.react(id, |attempt| attempt.discard(rest));
                reaction.actions.extend(told.map(Action::Send));
                reaction
            }
        }
    }

    /// Says what is left of the job without this attempt.
    fn rest_without(&self, id: &AttemptId) -> Rest {
        let mut others = self.attempts.of_job(&id.job).filter(|(other, _)| other != id);
        let wanted = others.any(|(_, attempt)| attempt.is_wanted());
        if wanted || self.promises.contains_key(&id.job) || self.saved.has_any_of(&id.job) {
            Rest::Something
        } else {
            Rest::Nothing
        }
    }

    fn attempt_changed(&mut self, now: Moment, id: &AttemptId, event: AttemptEvent) -> Reaction {
        let was_sealed = self.attempts.find(id).is_some_and(Attempt::is_sealed);
        if let AttemptEvent::Reported { checkpoints, .. } = &event
            && !checkpoints.is_empty()
        {
            self.pending.push_back(Pending::Ask(id.clone(), Ask::Line));
        }
        // What it said since the last sign of life would come too late after its end.
        let over = matches!(event, AttemptEvent::Exited { .. } | AttemptEvent::Failed { .. });
        let words = if over { self.last_words(now, id) } else { None };
        let mut reaction = self.attempts.react(id, |attempt| attempt.step(now, event));
        let stages = |attempt: &Attempt| attempt.is_sealed() && !attempt.is_hook();
        if !was_sealed && self.attempts.find(id).is_some_and(stages) {
            // In this step: what is heard next may be the end of the job, whose record has to
            // cover what was sealed for it.
            let staged = ParticipantEvent::Sealed { job: id.job.clone() };
            let votum_machine::Reaction { record, actions } = self.participate(now, staged);
            debug_assert_eq!(record, None, "that something is sealed is no fact of the protocol");
            reaction.actions.extend(actions);
        }
        if let Some(Action::Run { assignment, resumed, .. }) = reaction.actions.first() {
            let saving = Saving::new(now, assignment.clone(), *resumed);
            self.savings.insert(id.clone(), saving);
        }
        self.settle_saving(id);
        reaction.actions.splice(0..0, words);
        reaction
    }

    /// Returns what an attempt has said and nobody has heard.
    fn last_words(&mut self, now: Moment, id: &AttemptId) -> Option<Action> {
        self.attempts.alter(id, |attempt| attempt.pass_on(now)).flatten().map(Action::Send)
    }

    fn found(&mut self, attempt: AttemptId, number: u32) -> Reaction {
        if self.attempts.find(&attempt).is_some() || self.quarantined.contains_key(&attempt.job) {
            return Reaction::none();
        }
        self.attempts.insert(&attempt, Attempt::cut_off(attempt.clone(), number, false));
        Reaction::none().durably(Record::Accepted { attempt, number, hook: false })
    }

    /// Continues an attempt of an earlier start, unless a later one has taken its place (R1).
    fn adopt(
        &mut self,
        now: Moment,
        assignment: Box<Assignment>,
        pid: Option<u32>,
        elapsed: Duration,
    ) -> Reaction {
        let (id, number) = (assignment.attempt.clone(), assignment.number);
        if self.quarantined.contains_key(&id.job) {
            return Reaction::none();
        }
        self.pending.extend(self.attempts.older(&id).into_iter().map(Pending::Discard));
        if self.attempts.newest(&id).is_some_and(|newest| newest > id.token) {
            self.pending.push_back(Pending::Discard(id.clone()));
        }
        let known = self.attempts.find(&id).is_some();
        if !known {
            // Its record was lazy and got lost; the coordinator says whether it is wanted.
            self.attempts.insert(&id, Attempt::cut_off(id.clone(), number, false));
        }
        let saving = self.saving_of_adopted(now, &assignment);
        let reaction =
            self.attempts.react(&id, |attempt| attempt.adopt(now, assignment, pid, elapsed));
        self.savings.insert(id.clone(), saving);
        self.settle_saving(&id);
        if self.promises.get(&id.job) == Some(&Promise::Aborted) {
            self.pending.push_back(Pending::Stop(id.clone(), StopWish::Aborted));
        }
        if known {
            reaction
        } else {
            reaction.durably(Record::Accepted { attempt: id, number, hook: false })
        }
    }

    fn leave(&mut self, parting: Parting) -> Reaction {
        if self.life != Life::Working {
            return Reaction::none();
        }
        match parting {
            Parting::TasksGoOn => {
                self.life = Life::Left;
                Reaction::perform([Action::Exit])
            }
            Parting::TasksStop => {
                self.life = Life::Leaving;
                let live = self.attempts.live().cloned();
                let stops = live.map(|id| Pending::Stop(id, StopWish::Parting));
                self.pending.extend(stops);
                Reaction::none()
            }
        }
    }

    fn stop(&mut self, now: Moment, id: &AttemptId, wish: StopWish) -> Reaction {
        // One that has ended meanwhile is reported without this.
        let Some(attempt) = self.attempts.find(id).filter(|attempt| attempt.is_live()) else {
            return Reaction::none();
        };
        match wish {
            StopWish::Aborted => self.attempts.react(id, Attempt::abort),
            StopWish::Parting => {
                let message = "the worker's daemon was asked to end";
                let grace = attempt.grace().min(self.grace_max);
                let cause = Cause::interrupted(message);
                self.save_and_stop(now, id, grace, message.to_owned(), cause)
            }
        }
    }

    fn tick(&mut self, now: Moment) -> Reaction {
        match self.pending.pop_front() {
            Some(Pending::Participant(event)) => return self.participate(now, event),
            Some(Pending::Discard(attempt)) => return self.discard(&attempt),
            Some(Pending::Stop(attempt, wish)) => return self.stop(now, &attempt, wish),
            Some(Pending::Ask(attempt, ask)) => {
                return self.saving_changed(&attempt, CheckpointEvent::Asked(ask));
            }
            Some(Pending::Start(assignment)) => return self.start(now, assignment),
            // Something to be undone may have come meanwhile: the coordinator ends that.
            Some(Pending::Release { job, .. }) if self.attempts.of_job(&job).next().is_some() => {
                return Reaction::none();
            }
            Some(Pending::Release { job, log }) => {
                let message = Message::Release { job };
                return self.participate(now, ParticipantEvent::Received { message, log });
            }
            None => {}
        }
        if let Some(Session { phase: SessionPhase::Admitted { heartbeat, interval, .. }, .. }) =
            &mut self.session
            && *heartbeat <= now
        {
            *heartbeat = now.after(*interval);
            let number = self.lease.beat(now);
            let reports = self.attempts.pass_on(now).into_iter().map(Action::Send);
            return Reaction::perform([Action::Heartbeat { number }].into_iter().chain(reports));
        }
        if self.lapse().is_some_and(|end| end <= now) {
            return self.stop_exclusive();
        }
        if let Some(attempt) = self.attempts.due(now) {
            return self.attempts.react(&attempt, |attempt| attempt.expire(now));
        }
        if self.participants.next_deadline().is_some_and(|due| due <= now) {
            return self.participate(now, ParticipantEvent::Tick);
        }
        if let Some(reaction) = self.stop_saved(now).or_else(|| self.save_at_interval(now)) {
            return reaction;
        }
        if self.prune <= now {
            self.prune = now.after(self.prune_interval);
            let kept = self.attempts.all().map(|(id, _)| id).collect();
            return Reaction::perform([Action::PruneLogs { kept }]);
        }
        Reaction::none()
    }

    /// Notes the largest epoch, as a record has it.
    pub(crate) fn resume_epoch(&mut self, log: LogPosition) {
        self.epoch = Some(log);
        self.seen = Some(log);
    }
}

impl SessionPhase {
    /// Returns the version of the protocol that is spoken; none before the admission.
    fn protocol(&self) -> Option<u32> {
        match self {
            Self::Greeting => None,
            Self::Admitted { protocol, .. } => Some(*protocol),
        }
    }

    /// Says when the next sign of life is due; before the admission none is.
    fn heartbeat(&self) -> Option<Moment> {
        match self {
            Self::Greeting => None,
            Self::Admitted { heartbeat, .. } => Some(*heartbeat),
        }
    }
}

/// Says that an attempt cannot run here; silence would leave its job waiting for it for ever.
fn refuse(attempt: AttemptId, kind: FailureKind, message: &str) -> Reaction {
    let failure = Failure { kind, message: message.to_owned(), stderr_tail: String::new() };
    let end = AttemptEnd::Failed { failure, usage: Usage::default() };
    Reaction::perform([Action::Send(FromWorker::Ended { attempt, end })])
}

/// How often the directories of old attempts are looked for, unless they become old sooner.
const PRUNE_INTERVAL: Duration = Duration::from_hours(1);
/// More often they are never looked for.
const PRUNE_INTERVAL_MIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
