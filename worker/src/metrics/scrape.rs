//! One look of Prometheus, and the listener on which it looks.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use votum_journal::Reader;
use votum_metrics::{CONTENT_TYPE, Exposition};

use crate::shell::{Shell, on_disk};

/// Answers Prometheus; clones share the counters.
#[derive(Debug, Clone)]
pub(crate) struct Scrape {
    pub(crate) shell: Arc<Shell>,
    pub(crate) reader: Reader,
    pub(crate) exposition: Arc<Exposition>,
}

impl Scrape {
    async fn text(&self) -> Result<String, String> {
        let metrics = &self.shell.metrics;
        let gauges = &metrics.gauges;
        // A filesystem that does not answer is told by the heartbeat; what was known stays.
        if let Ok(free) = on_disk(&self.shell, Shell::free_bytes).await {
            gauges.free.set(whole(free));
        }
        gauges.reserve.set(whole(self.shell.config.shadow_reserve));
        gauges.slots.set(i64::from(self.shell.config.slots));
        gauges.live.set(whole(self.shell.runs.count() as u64));
        gauges.session.set(i64::from(self.shell.link.is_up()));
        let doubt = *metrics.doubt();
        gauges.in_doubt.set(whole(doubt.rounds as u64));
        let now = self.shell.clock.now();
        let age = doubt.oldest.map(|(age, said)| age.saturating_add(now.since(said)));
        gauges.oldest_in_doubt.set(age.map_or(0.0, |age| age.as_secs_f64()));
        metrics.store.show(&self.reader.counters());
        self.exposition.text().map_err(|error| error.to_string())
    }
}

/// Answers `GET /metrics` until it is told to stop.
///
/// # Errors
/// When the listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    scrape: Scrape,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new().route("/metrics", get(metrics)).with_state(scrape);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn metrics(State(scrape): State<Scrape>) -> impl IntoResponse {
    match scrape.text().await {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, CONTENT_TYPE)], text),
        Err(problem) => {
            let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            (StatusCode::INTERNAL_SERVER_ERROR, plain, problem)
        }
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
