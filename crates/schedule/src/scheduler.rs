//! The machine: events in, at most one record and actions out.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use votum_ids::{AttemptId, Epoch, FencingToken, JobId, WorkerId};
use votum_job::{AttemptEnd, JobSpec};
use votum_machine::{Machine, Moment, Reaction as Answer, WallTime};

use crate::{
    Action, Config, Event, Record, Submission,
    active_job::{ActiveJob, Blame, Fallout, Phase, TaskState},
    agenda::{Agenda, Due},
    checkpoints::CheckpointNews,
    dry_vote::DRY_VOTE_START,
    line::Lines,
    pace::Pace,
    queue::{Queue, Spot},
    replicas::Copying,
    rerun::OUTDATED,
    roster::{Roster, Worker},
};

/// What a step of the scheduler asks for.
pub type Reaction = Answer<Record, Action>;

/// Decides which worker runs which attempt, and when.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) config: Config,
    pub(crate) epoch: Epoch,
    pub(crate) anchor: WallTime,
    /// Of the last token given out.
    pub(crate) counter: u64,
    /// How many jobs were received.
    pub(crate) age: u64,
    /// The latest wall time that replay saw.
    pub(crate) last_recorded: WallTime,
    /// Each by itself: a tree has room for more than is in it.
    pub(crate) jobs: BTreeMap<JobId, Box<ActiveJob>>,
    pub(crate) roster: Roster,
    pub(crate) queue: Queue,
    pub(crate) agenda: Agenda,
    /// Who has which key, and who waits for it.
    pub(crate) lines: Lines,
    /// Jobs that must be told what became of a worker.
    pub(crate) reckonings: BTreeSet<(WorkerId, JobId)>,
    /// Jobs that may have something to report.
    pub(crate) reports: BTreeSet<JobId>,
    /// Ready tasks that a worker already runs, by its own word.
    pub(crate) adoptions: BTreeSet<(JobId, usize)>,
    /// Ends of adopted attempts.
    pub(crate) ends: VecDeque<(WorkerId, AttemptId, AttemptEnd)>,
    /// What the live attempts have said of themselves.
    pub(crate) paces: BTreeMap<(JobId, usize), Pace>,
    /// What is to be noted of checkpoints.
    pub(crate) checkpoint_news: VecDeque<(WorkerId, CheckpointNews)>,
    /// The copies of sealed outputs that are being made.
    pub(crate) copies: BTreeMap<(JobId, usize), Copying>,
    /// Whether deadlines and queues stand for what was replayed.
    pub(crate) begun: bool,
    pub(crate) last_step: Moment,
}

impl Machine for Scheduler {
    type Event = Event;
    type Record = Record;
    type Action = Action;

