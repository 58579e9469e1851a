//! Runs the health command of a task beside it, at an interval.
//!
//! Each run is supervised like the task itself: in the task's working directory
//! and with its environment, but with a directory of its own for its output,
//! which goes when the run is over. It counts among what the task may use: its control groups
//! lie within the task's. No process of it is left, whether it ends
//! by itself, takes too long, or the task ends before it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_util::sync::CancellationToken;
use votum_ids::AttemptId;
use votum_job::HealthCheck;
use votum_process::{Ended, Exit, Found, Launch, SupervisionError, find, start};

use crate::{
    event::AttemptEvent,
    session::chain,
    shell::{Shell, blocking},
    watch::stderr_tail,
};

/// The health checks of one attempt.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) shell: Arc<Shell>,
    pub(crate) attempt: AttemptId,
    /// Of the attempt.
    pub(crate) dir: PathBuf,
    pub(crate) check: HealthCheck,
}

/// How one run ended.
enum Run {
    /// With this to say of the task.
    Judged(Result<(), String>),
    /// Before it could say anything, because the task ended.
    Abandoned,
}

impl Health {
    /// Checks again and again until the task has `ended`.
    pub(crate) async fn keep(self, ended: CancellationToken) {
        // An earlier start of the daemon may have left a run behind.
        self.clear_away().await;
        let clock = self.shell.clock;
        loop {
            tokio::select! {
                () = clock.sleep_until(Some(clock.now().after(self.check.interval))) => {}
                () = ended.cancelled() => return,
            }
            let run = self.run(&ended).await;
            self.clear_away().await;
            match run {
                Run::Judged(verdict) => {
                    self.shell.tell(&self.attempt, AttemptEvent::HealthChecked { verdict }).await;
                }
                Run::Abandoned => return,
            }
        }
    }

    async fn run(&self, ended: &CancellationToken) -> Run {
        let dir = health_dir(&self.dir);
        let launch = match self.prepare(dir.clone()).await {
            Ok(launch) => launch,
            Err(error) => return Run::Judged(Err(format!("it cannot be run: {error}"))),
        };
        let running = match start(&self.shell.supervisor, &dir, &launch).await {
            Ok(running) => running,
            Err(error) => return Run::Judged(Err(format!("it cannot be run: {}", chain(&error)))),
        };
        let clock = self.shell.clock;
        let latest = clock.now().after(self.check.timeout);
        let gone = tokio::select! {
            gone = running.exited() => gone,
            () = clock.sleep_until(Some(latest)) => {
                let seconds = self.check.timeout.as_secs_f64();
                return Run::Judged(Err(match running.kill().await {
                    Ok(gone) => format!("it took longer than {seconds} s{}", limit_of(&gone)),
                    Err(error) => chain(&error),
                }));
            }
            () = ended.cancelled() => {
                self.complain(running.kill().await.err());
                return Run::Abandoned;
            }
        };
        Run::Judged(match gone {
            Ok(gone) => blocking(move || judge(&dir, &gone)).await,
            Err(error) => Err(chain(&error)),
        })
    }

    async fn prepare(&self, dir: PathBuf) -> io::Result<Launch> {
        let (attempt_dir, argv) = (self.dir.clone(), self.check.command.clone());
        blocking(move || {
            fs::create_dir_all(&dir)?;
            let launch = Launch::read(&attempt_dir).map_err(io::Error::other)?;
            let mut launch = launch.ok_or_else(|| io::Error::other("the task was not launched"))?;
            // By its token the task's processes are told from all others, these among them.
            launch.env.remove("VOTUM_FENCING_TOKEN");
            // Groups of its own within the task's: what is left of a run is killed as a whole,
            // and the task is not.
            let cgroups = launch.cgroups.within(&launch.attempt);
            Ok(Launch { argv, log_bytes_max: OUTPUT_BYTES_MAX, cgroups, ..launch })
        })
        .await
    }

    async fn clear_away(&self) {
        self.complain(clear_away(&self.dir, &self.attempt).await.err());
    }

    fn complain(&self, error: Option<SupervisionError>) {
        if let Some(error) = error {
            let error = chain(&error);
            tracing::error!(attempt = %self.attempt, error, "cannot end a health command");
        }
    }
}

/// Ends whatever a run left, in the directory of its attempt, and forgets the run.
pub(crate) async fn clear_away(dir: &Path, attempt: &AttemptId) -> Result<(), SupervisionError> {
    let dir = health_dir(dir);
    if !dir.exists() {
        return Ok(());
    }
    match find(&dir, attempt).await? {
        Found::Running(running) => drop(running.kill().await?),
        Found::Ended(_) | Found::NeverStarted => {}
    }
    // What cannot be removed goes with the attempt's directory.
    let _ = blocking(move || fs::remove_dir_all(dir)).await;
    Ok(())
}

fn judge(dir: &Path, ended: &Ended) -> Result<(), String> {
    let how = match &ended.exit {
        Exit::Code(0) => return Ok(()),
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(signal) => format!("ended by signal {signal}"),
        Exit::SpawnFailed { failure: _, reason } => reason.clone(),
        Exit::Vanished | Exit::LeaseEnded => "it vanished".to_owned(),
    };
    let how = how + limit_of(ended);
    let said = stderr_tail(dir);
    let last = said.lines().last().unwrap_or_default();
    let last: String = last.chars().take(COMPLAINT_CHARS_MAX).collect();
    Err(if last.is_empty() { how } else { format!("{how}: {last}") })
}

/// Says which of the task's limits a run has reached.
fn limit_of(ended: &Ended) -> &'static str {
    if ended.oom_kills > 0 {
        ", and met the task's limit of memory"
    } else if ended.forks_refused > 0 {
        ", and met the task's limit of processes"
    } else {
        ""
    }
}

fn health_dir(attempt_dir: &Path) -> PathBuf {
    attempt_dir.join("health")
}

/// Longest output of a run that is kept, standard output and standard error each.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;
/// Longest quotation of what a run said.
const COMPLAINT_CHARS_MAX: usize = 200;
