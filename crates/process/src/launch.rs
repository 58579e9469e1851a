//! What to run: the plan that the daemon writes and the supervisor follows.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::{self, PipeWriter},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::{
    fs::{Access, access},
    io::Errno,
    process::{Pid, Signal},
};
use serde::{Deserialize, Serialize};
use votum_ids::AttemptId;

use crate::{
    cgroup::{Cgroups, Limits},
    exit::{Exit, SpawnFailure},
    identity::BootId,
    record::{self, RecordError},
    user::{Switched, TaskUser},
};

/// One attempt to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Whose process it will be.
    pub attempt: AttemptId,
    /// The command and its arguments. A command without a slash is looked up
    /// in the `PATH` of `env`, or else in `/usr/bin` and `/bin`; a relative
    /// one starts at `work_dir`.
    pub argv: Vec<String>,
    /// The whole environment: nothing is inherited and nothing is added.
    pub env: BTreeMap<String, String>,
    /// The working directory; it must exist.
    pub work_dir: PathBuf,
    /// Whom it runs as; only root can ask for that. None: whom the supervisor runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<TaskUser>,
    /// What asks the program to end.
    #[serde(default)]
    pub stop_signal: StopSignal,
    /// Limits each of the two logs; less than 64 KiB counts as 64 KiB.
    pub log_bytes_max: u64,
    /// The file that [`renew`](crate::renew()) writes: once nobody does so in time, every process
    /// of the attempt is killed. None: the attempt needs nobody to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<PathBuf>,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// Where its control groups are made.
    #[serde(default)]
    pub cgroups: Cgroups,
}

/// What asks a program to end before it is killed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopSignal {
    /// SIGTERM.
    #[default]
    Term,
    /// SIGINT.
    Int,
    /// SIGHUP.
    Hup,
    /// SIGQUIT.
    Quit,
    /// SIGUSR1.
    Usr1,
    /// SIGUSR2.
    Usr2,
}

impl StopSignal {
    pub(crate) fn signal(self) -> Signal {
        match self {
            Self::Term => Signal::TERM,
            Self::Int => Signal::INT,
            Self::Hup => Signal::HUP,
            Self::Quit => Signal::QUIT,
            Self::Usr1 => Signal::USR1,
            Self::Usr2 => Signal::USR2,
        }
    }
}

impl Launch {
    /// Returns the launch of the attempt in this directory; none if there was none.
    ///
    /// # Errors
    /// [`RecordError`] if it cannot be read.
    pub fn read(dir: &Path) -> Result<Option<Self>, RecordError> {
        Ok(record::read::<Plan>(&dir.join(LAUNCH))?.map(|plan| plan.launch))
    }

    /// Spawns the task in a process group of its own, with no input; returns its process id.
    pub(crate) fn spawn(&self, stdout: PipeWriter, stderr: PipeWriter) -> Result<Pid, Exit> {
        let Some((name, arguments)) = self.argv.split_first() else {
            return Err(failed(SpawnFailure::NotFound, "the command is empty".to_owned()));
        };
        if !self.work_dir.is_dir() {
            let reason = format!("the working directory {} is missing", self.work_dir.display());
            return Err(failed(SpawnFailure::System, reason));
        }
        let refused = |error: io::Error| {
            failed(SpawnFailure::System, format!("cannot become the user of the task: {error}"))
        };
        let switched = self.user.as_ref().map(Switched::to).transpose().map_err(refused)?;
        let mut command = Command::new(self.program(name)?);
        if let Some(user) = &self.user {
            user.own(&stdout).and_then(|()| user.own(&stderr)).map_err(refused)?;
            command.uid(user.uid);
        }
        let spawned = command
            .arg0(name)
            .args(arguments)
            .env_clear()
            .envs(&self.env)
            .current_dir(&self.work_dir)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn();
        drop(switched);
        spawned
            .map(|child| Pid::from_child(&child))
            .map_err(|error| failed(kind_of(&error), format!("cannot run {name}: {error}")))
    }

    /// Finds the file to execute, so that a missing command is told from a missing interpreter.
    fn program(&self, name: &str) -> Result<PathBuf, Exit> {
        let candidates: Vec<PathBuf> = if name.contains('/') {
            vec![self.work_dir.join(name)]
        } else {
            let path = self.env.get("PATH").map_or(PATH_BY_DEFAULT, String::as_str);
            path.split(':').map(|dir| self.work_dir.join(dir).join(name)).collect()
        };
        if let Some(program) = candidates.iter().find(|file| is_executable(file)) {
            return Ok(program.clone());
        }
        Err(match candidates.iter().find(|file| file.exists()) {
            Some(file) => {
                let reason = format!("{} is not executable", file.display());
                failed(SpawnFailure::NotExecutable, reason)
            }
            None => failed(SpawnFailure::NotFound, format!("{name} was not found")),
        })
    }
}

/// The executable that calls [`supervise`](crate::supervise), and how to ask it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupervisorProgram {
    /// The executable.
    pub path: PathBuf,
    /// What comes before the last argument, which is the attempt's directory.
    pub args: Vec<OsString>,
}

impl SupervisorProgram {
    /// Returns the executable that is running, even if its file was replaced meanwhile.
    #[must_use]
    pub fn this_executable(args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let path = PathBuf::from("/proc/self/exe");
        Self { path, args: args.into_iter().map(Into::into).collect() }
    }

    /// Spawns the supervisor; its standard output says when it has begun.
    pub(crate) fn spawn(&self, dir: &Path) -> io::Result<Child> {
        Command::new(&self.path)
            .args(&self.args)
            .arg(dir)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(dir.join(SUPERVISOR_LOG))?)
            .spawn()
    }
}

/// The content of `launch.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The boot in which the attempt was to run.
    pub(crate) boot: BootId,
    pub(crate) launch: Launch,
}

fn failed(failure: SpawnFailure, reason: String) -> Exit {
    Exit::SpawnFailed { failure, reason }
}

fn is_executable(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

/// Sorts what the kernel says of a file that is there and executable.
fn kind_of(error: &io::Error) -> SpawnFailure {
    let of_the_command = match Errno::from_io_error(error) {
        // The interpreter of a script is missing, or the file is no program for this machine.
        Some(errno) => [
            Errno::NOENT,
            Errno::ACCESS,
            Errno::NOEXEC,
            Errno::TOOBIG,
            Errno::NOTDIR,
            Errno::LOOP,
            Errno::INVAL,
        ]
        .contains(&errno),
        // An argument or a variable contains a zero byte.
        None => error.kind() == io::ErrorKind::InvalidInput,
    };
    if of_the_command { SpawnFailure::NotExecutable } else { SpawnFailure::System }
}

/// What to run.
pub(crate) const LAUNCH: &str = "launch.json";

/// What the supervisor has to complain about.
pub(crate) const SUPERVISOR_LOG: &str = "supervisor.log";

/// Where commands are looked up when the environment has no `PATH`.
const PATH_BY_DEFAULT: &str = "/usr/bin:/bin";
