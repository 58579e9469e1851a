//! People who approve, and dry votes with obstacles that come and go.

use std::collections::BTreeMap;

use votum_ids::{Digest, JobId, OutputName, TaskId, WorkerId};
use votum_job::{Base, DryVoteAnswer, DryVoteRequest, Finding};
use votum_schedule::{Event, Record};

use super::{Chaos, Random};

/// What a job had sealed at some moment, by its records.
type Slate = BTreeMap<TaskId, BTreeMap<OutputName, Digest>>;

/// Whether jobs ask for approvals and dry votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum People {
    /// Some jobs do.
    Asked,
    /// None does.
    Away,
}

/// What people were asked and have approved, by the records.
pub(super) struct Approvals {
    people: People,
    /// Apart from what decides everything else, which happens the same with and without people.
    random: Random,
    /// What was sealed when somebody approved it last.
    given: BTreeMap<JobId, Slate>,
    /// How many jobs were offered after an approval.
    pub(super) offered: usize,
    /// How often a dry vote has found an obstacle.
    pub(super) obstacles: usize,
}

impl Approvals {
    pub(super) fn new(seed: u64, people: People) -> Self {
        let random = Random(seed.wrapping_mul(0xD1B5_4A32_D192_ED03) | 1);
        Self { people, random, given: BTreeMap::new(), offered: 0, obstacles: 0 }
    }

    /// Returns what a job says of people.
    pub(super) fn wishes(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.people == People::Asked && self.random.below(2) == 0 {
            lines.push("approval 200h".into());
        }
        if self.people == People::Asked && self.random.below(3) == 0 {
            lines.push("dry-vote 10s".into());
        }
        lines
    }

    pub(super) fn clear(&mut self) {
        self.given.clear();
    }
}

impl Chaos {
    /// Lets a person approve something now and then, wanted or not, or want a dry vote.
    pub(super) fn think(&mut self) {
        if self.approvals.people == People::Away {
            return;
        }
        let wish = self.approvals.random.below(25);
        let jobs: Vec<JobId> = self.world.scheduler.jobs().cloned().collect();
        if jobs.is_empty() || wish > 1 {
            return;
        }
        let at = usize::try_from(self.approvals.random.below(jobs.len() as u64)).unwrap();
        let job = jobs[at].clone();
        match wish {
            0 => self.approve(job),
            _ => self.world.step(Event::DryVoteAsked { job }),
        }
    }

    /// Approves everything that waits for it.
    pub(super) fn approve_all(&mut self) {
        let waiting = |job: &&JobId| self.world.scheduler.awaits_approval(job);
        for job in self.world.scheduler.jobs().filter(waiting).cloned().collect::<Vec<_>>() {
            self.approve(job);
        }
    }

    fn approve(&mut self, job: JobId) {
        let awaited = self.world.scheduler.awaits_approval(&job);
        let before = self.world.records.len();
        self.ask(Event::Approved { job, by: "ana".to_owned(), reason: String::new() });
        let recorded = self.world.records.len() > before;
        assert_eq!(recorded, awaited, "seed {}:\n{}", self.seed, self.world.told);
    }

    /// Lets a worker answer in a dry vote, or not.
    pub(super) fn answer(&mut self, worker: WorkerId, request: DryVoteRequest) {
        let silent = !self.healing && self.approvals.random.below(5) == 0;
        if !self.workers[&worker].connected || silent {
            return;
        }
        let mut findings = Vec::new();
        if !self.healing && self.approvals.random.below(4) == 0 {
            self.approvals.obstacles += 1;
            findings.push(Finding {
                worker: worker.clone(),
                task: None,
                output: None,
                target: None,
                reason: "DISK_FULL".to_owned(),
                message: String::new(),
            });
        }
        let drift = u8::try_from(self.approvals.random.below(2)).unwrap();
        let published = request.candidates.into_iter().filter(|one| one.target.is_some());
        let base = |content| move |(task, output)| Base { task, output, content };
        let bases = published.map(|one| (one.task, one.output));
        let bases = bases.map(base(Some(Digest([drift; 32])))).collect();
        let answer =
            DryVoteAnswer { job: request.job, id: request.id, findings, omitted: 0, bases };
        self.world.step(Event::DryVoteAnswered { worker, answer: Box::new(answer) });
    }

    /// Follows the records.
    pub(super) fn follow_approvals(&mut self, record: &Record) {
        if let Record::Approved { job, .. } = record {
            let slate = self.slate(job);
            self.approvals.given.insert(job.clone(), slate);
        }
    }

    /// Checks that what is offered is what a person has approved, if one must.
    pub(super) fn check_approval(&mut self, job: &JobId) {
        self.check_records();
        if self.world.scheduler.spec(job).is_none_or(|spec| spec.approval.is_none()) {
            return;
        }
        let (given, sealed) = (self.approvals.given.get(job), self.slate(job));
        assert_eq!(given, Some(&sealed), "seed {}:\n{}", self.seed, self.world.told);
        self.approvals.offered += 1;
    }

    fn slate(&self, job: &JobId) -> Slate {
        let of_job = self.sealed.iter().filter(|((of, _), _)| of == job);
        of_job.map(|((_, task), digests)| (task.clone(), digests.clone())).collect()
    }
}
