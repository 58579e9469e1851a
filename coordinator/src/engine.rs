//! Scheduling and commit joined: where an event of the one becomes an event of the other.
//!
//! Still pure. A step touches at most one job and records at most one fact of
//! each machine about it, in one frame. What a step sets off beyond that waits
//! in `pending` and is done by the next tick; a crash in between is harmless,
//! because replay and the next inventory ask again.

use std::collections::{BTreeMap, VecDeque};

use anyhow::Context;
use votum_commit::{
    Alarm, Cause, Coordinator, CoordinatorAction, CoordinatorEvent, CoordinatorRecord, Decision,
    Installation, Message, Pledge, Reply, Share,
};
use votum_driver::Stamped;
use votum_ids::{JobId, RequestId, WorkerId};
use votum_job::JobSpec;
use votum_machine::{Machine, Moment, Reaction, WallTime};
use votum_schedule::{CorruptSchedule, Holding, Registration, Scheduler, Submission};
use votum_wire::{FromCoordinator, FromWorker, Hello, Inventory, view::JobView};

use crate::{
    action::{Action, Answer, Cluster, Refusal},
    admission,
    event::{Event, Intent},
    open_job::OpenJob,
    record::{Closing, JobRecord, KnownRequest, Record},
    replies::ReplyId,
    turn::{Turn, job_of_schedule},
    view,
};

/// Everything that one coordinator decides.
#[derive(Debug)]
pub(crate) struct Engine {
    anchor: WallTime,
    jobs_open_max: usize,
    scheduler: Scheduler,
    commit: Coordinator,
    jobs: BTreeMap<JobId, OpenJob>,
    requests: BTreeMap<RequestId, KnownRequest>,
    quarantined: BTreeMap<JobId, String>,
    pending: VecDeque<Pending>,
    lease: Lease,
}

/// What a worker is told about its lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    /// Without a frame for this long a worker is suspect.
    pub length: std::time::Duration,
    /// How often it shall send a sign of life.
    pub heartbeat_interval: std::time::Duration,
}

/// An event of one machine that waits for a step of its own.
#[derive(Debug)]
enum Pending {
    Schedule(votum_schedule::Event),
    Commit(CoordinatorEvent),
    Frame { from: Installation, frame: FromWorker },
    Release { worker: WorkerId, job: JobId },
    LogFoundStale { by: WorkerId },
}

impl Machine for Engine {
    type Event = Event;
    type Record = Record;
    type Action = Action;

    fn step(&mut self, now: Moment, event: Event) -> Reaction<Record, Action> {
        let mut turn = Turn::new(now);
        match event {
            Event::Submit { reply, intent, job, spec, submission } => {
                let answer = self.submit(&mut turn, intent, job, spec, submission);
                turn.reply(reply, answer);
            }
            Event::Cancel { reply, job, cause } => self.cancel(&mut turn, reply, &job, cause),
            Event::ShowJobs { reply, jobs } => {
                let jobs = jobs.iter().filter_map(|job| self.view(now, job)).collect();
                turn.reply(reply, Answer::Jobs(jobs));
            }
            Event::ShowWorkers { reply } => {
                let workers = view::workers(self.anchor, &self.scheduler);
                turn.reply(reply, Answer::Workers(workers));
            }
            Event::ShowCluster { reply } => turn.reply(reply, Answer::Cluster(self.cluster())),
            Event::SessionOpened(hello) => self.welcome(&mut turn, hello),
            Event::Frame { from, frame } => {
                let heard = votum_schedule::Event::Heard {
                    worker: from.worker.clone(),
                    free_bytes: match &frame {
                        FromWorker::Heartbeat { free_bytes } => Some(*free_bytes),
                        FromWorker::Hello(_)
                        | FromWorker::Inventory(_)
                        | FromWorker::InventoryEnded
                        | FromWorker::Started { .. }
                        | FromWorker::Ended { .. }
                        | FromWorker::Commit(_)
                        | FromWorker::Goodbye => None,
                    },
                };
                self.schedule(&mut turn, heard);
                self.frame(&mut turn, from, frame);
            }
            Event::SessionClosed { worker, incarnation } => {
                let event = votum_schedule::Event::Disconnected { worker, incarnation };
                self.schedule(&mut turn, event);
            }
            Event::Expired(closing) => {
                self.requests.remove(&closing.request);
                turn.forget(closing);
            }
            Event::Tick => self.tick(&mut turn),
        }
        turn.finish()
    }

