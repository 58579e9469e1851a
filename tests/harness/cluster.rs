//! A coordinator and its workers, each with its own folders, and a client that asks them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinHandle};
use uuid::Uuid;
use votum_client::{Access, Client, ClientError, Options};
use votum_ids::{JobId, RequestId};
use votum_job::JobSpec;
use votum_wire::{
    ClusterView, JobView, WorkerState, WorkerView,
    request::{Detail, SubmitJob, Submitted, Wanted},
};

use crate::{
    daemon::Daemon,
    journal::{Written, written_in},
    network::Network,
    patience::{eventually, within},
    port::free_port,
    processes::{Alive, kill, processes_mentioning},
    reader::Reader,
    verdict::Visible,
};

/// Where the daemons' executables are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The coordinator.
    pub coordinator: PathBuf,
    /// The worker.
    pub worker: PathBuf,
}

/// Names the executables that cargo has built for the tests.
#[macro_export]
macro_rules! programs {
    () => {
        $crate::Programs {
            coordinator: env!("CARGO_BIN_EXE_test-coordinator").into(),
            worker: env!("CARGO_BIN_EXE_test-worker").into(),
        }
    };
}

/// How patient the coordinator is with its workers.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Without a frame for this long a worker takes no attempts; for half of it, it is suspect.
    pub lease: Duration,
    /// After the lease, until a silent worker is lost.
    pub stop_grace: Duration,
    /// A pinned task waits this long.
    pub lost_after: Duration,
    /// Between two signs of life.
    pub heartbeat: Duration,
}

impl Timing {
    /// Gives nobody up: for tests in which every daemon comes back.
    pub const PATIENT: Self = Self {
        lease: Duration::from_secs(60),
        stop_grace: Duration::from_secs(1),
        lost_after: Duration::from_mins(10),
        heartbeat: Duration::from_millis(500),
    };
    /// Gives a silent worker up soon: for tests of exactly that.
    pub const HASTY: Self = Self {
        lease: Duration::from_millis(1500),
        stop_grace: Duration::from_millis(500),
        lost_after: Duration::from_secs(4),
        heartbeat: Duration::from_millis(300),
    };
}

/// Daemons on one machine, below one folder that goes with them.
#[derive(Debug)]
pub struct Cluster {
    coordinator: Daemon,
    workers: BTreeMap<String, Daemon>,
    address: String,
    client: Client,
    glancing: Client,
    runtime: Runtime,
    home: TempDir,
    /// Goes last: nothing of the cluster is left in it then.
    network: Option<Network>,
}

impl Cluster {
    /// Starts a coordinator and the workers s1, s2 and s3, and waits until all are ready.
    #[must_use]
    pub fn started(programs: &Programs, timing: Timing) -> Self {
        let mut cluster = Self::prepared(programs, timing);
        cluster.start_all();
        cluster
    }

    /// Lays out the same cluster without starting anything.
    ///
    /// # Panics
    /// If the folders or the client cannot be made.
    #[must_use]
    pub fn prepared(programs: &Programs, timing: Timing) -> Self {
        Self::laid_out(programs, timing, None)
    }

    /// Starts the same cluster with every daemon on a machine of its own, as far as the
    /// network goes: see [`Cluster::network`].
    ///
    /// # Errors
    /// Says why this machine does not allow it.
    pub fn started_apart(programs: &Programs, timing: Timing) -> Result<Self, String> {
        let mut cluster = Self::prepared_apart(programs, timing)?;
        cluster.start_all();
        Ok(cluster)
    }

    /// Lays out the same without starting anything.
    ///
    /// # Errors
    /// Says why this machine does not allow it.
    pub fn prepared_apart(programs: &Programs, timing: Timing) -> Result<Self, String> {
        let nodes: Vec<&str> = WORKERS.into_iter().chain(["coordinator"]).collect();
        let network = Network::made(&nodes)?;
        Ok(Self::laid_out(programs, timing, Some(network)))
    }

