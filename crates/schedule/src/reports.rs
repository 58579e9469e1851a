//! What workers say about attempts, and what jobs thereupon say to the rest of the coordinator.

use std::{collections::BTreeMap, time::Duration};

use votum_ids::{AttemptId, JobId, WorkerId};
use votum_job::{AttemptEnd, AttemptState, Comeback, OnExhausted, SelfReport};
use votum_machine::{Moment, WallTime};

use crate::{
    Action, HeldOutput, Holding, Record, Scheduler,
    active_job::{Blame, Orphan, Phase, TaskState},
    attempt::Outcome,
    pace::{LastWords, Pace},
    scheduler::Reaction,
};

/// What the coordinator holds of an attempt that a worker speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is the live one.
    Live,
    /// Its seal is recorded and counts.
    Sealed,
    /// Its failure is recorded.
    Failed,
    /// Nobody wants it: superseded, lost, of a job that is over, or never given out.
    Fenced,
    /// It is a replica of what another worker sealed, and recorded.
    Replica,
    /// It is on its way to be one.
    Copy {
        /// The task's number.
        task: usize,
    },
    /// The log lost its assignment, and its task could take it.
    Unknown {
        /// The task's number.
        task: usize,
    },
}

impl Scheduler {
    /// Takes the report that the program of an attempt runs.
    pub(crate) fn start(&mut self, now: Moment, worker: &WorkerId, attempt: AttemptId) -> Reaction {
        let actions = self.hear(now, worker, None);
        let mut reaction = match self.standing(worker, &attempt) {
            Standing::Live => {
                self.note_listed(worker, &attempt);
                let known = self.jobs.get(&attempt.job).is_some_and(|job| {
                    let task = job.graph.position(&attempt.task);
                    let live = task.and_then(|task| job.live_attempt(task));
                    live.is_some_and(|live| live.started.is_some())
                });
                if known { Reaction::none() } else { self.record(now, Record::Started { attempt }) }
            }
            Standing::Unknown { task } => {
                let found = self.find(now, task, worker, attempt, None, AttemptState::Live);
                Reaction::perform(found)
            }
            Standing::Fenced => {
                let reaction = self.note_comeback(now, &attempt, Comeback::Running);
                reaction.then(Action::Discard { worker: worker.clone(), attempt })
            }
            Standing::Copy { task } => {
                self.note_copying(now, worker, &attempt, task);
                Reaction::none()
            }
            // Late: its end was reported and recorded before.
            Standing::Sealed | Standing::Failed | Standing::Replica => Reaction::none(),
        };
        reaction.actions.splice(0..0, actions);
        reaction
    }

    /// Takes in what a program has said of itself; it is recorded with its end.
    pub(crate) fn hear_report(
        &mut self,
        now: Moment,
        worker: &WorkerId,
        attempt: AttemptId,
        report: SelfReport,
        age: Duration,
    ) -> Reaction {
        let mut actions = self.hear(now, worker, None);
        match self.standing(worker, &attempt) {
            Standing::Live => {
                let Some(task) =
                    self.jobs.get(&attempt.job).and_then(|job| job.graph.position(&attempt.task))
                else {
                    return Reaction::perform(actions);
                };
                let pace = self.paces.entry((attempt.job.clone(), task));
                let pace = pace.or_insert_with(|| Pace::new(attempt.clone()));
                if !pace.is_of(&attempt) {
                    *pace = Pace::new(attempt);
                }
                let at = Moment::since_start(now.elapsed().saturating_sub(age));
                let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                let wall = WallTime(self.anchor.at(now).0.saturating_sub(millis));
                pace.note(at, wall, report);
            }
            Standing::Fenced => {
                actions.push(Action::Discard { worker: worker.clone(), attempt });
            }
            // Late, or said of an attempt that its task may still adopt.
            Standing::Sealed
            | Standing::Failed
            | Standing::Unknown { .. }
            // A copy says nothing of the task.
            | Standing::Replica
            | Standing::Copy { .. } => {}
        }
        Reaction::perform(actions)
    }

    /// Returns what an attempt has said of itself so far.
    pub(crate) fn said(&self, attempt: &AttemptId) -> Option<Box<LastWords>> {
        let task = self.jobs.get(&attempt.job)?.graph.position(&attempt.task)?;
        let pace = self.paces.get(&(attempt.job.clone(), task))?;
        pace.is_of(attempt).then(|| pace.said())?
    }

