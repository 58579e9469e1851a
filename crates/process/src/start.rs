//! Starts an attempt: plan on disk, supervisor spawned, task begun.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::ChildStdout,
};

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use thiserror::Error;
use tokio::{io::AsyncReadExt, net::unix::pipe::Receiver};
use votum_crashpoint::crash_point;

use crate::{
    identity::{BootId, Claim, IDENTITY},
    launch::{LAUNCH, Launch, Plan, SUPERVISOR_LOG, SupervisorProgram},
    record::{self, Aside, RecordError, Taken},
    supervised::{Supervised, blocking, gone, watched},
};

/// Starts an attempt whose files will lie in `dir`, an existing directory of its own.
///
/// Returns when the task runs, or when the supervisor has recorded that it
/// cannot run ([`Exit::SpawnFailed`](crate::Exit::SpawnFailed)). At most one
/// task is ever started in a directory. After a crash in here, and after a
/// drop of the future, [`find`](crate::find()) tells what became of it.
///
/// # Errors
/// [`StartError`]; the task was not started, except after [`StartError::Record`]
/// and [`StartError::Io`], where `find` tells.
pub async fn start(
    program: &SupervisorProgram,
    dir: &Path,
    launch: &Launch,
) -> Result<Supervised, StartError> {
    let dir = std::path::absolute(dir).map_err(StartError::Io)?;
    let (plan_dir, launch) = (dir.clone(), launch.clone());
    blocking(move || write_plan(&plan_dir, launch)).await?;
    crash_point!("process.after_launch_file");
    let spawned = program.spawn(&dir);
    let mut child =
        spawned.map_err(|source| StartError::Spawn { program: program.path.clone(), source })?;
    crash_point!("process.after_supervisor_spawn");
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.expect("a process id is a positive i32");
    // It is our child and not reaped, so the number is its own.
    let pidfd =
        pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(|error| StartError::Io(error.into()))?;
    let stdout = child.stdout.take().expect("it was asked to be a pipe");
    begun(stdout).await.map_err(StartError::Io)?;
    match record::read(&dir.join(IDENTITY))? {
        Some(Claim::Supervised(identity)) if identity.supervisor.pid == pid.as_raw_pid() => {
            Supervised::new(&dir, identity, pidfd).map_err(StartError::Io)
        }
        Some(Claim::Supervised(_) | Claim::Void) | None => {
            // Its pipe is closed, so it has ended or is about to.
            let supervisor = watched(pidfd).map_err(StartError::Io)?;
            gone(&supervisor).await.map_err(StartError::Io)?;
            let reaped = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            let _ = waitid(WaitId::PidFd(supervisor.as_fd()), reaped);
            Err(StartError::Refused { complaint: complaint(&dir) })
        }
    }
}

/// Why an attempt was not started.
#[derive(Debug, Error)]
pub enum StartError {
    /// One was started in this directory before; [`find`](crate::find()) tells about it.
    #[error("an attempt was started in {dir} before")]
    StartedBefore {
        /// The directory.
        dir: PathBuf,
    },
    /// One of its files could not be written or read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The supervisor could not be spawned.
    #[error("cannot run the supervisor {program}")]
    Spawn {
        /// The executable.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The supervisor ended before it took the attempt on.
    #[error("the supervisor gave up: {complaint}")]
    Refused {
        /// What it had to say.
        complaint: String,
    },
    /// The system refused what should always work, such as one more descriptor.
    #[error("cannot watch the supervisor")]
    Io(#[source] io::Error),
}

fn write_plan(dir: &Path, launch: Launch) -> Result<(), StartError> {
    let boot = BootId::of_this_boot().map_err(StartError::Io)?;
    let aside = Aside::new(&dir.join(LAUNCH))?.write(&Plan { boot, launch })?.sync()?;
    match aside.publish_first()? {
        Taken::Here => Ok(()),
        Taken::Before => Err(StartError::StartedBefore { dir: dir.to_owned() }),
    }
}

/// Waits until the supervisor says that the task runs, or says nothing any more.
async fn begun(stdout: ChildStdout) -> io::Result<()> {
    let mut pipe = Receiver::from_owned_fd(OwnedFd::from(stdout))?;
    pipe.read(&mut [0]).await.map(|_| ())
}

fn complaint(dir: &Path) -> String {
    let complaint = fs::read_to_string(dir.join(SUPERVISOR_LOG)).unwrap_or_default();
    complaint.trim_end().chars().take(COMPLAINT_MAX).collect()
}

/// Longest complaint that is passed on, in characters.
const COMPLAINT_MAX: usize = 1000;
