//! The performer with somebody who counts what leaves: by then it is durable.

use votum_commit::Message;
use votum_driver::{Clock, Perform};
use votum_wire::FromCoordinator;

use super::Metrics;
use crate::{action::Action, lines, perform::Performer, traces::Tracer};

/// A performer whose actions are counted.
#[derive(Debug)]
pub(crate) struct Counted {
    performer: Performer,
    metrics: Metrics,
    tracer: Option<Tracer>,
    clock: Clock,
}

impl Counted {
    /// Counts what a performer does.
    pub(crate) fn new(
        performer: Performer,
        metrics: Metrics,
        tracer: Option<Tracer>,
        clock: Clock,
    ) -> Self {
        Self { performer, metrics, tracer, clock }
    }

    fn see(&self, frame: &FromCoordinator) {
        let FromCoordinator::Commit(message) = frame else { return };
        if let Some(tracer) = &self.tracer {
            tracer.say(self.clock.wall(), message);
        }
        let deliveries = &self.metrics.deliveries;
        match message {
            Message::Commit { txn, .. } | Message::TakeOver { txn, .. } => {
                deliveries.get_or_create(&[("decision", "COMMIT")]).inc();
                let took = self.metrics.phases().leave(self.clock.now(), &txn.job);
                if let Some(took) = took {
                    self.metrics.observe_phase("decide", took);
                    lines::committed(txn);
                }
            }
            Message::Abort { .. } => {
                deliveries.get_or_create(&[("decision", "ABORT")]).inc();
            }
            Message::Prepare { .. }
            | Message::Replaced { .. }
            | Message::Undecided { .. }
            | Message::RoundEnded { .. }
            | Message::Noted { .. }
            | Message::Release { .. } => {}
        }
    }
}

impl Perform<Action> for Counted {
    fn perform(&mut self, action: Action) {
        if let Action::Send { frame, .. } | Action::SendDurable { frame, .. } = &action {
            self.see(frame);
        }
        if let (Action::JobChanged { job }, Some(tracer)) = (&action, &self.tracer) {
            tracer.durable(self.clock.wall(), job);
        }
        lines::answered(&action);
        self.performer.perform(action);
    }
}