    /// Takes the report of an attempt's end.
    pub(crate) fn end(
        &mut self,
        now: Moment,
        worker: &WorkerId,
        attempt: AttemptId,
        end: AttemptEnd,
    ) -> Reaction {
        let actions = self.hear(now, worker, None);
        let mut reaction = self.end_numbered(now, worker, attempt, None, end);
        reaction.actions.splice(0..0, actions);
        reaction
    }

    /// Takes the report of an attempt's end; an inventory also knows its number.
    pub(crate) fn end_numbered(
        &mut self,
        now: Moment,
        worker: &WorkerId,
        attempt: AttemptId,
        number: Option<u32>,
        end: AttemptEnd,
    ) -> Reaction {
        let end = match self.jobs.get(&attempt.job) {
            Some(job) => self.excuse_drained(worker, &job.phase, end),
            None => end,
        };
        let sealed = matches!(end, AttemptEnd::Sealed { .. });
        let acknowledge = Action::Acknowledge { worker: worker.clone(), attempt: attempt.clone() };
        let discard = Action::Discard { worker: worker.clone(), attempt: attempt.clone() };
        match self.standing(worker, &attempt) {
            Standing::Live => {
                self.note_listed(worker, &attempt);
                let job = attempt.job.clone();
                let said = self.said(&attempt);
                let mut reaction = self.record(now, Record::Ended { attempt, end, said });
                reaction.actions.insert(0, acknowledge);
                let wanted = self.jobs.get(&job).is_some_and(|job| match job.phase {
                    Phase::Running => true,
                    // A rescue may want it.
                    Phase::Failing(_) | Phase::Aborting { .. } => !job.spec.keep_staged.is_zero(),
                    Phase::Committing => false,
                });
                if sealed && !wanted {
                    reaction.actions.push(discard);
                }
                reaction.actions.extend(self.attend(now, &job));
                reaction
            }
            Standing::Copy { task } => self.end_copy(now, worker, attempt, task, end),
            Standing::Sealed | Standing::Replica => {
                if sealed {
                    self.note_listed(worker, &attempt);
                }
                Reaction::perform([acknowledge])
            }
            Standing::Failed if !sealed => Reaction::perform([acknowledge]),
            Standing::Failed => Reaction::perform([acknowledge, discard]),
            Standing::Fenced => {
                let comeback = Comeback::of_end(&end);
                self.note_comeback(now, &attempt, comeback).then(acknowledge).then(discard)
            }
            Standing::Unknown { task } => {
                let state = AttemptState::Ended(end);
                Reaction::perform(self.find(now, task, worker, attempt, number, state))
            }
        }
    }

    /// Takes the word of a worker that it discards an attempt which was given up.
    pub(crate) fn hear_discarded(
        &mut self,
        now: Moment,
        worker: &WorkerId,
        attempt: &AttemptId,
        comeback: Comeback,
    ) -> Reaction {
        match self.standing(worker, attempt) {
            Standing::Fenced => self.note_comeback(now, attempt, comeback),
            Standing::Live
            | Standing::Sealed
            | Standing::Failed
            | Standing::Replica
            | Standing::Copy { .. }
            | Standing::Unknown { .. } => Reaction::none(),
        }
    }

    /// Records, once, that an attempt which was given up is still there: its job's history says
    /// what it did.
    pub(crate) fn note_comeback(
        &mut self,
        now: Moment,
        attempt: &AttemptId,
        comeback: Comeback,
    ) -> Reaction {
        let notable = self.jobs.get(&attempt.job).is_some_and(|job| {
            let task = job.graph.position(&attempt.task);
            let attempts = task.map_or(&[][..], |task| &job.tasks[task].attempts);
            job.comebacks < COMEBACKS_MAX
                && attempts.iter().any(|known| known.id == *attempt && known.may_come_back())
        });
        if notable {
            self.record(now, Record::Returned { attempt: attempt.clone(), comeback })
        } else {
            Reaction::none()
        }
    }

