//! What people are shown of a job: the scheduler's half and the commit's half as one picture.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;
use votum_commit::{Coordinator, Decision, Evidence, Installation, Stage, Vote};
use votum_driver::Stamped;
use votum_ids::{Epoch, JobId, WorkerId};
use votum_machine::{Moment, WallTime};
use votum_schedule::{InLine, KeptRelease, LiveAttempts, Pause, Scheduler};
use votum_settle::Settlement;
use votum_wire::{
    EvidenceView, ForcedView, PauseOrigin, PauseView,
    rescue::KeptReleaseView,
    view::{
        JobHolder, JobState, JobView, OutputState, ParticipantView, QuarantineView, QueueView,
        TaskState,
    },
};

use crate::{
    open_job::{ForcedOutcome, OpenJob},
    quarantine::{Contradiction, Quarantined},
    record::{JobRecord, Ruled, Tombstone},
    sentence,
    view::{
        approval::{approval, dry_vote},
        fate::{Fate, state},
        hook::hooks,
        task::shown_task,
    },
};

/// Everything that knows something of an open job.
#[derive(Clone, Copy)]
pub(crate) struct Brains<'a> {
    pub(crate) scheduler: &'a Scheduler,
    pub(crate) commit: &'a Coordinator,
    pub(crate) settlement: &'a Settlement,
}

/// Shows an open job.
pub(crate) fn open(
    anchor: WallTime,
    now: Moment,
    job: &JobId,
    open: &OpenJob,
    brains: Brains<'_>,
    kept_until: Option<Moment>,
) -> JobView {
    let Brains { scheduler, commit, settlement } = brains;
    let stage = commit.phase(job).map(|standing| standing.stage);
    let awaits = scheduler.awaits_approval(job);
    let state = state(stage.as_ref(), open, kept_until.is_some(), awaits);
    let fate = Fate { state, kept: kept_until.is_some(), ..Fate::of(stage, open) };
    let mut view = picture(anchor, now, job, open, scheduler, &fate);
    view.kept_until = kept_until.map(|until| anchor.at(until));
    if fate.kept {
        view.ended = open.decided;
    }
    view.queue = scheduler.in_line(job).filter(|_| state == JobState::Queued).map(shown_queue);
    view.hooks = hooks(anchor, job, open, settlement);
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
    let mut fate = Fate { state: state(None, &open, false, false), ..Fate::of(None, &open) };
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
    let ruling = records.iter().rev().find_map(|stamped| stamped.record.ruling.as_ref());
    if ruling.is_some_and(|ruling| ruling.ruled == Ruled::Commit) && fate.participants.is_empty() {
        // A person has seen that it had committed: what was staged is visible.
        let tasks = scheduler.job(Moment::START, job).map(|view| view.tasks).unwrap_or_default();
        let holders: BTreeSet<WorkerId> = tasks.into_iter().filter_map(|it| it.worker).collect();
        let published =
            |worker| ParticipantView { worker, vote: Some(Vote::Yes), acknowledged: true };
        fate.participants = holders.into_iter().map(published).collect();
    }
    let mut view = picture(anchor, Moment::START, job, &open, &scheduler, &fate);
    view.hooks = hooks(anchor, job, &open, &settlement);
    view.state_message = sentence::of(Moment::START, &view, &scheduler);
    // Who aborted it and why is its cause.
    if let Some(ruling) = ruling.filter(|ruling| ruling.ruled != Ruled::Abort) {
        view.state_message = format!("{}; {}", view.state_message, sentence::of_ruling(ruling));
    }
    Ok(view)
}

/// Shows a job whose records were removed after its retention: how it ended, and nothing else.
pub(crate) fn removed(tombstone: Tombstone) -> JobView {
    let Tombstone { closing, ended, deleted_by, removed, .. } = tombstone;
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
        state_message: {
            let at = removed.map(|at| format!(" at {}", time(at)));
            let at = at.unwrap_or_default();
            match deleted_by {
                Some(who) => format!("{how}; its record was deleted by {who}{at}"),
                None => format!("{how}; its record was removed at the end of its retention{at}"),
            }
        },
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
        forced: Vec::new(),
        held_back: Vec::new(),
        approval: None,
        dry_vote: None,
        queue: None,
        quarantine: None,
        worker_damages: Vec::new(),
    }
}

/// Writes a time for people.
fn time(at: WallTime) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    let stamp = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    stamp.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
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
                | Stage::Owing { .. }
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
    view.state = match quarantined.ended_as.filter(|_| quarantined.ruling.is_some()) {
        Some(Decision::Commit) => JobState::Committed,
        Some(Decision::Abort) => JobState::Aborted,
        None => JobState::Quarantined,
    };
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
        forced: Vec::new(),
        held_back: Vec::new(),
        approval: None,
        dry_vote: None,
        queue: None,
        quarantine: None,
        worker_damages: Vec::new(),
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
        forced: open.forced.iter().map(shown_forced).collect(),
        held_back: Vec::new(),
        approval: approval(scheduler, job),
        dry_vote: scheduler.last_dry_vote(job).map(dry_vote),
        pause: holds.next(),
        further_pauses: holds.collect(),
        kept_release: scheduler.kept_release(job).map(shown_release),
        rescued_by: scheduler.successor(job).cloned(),
        queue: None,
        quarantine: None,
        worker_damages: Vec::new(),
    }
}

fn shown_queue(InLine { key, holder, ahead }: InLine) -> QueueView {
    QueueView { key, holder, ahead }
}

fn shown_release(release: &KeptRelease) -> KeptReleaseView {
    let KeptRelease { by, reason, at, kept } = release.clone();
    KeptReleaseView { by, reason, at, kept }
}

fn shown_forced(outcome: &ForcedOutcome) -> ForcedView {
    let ForcedOutcome { holder, kind, forced, at, contradicts, healed, removed, .. } =
        outcome.clone();
    let evidence = forced.evidence.into_iter();
    ForcedView {
        worker: holder.worker,
        uid: holder.uid,
        kind,
        by: forced.by,
        reason: forced.reason,
        at,
        contradicts,
        healed,
        removed,
        evidence: evidence.map(|Evidence { at, text }| EvidenceView { at, text }).collect(),
    }
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
