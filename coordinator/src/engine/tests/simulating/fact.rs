//! What happens in a world, as far as somebody outside the machines could see it.

use std::fmt;

use votum_commit::{Installation, Knowledge, Message, Pledge, Reply};
use votum_ids::{AttemptId, Digest, Epoch, OutputName, TaskId, TxnId, WorkerId};
use votum_job::{Assignment, AttemptEnd, JobSpec};
use votum_wire::{FromCoordinator, FromWorker, view::JobView};
use votum_worker::Record as WorkerRecord;

use crate::record::Record;

/// One thing that happened.
#[derive(Debug)]
pub(super) enum Fact<'a> {
    /// A record of the coordinator is durable.
    Logged(&'a Record),
    /// A record of a worker is durable.
    Noted { at: &'a Installation, record: &'a WorkerRecord },
    /// The coordinator said something.
    Sent { to: &'a WorkerId, frame: &'a FromCoordinator },
    /// A worker said something.
    Said { from: &'a Installation, frame: &'a FromWorker },
    /// A worker was told something by the coordinator.
    Heard { at: &'a Installation, frame: &'a FromCoordinator },
    /// A worker answered another one.
    PeerTold { by: &'a Installation, txn: &'a TxnId, knowledge: Knowledge },
    /// The bytes of an output are whole and durable on a worker.
    Kept { at: &'a Installation, attempt: &'a AttemptId, output: &'a OutputName, digest: Digest },
    /// What an attempt had staged on a worker is gone.
    Dropped { at: &'a Installation, attempt: &'a AttemptId },
    /// An output became visible.
    Shown { at: &'a Installation, txn: &'a TxnId, pledge: &'a Pledge },
    /// An output is visible no longer.
    Hidden { at: &'a Installation, pledge: &'a Pledge },
    /// A program began.
    Began { at: &'a Installation, order: &'a Assignment },
    /// A program is over, with all its processes.
    Ended { at: &'a Installation, order: &'a Assignment, well: bool },
    /// A request of a webhook left.
    Posted { hook: &'a TaskId, key: &'a str, body: &'a str },
    /// It was taken by its receiver.
    Taken { hook: &'a TaskId },
    /// Nobody knows whether it was.
    LostSight { hook: &'a TaskId },
    /// A person has looked whether an effect took place.
    Looked { hook: &'a TaskId },
    /// The coordinator started.
    ChiefStarted { epoch: Epoch },
    /// A daemon died.
    Died { who: &'a str },
    /// A worker is gone for good.
    Lost { at: &'a Installation },
    /// A machine has seen what the protocol excludes.
    Alarmed { who: &'a str, alarm: &'a str },
    /// Something else that helps whoever reads a transcript.
    Remark(&'a str),
}

/// How everything stands when nothing of the job is left anywhere.
pub(super) struct End<'a> {
    pub(super) spec: &'a JobSpec,
    /// The job as it is shown from then on.
    pub(super) view: &'a JobView,
    /// Whether anything went wrong on purpose.
    pub(super) faulty: bool,
}

impl fmt::Display for Fact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Logged(record) => write!(f, "coordinator: durable: {}", brief(record)),
            Self::Noted { at, record } => write!(f, "{}: durable: {}", at.worker, brief(record)),
            Self::Sent { to, frame } => write!(f, "coordinator -> {to}: {}", order(frame)),
            Self::Said { from, frame } => {
                write!(f, "{} -> coordinator: {}", from.worker, report(frame))
            }
            Self::Heard { at, frame } => write!(f, "{} reads: {}", at.worker, order(frame)),
            Self::PeerTold { by, txn, knowledge } => {
                write!(f, "{} tells a peer of {txn}: {knowledge:?}", by.worker)
            }
            Self::Kept { at, attempt, output, .. } => {
                write!(f, "{}: {output} of {attempt} is whole on the disk", at.worker)
            }
            Self::Dropped { at, attempt } => write!(f, "{}: removes {attempt}", at.worker),
            Self::Shown { at, txn, pledge } => {
                write!(f, "{}: VISIBLE {}.{} of {txn}", at.worker, pledge.task, pledge.output)
            }
            Self::Hidden { at, pledge } => {
                write!(f, "{}: hidden {}.{}", at.worker, pledge.task, pledge.output)
            }
            Self::Began { at, order } => write!(f, "{}: begins {}", at.worker, order.attempt),
            Self::Ended { at, order, well } => {
                let how = if *well { "well" } else { "badly" };
                write!(f, "{}: {} ends {how}", at.worker, order.attempt)
            }
            Self::Posted { hook, key, .. } => write!(f, "coordinator: posts {hook} under {key}"),
            Self::Taken { hook } => write!(f, "receiver: took {hook}"),
            Self::LostSight { hook } => write!(f, "nobody knows whether {hook} took place"),
            Self::Looked { hook } => write!(f, "a person has looked whether {hook} took place"),
            Self::ChiefStarted { epoch } => write!(f, "coordinator: starts, epoch {epoch}"),
            Self::Died { who } => write!(f, "{who}: dies"),
            Self::Lost { at } => write!(f, "{}: is gone for good", at.worker),
            Self::Alarmed { who, alarm } => write!(f, "{who}: ALARM: {alarm}"),
            Self::Remark(text) => f.write_str(text),
        }
    }
}

/// Returns the beginning of what something is, which names it.
fn brief(record: &impl fmt::Debug) -> String {
    let text = format!("{record:?}");
    text.chars().take(BRIEF).collect()
}

fn order(frame: &FromCoordinator) -> String {
    match frame {
        FromCoordinator::Start(order) => format!("start {}", order.attempt),
        FromCoordinator::Acknowledged { attempt } => format!("acknowledges {attempt}"),
        FromCoordinator::Discard { attempt } => format!("discard {attempt}"),
        FromCoordinator::Stop { attempt, .. } => format!("stop {attempt}"),
        FromCoordinator::Commit(Message::Prepare { txn, pledges, .. }) => {
            format!("PREPARE {txn}, {} outputs", pledges.len())
        }
        FromCoordinator::Commit(Message::Commit { txn, pledges, .. }) => {
            format!("COMMIT {txn}, {} outputs", pledges.len())
        }
        FromCoordinator::Commit(Message::Abort { job }) => format!("ABORT {job}"),
        FromCoordinator::Commit(other) => brief(other),
        other => brief(other),
    }
}

fn report(frame: &FromWorker) -> String {
    match frame {
        FromWorker::Ended { attempt, end: AttemptEnd::Sealed { outputs, .. } } => {
            format!("{attempt} is sealed, {} outputs", outputs.len())
        }
        FromWorker::Ended { attempt, end: AttemptEnd::Failed { failure, .. } } => {
            format!("{attempt} failed: {:?}", failure.kind)
        }
        FromWorker::Commit(Reply::Voted { txn, vote }) => format!("votes {vote:?} in {txn}"),
        FromWorker::Commit(Reply::Acked { txn }) => format!("acknowledges {txn}"),
        FromWorker::Commit(Reply::Inquired { txn, committed: false }) => {
            format!("asks about {txn}")
        }
        FromWorker::Commit(Reply::Inquired { txn, committed: true }) => {
            format!("asks who publishes {txn}")
        }
        other => brief(other),
    }
}

/// So many characters of a record are shown.
const BRIEF: usize = 160;