    fn step(&mut self, now: Moment, event: Event) -> Reaction {
        if !self.begun {
            self.begin(now);
        }
        if self.stood_still(now) {
            self.renew_leases(now);
        }
        self.last_step = now;
        match event {
            Event::Submitted { job, spec, submission } => self.receive(now, job, spec, submission),
            Event::Joined(registration) => self.join(now, registration),
            Event::Listed { worker, listed } => self.list(now, &worker, listed),
            Event::InventoryEnded { worker } => self.reconcile(now, &worker),
            Event::Heard { worker, free_bytes } => {
                Reaction::perform(self.hear(now, &worker, free_bytes))
            }
            Event::Disconnected { worker, incarnation } => {
                self.disconnect(now, &worker, incarnation)
            }
            Event::Started { worker, attempt } => self.start(now, &worker, attempt),
            Event::Reported { worker, attempt, report, age } => {
                self.hear_report(now, &worker, attempt, *report, age)
            }
            Event::Ended { worker, attempt, end } => self.end(now, &worker, attempt, end),
            Event::DrainOrdered { worker, drain } => self.order_drain(now, &worker, drain),
            Event::ResumeOrdered { worker } => self.order_resume(now, &worker),
            Event::RemovalOrdered { worker, removal } => self.order_removal(now, &worker, removal),
            Event::Discarded { worker, attempt, comeback } => {
                self.hear_discarded(now, &worker, &attempt, comeback)
            }
            Event::CheckpointHeld { worker, held } => self.note_checkpoint(now, &worker, held),
            Event::CheckpointGone { worker, id } => self.lose_checkpoint(now, &worker, id),
            Event::ShareLost { job, worker, uid } => self.lose_share(now, &job, &worker, uid),
            Event::DryVoteAsked { job } => self.ask_dry_vote(now, &job),
            Event::DryVoteAnswered { worker, answer } => self.note_dry_vote(now, &worker, *answer),
            Event::Approved { job, by, reason } => self.approve(now, job, by, reason),
            Event::PublisherReplaced { job, worker, uid, moved } => {
                self.follow_publishers(now, &job, &worker, uid, moved)
            }
            Event::PauseAsked { job, by, reason, live } => self.hold(now, job, by, reason, live),
            Event::UnpauseAsked { job, by } => self.let_go(now, job, by),
            Event::RetryAsked { job, task, by } => self.try_again(now, job, task.as_ref(), by),
            Event::ReleaseAsked { job, by, reason } => self.give_up_kept(now, job, by, reason),
            Event::RescueReceived { job, by } => self.note_rescue(now, job, by),
            Event::Aborting { job, why } => self.abort(now, &job, why),
            Event::Committing { job } => self.commit(now, &job),
            Event::KeyFreed { job, key } => Reaction::perform(self.free_key(&job, &key)),
            Event::SetAside { job, key } => {
                self.keep_key(job, &key);
                Reaction::none()
            }
            Event::Closed { job } => self.close(&job),
            Event::Tick => self.tick(now),
        }
    }

    fn next_deadline(&self) -> Option<Moment> {
        if !self.begun {
            let idle = self.jobs.is_empty() && self.roster.iter().next().is_none();
            return (!idle).then_some(Moment::START);
        }
        let at_once = !self.ends.is_empty()
            || !self.checkpoint_news.is_empty()
            || !self.reckonings.is_empty()
            || !self.reports.is_empty()
            || !self.adoptions.is_empty()
            || self.lines.has_news()
            || self.queue.has_hot();
        if at_once { Some(self.last_step) } else { self.agenda.earliest() }
    }
}

impl Scheduler {
    /// Makes a scheduler without jobs and workers; replay comes next, then steps.
    ///
    /// `epoch` is later than that of every earlier start, `anchor` the wall time at the start.
    #[must_use]
    pub fn new(config: Config, epoch: Epoch, anchor: WallTime) -> Self {
        Self {
            config,
            epoch,
            anchor,
            counter: 0,
            age: 0,
            last_recorded: WallTime::default(),
            jobs: BTreeMap::new(),
            roster: Roster::default(),
            queue: Queue::default(),
            agenda: Agenda::default(),
            lines: Lines::default(),
            reckonings: BTreeSet::new(),
            reports: BTreeSet::new(),
            adoptions: BTreeSet::new(),
            ends: VecDeque::new(),
            paces: BTreeMap::new(),
            checkpoint_news: VecDeque::new(),
            copies: BTreeMap::new(),
            begun: false,
            last_step: Moment::START,
        }
    }

    /// Says whether the coordinator itself missed a deadline by so much that silence proves nothing.
    fn stood_still(&self, now: Moment) -> bool {
        let due = self.agenda.earliest().map(|due| due.max(self.last_step));
        // It must be noticed before it costs anybody the grace.
        let stall = self.config.stall.min(self.config.stop_grace / 2);
        due.is_some_and(|due| now.since(due) > stall)
    }

    fn receive(
        &mut self,
        now: Moment,
        job: JobId,
        spec: Arc<JobSpec>,
        submission: Submission,
    ) -> Reaction {
        if self.jobs.contains_key(&job) {
            return Reaction::none();
        }
        let concurrency = spec.concurrency.as_ref();
        let in_line = concurrency.map(|wanted| self.lines.next_number(&wanted.key));
        let record = Record::Received { job: job.clone(), spec, submission, in_line };
        let reaction = self.record(now, record);
        self.arm_deadline(now, self.anchor.at(now), &job);
        self.arm_dry_vote(now.after(DRY_VOTE_START), &job);
        self.replace_others(&job);
        reaction
    }

