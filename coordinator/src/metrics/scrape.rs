//! One look of Prometheus: asks the engine what stands, and writes everything down.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tonic::Status;
use votum_driver::INBOX_MAX;
use votum_metrics::{CONTENT_TYPE, Exposition};
use votum_wire::{JobState, status, view::WorkerState};

use super::Metrics;
use crate::{action::Answer, api::Desk, figures::Figures, question::Question};

/// Answers Prometheus; clones share the counters.
#[derive(Debug, Clone)]
pub(crate) struct Scrape {
    pub(crate) desk: Desk,
    pub(crate) metrics: Metrics,
    pub(crate) exposition: Arc<Exposition>,
}

impl Scrape {
    /// Returns the route on which Prometheus looks.
    pub(crate) fn router(self) -> Router {
        Router::new().route("/metrics", get(answer)).with_state(self)
    }

    /// Writes every metric down as it is at this moment.
    ///
    /// # Errors
    /// UNAVAILABLE when the daemon stops.
    async fn text(&self) -> Result<String, Status> {
        let answer = self.desk.ask(Question::ShowFigures).await?;
        let Answer::Figures(figures) = answer else { return Err(status::shutting_down()) };
        self.show(&figures);
        self.exposition.text().map_err(|error| status::internal(&error))
    }

    fn show(&self, figures: &Figures) {
        let gauges = &self.metrics.gauges;
        for state in JobState::ALL {
            let count = figures.cluster.jobs.get(&state).copied().unwrap_or(0);
            gauges.jobs.get_or_create(&[("state", state.word())]).set(whole(count));
        }
        for state in WorkerState::ALL {
            let count = figures.cluster.workers.get(&state).copied().unwrap_or(0);
            gauges.workers.get_or_create(&[("state", state.word())]).set(whole(count));
        }
        for (state, count) in figures.tasks.by_state() {
            gauges.tasks.get_or_create(&[("state", state)]).set(whole(count));
        }
        for (kind, count) in figures.cases_by_kind() {
            gauges.cases.get_or_create(&[("kind", kind)]).set(whole(count));
        }
        gauges.mixed.set(whole(figures.cluster.mixed + self.desk.closed_mixed()));
        gauges.kept.set(whole(figures.cluster.kept));
        gauges.log_stale.set(i64::from(figures.cluster.stale));
        gauges.unreadable_streams.set(whole(figures.cluster.quarantined.len() as u64));
        gauges.in_doubt.set(whole(figures.in_doubt));
        let oldest = figures.oldest_in_doubt.map(|since| self.desk.clock.wall().since(since));
        gauges.oldest_in_doubt.set(oldest.map_or(0.0, |age| age.as_secs_f64()));
        gauges.events_waiting.set(whole((INBOX_MAX - self.desk.inbox.room()) as u64));
        self.metrics.store.show(&self.desk.reader.counters());
    }
}

async fn answer(State(scrape): State<Scrape>) -> impl IntoResponse {
    match scrape.text().await {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, CONTENT_TYPE)], text),
        Err(status) => {
            let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            (StatusCode::SERVICE_UNAVAILABLE, plain, status.message().to_owned())
        }
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
