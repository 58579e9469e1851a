//! Scheduling and commit joined: where an event of the one becomes an event of the other.
//!
//! Still pure. A step touches at most one job and records at most one fact of
//! each machine about it, in one frame. What a step sets off beyond that waits
//! in `pending` and is done by the next tick; a crash in between is harmless,
//! because replay and the next inventory ask again.

mod approving;
mod census;
mod choosing;
mod crossing;
mod deletion;
mod departed;
mod figures;
mod forcing;
mod heuristics;
mod inventory;
mod joints;
mod keys;
mod operations;
mod quarantine;
mod questions;
mod recall;
mod replacing;
mod rescue;
mod resume;
mod rulings;
mod settling;
mod stale;
mod steer;
mod testimony;
mod traced;
mod txns;
mod vitals;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use votum_commit::{Cause, Coordinator, CoordinatorEvent, Installation, Message, Reply};
use votum_ids::{AttemptId, JobId, RequestId, WorkerId};
use votum_job::{Comeback, JobSpec};
use votum_machine::{Machine, Moment, Reaction, WallTime};
use votum_schedule::{Registration, Scheduler, Submission};
use votum_settle::Settlement;
use votum_wire::{FromCoordinator, FromWorker, Hello, JobState, Versions, view::JobView};

use census::Census;
use crossing::Crossings;
use departed::Departed;
use quarantine::Quarantine;
use testimony::Testimony;
use vitals::AllVitals;

use crate::{
    action::{Action, Answer, Cluster, Refusal},
    admission,
    event::Event,
    open_job::OpenJob,
    question::{Intent, Question},
    record::{Closing, KnownRequest, Record},
    replies::ReplyId,
    turn::Turn,
    view,
};

/// Everything that one coordinator decides.
#[derive(Debug)]
pub(crate) struct Engine {
    anchor: WallTime,
    jobs_open_max: usize,
    scheduler: Scheduler,
    commit: Coordinator,
    settlement: Settlement,
    /// Each by itself: a tree has room for more than is in it.
    jobs: BTreeMap<JobId, Box<OpenJob>>,
    requests: BTreeMap<RequestId, KnownRequest>,
    quarantine: Quarantine,
    testimony: Testimony,
    pending: VecDeque<Pending>,
    departed: Departed,
    /// Committed jobs whose publishers can be replaced, and who of the holders has declined.
    awaited: BTreeMap<JobId, BTreeSet<Installation>>,
    /// Aborted jobs that keep what is staged, and until when.
    kept: BTreeMap<JobId, Moment>,
    /// Who waits for the end of the dry vote that is held of a job.
    dry_voters: BTreeMap<JobId, Vec<ReplyId>>,
    lease: Lease,
    vitals: AllVitals,
    census: Census,
    crossings: Crossings,
}

/// What a worker is told when it is admitted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    /// Without a frame for this long a worker takes no further attempts; for half of it, it is
    /// suspect.
    pub length: std::time::Duration,
    /// How often it shall send a sign of life.
    pub heartbeat_interval: std::time::Duration,
    /// After the lease, until it is lost.
    pub stop_grace: std::time::Duration,
    /// The versions of the session's protocol that this coordinator speaks.
    pub protocols: Versions,
}

/// An event of one machine that waits for a step of its own.
#[derive(Debug)]
enum Pending {
    Schedule(votum_schedule::Event),
    Commit(CoordinatorEvent),
    Settle(votum_settle::Event),
    Release {
        worker: WorkerId,
        job: JobId,
    },
    Returned {
        from: Installation,
        attempt: AttemptId,
        comeback: Comeback,
    },
    LogFoundStale {
        by: WorkerId,
    },
    /// What a person wants of an aborted job whose keeping is not resumed yet.
    Asked {
        reply: ReplyId,
        question: Question,
    },
    /// The tombstone of a closed job stands.
    Forget(Closing),
    /// Something has happened that may end a quarantined job whose commit a person has confirmed.
    Conclude {
        job: JobId,
    },
    /// A job that took over what this one keeps has committed.
    Superseded {
        job: JobId,
    },
    /// The turn of a job that waits for another's vote may have come.
    Uncross,
}

