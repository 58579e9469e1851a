//! The replicas of sealed outputs: on how many workers they lie before the vote, and who takes
//! a lost worker's place (C13, R5).
//!
//! A replica is made by an attempt under the very token of the one that sealed the outputs: on
//! another worker, reading them from a holder, checked against their digests, and copying them to
//! where its own outputs lie. Sealed there, the outputs are held there as if they were made there:
//! the same names what is checked, promised, published and discarded. It is no attempt of the
//! task, costs none of its tries, and counts only if it came to the same digests.
//!
//! What a task has made is copied together: one program made it, and nobody could publish or
//! read a part of it in the place of a lost worker without the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use votum_ids::{AttemptId, FencingToken, JobId, TaskId, WorkerId, WorkerUid};
use votum_job::{
    Assignment, AttemptEnd, Failure, InputSource, InputSpec, ResolvedInput, Role, StagedOutput,
    TaskSpec,
};
use votum_machine::Moment;

use crate::{
    Action, Attempt, CorruptSchedule, Record, Registration, Scheduler,
    active_job::{ActiveJob, Fallout, Phase},
    agenda::Due,
    reports::Standing,
    rescue::copying,
    roster::Worker,
    scheduler::Reaction,
};

/// What a worker holds that another one sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// On which installation.
    pub uid: WorkerUid,
    /// What was sealed, with the tokens that let the bearer read it there.
    pub outputs: Vec<StagedOutput>,
}

/// Sealed outputs that another worker holds from here on, because theirs is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Whose outputs.
    pub task: TaskId,
    /// Who holds them.
    pub worker: WorkerId,
    /// On which installation.
    pub uid: WorkerUid,
}

/// An installation that holds a replica of what was promised, and may publish it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaHolder {
    /// Who.
    pub worker: WorkerId,
    /// Which installation.
    pub uid: WorkerUid,
    /// Where it serves artifacts, as `host:port`.
    pub address: String,
}

/// The copies of one task's outputs that are being made; known to this start alone.
#[derive(Debug)]
pub(crate) struct Copying {
    attempt: AttemptId,
    /// Whom, and since when.
    ordered: BTreeMap<WorkerId, Moment>,
    /// Who failed, and until when nobody else is preferred to it.
    failed: BTreeMap<WorkerId, Moment>,
    failures: u32,
    /// What went wrong last, for people.
    complaint: Option<String>,
}

impl Copying {
    fn of(attempt: AttemptId) -> Self {
        Self {
            attempt,
            ordered: BTreeMap::new(),
            failed: BTreeMap::new(),
            failures: 0,
            complaint: None,
        }
    }

    /// Returns whoever makes a copy, or has tried to.
    pub(crate) fn workers(&self) -> impl Iterator<Item = &WorkerId> {
        self.ordered.keys().chain(self.failed.keys())
    }
}

impl ActiveJob {
    /// Applies the record that a worker holds what another one sealed.
    pub(crate) fn hold_replica(
        &mut self,
        id: &AttemptId,
        worker: &WorkerId,
        replica: Replica,
    ) -> Result<Fallout, CorruptSchedule> {
        let position = self.replicable(id)?;
        self.tasks[position].replicas.insert(worker.clone(), replica);
        Ok(Fallout::of(position))
    }

    /// Applies the record that a worker holds a replica no longer.
    pub(crate) fn lose_replica(
        &mut self,
        id: &AttemptId,
        worker: &WorkerId,
    ) -> Result<Fallout, CorruptSchedule> {
        let position = self.replicable(id)?;
        let mut fallout = Fallout::of(position);
        if self.tasks[position].replicas.remove(worker).is_some() {
            fallout.fenced.push((worker.clone(), id.clone()));
        }
        Ok(fallout)
    }

