//! Dry votes: everybody who would be asked in a round is asked before it, and promises nothing.
//!
//! One is held early, at the job's interval, on demand, and before a person is asked to approve.
//! What it finds is a warning and never ends a job. Nothing of a dry vote that is held survives a
//! restart; what the last one found, and what stood at each target when the job first looked, does.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use votum_ids::{Digest, FencingToken, JobId, OutputName, TaskId, WorkerId};
use votum_job::{
    BASE_CHANGED, Base, Candidate, DRY_VOTE_INTERVAL_MIN, DRY_VOTE_PROTOCOL, DryVoteAnswer,
    DryVoteRequest, FINDINGS_MAX, Finding, NOT_ASKED, NOT_REACHABLE, SealedAs,
};
use votum_machine::{Moment, WallTime};

use crate::{
    Action, Record, Scheduler,
    active_job::{ActiveJob, Phase, TaskState},
    agenda::Due,
    roster::{Liveness, Session},
    scheduler::Reaction,
};

/// What a dry vote came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryVote {
    /// When it ended.
    pub at: WallTime,
    /// Whether everything was staged by then.
    pub complete: bool,
    /// What stands in the way; at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub omitted: u32,
}

/// What is known of the dry votes of one job.
#[derive(Debug, Default)]
pub(crate) struct DryVotes {
    /// The last one that is over.
    last: Option<DryVote>,
    /// What stood at each target when the job first looked.
    bases: BTreeMap<(WorkerId, TaskId, OutputName), Option<Digest>>,
    /// The one that is held.
    held: Option<Poll>,
    /// For which contents one has found no obstacle since the coordinator's start.
    passed: Option<u32>,
}

/// A dry vote that is held.
#[derive(Debug)]
struct Poll {
    id: FencingToken,
    complete: bool,
    /// As an approval names them.
    contents: u32,
    /// Who has not answered.
    awaited: BTreeSet<WorkerId>,
    findings: Vec<Finding>,
    omitted: u32,
    bases: Vec<(WorkerId, Base)>,
}

/// What one worker is asked.
#[derive(Debug, Default)]
struct Part {
    candidates: Vec<Candidate>,
    bytes: u64,
}

impl Scheduler {
    /// Returns what the last dry vote of a job came to.
    #[must_use]
    pub fn last_dry_vote(&self, id: &JobId) -> Option<&DryVote> {
        self.jobs.get(id)?.dry_votes.last.as_ref()
    }

    /// Says whether a dry vote can be held: no vote is under way, and nothing is decided.
    #[must_use]
    pub fn may_dry_vote(&self, id: &JobId) -> bool {
        self.jobs.get(id).is_some_and(|job| job.phase == Phase::Running && !job.offered)
    }

    /// Sets when the first dry vote is held, if the job wants any by itself and its time counts.
    pub(crate) fn arm_dry_vote(&mut self, at: Moment, id: &JobId) {
        let wanted = |job: &ActiveJob| job.spec.dry_vote.is_some() && job.since.is_some();
        if self.jobs.get(id).is_some_and(|job| wanted(job)) {
            self.agenda.set(Due::DryVote(id.clone()), at);
        }
    }

    /// Holds one for whoever asked, unless one is held already.
    pub(crate) fn ask_dry_vote(&mut self, now: Moment, id: &JobId) -> Reaction {
        match self.jobs.get(id) {
            Some(job) if job.dry_votes.held.is_none() => self.hold_dry_vote(now, id),
            Some(_) | None => Reaction::none(),
        }
    }

    /// Ends the one that is held, whose time is over, or holds the next.
    pub(crate) fn go_on_with_dry_votes(&mut self, now: Moment, id: &JobId) -> Reaction {
        match self.jobs.get(id) {
            Some(job) if job.dry_votes.held.is_some() => self.end_dry_vote(now, id),
            Some(_) => self.hold_dry_vote(now, id),
            None => Reaction::none(),
        }
    }

    fn hold_dry_vote(&mut self, now: Moment, id: &JobId) -> Reaction {
        if !self.may_dry_vote(id) {
            return Reaction::none();
        }
        let token = self.next_token();
        let job = &self.jobs[id];
        let mut poll = Poll {
            id: token,
            complete: job.staged == job.tasks.len(),
            contents: job.contents,
            awaited: BTreeSet::new(),
            findings: Vec::new(),
            omitted: 0,
            bases: Vec::new(),
        };
        let mut actions = Vec::new();
        for (worker, Part { candidates, bytes }) in job.dry_vote_parts() {
            if let Some((reason, message)) = self.cannot_ask(&worker) {
                poll.findings.push(about(worker, reason, message));
                continue;
            }
            let (job, bytes_wanted) = (id.clone(), bytes);
            let request = DryVoteRequest { job, id: token, candidates, bytes_wanted };
            poll.awaited.insert(worker.clone());
            actions.push(Action::DryVote { worker, request: Box::new(request) });
        }
        let alone = poll.awaited.is_empty();
        if let Some(job) = self.jobs.get_mut(id) {
            job.dry_votes.held = Some(poll);
        }
        self.agenda.set(Due::DryVote(id.clone()), now.after(DRY_VOTE_PATIENCE));
        if alone { self.end_dry_vote(now, id) } else { Reaction::perform(actions) }
    }