    fn abort(&mut self, now: Moment, id: &JobId, why: String) -> Reaction {
        let Some(job) = self.jobs.get_mut(id) else { return Reaction::none() };
        if matches!(job.phase, Phase::Aborting { .. }) {
            return Reaction::none();
        }
        job.phase = Phase::Aborting { why: why.clone(), stopped: false };
        let mut actions = self.retire(now, id);
        let job = &self.jobs[id];
        let live = (0..job.tasks.len()).filter(|&task| job.live_attempt(task).is_some());
        let live: Vec<usize> = live.collect();
        for task in live {
            actions.extend(self.stop(id, task, &why));
            let worker = self.jobs[id].live_attempt(task).map(|attempt| attempt.worker.clone());
            // What is pinned to a lost worker is not waited for once the job aborts.
            self.reckonings.extend(worker.map(|worker| (worker, id.clone())));
        }
        actions.extend(self.attend(now, id));
        Reaction::perform(actions)
    }

    fn commit(&mut self, now: Moment, id: &JobId) -> Reaction {
        let Some(job) = self.jobs.get_mut(id) else { return Reaction::none() };
        job.phase = Phase::Committing;
        Reaction::perform(self.retire(now, id))
    }

    fn close(&mut self, id: &JobId) -> Reaction {
        let key = self.jobs.get(id).and_then(|job| job.spec.concurrency.as_ref());
        let key = key.map(|wanted| wanted.key.clone());
        let moved = key.map(|key| self.free_key(id, &key)).unwrap_or_default();
        let Some(mut job) = self.jobs.remove(id) else { return Reaction::none() };
        let mut actions = self.drop_orphans(&mut job);
        actions.extend(moved);
        for task in 0..job.tasks.len() {
            if let Some(attempt) = job.live_attempt(task) {
                let (worker, attempt) = (attempt.worker.clone(), attempt.id.clone());
                actions.push(Action::Discard { worker, attempt });
            }
            self.queue.remove(&Spot { age: job.age, job: id.clone(), task });
            self.agenda.clear(&Due::Retry(id.clone(), task));
            self.agenda.clear(&Due::Overrun(id.clone(), task));
            self.paces.remove(&(id.clone(), task));
            self.agenda.clear(&Due::Replication(id.clone(), task));
            self.agenda.clear(&Due::Copying(id.clone(), task));
            self.copies.remove(&(id.clone(), task));
            self.seat(id, task, None);
            self.roster.seat_replicas((id.clone(), task), BTreeSet::new());
        }
        for due in [Due::Deadline, Due::DryVote, Due::Asking, Due::Approval] {
            self.agenda.clear(&due(id.clone()));
        }
        actions.extend(job.overtake_dry_vote());
        self.reports.remove(id);
        Reaction::perform(actions)
    }

    /// Does the one most urgent thing that is due.
    fn tick(&mut self, now: Moment) -> Reaction {
        match self.checkpoint_news.pop_front() {
            Some((worker, CheckpointNews::Held(held))) => {
                return self.note_checkpoint(now, &worker, held);
            }
            Some((worker, CheckpointNews::Gone(id))) => {
                return self.lose_checkpoint(now, &worker, id);
            }
            None => {}
        }
        if let Some((worker, attempt, end)) = self.ends.pop_front() {
            return self.end(now, &worker, attempt, end);
        }
        if let Some((worker, job)) = self.reckonings.pop_first() {
            return self.reckon(now, &worker, &job);
        }
        if let Some(job) = self.reports.pop_first() {
            return Reaction::perform(self.attend(now, &job));
        }
        if let Some((job, by)) = self.lines.pop_replaced() {
            return Reaction::perform(self.replace(now, &job, by));
        }
        if let Some(job) = self.lines.pop_called() {
            return self.take_key(now, &job);
        }
        if let Some(due) = self.agenda.take_due(now) {
            return self.fall_due(now, due);
        }
        if let Some((job, task)) = self.adoptions.pop_first() {
            return self.adopt(now, &job, task);
        }
        self.place(now)
    }