    fn next_deadline(&self) -> Option<Moment> {
        if !self.pending.is_empty() {
            return Some(Moment::START);
        }
        let deadlines = [self.scheduler.next_deadline(), self.commit.next_deadline()];
        deadlines.into_iter().flatten().min()
    }
}

impl Engine {
    /// Joins two machines that know nothing yet.
    #[must_use]
    pub(crate) fn new(
        anchor: WallTime,
        jobs_open_max: usize,
        lease: Lease,
        scheduler: Scheduler,
        commit: Coordinator,
    ) -> Self {
        Self {
            anchor,
            jobs_open_max,
            scheduler,
            commit,
            jobs: BTreeMap::new(),
            requests: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            pending: VecDeque::new(),
            lease,
        }
    }

    /// Takes a job up where its records end.
    ///
    /// # Errors
    /// When the records cannot be replayed; the caller then quarantines the job.
    pub(crate) fn resume(
        &mut self,
        job: &JobId,
        records: Vec<Stamped<JobRecord>>,
    ) -> anyhow::Result<()> {
        let open = OpenJob::replay(&records).context("its first record is missing")?;
        for Stamped { at, record } in &records {
            if let Some(schedule) = &record.schedule {
                self.scheduler.replay(*at, schedule)?;
            }
        }
        let decisions = records.into_iter().filter_map(|stamped| stamped.record.commit);
        self.commit.resume(job.clone(), decisions)?;
        let deadline = self.deadline(&open);
        let opened = CoordinatorEvent::Opened { job: job.clone(), deadline };
        let _none = self.commit.step(Moment::START, opened);
        // The scheduler's records do not tell what was decided.
        let decision = self.commit.phase(job).and_then(|standing| standing.decision());
        let event = decision.map(|decision| match decision {
            Decision::Commit => votum_schedule::Event::Committing { job: job.clone() },
            Decision::Abort => votum_schedule::Event::Aborting { job: job.clone() },
        });
        self.pending.extend(event.map(Pending::Schedule));
        let known = KnownRequest { job: job.clone(), spec_digest: open.submission.spec_digest };
        self.requests.insert(open.submission.request, known);
        self.jobs.insert(job.clone(), open);
        Ok(())
    }

    /// Sets a job aside whose records cannot be read: it is neither run, decided nor released.
    pub(crate) fn quarantine(&mut self, job: JobId, why: String) {
        let closed = votum_schedule::Event::Closed { job: job.clone() };
        let _discards = self.scheduler.step(Moment::START, closed);
        self.jobs.remove(&job);
        self.quarantined.insert(job, why);
    }

    /// Remembers a worker that introduced itself before.
    ///
    /// # Errors
    /// When the record does not follow from those before it.
    pub(crate) fn register(
        &mut self,
        at: WallTime,
        registration: Registration,
    ) -> Result<(), CorruptSchedule> {
        self.scheduler.replay(at, &votum_schedule::Record::Registered(registration))
    }

    /// Turns the recorded deadline into a moment; one that has passed is due at once (V5).
    fn deadline(&self, open: &OpenJob) -> Option<Moment> {
        let rest = open.received.after(open.spec.timeout).since(self.anchor);
        Some(Moment::START.after(rest))
    }

    fn tick(&mut self, turn: &mut Turn) {
        match self.pending.pop_front() {
            Some(Pending::Schedule(event)) => self.schedule(turn, event),
            Some(Pending::Commit(event)) => self.commit(turn, event),
            Some(Pending::Frame { from, frame }) => self.frame(turn, from, frame),
            Some(Pending::Release { worker, job }) => turn.act(release(worker, job)),
            Some(Pending::LogFoundStale { by }) => turn.log_found_stale(by),
            None => {
                let schedule = self.scheduler.next_deadline().unwrap_or(FAR);
                let commit = self.commit.next_deadline().unwrap_or(FAR);
                if schedule <= commit {
                    self.schedule(turn, votum_schedule::Event::Tick);
                } else {
                    self.commit(turn, CoordinatorEvent::Tick);
                }
            }
        }
    }