impl Machine for Engine {
    type Event = Event;
    type Record = Record;
    type Action = Action;

    fn step(&mut self, now: Moment, event: Event) -> Reaction<Record, Action> {
        let mut turn = Turn::new(now);
        match event {
            Event::Asked { reply, question } => self.ask(&mut turn, reply, question),
            Event::SessionOpened(hello) => match self.negotiate(&hello) {
                Err(refusal) => {
                    turn.act(Action::Refuse { installation: hello.installation, refusal });
                }
                Ok(protocol) => {
                    self.forget_listing(&hello.installation.worker);
                    self.welcome(&mut turn, hello, protocol);
                }
            },
            // What a refused session says counts as little as its Hello.
            Event::Frame { from, .. } if self.refuse(&from).is_some() => {}
            Event::Frame { from, frame } => {
                let (worker, free_bytes) = (from.worker.clone(), free_bytes(&frame));
                self.schedule(&mut turn, votum_schedule::Event::Heard { worker, free_bytes });
                self.frame(&mut turn, from, frame);
            }
            Event::SessionClosed { worker, incarnation } => {
                let event = votum_schedule::Event::Disconnected { worker, incarnation };
                self.schedule(&mut turn, event);
            }
            Event::Answered { job, hook, number, trial } => {
                let answered = votum_settle::Event::Answered { job, hook, number, trial };
                self.settle(&mut turn, answered);
            }
            // Found twice, it may name an open job that was given the free id since.
            Event::Expired { closing, .. } if self.knows(&closing.job) => {}
            // The tombstone stands in the log before what it stands for goes.
            Event::Expired { closing, tombstone: Some(tombstone) } => {
                turn.bury(*tombstone);
                self.pending.push_back(Pending::Forget(closing));
            }
            Event::Expired { closing, tombstone: None } => self.forget(&mut turn, closing),
            Event::Crumbled { job } => turn.crumble(job),
            Event::ForcedRecalled { from, heuristic, place } => {
                self.place_forced(&mut turn, &from, *heuristic, place);
            }
            Event::Recalled { from, txn, past } => self.recalled(&mut turn, from, txn, past),
            Event::LookedUp { job, ended } => self.looked_up(job, ended),
            Event::Tick => match self.pending.pop_front() {
                Some(pending) => self.take_up(&mut turn, pending),
                None => self.tick(&mut turn),
            },
        }
        self.free_keys(&mut turn);
        let reaction = turn.finish();
        self.note_changed(&reaction.actions);
        reaction
    }

