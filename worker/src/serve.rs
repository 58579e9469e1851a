//! The daemon from its start to its end.

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, OnceLock},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::transport::{Endpoint, Server};
use uuid::Uuid;
use votum_commit::Installation;
use votum_driver::{Clock, Driver, Inbox};
use votum_ids::Incarnation;
use votum_journal::Reader;
use votum_metrics::{Exposition, keep_watchdog, tell_ready, tell_stopping};
use votum_process::Cgroups;
use votum_proto::{FILE_DESCRIPTOR_SET, worker::v1::peer_service_server::PeerServiceServer};
use votum_shadow::{Checkpoints, Shadow};
use votum_tls::{Dialer, Limits, ServerTls, TlsError};
use votum_transfer::artifact_service;

use crate::{
    SupervisorProgram,
    account::AccountError,
    checkpoint::Replicating,
    config::{Config, LogFormat, Settings},
    control,
    event::{Event, Parting},
    gate::Gate,
    holdings::ReadLately,
    leftovers::find_leftovers,
    link::Link,
    logging,
    metrics::{self, Metrics, Observed, Scrape},
    peer::PeerDesk,
    perform::Performer,
    protection::Certificates,
    recovery::{self, Recovered, RecoveryError},
    run::Runs,
    secrets::Secrets,
    session::{self, Way},
    shell::{Bounds, End, Ending, Shell, blocking},
    tokens::ReadTokens,
    tools,
};

/// Is the daemon: settings to exit code, with log lines and signals.
///
/// `supervisor` must end in [`supervise`](crate::supervise()).
#[must_use]
pub fn run(settings: Settings, supervisor: SupervisorProgram) -> ExitCode {
    let mut logs_json = settings.log_format == Some(LogFormat::Json);
    let served = Config::resolve(settings, supervisor).map_err(Failure::new).and_then(|config| {
        logging::init(&config).map_err(Failure::new)?;
        logs_json = config.log_format == LogFormat::Json;
        let runtime = tokio::runtime::Runtime::new().map_err(Failure::new)?;
        let served = runtime.block_on(serve(config));
        // A process in an uninterruptible wait must not hold up the end.
        runtime.shutdown_timeout(FAREWELL);
        served.map_err(Failure::of_serving)
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if logs_json {
                logging::init_last_words();
                tracing::error!(error = %failure, "ends");
            } else {
                failure.print();
            }
            failure.code
        }
    }
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// [`ServeError`] when it cannot start, or must not go on.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let asked = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serve_until(config, asked).await
}

/// Serves until `asked`; then leaves what runs to the next start, or ends it, as configured.
///
/// # Errors
/// [`ServeError`] when it cannot start, or must not go on.
pub async fn serve_until(
    config: Config,
    asked: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let hangup = signal(SignalKind::hangup()).map_err(ServeError::Signals)?;
    let certificates = Certificates::load(&config.protection)?;
    let way = way(&config, &certificates.dialer)?;
    let clock = Clock::start();
    let opening = config.clone();
    let (recovered, shadow, checkpoints, tokens) = blocking(move || open(&opening, clock)).await?;
    let Recovered { engine, me, journal, reader, durable, flushes } = recovered;
    let (metrics, exposition) = Metrics::shown(flushes);
    let leftovers = find_leftovers(&config, &engine, &shadow).await?;
    let secrets = Secrets::of(&config, &me, &leftovers).map_err(ServeError::Secrets)?;
    let cgroups = detect_cgroups(&me).await;

    let (listener, address) = listen(config.artifact_listen).await?;
    let local = control::listen(&config.data_dir).await.map_err(ServeError::Control)?;
    let (inbox, events) = Inbox::new();
    let (ending, mut end) = Ending::new();
    let shell = Arc::new(Shell {
        address: config.artifact_address.clone().unwrap_or_else(|| address.to_string()),
        supervisor: config.supervisor.clone(),
        cgroups,
        config,
        me,
        incarnation: draw_incarnation(),
        clock,
        link: Link::default(),
        dialer: certificates.dialer.clone(),
        secrets,
        shadow,
        checkpoints,
        replicating: Replicating::default(),
        tokens,
        read_lately: ReadLately::default(),
        runs: Runs::default(),
        peers: PeerDesk::new(inbox.clone()),
        metrics: metrics.clone(),
        local: Arc::default(),
        bounds: Bounds::default(),
        inbox,
        ending,
        renewed: tokio::sync::Mutex::default(),
    });
    let stop = CancellationToken::new();
    let _stop_all = stop.clone().drop_guard();
    let engine = Observed::new(engine, metrics);
    let driver = Driver::new(engine, journal, Performer(Arc::clone(&shell)), clock);
    let driver = AbortOnDropHandle::new(tokio::spawn(driver.run(events, durable)));
    leftovers.hand_over(&shell).await;
    let shown = tokio::spawn(show_metrics(Arc::clone(&shell), reader, exposition, stop.clone()));
    let tls = certificates.tls.clone();
    let server = tokio::spawn(serve_peers(Arc::clone(&shell), listener, tls, stop.clone()));
    let _reloading = AbortOnDropHandle::new(tokio::spawn(certificates.with_each(hangup)));
    let _local = AbortOnDropHandle::new(tokio::spawn(control::serve(Arc::clone(&shell), local)));
    let (inbox, link) = (shell.inbox.clone(), shell.link.clone());
    let (removed, protocols) = (Arc::<OnceLock<String>>::default(), shell.config.protocols);
    let told = Arc::clone(&removed);
    let session =
        tokio::spawn(session::keep(way, inbox, link, clock, stop.clone(), told, protocols));
    tracing::info!(worker = %shell.me.worker, uid = %shell.me.uid, %address, "serving");

    tell_ready();
    let result = tokio::select! {
        result = until_the_end(&shell, asked, &mut end) => result,
        _ended = driver => Err(ServeError::Fatal { reason: LOOP_ENDED.to_owned() }),
        never = keep_watchdog(clock, async || shell.answers().await) => never,
        shown = shown => Err(shown.unwrap_or(ServeError::Fatal { reason: LOOP_ENDED.to_owned() })),
        served = server => Err(ServeError::Peers(served.ok().and_then(Result::err))),
    };
    part(&shell, session).await;
    tracing::info!("ended");
    removed.get().map_or(result, |why| Err(ServeError::Removed { why: why.clone() }))
}