    /// Applies the record that another worker holds what a lost one sealed.
    pub(crate) fn move_outputs(
        &mut self,
        from: &WorkerId,
        moved: &Moved,
        fallout: &mut Fallout,
    ) -> Result<(), CorruptSchedule> {
        let position = self.position(&moved.task)?;
        let (job, task) = (self.id.clone(), moved.task.clone());
        let known = self.tasks[position].replicas.get(&moved.worker);
        let Some(replica) = known.filter(|replica| replica.uid == moved.uid).cloned() else {
            return Err(CorruptSchedule::NotReplicated { job, task, worker: moved.worker.clone() });
        };
        let task = &mut self.tasks[position];
        let held = task.attempts.last_mut().filter(|last| last.is_held() && last.worker == *from);
        let Some(attempt) = held else {
            return Err(CorruptSchedule::NotStaged { job, task: moved.task.clone() });
        };
        fallout.fenced.push((from.clone(), attempt.id.clone()));
        attempt.move_to(moved.worker.clone(), replica);
        task.replicas.remove(&moved.worker);
        fallout.touched.insert(position);
        Ok(())
    }

    /// Lets the replicas of a task go: nobody wants what they hold.
    pub(crate) fn drop_replicas(&mut self, position: usize, fallout: &mut Fallout) {
        let task = &mut self.tasks[position];
        let Some(id) = task.attempts.last().map(|last| last.id.clone()) else { return };
        let dropped = std::mem::take(&mut task.replicas).into_keys();
        fallout.fenced.extend(dropped.map(|worker| (worker, id.clone())));
        fallout.touched.insert(position);
    }

    /// Says how many further workers shall hold what the task has sealed.
    pub(crate) fn lacks_replicas(&self, position: usize) -> usize {
        let held = self.held_attempt(position).filter(|last| !last.held_outputs().is_empty());
        let wanted = usize::try_from(self.task_spec(position).replicas()).unwrap_or(usize::MAX);
        held.map_or(0, |_| wanted.saturating_sub(1 + self.tasks[position].replicas.len()))
    }

    fn replicable(&self, id: &AttemptId) -> Result<usize, CorruptSchedule> {
        let position = self.position(&id.task)?;
        match self.held_attempt(position) {
            Some(attempt) if attempt.id == *id => Ok(position),
            Some(_) | None => {
                let (job, task) = (self.id.clone(), id.task.clone());
                Err(CorruptSchedule::NotStaged { job, task })
            }
        }
    }

    /// Returns the targets of what a task publishes.
    fn targets(&self, position: usize) -> impl Iterator<Item = &str> {
        let outputs = self.task_spec(position).outputs.values();
        outputs.filter_map(|output| Some(trimmed(&output.publish.as_ref()?.path)))
    }

    /// Says whether another task publishes, on this worker, where this one does.
    fn collides(&self, position: usize, name: &WorkerId) -> bool {
        let there = |other: usize| {
            let last = self.tasks[other].attempts.last();
            let seat = last.filter(|last| last.is_live() || last.is_held());
            let pinned = self.task_spec(other).placement.worker.as_ref();
            seat.map(|last| &last.worker).or(pinned) == Some(name)
        };
        let mut others = (0..self.tasks.len()).filter(|other| *other != position && there(*other));
        others.any(|other| {
            self.targets(other).any(|theirs| self.targets(position).any(|own| meet(own, theirs)))
        })
    }
}

impl Scheduler {
    /// Says whether further workers shall hold what the task has sealed.
    pub(crate) fn wants_copy(&self, id: &JobId, task: usize) -> bool {
        let job = self.jobs.get(id).filter(|job| job.phase == Phase::Running);
        job.is_some_and(|job| job.lacks_replicas(task) > 0)
    }

    /// Says what an attempt is that a worker speaks of which was never given to it as a try.
    pub(crate) fn standing_of_copy(
        &self,
        job: &ActiveJob,
        task: usize,
        id: &AttemptId,
        worker: &WorkerId,
        uid: Option<WorkerUid>,
    ) -> Standing {
        if job.held_attempt(task).is_none_or(|held| held.id != *id) {
            return Standing::Fenced;
        }
        let known = job.tasks[task].replicas.get(worker).map(|replica| replica.uid);
        if known.is_some() && known == uid {
            Standing::Replica
        } else if job.phase == Phase::Running && job.lacks_replicas(task) > 0 {
            Standing::Copy { task }
        } else {
            Standing::Fenced
        }
    }

