//! One process of a development cluster: started, watched, started again, and stopped by its own id.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    sync::{mpsc, watch},
    time::timeout,
};

/// How to start a process of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    /// Its name, such as `s1`.
    pub name: String,
    /// What stands behind the name of this executable.
    pub arguments: Vec<OsString>,
    /// Takes its standard output and error.
    pub log: PathBuf,
}

/// Something that happened to a process.
#[derive(Debug)]
pub(crate) struct Report {
    /// Whose.
    pub name: String,
    /// What.
    pub what: Happening,
}

/// What can happen to a process.
#[derive(Debug)]
pub(crate) enum Happening {
    /// It ended, and nobody had asked it to.
    Ended(ExitStatus),
    /// It ended because it was deleted from its cluster, and stays away.
    Deleted,
    /// It was started again.
    Restarted(u32),
    /// It could not be started again.
    Failed(io::Error),
}

/// What becomes of a process that ends unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    /// It is started again after a short wait.
    Always,
    /// It stays away.
    Never,
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Member {
    recipe: Recipe,
    child: Child,
}

impl Recipe {
    /// Starts the process, in a group of its own: Ctrl-C reaches `votum dev` alone, which
    /// then stops the others in order.
    pub(crate) fn start(self) -> io::Result<Member> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        // A build may have put another executable in this one's place.
        let child = Command::new("/proc/self/exe")
            .arg0(std::env::args_os().next().unwrap_or_else(|| "votum".into()))
            .args(&self.arguments)
            .env_remove("VOTUM_CONFIG")
            .env_remove("VOTUM_WORKER_CONFIG")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        Ok(Member { recipe: self, child })
    }

    /// Returns what a person types to start the process, and to be its parent.
    pub(crate) fn command(&self) -> String {
        let program = std::env::current_exe().unwrap_or_else(|_| "votum".into());
        let words = self.arguments.iter().filter(|word| *word != "--die-with-parent");
        let words = words.map(|word| quoted(&word.to_string_lossy()));
        let command: Vec<String> =
            [quoted(&program.to_string_lossy())].into_iter().chain(words).collect();
        command.join(" ")
    }
}

/// Returns when the process shall stop; a sender that is gone means the same.
async fn asked(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

impl Member {
    /// Returns the process id.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Watches the process until it is told to stop, and ends it then.
    pub(crate) async fn run(
        mut self,
        restart: Restart,
        mut stop: watch::Receiver<bool>,
        reports: mpsc::Sender<Report>,
    ) {
        loop {
            tokio::select! {
                status = self.child.wait() => {
                    let Ok(status) = status else { return };
                    if status.code() == Some(votum_worker::EXIT_REMOVED.into()) {
                        // A start changes nothing: its installation is out for good.
                        return self.report(&reports, Happening::Deleted).await;
                    }
                    self.report(&reports, Happening::Ended(status)).await;
                }
                () = asked(&mut stop) => return self.end().await,
            }
            if restart == Restart::Never {
                return;
            }
            // Long enough to see in `votum status` that it is away.
            if timeout(RESTART_DELAY, asked(&mut stop)).await.is_ok() {
                return;
            }
            match self.recipe.clone().start() {
                Ok(member) => {
                    self.child = member.child;
                    self.report(&reports, Happening::Restarted(self.pid().unwrap_or(0))).await;
                }
                Err(error) => return self.report(&reports, Happening::Failed(error)).await,
            }
        }
    }

    /// Asks the process to end, waits, and ends it by force when it does not.
    async fn end(&mut self) {
        let pid = self.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = pid {
            // It was not waited for yet, so the number is still its own.
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(STOP_GRACE, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }

    async fn report(&self, reports: &mpsc::Sender<Report>, what: Happening) {
        // Nobody listens once the cluster is being stopped.
        let _ = reports.send(Report { name: self.recipe.name.clone(), what }).await;
    }
}

const RESTART_DELAY: Duration = Duration::from_secs(3);
/// A task may use its grace twice: for a last checkpoint, and to end.
const STOP_GRACE: Duration = Duration::from_secs(25);