/// Listens, and says where.
async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Tells systemd that it ends, and the coordinator nothing more; what was said is sent first.
async fn part(shell: &Shell, session: JoinHandle<()>) {
    tell_stopping();
    if shell.link.is_up() {
        shell.link.finish();
        let _ = timeout(FAREWELL, session).await;
    }
}

/// Says how the coordinator is reached.
fn way(config: &Config, dialer: &Dialer) -> Result<Way, ServeError> {
    let endpoint = Endpoint::from_shared(dialer.url_of(&config.coordinator)?)
        .map_err(|source| ServeError::Coordinator { url: config.coordinator.clone(), source })?;
    let (dialer, token) = (dialer.clone(), config.protection.token_file.clone());
    Ok(Way { endpoint, dialer, token })
}

/// Finds out how attempts can be limited; clears away the groups of those that are over.
async fn detect_cgroups(me: &Installation) -> Cgroups {
    let uid = me.uid.to_string();
    let name = format!("votum-{}-{}", me.worker, uid.get(..8).unwrap_or(&uid));
    let cgroups = blocking(move || {
        let cgroups = Cgroups::detect(&name);
        cgroups.sweep();
        cgroups
    })
    .await;
    tracing::info!(backend = ?cgroups.backend(), "limits");
    cgroups
}

/// Opens everything that lies on the disk.
fn open(
    config: &Config,
    clock: Clock,
) -> Result<(Recovered, Shadow, Checkpoints, ReadTokens), ServeError> {
    let recovered = recovery::recover(config, clock)?;
    let mut shadow = Shadow::open(&config.staging_dir, &config.publish_roots)?;
    let tokens = ReadTokens::open(&config.secret_file()).map_err(ServeError::Secret)?;
    tools::install(config).map_err(ServeError::Tools)?;
    if let Some(account) = &config.task_account {
        shadow = shadow.for_programs_of(account.program_user()).map_err(ServeError::Opened)?;
        account.open_way(config)?;
        tracing::info!(user = account.name, uid = account.user.uid, "tasks run as another user");
    }
    let checkpoints =
        Checkpoints::open(&config.checkpoints_dir()).map_err(ServeError::Checkpoints)?;
    // What a crash left unrecorded nobody was told of.
    checkpoints
        .sweep(&|id| recovered.engine.knows_checkpoint(id))
        .map_err(ServeError::Checkpoints)?;
    Ok((recovered, shadow, checkpoints, tokens))
}

/// Shows the metrics where they are wanted; returns only when that cannot go on.
async fn show_metrics(
    shell: Arc<Shell>,
    reader: Reader,
    exposition: Exposition,
    stop: CancellationToken,
) -> ServeError {
    let Some(address) = shell.config.metrics_listen else {
        return std::future::pending().await;
    };
    let scrape = Scrape { shell, reader, exposition: Arc::new(exposition) };
    let served = match TcpListener::bind(address).await {
        Ok(listener) => metrics::serve(listener, scrape, stop).await,
        Err(error) => Err(error),
    };
    match served {
        Ok(()) => std::future::pending().await,
        Err(source) => ServeError::Listen { address, source },
    }
}