    /// Notes that a worker makes a copy, also one that an earlier start has ordered.
    pub(crate) fn note_copying(
        &mut self,
        now: Moment,
        worker: &WorkerId,
        id: &AttemptId,
        at: usize,
    ) {
        let copying = self.copies.entry((id.job.clone(), at));
        let copying = copying.or_insert_with(|| Copying::of(id.clone()));
        copying.ordered.entry(worker.clone()).or_insert(now);
    }

    /// Takes the report of a worker that has copied what another one sealed.
    pub(crate) fn end_copy(
        &mut self,
        now: Moment,
        worker: &WorkerId,
        id: AttemptId,
        task: usize,
        end: AttemptEnd,
    ) -> Reaction {
        let acknowledge = Action::Acknowledge { worker: worker.clone(), attempt: id.clone() };
        let discard = Action::Discard { worker: worker.clone(), attempt: id.clone() };
        let uid = self.roster.get(worker).map(|known| known.registration.uid);
        match (end, uid) {
            (AttemptEnd::Sealed { outputs, .. }, Some(uid)) if self.equals(&id, task, &outputs) => {
                self.note_listed(worker, &id);
                if let Some(copying) = self.copies.get_mut(&(id.job.clone(), task)) {
                    copying.ordered.remove(worker);
                }
                let job = id.job.clone();
                let (attempt, worker) = (id, worker.clone());
                let record = Record::Replicated { attempt, worker, uid, outputs };
                let mut reaction = self.record(now, record);
                reaction.actions.insert(0, acknowledge);
                reaction.actions.extend(self.attend(now, &job));
                reaction
            }
            (AttemptEnd::Sealed { .. }, _) => {
                self.fail_copy(now, worker, &id, task, "it came out differently".to_owned());
                Reaction::perform([acknowledge, discard])
            }
            (AttemptEnd::Failed { failure: Failure { message, .. }, .. }, _) => {
                self.fail_copy(now, worker, &id, task, message);
                Reaction::perform([acknowledge])
            }
        }
    }

    fn equals(&self, id: &AttemptId, task: usize, copied: &[StagedOutput]) -> bool {
        let held = self.jobs.get(&id.job).and_then(|job| job.held_attempt(task));
        held.is_some_and(|held| {
            let sealed = held.held_outputs();
            sealed.len() == copied.len()
                && sealed.iter().all(|one| {
                    copied.iter().any(|copy| copy.name == one.name && copy.digest == one.digest)
                })
        })
    }

    fn fail_copy(
        &mut self,
        now: Moment,
        worker: &WorkerId,
        id: &AttemptId,
        at: usize,
        why: String,
    ) {
        let key = (id.job.clone(), at);
        let copying = self.copies.entry(key.clone()).or_insert_with(|| Copying::of(id.clone()));
        copying.ordered.remove(worker);
        copying.failures += 1;
        let doublings = copying.failures.min(BACKOFF_DOUBLINGS_MAX);
        let again = now.after(COPY_REPETITION.saturating_mul(1 << doublings));
        copying.failed.insert(worker.clone(), again);
        copying.complaint = Some(format!("{worker}: {why}"));
        // Somebody else may do it at once.
        self.agenda.set(Due::Copying(key.0, key.1), now);
    }

