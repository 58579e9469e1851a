//! The way of the spans to the collector: gathered, sent, and given up if that fails.

use std::time::Duration;

use prometheus_client::metrics::{counter::Counter, family::Family};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use votum_ids::ClusterId;

use super::{Tracer, span::Span, span::request};
use crate::{metrics::Metrics, webhooks};

/// What became of spans, counted; clones share the counters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fates(pub(super) Family<[(&'static str, &'static str); 1], Counter>);

impl Fates {
    /// Counts one for which there was no room.
    pub(super) fn dropped(&self) {
        self.count("dropped", 1);
    }

    fn count(&self, fate: &'static str, spans: usize) {
        self.0.get_or_create(&[("fate", fate)]).inc_by(spans as u64);
    }
}

/// What sends spans to a collector, if there is one.
#[derive(Debug)]
pub(crate) struct Export(Option<JoinHandle<()>>);

impl Export {
    /// Starts to send to the collector at `endpoint`; with none there is nothing to trace with.
    pub(crate) fn start(
        endpoint: Option<&str>,
        cluster: ClusterId,
        metrics: &Metrics,
    ) -> (Option<Tracer>, Self) {
        let Some(endpoint) = endpoint else { return (None, Self(None)) };
        let fates = Fates(metrics.spans.clone());
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let (sender, spans) = mpsc::channel(WAITING_MAX);
        let sending = send_all(url, cluster.to_string(), spans, fates.clone());
        (Some(Tracer::new(sender, fates)), Self(Some(tokio::spawn(sending))))
    }

    /// Gives what still waits a moment to leave; whoever makes spans must be gone.
    pub(crate) async fn finish(self) {
        if let Some(sending) = self.0 {
            let _late = timeout(FAREWELL, sending).await;
        }
    }
}

/// Sends what comes, until nobody can hand anything in.
///
/// A collector that does not answer costs its spans; nothing waits for it but this.
async fn send_all(url: String, cluster: String, mut spans: mpsc::Receiver<Span>, fates: Fates) {
    let client = match webhooks::client() {
        Ok(client) => client,
        Err(problem) => return tracing::error!(problem, "traces cannot be sent"),
    };
    let (mut batch, mut reached) = (Vec::new(), true);
    while spans.recv_many(&mut batch, BATCH).await > 0 {
        // What belongs together comes together.
        let _late = timeout(LINGER, async {
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                if spans.recv_many(&mut batch, room).await == 0 {
                    return;
                }
            }
        })
        .await;
        let body = request(&cluster, &batch).to_string();
        let request = client.post(&url).timeout(PATIENCE).body(body);
        let sent = request.header("content-type", "application/json").send();
        let outcome = sent.await.and_then(reqwest::Response::error_for_status);
        let fate = if outcome.is_ok() { "sent" } else { "failed" };
        fates.count(fate, batch.len());
        match (&outcome, reached) {
            (Err(error), true) => {
                tracing::warn!(url, spans = batch.len(), %error, "traces do not arrive");
            }
            (Ok(_), false) => tracing::info!(url, "traces arrive again"),
            (Ok(_), true) | (Err(_), false) => {}
        }
        reached = outcome.is_ok();
        batch.clear();
    }
}

/// So many spans in one request.
const BATCH: usize = 512;
/// So many spans wait, some megabytes; one more is lost.
const WAITING_MAX: usize = 8_192;
/// How long a span waits for others.
const LINGER: Duration = Duration::from_millis(500);
/// A collector that has not answered by then gets no answer from the batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a coordinator that stops waits for the last spans to leave.
const FAREWELL: Duration = Duration::from_secs(2);