    /// Says what the coordinator holds of an attempt that `worker` speaks of (R1).
    pub(crate) fn standing(&self, worker: &WorkerId, id: &AttemptId) -> Standing {
        let Some(job) = self.jobs.get(&id.job) else { return Standing::Fenced };
        let Some(task) = job.graph.position(&id.task) else { return Standing::Fenced };
        let uid = self.roster.get(worker).map(|worker| worker.registration.uid);
        let attempts = &job.tasks[task].attempts;
        let Some(attempt) = attempts.iter().rfind(|attempt| attempt.id == *id) else {
            let newest = attempts.last().is_none_or(|last| last.id.token < id.token);
            let open = match job.tasks[task].state {
                // It was given out because the live one of the log was over: that is lost as well.
                TaskState::Pending | TaskState::Retrying(_) | TaskState::Live => {
                    job.phase == Phase::Running
                }
                TaskState::Staged | TaskState::Failed(_) => false,
            };
            let earlier = id.token.epoch < self.epoch;
            let adoptable = newest && open && earlier && uid.is_some();
            return if adoptable { Standing::Unknown { task } } else { Standing::Fenced };
        };
        if attempt.worker != *worker || Some(attempt.uid) != uid {
            return self.standing_of_copy(job, task, id, worker, uid);
        }
        match &attempt.outcome {
            Outcome::Live => Standing::Live,
            Outcome::Sealed { held: true, .. } => Standing::Sealed,
            Outcome::Failed { .. } => Standing::Failed,
            Outcome::Sealed { held: false, .. } | Outcome::Lost | Outcome::Superseded => {
                Standing::Fenced
            }
        }
    }

    /// Keeps an attempt that the log does not know until its task can adopt it (R4).
    ///
    /// Its end is not acknowledged before it was adopted and recorded.
    pub(crate) fn find(
        &mut self,
        now: Moment,
        task: usize,
        worker: &WorkerId,
        attempt: AttemptId,
        number: Option<u32>,
        state: AttemptState,
    ) -> Vec<Action> {
        let id = attempt.job.clone();
        let Some(job) = self.jobs.get_mut(&id) else { return Vec::new() };
        let next = u32::try_from(job.tasks[task].attempts.len()).unwrap_or(u32::MAX - 1) + 1;
        let number = number.unwrap_or(next).max(next);
        let orphan = Orphan { worker: worker.clone(), attempt, number, state };
        let unwanted = match job.orphans.get(&task) {
            Some(known) if known.attempt.token > orphan.attempt.token => Some(orphan),
            // A report that a process runs may overtake the one that it ended.
            Some(known)
                if known.attempt == orphan.attempt && orphan.state == AttemptState::Live =>
            {
                None
            }
            Some(known) if known.attempt == orphan.attempt => {
                job.orphans.insert(task, orphan);
                None
            }
            Some(_) | None => job.orphans.insert(task, orphan),
        };
        let mut actions = Vec::new();
        if let Some(Orphan { worker, attempt, .. }) = unwanted {
            self.roster.change(&worker, |worker| worker.orphans.remove(&(id.clone(), task)));
            actions.push(Action::Discard { worker, attempt });
        }
        let keeper = self.jobs[&id].orphans.get(&task).map(|orphan| orphan.worker.clone());
        let superseded = self.jobs[&id].live_attempt(task).map(|live| live.worker.clone());
        self.reckonings.extend(superseded.map(|holder| (holder, id.clone())));
        if let Some(keeper) = keeper {
            self.roster.change(&keeper, |worker| worker.orphans.insert((id.clone(), task)));
        }
        self.reindex(now, self.anchor.at(now), &id, task);
        actions
    }

    /// Makes an attempt that a worker listed the live one of its task.
    pub(crate) fn adopt(&mut self, now: Moment, id: &JobId, task: usize) -> Reaction {
        let Some(job) = self.jobs.get_mut(id).filter(|job| job.is_ready(task)) else {
            return Reaction::none();
        };
        let Some(Orphan { worker, attempt, number, state }) = job.orphans.remove(&task) else {
            return Reaction::none();
        };
        // What it read was sealed before it was given out, or it is built on something else.
        let sources = job.sources(task);
        let outdated = sources.iter().any(|&source| {
            job.held_attempt(source).is_none_or(|held| held.id.token > attempt.token)
        });
        let uid = self.roster.change(&worker, |worker| {
            worker.orphans.remove(&(id.clone(), task));
            worker.registration.uid
        });
        let exclusive = job.task_spec(task).acts_outside();
        let Some(uid) = uid.filter(|_| !outdated) else {
            self.reindex(now, self.anchor.at(now), id, task);
            return Reaction::perform([Action::Discard { worker, attempt }]);
        };
        self.note_listed(&worker, &attempt);
        self.adopt_strays(id, attempt.token);
        if let AttemptState::Ended(end) = state {
            self.ends.push_back((worker.clone(), attempt.clone(), end));
        }
        let reaction =
            self.record(now, Record::Assigned { attempt, number, worker, uid, exclusive });
        match self.stop_set_aside(id, task) {
            Some(stop) => reaction.then(stop),
            None => reaction,
        }
    }

