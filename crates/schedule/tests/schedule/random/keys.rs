//! Jobs with a key: one of them is under way at a time, whatever fails.

use std::collections::BTreeMap;

use votum_ids::JobId;
use votum_job::ConcurrencyKey;
use votum_schedule::{Event, Record};

use super::{Chaos, Random, approvals::People};

/// What jobs wish of keys, and how often one was waited for, by the records.
pub(super) struct Keys {
    /// None where no job wishes for any. Apart from what decides everything else, which happens the
    /// same with and without keys.
    random: Option<Random>,
    pub(super) taken: usize,
}

impl Keys {
    pub(super) fn new(seed: u64, people: People) -> Self {
        let random = Random(seed.wrapping_mul(0xD6E8_FEB8_6659_FD93) | 1);
        // Half of the seeds: a line lets nothing else happen in the meantime.
        let random = (people == People::Asked && seed.is_multiple_of(2)).then_some(random);
        Self { random, taken: 0 }
    }

    /// Returns what a job says of keys.
    pub(super) fn wish(&mut self) -> Option<String> {
        match self.random.as_mut()?.below(8) {
            0..=2 => Some("key nightly queue".to_owned()),
            3 => Some("key nightly replace".to_owned()),
            4 => Some("key weekly queue".to_owned()),
            _ => None,
        }
    }

    /// Counts what a record tells.
    pub(super) fn follow(&mut self, record: &Record) {
        self.taken += usize::from(matches!(record, Record::KeyTaken { .. }));
    }
}

impl Chaos {
    /// Lets whoever waits for the key of a job have it: nothing of the job runs.
    pub(super) fn free_key(&mut self, job: &JobId) {
        if let Some(key) = self.key(job) {
            self.world.step(Event::KeyFreed { job: job.clone(), key });
        }
    }

    /// Checks that no two jobs with one key run anything.
    pub(super) fn check_keys(&self, scene: &str) {
        let mut running = BTreeMap::new();
        for job in self.world.scheduler.jobs() {
            let live = self.world.scheduler.summary(job).is_some_and(|summary| summary.live > 0);
            let Some(key) = self.key(job).filter(|_| live) else { continue };
            let other = running.insert(key, job);
            assert_eq!(other, None, "{job} runs beside it, {scene}");
        }
    }

    fn key(&self, job: &JobId) -> Option<ConcurrencyKey> {
        let wanted = self.world.scheduler.spec(job)?.concurrency.as_ref();
        wanted.map(|wanted| wanted.key.clone())
    }
}