    fn laid_out(programs: &Programs, timing: Timing, network: Option<Network>) -> Self {
        let home = tempfile::Builder::new().prefix("votum-test-").tempdir().expect("a folder");
        let base = home.path();
        for folder in ["logs", "runs", "coordinator"] {
            fs::create_dir(base.join(folder)).expect("a folder");
        }
        let address = listening(network.as_ref(), "coordinator");
        let log = |name: &str| base.join("logs").join(format!("{name}.log"));
        let arguments = coordinator_arguments(&address, &base.join("coordinator"), timing);
        let placed = |daemon| placed(network.as_ref(), daemon);
        let coordinator =
            Daemon::new("coordinator", &programs.coordinator, arguments, log("coordinator"));
        let coordinator = placed(coordinator);
        let mut workers = BTreeMap::new();
        for name in WORKERS {
            fs::create_dir_all(base.join(name).join("public")).expect("a folder");
            let artifacts = listening(network.as_ref(), name);
            let arguments = worker_arguments(name, &address, &artifacts, &base.join(name));
            let daemon = Daemon::new(name, &programs.worker, arguments, log(name));
            workers.insert(name.to_owned(), placed(daemon));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let connect = |options| {
            let _entered = runtime.enter();
            Client::connect(&address, options).expect("the address is one")
        };
        let (client, glancing) = (connect(PATIENT), connect(GLANCING));
        Self { coordinator, workers, address, client, glancing, runtime, home, network }
    }

    /// Lets the clients of this cluster show who they are.
    pub(crate) fn connect_with(&mut self, access: &Access) {
        let _entered = self.runtime.enter();
        let connect = |options| {
            Client::connect_with(&self.address, options, access).expect("the address is one")
        };
        (self.client, self.glancing) = (connect(PATIENT), connect(GLANCING));
    }

    /// Returns another client of the coordinator, who shows this.
    #[must_use]
    pub fn client_with(&self, access: &Access) -> Client {
        let _entered = self.runtime.enter();
        Client::connect_with(&self.address, GLANCING, access).expect("the address is one")
    }

    /// Starts everything that does not run, and waits until all workers are ready.
    pub fn start_all(&mut self) {
        self.start_missing();
        self.wait_until_ready();
    }

    /// Starts everything that does not run.
    pub fn start_missing(&mut self) {
        for daemon in std::iter::once(&mut self.coordinator).chain(self.workers.values_mut()) {
            if !daemon.is_started() {
                daemon.start();
            }
        }
    }

    /// Waits until every worker that was started is ready.
    #[track_caller]
    pub fn wait_until_ready(&mut self) {
        let wanted: Vec<String> = self
            .workers
            .values()
            .filter(|one| one.is_started())
            .map(|one| one.name().into())
            .collect();
        eventually("every worker is ready", LONG, || {
            let workers = self.block_on(self.glancing.workers()).ok()?;
            let is_ready = |name: &String| {
                workers.iter().any(|worker| {
                    worker.worker.as_str() == name && worker.state == WorkerState::Ready
                })
            };
            wanted.iter().all(is_ready).then_some(())
        });
    }

    /// Returns the coordinator's daemon.
    pub fn coordinator(&mut self) -> &mut Daemon {
        &mut self.coordinator
    }

    /// Returns a worker's daemon.
    pub fn worker(&mut self, name: &str) -> &mut Daemon {
        self.workers.get_mut(name).unwrap_or_else(|| panic!("there is no worker {name}"))
    }

    /// Returns the data directory of a worker: what makes it the same installation.
    #[must_use]
    pub fn data_dir(&self, worker: &str) -> PathBuf {
        self.home.path().join(worker).join("data")
    }

    /// Reads a worker as people are shown it; none if there is none of this name.
    ///
    /// # Panics
    /// If the coordinator cannot be reached.
    #[track_caller]
    #[must_use]
    pub fn shown(&self, name: &str) -> Option<WorkerView> {
        let workers = self.block_on(self.client.workers()).expect("the coordinator answers");
        workers.into_iter().find(|view| view.worker.as_str() == name)
    }

    /// Returns the daemon of this name, the coordinator's included.
    pub fn daemon(&mut self, name: &str) -> &mut Daemon {
        if name == "coordinator" { self.coordinator() } else { self.worker(name) }
    }

    /// Says whether there is a network between the daemons that can be cut.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        self.network.is_some()
    }