    fn submit(
        &mut self,
        turn: &mut Turn,
        intent: Intent,
        job: JobId,
        spec: Box<JobSpec>,
        submission: Submission,
    ) -> Answer {
        let request = submission.request;
        if let Some(known) = self.requests.get(&request) {
            let job = known.job.clone();
            if known.spec_digest != submission.spec_digest {
                return Answer::Refused(Refusal::RequestReused { request, job });
            }
            return match self.view(turn.now(), &job) {
                Some(view) => Answer::Received { job: Box::new(view), duplicate: true },
                None => Answer::Refused(Refusal::NotOpen { job }),
            };
        }
        if let Err(refusal) = self.admit(&job, &spec) {
            return Answer::Refused(refusal);
        }
        if intent == Intent::Check {
            return Answer::Valid;
        }
        let known = KnownRequest { job: job.clone(), spec_digest: submission.spec_digest };
        self.requests.insert(request, known);
        let received = self.anchor.at(turn.now());
        let deadline = Some(turn.now().after(spec.timeout));
        let open = OpenJob::new(spec.clone(), submission.clone(), received);
        self.jobs.insert(job.clone(), open);
        self.commit(turn, CoordinatorEvent::Opened { job: job.clone(), deadline });
        let event = votum_schedule::Event::Submitted { job: job.clone(), spec, submission };
        self.schedule(turn, event);
        let view = self.view(turn.now(), &job).expect("the job was opened above");
        Answer::Received { job: Box::new(view), duplicate: false }
    }

    fn admit(&self, job: &JobId, spec: &JobSpec) -> Result<(), Refusal> {
        if self.commit.is_stale() {
            return Err(Refusal::LogStale);
        }
        if self.jobs.len() >= self.jobs_open_max {
            return Err(Refusal::TooManyJobs { max: self.jobs_open_max });
        }
        if self.jobs.contains_key(job) || self.quarantined.contains_key(job) {
            return Err(Refusal::IdTaken { job: job.clone() });
        }
        admission::check(spec, &self.scheduler)
    }

    fn cancel(&mut self, turn: &mut Turn, reply: ReplyId, job: &JobId, cause: Cause) {
        if !self.jobs.contains_key(job) {
            let refusal = Refusal::NotOpen { job: job.clone() };
            return turn.reply(reply, Answer::Refused(refusal));
        }
        if self.commit.is_stale() {
            return turn.reply(reply, Answer::Refused(Refusal::LogStale));
        }
        let before = self.view(turn.now(), job);
        self.commit(turn, CoordinatorEvent::AbortAsked { job: job.clone(), cause });
        let answer = if turn.is_too_late() {
            Answer::Refused(Refusal::AlreadyCommitting { job: job.clone() })
        } else {
            // A job with nothing to stop closes in the step that aborts it.
            let view = self.view(turn.now(), job).or(before).expect("the job was open");
            Answer::Cancelling(Box::new(view))
        };
        turn.reply(reply, answer);
    }

    fn welcome(&mut self, turn: &mut Turn, hello: Hello) {
        let worker = hello.installation.worker.clone();
        let met = CoordinatorEvent::Met { from: hello.installation.clone(), seen: hello.seen };
        self.commit(turn, met);
        self.schedule(turn, votum_schedule::Event::Joined(registration(hello)));
        let frame = FromCoordinator::Welcome {
            lease: self.lease.length,
            heartbeat_interval: self.lease.heartbeat_interval,
        };
        turn.act(Action::Send { worker, frame });
    }

    fn frame(&mut self, turn: &mut Turn, from: Installation, frame: FromWorker) {
        let worker = from.worker.clone();
        match frame {
            FromWorker::Inventory(page) => self.inventory(from, page),
            FromWorker::InventoryEnded => {
                let event = votum_schedule::Event::InventoryEnded { worker };
                self.pending.push_back(Pending::Schedule(event));
            }
            FromWorker::Started { attempt, .. } => {
                self.schedule(turn, votum_schedule::Event::Started { worker, attempt });
            }
            FromWorker::Ended { attempt, end } => {
                if !self.quarantined.contains_key(&attempt.job) {
                    self.schedule(turn, votum_schedule::Event::Ended { worker, attempt, end });
                }
            }
            FromWorker::Commit(reply) => {
                if !self.quarantined.contains_key(job_of(&reply)) {
                    self.commit(turn, CoordinatorEvent::Received { from, reply });
                }
            }
            // The session checks that Hello comes first and once; a sign of life was noted.
            FromWorker::Hello(_) | FromWorker::Heartbeat { .. } | FromWorker::Goodbye => {}
        }
    }