async fn until_the_end(
    shell: &Shell,
    asked: impl Future<Output = ()>,
    end: &mut tokio::sync::mpsc::Receiver<End>,
) -> Result<(), ServeError> {
    let asked = async {
        asked.await;
        tracing::info!("asked to end");
        let parting = if shell.config.stop_tasks { Parting::TasksStop } else { Parting::TasksGoOn };
        shell.inbox.send(Event::Terminated(parting)).await;
        std::future::pending().await
    };
    let end = tokio::select! {
        end = end.recv() => end,
        never = asked => never,
    };
    match end {
        Some(End::Finished) | None => Ok(()),
        Some(End::Fatal(reason)) => Err(ServeError::Fatal { reason }),
    }
}

/// Serves artifacts, logs and answers to peers.
async fn serve_peers(
    shell: Arc<Shell>,
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let gate = if tls.is_some() { Gate::Guarded } else { Gate::Open };
    let incoming = votum_tls::incoming(listener, tls, Limits::default());
    let (health, health_server) = tonic_health::server::health_reporter();
    health.set_serving::<PeerServiceServer<PeerDesk>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors were written by our own build");
    Server::builder()
        .layer(gate)
        .add_service(health_server)
        .add_service(reflection)
        .add_service(PeerServiceServer::new(shell.peers.clone()))
        .add_service(artifact_service(shell))
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
}

/// Why a worker does not start, or had to end.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Signals cannot be waited for.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    /// The coordinator's address is none.
    #[error("{url:?} is no address of a coordinator")]
    Coordinator {
        /// What was given.
        url: String,
        /// What is wrong with it.
        source: tonic::transport::Error,
    },
    /// The certificates cannot be used.
    #[error("cannot use the certificates of [tls]")]
    Tls(#[from] TlsError),
    /// What lies on the disk cannot be used.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The staging or a publish root cannot be used.
    #[error("cannot stage or publish")]
    Shadow(#[from] votum_shadow::OpenError),
    /// The staging cannot be opened to the user that tasks run as.
    #[error("cannot open the staging to tasks")]
    Opened(#[source] votum_shadow::StorageError),
    /// Tasks cannot run as the user that was named.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The folder of the checkpoints cannot be used.
    #[error("cannot use the folder of the checkpoints")]
    Checkpoints(#[source] votum_shadow::StorageError),
    /// The key of the read tokens cannot be used.
    #[error("cannot read or make the key of the read tokens")]
    Secret(#[source] io::Error),
    /// What earlier attempts were handed cannot be removed.
    #[error("cannot remove the secrets of attempts that are over")]
    Secrets(#[source] io::Error),
    /// The commands for tasks cannot be put where they find them.
    #[error("cannot write the commands for tasks")]
    Tools(#[source] io::Error),
    /// The address for artifacts and logs cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The socket for people of this machine cannot be opened.
    #[error("cannot open the control socket in the data directory")]
    Control(#[source] io::Error),
    /// Artifacts and logs are not served any more.
    #[error("artifacts and logs are not served any more")]
    Peers(#[source] Option<tonic::transport::Error>),
    /// An operator has removed this installation for good; a restart changes nothing.
    #[error("{why}")]
    Removed {
        /// The coordinator's sentence.
        why: String,
    },
    /// Going on could break a promise; a restart replays.
    #[error("{reason}")]
    Fatal {
        /// Why.
        reason: String,
    },
}

/// A failure on its way to a person.
struct Failure {
    error: Box<dyn std::error::Error>,
    code: ExitCode,
}

impl Failure {
    fn new(error: impl std::error::Error + 'static) -> Self {
        Self { error: Box::new(error), code: ExitCode::FAILURE }
    }

    fn of_serving(error: ServeError) -> Self {
        let removed = matches!(error, ServeError::Removed { .. });
        let code = if removed { ExitCode::from(EXIT_REMOVED) } else { ExitCode::FAILURE };
        Self { code, ..Self::new(error) }
    }

    #[expect(clippy::print_stderr, reason = "there may be no log yet, and a person waits")]
    fn print(&self) {
        eprintln!("votum-worker: {self}");
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&session::chain(self.error.as_ref()))
    }
}

#[expect(clippy::disallowed_methods, reason = "randomness enters at the daemon's edge")]
fn draw_incarnation() -> Incarnation {
    Incarnation(Uuid::new_v4())
}

const LOOP_ENDED: &str = "the loop of the worker has ended";

/// Exit code of a worker that an operator has deleted: to start it again changes nothing.
pub const EXIT_REMOVED: u8 = 77;

/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(2);