    /// Says why a worker cannot be asked.
    fn cannot_ask(&self, name: &WorkerId) -> Option<(&'static str, String)> {
        let known = self.roster.get(name).filter(|worker| !worker.is_removed());
        let Some(worker) = known else {
            return Some((NOT_REACHABLE, format!("worker {name} was deleted, or never seen")));
        };
        if worker.session == Session::Absent || worker.liveness >= Liveness::Lost {
            return Some((NOT_REACHABLE, format!("worker {name} is not connected")));
        }
        let spoken = worker.registration.protocol;
        let old = format!(
            "worker {name} speaks version {spoken} of the session's protocol, in which there are no dry votes"
        );
        (spoken < DRY_VOTE_PROTOCOL).then_some((NOT_ASKED, old))
    }

    /// Takes in what a worker has found.
    pub(crate) fn note_dry_vote(
        &mut self,
        now: Moment,
        worker: &WorkerId,
        answer: DryVoteAnswer,
    ) -> Reaction {
        let DryVoteAnswer { job: id, id: token, findings, omitted, bases } = answer;
        let held = self.jobs.get_mut(&id).and_then(|job| job.dry_votes.held.as_mut());
        let Some(poll) = held.filter(|poll| poll.id == token) else { return Reaction::none() };
        if !poll.awaited.remove(worker) {
            return Reaction::none();
        }
        // A worker speaks for itself.
        let own = findings.into_iter().map(|found| Finding { worker: worker.clone(), ..found });
        poll.findings.extend(own);
        poll.omitted = poll.omitted.saturating_add(omitted);
        poll.bases.extend(bases.into_iter().map(|base| (worker.clone(), base)));
        if poll.awaited.is_empty() { self.end_dry_vote(now, &id) } else { Reaction::none() }
    }

    fn end_dry_vote(&mut self, now: Moment, id: &JobId) -> Reaction {
        let at = self.anchor.at(now);
        let Some(job) = self.jobs.get_mut(id) else { return Reaction::none() };
        let Some(mut poll) = job.dry_votes.held.take() else { return Reaction::none() };
        let silent = |worker: WorkerId| {
            let message = format!("worker {worker} did not answer within {DRY_VOTE_PATIENCE:?}");
            about(worker, NOT_REACHABLE, message)
        };
        poll.findings.extend(std::mem::take(&mut poll.awaited).into_iter().map(silent));
        let fresh = job.compare_bases(&mut poll);
        let obstacles = poll.omitted > 0 || poll.findings.iter().any(Finding::is_obstacle);
        // Begun before the last task was sealed, it says nothing of that one.
        let outdated = !poll.complete || poll.contents != job.contents;
        job.dry_votes.passed = (poll.complete && !obstacles).then_some(poll.contents);
        let came_to = poll.into_result(at);
        let known = job.dry_votes.last.as_ref();
        let same = known.is_some_and(|known| DryVote { at, ..known.clone() } == came_to);
        job.dry_votes.last = Some(came_to.clone());
        let all = job.staged == job.tasks.len();
        let wants_approval = all && job.lacks_approval() && !job.awaits_approval();
        let next = match job.spec.dry_vote {
            _ if wants_approval && outdated => Some(Duration::ZERO),
            _ if wants_approval && obstacles => Some(DRY_VOTE_REPETITION),
            every => every.map(|every| every.max(DRY_VOTE_INTERVAL_MIN)),
        };
        self.agenda.clear(&Due::DryVote(id.clone()));
        if let Some(next) = next {
            self.agenda.set(Due::DryVote(id.clone()), now.after(next));
        }
        if wants_approval {
            self.reports.insert(id.clone());
        }
        let reaction = if same && fresh.is_empty() {
            Reaction::none()
        } else {
            let DryVote { at: _, complete, findings, omitted } = came_to.clone();
            let job = id.clone();
            self.record(now, Record::DryVoted { job, complete, findings, omitted, bases: fresh })
        };
        reaction.then(Action::DryVoted { job: id.clone(), came_to: Some(came_to) })
    }
}

impl Poll {
    /// Puts what would make a vote fail first, and leaves out what is too much.
    fn into_result(self, at: WallTime) -> DryVote {
        let Self { complete, mut findings, mut omitted, .. } = self;
        findings.sort_by(|one, other| {
            other.is_obstacle().cmp(&one.is_obstacle()).then_with(|| one.cmp(other))
        });
        findings.dedup();
        let more = findings.len().saturating_sub(FINDINGS_MAX);
        omitted = omitted.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        findings.truncate(FINDINGS_MAX);
        DryVote { at, complete, findings, omitted }
    }
}

