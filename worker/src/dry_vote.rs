//! A dry vote: the checks of a vote, run to their end, and nothing promised by their outcome.

use std::{collections::BTreeMap, sync::Arc};

use votum_commit::{Objection, Pledge};
use votum_ids::{AttemptId, OutputName, TaskId};
use votum_job::{Base, Candidate, DryVoteAnswer, DryVoteRequest, FINDINGS_MAX, Finding};
use votum_shadow::{Depth, Part, Rehearsal, Sealed};
use votum_wire::FromWorker;

use crate::{
    commit::{check_space, failed, in_shadow, objection},
    outputs::shadow_target,
    session::chain,
    shell::{Shell, on_disk, turn},
};

/// Looks for everything that stands in the way of a vote, and tells the coordinator.
pub(crate) async fn answer(
    shell: Arc<Shell>,
    request: DryVoteRequest,
    not_held: Vec<(TaskId, OutputName)>,
) {
    let permit = turn(&shell.bounds.checks).await;
    let answer = on_disk(&shell, move |shell| look(shell, request, &not_held)).await;
    drop(permit);
    for Finding { reason, message, .. } in &answer.findings {
        tracing::warn!(job = %answer.job, reason, problem = message, "stands in the way of a vote");
    }
    shell.link.send(FromWorker::DryVoted(Box::new(answer)));
}

fn look(
    shell: &Shell,
    request: DryVoteRequest,
    not_held: &[(TaskId, OutputName)],
) -> DryVoteAnswer {
    let DryVoteRequest { job, id, candidates, bytes_wanted } = request;
    let mut found = Found { shell, findings: Vec::new() };
    if let Err(objection) = check_space(shell, bytes_wanted) {
        found.add(None, objection);
    }
    let mut held: BTreeMap<AttemptId, Option<Sealed>> = BTreeMap::new();
    let mut prepared = Vec::with_capacity(candidates.len());
    for candidate in &candidates {
        let missing = |(task, output): &(TaskId, OutputName)| {
            *task == candidate.task && *output == candidate.output
        };
        if not_held.iter().any(missing) {
            found.add(Some(candidate), Objection::NotHeld);
            continue;
        }
        match prepare(&job, candidate) {
            Ok(Some(ready)) => {
                if let Ready::Sealed(pledge) = &ready
                    && !held.contains_key(&pledge.attempt)
                {
                    match shell.shadow.sealed(&pledge.attempt) {
                        Ok(sealed) => drop(held.insert(pledge.attempt.clone(), sealed)),
                        Err(error) => {
                            found.add(Some(candidate), failed("STORAGE_FAILED", chain(&error)));
                            continue;
                        }
                    }
                }
                prepared.push((candidate, ready));
            }
            Ok(None) => {}
            Err(objection) => found.add(Some(candidate), objection),
        }
    }
    let held: Vec<Sealed> = held.into_values().flatten().collect();
    let parts: Vec<Part<'_>> = prepared.iter().map(|(_, ready)| ready.part()).collect();
    let Rehearsal { obstacles, bases } = shell.shadow.rehearse(&held, &parts, Depth::Quick);
    for (part, error) in obstacles {
        found.add(part.map(|part| prepared[part].0), objection(&error));
    }
    let base = |(part, content): (usize, _)| {
        let Candidate { task, output, .. } = prepared[part].0.clone();
        Base { task, output, content }
    };
    let bases = bases.into_iter().map(base).collect();
    let omitted = found.findings.len().saturating_sub(FINDINGS_MAX);
    found.findings.truncate(FINDINGS_MAX);
    let omitted = u32::try_from(omitted).unwrap_or(u32::MAX);
    DryVoteAnswer { job, id, findings: found.findings, omitted, bases }
}

/// A candidate in the terms of the shadow.
enum Ready {
    Sealed(votum_shadow::Pledge),
    Planned(votum_shadow::Target),
}

impl Ready {
    fn part(&self) -> Part<'_> {
        match self {
            Self::Sealed(pledge) => Part::Sealed(pledge),
            Self::Planned(target) => Part::Planned(target),
        }
    }
}

fn prepare(job: &votum_ids::JobId, candidate: &Candidate) -> Result<Option<Ready>, Objection> {
    let invalid = |error: &dyn std::error::Error| failed("TARGET_INVALID", chain(error));
    let Some(sealed) = candidate.sealed else {
        let target = candidate.target.as_ref().map(shadow_target).transpose();
        return target.map(|target| target.map(Ready::Planned)).map_err(|error| invalid(&error));
    };
    let pledge = Pledge {
        task: candidate.task.clone(),
        output: candidate.output.clone(),
        token: sealed.token,
        digest: sealed.digest,
        target: candidate.target.clone(),
        replaceable: false,
    };
    in_shadow(job, &pledge)
        .map(|pledge| Some(Ready::Sealed(pledge)))
        .map_err(|error| invalid(&error))
}

/// What was found so far.
struct Found<'a> {
    shell: &'a Shell,
    findings: Vec<Finding>,
}

impl Found<'_> {
    fn add(&mut self, candidate: Option<&Candidate>, objection: Objection) {
        let (reason, message) = match objection {
            Objection::Failed { reason, message } => (reason, message),
            Objection::NotHeld => {
                let message = "the worker does not hold what was sealed".to_owned();
                ("NOT_HELD".to_owned(), message)
            }
            // Only a round is refused, and only by its participants.
            Objection::Refused | Objection::WrongInstallation => return,
        };
        let target = candidate.and_then(|candidate| candidate.target.as_ref());
        self.findings.push(Finding {
            worker: self.shell.me.worker.clone(),
            task: candidate.map(|candidate| candidate.task.clone()),
            output: candidate.map(|candidate| candidate.output.clone()),
            target: target.map(|target| target.path.clone()),
            reason,
            message,
        });
    }
}
