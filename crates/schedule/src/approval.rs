//! The gate before the vote: a person looks at what is staged, and nobody has promised anything yet.
//!
//! What is approved is named by its *contents*: how often outputs of the job have come out
//! differently when they were made again (R5). Work that must be done again and comes out the same
//! leaves an approval as it is; anything else makes it void. The time of a person is not the time
//! of the job: while one is asked only the limit of the approval counts, and whatever follows may
//! take as long as both limits together.

use votum_ids::{Digest, JobId, OutputName, TaskId};
use votum_machine::{Moment, WallTime};

use crate::{
    Action, CorruptSchedule, Record, Scheduler,
    active_job::{ActiveJob, Blame, Fallout, Phase},
    agenda::Due,
    dry_vote::DRY_VOTE_REPETITION,
    scheduler::Reaction,
};

/// Whether a person was asked to approve a job, and has.
#[derive(Debug, Default)]
pub(crate) struct Approval {
    /// The last request: which contents, and when it was recorded.
    asked: Option<(u32, WallTime)>,
    /// The last answer: which contents, and who gave it.
    given: Option<(u32, GivenApproval)>,
    /// Which deadline stands in the agenda; forgotten by a restart.
    pub(crate) clock: Option<Clock>,
}

/// What the time of a job is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Its own limit.
    Work,
    /// The limit of the approval that is asked for.
    Person {
        /// When that is over.
        expires: WallTime,
    },
    /// Both limits together: a person was asked before.
    Overtime,
}

/// A request for approval of what a job has staged, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalStanding {
    /// When it was asked for.
    pub asked: WallTime,
    /// When the job fails if nobody has answered.
    pub expires: WallTime,
    /// Who approved, if somebody has.
    pub given: Option<GivenApproval>,
}

/// Who approved what a job had staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenApproval {
    /// Who.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// When that was recorded.
    pub at: WallTime,
}

impl Scheduler {
    /// Says whether the job waits for nothing but a person's approval.
    #[must_use]
    pub fn awaits_approval(&self, id: &JobId) -> bool {
        self.jobs.get(id).is_some_and(|job| job.awaits_approval())
    }

    /// Returns how the approval of what is staged stands; none if it was not asked for, or for
    /// something else.
    #[must_use]
    pub fn approval(&self, id: &JobId) -> Option<ApprovalStanding> {
        let job = self.jobs.get(id)?;
        let (contents, asked) = job.approval.asked?;
        if contents != job.contents {
            return None;
        }
        let given = job.approval.given.as_ref().filter(|(contents, _)| job.has_contents(*contents));
        let expires = asked.after(job.spec.approval.unwrap_or_default());
        Some(ApprovalStanding { asked, expires, given: given.map(|(_, given)| given.clone()) })
    }

    /// Returns the digest of everything that the job has sealed, in the order of its names; an
    /// output that is made again is left out only if what it is made of has changed.
    #[must_use]
    pub fn sealed_digests(&self, id: &JobId) -> Vec<(&TaskId, &OutputName, Digest)> {
        let Some(job) = self.jobs.get(id) else { return Vec::new() };
        let of_task = |position: usize| {
            let digests = job.tasks[position].digests.iter().flatten();
            digests.map(move |(output, digest)| (job.graph.name(position), output, *digest))
        };
        (0..job.tasks.len()).flat_map(of_task).collect()
    }

    /// Prepares the question for a person: first a dry vote, then the question itself.
    pub(crate) fn seek_approval(&mut self, now: Moment, id: &JobId) {
        let Some(job) = self.jobs.get(id).filter(|job| !job.awaits_approval()) else { return };
        if job.passed_dry_vote() {
            self.agenda.set(Due::Asking(id.clone()), now);
            return;
        }
        // One that is held, or is held again soon, answers in time.
        let soon = now.after(DRY_VOTE_REPETITION);
        let due = self.agenda.moment(&Due::DryVote(id.clone()));
        if due.is_none_or(|due| due > soon) {
            self.agenda.set(Due::DryVote(id.clone()), now);
        }
    }

