//! What people are shown of a job: the scheduler's half and the commit's half as one picture.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;
use votum_commit::{Cause, Coordinator, Decision, Installation, Stage, Vote};
use votum_driver::Stamped;
use votum_ids::{Epoch, JobId, TaskId, WorkerId};
use votum_job::{Comeback, Failure, FailureKind, JobSpec, StagedOutput};
use votum_machine::{Moment, WallTime};
use votum_schedule::{Attempt, KeptRelease, LiveAttempts, Pause, Scheduler, TaskStanding};
use votum_settle::{HookState as Stands, Resolution, Settlement, Trial};
use votum_wire::{
    CaseAction, HookKind, HookState, HookView, PauseOrigin, PauseView, ResolutionView,
    TrialOutcome, TrialView,
    names::AttemptName,
    rescue::KeptReleaseView,
    view::{
        AttemptView, CheckpointView, DrainView, JobHolder, JobState, JobView, Outcome, OutputState,
        OutputView, ParticipantView, QuarantineView, ReportView, TaskState, TaskView, WorkerState,
        WorkerView,
    },
};

use crate::{
    open_job::OpenJob,
    quarantine::{Contradiction, Quarantined},
    record::{JobRecord, Tombstone},
    sentence,
};

/// What the commit protocol has come to for a job.
pub(crate) struct Fate {
    pub(crate) state: JobState,
    pub(crate) decision: Option<Decision>,
    pub(crate) cause: Option<Cause>,
    pub(crate) participants: Vec<ParticipantView>,
    /// Whether an aborted job keeps what is staged.
    pub(crate) kept: bool,
}

/// Everything that knows something of an open job.
#[derive(Clone, Copy)]
pub(crate) struct Brains<'a> {
    pub(crate) scheduler: &'a Scheduler,
    pub(crate) commit: &'a Coordinator,
    pub(crate) settlement: &'a Settlement,
}

/// Shows an open job.
pub(crate) fn job(
    anchor: WallTime,
    now: Moment,
    job: &JobId,
    open: &OpenJob,
    brains: Brains<'_>,
    kept_until: Option<Moment>,
) -> JobView {
    let Brains { scheduler, commit, settlement } = brains;
    let stage = commit.phase(job).map(|standing| standing.stage);
    let state = state(stage.as_ref(), open, kept_until.is_some());
    let fate = Fate { state, kept: kept_until.is_some(), ..Fate::of(stage, open) };
    let mut view = picture(anchor, now, job, open, scheduler, &fate);
    view.kept_until = kept_until.map(|until| anchor.at(until));
    if fate.kept {
        view.ended = open.decided;
    }
    view.hooks = hooks(anchor, job, settlement);
    view.state_message = sentence::of(now, &view, scheduler);
    view
}

/// Shows a closed job from its records.
///
/// # Errors
/// When the records do not make a job.
pub(crate) fn closed(
    anchor: WallTime,
    job: &JobId,
    records: &[Stamped<JobRecord>],
) -> Result<JobView, Contradiction> {
    let mut scheduler = Scheduler::new(votum_schedule::Config::default(), Epoch(u64::MAX), anchor);
    let mut open = OpenJob::replay(records).ok_or_else(Contradiction::no_receipt)?;
    let fate = Fate { state: state(None, &open, false), ..Fate::of(None, &open) };
    let mut settlement = Settlement::new(anchor);
    for (number, Stamped { at, record }) in records.iter().enumerate() {
        if let Some(schedule) = &record.schedule {
            let replayed = scheduler.replay(*at, schedule);
            replayed.map_err(|corrupt| Contradiction { at: number, why: corrupt.to_string() })?;
        }
        if let Some(settle) = &record.settle {
            let replayed = settlement.replay(*at, &open.spec, settle);
            replayed.map_err(|corrupt| Contradiction { at: number, why: corrupt.to_string() })?;
        }
    }
    // What was noted later ended nothing.
    let closing = records.iter().find(|stamped| stamped.record.closing.is_some());
    open.ended = open.ended.or_else(|| closing.or(records.last()).map(|stamped| stamped.at));
    let mut view = picture(anchor, Moment::START, job, &open, &scheduler, &fate);
    view.hooks = hooks(anchor, job, &settlement);
    view.state_message = sentence::of(Moment::START, &view, &scheduler);
    Ok(view)
}