    /// Returns the network between the daemons, in which each direction can be cut.
    ///
    /// # Panics
    /// If they were not started apart.
    #[must_use]
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("the daemons were started apart")
    }

    /// Returns the client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns where the coordinator listens, as `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Lets connections be prepared for as long as this is kept.
    pub fn entered(&self) -> tokio::runtime::EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Waits for something asynchronous.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Begins something asynchronous beside the test.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.runtime.spawn(future)
    }

    /// Returns the folder in which each run of a counted task leaves a line.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        self.home.path().join("runs")
    }

    /// Returns a folder for whatever a test needs, such as a file that a task waits for.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns the publish root of a worker.
    #[must_use]
    pub fn root(&self, worker: &str) -> PathBuf {
        self.home.path().join(worker).join("public")
    }

    /// Returns the staging folder of a worker.
    #[must_use]
    pub fn staging(&self, worker: &str) -> PathBuf {
        self.home.path().join(worker).join("data/staging")
    }

    /// Returns the journal's folder of a daemon.
    #[must_use]
    pub fn journal(&self, daemon: &str) -> PathBuf {
        match daemon {
            "coordinator" => self.home.path().join("coordinator/journal"),
            worker => self.home.path().join(worker).join("data/journal"),
        }
    }

    /// Reads what a daemon has written down about a job.
    #[must_use]
    pub fn records_of(&self, daemon: &str, job: &JobId) -> Vec<Written> {
        let stream = format!("job/{job}");
        written_in(&self.journal(daemon), &stream)
    }

    /// Returns the paths of one target name on every worker.
    #[must_use]
    pub fn targets(&self, name: &str) -> Vec<PathBuf> {
        WORKERS.iter().map(|worker| self.root(worker).join(name)).collect()
    }

    /// Starts a reader of one target name on every worker.
    #[must_use]
    pub fn reader(&self, name: &str) -> Reader {
        Reader::start(self.targets(name), self.journal("coordinator"))
    }

    /// Hands a job in.
    #[track_caller]
    pub fn submit(&self, spec: &JobSpec) -> JobId {
        let submitted = self.try_submit(spec, draw_request());
        let submitted = submitted.unwrap_or_else(|error| panic!("refused: {error}: {error:?}"));
        submitted.job.expect("it was not only validated").job
    }

    /// Hands a job in under a request id.
    ///
    /// # Errors
    /// As the client says.
    pub fn try_submit(&self, spec: &JobSpec, request: RequestId) -> Result<Submitted, ClientError> {
        let submission = SubmitJob {
            spec: spec.clone(),
            job: None,
            request: Some(request),
            validate_only: false,
        };
        self.block_on(self.client.submit(&submission))
    }

    /// Reads a job.
    #[track_caller]
    pub fn job(&self, job: &JobId) -> JobView {
        let view = self.block_on(self.client.job(job));
        view.unwrap_or_else(|error| panic!("{job} cannot be read: {error}: {error:?}"))
    }

    /// Reads a job if the coordinator answers at once.
    #[must_use]
    pub fn glance(&self, job: &JobId) -> Option<JobView> {
        self.block_on(self.glancing.job(job)).ok()
    }

    /// Lists every job, newest first.
    #[track_caller]
    pub fn jobs(&self) -> Vec<JobView> {
        let listed = self.block_on(self.client.jobs(&Wanted::default(), Detail::Basic, 10_000));
        listed.expect("the coordinator answers")
    }

    /// Asks what the coordinator counts.
    #[track_caller]
    pub fn counters(&self) -> ClusterView {
        self.block_on(self.client.cluster()).expect("the coordinator answers")
    }

    /// Waits until a job is as it shall be.
    #[track_caller]
    pub fn wait_for(&self, what: &str, job: &JobId, is: impl Fn(&JobView) -> bool) -> JobView {
        let mut last = None;
        let found = within(LONG, || {
            let view = self.glance(job)?;
            last = Some(view.clone());
            is(&view).then_some(view)
        });
        match found {
            Some(view) => view,
            None => panic!("{job} does not come to this: {what}; last seen: {last:#?}"),
        }
    }

    /// Waits until a job is committed or aborted and every participant has applied it.
    #[track_caller]
    pub fn ended(&self, job: &JobId) -> JobView {
        self.wait_for("it has ended", job, |view| view.state.is_final())
    }

    /// Counts the runs of a counted task, those that were cut off included.
    #[must_use]
    pub fn runs_of(&self, job: &JobId, task: &str) -> usize {
        let file = self.runs().join(format!("{job}.{task}"));
        fs::read_to_string(file).map_or(0, |text| text.lines().count())
    }

    /// Judges what is visible of a job at one target name on every worker.
    #[must_use]
    pub fn visible(&self, job: &JobId, name: &str) -> Visible {
        let targets = self.targets(name);
        Visible::of(job.as_str(), targets.iter().map(PathBuf::as_path))
    }

    /// Returns how often the outputs of a task were sealed, as all workers have written down.
    #[must_use]
    pub fn sealings(&self, job: &JobId, task: &str) -> usize {
        let is_sealing = |one: &Written| {
            one.part(&["sealed", "attempt", "task"]).is_some_and(|found| found == task)
        };
        let count = |worker: &&str| {
            self.records_of(worker, job).iter().filter(|one| is_sealing(one)).count()
        };
        WORKERS.iter().map(count).sum()
    }

    /// Lists what is staged on any worker.
    #[must_use]
    pub fn staged(&self) -> Vec<PathBuf> {
        WORKERS.iter().flat_map(|worker| entries_below(&self.staging(worker))).collect()
    }

    /// Waits until nothing is staged on any worker.
    #[track_caller]
    pub fn wait_until_staging_is_empty(&self) {
        let mut left = Vec::new();
        let empty = within(LONG, || {
            left = self.staged();
            left.is_empty().then_some(())
        });
        assert!(empty.is_some(), "still staged: {left:#?}");
    }

    /// Lists the living processes of a job, supervisors included.
    #[must_use]
    pub fn processes_of(&self, job: &JobId) -> Vec<Alive> {
        let mut alive = processes_mentioning(&format!("VOTUM_JOB_ID={job}"));
        alive.extend(processes_mentioning(&format!("attempts/{job}/")));
        alive
    }

    /// Waits until no process of any job is left, supervisors included.
    #[track_caller]
    pub fn wait_until_no_task_runs(&self) {
        let attempts = format!("{}/", self.home.path().display());
        let mut alive = Vec::new();
        let gone = within(LONG, || {
            alive = processes_mentioning(&attempts);
            alive.retain(|one| {
                one.command.contains("attempts/") || !one.command.contains("--data-dir=")
            });
            alive.is_empty().then_some(())
        });
        assert!(gone.is_some(), "still alive: {alive:#?}");
    }

    /// Returns the folder of the checkpoints of a worker.
    #[must_use]
    pub fn checkpoints(&self, worker: &str) -> PathBuf {
        self.home.path().join(worker).join("data/checkpoints")
    }

    /// Kills a worker's daemon and every process of a job, as a power switch would.
    #[track_caller]
    pub fn cut_power(&mut self, worker: &str, job: &JobId) {
        self.worker(worker).kill();
        // Nobody is left who could tell the end of one process of that of another.
        let gone = within(LONG, || {
            let left = self.processes_of(job);
            for one in &left {
                kill(one.pid);
            }
            left.is_empty().then_some(())
        });
        assert!(gone.is_some(), "a process cannot be killed");
    }

    /// Waits until no process of a job is left.
    #[track_caller]
    pub fn wait_until_nothing_runs(&self, job: &JobId) {
        let mut alive = Vec::new();
        let gone = within(LONG, || {
            alive = self.processes_of(job);
            alive.is_empty().then_some(())
        });
        assert!(gone.is_some(), "still alive: {alive:#?}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            self.print_logs();
        }
        self.coordinator.kill();
        for worker in self.workers.values_mut() {
            worker.kill();
        }
        // What supervisors and tasks are left names this folder, and nothing else does.
        let home = self.home.path().to_string_lossy().into_owned();
        within(SHORT, || {
            let left = processes_mentioning(&home);
            for one in &left {
                kill(one.pid);
            }
            left.is_empty().then_some(())
        });
        if std::env::var_os("VOTUM_TEST_KEEP").is_some() {
            self.home.disable_cleanup(true);
        }
    }
}

