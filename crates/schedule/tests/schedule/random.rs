//! Random faults: workers come, go, forget and lie idle; the coordinator crashes and stands still.
//!
//! One seed decides everything. After every step the invariants are checked,
//! and at the end everything heals and every job must come to an end.

mod approvals;
mod checkpoints;
mod history;
mod keys;
mod replicas;
mod rescuing;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use votum_ids::{
    AttemptId, CheckpointId, Digest, FencingToken, JobId, OutputName, TaskId, WorkerId,
};
use votum_job::{
    Assignment, AttemptEnd, AttemptState, FailureKind, Graph, HeldCheckpoint, InputSource,
    InputSpec, JobSpec, ListedAttempt,
};
use votum_schedule::{Action, Drain, Event, LiveAttempts, Outcome, Removal, Rescue, TaskStanding};

use self::{
    approvals::{Approvals, People},
    keys::Keys,
    replicas::{Counts, Replicas},
    rescuing::Copies,
};
use crate::{
    cast::{failed, job, registration, sealed, spec, submission, worker},
    world::World,
};

#[test]
fn random_faults_never_break_a_rule() {
    let seeds = std::env::var("VOTUM_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let stories: Vec<Story> = (1..=seeds).map(|seed| run(seed, STEPS, People::Asked)).collect();
    let resumed: usize = stories.iter().map(|story| story.resumed).sum();
    let taken_over: usize = stories.iter().map(|story| story.taken_over).sum();
    assert!(resumed > 0, "nothing ever went on from a checkpoint");
    assert!(taken_over > 0, "nothing was ever taken over from an aborted job");
    println!("{seeds} seeds, {resumed} attempts with a checkpoint to go on from");
    println!("{taken_over} attempts took over what an aborted job had kept");
    let approved: usize = stories.iter().map(|story| story.approved).sum();
    let obstacles: usize = stories.iter().map(|story| story.obstacles).sum();
    assert!(approved > 0 && obstacles > 0, "{approved} jobs approved, {obstacles} obstacles found");
    println!("{approved} jobs offered after an approval, {obstacles} obstacles found");
    let sum = |count: fn(&Story) -> usize| stories.iter().map(count).sum::<usize>();
    let (made, lost) = (sum(|story| story.replicas.made), sum(|story| story.replicas.lost));
    let moved = sum(|story| story.replicas.moved);
    assert!(made > 0 && lost > 0 && moved > 0, "{made} replicas, {lost} lost, {moved} moved");
    let taken = sum(|story| story.keys_taken);
    assert!(taken > 0, "no job ever waited for a key");
    println!("{taken} times a key was taken by a job that had waited for it");
    println!("{made} replicas made, {lost} lost, {moved} times one took a lost holder's place");
}

#[test]
fn seeds_that_once_broke_a_rule_hold() {
    for seed in REGRESSIONS {
        run(seed, STEPS, People::Away);
    }
}

/// Paste the seed of a failure here to see it alone.
#[test]
fn one_seed_twice_tells_one_story() {
    let run = || run(42, STEPS, People::Asked);
    assert_eq!(run(), run());
}

/// What happened with one seed.
#[derive(Debug, PartialEq, Eq)]
struct Story {
    length: usize,
    /// How many attempts were to go on from a checkpoint.
    resumed: usize,
    /// How many attempts have copied what an aborted job had kept.
    taken_over: usize,
    /// How many jobs were offered after an approval.
    approved: usize,
    /// How often a dry vote has found an obstacle.
    obstacles: usize,
    /// What became of replicas.
    replicas: Counts,
    /// How often a job had a key that it had waited for.
    keys_taken: usize,
}

fn run(seed: u64, steps: usize, people: People) -> Story {
    let mut chaos = Chaos::new(seed);
    chaos.approvals = Approvals::new(seed, people);
    chaos.replicas = Replicas::new(seed, people);
    chaos.keys = Keys::new(seed, people);
    for step in 0..steps {
        chaos.act();
        chaos.think();
        chaos.serve();
        chaos.check(step);
    }
    chaos.heal();
    Story {
        length: chaos.world.records.len() + chaos.story,
        resumed: chaos.resumed,
        taken_over: chaos.taken_over,
        approved: chaos.approvals.offered,
        obstacles: chaos.approvals.obstacles,
        replicas: chaos.replicas.counts,
        keys_taken: chaos.keys.taken,
    }
}

/// A cluster in trouble.
struct Chaos {
    seed: u64,
    random: Random,
    world: World,
    workers: BTreeMap<WorkerId, SimWorker>,
    /// So many records survive a crash for certain.
    durable: usize,
    jobs_received: usize,
    offered: BTreeSet<JobId>,
    decided: BTreeMap<JobId, Event>,
    /// Tasks that may run again although they were sealed, by the records, until an attempt
    /// with a larger token than this ends well.
    excused: BTreeMap<(JobId, TaskId), FencingToken>,
    sealed: BTreeMap<(JobId, TaskId), BTreeMap<OutputName, Digest>>,
    /// Jobs that are paused, by the records.
    paused: BTreeSet<JobId>,
    /// Attempts that were given up, and checkpoints that the log has heard of, by the records.
    lost: BTreeSet<AttemptId>,
    heard: BTreeSet<CheckpointId>,
    /// What was read by whoever saved a checkpoint, whether or not the log has heard of it.
    saved: BTreeMap<CheckpointId, Consumed>,
    /// Aborted jobs of which nothing runs and something staged is kept.
    kept: BTreeSet<JobId>,
    /// What each rescue takes over.
    rescues: BTreeMap<JobId, Rescue>,
    /// What was read by whoever was ordered to run, or by whom it takes over from.
    read: BTreeMap<AttemptId, Consumed>,
    resumed: usize,
    taken_over: usize,
    approvals: Approvals,
    replicas: Replicas,
    keys: Keys,
    records_checked: usize,
    /// Grows with everything that happens; tells two runs apart.
    story: usize,
    incarnations: u128,
    healing: bool,
}

/// What an attempt has read.
type Consumed = BTreeMap<(TaskId, OutputName), Digest>;

#[derive(Default)]
struct SimWorker {
    uid: u128,
    incarnation: u128,
    connected: bool,
    reconciled: bool,
    attempts: BTreeMap<AttemptId, SimAttempt>,
    checkpoints: BTreeMap<CheckpointId, HeldCheckpoint>,
}

struct SimAttempt {
    number: u32,
    consumed: Consumed,
    /// What it copies of an aborted job instead of running its task's program.
    copies: Option<Copies>,
    /// It copies what another worker has sealed under the same token.
    replica: bool,
    end: Option<AttemptEnd>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let names = ["alice", "bob", "carol"];
        let workers =
            names.map(|name| (worker(name), SimWorker { uid: 1, ..SimWorker::default() }));
        Self {
            seed,
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            world: World::new(),
            workers: BTreeMap::from(workers),
            durable: 0,
            jobs_received: 0,
            offered: BTreeSet::new(),
            decided: BTreeMap::new(),
            excused: BTreeMap::new(),
            sealed: BTreeMap::new(),
            paused: BTreeSet::new(),
            lost: BTreeSet::new(),
            heard: BTreeSet::new(),
            saved: BTreeMap::new(),
            kept: BTreeSet::new(),
            rescues: BTreeMap::new(),
            read: BTreeMap::new(),
            resumed: 0,
            taken_over: 0,
            approvals: Approvals::new(seed, People::Away),
            replicas: Replicas::new(seed, People::Away),
            keys: Keys::new(seed, People::Away),
            records_checked: 0,
            story: 0,
            incarnations: 0,
            healing: false,
        }
    }

    /// Does one random thing.
    fn act(&mut self) {
        let name = self.any_worker();
        match self.random.below(100) {
            0..=5 => self.submit(),
            6..=17 => self.connect(&name),
            18..=20 => self.disconnect(&name),
            21..=22 => self.restart_worker(&name),
            23 => self.wipe(&name),
            24..=26 => self.crash(),
            27..=28 => {
                let secs = self.random.below(40);
                self.pass(Duration::from_secs(secs));
            }
            29 => self.world.stand_still(Duration::from_secs(self.random.below(90))),
            30..=33 => self.decide(),
            34 => self.abort_any(),
            35 => self.forget_one(&name),
            46..=47 => self.operate(&name),
            36..=38 => self.report_again(&name),
            39..=44 => {
                let millis = self.random.below(1500);
                self.pass(Duration::from_millis(millis));
            }
            45..=55 => self.start_one(&name),
            56 => self.pause_any(),
            57..=58 => self.unpause_any(),
            59 => self.retry_any(),
            60 => self.rescue_any(),
            61 => self.let_go(),
            62..=69 => self.save(&name),
            70 => self.lose_checkpoint(&name),
            _ => self.end_one(&name),
        }
        if self.random.below(4) > 0 {
            self.world.settle();
        }
    }

    fn any_worker(&mut self) -> WorkerId {
        let at = usize::try_from(self.random.below(3)).unwrap();
        self.workers.keys().nth(at).unwrap().clone()
    }

    fn submit(&mut self) {
        if self.jobs_received >= JOBS_MAX {
            return;
        }
        self.jobs_received += 1;
        let name = format!("job{}", self.jobs_received);
        let spec = Arc::new(self.random_spec(&name));
        self.world.step(Event::Submitted { job: job(&name), spec, submission: submission() });
    }

    fn random_spec(&mut self, name: &str) -> JobSpec {
        let tasks = 1 + self.random.below(6);
        let mut lines = Vec::new();
        for task in 0..tasks {
            let mut line = format!("t{task} attempts 6 backoff 1s makes rows");
            for source in 0..task {
                match self.random.below(4) {
                    0 => line += &format!(" reads t{source}.rows"),
                    1 => line += &format!(" after t{source}"),
                    _ => {}
                }
            }
            if self.random.below(3) == 0 {
                line += &format!(" publishes {name}-{task}");
            }
            if self.random.below(3) == 0 {
                line += &format!(" on {}", self.any_worker());
            }
            match self.random.below(6) {
                0 => line += " exclusive wait",
                1 => line += " exclusive proceed",
                _ => {}
            }
            if self.random.below(2) == 0 {
                line += " replicate yes";
            }
            line += &self.replicas.wish();
            lines.push(line);
        }
        lines.push("timeout 200h".into());
        lines.extend(self.approvals.wishes());
        lines.extend(self.keys.wish());
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut spec = spec(name, &lines);
        if self.random.below(2) == 0 {
            spec.keep_staged = Duration::from_hours(1);
        }
        assert_eq!(Graph::check(&spec).err(), None);
        spec
    }

    fn connect(&mut self, name: &WorkerId) {
        if self.workers[name].connected && self.workers[name].reconciled && !self.healing {
            return;
        }
        self.incarnations += 1;
        let sim = self.workers.get_mut(name).unwrap();
        sim.incarnation = self.incarnations;
        sim.connected = true;
        sim.reconciled = false;
        let registration = registration(name.as_str(), sim.uid, sim.incarnation, 2);
        self.world.speaking.insert(name.clone(), registration.incarnation);
        self.world.step(Event::Joined(registration));
        self.serve();
        let listed: Vec<ListedAttempt> =
            self.workers[name].attempts.iter().map(|(id, attempt)| attempt.listed(id)).collect();
        for listed in listed {
            self.world.step(Event::Listed { worker: name.clone(), listed });
            // Ticks may fall between the lines of an inventory.
            if self.random.below(3) == 0 {
                self.world.settle();
            }
            self.serve();
        }
        self.list_checkpoints(name);
        if self.healing || self.random.below(8) > 0 {
            self.workers.get_mut(name).unwrap().reconciled = true;
            self.world.step(Event::InventoryEnded { worker: name.clone() });
        }
    }

    fn disconnect(&mut self, name: &WorkerId) {
        let sim = self.workers.get_mut(name).unwrap();
        sim.connected = false;
        self.world.speaking.remove(name);
        let incarnation = registration(name.as_str(), 1, sim.incarnation, 1).incarnation;
        self.world.step(Event::Disconnected { worker: name.clone(), incarnation });
    }

    fn restart_worker(&mut self, name: &WorkerId) {
        if self.workers[name].connected {
            self.disconnect(name);
        }
        for attempt in self.workers.get_mut(name).unwrap().attempts.values_mut() {
            attempt.end.get_or_insert_with(|| failed(FailureKind::Interrupted));
        }
        self.connect(name);
    }

    fn wipe(&mut self, name: &WorkerId) {
        if self.workers[name].connected {
            self.disconnect(name);
        }
        let sim = self.workers.get_mut(name).unwrap();
        sim.uid += 1;
        sim.attempts.clear();
        sim.checkpoints.clear();
        self.connect(name);
    }

    /// Drains a worker, takes it up again, or removes it and gives its name to another one.
    fn operate(&mut self, name: &WorkerId) {
        let (by, reason, ordered) = ("carol".to_owned(), String::new(), self.world.wall());
        let worker = name.clone();
        match self.random.below(5) {
            0..=1 => {
                let limit = self.random.below(30);
                let time_limit = (limit > 10).then(|| Duration::from_secs(limit - 10));
                let drain = Drain { by, reason, ordered, time_limit };
                self.world.step(Event::DrainOrdered { worker, drain });
            }
            2..=3 => self.world.step(Event::ResumeOrdered { worker }),
            _ => {
                if self.workers[name].connected {
                    self.disconnect(name);
                }
                let removal = Removal { by, reason, ordered };
                self.world.step(Event::RemovalOrdered { worker, removal });
                self.durable = self.world.records.len();
                if self.random.below(2) == 0 {
                    self.world.settle();
                }
                self.wipe(name);
            }
        }
        self.durable = self.world.records.len();
    }

    /// Lets a worker lose one sealed attempt and come back without it.
    fn forget_one(&mut self, name: &WorkerId) {
        if let Some(id) = self.any_attempt(name, |attempt| attempt.end.is_some()) {
            if self.workers[name].connected {
                self.disconnect(name);
            }
            self.workers.get_mut(name).unwrap().attempts.remove(&id);
            self.connect(name);
        }
    }

    /// Restarts the coordinator; the tail of its lazy records may be lost.
    fn crash(&mut self) {
        self.take_actions();
        self.check_records();
        let lost = self.world.records.len() - self.durable;
        let kept = self.durable + usize::try_from(self.random.below(lost as u64 + 1)).unwrap();
        self.world.restart(kept);
        self.durable = kept;
        self.recount();
        self.offered.clear();
        self.kept.clear();
        for sim in self.workers.values_mut() {
            sim.connected = false;
        }
        for event in self.decided.clone().into_values() {
            self.world.step(event);
        }
    }

    fn pass(&mut self, wait: Duration) {
        self.world.pass(wait);
        if wait >= Duration::from_millis(100) {
            self.durable = self.world.records.len();
        }
    }

    fn start_one(&mut self, name: &WorkerId) {
        if let Some(attempt) = self.any_attempt(name, |attempt| attempt.end.is_none())
            && self.workers[name].connected
        {
            self.world.step(Event::Started { worker: name.clone(), attempt });
        }
    }

    fn end_one(&mut self, name: &WorkerId) {
        if let Some(id) = self.any_attempt(name, |attempt| attempt.end.is_none()) {
            let kind = match self.random.below(20) {
                0 => Some(FailureKind::ExitCode(1)),
                1 => Some(FailureKind::StorageFailed),
                _ => None,
            };
            self.finish(name, &id, kind.filter(|_| !self.healing));
        }
    }

    fn finish(&mut self, name: &WorkerId, id: &AttemptId, failure: Option<FailureKind>) {
        let changed = !self.healing && self.random.below(12) == 0;
        let salt = if changed { self.random.below(3) } else { 0 };
        let spec = self.world.scheduler.spec(&id.job).cloned();
        let sim = self.workers.get_mut(name).unwrap();
        let attempt = sim.attempts.get_mut(id).unwrap();
        let end = match (failure, spec) {
            (None, Some(spec)) => match &attempt.copies {
                Some(copies) => {
                    self.taken_over += usize::from(copies.is_some() && !attempt.replica);
                    rescuing::copied(copies)
                }
                None => sealed(&spec.tasks[&id.task], content(&id.task, &attempt.consumed, salt)),
            },
            (Some(kind), _) => failed(kind),
            (None, None) => failed(FailureKind::Stopped),
        };
        attempt.end = Some(end.clone());
        if sim.connected {
            self.world.step(Event::Ended { worker: name.clone(), attempt: id.clone(), end });
        }
    }

    fn report_again(&mut self, name: &WorkerId) {
        if let Some(id) = self.any_attempt(name, |attempt| attempt.end.is_some())
            && self.workers[name].connected
        {
            let end = self.workers[name].attempts[&id].end.clone().unwrap();
            self.world.step(Event::Ended { worker: name.clone(), attempt: id, end });
        }
    }

    fn any_attempt(
        &mut self,
        name: &WorkerId,
        wanted: impl Fn(&SimAttempt) -> bool,
    ) -> Option<AttemptId> {
        let attempts = &self.workers[name].attempts;
        let ids: Vec<&AttemptId> =
            attempts.iter().filter(|(_, attempt)| wanted(attempt)).map(|(id, _)| id).collect();
        if ids.is_empty() {
            return None;
        }
        let at = usize::try_from(self.random.below(ids.len() as u64)).unwrap();
        Some(ids[at].clone())
    }

    /// Commits a job that is on offer.
    fn decide(&mut self) {
        if let Some(job) = self.offered.pop_first() {
            self.check_consistency(&job);
            self.durable = self.world.records.len();
            self.world.step(Event::Committing { job: job.clone() });
            self.close(job.clone());
            self.supersede(&job);
        }
    }

    fn abort_any(&mut self) {
        if let Some(job) = self.any_job() {
            self.abort(job);
        }
    }

    fn pause_any(&mut self) {
        let live = if self.random.below(2) == 0 { LiveAttempts::GoOn } else { LiveAttempts::Stop };
        if let Some(job) = self.any_job() {
            let (by, reason) = ("ana".to_owned(), String::new());
            self.ask(Event::PauseAsked { job, by, reason, live });
        }
    }

    fn unpause_any(&mut self) {
        if let Some(job) = self.any_job() {
            self.ask(Event::UnpauseAsked { job, by: "ana".to_owned() });
        }
    }

    fn retry_any(&mut self) {
        if let Some(job) = self.any_job() {
            self.ask(Event::RetryAsked { job, task: None, by: "ana".to_owned() });
        }
    }

    /// Hands in what a person wants; its record is forced.
    fn ask(&mut self, event: Event) {
        let before = self.world.records.len();
        self.world.step(event);
        if self.world.records.len() > before {
            self.durable = self.world.records.len();
        }
    }

    fn any_job(&mut self) -> Option<JobId> {
        let jobs: Vec<JobId> = self.world.scheduler.jobs().cloned().collect();
        if jobs.is_empty() {
            return None;
        }
        let at = usize::try_from(self.random.below(jobs.len() as u64)).unwrap();
        Some(jobs[at].clone())
    }

    fn abort(&mut self, job: JobId) {
        self.offered.remove(&job);
        self.durable = self.world.records.len();
        let event = Event::Aborting { job: job.clone(), why: String::new() };
        self.decided.insert(job, event.clone());
        self.world.step(event);
    }

    fn close(&mut self, job: JobId) {
        self.check_records();
        self.world.step(Event::Closed { job: job.clone() });
        self.decided.remove(&job);
        self.kept.remove(&job);
        let durable = std::mem::take(&mut self.durable);
        let mut kept = Vec::new();
        for (at, record) in std::mem::take(&mut self.world.records).into_iter().enumerate() {
            if record.1.job() != Some(&job) {
                kept.push(record);
                self.durable += usize::from(at < durable);
            }
        }
        self.world.records = kept;
        self.records_checked = self.world.records.len();
        for sim in self.workers.values_mut().filter(|sim| sim.connected) {
            sim.attempts.retain(|id, _| id.job != job);
            sim.checkpoints.retain(|id, _| id.attempt.job != job);
        }
    }

    /// Performs what the scheduler asked for, and what that leads to.
    fn serve(&mut self) {
        loop {
            let actions = std::mem::take(&mut self.world.actions);
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.perform(action);
            }
        }
    }

    fn take_actions(&mut self) {
        self.serve();
        self.story += self.world.told.len();
        self.world.told.clear();
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Start(assignment) => self.order(*assignment),
            Action::Stop { worker, attempt, .. } => {
                let sim = &self.workers[&worker];
                let live = sim.attempts.get(&attempt).is_some_and(|known| known.end.is_none());
                if sim.connected && live {
                    self.finish(&worker, &attempt, Some(FailureKind::Stopped));
                }
            }
            Action::Acknowledge { worker, attempt } => {
                self.durable = self.world.records.len();
                let sim = self.workers.get_mut(&worker).unwrap();
                let failed =
                    |known: &SimAttempt| matches!(known.end, Some(AttemptEnd::Failed { .. }));
                if sim.connected && sim.attempts.get(&attempt).is_some_and(failed) {
                    sim.attempts.remove(&attempt);
                }
            }
            Action::Discard { worker, attempt } => {
                let sim = self.workers.get_mut(&worker).unwrap();
                if sim.connected {
                    sim.attempts.remove(&attempt);
                }
            }
            Action::Replicate { worker, point } => self.copy(&worker, &point),
            Action::DryVote { worker, request } => self.answer(worker, *request),
            Action::DryVoted { .. } => {}
            Action::AllStaged { job, .. } => {
                self.check_approval(&job);
                assert!(self.world.scheduler.holds(&job).is_empty(), "seed {}", self.seed);
                assert!(self.offered.insert(job), "offered twice, seed {}", self.seed);
            }
            Action::Withdraw { job } => assert!(self.offered.remove(&job), "seed {}", self.seed),
            Action::Fail { job, .. } => self.abort(job),
            Action::Stopped { job } => self.stopped(job),
            Action::Replace { job, .. } => self.abort(job),
            Action::WorkerChanged { .. } | Action::LineMoved { .. } => {}
        }
    }

    fn order(&mut self, assignment: Assignment) {
        let sim = self.workers.get_mut(&assignment.worker).unwrap();
        let pinned = assignment.spec.placement.worker.as_ref();
        assert!(pinned.is_none_or(|pinned| *pinned == assignment.worker), "seed {}", self.seed);
        if !sim.connected {
            return;
        }
        let consumed = assignment.inputs.iter().zip(assignment.spec.inputs.values());
        let consumed = consumed.filter_map(|(resolved, input)| match (&resolved.source, input) {
            (InputSource::Staged { digest, .. }, InputSpec::TaskOutput { task, output }) => {
                Some(((task.clone(), output.clone()), *digest))
            }
            _ => None,
        });
        let replica = replicas::is_replica(&assignment);
        let copies =
            if replica { Some(self.replicated(&assignment)) } else { self.copies(&assignment) };
        let consumed: Consumed = match &copies {
            None => consumed.collect(),
            Some(_) if replica => self.read[&assignment.attempt].clone(),
            Some(_) => self.read_before(&assignment.attempt),
        };
        self.read.entry(assignment.attempt.clone()).or_insert_with(|| consumed.clone());
        let sim = self.workers.get_mut(&assignment.worker).unwrap();
        self.resumed += usize::from(!assignment.resume.is_empty());
        for point in &assignment.resume {
            let id = &point.id;
            assert!(
                id.attempt.token < assignment.attempt.token,
                "{} goes on from {id}, which is not of an earlier one, seed {}:\n{}",
                assignment.attempt,
                self.seed,
                self.world.told
            );
            assert_eq!(
                self.saved[id], consumed,
                "{} goes on from {id}, which was made of something else, seed {}:\n{}",
                assignment.attempt, self.seed, self.world.told
            );
        }
        let sorted = assignment.resume.is_sorted_by(|later, earlier| later.id > earlier.id);
        assert!(sorted, "the last one is not the first choice, seed {}", self.seed);
        let number = assignment.number;
        let attempt = SimAttempt { number, consumed, copies, replica, end: None };
        sim.attempts.entry(assignment.attempt).or_insert(attempt);
    }

    /// Checks what must hold after every step.
    fn check(&mut self, step: usize) {
        let scene = format!("seed {}, step {step}:\n{}", self.seed, self.world.told);
        for job in self.world.scheduler.jobs() {
            for task in self.world.scheduler.job(self.world.now(), job).unwrap().tasks {
                let live = |attempt: &&votum_schedule::Attempt| attempt.outcome == Outcome::Live;
                let count = task.attempts.iter().filter(live).count();
                assert!(count <= 1, "{count} attempts of {} are live, {scene}", task.task);
                let last = task.attempts.last().map(|attempt| &attempt.outcome);
                let runs = matches!(task.state, TaskStanding::Starting | TaskStanding::Running);
                assert_eq!(runs, last == Some(&Outcome::Live), "{}, {scene}", task.task);
                let staged = task.state == TaskStanding::Staged;
                let sealed = matches!(last, Some(Outcome::Sealed { .. }));
                assert!(!staged || sealed, "{}, {scene}", task.task);
            }
        }
        self.check_records();
        self.check_keys(&scene);
        if step.is_multiple_of(5) {
            self.check_kept(&scene);
            assert_eq!(self.world.portrait(), self.world.portrait_of_replay(), "{scene}");
        }
        self.take_actions();
    }

    /// Ends all faults: every job must come to an end, and nothing may be left over.
    fn heal(&mut self) {
        self.healing = true;
        for worker in self.workers.keys().cloned().collect::<Vec<_>>() {
            self.world.step(Event::ResumeOrdered { worker });
        }
        for job in self.kept.clone() {
            self.close(job);
        }
        for job in self.world.scheduler.jobs().cloned().collect::<Vec<_>>() {
            self.ask(Event::UnpauseAsked { job, by: "ana".to_owned() });
        }
        for round in 0.. {
            assert!(
                round < HEALING_ROUNDS_MAX,
                "jobs never end, seed {}: {:?}\n{}\n{}",
                self.seed,
                self.world.scheduler.jobs().collect::<Vec<_>>(),
                self.world.portrait(),
                self.world.told
            );
            for name in self.workers.keys().cloned().collect::<Vec<_>>() {
                if !self.workers[&name].connected || !self.workers[&name].reconciled {
                    self.connect(&name);
                }
                self.serve();
                while let Some(id) = self.any_attempt(&name, |attempt| attempt.end.is_none()) {
                    self.finish(&name, &id, None);
                    self.serve();
                }
            }
            self.approve_all();
            self.decide();
            // What else is due must not keep the workers from being heard.
            self.world.heartbeats();
            self.pass(Duration::from_secs(5));
            self.serve();
            self.check(round);
            let over = self.world.scheduler.jobs().next().is_none();
            if over && self.offered.is_empty() {
                break;
            }
        }
        self.check_nothing_is_left();
    }

    fn check_nothing_is_left(&mut self) {
        for name in self.workers.keys().cloned().collect::<Vec<_>>() {
            // What a worker kept of jobs that are over goes at its next inventory.
            self.connect(&name);
            self.world.settle();
            self.serve();
            let left: Vec<_> = self.workers[&name].attempts.keys().collect();
            assert!(left.is_empty(), "{name} keeps {left:?}, seed {}", self.seed);
        }
        for worker in self.world.scheduler.workers() {
            assert_eq!(worker.free_slots, worker.registration.slots, "seed {}", self.seed);
            assert!(worker.running.is_empty() && worker.holds.is_empty(), "seed {}", self.seed);
        }
    }
}

impl SimAttempt {
    fn listed(&self, id: &AttemptId) -> ListedAttempt {
        let state = match &self.end {
            None => AttemptState::Live,
            Some(end) => AttemptState::Ended(end.clone()),
        };
        ListedAttempt { attempt: id.clone(), number: self.number, state }
    }
}

/// What a task makes of its inputs; a salt stands for all that is not its input.
fn content(task: &TaskId, consumed: &BTreeMap<(TaskId, OutputName), Digest>, salt: u64) -> u8 {
    let mut content = task.as_str().bytes().fold(7_u8, u8::wrapping_add);
    for digest in consumed.values() {
        content = content.wrapping_mul(31).wrapping_add(digest.0[0]);
    }
    content.wrapping_add(u8::try_from(salt).unwrap())
}

/// Marsaglia's xorshift: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

const SEEDS: u64 = 30;
/// 329: what had read an output that was lost ended after that had been made anew, otherwise.
const REGRESSIONS: [u64; 1] = [329];
const STEPS: usize = 400;
const JOBS_MAX: usize = 6;
const HEALING_ROUNDS_MAX: usize = 400;