    /// Orders further workers to copy what a task has sealed, until enough have done so.
    pub(crate) fn copy(&mut self, now: Moment, id: &JobId, task: usize) -> Reaction {
        let key = (id.clone(), task);
        if !self.wants_copy(id, task) {
            self.copies.remove(&key);
            return Reaction::none();
        }
        self.agenda.set(Due::Copying(id.clone(), task), now.after(COPY_REPETITION));
        let job = &self.jobs[id];
        let Some(attempt) = job.held_attempt(task).map(|held| held.id.clone()) else {
            return Reaction::none();
        };
        let lacking = job.lacks_replicas(task);
        let ready = |name: &WorkerId| self.roster.get(name).is_some_and(Worker::is_ready);
        let copying = self.copies.remove(&key).filter(|copying| copying.attempt == attempt);
        let mut copying = copying.unwrap_or_else(|| Copying::of(attempt));
        copying.ordered.retain(|name, _| ready(name));
        while copying.ordered.len() < lacking {
            let Some(target) = self.copy_target(now, &self.jobs[id], task, &copying) else { break };
            copying.ordered.insert(target, now);
        }
        let due = copying.ordered.iter_mut().filter(|(_, since)| {
            // Whoever is at it answers the repeated order with nothing.
            **since == now || now.since(**since) >= COPY_AGAIN
        });
        let names: Vec<WorkerId> = due
            .map(|(name, since)| {
                *since = now;
                name.clone()
            })
            .collect();
        self.copies.insert(key, copying);
        let orders = names.iter().filter_map(|name| self.copy_assignment(now, id, task, name));
        let orders: Vec<Action> = orders.map(|order| Action::Start(Box::new(order))).collect();
        Reaction::perform(orders)
    }

    /// Chooses who copies next: who may publish where the task does, and has space.
    fn copy_target(
        &self,
        now: Moment,
        job: &ActiveJob,
        task: usize,
        copying: &Copying,
    ) -> Option<WorkerId> {
        let placement = &job.task_spec(task).placement;
        let labels = votum_job::Placement { worker: None, labels: placement.labels.clone() };
        let free = |name: &WorkerId| {
            !copying.ordered.contains_key(name)
                && copying.failed.get(name).is_none_or(|until| *until <= now)
        };
        let able = self.able(job, task).filter(|(name, worker)| worker.is_open() && free(name));
        let best = able.max_by_key(|(name, worker)| {
            (worker.matches(&labels), worker.free_bytes, std::cmp::Reverse((*name).clone()))
        });
        best.map(|(name, _)| name.clone())
    }

