//! The supervisor: a small process that runs one task and records its exit.
//!
//! One loop on one thread, so that no signal can overtake the reaping of the
//! process it is meant for. It asks nothing of the daemon after it has begun.

use std::{
    fs::File,
    io::{self, PipeWriter, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{
        Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, getpid,
        getrlimit, kill_process_group, set_child_subreaper, setrlimit, setsid, wait, waitid,
        waitpid,
    },
    stdio::dup2_stdout,
};
use signal_hook::{consts, low_level::pipe};
use thiserror::Error;
use votum_crashpoint::crash_point;

use crate::{
    capture::Capture,
    cgroup::{Groups, LimitError},
    exit::{EXIT, Ended, Exit, ExitRecord, SpawnFailure},
    identity::{BootId, Claim, Identity, Stamp, TASK},
    launch::{LAUNCH, Launch, Plan, StopSignal},
    lease::Lease,
    memory_peak::MemoryPeak,
    output::LogStream,
    processes::{Process, add_descendants, ticks, uptime},
    record::{self, Aside, RecordError, Taken},
};

/// Is the supervisor: runs the attempt planned in `dir` and returns when it is over.
///
/// To be called by a program of its own that does nothing before, with
/// standard input and output as [`start`](crate::start()) gives them. Returns
/// success if the exit was recorded, whatever it was.
#[must_use]
pub fn supervise(dir: &Path) -> ExitCode {
    match run(dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(dir: &Path) -> Result<(), SupervisorError> {
    detach().map_err(SupervisorError::Process)?;
    let plan: Plan = record::read(&dir.join(LAUNCH))?.ok_or(SupervisorError::NoPlan)?;
    // Caught before anybody can know whom to signal.
    let signals = Signals::caught().map_err(SupervisorError::Process)?;
    claim(dir, &plan)?;
    let exit_file = Aside::new(&dir.join(EXIT))?.reserved();
    let ended = match Watch::begin(dir, &plan) {
        Ok(mut watch) => {
            say_begun();
            watch.until_gone(&signals);
            watch.ended()
        }
        Err(exit) => Ended::without_usage(exit),
    };
    crash_point!("process.before_exit_record");
    let record = ExitRecord { attempt: plan.launch.attempt, ended };
    Ok(exit_file.write(&record)?.publish()?)
}

/// Leaves the daemon's session, and becomes the parent of every orphan below.
fn detach() -> io::Result<()> {
    // The id of the present session is not asked for: where its leader lives outside the
    // pid namespace it reads as 0, which is no process.
    match setsid() {
        Ok(_) | Err(Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    set_child_subreaper(Some(getpid()))?;
    Ok(())
}

fn claim(dir: &Path, plan: &Plan) -> Result<(), SupervisorError> {
    let supervisor = stamp_of(getpid()).map_err(SupervisorError::Process)?;
    let boot = BootId::of_this_boot().map_err(SupervisorError::Process)?;
    if boot != plan.boot {
        return Err(SupervisorError::Taken);
    }
    let attempt = plan.launch.attempt.clone();
    let identity = Identity { attempt, boot, supervisor };
    match Claim::Supervised(identity).take(dir)? {
        Taken::Here => Ok(()),
        Taken::Before => Err(SupervisorError::Taken),
    }
}

fn note_task(dir: &Path, task: Pid) -> Result<Stamp, SupervisorError> {
    let stamp = stamp_of(task).map_err(SupervisorError::Process)?;
    Aside::new(&dir.join(TASK))?.write(&stamp)?.publish()?;
    Ok(stamp)
}

fn stamp_of(pid: Pid) -> io::Result<Stamp> {
    let process = Process::read(pid.as_raw_pid())?;
    process.map(|process| process.stamp).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Tells the daemon, if it still listens, and lets go of the pipe to it.
fn say_begun() {
    // A daemon that died meanwhile reads the files instead.
    let _ = io::stdout().write_all(b"\n").and_then(|()| io::stdout().flush());
    let _ = File::options().write(true).open("/dev/null").map(dup2_stdout);
}

fn complain(error: &dyn std::error::Error) {
    let mut text = format!("{error}");
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    // There is nobody else to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// The attempt while any process of it is left.
struct Watch {
    /// Leads the process group of the same number.
    task: Pid,
    stamp: Option<Stamp>,
    captures: [Capture; 2],
    phase: Phase,
    stop_signal: StopSignal,
    status: Option<WaitStatus>,
    lease: Option<Lease>,
    groups: Groups,
    memory_peak: MemoryPeak,
}

/// What the supervisor does with the processes it finds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The task runs: let be.
    Running,
    /// The task has ended, or is to end at once: kill.
    Ending,
    /// The same, because nobody renewed its lease.
    Lapsed,
}

impl Watch {
    fn begin(dir: &Path, Plan { boot, launch }: &Plan) -> Result<Self, Exit> {
        let mut lease = launch.lease.as_deref().map(|file| Lease::watched(file, boot));
        if lease.as_mut().is_some_and(|lease| lease.rest().is_none()) {
            return Err(Exit::LeaseEnded);
        }
        let capture = |stream| {
            Capture::begin(dir, stream, launch.log_bytes_max).map_err(|error| Exit::SpawnFailed {
                failure: SpawnFailure::System,
                reason: error.to_string(),
            })
        };
        let (stdout, stdout_pipe) = capture(LogStream::Stdout)?;
        let (stderr, stderr_pipe) = capture(LogStream::Stderr)?;
        let mut groups = Groups::of(&launch.cgroups, &launch.attempt);
        let task = spawn_in(&mut groups, launch, stdout_pipe, stderr_pipe)
            .inspect_err(|_| groups.remove())?;
        crash_point!("process.after_spawn");
        // Only a daemon that finds no supervisor wants it, and can do without:
        // neither a full disk nor a full table of files is to end a task that runs.
        let stamp = note_task(dir, task).map_err(|error| complain(&error)).ok();
        let memory_peak = MemoryPeak::of(&groups, task);
        Ok(Self {
            task,
            stamp,
            captures: [stdout, stderr],
            phase: Phase::Running,
            stop_signal: launch.stop_signal,
            status: None,
            lease,
            groups,
            memory_peak,
        })
    }

    /// Returns when no process of the attempt is left and its output is drained.
    fn until_gone(&mut self, signals: &Signals) {
        let mut buffer = vec![0; BUFFER_BYTES];
        while !self.all_reaped() {
            self.wait_for_anything(signals);
            self.heed_lease();
            self.memory_peak.look(self.task);
            match signals.asked() {
                Some(Request::Stop) if self.phase == Phase::Running => self.pass_on_stop(),
                Some(Request::Kill) => self.kill_group(),
                Some(Request::Stop) | None => {}
            }
            for capture in &mut self.captures {
                capture.drain(&mut buffer);
            }
        }
        // Whoever still holds a pipe is no process of the attempt: what it
        // writes after the pipe's content is not waited for.
        for capture in &mut self.captures {
            for _ in 0..PIPE_BYTES_MAX / BUFFER_BYTES {
                if capture.drain(&mut buffer) == 0 {
                    break;
                }
            }
        }
    }

    /// Reaps whoever has ended; true if that was the last process of the attempt.
    fn all_reaped(&mut self) -> bool {
        let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if self.phase == Phase::Running
            && let Ok(Some(_)) = waitid(WaitId::Pid(self.task), peek)
        {
            // Not reaped yet, so the group's number is still the group's.
            self.kill_group();
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if pid == self.task {
                        self.status = Some(status);
                        self.end();
                    }
                }
                Ok(None) => break,
                Err(Errno::INTR) => {}
                // No child: every process of the attempt was a descendant, and all are reaped.
                Err(_) => return true,
            }
        }
        if self.phase != Phase::Running {
            self.groups.kill();
            kill_descendants();
        }
        false
    }

    /// Waits for a signal or output; errors are harmless, since the caller looks at everything.
    fn wait_for_anything(&mut self, signals: &Signals) {
        let rest = self.lease.as_mut().map(|lease| lease.rest().unwrap_or_default());
        let pipes = self.captures.iter().filter_map(Capture::pipe);
        let mut all: Vec<PollFd<'_>> = [&signals.child, &signals.stop, &signals.kill]
            .map(AsFd::as_fd)
            .into_iter()
            .chain(pipes)
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        // A process that is forked while the others are being killed tells
        // nobody, so it has to be looked for.
        let timeout = match self.phase {
            // The time of a suspended machine does not pass here, but in the lease.
            Phase::Running => {
                let rest = rest.map(|rest| rest.min(LEASE_LOOK_MAX));
                rest.into_iter().chain(self.memory_peak.interval()).min().map(timespec)
            }
            Phase::Ending | Phase::Lapsed => Some(LOOK_AGAIN),
        };
        let _ = poll(&mut all, timeout.as_ref());
    }

    /// Kills the attempt once its lease has ended.
    fn heed_lease(&mut self) {
        let lapsed = self.lease.as_mut().is_some_and(|lease| lease.rest().is_none());
        if lapsed && self.phase == Phase::Running {
            self.phase = Phase::Lapsed;
            self.kill_group();
        }
    }

    fn pass_on_stop(&self) {
        // The task is not reaped yet, so the group's number is the group's. One
        // that is stopped must go on in order to end.
        let _ = kill_process_group(self.task, self.stop_signal.signal());
        let _ = kill_process_group(self.task, Signal::CONT);
    }

    fn kill_group(&mut self) {
        if self.status.is_none() {
            let _ = kill_process_group(self.task, Signal::KILL);
        }
        self.end();
    }

    /// From here on whoever is left is killed.
    fn end(&mut self) {
        if self.phase == Phase::Running {
            self.phase = Phase::Ending;
        }
    }

    fn ended(&self) -> Ended {
        let status = self.status.expect("the task is a child, so it was reaped with all others");
        let exit = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(_)) if self.phase == Phase::Lapsed => Exit::LeaseEnded,
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => unreachable!("only the end of a process is waited for"),
        };
        let elapsed = || Some(uptime().ok()?.saturating_sub(ticks(self.stamp?.start)));
        let myself = Process::read(getpid().as_raw_pid()).ok().flatten();
        let [stdout, stderr] = &self.captures;
        let memory_peak = self.memory_peak.bytes(&self.groups);
        let (oom_kills, forks_refused) = (self.groups.oom_kills(), self.groups.forks_refused());
        self.groups.remove();
        Ended {
            exit,
            elapsed: elapsed().unwrap_or_default(),
            cpu: myself.map_or(Duration::ZERO, |process| process.cpu_of_children),
            memory_peak,
            oom_kills,
            forks_refused,
            stdout_bytes: stdout.bytes(),
            stderr_bytes: stderr.bytes(),
            recorded_at: None,
        }
    }
}

fn system(error: &dyn std::error::Error) -> Exit {
    Exit::SpawnFailed { failure: SpawnFailure::System, reason: error.to_string() }
}

/// Spawns the task in its groups, in which this process is only meanwhile.
fn spawn_in(
    groups: &mut Groups,
    launch: &Launch,
    stdout: PipeWriter,
    stderr: PipeWriter,
) -> Result<Pid, Exit> {
    let unlimited = |error: LimitError| system(&error);
    groups.enter(&launch.limits).map_err(unlimited)?;
    let before = limit_files(launch.limits.file_bytes);
    let task = launch.spawn(stdout, stderr);
    // Raising it to what the hard limit allows is never refused.
    let _ = setrlimit(Resource::Fsize, before);
    let left = groups.leave(&launch.limits).map_err(unlimited);
    match (task, left) {
        (Ok(task), Err(exit)) => {
            // It would run without its limits, and this process with them.
            let _ = kill_process_group(task, Signal::KILL);
            let _ = waitpid(Some(task), WaitOptions::empty());
            Err(exit)
        }
        (task, _) => task,
    }
}

/// Limits the size of files for what is spawned from then on; returns what held before.
fn limit_files(bytes: Option<u64>) -> Rlimit {
    let before = getrlimit(Resource::Fsize);
    if let Some(bytes) = bytes {
        let current = Some(before.maximum.map_or(bytes, |maximum| maximum.min(bytes)));
        // To lower one's own limit is allowed to everybody.
        let _ = setrlimit(Resource::Fsize, Rlimit { current, ..before });
    }
    before
}

/// Kills every process below this one, whatever its group or session.
fn kill_descendants() {
    // A table that cannot be read is read again at the next look.
    let Ok(table) = Process::read_all() else { return };
    let myself = getpid().as_raw_pid();
    let mut family = [myself].into();
    add_descendants(&mut family, &table);
    for process in table {
        if process.stamp.pid != myself && family.contains(&process.stamp.pid) {
            // Whoever cannot be killed is waited for.
            let _ = process.stamp.kill();
        }
    }
}

/// The signals that have arrived, one socket for each kind.
struct Signals {
    child: UnixStream,
    stop: UnixStream,
    kill: UnixStream,
}

/// What somebody asks of the supervisor.
enum Request {
    /// Tell the task to end.
    Stop,
    /// Kill everything at once.
    Kill,
}

impl Signals {
    fn caught() -> io::Result<Self> {
        Ok(Self {
            child: catch(&[consts::SIGCHLD])?,
            stop: catch(&[consts::SIGTERM, consts::SIGINT, consts::SIGHUP])?,
            kill: catch(&[consts::SIGQUIT])?,
        })
    }

    fn asked(&self) -> Option<Request> {
        let stop = has_arrived(&self.stop);
        let kill = has_arrived(&self.kill);
        // The end of a child is looked for at every turn; here it is only noted as seen.
        has_arrived(&self.child);
        if kill { Some(Request::Kill) } else { stop.then_some(Request::Stop) }
    }
}

fn catch(signals: &[i32]) -> io::Result<UnixStream> {
    let (receiver, sender) = UnixStream::pair()?;
    receiver.set_nonblocking(true)?;
    for signal in signals {
        pipe::register(*signal, sender.try_clone()?)?;
    }
    Ok(receiver)
}

fn has_arrived(mut receiver: &UnixStream) -> bool {
    let mut arrived = false;
    while let Ok(1..) = receiver.read(&mut [0; 64]) {
        arrived = true;
    }
    arrived
}

/// Why a supervisor gave up before its task ran, or could not record the exit.
#[derive(Debug, Error)]
enum SupervisorError {
    #[error("there is no plan to follow")]
    NoPlan,
    #[error("the attempt was taken by another supervisor, or is void")]
    Taken,
    #[error("cannot look after a process")]
    Process(#[source] io::Error),
    #[error(transparent)]
    Record(#[from] RecordError),
}

fn timespec(time: Duration) -> Timespec {
    Timespec::try_from(time).unwrap_or(LOOK_AGAIN)
}

/// What one turn moves from one pipe.
const BUFFER_BYTES: usize = 64 * 1024;

/// The most that a pipe holds, unless an administrator raised it.
const PIPE_BYTES_MAX: usize = 1024 * 1024;

/// Between two looks at a lease, so that a machine that was suspended notices its end.
const LEASE_LOOK_MAX: Duration = Duration::from_secs(1);

/// Between two looks for processes that were forked while the others were killed.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
