//! The work of an attempt until its program runs: its directories, its inputs, its launch.
//!
//! Whatever is under way for an attempt can be asked to end. It then still
//! answers with one event, so that the engine knows when nothing is left.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use votum_crashpoint::crash_point;
use votum_ids::{AttemptId, OutputName};
use votum_job::{
    Assignment, Failure, FailureKind, Program, Resources, Role, Size, TaskSignal, TaskSpec, Usage,
};
use votum_process::{Launch, Limits, StartError, StopSignal, start};
use votum_shadow::Staging;

use crate::{
    account::Account,
    action::Resumed,
    checkpoint,
    config::Config,
    environment::{Places, environment},
    event::AttemptEvent,
    inputs, order,
    outputs::declared,
    report_file::{ReportFile, report_path},
    script,
    secrets::SecretError,
    session::chain,
    shell::{Shell, failed, failure, on_disk, turn},
    steps,
    watch::{forget_secrets, pid_of, watch},
};

/// What is under way, by attempt.
#[derive(Debug, Default)]
pub(crate) struct Runs(Mutex<BTreeMap<AttemptId, watch::Sender<Option<StopOrder>>>>);

/// How to end what is under way.
#[derive(Debug, Clone)]
pub(crate) struct StopOrder {
    pub(crate) grace: Duration,
    pub(crate) reason: String,
}

/// Work for one attempt that is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) shell: Arc<Shell>,
    pub(crate) id: AttemptId,
    stop: watch::Receiver<Option<StopOrder>>,
}

impl Runs {
    /// Notes work that begins.
    pub(crate) fn begin(shell: &Arc<Shell>, id: &AttemptId) -> Run {
        let (sender, stop) = watch::channel(None);
        shell.runs.lock().insert(id.clone(), sender);
        Run { shell: Arc::clone(shell), id: id.clone(), stop }
    }

    /// Asks the work for an attempt to end, if any is under way.
    pub(crate) fn stop(&self, id: &AttemptId, order: StopOrder) {
        if let Some(run) = self.lock().get(id) {
            run.send_replace(Some(order));
        }
    }