    /// Reports what a job has come to, if it was not reported.
    pub(crate) fn attend(&mut self, now: Moment, id: &JobId) -> Vec<Action> {
        let Some(job) = self.jobs.get_mut(id) else { return Vec::new() };
        match &mut job.phase {
            Phase::Failing(_) | Phase::Committing => Vec::new(),
            Phase::Aborting { stopped, why: _ } => {
                if job.live > 0 || std::mem::replace(stopped, true) {
                    return Vec::new();
                }
                vec![Action::Stopped { job: id.clone() }]
            }
            Phase::Running => {
                if let Some(TaskState::Failed(blame)) =
                    job.failed.map(|task| &job.tasks[task].state)
                    && job.spec.on_exhausted == OnExhausted::Abort
                {
                    let blame = blame.clone();
                    return self.fail(now, id, blame);
                }
                if job.digest_changes > self.config.digest_changes_max {
                    let blame = nondeterministic(job.digest_changes);
                    return self.fail(now, id, blame);
                }
                self.offer(now, id)
            }
        }
    }

    /// Offers a job for commit once everything is staged and every publisher is there.
    fn offer(&mut self, now: Moment, id: &JobId) -> Vec<Action> {
        let Some(job) = self.jobs.get(id) else { return Vec::new() };
        if job.offered || !job.holds.is_empty() || job.staged < job.tasks.len() {
            return Vec::new();
        }
        if job.lacks_approval() {
            // A person is asked last, about what nothing else keeps from being voted on.
            if (0..job.tasks.len()).all(|task| job.lacks_replicas(task) == 0) {
                self.seek_approval(now, id);
            }
            return Vec::new();
        }
        let Some(holdings) = self.holdings(id) else { return Vec::new() };
        let Some(job) = self.jobs.get_mut(id) else { return Vec::new() };
        job.offered = true;
        let overtaken = job.overtake_dry_vote();
        let prepare_timeout = job.spec.prepare_timeout;
        let staged = Action::AllStaged { job: id.clone(), holdings, prepare_timeout };
        [staged].into_iter().chain(overtaken).collect()
    }

    /// Returns who holds what; nothing while a publisher is not there.
    fn holdings(&self, id: &JobId) -> Option<Vec<Holding>> {
        let job = self.jobs.get(id)?;
        let mut holdings: BTreeMap<WorkerId, Holding> = BTreeMap::new();
        for (position, task) in job.graph.names().iter().enumerate() {
            let Some(attempt) = job.held_attempt(position) else { continue };
            if job.lacks_replicas(position) > 0 {
                return None;
            }
            let outputs = attempt.held_outputs();
            let specs = &job.spec.tasks[task].outputs;
            let target = |name| specs.get(name).and_then(|spec| spec.publish.clone());
            let worker = self.roster.get(&attempt.worker)?;
            let settled = worker.is_ready()
                && worker.registration.uid == attempt.uid
                && !self.reckonings.contains(&(attempt.worker.clone(), id.clone()));
            if !settled && outputs.iter().any(|output| target(&output.name).is_some()) {
                return None;
            }
            // Who has nothing to publish is asked if it is there, and not waited for.
            if !settled || outputs.is_empty() {
                continue;
            }
            let holding = holdings.entry(attempt.worker.clone()).or_insert_with(|| Holding {
                worker: attempt.worker.clone(),
                uid: attempt.uid,
                address: worker.registration.artifact_address.clone(),
                outputs: Vec::new(),
            });
            holding.outputs.extend(outputs.iter().map(|output| HeldOutput {
                task: task.clone(),
                output: output.name.clone(),
                token: attempt.id.token,
                digest: output.digest,
                target: target(&output.name),
                replaceable: job.task_spec(position).replicas() > 1,
            }));
        }
        Some(holdings.into_values().collect())
    }
}

fn nondeterministic(changes: u32) -> Blame {
    Blame {
        reason: "NONDETERMINISTIC".to_owned(),
        message: format!(
            "outputs that were made again came out differently {changes} times, \
             so that what was built on them had to run again"
        ),
    }
}

/// Most returns of attempts that one job's history tells.
const COMEBACKS_MAX: usize = 100;
