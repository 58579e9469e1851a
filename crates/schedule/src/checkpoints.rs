//! Which checkpoints there are of a task, who has them, and which one an attempt goes on from (R7).
//!
//! A checkpoint counts if it was sealed under a token that was not fenced when
//! the log heard of it. What an attempt was known to have sealed before it was
//! lost stays good; what it tells of later does not.

use std::collections::BTreeMap;

use votum_ids::{AttemptId, CheckpointId, Digest, FencingToken, JobId, WorkerId, WorkerUid};
use votum_job::{CHECKPOINTS_KEPT, CheckpointHolder, FailureKind, HeldCheckpoint, ResumePoint};
use votum_machine::{Moment, WallTime};

use crate::{
    Action, CorruptSchedule, Outcome, Record, Scheduler,
    active_job::{ActiveJob, ActiveTask, Phase, TaskState},
    agenda::Due,
    attempt::Attempt,
    placement::Choice,
    scheduler::Reaction,
};

/// A checkpoint as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCheckpoint {
    /// Which.
    pub id: CheckpointId,
    /// Of its manifest.
    pub digest: Digest,
    /// How many bytes.
    pub bytes: u64,
    /// How many steps of the task are done in it.
    pub steps: u32,
    /// When the log heard of it first.
    pub recorded: WallTime,
    /// Who has it.
    pub holders: BTreeMap<WorkerId, CheckpointCopy>,
}

/// One copy of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointCopy {
    /// On which installation.
    pub uid: WorkerUid,
    /// Lets the bearer read it.
    pub read_token: String,
}

/// What a worker told of a checkpoint, before its turn has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CheckpointNews {
    Held(HeldCheckpoint),
    Gone(CheckpointId),
}

/// What the log thinks of a checkpoint that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// It counts.
    Sound,
    /// Its attempt may still be adopted.
    Stray,
    /// It was sealed under a fenced token, or on inputs that came out differently.
    Fenced,
}

impl ActiveJob {
    /// Applies the record that a worker has a checkpoint.
    pub(crate) fn hold_checkpoint(
        &mut self,
        at: WallTime,
        held: &HeldCheckpoint,
        worker: &WorkerId,
        uid: WorkerUid,
    ) -> Result<(), CorruptSchedule> {
        let position = self.position(&held.id.attempt.task)?;
        let known = &mut self.tasks[position].checkpoints;
        let place = known.partition_point(|one| one.id < held.id);
        if known.get(place).is_none_or(|one| one.id != held.id) {
            let one = KnownCheckpoint {
                id: held.id.clone(),
                digest: held.digest,
                bytes: held.bytes,
                steps: held.steps,
                recorded: at,
                holders: BTreeMap::new(),
            };
            known.insert(place, one);
        }
        let copy = CheckpointCopy { uid, read_token: held.read_token.clone() };
        known[place].holders.insert(worker.clone(), copy);
        forget_superseded(known);
        Ok(())
    }

    /// Applies the record that a worker has a checkpoint no longer.
    pub(crate) fn lose_checkpoint(
        &mut self,
        id: &CheckpointId,
        worker: &WorkerId,
    ) -> Result<(), CorruptSchedule> {
        let position = self.position(&id.attempt.task)?;
        let known = &mut self.tasks[position].checkpoints;
        for one in known.iter_mut().filter(|one| one.id == *id) {
            one.holders.remove(worker);
        }
        known.retain(|one| !one.holders.is_empty());
        Ok(())
    }

    /// Says whether a checkpoint of the attempt is known: it ran, whatever was told of its start.
    pub(crate) fn has_saved(&self, id: &AttemptId) -> bool {
        let position = self.graph.position(&id.task);
        let known = position.map_or(&[][..], |position| &self.tasks[position].checkpoints);
        known.iter().any(|known| known.id.attempt == *id)
    }

    /// Forgets what a task saved: it was made of inputs that came out differently (R5).
    pub(crate) fn spoil_checkpoints(&mut self, position: usize) {
        let task = &mut self.tasks[position];
        task.checkpoints.clear();
        task.spoilt = task.attempts.last().map(|attempt| attempt.id.token).max(task.spoilt);
    }

    fn claim(&self, position: usize, token: FencingToken, earlier: bool) -> Claim {
        let task = &self.tasks[position];
        if task.spoilt.is_some_and(|spoilt| token <= spoilt) {
            return Claim::Fenced;
        }
        match task.attempts.iter().rfind(|attempt| attempt.id.token == token) {
            Some(Attempt { outcome, .. }) => match outcome {
                Outcome::Live | Outcome::Failed { .. } | Outcome::Sealed { .. } => Claim::Sound,
                Outcome::Lost | Outcome::Superseded => Claim::Fenced,
            },
            None if earlier && task.attempts.last().is_none_or(|last| last.id.token < token) => {
                Claim::Stray
            }
            None => Claim::Fenced,
        }
    }
}

