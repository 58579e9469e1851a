//! The jobs that are traced, and the way of their spans into the queue.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;
use votum_commit::{Installation, Message, Reply};
use votum_ids::JobId;
use votum_machine::WallTime;

use super::{
    export::Fates,
    followed::{Followed, Span},
};
use crate::{engine::Engine, record::JobRecord};

/// Makes spans of what happens to jobs; clones share what is known of the open ones.
#[derive(Debug, Clone)]
pub(crate) struct Tracer {
    spans: mpsc::Sender<Span>,
    fates: Fates,
    /// Nothing rests on it: a job that is not known makes no spans.
    jobs: Arc<Mutex<BTreeMap<JobId, Followed>>>,
}

impl Tracer {
    pub(super) fn new(spans: mpsc::Sender<Span>, fates: Fates) -> Self {
        Self { spans, fates, jobs: Arc::default() }
    }

    /// Goes on with every open job of a journal.
    pub(crate) fn resume(&self, engine: &Engine) {
        let mut jobs = self.jobs();
        for job in engine.open_jobs().take(JOBS_MAX) {
            let followed = engine.followed(job).map(|followed| (job.clone(), followed));
            jobs.extend(followed);
        }
    }

    /// Makes spans of a record; `engine` has taken the step that made it.
    pub(crate) fn follow(&self, engine: &Engine, at: WallTime, record: &JobRecord) {
        let mut jobs = self.jobs();
        if !jobs.contains_key(&record.job) {
            // Of a job that had closed before a note was made, its spans were told then.
            let Some(followed) = engine.followed(&record.job) else { return };
            if jobs.len() >= JOBS_MAX {
                return self.fates.dropped();
            }
            jobs.insert(record.job.clone(), followed);
        }
        let Some(job) = jobs.get_mut(&record.job) else { return };
        let spans = job.record(at, record);
        if job.is_over() {
            jobs.remove(&record.job);
        }
        drop(jobs);
        self.tell(spans);
    }

    /// Notes what a participant says; what it was asked for ends with that.
    pub(crate) fn hear(&self, at: WallTime, from: &Installation, reply: &Reply) {
        self.change(&reply.txn().job, |job| job.hear(at, from, reply));
    }

    /// Notes what leaves for a participant.
    pub(crate) fn say(&self, at: WallTime, message: &Message) {
        self.change(message.job(), |job| job.say(at, message));
    }

    /// Notes that what was last recorded of a job is durable.
    pub(crate) fn durable(&self, at: WallTime, job: &JobId) {
        self.change(job, |job| job.durable(at));
    }

    fn change(&self, job: &JobId, change: impl FnOnce(&mut Followed) -> Vec<Span>) {
        let mut jobs = self.jobs();
        let Some(followed) = jobs.get_mut(job) else { return };
        let spans = change(followed);
        if followed.is_over() {
            jobs.remove(job);
        }
        drop(jobs);
        self.tell(spans);
    }

    /// Hands spans over; one that does not fit is lost, and the loop goes on.
    pub(super) fn tell(&self, spans: Vec<Span>) {
        for span in spans.into_iter().filter(|span| !span.context.muted) {
            if self.spans.try_send(span).is_err() {
                self.fates.dropped();
            }
        }
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<JobId, Followed>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many jobs at a time are followed.
const JOBS_MAX: usize = 100_000;
