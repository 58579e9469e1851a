//! The machine: one plan for each decided job that is not settled.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use votum_ids::{AttemptId, FencingToken, JobId, TaskId, WorkerId};
use votum_job::{AttemptEnd, AttemptState, JobSpec, ListedAttempt};
use votum_machine::{Machine, Moment, WallTime};

use crate::{
    Action, Case, Event, Facts, HookView, Host, Record, Started, Trial,
    hook::{Hook, Place, State, Try},
    plan::{Beginning, Plan},
};

/// What the settlement answers to one event.
pub type Reaction = votum_machine::Reaction<Record, Action>;

/// What is left to do for every decided job.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settlement {
    anchor: WallTime,
    pub(crate) plans: BTreeMap<JobId, Plan>,
    /// When something of a job is due.
    agenda: BTreeSet<(Moment, JobId)>,
    noted: BTreeMap<JobId, Moment>,
}

impl Machine for Settlement {
    type Event = Event;
    type Record = Record;
    type Action = Action;

    fn step(&mut self, now: Moment, event: Event) -> Reaction {
        match event {
            Event::Decided { job, spec, facts, started } => {
                self.open(now, job, spec, facts, started)
            }
            Event::Offered { job, hook, host, token } => self.offer(now, job, hook, host, token),
            Event::Unplaceable { job, hook, message } => self.strand(now, job, hook, message),
            Event::Ended { host, attempt, end } => self.ended(now, &host, attempt, &end),
            Event::Answered { job, hook, number, trial } => {
                let under_way = self.running(&job, &hook).is_some_and(|running| {
                    running.number == number && running.place == Place::Here
                });
                if !under_way {
                    return Reaction::none();
                }
                self.record(now, Record::Tried { job, hook, number, trial })
            }
            Event::Joined { host } => self.joined(&host),
            Event::Listed { host, listed } => self.listed(now, &host, listed),
            Event::InventoryEnded { host } => self.inventory_ended(&host),
            Event::HostLost { worker } => {
                let lost = |host: &Host| host.worker == worker;
                self.lose(now, lost, Reach::IfItMayMove)
            }
            Event::HostGone { host } => self.lose(now, |other| *other == host, Reach::Always),
            Event::LookAgain => {
                self.look_again(now);
                Reaction::none()
            }
            Event::ResolutionAsked { job, hook, resolution, by, reason } => {
                if self.case(&job, &hook).is_none() {
                    return Reaction::none();
                }
                self.record(now, Record::Resolved { job, hook, resolution, by, reason })
            }
            Event::Closed { job } => {
                self.plans.remove(&job);
                self.look(&job);
                Reaction::none()
            }
            Event::Tick => self.tick(now),
        }
    }

    fn next_deadline(&self) -> Option<Moment> {
        self.agenda.first().map(|(at, _)| *at)
    }
}

/// What a loss of a worker means for what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Nothing of it comes back.
    Always,
    /// It may come back: only what another worker may run does not wait for it.
    IfItMayMove,
}

impl Settlement {
    /// Makes a settlement with nothing to do; `anchor` is the wall time of [`Moment::START`].
    #[must_use]
    pub fn new(anchor: WallTime) -> Self {
        let (plans, agenda, noted) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { anchor, plans, agenda, noted }
    }

    /// Says whether something is left to do for a job.
    #[must_use]
    pub fn is_open(&self, job: &JobId) -> bool {
        self.plans.contains_key(job)
    }

    /// Says whether everything that a decision left has come to its end, and only
    /// [`Event::Closed`] is awaited.
    #[must_use]
    pub fn is_settled(&self, job: &JobId) -> bool {
        self.plans.get(job).is_some_and(Plan::is_settled)
    }

    /// Says whether something that a task did outside of its staging is not undone yet.
    #[must_use]
    pub fn is_undoing(&self, job: &JobId) -> bool {
        self.plans.get(job).is_some_and(Plan::is_undoing)
    }