    fn next_deadline(&self) -> Option<Moment> {
        if !self.pending.is_empty() {
            return Some(Moment::START);
        }
        let kept = self.kept.values().min().copied();
        let machines = [self.scheduler.next_deadline(), self.commit.next_deadline()];
        let deadlines = machines.into_iter().chain([self.settling_due(), kept]);
        deadlines.flatten().min()
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
            settlement: Settlement::new(anchor),
            jobs: BTreeMap::new(),
            requests: BTreeMap::new(),
            quarantine: Quarantine::default(),
            testimony: Testimony::default(),
            pending: VecDeque::new(),
            departed: Departed::default(),
            awaited: BTreeMap::new(),
            kept: BTreeMap::new(),
            dry_voters: BTreeMap::new(),
            lease,
            vitals: AllVitals::default(),
            census: Census::default(),
            crossings: Crossings::default(),
        }
    }

    /// Does what waited for a step of its own.
    fn take_up(&mut self, turn: &mut Turn, pending: Pending) {
        match pending {
            Pending::Schedule(event) => self.schedule(turn, event),
            // Its transaction ended while the question waited, so nothing may be presumed of it
            // (C6). Whoever is still in doubt asks again.
            Pending::Commit(CoordinatorEvent::Received {
                reply: Reply::Inquired { txn, .. },
                ..
            }) if self.commit.phase(&txn.job).is_none() => {}
            Pending::Commit(event) => self.commit(turn, event),
            Pending::Release { worker, job } => turn.act(release(worker, job)),
            Pending::Returned { from, attempt, comeback } => {
                if let Some((record, closing)) = self.departed.returned(&from, &attempt, comeback) {
                    turn.schedule_record(record);
                    turn.close(closing);
                }
            }
            Pending::LogFoundStale { by } => {
                self.remember_staged();
                turn.log_found_stale(by);
            }
            Pending::Conclude { job } => self.conclude(turn, &job),
            Pending::Settle(event) => self.settle(turn, event),
            Pending::Superseded { job } => self.supersede(turn, job),
            Pending::Uncross => self.uncross(turn),
            Pending::Forget(closing) => self.forget(turn, closing),
            Pending::Asked { reply, question } => self.ask(turn, reply, question),
        }
    }

    fn forget(&mut self, turn: &mut Turn, closing: Closing) {
        self.requests.remove(&closing.request);
        self.departed.forget(&closing.job);
        turn.changed(&closing.job);
        turn.forget(closing);
    }

    fn tick(&mut self, turn: &mut Turn) {
        let schedule = self.scheduler.next_deadline().unwrap_or(FAR);
        let commit = self.commit.next_deadline().unwrap_or(FAR);
        let settling = self.settling_due().unwrap_or(FAR);
        if settling < schedule.min(commit).min(self.keeping_ends()) {
            self.settle(turn, votum_settle::Event::Tick);
        } else if self.keeping_ends() < schedule.min(commit) {
            self.stop_keeping(turn);
        } else if schedule <= commit {
            self.schedule(turn, votum_schedule::Event::Tick);
        } else {
            self.commit(turn, CoordinatorEvent::Tick);
        }
    }

    fn submit(
        &mut self,
        turn: &mut Turn,
        intent: Intent,
        job: JobId,
        spec: Arc<JobSpec>,
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
        let deadline = (!self.will_wait(&spec)).then(|| turn.now().after(spec.time_in_all()));
        let open = OpenJob::new(spec.clone(), submission.clone(), received);
        self.jobs.insert(job.clone(), Box::new(open));
        self.commit(turn, CoordinatorEvent::Opened { job: job.clone(), deadline });
        if !spec.keep_staged.is_zero() {
            self.commit(turn, CoordinatorEvent::KeepsStaged { job: job.clone() });
        }
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
        if self.knows(job) {
            return Err(Refusal::IdTaken { job: job.clone() });
        }
        self.admit_key(spec)?;
        admission::check(spec, &self.scheduler)
    }

    fn cancel(&mut self, turn: &mut Turn, job: &JobId, by: String, reason: String) -> Answer {
        if let Err(refusal) = self.not_quarantined(job) {
            return Answer::Refused(refusal);
        }
        if !self.jobs.contains_key(job) {
            return Answer::Refused(Refusal::NotOpen { job: job.clone() });
        }
        if self.commit.is_stale() {
            return Answer::Refused(Refusal::LogStale);
        }
        if self.keeps(job) {
            return self.release_kept(turn, job, by, reason);
        }
        if let Some(over) = self.jobs.get(job).and_then(|open| open.over) {
            return self.cancel_over(turn, job, over);
        }
        let before = self.view(turn.now(), job);
        let message =
            if reason.is_empty() { "cancelled".to_owned() } else { format!("cancelled: {reason}") };
        let cause = Cause { reason: votum_wire::view::CANCELLED.to_owned(), message, by };
        self.commit(turn, CoordinatorEvent::AbortAsked { job: job.clone(), cause });
        if turn.is_too_late() {
            return Answer::Refused(Refusal::AlreadyCommitting { job: job.clone() });
        }
        // A job with nothing to stop closes in the step that aborts it.
        let view = self.view(turn.now(), job).or(before).expect("the job was open");
        Answer::Cancelling(Box::new(view))
    }

    fn welcome(&mut self, turn: &mut Turn, hello: Hello, protocol: u32) {
        let worker = hello.installation.worker.clone();
        if let Some(seen) = hello.seen {
            self.testimony.see(seen.epoch);
        }
        let met = CoordinatorEvent::Met { from: hello.installation.clone(), seen: hello.seen };
        self.commit(turn, met);
        let joined = votum_settle::Event::Joined { host: settling::host(&hello.installation) };
        self.settle(turn, joined);
        self.schedule(turn, votum_schedule::Event::Joined(registration(hello, protocol)));
        let frame = FromCoordinator::Welcome {
            lease: self.lease.length,
            heartbeat_interval: self.lease.heartbeat_interval,
            stop_grace: self.lease.stop_grace,
            protocol,
            newest: self.lease.protocols.newest(),
        };
        turn.act(Action::Send { worker, frame });
    }

    fn frame(&mut self, turn: &mut Turn, from: Installation, frame: FromWorker) {
        let worker = from.worker.clone();
        match frame {
            FromWorker::Inventory(page) => self.inventory(turn, from, page),
            FromWorker::InventoryEnded => self.inventory_ended(&from),
            // Only how a try of a hook ends is of interest.
            FromWorker::Started { attempt, .. }
            | FromWorker::Reported { attempt, .. }
            | FromWorker::Discarded { attempt, .. }
                if self.settlement.knows(&attempt) =>
            {
                turn.changed(&attempt.job);
            }
            FromWorker::Ended { attempt, end } if self.settlement.knows(&attempt) => {
                let (host, end) = (settling::host(&from), Box::new(end));
                self.settle(turn, votum_settle::Event::Ended { host, attempt, end });
            }
            FromWorker::Started { attempt, .. } => {
                if self.may_judge(&attempt.job) {
                    self.schedule(turn, votum_schedule::Event::Started { worker, attempt });
                }
            }
            FromWorker::Reported { attempt, report, age } => {
                if self.may_judge(&attempt.job) {
                    turn.changed(&attempt.job);
                    let event = votum_schedule::Event::Reported { worker, attempt, report, age };
                    self.schedule(turn, event);
                }
            }
            FromWorker::Ended { attempt, end } => {
                if self.may_judge(&attempt.job) {
                    self.schedule(turn, votum_schedule::Event::Ended { worker, attempt, end });
                }
            }
            FromWorker::Discarded { attempt, comeback } if self.jobs.contains_key(&attempt.job) => {
                let event = votum_schedule::Event::Discarded { worker, attempt, comeback };
                self.schedule(turn, event);
            }
            FromWorker::Discarded { attempt, comeback } => {
                self.pending.push_back(Pending::Returned { from, attempt, comeback });
            }
            FromWorker::CheckpointHeld(held) => self.checkpoint_held(turn, worker, held),
            FromWorker::CheckpointGone(id) => {
                if self.jobs.contains_key(&id.attempt.job) {
                    self.schedule(turn, votum_schedule::Event::CheckpointGone { worker, id });
                }
            }
            FromWorker::DryVoted(answer) => {
                self.schedule(turn, votum_schedule::Event::DryVoteAnswered { worker, answer });
            }
            // Its Release came while it was publishing once more, and was ignored.
            FromWorker::Commit(
                reply @ (Reply::Acked { .. } | Reply::TookOver { .. } | Reply::StoodDown { .. }),
            ) if !self.knows(&reply.txn().job) => self.done_when_closed(turn, &from, &reply),
            FromWorker::Commit(Reply::Forced(heuristic)) => self.forced(turn, from, heuristic),
            FromWorker::Commit(Reply::Inquired { txn, committed: false }) => {
                self.inquired(turn, from, txn);
            }
            FromWorker::Commit(Reply::Inquired { txn, committed: true }) => {
                self.asked_for_publisher(turn, from, txn);
            }
            FromWorker::Commit(reply) => {
                self.overhear(turn.now(), &from, &reply);
                self.commit(turn, CoordinatorEvent::Received { from, reply });
            }
            // Its lease was renewed in the same step, before the worker may count on it.
            FromWorker::Heartbeat { number, vitals, .. } => {
                self.heartbeat(turn.now(), &worker, vitals);
                let frame = FromCoordinator::HeartbeatAcknowledged { number };
                turn.act(Action::Send { worker, frame });
            }
            // The session checks that Hello comes first and once.
            FromWorker::Hello(_) | FromWorker::Goodbye => {}
        }
    }

    /// Says whether what is not known of a job may be called unwanted (C9).
    fn may_judge(&self, job: &JobId) -> bool {
        let complete = !self.commit.is_stale() && !self.is_quarantined(job);
        complete || self.jobs.contains_key(job)
    }

    /// Says whether the id belongs to a job that is open or quarantined.
    fn knows(&self, job: &JobId) -> bool {
        self.jobs.contains_key(job) || self.is_quarantined(job)
    }

    fn view(&self, now: Moment, job: &JobId) -> Option<JobView> {
        let mut view = match self.jobs.get(job) {
            Some(open) => {
                let kept = self.kept_until(job);
                let brains = view::job::Brains {
                    scheduler: &self.scheduler,
                    commit: &self.commit,
                    settlement: &self.settlement,
                };
                view::job::open(self.anchor, now, job, open, brains, kept)
            }
            None => self.quarantined_view(job)?,
        };
        if let Some(why) = self.about_publishers(job) {
            view.state_message = format!("{}; {why}", view.state_message);
        }
        if let Some(why) = self.about_crossing(job) {
            view.state_message = why;
        }
        if self.commit.is_stale() && !view.state.is_final() {
            view.state_message = format!("{}; {STALE}", view.state_message);
        }
        view.worker_damages = self.damages_of(job);
        view.held_back = self.held_back_by(job).into_iter().map(|holder| holder.worker).collect();
        Some(view)
    }

    fn workers(&self) -> Answer {
        Answer::Workers(self.shown_workers())
    }

    fn cluster(&mut self) -> Cluster {
        let totals = self.totals();
        let mut cluster = Cluster {
            jobs: totals.jobs,
            quarantined: self.quarantined_streams(),
            stale: self.commit.is_stale(),
            kept: self.kept.len() as u64,
            mixed: totals.mixed,
            workers: BTreeMap::new(),
        };
        let quarantined = self.quarantined_count();
        if quarantined > 0 {
            cluster.jobs.insert(JobState::Quarantined, quarantined);
        }
        for worker in view::worker::all(self.anchor, &self.scheduler) {
            *cluster.workers.entry(worker.state).or_default() += 1;
        }
        cluster
    }
}

