//! Actions to deeds: each is done at once or handed over; completions come back as events.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use votum_commit::LogPosition;
use votum_driver::Perform;
use votum_ids::{AttemptId, JobId};
use votum_job::{BACKEND_LABEL, Enforced, TASK_USER_LABEL};
use votum_machine::{Moment, WallTime};
use votum_process::Backend;
use votum_shadow::{DiscardError, TargetError};
use votum_wire::{FromWorker, Hello, Vitals};

use crate::{
    action::Action,
    checkpoint, commit, dry_vote, order, outputs, peer,
    recovery::attempts_below,
    run::{self, Runs, StopOrder},
    session::chain,
    shell::{End, Shell, on_disk, turn},
};

/// Performs the actions of a worker.
#[derive(Debug)]
pub(crate) struct Performer(pub(crate) Arc<Shell>);

impl Perform<Action> for Performer {
    fn perform(&mut self, action: Action) {
        let shell = &self.0;
        let another = || Arc::clone(shell);
        match action {
            Action::Greet { session, seen } => shell.link.greet(session, hello(shell, seen)),
            Action::Send(frame) => shell.link.send(frame),
            Action::Heartbeat { number } => shell.spawn(beat(another(), number)),
            Action::RenewLease { until } => shell.spawn(renew_lease(another(), until)),
            Action::Leave { session, reason } => {
                tracing::error!(reason, "leaving the coordinator");
                shell.link.leave(session);
            }
            Action::Fetch(assignment) => {
                let work = Runs::begin(shell, &assignment.attempt);
                shell.spawn(run::fetch(work, assignment));
            }
            Action::Run { assignment, inputs, resumed } => {
                tracing::info!(attempt = %assignment.attempt, "running");
                let work = Runs::begin(shell, &assignment.attempt);
                shell.spawn(run::run(work, assignment, inputs, resumed));
            }
            Action::Stop { attempt, grace, reason } => {
                tracing::info!(%attempt, reason, "stopping");
                shell.runs.stop(&attempt, StopOrder { grace, reason });
            }
            Action::Seal(assignment) => shell.spawn(outputs::seal(another(), assignment)),
            Action::SealCheckpoint(order) => shell.spawn(checkpoint::seal(another(), order)),
            Action::Answer { attempt, requests, text } => {
                shell.spawn(checkpoint::answer(another(), attempt, requests, text));
            }
            Action::Signal { attempt, signal } => {
                shell.spawn(checkpoint::signal(another(), attempt, signal));
            }
            Action::Replicate(point) => shell.spawn(checkpoint::replicate(another(), point)),
            Action::RemoveCheckpoint(id) => shell.spawn(checkpoint::remove(another(), id)),
            Action::RemoveCheckpoints(job) => shell.spawn(checkpoint::remove_job(another(), job)),
            Action::Discard(attempt) => shell.spawn(discard_attempt(another(), attempt)),
            Action::DiscardJob(job) => shell.spawn(discard_job(another(), job)),
            Action::Check { txn, pledges } => shell.spawn(commit::check(another(), txn, pledges)),
            Action::DryVote { request, not_held } => {
                shell.spawn(dry_vote::answer(another(), *request, not_held));
            }
            Action::Publish { txn, pledges } => {
                shell.spawn(commit::publish(another(), txn, 0, pledges));
            }
            Action::TakeOver { txn, number, pledges } => {
                shell.spawn(commit::publish(another(), txn, number, pledges));
            }
            Action::Withdraw { txn, number, pledges } => {
                shell.spawn(commit::withdraw(another(), txn, number, pledges));
            }
            Action::AskPeer { peer, txn } => shell.spawn(peer::ask(another(), peer, txn)),
            Action::AnswerPeer { to, txn, knowledge } => shell.peers.answer(to, txn, knowledge),
            Action::Raise(alarm) => tracing::error!(%alarm, "the protocol excludes what was seen"),
            Action::AnswerLocal { ask, answer } => shell.local.answer(ask, answer),
            Action::TellDoubt(news) => news.log(),
            Action::PruneLogs { kept } => shell.spawn(prune_logs(another(), kept)),
            Action::Exit => shell.ending.end(End::Finished),
        }
    }
}

fn hello(shell: &Shell, seen: Option<LogPosition>) -> Hello {
    Hello {
        installation: shell.me.clone(),
        incarnation: shell.incarnation,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        labels: labels(shell),
        slots: shell.config.slots,
        artifact_address: shell.address.clone(),
        publish_roots: shell.shadow.roots().map(|root| root.display().to_string()).collect(),
        seen,
        protocols: shell.config.protocols,
    }
}

/// Returns the operator's labels, and those by which the worker says what it can limit.
fn labels(shell: &Shell) -> BTreeMap<String, String> {
    let cgroups = &shell.cgroups;
    let backend = match cgroups.backend() {
        Backend::Unified => "cgroup-v2",
        Backend::Hybrid => "cgroup-hybrid",
        Backend::ProcessGroups => "process-groups",
    };
    let enforced = [
        (cgroups.limits_cpu(), Enforced::Cpu),
        (cgroups.limits_memory(), Enforced::Memory),
        (cgroups.limits_processes(), Enforced::Processes),
    ];
    let enforced = enforced.into_iter().filter(|(can, _)| *can).map(|(_, limit)| limit.label());
    let mut labels = shell.config.labels.clone();
    let account = shell.config.task_account.iter();
    let account = account.map(|account| (TASK_USER_LABEL.to_owned(), account.name.clone()));
    let backend = (BACKEND_LABEL.to_owned(), backend.to_owned());
    labels.extend(enforced.chain([backend]).chain(account));
    labels
}

