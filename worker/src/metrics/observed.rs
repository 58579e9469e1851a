//! The engine with somebody who counts what it records; the engine knows nothing of it.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use votum_commit::ParticipantRecord;
use votum_ids::TxnId;
use votum_machine::{Machine, Moment, Reaction};

use super::{Metrics, families::Doubt};
use crate::{action::Action, engine::Engine, event::Event, record::Record};

/// An engine whose steps are counted.
#[derive(Debug)]
pub(crate) struct Observed {
    engine: Engine,
    metrics: Metrics,
    /// The checks that are under way, and since when.
    checks: BTreeMap<TxnId, Moment>,
    /// The publications that are under way, and since when.
    publications: BTreeMap<TxnId, Moment>,
}

impl Observed {
    /// Counts the steps of an engine.
    pub(crate) fn new(engine: Engine, metrics: Metrics) -> Self {
        let (checks, publications) = Default::default();
        Self { engine, metrics, checks, publications }
    }

    fn see_record(&mut self, now: Moment, record: &Record) {
        let metrics = &self.metrics;
        match record {
            Record::Sealed { outputs, .. } => {
                metrics.attempts.get_or_create(&[("outcome", "STAGED")]).inc();
                metrics.staged_bytes.inc_by(outputs.iter().map(|output| output.bytes).sum());
            }
            Record::Failed { failure, .. } => {
                metrics.attempts.get_or_create(&[("outcome", failure.kind.reason())]).inc();
            }
            Record::CheckpointHeld { held } => {
                metrics.checkpoint_bytes.inc_by(held.bytes);
            }
            Record::Participant(ParticipantRecord::Prepared { txn, .. }) => {
                if let Some(began) = self.checks.remove(txn) {
                    metrics.prepare.observe(now.since(began).as_secs_f64());
                }
            }
            Record::Published { txn } => {
                if let Some(began) = self.publications.remove(txn) {
                    metrics.publish.observe(now.since(began).as_secs_f64());
                }
            }
            Record::Participant(
                ParticipantRecord::Refused { txn } | ParticipantRecord::RoundEnded { txn },
            ) => {
                self.checks.remove(txn);
            }
            Record::Participant(
                ParticipantRecord::Aborted { job } | ParticipantRecord::Released { job },
            ) => {
                self.checks.retain(|txn, _| txn.job != *job);
                self.publications.retain(|txn, _| txn.job != *job);
            }
            Record::Participant(
                ParticipantRecord::Committed { .. }
                | ParticipantRecord::TakenOver { .. }
                | ParticipantRecord::StoodDown { .. }
                | ParticipantRecord::Forced(_),
            )
            | Record::EpochSeen { .. }
            | Record::Accepted { .. }
            | Record::StopDecided { .. }
            | Record::Acknowledged { .. }
            | Record::Discarded { .. }
            | Record::CheckpointGone { .. }
            | Record::CheckpointsReleased { .. } => {}
        }
    }

    fn see_action(&mut self, now: Moment, action: &Action) {
        let begin = |under_way: &mut BTreeMap<TxnId, Moment>, txn: &TxnId| {
            if under_way.len() < UNDER_WAY_MAX {
                under_way.entry(txn.clone()).or_insert(now);
            }
        };
        match action {
            Action::Check { txn, .. } => begin(&mut self.checks, txn),
            Action::Publish { txn, .. } => begin(&mut self.publications, txn),
            Action::Raise(_) => {
                self.metrics.alarms.inc();
            }
            Action::Greet { .. } => {
                self.metrics.sessions.inc();
            }
            Action::Send(_)
            | Action::Heartbeat { .. }
            | Action::RenewLease { .. }
            | Action::Leave { .. }
            | Action::Fetch(_)
            | Action::Run { .. }
            | Action::Stop { .. }
            | Action::Seal(_)
            | Action::SealCheckpoint(_)
            | Action::Answer { .. }
            | Action::Signal { .. }
            | Action::Replicate(_)
            | Action::RemoveCheckpoint(_)
            | Action::RemoveCheckpoints(_)
            | Action::Discard(_)
            | Action::DiscardJob(_)
            | Action::DryVote { .. }
            | Action::AnswerLocal { .. }
            | Action::TakeOver { .. }
            | Action::Withdraw { .. }
            | Action::AskPeer { .. }
            | Action::AnswerPeer { .. }
            | Action::TellDoubt(_)
            | Action::PruneLogs { .. }
            | Action::Exit => {}
        }
    }
}

impl Machine for Observed {
    type Event = Event;
    type Record = Record;
    type Action = Action;

    fn step(&mut self, now: Moment, event: Event) -> Reaction<Record, Action> {
        let reaction = self.engine.step(now, event);
        if let Some(record) = &reaction.record {
            self.see_record(now, record);
        }
        for action in &reaction.actions {
            self.see_action(now, action);
        }
        self.metrics.steps.fetch_add(1, Ordering::Relaxed);
        let (rounds, oldest) = self.engine.doubt(now);
        *self.metrics.doubt() = Doubt { rounds, oldest: oldest.map(|age| (age, now)) };
        reaction
    }

    fn next_deadline(&self) -> Option<Moment> {
        self.engine.next_deadline()
    }
}

/// So many checks and publications at a time are measured.
const UNDER_WAY_MAX: usize = 10_000;