/// Shows a job whose records were removed after its retention: how it ended, and nothing else.
pub(crate) fn removed(tombstone: Tombstone) -> JobView {
    let Tombstone { closing, ended, .. } = tombstone;
    let (state, how) = match closing.decision {
        Decision::Commit => (JobState::Committed, "committed"),
        Decision::Abort => (JobState::Aborted, "aborted"),
    };
    JobView {
        job: closing.job,
        uid: closing.uid,
        display_name: closing.display_name,
        spec: None,
        state,
        state_message: format!("{how}; its record was removed at the end of its retention"),
        decision: Some(closing.decision),
        cause: None,
        tasks: Vec::new(),
        participants: Vec::new(),
        created: closing.received,
        started: None,
        prepared: None,
        decided: None,
        ended: Some(ended),
        creator: String::new(),
        rescued_from: None,
        kept_until: None,
        kept_release: None,
        rescued_by: None,
        pause: None,
        further_pauses: Vec::new(),
        hooks: Vec::new(),
        quarantine: None,
        worker_damages: Vec::new(),
    }
}

/// Shows a quarantined job: as it was before the damage, and what is known beyond that.
///
/// `stage` tells how far a readable commit was delivered; none for a job that had ended.
pub(crate) fn quarantined(
    anchor: WallTime,
    quarantined: &Quarantined,
    stage: Option<Stage>,
) -> JobView {
    let decided = quarantined.decisions.first().map(|told| told.at);
    let mut fate = Fate {
        state: quarantined.last_state.unwrap_or(JobState::Received),
        decision: quarantined.decision(),
        cause: quarantined.abort().cloned(),
        participants: Vec::new(),
        kept: false,
    };
    if let Some((_, shares)) = &quarantined.commit {
        let waits = |holder: &Installation| match &stage {
            Some(Stage::Delivering { unacked, .. }) => unacked.contains(holder),
            Some(
                Stage::Working
                | Stage::Preparing { .. }
                | Stage::Aborting { .. }
                | Stage::Quarantined,
            )
            | None => !quarantined.closed,
        };
        fate.state = if quarantined.closed { JobState::Committed } else { JobState::Committing };
        let told = shares.iter().map(|share| ParticipantView {
            worker: share.holder.worker.clone(),
            vote: Some(Vote::Yes),
            acknowledged: !waits(&share.holder),
        });
        fate.participants = told.collect();
    }
    let job = &quarantined.job;
    let mut view = match &quarantined.open {
        Some(open) => picture(anchor, Moment::START, job, open, &quarantined.schedule, &fate),
        None => unknown(anchor, quarantined, &fate),
    };
    view.state = JobState::Quarantined;
    view.decided = view.decision.and(decided);
    view.state_message = sentence::of_quarantined(quarantined, &view);
    let holders = quarantined.holders().into_iter();
    view.quarantine = Some(QuarantineView {
        records: quarantined.records,
        damages: quarantined.damages.clone(),
        last_state: quarantined.last_state,
        last_recorded: quarantined.last_recorded,
        holders: holders.map(|(worker, holding)| JobHolder { worker, holding }).collect(),
    });
    view
}

/// Shows a job whose very receipt cannot be read.
fn unknown(anchor: WallTime, quarantined: &Quarantined, fate: &Fate) -> JobView {
    JobView {
        job: quarantined.job.clone(),
        uid: Uuid::nil(),
        display_name: String::new(),
        spec: None,
        state: JobState::Quarantined,
        state_message: String::new(),
        decision: fate.decision,
        cause: fate.cause.clone(),
        tasks: Vec::new(),
        participants: fate.participants.clone(),
        // Not when it was received, but never after anything that is known of it.
        created: quarantined.first_readable.unwrap_or(anchor),
        started: None,
        prepared: None,
        decided: None,
        ended: None,
        creator: String::new(),
        rescued_from: None,
        kept_until: None,
        pause: None,
        further_pauses: Vec::new(),
        kept_release: None,
        rescued_by: None,
        hooks: Vec::new(),
        quarantine: None,
        worker_damages: Vec::new(),
    }
}