/// Forgets what nobody would go on from: two later ones are known, and whoever has it has a
/// later one as well.
fn forget_superseded(known: &mut Vec<KnownCheckpoint>) {
    let mut at = known.len().saturating_sub(CHECKPOINTS_KEPT);
    while at > 0 {
        at -= 1;
        let later = &known[at + 1..];
        let has_later = |holder| later.iter().any(|one| one.holders.contains_key(holder));
        if known[at].holders.keys().all(has_later) {
            known.remove(at);
        }
    }
}

impl Scheduler {
    /// Takes the word of a worker that it has a checkpoint.
    pub(crate) fn note_checkpoint(
        &mut self,
        now: Moment,
        worker: &WorkerId,
        held: HeldCheckpoint,
    ) -> Reaction {
        let listed = held.id.clone();
        self.roster.change(worker, |worker| worker.listed_checkpoints.insert(listed));
        let Some(uid) = self.roster.get(worker).map(|worker| worker.registration.uid) else {
            return Reaction::none();
        };
        let id = &held.id.attempt;
        let earlier = id.token.epoch < self.epoch;
        let Some(job) = self.jobs.get_mut(&id.job) else { return Reaction::none() };
        let Some(task) = job.graph.position(&id.task) else { return Reaction::none() };
        let known = job.tasks[task].checkpoints.iter().find(|known| known.id == held.id);
        match known {
            Some(known) => {
                let copy = known.holders.get(worker);
                let same =
                    copy.is_some_and(|copy| copy.uid == uid && copy.read_token == held.read_token);
                if same || known.digest != held.digest {
                    return Reaction::none();
                }
            }
            None => match job.claim(task, id.token, earlier) {
                Claim::Sound => {}
                Claim::Stray => {
                    if job.strays.len() < STRAYS_MAX {
                        job.strays.push((worker.clone(), held));
                    }
                    return Reaction::none();
                }
                Claim::Fenced => return Reaction::none(),
            },
        }
        let (job, replicated) = (id.job.clone(), self.wants_replica(&id.job, task));
        let worker = worker.clone();
        let reaction = self.record(now, Record::CheckpointHeld { held, worker, uid });
        if replicated {
            self.agenda.set(Due::Replication(job, task), now);
        }
        reaction
    }

    /// Takes the word of a worker that it has a checkpoint no longer.
    pub(crate) fn lose_checkpoint(
        &mut self,
        now: Moment,
        worker: &WorkerId,
        id: CheckpointId,
    ) -> Reaction {
        self.roster.change(worker, |worker| worker.listed_checkpoints.remove(&id));
        let held = |job: &ActiveJob| {
            let task = job.graph.position(&id.attempt.task)?;
            let known = job.tasks[task].checkpoints.iter().find(|known| known.id == id)?;
            known.holders.contains_key(worker).then_some(())
        };
        if self.jobs.get(&id.attempt.job).map(Box::as_ref).and_then(held).is_none() {
            return Reaction::none();
        }
        self.record(now, Record::CheckpointGone { id, worker: worker.clone() })
    }

    /// Compares what the log says a worker has with what it has listed (R4).
    pub(crate) fn reconcile_checkpoints(&mut self, name: &WorkerId) {
        let Some(worker) = self.roster.get(name) else { return };
        let tasks = self.jobs.values().flat_map(|job| &job.tasks);
        let gone = tasks.flat_map(|task| &task.checkpoints).filter(|known| {
            known.holders.contains_key(name) && !worker.listed_checkpoints.contains(&known.id)
        });
        let gone = gone.map(|known| (name.clone(), CheckpointNews::Gone(known.id.clone())));
        self.checkpoint_news.extend(gone.collect::<Vec<_>>());
    }