    /// Says whether an attempt is a try of a hook.
    #[must_use]
    pub fn knows(&self, attempt: &AttemptId) -> bool {
        self.plans.get(&attempt.job).is_some_and(|plan| plan.knows(attempt))
    }

    /// Returns a picture of the hooks of a job, by name.
    #[must_use]
    pub fn hooks(&self, job: &JobId) -> Vec<HookView> {
        self.plans.get(job).map(Plan::view).unwrap_or_default()
    }

    /// Returns what a person may decide about a hook, if it is a case.
    #[must_use]
    pub fn case(&self, job: &JobId, hook: &TaskId) -> Option<Case> {
        self.plans.get(job)?.case(hook)
    }

    /// Returns every case, by job and hook.
    #[must_use]
    pub fn cases(&self) -> Vec<Case> {
        let of_plan = |plan: &Plan| -> Vec<Case> {
            plan.hooks.keys().filter_map(|name| plan.case(name)).collect()
        };
        self.plans.values().flat_map(of_plan).collect()
    }

    fn open(
        &mut self,
        now: Moment,
        job: JobId,
        spec: Arc<JobSpec>,
        facts: Box<Facts>,
        started: Vec<Started>,
    ) -> Reaction {
        // The first decision stands, and there is no other.
        if self.plans.contains_key(&job) {
            return Reaction::none();
        }
        let plan = Plan::new(now, job.clone(), spec, facts.clone(), started.clone());
        if plan.hooks.is_empty() {
            return Reaction::none();
        }
        self.plans.insert(job.clone(), plan);
        self.look(&job);
        let changed = Action::Changed { job: job.clone() };
        Reaction::perform([changed]).durably(Record::Opened { job, facts, started })
    }

    fn offer(
        &mut self,
        now: Moment,
        job: JobId,
        hook: TaskId,
        host: Host,
        token: FencingToken,
    ) -> Reaction {
        let Some(number) = self.sought_try(&job, &hook) else { return Reaction::none() };
        let at = Some((host, token));
        let record = Record::Intended { job: job.clone(), hook: hook.clone(), number, at };
        let mut reaction = self.record(now, record);
        let assignment = self.plans.get(&job).and_then(|plan| plan.assignment(&hook));
        reaction.actions.extend(assignment.map(|order| Action::Start(Box::new(order))));
        reaction
    }

    fn strand(&mut self, now: Moment, job: JobId, hook: TaskId, message: String) -> Reaction {
        if self.sought_try(&job, &hook).is_none() {
            return Reaction::none();
        }
        self.record(now, Record::Stranded { job, hook, message })
    }

    /// Returns the number of the next try of a hook that looks for a worker.
    fn sought_try(&self, job: &JobId, hook: &TaskId) -> Option<u32> {
        let hook = self.plans.get(job)?.hooks.get(hook)?;
        matches!(hook.state, State::Due { sought: true, .. }).then_some(hook.tries + 1)
    }

    fn ended(
        &mut self,
        now: Moment,
        host: &Host,
        attempt: AttemptId,
        end: &AttemptEnd,
    ) -> Reaction {
        let (job, hook) = (attempt.job.clone(), attempt.task.clone());
        let acknowledge =
            Action::Acknowledge { worker: host.worker.clone(), attempt: attempt.clone() };
        let plan = self.plans.get(&job);
        if plan.and_then(|plan| plan.current(&attempt)) != Some(host) {
            let missed = plan.and_then(|plan| plan.missed(&attempt, host));
            if let (AttemptEnd::Sealed { .. }, Some(number)) = (end, missed) {
                // It was given up for lost, and took effect: no other try is needed.
                let record = Record::Tried { job, hook, number, trial: Trial::Done };
                return self.record(now, record).then(acknowledge);
            }
            // Its end was recorded before, or nobody waits for it any more.
            return Reaction::perform([acknowledge]);
        }
        let (Some(running), Some((retry, _))) =
            (self.running(&job, &hook), self.plans.get(&job).and_then(|plan| plan.pace(&hook)))
        else {
            return Reaction::none();
        };
        let number = running.number;
        let trial = Trial::of_end(end, |code| retry.never_on.contains(&code));
        self.record(now, Record::Tried { job, hook, number, trial }).then(acknowledge)
    }