    /// Asks a person, if nothing has changed since the dry vote.
    pub(crate) fn ask_for_approval(&mut self, now: Moment, id: &JobId) -> Reaction {
        let fit = |job: &&ActiveJob| {
            job.phase == Phase::Running
                && job.staged == job.tasks.len()
                && job.lacks_approval()
                && job.passed_dry_vote()
                && !job.awaits_approval()
        };
        let Some(job) = self.jobs.get(id).map(Box::as_ref).filter(fit) else {
            return Reaction::none();
        };
        let contents = job.contents;
        self.record(now, Record::ApprovalAsked { job: id.clone(), contents })
    }

    /// Takes the approval of a person; changes nothing unless that is waited for.
    pub(crate) fn approve(
        &mut self,
        now: Moment,
        id: JobId,
        by: String,
        reason: String,
    ) -> Reaction {
        let Some(job) = self.jobs.get(&id).filter(|job| job.awaits_approval()) else {
            return Reaction::none();
        };
        let contents = job.contents;
        let record = Record::Approved { job: id.clone(), contents, by, reason };
        let mut reaction = self.record(now, record);
        reaction.actions.extend(self.attend(now, &id));
        reaction
    }

    /// Ends a job that nobody has approved in time.
    pub(crate) fn expire_approval(&mut self, now: Moment, id: &JobId) -> Vec<Action> {
        let Some(job) = self.jobs.get(id).filter(|job| job.awaits_approval()) else {
            return Vec::new();
        };
        let limit = job.spec.approval.unwrap_or_default();
        let message = format!("nobody approved the job within {limit:?}, as its file asks for");
        self.fail(now, id, Blame { reason: APPROVAL_EXPIRED.to_owned(), message })
    }

    /// Measures the time of an undecided job by another limit, if that is what has changed.
    pub(crate) fn rearm_deadline(&mut self, now: Moment, id: &JobId) {
        let changed = |job: &&ActiveJob| {
            let armed = job.approval.clock.is_some_and(|clock| clock != job.clock());
            armed && job.phase == Phase::Running
        };
        if self.jobs.get(id).map(Box::as_ref).filter(changed).is_some() {
            self.arm_deadline(now, self.anchor.at(now), id);
        }
    }
}

impl ActiveJob {
    /// Says whether a person must still approve what is staged.
    pub(crate) fn lacks_approval(&self) -> bool {
        let given = self.approval.given.as_ref().is_some_and(|(of, _)| self.has_contents(*of));
        self.spec.approval.is_some() && !given
    }

    /// Says whether it waits for nothing but a person.
    pub(crate) fn awaits_approval(&self) -> bool {
        let asked = self.approval.asked.is_some_and(|(of, _)| self.has_contents(of));
        let staged = self.phase == Phase::Running && self.staged == self.tasks.len();
        staged && asked && self.lacks_approval()
    }

    /// Returns what its time is measured by.
    pub(crate) fn clock(&self) -> Clock {
        match self.approval.asked {
            Some((_, asked)) if self.awaits_approval() => {
                let limit = self.spec.approval.unwrap_or_default();
                Clock::Person { expires: asked.after(limit) }
            }
            Some(_) => Clock::Overtime,
            None => Clock::Work,
        }
    }

    /// Says whether these contents are what is sealed.
    fn has_contents(&self, contents: u32) -> bool {
        contents == self.contents
    }

    /// Applies the record that a person is asked.
    pub(crate) fn ask_for_approval(
        &mut self,
        at: WallTime,
        contents: u32,
    ) -> Result<Fallout, CorruptSchedule> {
        let all = self.staged == self.tasks.len();
        if !all || !self.has_contents(contents) || self.spec.approval.is_none() {
            return Err(CorruptSchedule::UnfitApproval { job: self.id.clone() });
        }
        self.approval.asked = Some((contents, at));
        Ok(Fallout::default())
    }

    /// Applies the record that a person has approved.
    pub(crate) fn approve(
        &mut self,
        contents: u32,
        given: GivenApproval,
    ) -> Result<Fallout, CorruptSchedule> {
        if !self.awaits_approval() || !self.has_contents(contents) {
            return Err(CorruptSchedule::NotAwaiting { job: self.id.clone() });
        }
        self.approval.given = Some((contents, given));
        Ok(Fallout::default())
    }
}

/// Why a job fails that nobody has approved in time.
const APPROVAL_EXPIRED: &str = "APPROVAL_EXPIRED";
