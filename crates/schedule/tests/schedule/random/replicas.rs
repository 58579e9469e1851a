//! Outputs that shall lie on several workers, and holders that are lost.

use votum_job::{Assignment, AttemptEnd, InputSource};
use votum_schedule::Record;

use super::{Chaos, Random, approvals::People, rescuing::Copies};

/// What jobs wish of replicas, and what became of them, by the records.
pub(super) struct Replicas {
    /// None where no job wishes for any. Apart from what decides everything else, which happens the
    /// same with and without replicas.
    random: Option<Random>,
    pub(super) counts: Counts,
}

/// What became of replicas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// How many were made.
    pub(super) made: usize,
    /// How many were lost.
    pub(super) lost: usize,
    /// How often the holder of one has taken the place of a lost worker.
    pub(super) moved: usize,
}

impl Replicas {
    pub(super) fn new(seed: u64, people: People) -> Self {
        let random = Random(seed.wrapping_mul(0xA24B_AED4_963E_E407) | 1);
        let random = (people == People::Asked).then_some(random);
        Self { random, counts: Counts::default() }
    }

    /// Returns what a task says of replicas.
    pub(super) fn wish(&mut self) -> String {
        let Some(random) = &mut self.random else { return String::new() };
        match random.below(5) {
            0..=1 => " replicas 2".to_owned(),
            2 => " replicas 3".to_owned(),
            _ => String::new(),
        }
    }

    /// Counts what a record tells.
    pub(super) fn follow(&mut self, record: &Record) {
        match record {
            Record::Replicated { .. } => self.counts.made += 1,
            Record::ReplicaLost { .. } => self.counts.lost += 1,
            Record::Lost { moved, .. } => self.counts.moved += moved.len(),
            _ => {}
        }
    }
}

impl Chaos {
    /// Says what an attempt copies that makes a replica, as things are on the workers.
    pub(super) fn replicated(&self, assignment: &Assignment) -> Copies {
        assert!(assignment.resume.is_empty(), "a copy goes on from nothing, seed {}", self.seed);
        let copy = |source: &InputSource| {
            let InputSource::Staged { holder, attempt, output, digest, .. } = source else {
                panic!("{source:?} is copied, seed {}", self.seed)
            };
            assert_ne!(*holder, assignment.worker, "it copies from itself, seed {}", self.seed);
            let held = self.workers[holder].attempts.get(attempt)?.end.as_ref()?;
            let AttemptEnd::Sealed { outputs, .. } = held else { return None };
            let held = outputs.iter().any(|held| held.name == *output && held.digest == *digest);
            held.then(|| (output.clone(), *digest))
        };
        assignment.inputs.iter().map(|input| copy(&input.source)).collect()
    }
}

/// Says whether an attempt copies what another worker has sealed under the very same token.
pub(super) fn is_replica(assignment: &Assignment) -> bool {
    let own = |source: &InputSource| matches!(source, InputSource::Staged { attempt, .. } if *attempt == assignment.attempt);
    assignment.inputs.iter().any(|input| own(&input.source))
}