/// Shows every worker, by name.
pub(crate) fn workers(anchor: WallTime, scheduler: &Scheduler) -> Vec<WorkerView> {
    scheduler.workers().map(|worker| shown_worker(anchor, worker, scheduler)).collect()
}

/// Shows one worker.
pub(crate) fn worker(
    anchor: WallTime,
    worker: votum_schedule::WorkerView,
    scheduler: &Scheduler,
) -> WorkerView {
    shown_worker(anchor, worker, scheduler)
}

/// Returns the state of an open job; `kept` says that only what it staged outlives its abort.
pub(crate) fn state(stage: Option<&Stage>, open: &OpenJob, kept: bool) -> JobState {
    let started = open.started.is_some();
    match open.over {
        Some(Decision::Commit) => return JobState::Committed,
        Some(Decision::Abort) => return JobState::Aborted,
        None => {}
    }
    match stage {
        Some(Stage::Preparing { .. }) => JobState::Preparing,
        Some(Stage::Delivering { .. }) => JobState::Committing,
        // Nothing of it runs, and nothing of it ever becomes visible.
        Some(Stage::Aborting { .. }) if kept => JobState::Aborted,
        Some(Stage::Aborting { .. }) => JobState::Aborting,
        Some(Stage::Working | Stage::Quarantined) | None if started => JobState::Running,
        Some(Stage::Working | Stage::Quarantined) | None => JobState::Received,
    }
}

impl Fate {
    fn of(stage: Option<Stage>, open: &OpenJob) -> Self {
        let mut fate = Self {
            state: JobState::Running,
            decision: None,
            cause: None,
            participants: Vec::new(),
            kept: false,
        };
        if let Some(over) = open.over {
            fate.decision = Some(over);
            fate.cause.clone_from(&open.cause);
            let published = |holder: &Installation| ParticipantView {
                worker: holder.worker.clone(),
                vote: Some(Vote::Yes),
                acknowledged: true,
            };
            fate.participants = open.publishers.iter().map(published).collect();
            return fate;
        }
        match stage {
            Some(Stage::Preparing { votes, .. }) => {
                let asked = votes.into_iter().map(|(holder, vote)| ParticipantView {
                    worker: holder.worker,
                    vote,
                    acknowledged: false,
                });
                fate.participants = asked.collect();
            }
            Some(Stage::Delivering { unacked, .. }) => {
                fate.decision = Some(Decision::Commit);
                let told = open.publishers.iter().map(|holder| ParticipantView {
                    worker: holder.worker.clone(),
                    vote: Some(Vote::Yes),
                    acknowledged: !unacked.contains(holder),
                });
                fate.participants = told.collect();
            }
            Some(Stage::Aborting { cause }) => {
                fate.decision = Some(Decision::Abort);
                fate.cause = Some(cause);
            }
            Some(Stage::Working | Stage::Quarantined) | None => {}
        }
        fate
    }

    fn has_acknowledged(&self, worker: &WorkerId) -> bool {
        self.participants.iter().any(|one| one.acknowledged && one.worker == *worker)
    }

    fn has_voted_yes(&self, worker: &WorkerId) -> bool {
        let yes = |one: &ParticipantView| one.vote == Some(Vote::Yes) && one.worker == *worker;
        self.participants.iter().any(yes)
    }

    fn task_state(&self, standing: TaskStanding, worker: Option<&WorkerId>) -> TaskState {
        let staged = standing == TaskStanding::Staged;
        match (self.state, worker) {
            (JobState::Preparing, Some(worker)) if staged && self.has_voted_yes(worker) => {
                TaskState::Prepared
            }
            (JobState::Committing, Some(worker)) if staged && !self.has_acknowledged(worker) => {
                TaskState::Prepared
            }
            (JobState::Committing | JobState::Committed, _) if staged => TaskState::Committed,
            (JobState::Aborted, _) if staged && self.kept => TaskState::Staged,
            (JobState::Aborting | JobState::Aborted, _) if staged => TaskState::Discarded,
            (JobState::Aborted, _) if standing != TaskStanding::Failed => TaskState::Cancelled,
            _ => word(standing),
        }
    }