impl Cluster {
    #[expect(clippy::print_stderr, reason = "whoever reads of the failure wants to see them")]
    fn print_logs(&self) {
        for daemon in std::iter::once(&self.coordinator).chain(self.workers.values()) {
            let log = daemon.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            eprintln!("--- {} ---\n{}", daemon.name(), shown.join("\n"));
        }
    }
}

/// Draws an id for a request.
#[expect(clippy::disallowed_methods, reason = "a client draws its request ids")]
pub(crate) fn draw_request() -> RequestId {
    RequestId(Uuid::new_v4())
}

fn coordinator_arguments(address: &str, data_dir: &Path, timing: Timing) -> Vec<String> {
    let mut arguments =
        vec![format!("--listen={address}"), format!("--data-dir={}", data_dir.display())];
    for (flag, time) in [
        ("lease-ms", timing.lease),
        ("stop-grace-ms", timing.stop_grace),
        ("lost-after-ms", timing.lost_after),
        ("heartbeat-interval-ms", timing.heartbeat),
    ] {
        arguments.push(format!("--{flag}={}", time.as_millis()));
    }
    arguments
}

/// Returns where a daemon listens.
fn listening(network: Option<&Network>, name: &str) -> String {
    match network {
        Some(network) => format!("{}:{PORT}", network.address(name)),
        None => format!("127.0.0.1:{}", free_port()),
    }
}