async fn beat(shell: Arc<Shell>, number: u64) {
    match on_disk(&shell, |shell| Ok((shell.free_bytes()?, shell.limits()?))).await {
        Ok((free_bytes, limits)) => {
            let vitals = Vitals { sent: Some(shell.clock.wall()), limits };
            shell.link.send(FromWorker::Heartbeat { free_bytes, number, vitals });
        }
        Err::<_, io::Error>(error) => {
            tracing::error!(%error, "the staging's filesystem does not answer")
        }
    }
}

/// Tells every supervisor at once that its attempt may go on.
///
/// A renewal that cannot be written is no reason to stop: the next one may be, and if none
/// is, the supervisors do what they are there for.
async fn renew_lease(shell: Arc<Shell>, until: Moment) {
    let mut renewed = shell.renewed.lock().await;
    if *renewed >= until {
        return;
    }
    *renewed = until;
    let written = on_disk(&shell, move |shell| {
        votum_process::renew(&shell.config.lease_file(), || until.since(shell.clock.now()))
    });
    if let Err(error) = written.await {
        tracing::error!(error = chain(&error), "cannot renew the lease of exclusive attempts");
    }
}

async fn discard_attempt(shell: Arc<Shell>, attempt: AttemptId) {
    let _permit = turn(&shell.bounds.discards).await;
    let id = attempt.clone();
    let discarded = on_disk(&shell, move |shell| {
        forget_order(&run::attempt_dir(&shell.config, &id));
        // If it is published, then its job is over: nobody else wants what it staged.
        note_retired(shell.shadow.retire_attempt(&id));
        let discarded = shell.shadow.discard_attempt(&id);
        shell.read_lately.forget(|attempt| *attempt == id);
        discarded
    })
    .await;
    complain(&attempt, discarded);
}

async fn discard_job(shell: Arc<Shell>, job: JobId) {
    let _permit = turn(&shell.bounds.discards).await;
    let id = job.clone();
    let discarded = on_disk(&shell, move |shell| {
        let attempts = fs::read_dir(shell.config.attempts_dir().join(id.as_str()));
        for attempt in attempts.into_iter().flatten().flatten() {
            forget_order(&attempt.path());
        }
        // Whoever reads a published output from here on needs to know what it consists of.
        if let Err(error) = shell.shadow.keep_manifests(&id) {
            tracing::warn!(job = %id, error = chain(&error), "cannot keep what was published");
        }
        note_retired(shell.shadow.retire_job(&id));
        let discarded = shell.shadow.discard_job(&id);
        shell.read_lately.forget(|attempt| attempt.job == id);
        discarded
    })
    .await;
    complain(&job, discarded);
}

/// What could not be removed goes with a later job at its target, or stays.
fn note_retired(retired: Result<Vec<PathBuf>, TargetError>) {
    match retired {
        Ok(retired) => {
            for path in retired {
                tracing::info!(path = %path.display(), "retired an earlier generation");
            }
        }
        Err(error) => {
            tracing::warn!(error = chain(&error), "cannot retire earlier generations");
        }
    }
}

/// What is being removed is not to be gone on with after a crash.
fn forget_order(dir: &Path) {
    if let Err(error) = order::forget(dir) {
        tracing::warn!(error = chain(&error), "cannot forget an order");
    }
}

/// What could not be removed is found at the next start, and listed.
fn complain(what: &dyn std::fmt::Display, discarded: Result<(), DiscardError>) {
    match discarded {
        Ok(()) => tracing::debug!(%what, "discarded"),
        Err(error) => tracing::error!(%what, error = chain(&error), "cannot discard"),
    }
}

/// Removes what attempts that ended long ago left besides their outputs.
async fn prune_logs(shell: Arc<Shell>, kept: BTreeSet<AttemptId>) {
    let oldest =
        shell.clock.wall().0.saturating_sub(
            u64::try_from(shell.config.log_retention.as_millis()).unwrap_or(u64::MAX),
        );
    let pruned = on_disk(&shell, move |shell| {
        for (attempt, dir) in attempts_below(&shell.config.attempts_dir())? {
            let wanted = kept.contains(&attempt) || shell.runs.contains(&attempt);
            if wanted {
                continue;
            }
            // One that cannot be removed keeps no other.
            if let Err(error) = prune_attempt(&dir, WallTime(oldest)) {
                tracing::warn!(%attempt, %error, "cannot remove old logs");
            }
        }
        Ok::<(), io::Error>(())
    });
    if let Err(error) = pruned.await {
        tracing::warn!(%error, "cannot remove old logs");
    }
}

fn prune_attempt(dir: &Path, oldest: WallTime) -> io::Result<()> {
    if last_change(dir)? < oldest {
        fs::remove_dir_all(dir)?;
        // The last one of its job takes the job's folder with it.
        let _ = dir.parent().map(fs::remove_dir);
    }
    Ok(())
}

fn last_change(dir: &Path) -> io::Result<WallTime> {
    let modified = fs::metadata(dir)?.modified()?;
    let since_1970 = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(WallTime::default().after(since_1970))
}
