//! One attempt as a supervised OS process, which outlives the worker daemon.
//!
//! Only the parent of a process learns how it ended, and a daemon may be
//! killed at any moment. The parent is therefore a *supervisor*: a small,
//! single-threaded process in a session of its own, which runs one task,
//! drains its output and records its exit. The daemon watches the supervisor
//! and reads what it recorded; when the daemon dies, nothing changes for
//! either. The supervisor is the daemon's own executable, run again with a
//! hidden subcommand whose body is [`supervise`].
//!
//! Everything the two tell each other stands in the attempt's directory:
//!
//! | file | written by | when | synced |
//! |---|---|---|---|
//! | `launch.json` | daemon | before the supervisor is spawned | its content |
//! | `identity.json` | supervisor, once for ever | before the task is spawned | no |
//! | `task.json` | supervisor | when the task was spawned | no |
//! | `exit.json` | supervisor | when no process of the attempt is left | no |
//! | `stdout.log`, `stderr.log` | supervisor | while the task writes | no |
//! | `supervisor.log` | supervisor | when something is wrong with it | no |
//!
//! All of them matter only until the next boot: what a program wrote is not
//! synced when it ends, so after a power cut an exit 0 would vouch for bytes
//! that may be gone. `launch.json` says of which boot it is; its content is
//! synced so that it says so whenever it is there. What [`find`] concludes:
//!
//! | `launch.json` | `exit.json` | `identity.json` | its supervisor | |
//! |---|---|---|---|---|
//! | – | | | | never started, or forgotten in a power cut |
//! | of an earlier boot | | | | vanished |
//! | of this boot | there | | | ended as recorded |
//! | of this boot | – | – | | never started, once the name is taken |
//! | of this boot | – | there | alive | running: adopted |
//! | of this boot | – | there | gone | vanished, once its processes are gone |
//!
//! *Taken*: `identity.json` is created by whoever comes first. A daemon that
//! finds none writes one that names nobody, so that a supervisor which is late
//! must give up. Within a boot "never started" is therefore a fact and not a guess.
//!
//! *Gone*: the supervisor is a child subreaper, so every process of the
//! attempt is its descendant, however often it forked or changed its session.
//! When the task ends, the rest is killed, and the exit is recorded only when
//! the kernel knows no child of the supervisor: from then on nobody writes
//! into the attempt's directories. A process that cannot be killed (one in an
//! uninterruptible wait, or of another user) delays the record until it ends.
//! Where control groups can be made, the attempt also has its own: its limits
//! are set there, and `cgroup.kill` ends even what forks faster than it is found.
//! If the supervisor itself was killed, the daemon ends what is left: the
//! task's group, its descendants, and every process that carries the
//! attempt's `VOTUM_FENCING_TOKEN` and `VOTUM_WORK_DIR` in its environment.
//!
//! *Signals* go to a process id only while something keeps that id from being
//! used again: the daemon signals through pidfds whose process it has proven
//! (boot id, pid, kernel start time), the supervisor its unreaped children.
//! The supervisor takes SIGTERM (also SIGINT and SIGHUP) as "pass SIGTERM on
//! to the task's group" and SIGQUIT as "kill everything". A machine that
//! shuts down thus asks the task, not the supervisor, to end.
//!
//! *Lease*: an attempt that must not run beside its successor names a file that the daemon
//! keeps renewing ([`renew`]). A supervisor that finds it out of date kills every process of
//! the attempt: where the daemon is dead or stands still, nobody else would.
//!
//! *User*: where the supervisor is root, the task can run as somebody else ([`TaskUser`]). The
//! attempt's directory and all files above stay root's, so that the task can neither forge
//! its exit nor signal its supervisor.
//!
//! Not promised: a task is not confined. It may ask another daemon to run
//! something, its processes may fork across sessions faster than they are
//! killed, and a descriptor that whoever started the daemon left open for
//! every child is open for the task too.

mod adopt;
mod capture;
mod cgroup;
mod exit;
mod hierarchy;
mod identity;
mod launch;
mod lease;
mod memory_peak;
mod notify;
pub mod output;
mod processes;
mod record;
mod remains;
mod start;
mod stop;
mod supervised;
mod supervisor;
mod times;
mod user;

pub use adopt::{Found, find};
pub use cgroup::{Backend, Cgroups, Limits};
pub use exit::{Ended, Exit, SpawnFailure};
pub use identity::{Identity, Stamp};
pub use launch::{Launch, StopSignal, SupervisorProgram};
pub use lease::renew;
pub use record::RecordError;
pub use start::{StartError, start};
pub use supervised::{Supervised, SupervisionError};
pub use supervisor::supervise;
pub use times::{Written, first_since, written};
pub use user::TaskUser;