    fn fall_due(&mut self, now: Moment, due: Due) -> Reaction {
        match due {
            Due::Silence(worker) => Reaction::perform(self.count_silence(now, worker)),
            Due::Parted(worker) => {
                let jobs = self.roster.get(&worker).map(Worker::jobs).unwrap_or_default();
                self.reckonings.extend(jobs.into_iter().map(|job| (worker.clone(), job)));
                Reaction::none()
            }
            Due::Deadline(job) => Reaction::perform(self.expire(now, &job)),
            Due::Retry(job, task) => {
                if let Some(active) = self.jobs.get_mut(&job)
                    && matches!(active.tasks[task].state, TaskState::Retrying(_))
                {
                    active.tasks[task].state = TaskState::Pending;
                    self.reindex(now, self.anchor.at(now), &job, task);
                }
                Reaction::none()
            }
            Due::Drained(worker) => Reaction::perform(self.end_drain(now, &worker)),
            Due::DryVote(job) => self.go_on_with_dry_votes(now, &job),
            Due::Asking(job) => self.ask_for_approval(now, &job),
            Due::Approval(job) => Reaction::perform(self.expire_approval(now, &job)),
            Due::Replication(job, task) => self.replicate(now, &job, task),
            Due::Copying(job, task) => self.copy(now, &job, task),
            Due::Overrun(job, task) => {
                let stop = self.stop(&job, task, "the attempt ran past its time limit");
                if stop.is_some() {
                    self.agenda.set(Due::Overrun(job, task), now.after(STOP_REPETITION));
                }
                Reaction::perform(stop)
            }
        }
    }

    fn expire(&mut self, now: Moment, id: &JobId) -> Vec<Action> {
        let Some(job) = self.jobs.get(id) else { return Vec::new() };
        let blame = job.out_of_time();
        self.fail(now, id, blame)
    }

    /// Asks for the abort of a job, once, unless it was decided already.
    pub(crate) fn fail(&mut self, now: Moment, id: &JobId, blame: Blame) -> Vec<Action> {
        let Some(mut actions) = self.give_up(now, id, blame.clone()) else { return Vec::new() };
        let Blame { reason, message } = blame;
        actions.push(Action::Fail { job: id.clone(), reason, message });
        actions
    }

    /// Places nothing more of a job whose abort is asked for; none if that was done before, or the
    /// job is decided.
    pub(crate) fn give_up(&mut self, now: Moment, id: &JobId, blame: Blame) -> Option<Vec<Action>> {
        let job = self.jobs.get_mut(id).filter(|job| job.phase == Phase::Running)?;
        job.phase = Phase::Failing(blame);
        Some(self.retire(now, id))
    }

    /// Takes a job out of every queue: nothing of it is placed any longer.
    fn retire(&mut self, now: Moment, id: &JobId) -> Vec<Action> {
        for due in [Due::Deadline, Due::DryVote, Due::Asking, Due::Approval] {
            self.agenda.clear(&due(id.clone()));
        }
        let Some(mut job) = self.jobs.remove(id) else { return Vec::new() };
        let mut actions = self.drop_orphans(&mut job);
        actions.extend(job.overtake_dry_vote());
        let tasks = job.tasks.len();
        self.jobs.insert(id.clone(), job);
        for task in 0..tasks {
            self.reindex(now, self.anchor.at(now), id, task);
        }
        actions
    }

    fn drop_orphans(&mut self, job: &mut ActiveJob) -> Vec<Action> {
        let orphans = std::mem::take(&mut job.orphans);
        for (task, orphan) in &orphans {
            self.adoptions.remove(&(job.id.clone(), *task));
            self.roster.change(&orphan.worker, |worker| {
                worker.orphans.remove(&(job.id.clone(), *task));
            });
        }
        let discard = |orphan: crate::active_job::Orphan| Action::Discard {
            worker: orphan.worker,
            attempt: orphan.attempt,
        };
        orphans.into_values().map(discard).collect()
    }