    fn joined(&mut self, host: &Host) -> Reaction {
        self.on_host(host, |listed| *listed = false);
        Reaction::none()
    }

    fn listed(&mut self, now: Moment, host: &Host, listed: ListedAttempt) -> Reaction {
        let ListedAttempt { attempt, state, .. } = listed;
        let plan = self.plans.get(&attempt.job);
        if plan.and_then(|plan| plan.current(&attempt)) != Some(host) {
            if let AttemptState::Ended(end @ AttemptEnd::Sealed { .. }) = &state
                && plan.is_some_and(|plan| plan.missed(&attempt, host).is_some())
            {
                return self.ended(now, host, attempt, end);
            }
            let worker = host.worker.clone();
            return Reaction::perform([Action::Discard { worker, attempt }]);
        }
        let plan = self.plans.get_mut(&attempt.job);
        if let Some(State::Running(Try { place: Place::Worker { listed, .. }, .. })) =
            plan.and_then(|plan| plan.hooks.get_mut(&attempt.task)).map(|hook| &mut hook.state)
        {
            *listed = true;
        }
        match state {
            AttemptState::Live => Reaction::none(),
            AttemptState::Ended(end) => self.ended(now, host, attempt, &end),
        }
    }

    /// Gives out again what the worker has not taken down: it has never begun there, because a
    /// worker forces that it accepts a try before the try begins.
    fn inventory_ended(&mut self, host: &Host) -> Reaction {
        let mut missing = Vec::new();
        for (job, plan) in &self.plans {
            for (name, hook) in &plan.hooks {
                if let State::Running(Try {
                    place: Place::Worker { host: at, listed: false, .. },
                    ..
                }) = &hook.state
                    && at == host
                {
                    missing.push((job.clone(), name.clone()));
                }
            }
        }
        let order = |(job, name): &(JobId, TaskId)| self.plans.get(job)?.assignment(name);
        let orders = missing.iter().filter_map(order);
        Reaction::perform(orders.map(|order| Action::Start(Box::new(order))))
    }

    /// Ends one try that runs on such a worker, with an unknown outcome; a tick does the next.
    fn lose(&mut self, now: Moment, lost: impl Fn(&Host) -> bool, reach: Reach) -> Reaction {
        for (job, plan) in &self.plans {
            for (name, hook) in &plan.hooks {
                let State::Running(Try { number, place: Place::Worker { host, .. } }) = &hook.state
                else {
                    continue;
                };
                if lost(host) && (reach == Reach::Always || plan.may_move(name)) {
                    let message = format!("its worker {} was lost", host.worker);
                    let (job, hook, number) = (job.clone(), name.clone(), *number);
                    let trial = Trial::Unknown { message };
                    return self.record(now, Record::Tried { job, hook, number, trial });
                }
            }
        }
        Reaction::none()
    }

    /// Returns the workers on which something is being tried.
    #[must_use]
    pub fn hosts(&self) -> BTreeSet<Host> {
        let places = self.plans.values().flat_map(|plan| plan.hooks.values());
        let host = |state: &State| match state {
            State::Running(Try { place: Place::Worker { host, .. }, .. }) => Some(host.clone()),
            State::Running(_)
            | State::Waiting
            | State::Due { .. }
            | State::Done
            | State::Parked { .. }
            | State::Closed { .. } => None,
        };
        places.filter_map(|hook| host(&hook.state)).collect()
    }

    /// Returns the workers that were ever given a try of a job.
    #[must_use]
    pub fn visited(&self, job: &JobId) -> BTreeSet<WorkerId> {
        self.plans.get(job).map(|plan| plan.visited.clone()).unwrap_or_default()
    }