    /// Returns for how many attempts work is under way.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Says whether work for the attempt is under way.
    pub(crate) fn contains(&self, id: &AttemptId) -> bool {
        self.lock().contains_key(id)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AttemptId, watch::Sender<Option<StopOrder>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// Waits until it is asked to end.
    pub(crate) async fn stopped(&mut self) -> StopOrder {
        match self.stop.wait_for(Option::is_some).await.map(|order| order.clone()) {
            Ok(Some(order)) => order,
            // Nobody can ask any more.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    fn was_stopped(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Ends the work, and says how.
    pub(crate) async fn end(self, event: AttemptEvent) {
        let (shell, id) = (Arc::clone(&self.shell), self.id.clone());
        drop(self);
        shell.tell(&id, event).await;
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.shell.runs.lock().remove(&self.id);
    }
}

/// Makes the directories of an attempt and brings its inputs.
pub(crate) async fn fetch(mut run: Run, assignment: Box<Assignment>) {
    let shell = Arc::clone(&run.shell);
    let fetched = tokio::select! {
        fetched = fetch_now(&shell, &assignment) => fetched,
        _order = run.stopped() => Err(stopped_before_start()),
    };
    let event = match fetched {
        Ok((inputs, resumed)) => AttemptEvent::Fetched { inputs, resumed },
        Err(failure) => failed(failure),
    };
    run.end(event).await;
}

async fn fetch_now(
    shell: &Arc<Shell>,
    assignment: &Assignment,
) -> Result<(BTreeMap<OutputName, PathBuf>, Resumed), Failure> {
    let _permit = turn(&shell.bounds.fetches).await;
    let copy = assignment.clone();
    let staging = Arc::new(on_disk(shell, move |shell| make_places(shell, &copy)).await?);
    crash_point!("worker.fetch.after_places");
    let resumed = checkpoint::resume(shell, &staging, assignment).await?;
    let (made, spec) = (Arc::clone(&staging), assignment.spec.clone());
    on_disk(shell, move |_| make_parents(&made, &spec)).await?;
    let mut inputs = BTreeMap::new();
    for input in &assignment.inputs {
        let path = inputs::bring(shell, &staging, input).await?;
        inputs.insert(input.name.clone(), path);
    }
    Ok((inputs, resumed))
}

/// Makes the directories that outputs lie in, beside what a checkpoint brought.
fn make_parents(staging: &Staging, spec: &TaskSpec) -> Result<(), Failure> {
    let made = staging.make_parents(&declared(spec)?);
    made.map_err(|error| failure(FailureKind::StorageFailed, chain(&error)))
}

fn make_places(shell: &Shell, assignment: &Assignment) -> Result<Staging, Failure> {
    let storage_failed = |message: String| failure(FailureKind::StorageFailed, message);
    let free = shell.free_bytes().map_err(|error| storage_failed(error.to_string()))?;
    if free < shell.config.shadow_reserve {
        let (free, reserve) = (Size(free), Size(shell.config.shadow_reserve));
        let message = format!("{free} is free, less than the reserve of {reserve}");
        return Err(storage_failed(message));
    }
    let dir = attempt_dir(&shell.config, &assignment.attempt);
    write_number(&dir, assignment.number)
        .and_then(|()| ReportFile::create(&dir))
        .and_then(|()| match &shell.config.task_account {
            Some(account) => account.open_attempt(&dir, &report_path(&dir)),
            None => Ok(()),
        })
        .map_err(|error| storage_failed(chain(&error)))?;
    let staging = shell.shadow.stage(&assignment.attempt);
    staging.map_err(|error| storage_failed(chain(&error)))
}

/// Runs the program of an attempt to its end.
pub(crate) async fn run(
    run: Run,
    assignment: Box<Assignment>,
    inputs: BTreeMap<OutputName, PathBuf>,
    resumed: Resumed,
) {
    let shell = Arc::clone(&run.shell);
    if run.was_stopped() {
        return run.end(failed(stopped_before_start())).await;
    }
    if let Program::PutBack(_) = &assignment.spec.program {
        // No process is needed: everything is done when it is sealed.
        return run.end(AttemptEvent::Exited { usage: Usage::default() }).await;
    }
    let dir = attempt_dir(&shell.config, &assignment.attempt);
    let plan = {
        let (dir, assignment) = (dir.clone(), assignment.clone());
        on_disk(&shell, move |shell| plan(shell, &dir, &assignment, inputs, resumed)).await
    };
    let started = match plan {
        Ok(launch) => {
            start(&shell.supervisor, &dir, &launch).await.map_err(|error| not_started(&error))
        }
        Err(failure) => Err(failure),
    };
    let supervised = match started {
        Ok(supervised) => supervised,
        Err(failure) => {
            forget_secrets(&shell, &run.id).await;
            return run.end(failed(failure)).await;
        }
    };
    shell.tell(&run.id, AttemptEvent::Started { pid: pid_of(&supervised) }).await;
    let (health, resources) = (assignment.spec.health.clone(), assignment.spec.resources);
    watch(run, dir, supervised, health, resources).await;
}

/// Writes down the order, which a restart goes on with, and then what to run; everything
/// the supervisor needs is in that.
fn plan(
    shell: &Shell,
    dir: &Path,
    assignment: &Assignment,
    inputs: BTreeMap<OutputName, PathBuf>,
    resumed: Resumed,
) -> Result<Launch, Failure> {
    let storage_failed = |message: String| failure(FailureKind::StorageFailed, message);
    // Whoever adopts the attempt finds what it went on from, and nothing else to go on from.
    let mut order = assignment.clone();
    order
        .resume
        .retain(|point| resumed == (Resumed { sequence: point.id.sequence, steps: point.steps }));
    order.resume.truncate(1);
    order::write(dir, &order).map_err(|error| storage_failed(chain(&error)))?;
    let staging = shell.shadow.reopen(&assignment.attempt);
    let staging = staging.map_err(|error| storage_failed(chain(&error)))?;
    let outputs = declared(&assignment.spec)?;
    let places = Places {
        work_dir: staging.work_dir(),
        output_dir: staging.output_dir(),
        outputs: outputs
            .iter()
            .map(|output| (output.name.clone(), staging.output_path(output)))
            .collect(),
        inputs_dir: staging.inputs_dir(),
        inputs,
        checkpoint_dir: staging.checkpoint_dir(),
        asks_dir: staging.asks_dir(),
        cancel_file: cancel_file(dir),
        report: report_path(dir),
        job_file: dir.join(JOB_FILE),
        secrets_dir: secrets_of(shell, assignment)?,
        tools: shell.config.tools_dir(),
    };
    let account = shell.config.task_account.as_ref();
    if let Role::Hook(hook) = &assignment.role {
        script::write(&places.job_file, &hook.announcement, account)
            .map_err(|error| storage_failed(error.to_string()))?;
    }
    let replaced = |word: &str| places.replaced(word, &assignment.attempt.job);
    let argv: Vec<String> = match &assignment.spec.program {
        Program::Command(argv) => argv.iter().map(|word| replaced(word)).collect(),
        Program::Script { text, interpreter } => {
            let path = dir.join(SCRIPT);
            script::write(&path, text, account)
                .map_err(|error| storage_failed(error.to_string()))?;
            let path = path.to_string_lossy().into_owned();
            interpreter.iter().cloned().chain([path]).collect()
        }
        Program::Steps(list) => steps::write(dir, list, resumed.steps, account, &replaced)
            .map_err(|error| storage_failed(error.to_string()))?,
        Program::PutBack(_) => {
            let message = "what puts back has no program".to_owned();
            return Err(failure(FailureKind::SpawnFailed, message));
        }
    };
    Ok(Launch {
        attempt: assignment.attempt.clone(),
        argv,
        env: environment(
            assignment,
            &places,
            inherited(&shell.config),
            shell.clock.wall(),
            resumed.sequence,
        ),
        work_dir: places.work_dir,
        user: account.map(|account| account.user.clone()),
        stop_signal: stop_signal(assignment.spec.stop_signal),
        log_bytes_max: shell.config.log_limit,
        lease: assignment.spec.acts_outside().then(|| shell.config.lease_file()),
        limits: limits(&assignment.spec.resources),
        cgroups: shell.cgroups.clone(),
    })
}

/// Hands an attempt the secrets that its task names.
fn secrets_of(shell: &Shell, assignment: &Assignment) -> Result<Option<PathBuf>, Failure> {
    let names = &assignment.spec.secrets;
    if names.is_empty() {
        return Ok(None);
    }
    let user = shell.config.task_account.as_ref().map(|account| &account.user);
    let put = shell.secrets.put(&assignment.attempt, names, user);
    put.map(Some).map_err(|error| {
        let kind = match &error {
            SecretError::Unknown { .. } => FailureKind::SecretUnknown,
            SecretError::Unreadable { .. }
            | SecretError::TooLarge { .. }
            | SecretError::Storage(_) => FailureKind::StorageFailed,
        };
        failure(kind, chain(&error))
    })
}

/// Returns what a task gets of the daemon's own environment, and who it is if it is somebody else.
fn inherited(config: &Config) -> BTreeMap<String, String> {
    let let_through = |name: &String| Some((name.clone(), std::env::var(name).ok()?));
    let mut variables: BTreeMap<_, _> = config.env_allow.iter().filter_map(let_through).collect();
    variables.extend(config.task_account.iter().flat_map(Account::variables));
    variables
}

fn stop_signal(signal: TaskSignal) -> StopSignal {
    match signal {
        TaskSignal::Term => StopSignal::Term,
        TaskSignal::Int => StopSignal::Int,
        TaskSignal::Hup => StopSignal::Hup,
        TaskSignal::Quit => StopSignal::Quit,
        TaskSignal::Usr1 => StopSignal::Usr1,
        TaskSignal::Usr2 => StopSignal::Usr2,
    }
}

fn limits(resources: &Resources) -> Limits {
    Limits {
        cpu_millis: resources.cpu_millis,
        memory_bytes: resources.memory_bytes,
        processes: resources.processes,
        file_bytes: resources.disk_bytes,
    }
}

fn not_started(error: &StartError) -> Failure {
    let kind = match error {
        StartError::StartedBefore { .. } => FailureKind::Interrupted,
        StartError::Record(_)
        | StartError::Spawn { .. }
        | StartError::Refused { .. }
        | StartError::Io(_) => FailureKind::StorageFailed,
    };
    failure(kind, chain(error))
}

fn stopped_before_start() -> Failure {
    failure(FailureKind::Stopped, "it was stopped before its program ran")
}

/// Returns where the launch, the exit and the logs of an attempt lie.
pub(crate) fn attempt_dir(config: &Config, id: &AttemptId) -> PathBuf {
    config.attempts_dir().join(id.job.as_str()).join(format!("{}.{}", id.task, id.token))
}

/// Returns what the supervisor writes when no process of the attempt is left.
pub(crate) fn exit_file(dir: &Path) -> PathBuf {
    dir.join("exit.json")
}

pub(crate) fn cancel_file(dir: &Path) -> PathBuf {
    dir.join("cancel")
}

/// Writes down which try of its task an attempt is, in case its record gets lost.
fn write_number(dir: &Path, number: u32) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join(NUMBER), number.to_string())
}

/// Reads which try of its task an attempt is; the first if that is unknown.
pub(crate) fn read_number(dir: &Path) -> u32 {
    fs::read_to_string(dir.join(NUMBER)).ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

const SCRIPT: &str = "script";
const JOB_FILE: &str = "job.json";
const NUMBER: &str = "number";
