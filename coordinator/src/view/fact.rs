//! The records of scheduling and of the commit protocol as sentences.

use votum_commit::{CoordinatorRecord, Decision, Forced, Heuristic};
use votum_ids::WorkerId;
use votum_job::{AttemptEnd, Comeback, Finding, Size};
use votum_schedule::{LiveAttempts, Record, Registration};

use super::event::Fact;

/// Tells what the scheduler recorded.
pub(crate) fn of_schedule(record: &Record) -> Fact {
    match record {
        Record::Received { spec, submission, in_line, .. } => {
            let tasks = counted(spec.tasks.len(), "task");
            let mut words = match &submission.rescue {
                Some(rescue) => format!("received with {tasks}; takes over from {}", rescue.from),
                None => format!("received with {tasks}"),
            };
            match (&spec.concurrency, in_line) {
                (Some(wanted), Some(2..)) => {
                    words.push_str(&format!("; waits for the key {}", wanted.key));
                }
                (Some(wanted), _) => words.push_str(&format!("; has the key {}", wanted.key)),
                (None, _) => {}
            }
            Fact::new("received", words).by(&submission.by)
        }
        Record::KeyTaken { .. } => {
            Fact::new("key_taken", "has the key that it waited for; its time counts from here on")
        }
        Record::Assigned { attempt, worker, .. } => {
            Fact::new("assigned", format!("given to {worker}")).of(attempt).at(worker)
        }
        Record::Started { attempt } => Fact::new("started", "its program runs").of(attempt),
        Record::Ended { attempt, end, .. } => ended(end).of(attempt),
        Record::Lost { worker, attempts, staged, moved, .. } => {
            lost(worker, attempts.len(), staged.len(), moved.len())
        }
        Record::Replicated { attempt, worker, .. } => {
            let words = format!("{worker} has a whole copy of what it staged");
            Fact::new("replicated", words).of(attempt).at(worker)
        }
        Record::ReplicaLost { attempt, worker, .. } => {
            let words = format!("{worker} has no copy any more");
            Fact::new("replica_lost", words).of(attempt).at(worker)
        }
        Record::CheckpointHeld { held, worker, .. } => {
            let (sequence, size) = (held.id.sequence, Size(held.bytes));
            let words = format!("checkpoint {sequence} of {size} lies on {worker}");
            Fact::new("checkpoint_held", words).of(&held.id.attempt).at(worker)
        }
        Record::CheckpointGone { id, worker } => {
            let words = format!("checkpoint {} is gone from {worker}", id.sequence);
            Fact::new("checkpoint_gone", words).of(&id.attempt).at(worker)
        }
        Record::Returned { attempt, comeback } => returned(*comeback).of(attempt),
        Record::DryVoted { findings, omitted, .. } => dry_voted(findings, *omitted),
        Record::Paused { by, reason, live, .. } => paused(reason, *live).by(by),
        Record::Unpaused { by, .. } => Fact::new("unpaused", "goes on").by(by),
        Record::RetryAsked { tasks, by, .. } => {
            let words = format!("{} tried again at once", counted(tasks.len(), "task"));
            Fact::new("retry_asked", words).by(by)
        }
        Record::KeptReleased { by, reason, kept, .. } => {
            let words = format!("what {} kept is given up", counted(kept.len(), "task"));
            Fact::new("kept_released", because(&words, reason)).by(by)
        }
        Record::Rescued { by, .. } => {
            Fact::new("rescued", format!("{by} takes over what it keeps"))
        }
        Record::ApprovalAsked { .. } => {
            Fact::new("approval_asked", "everything is staged; a person is asked to approve")
        }
        Record::Approved { by, reason, .. } => {
            Fact::new("approved", because("approved", reason)).by(by)
        }
        // No job's history has these two.
        Record::Registered(Registration { worker, .. }) => {
            Fact::new("registered", "introduced itself").at(worker)
        }
        Record::Ordered { worker, .. } => Fact::new("ordered", "was given an order").at(worker),
    }
}