    /// Asks the worker of a live attempt to end it.
    pub(crate) fn stop(&self, id: &JobId, task: usize, reason: &str) -> Option<Action> {
        let job = self.jobs.get(id)?;
        let attempt = job.live_attempt(task)?;
        Some(Action::Stop {
            worker: attempt.worker.clone(),
            attempt: attempt.id.clone(),
            grace: job.task_spec(task).grace_period,
            reason: reason.to_owned(),
            checkpoint_first: false,
        })
    }

    /// The same for one that is gone on with later.
    pub(crate) fn interrupt(&self, id: &JobId, task: usize, reason: &str) -> Option<Action> {
        let mut action = self.stop(id, task, reason)?;
        if let Action::Stop { checkpoint_first, .. } = &mut action {
            *checkpoint_first = self.jobs[id].task_spec(task).checkpoint.is_some();
        }
        Some(action)
    }

    /// Gives out a token that fences every earlier one.
    pub(crate) fn next_token(&mut self) -> FencingToken {
        self.counter += 1;
        FencingToken { epoch: self.epoch, counter: self.counter }
    }

    /// Makes a fact: changes the state by it and asks for what follows from it.
    pub(crate) fn record(&mut self, now: Moment, record: Record) -> Reaction {
        let wall = self.anchor.at(now);
        let Fallout { touched, fenced, outdated } = self
            .apply(wall, &record)
            .expect("a record is made from the state it is applied to, and specs are checked");
        let mut actions = Vec::new();
        if let Some(job) = record.job().cloned() {
            for task in touched {
                if !self.jobs.contains_key(&job) {
                    self.paces.remove(&(job.clone(), task));
                }
                self.reindex(now, wall, &job, task);
            }
            self.rearm_deadline(now, &job);
            actions.extend(self.withdraw(&job, &record));
            actions.extend(outdated.into_iter().filter_map(|task| self.stop(&job, task, OUTDATED)));
        }
        let gone = match &record {
            // Another installation has never heard of these attempts.
            Record::Lost { worker, uid, .. } | Record::ReplicaLost { worker, uid, .. } => {
                self.roster.get(worker).is_none_or(|worker| worker.is_foreign(*uid))
            }
            Record::Received { .. }
            | Record::Assigned { .. }
            | Record::Started { .. }
            | Record::Ended { .. }
            | Record::Replicated { .. }
            | Record::Returned { .. }
            | Record::CheckpointHeld { .. }
            | Record::CheckpointGone { .. }
            | Record::KeyTaken { .. }
            | Record::Paused { .. }
            | Record::Unpaused { .. }
            | Record::RetryAsked { .. }
            | Record::KeptReleased { .. }
            | Record::Rescued { .. }
            | Record::DryVoted { .. }
            | Record::ApprovalAsked { .. }
            | Record::Approved { .. }
            | Record::Registered(_)
            | Record::Ordered { .. } => false,
        };
        if !gone {
            let discard = |(worker, attempt)| Action::Discard { worker, attempt };
            actions.extend(fenced.into_iter().map(discard));
        }
        Reaction::perform(actions).durably(record)
    }

    fn withdraw(&mut self, id: &JobId, record: &Record) -> Option<Action> {
        let Record::Lost { staged, moved, .. } = record else { return None };
        let job = self.jobs.get_mut(id)?;
        let nothing = staged.is_empty() && moved.is_empty();
        if nothing || !std::mem::take(&mut job.offered) || job.phase != Phase::Running {
            return None;
        }
        Some(Action::Withdraw { job: id.clone() })
    }
}

/// After this long without an end an attempt that is to end is stopped once more.
pub(crate) const STOP_REPETITION: std::time::Duration = std::time::Duration::from_secs(60);
