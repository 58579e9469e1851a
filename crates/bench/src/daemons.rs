//! A coordinator and workers as real processes of the release build.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use votum_client::{Client, Options, wire::WorkerState};

use crate::stopwatch::{Stopwatch, pause};

/// One process with its arguments; it ends with this value.
#[derive(Debug)]
pub(crate) struct Daemon {
    argv: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
    is_gentle: bool,
}

impl Daemon {
    /// Describes a daemon; it does not run yet.
    pub(crate) fn new(argv: Vec<String>, log: PathBuf) -> Self {
        Self { argv, log, child: None, is_gentle: false }
    }

    /// Lets it end its own children before it ends.
    pub(crate) fn end_gently(&mut self) {
        self.is_gentle = true;
    }

    /// Runs it below another program from its next start on.
    pub(crate) fn wrap(&mut self, wrapper: &[&str]) {
        self.argv.splice(0..0, wrapper.iter().map(ToString::to_string));
    }

    /// Starts it.
    ///
    /// # Errors
    /// When there is no such program.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let [program, arguments @ ..] = self.argv.as_slice() else { bail!("no program") };
        let child = Command::new(program)
            .args(arguments)
            .env("VOTUM_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends it at once, and waits for its end.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            if self.is_gentle {
                let asked = Command::new("kill").arg(child.id().to_string()).status();
                let watch = Stopwatch::start();
                let is_patient = || watch.elapsed() < GENTLE_MAX;
                while asked.is_ok() && is_patient() && matches!(child.try_wait(), Ok(None)) {
                    std::thread::park_timeout(Duration::from_millis(20));
                }
            }
            // A child that is gone needs no kill.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Returns the megabytes that it holds in memory; none if it does not run.
    pub(crate) fn memory_mb(&self) -> Option<f64> {
        let text =
            fs::read_to_string(format!("/proc/{}/status", self.child.as_ref()?.id())).ok()?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kilobytes * 1024.0 / 1e6)
    }

    /// Returns the seconds of processor time that it has used; none if it does not run.
    pub(crate) fn processor_s(&self) -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.as_ref()?.id())).ok()?;
        // The name may hold anything but is the last thing in parentheses.
        let (_, behind) = text.rsplit_once(") ")?;
        let field = |number: usize| behind.split(' ').nth(number)?.parse::<f64>().ok();
        Some((field(11)? + field(12)?) / TICKS_PER_SECOND)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where the measured programs are: beside this one.
pub(crate) fn program(name: &str) -> anyhow::Result<String> {
    let here = std::env::current_exe().context("cannot find this program")?;
    let path = here.with_file_name(name);
    ensure!(path.exists(), "{} is missing: cargo xtask bench builds it", path.display());
    Ok(path.to_string_lossy().into_owned())
}

/// What a cluster is made with.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// How many real workers, called s1, s2 and so on.
    pub(crate) workers: usize,
    /// More arguments of the coordinator.
    pub(crate) coordinator: Vec<String>,
    /// Whether the workers show what they count.
    pub(crate) metrics: bool,
}

impl Plan {
    /// So many real workers and nothing special.
    pub(crate) fn of(workers: usize) -> Self {
        Self { workers, coordinator: Vec::new(), metrics: false }
    }
}

/// A coordinator, its workers and clients of it, below one folder that goes with them.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The coordinator.
    pub(crate) coordinator: Daemon,
    /// The workers, in order.
    pub(crate) workers: Vec<Daemon>,
    /// Where each worker shows what it counts, in the same order.
    pub(crate) metrics: Vec<String>,
    /// Where the coordinator listens, as `host:port`.
    pub(crate) address: String,
    clients: Vec<Client>,
    home: TempDir,
}

impl Cluster {
    /// Starts one and waits until every worker is ready.
    ///
    /// # Errors
    /// When a program is missing or does not come up.
    pub(crate) async fn started(scratch: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let mut cluster = Self::prepared(scratch, plan)?;
        cluster.start().await?;
        Ok(cluster)
    }