fn registration(hello: Hello, protocol: u32) -> Registration {
    Registration {
        worker: hello.installation.worker,
        uid: hello.installation.uid,
        incarnation: hello.incarnation,
        version: hello.version,
        slots: hello.slots,
        labels: hello.labels,
        artifact_address: hello.artifact_address,
        publish_roots: hello.publish_roots,
        protocol,
    }
}

/// Returns what the frame says about the space that is left.
fn free_bytes(frame: &FromWorker) -> Option<u64> {
    match frame {
        FromWorker::Heartbeat { free_bytes, .. } => Some(*free_bytes),
        FromWorker::Hello(_)
        | FromWorker::Inventory(_)
        | FromWorker::InventoryEnded
        | FromWorker::Started { .. }
        | FromWorker::Reported { .. }
        | FromWorker::Ended { .. }
        | FromWorker::Discarded { .. }
        | FromWorker::CheckpointHeld(_)
        | FromWorker::CheckpointGone(_)
        | FromWorker::DryVoted(_)
        | FromWorker::Commit(_)
        | FromWorker::Goodbye => None,
    }
}

/// Said of every job that is not over while the log is stale (C6).
const STALE: &str = "the log may lack what was recorded of it since: it is neither run, decided nor \
                     discarded until an operator has settled that";

/// Later than anything that is due.
const FAR: Moment = Moment::since_start(std::time::Duration::MAX);

/// A worker may forget only what the log will never ask it for again: it waits for the record.
fn release(worker: WorkerId, job: JobId) -> Action {
    let frame = FromCoordinator::Commit(Message::Release { job });
    Action::SendDurable { worker, frame }
}

#[cfg(test)]
pub(crate) mod tests;