/// Puts a daemon on its machine; one that others can reach must be told that this is meant.
fn placed(network: Option<&Network>, mut daemon: Daemon) -> Daemon {
    if let Some(network) = network {
        let wrapper = network.wrapper(daemon.name());
        daemon.wrap(&wrapper.each_ref().map(String::as_str));
        daemon.add_argument("--insecure");
    }
    daemon
}

fn worker_arguments(name: &str, coordinator: &str, artifacts: &str, base: &Path) -> Vec<String> {
    vec![
        format!("--name={name}"),
        format!("--coordinator=http://{coordinator}"),
        format!("--data-dir={}", base.join("data").display()),
        format!("--publish-root={}", base.join("public").display()),
        format!("--artifact-listen={artifacts}"),
        "--slots=4".to_owned(),
    ]
}

/// Returns what lies below a folder, however deep: whoever reads of it wants to know what it is.
fn entries_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.flat_map(|path| [vec![path.clone()], entries_below(&path)].concat()).collect()
}

/// The workers of every cluster.
const WORKERS: [&str; 3] = ["s1", "s2", "s3"];
/// Where a daemon listens on a machine of its own.
const PORT: u16 = 7070;
/// A client that sees a daemon away for a moment asks again.
const PATIENT: Options =
    Options { timeout: Duration::from_secs(10), patience: Duration::from_secs(20) };
/// One that would rather look again later.
const GLANCING: Options = Options { timeout: Duration::from_secs(5), patience: Duration::ZERO };
/// Whatever is to happen at all has happened by then, also on a busy machine.
const LONG: Duration = Duration::from_mins(1);
/// How long killed processes may take to be gone.
const SHORT: Duration = Duration::from_secs(5);
/// How much of each log a failure shows.
const LOG_LINES_SHOWN: usize = 80;