    /// Lays one out without starting anything.
    ///
    /// # Errors
    /// When a program is missing, or a folder cannot be made.
    pub(crate) fn prepared(scratch: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("cluster-").tempdir_in(scratch)?;
        let base = home.path();
        let config = base.join("coordinator.toml");
        fs::write(&config, CONFIG)?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut argv = vec![
            program("votum-coordinator")?,
            format!("--listen={address}"),
            format!("--data-dir={}", base.join("coordinator").display()),
            format!("--config={}", config.display()),
        ];
        argv.extend(plan.coordinator.iter().cloned());
        let coordinator = Daemon::new(argv, base.join("coordinator.log"));
        let (mut workers, mut metrics) = (Vec::new(), Vec::new());
        for number in 1..=plan.workers {
            let name = format!("s{number}");
            let public = base.join(&name).join("public");
            fs::create_dir_all(&public)?;
            let mut argv = vec![
                program("votum-worker")?,
                format!("--name={name}"),
                format!("--coordinator=http://{address}"),
                format!("--data-dir={}", base.join(&name).join("data").display()),
                format!("--publish-root={}", public.display()),
                format!("--artifact-listen=127.0.0.1:{}", free_port()?),
                "--slots=64".to_owned(),
            ];
            if plan.metrics {
                let shown = format!("127.0.0.1:{}", free_port()?);
                argv.push(format!("--metrics-listen={shown}"));
                metrics.push(shown);
            }
            workers.push(Daemon::new(argv, base.join(format!("{name}.log"))));
        }
        let clients = (0..CONNECTIONS).map(|_| Client::connect(&address, PATIENT));
        let clients = clients.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { coordinator, workers, metrics, address, clients, home })
    }

    /// Starts everything and waits until every worker is ready.
    ///
    /// # Errors
    /// When something does not come up.
    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        self.coordinator.start()?;
        for worker in &mut self.workers {
            worker.start()?;
        }
        self.ready(self.workers.len()).await
    }

    /// Waits until so many workers are ready.
    ///
    /// # Errors
    /// When they are not after [`START_MAX`].
    pub(crate) async fn ready(&self, wanted: usize) -> anyhow::Result<()> {
        let (watch, client) = (Stopwatch::start(), self.client(0));
        loop {
            if let Ok(view) = client.cluster().await {
                let ready = view.workers.get(&WorkerState::Ready).copied();
                if ready.unwrap_or_default() >= wanted as u64 {
                    return Ok(());
                }
            }
            ensure!(
                watch.elapsed() < START_MAX,
                "the workers do not become ready; see {}",
                self.home.path().display()
            );
            pause(Duration::from_millis(20)).await;
        }
    }

    /// Returns one of the clients, always the same for the same caller.
    pub(crate) fn client(&self, caller: usize) -> Client {
        self.clients[caller % self.clients.len()].clone()
    }

    /// Returns all clients.
    pub(crate) fn clients(&self) -> Vec<Client> {
        self.clients.clone()
    }

    /// Returns the folder of everything.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Makes a file of so many bytes for tasks to copy, and returns its path.
    ///
    /// # Errors
    /// When the disk is full.
    pub(crate) fn source(&self, bytes: usize) -> anyhow::Result<String> {
        let path = self.home.path().join(format!("source-{bytes}"));
        let line: Vec<u8> = (0..=255).collect();
        let mut content = line.repeat(bytes.div_ceil(line.len()));
        content.truncate(bytes);
        fs::write(&path, content)?;
        Ok(path.to_string_lossy().into_owned())
    }
}

/// Returns a port of the loopback address that nobody uses, below those that the kernel gives to
/// outgoing connections, so that none of those takes it while its daemon is down.
///
/// # Errors
/// When every port of the range is taken.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() * 61 % u32::from(PORTS)).unwrap_or_default();
    for _ in 0..PORTS {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST_PORT + (start + step % PORTS) % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between {FIRST_PORT} and {}", FIRST_PORT + PORTS)
}

const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;
/// The limits of one client are far below what is measured here.
const CONFIG: &str = "[limits]\nrequests_per_second = 0\nconnections = 10000\n\
                      connections_per_address = 10000\n[jobs]\nmax_open = 1000000\n";
const PATIENT: Options =
    Options { timeout: Duration::from_secs(120), patience: Duration::from_secs(30) };
/// A coordinator takes 64 requests at once on a connection.
const CONNECTIONS: usize = 4;
/// How long a cluster may take to come up.
const START_MAX: Duration = Duration::from_secs(90);
/// How long a daemon may take to end its children.
const GENTLE_MAX: Duration = Duration::from_secs(8);
/// Linux counts processor time in hundredths of a second for everybody who asks.
const TICKS_PER_SECOND: f64 = 100.0;