    /// Returns how many tries are under way on a worker.
    #[must_use]
    pub fn trying_on(&self, worker: &WorkerId) -> usize {
        let hooks = self.plans.values().flat_map(|plan| plan.hooks.values());
        let there = |hook: &&Hook| match &hook.state {
            State::Running(Try { place: Place::Worker { host, .. }, .. }) => host.worker == *worker,
            State::Running(_)
            | State::Waiting
            | State::Due { .. }
            | State::Done
            | State::Parked { .. }
            | State::Closed { .. } => false,
        };
        hooks.filter(there).count()
    }

    fn look_again(&mut self, now: Moment) {
        let jobs: Vec<JobId> = self.plans.keys().cloned().collect();
        for job in jobs {
            let Some(plan) = self.plans.get_mut(&job) else { continue };
            for hook in plan.hooks.values_mut() {
                // Only a search for a worker is repeated so soon; a backoff goes on.
                if let State::Due { at, sought: true } = &mut hook.state {
                    *at = now;
                }
            }
            self.look(&job);
        }
    }

    fn tick(&mut self, now: Moment) -> Reaction {
        let due = self.agenda.first().filter(|(at, _)| *at <= now).map(|(_, job)| job.clone());
        let Some(job) = due else { return Reaction::none() };
        let Some(plan) = self.plans.get_mut(&job) else { return Reaction::none() };
        let Some(name) = plan.due(now).cloned() else {
            self.look(&job);
            return Reaction::none();
        };
        if let Some(State::Running(Try { number, .. })) =
            plan.hooks.get(&name).map(|hook| &hook.state)
        {
            let message = "the coordinator stopped before the answer was recorded".to_owned();
            let (hook, number, trial) = (name, *number, Trial::Unknown { message });
            return self.record(now, Record::Tried { job, hook, number, trial });
        }
        let Some(begin) = plan.begin(&name) else { return Reaction::none() };
        match begin {
            Beginning::Request(post) => {
                let (hook, number) = (name, post.number);
                let record = Record::Intended { job, hook, number, at: None };
                self.record(now, record).then(Action::Post(post))
            }
            Beginning::Search(place) => {
                if let Some(hook) = plan.hooks.get_mut(&name) {
                    hook.state = State::Due { at: now.after(PLACE_AGAIN), sought: true };
                }
                self.look(&job);
                Reaction::perform([place])
            }
        }
    }

    /// Makes a fact: changes the state with the function that replay uses.
    fn record(&mut self, now: Moment, record: Record) -> Reaction {
        let job = record.job().clone();
        let at = self.anchor.at(now);
        let Some(plan) = self.plans.get_mut(&job) else { return Reaction::none() };
        plan.apply(now, at, &record);
        let settled = plan.is_settled().then(|| Action::Settled { job: job.clone() });
        self.look(&job);
        let changed = Action::Changed { job };
        Reaction::perform([changed].into_iter().chain(settled)).durably(record)
    }

    fn running(&self, job: &JobId, hook: &TaskId) -> Option<&Try> {
        match &self.plans.get(job)?.hooks.get(hook)?.state {
            State::Running(running) => Some(running),
            State::Waiting
            | State::Due { .. }
            | State::Done
            | State::Parked { .. }
            | State::Closed { .. } => None,
        }
    }

    fn on_host(&mut self, on: &Host, change: impl Fn(&mut bool)) {
        for hook in self.plans.values_mut().flat_map(|plan| plan.hooks.values_mut()) {
            if let State::Running(Try { place: Place::Worker { host, listed, .. }, .. }) =
                &mut hook.state
                && host == on
            {
                change(listed);
            }
        }
    }

    /// Keeps the agenda in step with a job.
    pub(crate) fn look(&mut self, job: &JobId) {
        if let Some(at) = self.noted.remove(job) {
            self.agenda.remove(&(at, job.clone()));
        }
        if let Some(at) = self.plans.get(job).and_then(Plan::next) {
            self.noted.insert(job.clone(), at);
            self.agenda.insert((at, job.clone()));
        }
    }
}

/// How long after a search for a worker the next one follows, if nothing changes before.
const PLACE_AGAIN: Duration = Duration::from_secs(1);