impl ActiveJob {
    /// Applies the record of what a dry vote came to.
    pub(crate) fn note_dry_vote(&mut self, last: DryVote, bases: &[(WorkerId, Base)]) {
        self.dry_votes.last = Some(last);
        for (worker, Base { task, output, content }) in bases {
            let key = (worker.clone(), task.clone(), output.clone());
            self.dry_votes.bases.entry(key).or_insert(*content);
        }
    }

    /// Says whether a dry vote of what is staged has found no obstacle.
    pub(crate) fn passed_dry_vote(&self) -> bool {
        self.dry_votes.passed == Some(self.contents)
    }

    /// Gives up the dry vote that is held: something has overtaken it.
    pub(crate) fn overtake_dry_vote(&mut self) -> Option<Action> {
        self.dry_votes.held.take()?;
        Some(Action::DryVoted { job: self.id.clone(), came_to: None })
    }

    /// Returns what stands at targets that were not looked at before; what has changed at others
    /// is a finding.
    fn compare_bases(&self, poll: &mut Poll) -> Vec<(WorkerId, Base)> {
        let mut fresh = Vec::new();
        for (worker, base) in std::mem::take(&mut poll.bases) {
            let target = self.spec.tasks.get(&base.task);
            let target = target.and_then(|task| task.outputs.get(&base.output)?.publish.as_ref());
            let Some(target) = target else { continue };
            let key = (worker.clone(), base.task.clone(), base.output.clone());
            match self.dry_votes.bases.get(&key) {
                Some(known) if *known == base.content => {}
                Some(_) => poll.findings.push(Finding {
                    worker,
                    message: format!(
                        "what stands at {target} has changed since the job first looked"
                    ),
                    task: Some(base.task),
                    output: Some(base.output),
                    target: Some(target.path.clone()),
                    reason: BASE_CHANGED.to_owned(),
                }),
                None => fresh.push((worker, base)),
            }
        }
        fresh
    }

    /// Says what each worker would be asked: who holds something, who runs something that will be
    /// published, and who alone may run something.
    fn dry_vote_parts(&self) -> BTreeMap<WorkerId, Part> {
        let mut parts: BTreeMap<WorkerId, Part> = BTreeMap::new();
        for position in 0..self.tasks.len() {
            let (task, spec) = (self.graph.name(position), self.task_spec(position));
            let candidate = |output: &OutputName, sealed| Candidate {
                task: task.clone(),
                output: output.clone(),
                target: spec.outputs.get(output).and_then(|output| output.publish.clone()),
                sealed,
            };
            let planned = || {
                let published = spec.outputs.iter().filter(|(_, output)| output.publish.is_some());
                published.map(|(name, _)| candidate(name, None))
            };
            match &self.tasks[position].state {
                TaskState::Staged => {
                    let Some(held) = self.held_attempt(position) else { continue };
                    let sealed = held.held_outputs().iter().map(|output| {
                        let (token, digest) = (held.id.token, output.digest);
                        candidate(&output.name, Some(SealedAs { token, digest }))
                    });
                    let sealed: Vec<Candidate> = sealed.collect();
                    if !sealed.is_empty() {
                        parts.entry(held.worker.clone()).or_default().candidates.extend(sealed);
                    }
                }
                TaskState::Live => {
                    let live = self.live_attempt(position).map(|live| live.worker.clone());
                    let needed = spec.placement.worker.is_some() || planned().next().is_some();
                    let Some(worker) = live.filter(|_| needed) else { continue };
                    parts.entry(worker).or_default().candidates.extend(planned());
                }
                TaskState::Pending | TaskState::Retrying(_) => {
                    let Some(worker) = spec.placement.worker.clone() else { continue };
                    let part = parts.entry(worker).or_default();
                    part.candidates.extend(planned());
                    let disk = spec.resources.disk_bytes.unwrap_or_default();
                    part.bytes = part.bytes.saturating_add(disk);
                }
                TaskState::Failed(_) => {}
            }
        }
        parts
    }
}

fn about(worker: WorkerId, reason: &str, message: String) -> Finding {
    let reason = reason.to_owned();
    Finding { worker, task: None, output: None, target: None, reason, message }
}

/// From a job's receipt to its first dry vote, so that what can start at once is placed.
pub(crate) const DRY_VOTE_START: Duration = Duration::from_secs(2);
/// How long a worker may take to answer.
const DRY_VOTE_PATIENCE: Duration = Duration::from_secs(10);
/// From a dry vote with obstacles to the next, while nothing else keeps a job from its approval.
pub(crate) const DRY_VOTE_REPETITION: Duration = Duration::from_secs(30);