fn lost(worker: &WorkerId, attempts: usize, staged: usize, moved: usize) -> Fact {
    let mut words = format!("{worker} is gone for this job");
    let parts = [
        (attempts, "attempt", "over"),
        (staged, "task", "to be made again"),
        (moved, "task", "held by others from here on"),
    ];
    for (count, noun, what) in parts.into_iter().filter(|(count, ..)| *count > 0) {
        words.push_str(&format!("; {} {what}", counted(count, noun)));
    }
    Fact::new("worker_lost", words).at(worker)
}

fn returned(comeback: Comeback) -> Fact {
    let words = match comeback {
        Comeback::Running => "heard of again, and still running; not wanted any more",
        Comeback::Sealed => "heard of again, with its outputs sealed; not wanted any more",
        Comeback::Failed => "heard of again, and over",
    };
    Fact::new("returned", words)
}

fn dry_voted(findings: &[Finding], omitted: u32) -> Fact {
    let found = findings.len() + omitted as usize;
    let words = match findings.first() {
        None => "a dry vote found nothing in the way of a commit".to_owned(),
        Some(first) => {
            format!("a dry vote found {}: {}", counted(found, "obstacle"), first.message)
        }
    };
    Fact::new("dry_voted", words)
}

fn paused(reason: &str, live: LiveAttempts) -> Fact {
    let live = match live {
        LiveAttempts::GoOn => "held; what runs goes on",
        LiveAttempts::Stop => "held; what runs is asked to stop",
    };
    Fact::new("paused", because(live, reason))
}

fn ended(end: &AttemptEnd) -> Fact {
    match end {
        AttemptEnd::Sealed { outputs, .. } => {
            let bytes = outputs.iter().map(|output| output.bytes).sum();
            let outputs = counted(outputs.len(), "output");
            Fact::new("staged", format!("ended well; {outputs} of {} staged", Size(bytes)))
        }
        AttemptEnd::Failed { failure, .. } => Fact::new("failed", failure.message.clone()),
    }
}

/// Tells what the commit coordinator recorded.
pub(crate) fn of_commit(record: &CoordinatorRecord) -> Fact {
    match record {
        CoordinatorRecord::CommitDecided { txn, shares } => {
            let publishers = counted(shares.len(), "worker");
            let round = format!("round {}.{}", txn.epoch, txn.counter);
            let words = format!("COMMIT: {round}; {publishers} to publish");
            Fact::new("commit_decided", words)
        }
        CoordinatorRecord::Aborting { cause, .. } => {
            Fact::new("aborting", format!("ABORT: {cause}")).by(&cause.by)
        }
        CoordinatorRecord::Replaced { from, to, .. } => {
            let others: Vec<&str> = to.iter().map(|share| share.holder.worker.as_str()).collect();
            let words = format!("{} publish what {} owes", others.join(", "), from.worker);
            Fact::new("publisher_replaced", words).at(&from.worker)
        }
        CoordinatorRecord::Ended { .. } => {
            Fact::new("ended", "everybody who is waited for has carried the decision out")
        }
        CoordinatorRecord::GivenUp { holder, forced, .. } => {
            let words = format!("{} was given up: {}", holder.worker, forced.reason);
            Fact::new("given_up", words).at(&holder.worker).by(&forced.by)
        }
        CoordinatorRecord::CaughtUp { holder, .. } => {
            let words = format!("{}, given up before, has published after all", holder.worker);
            Fact::new("caught_up", words).at(&holder.worker)
        }
        CoordinatorRecord::Removed { holder, .. } => {
            let words = format!("{}, given up before, was removed for good", holder.worker);
            Fact::new("removed", words).at(&holder.worker)
        }
        CoordinatorRecord::Heuristic { holder, heuristic } => {
            let Heuristic { outcome, forced: Forced { by, reason, .. }, .. } = heuristic;
            let did = match outcome {
                Decision::Commit => "publish",
                Decision::Abort => "publish nothing",
            };
            let words = format!("{}, in doubt, was made to {did}: {reason}", holder.worker);
            Fact::new("forced", words).at(&holder.worker).by(by)
        }
    }
}

fn because(words: &str, reason: &str) -> String {
    if reason.is_empty() { words.to_owned() } else { format!("{words}: {reason}") }
}

fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
