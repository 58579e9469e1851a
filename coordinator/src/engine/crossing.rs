//! Jobs that publish at one place: they vote one after the other.
//!
//! Each worker makes a job visible by itself. Were two jobs decided at a time, one worker could
//! show the one last and another worker the other, for ever. So a job whose tasks are all staged
//! waits until nothing of an earlier one can become visible any more where it publishes itself.
//! Whoever waits has promised nothing, and nothing of it is recorded: a start of the daemon finds
//! it anew.

mod places;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use votum_commit::{CoordinatorEvent, Share, Stage};
use votum_ids::{JobId, WorkerId};

use super::{Engine, Pending};
use crate::turn::Turn;

use places::{Place, Places};

/// Who votes, and who waits for that.
#[derive(Debug, Default)]
pub(super) struct Crossings {
    places: Places,
    /// By the number of their turn, in the order in which their tasks were staged.
    waiting: BTreeMap<u64, Waiting>,
    turns: BTreeMap<JobId, u64>,
    /// Who waits for whom.
    followers: BTreeMap<JobId, BTreeSet<u64>>,
    /// Those that wait, and whose turn may have come.
    due: BTreeSet<u64>,
    /// Whether a step for those is asked for.
    looks: bool,
    next_turn: u64,
}

#[derive(Debug)]
struct Waiting {
    job: JobId,
    shares: Vec<Share>,
    prepare_timeout: Duration,
    /// For whom, and where they meet.
    behind: Option<(JobId, Place)>,
}

impl Crossings {
    /// Takes a job out of those that wait.
    fn take(&mut self, turn: u64) -> Option<Waiting> {
        let one = self.waiting.remove(&turn)?;
        self.turns.remove(&one.job);
        self.due.remove(&turn);
        self.unfollow(turn, one.behind.as_ref());
        Some(one)
    }

    /// Lets a job wait for another.
    fn follow(&mut self, turn: u64, behind: (JobId, Place)) {
        let Some(one) = self.waiting.get_mut(&turn) else { return };
        let before = one.behind.replace(behind.clone());
        self.unfollow(turn, before.as_ref());
        self.followers.entry(behind.0).or_default().insert(turn);
    }

    fn unfollow(&mut self, turn: u64, behind: Option<&(JobId, Place)>) {
        let Some((other, _)) = behind else { return };
        if let Some(followers) = self.followers.get_mut(other) {
            followers.remove(&turn);
            if followers.is_empty() {
                self.followers.remove(other);
            }
        }
    }
}

impl Engine {
    /// Opens the vote of a job, or lets it wait for its turn.
    pub(super) fn all_staged(
        &mut self,
        turn: &mut Turn,
        job: JobId,
        shares: Vec<Share>,
        prepare_timeout: Duration,
    ) {
        // Whoever waits already, and says it once more, keeps its turn.
        let number = self.crossings.turns.get(&job).copied().unwrap_or_else(|| {
            self.crossings.next_turn += 1;
            self.crossings.next_turn
        });
        let places = self.places(&shares);
        self.crossings.places.claim(&job, Some(number), places);
        let ahead = self.ahead(&job, number);
        let is_free = ahead.is_none() && !turn.has_commit_record();
        self.crossings.take(number);
        let one = Waiting { job, shares, prepare_timeout, behind: None };
        if is_free || !self.is_working(&one.job) {
            return self.open_vote(turn, one);
        }
        turn.changed(&one.job);
        self.crossings.turns.insert(one.job.clone(), number);
        self.crossings.waiting.insert(number, one);
        match ahead {
            Some(ahead) => self.crossings.follow(number, ahead),
            // A vote is opened by a step that decides nothing else.
            None => self.look_at([number].into()),
        }
    }

    /// Takes back that everything of a job is staged.
    pub(super) fn unstaged(&mut self, turn: &mut Turn, job: JobId) {
        let Some(number) = self.crossings.turns.get(&job).copied() else {
            return self.commit(turn, CoordinatorEvent::Withdrawn { job });
        };
        self.crossings.take(number);
        turn.changed(&job);
        self.leave_crossing(&job);
    }

    /// Notes a job whose commit is on its way, wherever something of it is not visible yet.
    pub(super) fn note_delivering(&mut self, job: &JobId) {
        let owing = self.commit.owing(job).into_iter();
        let owed: Vec<Share> = owing.flat_map(|holder| self.commit.owed(job, &holder)).collect();
        let places = self.places(&owed);
        self.crossings.places.claim(job, None, places);
    }