    fn output_state(&self, worker: &WorkerId, publishes: bool) -> OutputState {
        match self.state {
            // What a quarantined job holds is shown as it was before the damage.
            JobState::Received | JobState::Running | JobState::Quarantined => OutputState::Staged,
            JobState::Preparing if publishes && self.has_voted_yes(worker) => OutputState::Prepared,
            JobState::Preparing => OutputState::Staged,
            JobState::Committing | JobState::Committed
                if publishes && self.has_acknowledged(worker) =>
            {
                OutputState::Published
            }
            JobState::Committing if publishes => OutputState::Prepared,
            JobState::Committing => OutputState::Staged,
            JobState::Aborted if self.kept => OutputState::Staged,
            // Intermediates have served their purpose.
            JobState::Committed | JobState::Aborting | JobState::Aborted => OutputState::Discarded,
        }
    }
}

fn picture(
    anchor: WallTime,
    now: Moment,
    job: &JobId,
    open: &OpenJob,
    scheduler: &Scheduler,
    fate: &Fate,
) -> JobView {
    let tasks = scheduler.job(now, job).map(|view| view.tasks).unwrap_or_default();
    let shown = |task: votum_schedule::TaskView| {
        let lost = fate.kept && scheduler.is_kept_no_more(job, &task.task);
        let mut shown = shown_task(anchor, &open.spec, task, fate);
        if lost {
            // It went with its worker: nobody keeps it, whatever the job's file says.
            shown.state = TaskState::Discarded;
            for output in &mut shown.outputs {
                output.state = OutputState::Discarded;
            }
        }
        shown
    };
    let tasks = tasks.into_iter().map(shown).collect();
    let holds = scheduler.holds(job).iter().filter(|_| fate.decision.is_none());
    let mut holds = holds.map(shown_pause);
    JobView {
        job: job.clone(),
        uid: open.submission.uid,
        display_name: open.spec.display_name.clone(),
        spec: Some(open.spec.clone()),
        state: fate.state,
        state_message: String::new(),
        decision: fate.decision,
        cause: fate.cause.clone(),
        tasks,
        participants: fate.participants.clone(),
        created: open.received,
        started: open.started,
        prepared: open.prepared,
        decided: open.decided,
        ended: open.ended,
        creator: open.submission.by.clone(),
        rescued_from: open.submission.rescue.as_ref().map(|rescue| rescue.from.clone()),
        kept_until: None,
        hooks: Vec::new(),
        pause: holds.next(),
        further_pauses: holds.collect(),
        kept_release: scheduler.kept_release(job).map(shown_release),
        rescued_by: scheduler.successor(job).cloned(),
        quarantine: None,
        worker_damages: Vec::new(),
    }
}

fn shown_release(release: &KeptRelease) -> KeptReleaseView {
    let KeptRelease { by, reason, at, kept } = release.clone();
    KeptReleaseView { by, reason, at, kept }
}

fn shown_pause(pause: &Pause) -> PauseView {
    PauseView {
        by: pause.by.clone(),
        reason: pause.reason.clone(),
        since: pause.since,
        origin: match pause.origin {
            votum_schedule::PauseOrigin::Asked => PauseOrigin::Asked,
            votum_schedule::PauseOrigin::Exhausted => PauseOrigin::Exhausted,
        },
        stop_running: pause.live == LiveAttempts::Stop,
    }
}

fn shown_task(
    anchor: WallTime,
    spec: &JobSpec,
    task: votum_schedule::TaskView,
    fate: &Fate,
) -> TaskView {
    let last = task.attempts.last().map(|attempt| attempt.worker.clone());
    let worker = task.worker.or(last);
    let outputs = match &worker {
        Some(worker) => task
            .outputs
            .iter()
            .map(|output| shown_output(spec, &task.task, worker, output, fate))
            .collect(),
        None => Vec::new(),
    };
    let standing = match task.attempts.last() {
        // What was stopped because the job aborts did not fail.
        Some(last) if fate.decision == Some(Decision::Abort) && was_stopped(last) => {
            TaskStanding::Cancelled
        }
        Some(_) | None => task.state,
    };
    TaskView {
        state: fate.task_state(standing, worker.as_ref()),
        attempts: task.attempts.into_iter().map(shown_attempt).collect(),
        omitted_attempts: 0,
        outputs,
        retry_at: task.retry_at.map(|moment| anchor.at(moment)),
        report: task.report.map(|told| ReportView {
            report: told.report,
            at: told.at,
            rate: told.rate,
            end: told.end.map(|moment| anchor.at(moment)),
        }),
        checkpoint: task.checkpoint.map(|known| CheckpointView {
            sequence: known.id.sequence,
            steps: known.steps,
            recorded: known.recorded,
            bytes: known.bytes,
            workers: known.holders.into_keys().collect(),
        }),
        task: task.task,
        worker,
    }
}

