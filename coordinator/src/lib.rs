//! The coordinator: receives jobs, runs their tasks on workers, and commits them as a unit.
//!
//! One loop around one pure `Engine` (`engine.rs`): what comes in over gRPC
//! becomes an event, what the engine asks for becomes a frame, an answer or a
//! wake-up, and nothing is said before it is durable.

mod action;
mod admission;
mod api;
mod audit;
mod auth;
mod backup;
mod changes;
mod config;
mod engine;
mod event;
mod exchange;
mod expiry;
mod figures;
mod http;
mod lines;
mod log;
mod metrics;
mod open_job;
mod perform;
mod quarantine;
mod question;
mod recall;
mod record;
mod recovery;
mod replies;
mod restore;
mod sentence;
mod services;
mod sessions;
mod traces;
mod turn;
mod view;
mod web;
mod webhooks;

pub use auth::{ClientLimits, Protection, ProtectionArgs};
pub use config::{Config, ConfigArgs};
pub use log::LogArgs;
pub use restore::{Restoration, RestoreArgs};

use std::time::Duration;

use anyhow::Context;
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tonic::transport::Server;
use votum_driver::{Clock, Driver, Inbox};
use votum_journal::Reader;
use votum_metrics::{keep_watchdog, tell_ready, tell_stopping};

use crate::{
    api::{AdminApi, Bounds, Desk, Room},
    audit::Audit,
    auth::{GuardLayer, Rates, Reloadable},
    changes::Changes,
    event::Event,
    metrics::{Counted, Metrics, Observed, RpcMetrics, Scrape},
    perform::Performer,
    question::Question,
    recall::Recall,
    recovery::Recovered,
    replies::Replies,
    sessions::{SessionApi, Sessions},
    traces::Export,
    webhooks::Webhooks,
};

/// Runs a coordinator until it is told to stop by SIGTERM or SIGINT.
///
/// Once a person has trusted a stale log it starts again from that log, in the same process.
///
/// # Errors
/// When the journal cannot be opened, the address cannot be used, or the server fails.
pub fn run(config: &Config) -> anyhow::Result<()> {
    loop {
        let runtime = Runtime::new().context("cannot start the runtime")?;
        let ended = runtime.block_on(serve(config.clone()))?;
        // With it goes whatever still reads the journal.
        drop(runtime);
        match ended {
            Ended::Stopped => return Ok(()),
            Ended::Again => tracing::info!("starts again from its log"),
        }
    }
}

/// Why a coordinator has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It was told to stop.
    Stopped,
    /// It shall start again from its log.
    Again,
}

async fn serve(config: Config) -> anyhow::Result<Ended> {
    let clock = Clock::start();
    let hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    let secured = Reloadable::load(&config.protection)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let Recovered { engine, journal, reader, durable, log, index, flushes } =
        recovery::recover(&config, &clock).await?;
    let (metrics, exposition) = Metrics::shown(flushes);
    metrics.recovered(log.epoch, clock.now());
    tracing::info!(%address, cluster = %log.cluster, epoch = %log.epoch, ?index, "recovered");

    let (inbox, events) = Inbox::new();
    let sessions = Sessions::new(log, durable.clone());
    let (replies, changes) = (Replies::default(), Changes::default());
    let (again, wanted) = watch::channel(false);
    let performer = performer(&sessions, &replies, &changes, &inbox, &reader, again);
    let (tracer, export) = Export::start(config.otel_endpoint.as_deref(), log.cluster, &metrics);
    let performer = Counted::new(performer, metrics.clone(), tracer.clone(), clock);
    let desk = Desk {
        inbox: inbox.clone(),
        replies,
        changes,
        reader: reader.clone(),
        clock,
        tombstones_kept: config.tombstones_kept,
        room: Room { data_dir: config.data_dir.clone(), reserve: config.disk_reserve },
        dialer: secured.dialer.clone(),
    };
    let engine = Observed::new(engine, metrics.clone(), tracer);
    let driver = Driver::new(engine, journal, performer, clock).run(events, durable);
    tokio::spawn(expiry::run(reader.clone(), clock, inbox.clone(), config.tombstones_kept));

    let bounds = Bounds { jobs_open_max: config.jobs_open_max, data_dir: config.data_dir.clone() };
    let admin = AdminApi::new(desk.clone(), log, index, bounds);
    let session = SessionApi { inbox, sessions: sessions.clone() };
    let scrape = Scrape { desk: desk.clone(), metrics: metrics.clone(), exposition };
    let grpc = services::grpc(desk.clone(), admin, session).await?;
    let routes = http::joined(&grpc, http::Names::of(address), scrape.router());
    let audit = Audit::open(&config.data_dir).context("cannot write the audit log")?;
    let rates = config.limits.requests_per_second.map(Rates::new);
    let guard = secured.guard(clock).bounding(rates).writing_into(audit);
    let incoming = votum_tls::incoming(listener, secured.tls.clone(), config.limits.connections);
    let server = Server::builder()
        // Scripts, browsers and scrapers speak it.
        .accept_http1(true)
        .layer(RpcMetrics { metrics, clock })
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(STREAMS_MAX)
        .layer(GuardLayer::new(guard))
        .add_routes(routes)
        .serve_with_incoming(incoming);
    tokio::spawn(secured.with_each(hangup));
    tell_ready();
    let ended = until_ended(server, driver, &desk, clock, wanted).await?;
    // Leaving drops the journal, which commits what was appended and closes its index.
    sessions.close();
    export.finish().await;
    Ok(ended)
}

/// Serves until there is a reason to end.
async fn until_ended(
    server: impl Future<Output = Result<(), tonic::transport::Error>>,
    driver: impl Future,
    desk: &Desk,
    clock: Clock,
    mut wanted: watch::Receiver<bool>,
) -> anyhow::Result<Ended> {
    tokio::select! {
        served = server => served.context("the server failed")?,
        _journal = driver => anyhow::bail!("the loop ended by itself"),
        stopped = stopped() => stopped?,
        () = asked_again(&mut wanted) => return Ok(Ended::Again),
        never = keep_watchdog(clock, async || answers(desk).await) => never,
    }
    tell_stopping();
    tracing::info!("stopping");
    Ok(Ended::Stopped)
}

/// Waits until the coordinator shall start again, and lets the answer go out that says so.
async fn asked_again(wanted: &mut watch::Receiver<bool>) {
    if wanted.wait_for(|again| *again).await.is_err() {
        return std::future::pending().await; // The loop has ended, which is told elsewhere.
    }
    let _ = tokio::time::timeout(ANSWER_GRACE, std::future::pending::<()>()).await;
}

/// Joins what the engine acts with.
fn performer(
    sessions: &Sessions,
    replies: &Replies,
    changes: &Changes,
    inbox: &Inbox<Event>,
    reader: &Reader,
    again: watch::Sender<bool>,
) -> Performer {
    Performer {
        sessions: sessions.clone(),
        replies: replies.clone(),
        changes: changes.clone(),
        webhooks: Webhooks::new(inbox.clone()),
        recall: Recall::start(reader.clone(), inbox.clone()),
        again,
    }
}

/// Says whether the loop answers, which is what a coordinator is for.
async fn answers(desk: &Desk) -> bool {
    desk.ask(Question::ShowJobs { jobs: Vec::new() }).await.is_ok()
}

async fn stopped() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// How often a silent connection is tried.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// How long a try may take before the connection counts as broken.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// An answer is on its way this long after it was given.
const ANSWER_GRACE: Duration = Duration::from_millis(500);
/// Most calls at a time on one connection.
const STREAMS_MAX: u32 = 64;