    /// Returns the workers that could hold one more replica, whether they can be reached or not.
    fn able<'a>(
        &'a self,
        job: &'a ActiveJob,
        task: usize,
    ) -> impl Iterator<Item = (&'a WorkerId, &'a Worker)> {
        let holder = job.held_attempt(task).map(|held| &held.worker);
        self.roster.present().filter(move |(name, worker)| {
            Some(*name) != holder
                && !job.tasks[task].replicas.contains_key(*name)
                && job.targets(task).all(|target| may_publish(&worker.registration, target))
                && !job.collides(task, name)
        })
    }

    /// Spells out the order to copy what a task has sealed.
    fn copy_assignment(
        &self,
        now: Moment,
        id: &JobId,
        task: usize,
        worker: &WorkerId,
    ) -> Option<Assignment> {
        let job = self.jobs.get(id)?;
        let held = job.held_attempt(task)?;
        let (holder, outputs) = self.sources_of_copy(job, task, held).next()?;
        let address = &self.roster.get(holder)?.registration.artifact_address;
        let source = |output: &StagedOutput| ResolvedInput {
            name: output.name.clone(),
            source: InputSource::Staged {
                holder: holder.clone(),
                address: address.clone(),
                attempt: held.id.clone(),
                output: output.name.clone(),
                digest: output.digest,
                bytes: output.bytes,
                read_token: output.read_token.clone(),
            },
        };
        let given = |output: &StagedOutput| {
            let (task, output) = (held.id.task.clone(), output.name.clone());
            (output.clone(), InputSpec::TaskOutput { task, output })
        };
        let spec = job.task_spec(task);
        let deadline = self.agenda.moment(&Due::Deadline(id.clone()));
        let rest = deadline.map_or(spec.timeout, |deadline| deadline.since(now));
        Some(Assignment {
            attempt: held.id.clone(),
            number: held.number,
            worker: worker.clone(),
            job_name: job.spec.display_name.clone(),
            spec: TaskSpec {
                inputs: outputs.iter().map(given).collect(),
                outputs: spec.outputs.clone(),
                timeout: spec.timeout,
                grace_period: spec.grace_period,
                ..TaskSpec::of(copying(outputs))
            },
            job_env: BTreeMap::new(),
            params: BTreeMap::new(),
            inputs: outputs.iter().map(source).collect(),
            time_limit: spec.timeout.min(rest),
            resume: Vec::new(),
            role: Role::Task,
        })
    }

    /// Returns the holders of what a task has sealed that can be read now, the first one first.
    fn sources_of_copy<'a>(
        &'a self,
        job: &'a ActiveJob,
        task: usize,
        held: &'a Attempt,
    ) -> impl Iterator<Item = (&'a WorkerId, &'a [StagedOutput])> {
        let replicas = job.tasks[task].replicas.iter();
        let replicas =
            replicas.map(|(name, replica)| (name, replica.uid, replica.outputs.as_slice()));
        let all = std::iter::once((&held.worker, held.uid, held.held_outputs())).chain(replicas);
        all.filter(|(name, uid, _)| {
            let worker = self.roster.get(name);
            worker.is_some_and(|worker| worker.is_ready() && worker.registration.uid == *uid)
        })
        .map(|(name, _, outputs)| (name, outputs))
    }

    /// Returns who takes the place of the holder of what a task has sealed, if anybody can.
    pub(crate) fn next_holder(&self, job: &ActiveJob, task: usize) -> Option<Moved> {
        let held = job.held_attempt(task)?;
        let able = job.tasks[task].replicas.iter().filter_map(|(name, replica)| {
            let worker = self.roster.get(name)?;
            let there = !worker.is_lost()
                && !worker.is_foreign(replica.uid)
                && !worker.is_missing(&held.id)
                && !job.collides(task, name);
            there.then_some((worker.is_ready(), std::cmp::Reverse(name), replica.uid))
        });
        let (_, std::cmp::Reverse(name), uid) =
            able.max_by_key(|(ready, name, _)| (*ready, *name))?;
        Some(Moved { task: job.graph.name(task).clone(), worker: name.clone(), uid })
    }

    /// Notes where outputs are whose publisher was replaced after the decision.
    pub(crate) fn follow_publishers(
        &mut self,
        now: Moment,
        id: &JobId,
        worker: &WorkerId,
        uid: WorkerUid,
        mut moved: Vec<Moved>,
    ) -> Reaction {
        let Some(job) = self.jobs.get(id) else { return Reaction::none() };
        moved.retain(|one| {
            let Some(position) = job.graph.position(&one.task) else { return false };
            let held = job.held_attempt(position);
            let replica = job.tasks[position].replicas.get(&one.worker);
            held.is_some_and(|held| held.worker == *worker && held.uid == uid)
                && replica.is_some_and(|replica| replica.uid == one.uid)
        });
        if moved.is_empty() {
            return Reaction::none();
        }
        let (job, worker) = (id.clone(), worker.clone());
        let (attempts, staged) = (Vec::new(), Vec::new());
        let mut reaction =
            self.record(now, Record::Lost { job, worker, uid, attempts, staged, moved });
        // It may be in doubt about it, or show it: the commit protocol has the word.
        reaction.actions.retain(|action| !matches!(action, Action::Discard { .. }));
        reaction
    }

    /// Returns who holds what an attempt has sealed, beside the worker that it is with, and may
    /// publish it; whoever can be reached now comes first.
    ///
    /// None unless both speak at least this version of the session's protocol.
    #[must_use]
    pub fn replica_holders(
        &self,
        id: &JobId,
        task: &TaskId,
        token: FencingToken,
        protocol: u32,
    ) -> Vec<ReplicaHolder> {
        let Some(job) = self.jobs.get(id) else { return Vec::new() };
        let Some(position) = job.graph.position(task) else { return Vec::new() };
        let speaks = |name: &WorkerId| {
            let worker = self.roster.get(name);
            worker.is_some_and(|worker| worker.registration.protocol >= protocol)
        };
        let held = job.held_attempt(position).filter(|held| held.id.token == token);
        if held.is_none_or(|held| !speaks(&held.worker)) {
            return Vec::new();
        }
        let mut holders: Vec<(bool, ReplicaHolder)> = job.tasks[position]
            .replicas
            .iter()
            .filter(|(name, _)| !job.collides(position, name) && speaks(name))
            .filter_map(|(name, replica)| {
                let worker = self.roster.get(name)?;
                let there = !worker.is_lost() && !worker.is_foreign(replica.uid);
                let address = worker.registration.artifact_address.clone();
                let holder = ReplicaHolder { worker: name.clone(), uid: replica.uid, address };
                there.then_some((!worker.is_ready(), holder))
            })
            .collect();
        holders.sort_by_key(|(away, _)| *away);
        holders.into_iter().map(|(_, holder)| holder).collect()
    }

    /// Finds a replica of a job that a worker holds no longer.
    pub(crate) fn replica_loss(&self, name: &WorkerId, id: &JobId) -> Option<Record> {
        let (worker, job) = (self.roster.get(name)?, self.jobs.get(id)?);
        match job.phase {
            Phase::Running | Phase::Failing(_) => {}
            // Nobody is told to discard what may still be published, or kept for a rescue.
            Phase::Aborting { .. } | Phase::Committing => return None,
        }
        let lost = |task: &usize| {
            let held = job.held_attempt(*task)?;
            let replica = job.tasks[*task].replicas.get(name)?;
            let gone =
                worker.is_lost() || worker.is_foreign(replica.uid) || worker.is_missing(&held.id);
            gone.then(|| (held.id.clone(), replica.uid))
        };
        let (attempt, uid) = (0..job.tasks.len()).find_map(|task| lost(&task))?;
        Some(Record::ReplicaLost { attempt, worker: name.clone(), uid })
    }

    /// Says in one sentence for what holders a staged task's outputs wait; none if there are enough.
    pub(crate) fn why_uncopied(&self, job: &ActiveJob, task: usize) -> Option<String> {
        let lacking = job.lacks_replicas(task);
        if lacking == 0 || job.phase != Phase::Running {
            return None;
        }
        let holders = 1 + job.tasks[task].replicas.len();
        let wanted = holders + lacking;
        let head = format!("its outputs lie on {holders} of {wanted} workers");
        let copying = self.copies.get(&(job.id.clone(), task));
        let busy: BTreeSet<&WorkerId> =
            copying.into_iter().flat_map(|copying| copying.ordered.keys()).collect();
        if !busy.is_empty() {
            let names: Vec<&str> = busy.iter().map(|name| name.as_str()).collect();
            return Some(format!("{head}; {} copies them", names.join(", ")));
        }
        if let Some(complaint) = copying.and_then(|copying| copying.complaint.as_ref()) {
            return Some(format!("{head}; the last copy failed on {complaint}"));
        }
        let mut able = self.able(job, task).peekable();
        if able.peek().is_none() {
            let targets: Vec<&str> = job.targets(task).collect();
            return Some(match targets.as_slice() {
                [] => format!("{head}; there is no other worker"),
                [first, ..] => format!("{head}; no other worker allows {first}"),
            });
        }
        Some(match able.find(|(_, worker)| worker.is_open()) {
            Some(_) => format!("{head}; another copy is ordered next"),
            None => format!("{head}; no other worker that allows its targets is connected"),
        })
    }
}

/// Says whether a worker publishes below a root that a target lies in.
fn may_publish(registration: &Registration, target: &str) -> bool {
    if !target.starts_with('/') {
        return !registration.publish_roots.is_empty();
    }
    registration.publish_roots.iter().any(|root| {
        let root = trimmed(root);
        target.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
    })
}

/// Says whether two targets are one, or lie in one another.
fn meet(one: &str, other: &str) -> bool {
    let inside = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    inside(one, other) || inside(other, one)
}

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

/// How often it is looked whether enough workers hold a copy.
const COPY_REPETITION: std::time::Duration = std::time::Duration::from_secs(5);
/// After this long without an answer the same worker is asked again.
const COPY_AGAIN: std::time::Duration = std::time::Duration::from_secs(20);
/// The pause of a worker that failed to copy grows up to 64 repetitions.
const BACKOFF_DOUBLINGS_MAX: u32 = 6;
