//! What people are shown of what the decision on a job leaves to do.

use votum_ids::JobId;
use votum_machine::WallTime;
use votum_settle::{HookState as Stands, Resolution, Settlement, Trial};
use votum_wire::{
    CaseAction, HookKind, HookState, HookView, ResolutionView, TrialOutcome, TrialView,
};

use crate::open_job::OpenJob;

/// Shows what the decision on a job leaves to do.
pub(super) fn hooks(
    anchor: WallTime,
    job: &JobId,
    open: &OpenJob,
    settlement: &Settlement,
) -> Vec<HookView> {
    let shown = |hook| {
        let mut shown = shown_hook(anchor, hook);
        let tries = open.tries.iter().filter(|(name, _)| *name == shown.hook);
        shown.attempts = tries.map(|(_, given)| given.clone()).collect();
        shown
    };
    settlement.hooks(job).into_iter().map(shown).collect()
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
        attempts: Vec::new(),
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