fn was_stopped(attempt: &Attempt) -> bool {
    let stopped = |failure: &Failure| failure.kind == FailureKind::Stopped;
    matches!(&attempt.outcome, votum_schedule::Outcome::Failed { failure, .. } if stopped(failure))
}

fn shown_output(
    spec: &JobSpec,
    task: &TaskId,
    worker: &WorkerId,
    output: &StagedOutput,
    fate: &Fate,
) -> OutputView {
    let declared = spec.tasks.get(task).and_then(|spec| spec.outputs.get(&output.name));
    let target = declared.and_then(|declared| declared.publish.as_ref());
    OutputView {
        output: output.name.clone(),
        worker: worker.clone(),
        state: fate.output_state(worker, target.is_some()),
        files: output.files,
        bytes: output.bytes,
        digest: output.digest,
        publish_path: target.map(|target| target.path.clone()),
    }
}

fn shown_attempt(attempt: Attempt) -> AttemptView {
    let since = comeback(&attempt);
    let failed = |kind, message: &str| {
        let (message, stderr_tail) = (format!("{message}{since}"), String::new());
        Some(Outcome::Failed(Failure { kind, message, stderr_tail }))
    };
    let (outcome, usage) = match attempt.outcome {
        votum_schedule::Outcome::Live => (None, None),
        votum_schedule::Outcome::Sealed { usage, .. } => (Some(Outcome::Succeeded), Some(usage)),
        votum_schedule::Outcome::Failed { failure, usage } => {
            (Some(Outcome::Failed(failure)), Some(usage))
        }
        votum_schedule::Outcome::Lost => {
            (failed(FailureKind::WorkerLost, "its worker was lost"), None)
        }
        votum_schedule::Outcome::Superseded => {
            (failed(FailureKind::Stopped, "what it read was made again differently"), None)
        }
    };
    AttemptView {
        number: attempt.number,
        worker: attempt.worker,
        token: attempt.id.token,
        started: attempt.started,
        ended: attempt.ended,
        outcome,
        usage,
    }
}

/// Says what an attempt that was given up did meanwhile, once its worker has told.
fn comeback(attempt: &Attempt) -> String {
    let Some((at, comeback)) = attempt.comeback else { return String::new() };
    let wait = attempt.ended.map_or(0, |ended| at.since(ended).as_secs());
    let what = match comeback {
        Comeback::Running => "while it still ran; ended and discarded",
        Comeback::Sealed => "with sealed outputs; discarded",
        Comeback::Failed => "without success; discarded",
    };
    format!("; returned after {wait} s {what}")
}

