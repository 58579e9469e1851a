//! What is left to do for one decided job.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    sync::Arc,
};

use votum_ids::{AttemptId, FencingToken, JobId, TaskId, WorkerId};
use votum_job::{
    Assignment, Compensation, EffectSpec, EffectWork, HookRole, JobSpec, Placement, RetryPolicy,
    Role, TaskSpec,
};
use votum_machine::{Moment, WallTime};

use crate::{
    Action, Facts, HookKind, Host, Post, Record, Started,
    hook::{Hook, OnUnknown, Place, State, Try},
    order,
};

/// What is left to do for one decided job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) job: JobId,
    spec: Arc<JobSpec>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) started: Arc<[Started]>,
    pub(crate) hooks: BTreeMap<TaskId, Hook>,
    /// Workers that were ever given a try.
    pub(crate) visited: BTreeSet<WorkerId>,
}

/// The rest never changes, or changes nothing of what the hooks do.
impl Hash for Plan {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hooks.hash(state);
    }
}

/// How a try of a hook begins.
pub(crate) enum Beginning {
    /// With a request, which needs no worker.
    Request(Box<Post>),
    /// With the search for a worker.
    Search(Action),
}

/// What one hook does.
enum Work<'a> {
    Effect(&'a EffectSpec),
    Compensation(&'a TaskSpec, &'a Compensation, &'a Started),
}

impl Plan {
    /// Makes the plan that a decision leaves; nothing of it is begun.
    pub(crate) fn new(
        now: Moment,
        job: JobId,
        spec: Arc<JobSpec>,
        facts: Box<Facts>,
        started: Vec<Started>,
    ) -> Self {
        let compensatable = |started: &Started| {
            spec.tasks.get(&started.task).is_some_and(|task| task.compensate.is_some())
        };
        let started: Arc<[Started]> = started.into_iter().filter(compensatable).collect();
        let hooks = order::hooks(&spec, facts.verdict, &started);
        let (facts, visited) = (facts.into(), BTreeSet::new());
        let mut plan = Self { job, spec, facts, started, hooks, visited };
        plan.promote(now);
        plan
    }

    /// Says whether nothing is left.
    pub(crate) fn is_settled(&self) -> bool {
        self.hooks.values().all(Hook::is_over)
    }

    /// Says whether a compensation is left, be it for a person to decide.
    pub(crate) fn is_undoing(&self) -> bool {
        let undoes = |hook: &&Hook| hook.kind == HookKind::Compensation;
        self.hooks.values().filter(undoes).any(|hook| !hook.is_over())
    }

    /// Lets hooks become due whose turn has come; one that is due waits again if what it
    /// follows is under way again, because a person wants that.
    fn promote(&mut self, now: Moment) {
        let held = self.held();
        let over = |name: &TaskId| self.hooks.get(name).is_none_or(Hook::is_over);
        let still =
            |name: &TaskId| held.contains(name) || self.hooks.get(name).is_none_or(Hook::is_still);
        let turned = |hook: &Hook| {
            let ready = || hook.needs.iter().all(over) && hook.follows.iter().all(still);
            match hook.state {
                State::Waiting => ready(),
                State::Due { .. } => !ready(),
                State::Running(_) | State::Done | State::Parked { .. } | State::Closed { .. } => {
                    false
                }
            }
        };
        let turned = self.hooks.iter().filter(|(_, hook)| turned(hook));
        for name in turned.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            if let Some(hook) = self.hooks.get_mut(&name) {
                match hook.state {
                    State::Waiting => hook.make_due(now),
                    State::Due { .. }
                    | State::Running(_)
                    | State::Done
                    | State::Parked { .. }
                    | State::Closed { .. } => hook.state = State::Waiting,
                }
            }
        }
    }

    /// Returns the hooks that a case keeps waiting: they need it, or one that needs it.
    fn held(&self) -> BTreeSet<TaskId> {
        let mut held = BTreeSet::new();
        loop {
            let found: Vec<&TaskId> = self
                .hooks
                .iter()
                .filter(|(name, hook)| hook.state == State::Waiting && !held.contains(*name))
                .filter(|(_, hook)| {
                    let parked = |name: &TaskId| self.hooks.get(name).is_some_and(Hook::is_parked);
                    hook.needs.iter().any(|name| held.contains(name) || parked(name))
                })
                .map(|(name, _)| name)
                .collect();
            if found.is_empty() {
                return held;
            }
            held.extend(found.into_iter().cloned());
        }
    }

    /// Returns when something of it is due.
    pub(crate) fn next(&self) -> Option<Moment> {
        self.hooks.values().filter_map(due).min()
    }

    /// Returns the hook that is due for longest.
    pub(crate) fn due(&self, now: Moment) -> Option<&TaskId> {
        let times = self.hooks.iter().filter_map(|(name, hook)| Some((due(hook)?, name)));
        times.min().filter(|(at, _)| *at <= now).map(|(_, name)| name)
    }

    /// Applies a record, as a step makes it and as replay finds it.
    pub(crate) fn apply(&mut self, now: Moment, at: WallTime, record: &Record) {
        let pace = match record {
            Record::Tried { hook, .. } => self.pace(hook),
            Record::Opened { .. }
            | Record::Intended { .. }
            | Record::Stranded { .. }
            | Record::Resolved { .. } => None,
        };
        match record {
            Record::Opened { .. } => {}
            Record::Intended { hook, number, at: host, .. } => {
                let place = host.clone().map_or(Place::Here, |(host, token)| Place::Worker {
                    host,
                    token,
                    listed: false,
                });
                self.visited.extend(host.iter().map(|(host, _)| host.worker.clone()));
                if let Some(hook) = self.hooks.get_mut(hook) {
                    hook.intend(*number, place);
                }
            }
            Record::Tried { hook, trial, .. } => {
                if let (Some(hook), Some((retry, on_unknown))) = (self.hooks.get_mut(hook), pace) {
                    hook.end_try(now, at, trial, &retry, on_unknown);
                }
            }
            Record::Stranded { hook, message, .. } => {
                if let Some(hook) = self.hooks.get_mut(hook) {
                    hook.strand(at, message);
                }
            }
            Record::Resolved { hook, resolution, by, reason, .. } => {
                if let Some(hook) = self.hooks.get_mut(hook) {
                    hook.resolve(now, at, *resolution, by, reason);
                }
            }
        }
        self.promote(now);
    }

    /// Returns how a hook is tried again.
    pub(crate) fn pace(&self, name: &TaskId) -> Option<(RetryPolicy, OnUnknown)> {
        Some(match self.work(name)? {
            Work::Effect(effect) => {
                let on_unknown = match effect.on_unknown {
                    votum_job::OnUnknown::Repeat => OnUnknown::Repeat,
                    votum_job::OnUnknown::Park => OnUnknown::Park,
                };
                (effect.retry.clone(), on_unknown)
            }
            // It must bear to be repeated.
            Work::Compensation(_, compensation, _) => {
                (compensation.retry.clone(), OnUnknown::Repeat)
            }
        })
    }

    /// Returns how to begin a hook that is due: a request at once, or the search for a worker.
    pub(crate) fn begin(&self, name: &TaskId) -> Option<Beginning> {
        let (job, hook) = (self.job.clone(), name.clone());
        Some(match self.work(name)? {
            Work::Effect(EffectSpec {
                work: EffectWork::Webhook { url, headers },
                timeout,
                ..
            }) => Beginning::Request(Box::new(Post {
                job,
                number: self.hooks.get(name)?.tries + 1,
                url: url.clone(),
                headers: headers.clone(),
                key: self.key(name),
                body: self.facts.announcement.clone(),
                timeout: *timeout,
                hook,
            })),
            Work::Effect(EffectSpec { work: EffectWork::Program { placement, .. }, .. }) => {
                let placement = placement.clone();
                Beginning::Search(Action::Place { job, hook, placement, undoes: None })
            }
            Work::Compensation(task, compensation, started) => {
                let placement = if compensation.elsewhere {
                    task.placement.clone()
                } else {
                    let worker = Some(started.host.worker.clone());
                    Placement { worker, ..Placement::default() }
                };
                let undoes = Some(name.clone());
                Beginning::Search(Action::Place { job, hook, placement, undoes })
            }
        })
    }

    /// Returns the order to make the try that is under way.
    pub(crate) fn assignment(&self, name: &TaskId) -> Option<Assignment> {
        let State::Running(Try { number, place: Place::Worker { host, token, .. } }) =
            &self.hooks.get(name)?.state
        else {
            return None;
        };
        let (spec, undoes) = match self.work(name)? {
            Work::Effect(effect) => {
                let EffectWork::Program { placement, program, env } = &effect.work else {
                    return None;
                };
                let spec = TaskSpec {
                    placement: placement.clone(),
                    env: env.clone(),
                    timeout: effect.timeout,
                    retry: effect.retry.clone(),
                    ..TaskSpec::of(program.clone())
                };
                (spec, Vec::new())
            }
            Work::Compensation(task, compensation, started) => {
                let spec = TaskSpec {
                    env: task.env.clone(),
                    timeout: compensation.timeout,
                    retry: compensation.retry.clone(),
                    ..TaskSpec::of(compensation.program.clone())
                };
                let tokens = started.attempts.iter().map(|attempt| attempt.token);
                (spec, tokens.collect())
            }
        };
        let role = HookRole {
            key: self.key(name),
            verdict: self.facts.verdict.word().to_owned(),
            announcement: self.facts.announcement.clone(),
            undoes,
        };
        Some(Assignment {
            attempt: self.attempt(name, *token),
            number: *number,
            worker: host.worker.clone(),
            job_name: self.spec.display_name.clone(),
            time_limit: spec.timeout,
            // A try acts outside: the worker ends it at its lease (R3).
            spec: TaskSpec { exclusive: true, ..spec },
            job_env: self.spec.env.clone(),
            params: self.spec.params.clone(),
            inputs: Vec::new(),
            resume: Vec::new(),
            role: Role::Hook(Box::new(role)),
        })
    }

    /// Returns the hook of which this is the try under way, and where.
    pub(crate) fn current(&self, attempt: &AttemptId) -> Option<&Host> {
        match &self.hooks.get(&attempt.task)?.state {
            State::Running(Try { place: Place::Worker { host, token, .. }, .. })
                if *token == attempt.token =>
            {
                Some(host)
            }
            State::Running(_)
            | State::Waiting
            | State::Due { .. }
            | State::Done
            | State::Parked { .. }
            | State::Closed { .. } => None,
        }
    }

    /// Returns the number of the last try if this is it and it ended without its worker's word.
    pub(crate) fn missed(&self, attempt: &AttemptId, from: &Host) -> Option<u32> {
        let hook = self.hooks.get(&attempt.task)?;
        let Try { number, place: Place::Worker { host, token, .. } } = hook.missed.as_ref()? else {
            return None;
        };
        let same = *token == attempt.token && host == from;
        (same && hook.misses(*number)).then_some(*number)
    }

    /// Says whether an attempt is a try of a hook, and not one of the task that a hook undoes.
    pub(crate) fn knows(&self, attempt: &AttemptId) -> bool {
        let undone = |started: &Started| started.attempts.contains(attempt);
        self.hooks.contains_key(&attempt.task) && !self.started.iter().any(undone)
    }

    /// Says whether a hook may run on another worker than the one that has it.
    pub(crate) fn may_move(&self, name: &TaskId) -> bool {
        match self.work(name) {
            Some(Work::Effect(EffectSpec {
                work: EffectWork::Program { placement, .. }, ..
            })) => placement.worker.is_none(),
            Some(Work::Compensation(task, compensation, _)) => {
                compensation.elsewhere && task.placement.worker.is_none()
            }
            Some(Work::Effect(EffectSpec { work: EffectWork::Webhook { .. }, .. })) | None => false,
        }
    }

    /// Returns the key of a hook: of an effect its own, of a compensation that of its task.
    pub(crate) fn key(&self, name: &TaskId) -> String {
        match self.hooks.get(name).map(|hook| hook.kind) {
            Some(HookKind::Compensation) => format!("{}/{name}", self.job),
            Some(HookKind::Effect) | None => format!("{}/{name}", self.facts.uid),
        }
    }

    fn attempt(&self, name: &TaskId, token: FencingToken) -> AttemptId {
        AttemptId { job: self.job.clone(), task: name.clone(), token }
    }

    fn work(&self, name: &TaskId) -> Option<Work<'_>> {
        Some(match self.hooks.get(name)?.kind {
            HookKind::Effect => Work::Effect(self.spec.effects.get(name)?),
            HookKind::Compensation => {
                let task = self.spec.tasks.get(name)?;
                let started = self.started.iter().find(|started| started.task == *name)?;
                Work::Compensation(task, task.compensate.as_deref()?, started)
            }
        })
    }
}

fn due(hook: &Hook) -> Option<Moment> {
    match &hook.state {
        State::Due { at, .. } => Some(*at),
        State::Running(Try { place: Place::Forgotten, .. }) => Some(Moment::START),
        State::Waiting
        | State::Running(_)
        | State::Done
        | State::Parked { .. }
        | State::Closed { .. } => None,
    }
}
