//! Which worker runs which attempt, and when.
//!
//! **The model.** A job is a checked graph of tasks. A task is run by *attempts*, one live
//! attempt at a time, each on one worker and each with a fencing token that no later
//! coordinator gives out again. The scheduler gives attempts to workers, listens to what
//! they report, and tells the rest of the coordinator three things about a job: all is
//! staged, it cannot succeed, or (once its abort is durable) nothing of it runs any longer.
//! It knows nothing of votes: that a decision is durable reaches it as an event.
//!
//! **Two kinds of state.** What a restart must remember (jobs, attempts, seals, losses)
//! changes by records alone: a step that makes a fact applies its record with the same
//! function that replay uses. What a restart may forget (sessions, leases, queues,
//! deadlines) is made anew from it. So a replayed machine is the one that crashed.
//!
//! A task, and what changes it (every edge but the last column's is a record):
//!
//! | state | `Assigned` | `Ended`, sealed | `Ended`, failed | `Lost` | inputs differ (R5) | time |
//! |---|---|---|---|---|---|---|
//! | Pending | Live | – | – | – | – | – |
//! | Retrying | Live | – | – | – | – | Pending |
//! | Live | – | Staged | Retrying, Pending or Failed | Pending or Failed | Pending | stopped past its limit |
//! | Staged | – | – | – | Pending if needed, else Staged without outputs | Pending | – |
//! | Failed | – | – | – | – | – | – |
//!
//! `Paused` holds a job: nothing of it is placed, and no round is opened, until `Unpaused`. That,
//! or `RetryAsked`, takes a task from Failed or Retrying to Pending. A live attempt that a pause
//! asked to stop goes from Live to Pending without a charge.
//!
//! A job that a person must approve is not offered for commit before `Approved`. Once everything is
//! staged a dry vote is held, again and again until it passes; then `ApprovalAsked`. Both name the
//! contents: outputs that come out differently afterwards make the answer void.
//!
//! A pending task is shown as WAITING while a predecessor is not staged and as READY after
//! that; a live one as STARTING until its program runs. An output is *needed* if it is
//! published or if a task that is not staged reads it. A task that must run again asks for
//! its inputs again, so a loss reaches exactly as far back as something is missing.
//!
//! A job with a concurrency key that another one has is received, and waits for it: nothing of it is
//! placed, and its time does not count, before `KeyTaken`.
//!
//! A worker:
//!
//! | session | `Joined` | `InventoryEnded` | `Disconnected` |
//! |---|---|---|---|
//! | Absent | Reconciling | – | – |
//! | Reconciling | Reconciling, anew | Ready; what was not listed is missing | Absent |
//! | Ready | Reconciling | – | Absent |
//!
//! | silent for | liveness | what follows |
//! |---|---|---|
//! | less than half of `lease` | fresh | it takes attempts, once its session is ready |
//! | half of `lease` | suspect | nothing: suspicion is only shown |
//! | `lease` | expired | it takes no further attempts; nothing is taken from it |
//! | `lease + stop_grace` | lost | each job records what it lost there; what is pinned there waits |
//! | `lost_after` | given up | jobs with pinned work there fail |
//!
//! Only silence is counted, never the end of a session, and all leases begin anew when the
//! coordinator starts or finds that it stood still itself (R2).
//!
//! **One step, one job, one record.** Whatever concerns many jobs (a loss, an inventory, an
//! installation that was replaced) becomes one pending *reckoning* for each job, and a tick
//! performs one. A reckoning looks at the facts when its turn comes, so a worker that
//! returns in between has lost nothing.
//!
//! **Checkpoints.** The log knows the last checkpoints of a task and who has them. One counts
//! if its token was not fenced when the log heard of it, and if no input came out differently
//! since. The next attempt is placed where the last one lies, if it can be, waits for a holder
//! that is absent and not lost, and else is told whom to fetch it from (R7).
//!
//! **Replicas.** What a task has sealed may have to lie on several workers before the job is
//! offered for commit. Whoever may publish there as well copies it, under the same token; when its
//! holder is lost, another one takes its place and nothing is made again (R5, C13).
//!
//! **Placement.** Ready tasks with equal wishes form a class; a class in which the first
//! finds no worker is left alone until a slot is free, so the cost of a step does not grow
//! with what waits. After a restart a task that some absent worker may be running already,
//! by an assignment that the log lost, waits for that worker's inventory or loss (R4).

mod action;
mod active_job;
mod agenda;
mod approval;
mod attempt;
mod checkpoints;
mod config;
mod dry_vote;
mod event;
mod figures;
mod index;
mod keeping;
mod line;
mod operations;
mod orders;
mod pace;
mod pause;
mod placement;
mod queue;
mod reckoning;
mod record;
mod replay;
mod replicas;
mod reports;
mod rerun;
mod rescue;
mod retry;
mod roster;
mod scheduler;
mod session;
mod settling;
mod unfinished;
mod view;
mod waiting;

pub use action::{Action, HeldOutput, Holding};
pub use approval::{ApprovalStanding, GivenApproval};
pub use attempt::{Attempt, Outcome};
pub use checkpoints::{CheckpointCopy, KnownCheckpoint};
pub use config::Config;
pub use dry_vote::DryVote;
pub use event::{Event, Registration};
pub use figures::TaskFigures;
pub use keeping::KeptRelease;
pub use line::{AHEAD_COUNTED_MAX, InLine};
pub use operations::Admission;
pub use orders::{Drain, Orders, REMOVALS_MAX, Removal};
pub use pace::{LastWords, ReportView};
pub use pause::{LiveAttempts, Pause, PauseOrigin};
pub use record::{Record, Submission};
pub use replay::CorruptSchedule;
pub use replicas::{Moved, Replica, ReplicaHolder};
pub use rescue::{Kept, Rescue, RescuePlan};
pub use retry::MISHAPS_MAX;
pub use scheduler::{Reaction, Scheduler};
pub use settling::{GivenOut, Offer};
pub use view::{JobState, JobSummary, JobView, TaskStanding, TaskView, WorkerState, WorkerView};