    /// Queues every entry of a page as an event of its own: each may make a record.
    ///
    /// What belongs to a job that is closed here is released: its log is complete
    /// and current, and C14 says that nothing is owed. On a stale log, or for a job
    /// whose records cannot be read, everything is kept (C9).
    fn inventory(&mut self, from: Installation, page: Inventory) {
        let worker = from.worker.clone();
        for listed in page.attempts {
            let job = &listed.attempt.job;
            if self.jobs.contains_key(job) {
                let event = votum_schedule::Event::Listed { worker: worker.clone(), listed };
                self.pending.push_back(Pending::Schedule(event));
            } else {
                self.release_leftover(&worker, job.clone());
            }
        }
        for txn in page.prepared {
            let frame = FromWorker::Commit(Reply::Inquired { txn });
            self.pending.push_back(Pending::Frame { from: from.clone(), frame });
        }
        for round in page.committed {
            if self.jobs.contains_key(&round.txn.job) {
                let share = Share {
                    holder: from.clone(),
                    address: self.address_of(&worker),
                    pledges: round.pledges,
                };
                let event =
                    CoordinatorEvent::FoundCommitted { from: from.clone(), txn: round.txn, share };
                self.pending.push_back(Pending::Commit(event));
            } else {
                self.release_leftover(&worker, round.txn.job);
            }
        }
    }

    fn release_leftover(&mut self, worker: &WorkerId, job: JobId) {
        if !self.commit.is_stale() && !self.quarantined.contains_key(&job) {
            self.pending.push_back(Pending::Release { worker: worker.clone(), job });
        }
    }

    /// Steps the scheduler, or queues the event if it has already decided something in this turn.
    fn schedule(&mut self, turn: &mut Turn, event: votum_schedule::Event) {
        if turn.has_schedule_record() {
            return self.pending.push_back(Pending::Schedule(event));
        }
        let reaction = self.scheduler.step(turn.now(), event);
        if let Some(record) = reaction.record {
            self.note(turn.now(), job_of_schedule(&record).cloned(), Some(&record), None);
            turn.schedule_record(record);
        }
        for action in reaction.actions {
            self.on_schedule_action(turn, action);
        }
    }