    /// Lets what an adopted attempt has sealed count.
    pub(crate) fn adopt_strays(&mut self, id: &JobId, token: FencingToken) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let (own, others) = std::mem::take(&mut job.strays)
            .into_iter()
            .partition(|(_, held)| held.id.attempt.token == token);
        job.strays = others;
        let own: Vec<(WorkerId, HeldCheckpoint)> = own;
        let news = own.into_iter().map(|(worker, held)| (worker, CheckpointNews::Held(held)));
        self.checkpoint_news.extend(news);
    }

    /// Returns where the next attempt of a task can go on, the last one first.
    pub(crate) fn resume_points(&self, job: &ActiveJob, task: usize) -> Vec<ResumePoint> {
        let known = job.tasks[task].checkpoints.iter().rev();
        let points = known.map(|known| self.resume_point(known));
        points.filter(|point| !point.holders.is_empty()).take(RESUME_POINTS_MAX).collect()
    }

    fn resume_point(&self, known: &KnownCheckpoint) -> ResumePoint {
        let holder = |(name, copy): (&WorkerId, &CheckpointCopy)| {
            let worker = self.roster.get(name)?;
            let reachable = worker.is_ready() && worker.registration.uid == copy.uid;
            reachable.then(|| CheckpointHolder {
                worker: name.clone(),
                address: worker.registration.artifact_address.clone(),
                read_token: copy.read_token.clone(),
            })
        };
        ResumePoint {
            id: known.id.clone(),
            digest: known.digest,
            bytes: known.bytes,
            steps: known.steps,
            holders: known.holders.iter().filter_map(holder).collect(),
        }
    }

    /// Prefers a worker that has the last checkpoint; waits for one that may come back with it.
    ///
    /// None if any worker is as good: the checkpoint is fetched then, if there is one.
    pub(crate) fn at_checkpoint(
        &self,
        job: &ActiveJob,
        task: usize,
        eligible: &dyn Fn(&WorkerId) -> bool,
    ) -> Option<Choice> {
        let broken = job.tasks[task].attempts.last().filter(|last| match &last.outcome {
            Outcome::Failed { failure, .. } => failure.kind == FailureKind::StorageFailed,
            Outcome::Live | Outcome::Sealed { .. } | Outcome::Lost | Outcome::Superseded => false,
        });
        let broken = broken.map(|last| &last.worker);
        for known in job.tasks[task].checkpoints.iter().rev() {
            let point = self.resume_point(known);
            if !point.holders.is_empty() {
                let mut holders = point.holders.into_iter().map(|holder| holder.worker);
                let near = holders.find(|holder| eligible(holder) && broken != Some(holder));
                return near.map(Choice::Worker);
            }
            let absent = known.holders.iter().find(|(name, copy)| {
                self.roster.get(name).is_some_and(|worker| {
                    worker.registration.uid == copy.uid && !worker.is_lost() && !worker.is_ready()
                })
            });
            if let Some((absent, _)) = absent {
                return Some(Choice::AwaitNews(absent.clone()));
            }
        }
        None
    }

    /// Orders another worker to copy the last checkpoint of a task, until it has done so.
    pub(crate) fn replicate(&mut self, now: Moment, id: &JobId, task: usize) -> Reaction {
        if !self.wants_replica(id, task) {
            return Reaction::none();
        }
        self.agenda.set(Due::Replication(id.clone(), task), now.after(REPLICATION_REPETITION));
        let job = &self.jobs[id];
        let Some(last) = job.tasks[task].checkpoints.last() else { return Reaction::none() };
        let copies = last.holders.iter().filter(|(name, copy)| {
            let worker = self.roster.get(name);
            worker.is_some_and(|worker| !worker.is_lost() && worker.registration.uid == copy.uid)
        });
        if copies.count() > 1 {
            return Reaction::none();
        }
        let point = self.resume_point(last);
        if point.holders.is_empty() {
            return Reaction::none();
        }
        let placement = &job.task_spec(task).placement;
        let earlier = |name: &WorkerId| {
            job.tasks[task].checkpoints.iter().any(|known| known.holders.contains_key(name))
        };
        let target = self
            .roster
            .iter()
            .filter(|(name, worker)| worker.is_open() && !last.holders.contains_key(*name))
            .max_by_key(|(name, worker)| {
                let order = std::cmp::Reverse((*name).clone());
                (earlier(name), worker.matches(placement), worker.free_bytes, order)
            });
        let Some((worker, _)) = target else { return Reaction::none() };
        let worker = worker.clone();
        Reaction::perform([Action::Replicate { worker, point: Box::new(point) }])
    }

    /// Says whether the last checkpoint of a task shall lie on two workers.
    pub(crate) fn wants_replica(&self, id: &JobId, task: usize) -> bool {
        let Some(job) = self.jobs.get(id) else { return false };
        let open = match job.tasks[task].state {
            TaskState::Pending | TaskState::Retrying(_) | TaskState::Live => true,
            TaskState::Staged | TaskState::Failed(_) => false,
        };
        let policy = job.task_spec(task).checkpoint.as_ref();
        open && job.phase == Phase::Running && policy.is_some_and(|policy| policy.replicate)
    }
}

impl ActiveTask {
    /// Returns the checkpoint that an attempt would go on from.
    pub(crate) fn last_checkpoint(&self) -> Option<&KnownCheckpoint> {
        self.checkpoints.last()
    }
}

/// After this long without a second copy another worker is asked, or the same once more.
const REPLICATION_REPETITION: std::time::Duration = std::time::Duration::from_secs(20);
/// An attempt is told of the last few checkpoints: each is tried if those before it are damaged.
const RESUME_POINTS_MAX: usize = 4;
/// Checkpoints of attempts that may be adopted, of one job; those beyond are reported again.
const STRAYS_MAX: usize = 1024;