    /// Notes a commit that nobody voted on here: it was found on a worker.
    pub(super) fn note_committing(&mut self, job: &JobId) {
        if !self.crossings.places.knows(job) {
            self.note_delivering(job);
        }
    }

    /// Forgets a job of which nothing can become visible any more.
    pub(super) fn leave_crossing(&mut self, job: &JobId) {
        self.crossings.places.release(job);
        self.look_behind(Some(job));
    }

    /// Something has happened to a job, or to any: the turn of those behind it may have come.
    pub(super) fn look_behind(&mut self, job: Option<&JobId>) {
        let followers = &self.crossings.followers;
        let behind = match job {
            Some(job) => followers.get(job).cloned().unwrap_or_default(),
            None => followers.values().flatten().copied().collect(),
        };
        self.look_at(behind);
    }

    /// Lets the first vote that waits for nobody any more.
    pub(super) fn uncross(&mut self, turn: &mut Turn) {
        self.crossings.looks = false;
        while let Some(number) = self.crossings.due.pop_first() {
            let Some(job) = self.crossings.waiting.get(&number).map(|one| one.job.clone()) else {
                continue;
            };
            match self.ahead(&job, number) {
                Some(ahead) if self.is_working(&job) => {
                    self.crossings.follow(number, ahead);
                    turn.changed(&job);
                }
                Some(_) | None => {
                    if let Some(one) = self.crossings.take(number) {
                        self.open_vote(turn, one);
                    }
                    // The others have a step of their own.
                    return self.look_at(BTreeSet::new());
                }
            }
        }
    }

    /// Says what a job waits for although everything of it is staged.
    pub(super) fn about_crossing(&self, job: &JobId) -> Option<String> {
        let number = self.crossings.turns.get(job)?;
        let (other, place) = self.crossings.waiting.get(number)?.behind.as_ref()?;
        let Place { worker, path } = place;
        Some(format!("its vote waits for {other}, which publishes at {path} of {worker} as well"))
    }

    fn open_vote(&mut self, turn: &mut Turn, one: Waiting) {
        let Waiting { job, shares, prepare_timeout, .. } = one;
        if self.is_working(&job) {
            let places = self.places(&shares);
            self.crossings.places.claim(&job, None, places);
        } else {
            self.leave_crossing(&job);
        }
        self.commit(turn, CoordinatorEvent::AllStaged { job, shares, prepare_timeout });
    }

    fn look_at(&mut self, numbers: BTreeSet<u64>) {
        self.crossings.due.extend(numbers);
        if !self.crossings.due.is_empty() && !self.crossings.looks {
            self.crossings.looks = true;
            self.pending.push_back(Pending::Uncross);
        }
    }

    /// Says whether a job is not voted on, and not decided.
    fn is_working(&self, job: &JobId) -> bool {
        let standing = self.commit.phase(job);
        standing.is_some_and(|standing| standing.stage == Stage::Working)
    }

    /// Finds whom a job has to wait for.
    fn ahead(&self, job: &JobId, turn: u64) -> Option<(JobId, Place)> {
        let impends = |other: &JobId, place: &Place| self.impends(other, &place.worker);
        self.crossings.places.ahead(job, turn, impends)
    }

    /// Says whether something of a job may still become visible on a worker.
    fn impends(&self, job: &JobId, worker: &WorkerId) -> bool {
        match self.commit.phase(job).map(|standing| standing.stage) {
            Some(Stage::Preparing { .. }) => true,
            Some(Stage::Delivering { .. }) => {
                self.commit.owing(job).iter().any(|holder| holder.worker == *worker)
            }
            Some(
                Stage::Working | Stage::Owing { .. } | Stage::Aborting { .. } | Stage::Quarantined,
            )
            | None => false,
        }
    }

    /// Lists where participants would make something visible.
    fn places(&self, shares: &[Share]) -> BTreeSet<Place> {
        let mut places = BTreeSet::new();
        for Share { holder, pledges, .. } in shares {
            let mut targets = pledges.iter().filter_map(|pledge| pledge.target.as_ref()).peekable();
            if targets.peek().is_none() {
                continue;
            }
            // What is relative lies below the worker's first root.
            let known = self.scheduler.registration(&holder.worker);
            let root = known.and_then(|known| known.publish_roots.first());
            let root = root.map(|root| root.trim_end_matches('/')).unwrap_or_default();
            places.extend(targets.map(|target| {
                let path = target.path.trim_end_matches('/');
                let path =
                    if path.starts_with('/') { path.to_owned() } else { format!("{root}/{path}") };
                Place { worker: holder.worker.clone(), path }
            }));
        }
        places
    }
}