    fn on_schedule_action(&mut self, turn: &mut Turn, action: votum_schedule::Action) {
        use votum_schedule::Action as Asked;
        match action {
            Asked::Start(assignment) => {
                turn.changed(&assignment.attempt.job);
                let worker = assignment.worker.clone();
                turn.act(Action::Send { worker, frame: FromCoordinator::Start(assignment) });
            }
            Asked::Stop { worker, attempt, grace, reason } => {
                let frame = FromCoordinator::Stop { attempt, grace, reason };
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
            Asked::AllStaged { job, holdings, prepare_timeout } => {
                let shares = holdings.into_iter().map(share).collect();
                let event = CoordinatorEvent::AllStaged { job, shares, prepare_timeout };
                self.commit(turn, event);
            }
            Asked::Withdraw { job } => self.commit(turn, CoordinatorEvent::Withdrawn { job }),
            Asked::Fail { job, reason, message } => {
                let cause = Cause { reason, message, by: "votum".to_owned() };
                self.commit(turn, CoordinatorEvent::AbortAsked { job, cause });
            }
            Asked::Stopped { job } => self.commit(turn, CoordinatorEvent::Stopped { job }),
            // Nobody watches workers; they are shown when asked for.
            Asked::WorkerChanged { .. } => {}
        }
    }

    /// Steps the commit coordinator, or queues the event if it has already decided something.
    fn commit(&mut self, turn: &mut Turn, event: CoordinatorEvent) {
        if turn.has_commit_record() {
            return self.pending.push_back(Pending::Commit(event));
        }
        let reaction = self.commit.step(turn.now(), event);
        let committed =
            |action: &CoordinatorAction| matches!(action, CoordinatorAction::Committed { .. });
        let decision =
            if reaction.actions.iter().any(committed) { Decision::Commit } else { Decision::Abort };
        let closed = reaction.record.as_ref().and_then(closes).cloned();
        if let Some(record) = reaction.record {
            self.note(turn.now(), Some(record.job().clone()), None, Some(&record));
            turn.commit_record(record);
        }
        for action in reaction.actions {
            self.on_commit_action(turn, action);
        }
        if let Some(job) = closed {
            self.close(turn, &job, decision);
        }
    }

    fn on_commit_action(&mut self, turn: &mut Turn, action: CoordinatorAction) {
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
                self.schedule(turn, votum_schedule::Event::Committing { job: txn.job });
            }
            CoordinatorAction::Aborting { job, .. } => {
                turn.changed(&job);
                self.schedule(turn, votum_schedule::Event::Aborting { job });
            }
            // The record of the same step closes the job.
            CoordinatorAction::Committed { .. } => {}
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
    fn close(&mut self, turn: &mut Turn, job: &JobId, decision: Decision) {
        let Some(open) = self.jobs.remove(job) else { return };
        for worker in self.scheduler.involved(job) {
            turn.act(release(worker, job.clone()));
        }
        self.schedule(turn, votum_schedule::Event::Closed { job: job.clone() });
        turn.close(Closing {
            job: job.clone(),
            display_name: open.spec.display_name.clone(),
            decision,
            received: open.received,
            request: open.submission.request,
            retention: open.spec.retention,
        });
    }

    /// Remembers when something was recorded, for people.
    fn note(
        &mut self,
        now: Moment,
        job: Option<JobId>,
        schedule: Option<&votum_schedule::Record>,
        commit: Option<&CoordinatorRecord>,
    ) {
        if let Some(open) = job.and_then(|job| self.jobs.get_mut(&job)) {
            open.note(self.anchor.at(now), schedule, commit);
        }
    }

    fn address_of(&self, worker: &WorkerId) -> String {
        let known = self.scheduler.worker(worker);
        known.map(|known| known.registration.artifact_address).unwrap_or_default()
    }

    fn view(&self, now: Moment, job: &JobId) -> Option<JobView> {
        let open = self.jobs.get(job)?;
        Some(view::job(self.anchor, now, job, open, &self.scheduler, &self.commit))
    }

    fn cluster(&self) -> Cluster {
        let mut cluster = Cluster {
            quarantined: self.quarantined.keys().cloned().collect(),
            stale: self.commit.is_stale(),
            ..Cluster::default()
        };
        for (job, open) in &self.jobs {
            let stage = self.commit.phase(job).map(|standing| standing.stage);
            let state = view::state(stage.as_ref(), open.started.is_some());
            *cluster.jobs.entry(state).or_default() += 1;
        }
        for worker in view::workers(self.anchor, &self.scheduler) {
            *cluster.workers.entry(worker.state).or_default() += 1;
        }
        cluster
    }
}

/// Says which job a record closes: nothing is owed to anybody after it.
fn closes(record: &CoordinatorRecord) -> Option<&JobId> {
    match record {
        CoordinatorRecord::CommitDecided { txn, shares } if shares.is_empty() => Some(&txn.job),
        CoordinatorRecord::CommitDecided { .. } | CoordinatorRecord::Aborting { .. } => None,
        CoordinatorRecord::Ended { job } => Some(job),
    }
}

/// A worker may forget only what the log will never ask it for again: it waits for the record.
fn release(worker: WorkerId, job: JobId) -> Action {
    let frame = FromCoordinator::Commit(Message::Release { job });
    Action::SendDurable { worker, frame }
}

fn registration(hello: Hello) -> Registration {
    Registration {
        worker: hello.installation.worker,
        uid: hello.installation.uid,
        incarnation: hello.incarnation,
        version: hello.version,
        slots: hello.slots,
        labels: hello.labels,
        artifact_address: hello.artifact_address,
        publish_roots: hello.publish_roots,
    }
}

fn share(holding: Holding) -> Share {
    let pledge = |held: votum_schedule::HeldOutput| Pledge {
        task: held.task,
        output: held.output,
        token: held.token,
        digest: held.digest,
        target: held.target,
    };
    Share {
        holder: Installation { worker: holding.worker, uid: holding.uid },
        address: holding.address,
        pledges: holding.outputs.into_iter().map(pledge).collect(),
    }
}

fn job_of(reply: &Reply) -> &JobId {
    match reply {
        Reply::Voted { txn, .. } | Reply::Acked { txn } | Reply::Inquired { txn } => &txn.job,
    }
}

/// Later than anything that is due.
const FAR: Moment = Moment::since_start(std::time::Duration::MAX);

#[cfg(test)]
mod tests;