fn shown_worker(
    anchor: WallTime,
    worker: votum_schedule::WorkerView,
    scheduler: &Scheduler,
) -> WorkerView {
    let running = worker.running.iter().map(|attempt| AttemptName {
        job: attempt.job.clone(),
        task: attempt.task.clone(),
        number: scheduler
            .task(Moment::START, &attempt.job, &attempt.task)
            .and_then(|task| task.attempts.last().map(|last| last.number))
            .unwrap_or_default(),
    });
    let registration = worker.registration;
    WorkerView {
        running: running.collect(),
        worker: registration.worker,
        uid: registration.uid,
        incarnation: registration.incarnation,
        state: match worker.state {
            votum_schedule::WorkerState::Ready => WorkerState::Ready,
            votum_schedule::WorkerState::Reconciling => WorkerState::Reconciling,
            votum_schedule::WorkerState::Suspect => WorkerState::Suspect,
            votum_schedule::WorkerState::Absent => WorkerState::Absent,
            votum_schedule::WorkerState::Lost => WorkerState::Lost,
            votum_schedule::WorkerState::Draining => WorkerState::Draining,
            votum_schedule::WorkerState::Drained => WorkerState::Drained,
        },
        labels: registration.labels,
        version: registration.version,
        artifact_address: registration.artifact_address,
        publish_roots: registration.publish_roots,
        last_seen: (worker.heard > Moment::START).then(|| anchor.at(worker.heard)),
        slots: registration.slots,
        free_bytes: (worker.free_bytes > 0).then_some(worker.free_bytes),
        holds: worker.holds,
        keeps: worker.keeps,
        protocol: registration.protocol,
        drain: worker.drain.map(|drain| DrainView {
            deadline: drain.deadline(),
            by: drain.by,
            reason: drain.reason,
            ordered: drain.ordered,
        }),
        damages: Vec::new(),
    }
}

fn word(standing: TaskStanding) -> TaskState {
    match standing {
        TaskStanding::Waiting => TaskState::Waiting,
        TaskStanding::Ready => TaskState::Ready,
        TaskStanding::Starting => TaskState::Starting,
        TaskStanding::Running => TaskState::Running,
        TaskStanding::Retrying => TaskState::Retrying,
        TaskStanding::Staged => TaskState::Staged,
        TaskStanding::Failed => TaskState::Failed,
        TaskStanding::Cancelled => TaskState::Cancelled,
    }
}

/// Shows what the decision on a job leaves to do.
fn hooks(anchor: WallTime, job: &JobId, settlement: &Settlement) -> Vec<HookView> {
    settlement.hooks(job).into_iter().map(|hook| shown_hook(anchor, hook)).collect()
}

fn shown_hook(anchor: WallTime, hook: votum_settle::HookView) -> HookView {
    let mut shown = HookView {
        hook: hook.hook,
        kind: match hook.kind {
            votum_settle::HookKind::Effect => HookKind::Effect,
            votum_settle::HookKind::Compensation => HookKind::Compensation,
        },
        state: HookState::Waiting,
        tries: hook.tries,
        worker: None,
        next: None,
        trials: hook.trials.into_iter().map(shown_trial).collect(),
        resolution: None,
    };
    shown.state = match hook.state {
        Stands::Waiting => HookState::Waiting,
        Stands::Due { at } => {
            shown.next = Some(anchor.at(at));
            HookState::Due
        }
        Stands::Running { worker } => {
            shown.worker = worker;
            HookState::Running
        }
        Stands::Done => HookState::Done,
        Stands::Parked => HookState::Parked,
        Stands::Closed { resolution, by, reason, at } => {
            let action = case_action(resolution);
            shown.resolution = Some(ResolutionView { action, by, reason, at });
            HookState::Closed
        }
    };
    shown
}

fn shown_trial(trial: votum_settle::TrialView) -> TrialView {
    let outcome = match &trial.trial {
        Trial::Done => TrialOutcome::Done,
        Trial::Failed { .. } => TrialOutcome::Failed,
        Trial::Unknown { .. } => TrialOutcome::Unknown,
    };
    TrialView {
        number: trial.number,
        worker: trial.worker,
        ended: trial.ended,
        outcome,
        message: trial.trial.message().unwrap_or_default().to_owned(),
    }
}

/// Shows what a person can do about a case.
pub(crate) fn case_action(resolution: Resolution) -> CaseAction {
    match resolution {
        Resolution::Retry => CaseAction::Retry,
        Resolution::Done => CaseAction::Done,
        Resolution::GiveUp => CaseAction::GiveUp,
    }
}

/// Counts what is visible where, for a sentence.
pub(crate) fn published(view: &JobView) -> (usize, BTreeSet<&WorkerId>) {
    let mut counts = BTreeMap::<&WorkerId, usize>::new();
    for output in view.tasks.iter().flat_map(|task| &task.outputs) {
        if output.state == OutputState::Published {
            *counts.entry(&output.worker).or_default() += 1;
        }
    }
    (counts.values().sum(), counts.into_keys().collect())
}
