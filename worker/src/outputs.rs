//! Declared outputs in the terms of the shadow, and the sealing of an attempt.

use std::sync::Arc;

use votum_ids::{AttemptId, Existing, OutputName, Target, TargetKind};
use votum_job::{
    Assignment, Failure, FailureKind, OutputSpec, Program, Size, StagedOutput, TaskSpec,
};
use votum_shadow::{
    Declared, FileMode, InvalidMode, InvalidPath, OutputPath, Presence, PutBackError, SealError,
    Sealed, StageError, TargetError, TargetPath,
};

use crate::{
    event::AttemptEvent,
    session::chain,
    shell::{Shell, failed, failure, on_disk, turn},
};

/// Seals what an attempt left.
pub(crate) async fn seal(shell: Arc<Shell>, assignment: Box<Assignment>) {
    let permit = turn(&shell.bounds.seals).await;
    let id = assignment.attempt.clone();
    let sealed = on_disk(&shell, move |shell| seal_now(shell, &assignment)).await;
    drop(permit);
    let event = match sealed {
        Ok(outputs) => AttemptEvent::Sealed { outputs },
        Err(failure) => failed(failure),
    };
    shell.tell(&id, event).await;
}

fn seal_now(shell: &Shell, assignment: &Assignment) -> Result<Vec<StagedOutput>, Failure> {
    let declared = declared(&assignment.spec)?;
    let staging = shell.shadow.reopen(&assignment.attempt).map_err(|error| match error {
        // The program has removed its own folders; another attempt may do the same.
        StageError::Unknown { .. } => failure(FailureKind::OutputMissing, chain(&error)),
        StageError::NotEmpty { .. } | StageError::Storage(_) => {
            failure(FailureKind::StorageFailed, chain(&error))
        }
    })?;
    let sealed = match &assignment.spec.program {
        Program::PutBack(of) => staging.seal_put_back(&declared, of),
        Program::Command(_) | Program::Script { .. } | Program::Steps(_) => staging.seal(&declared),
    };
    let sealed = sealed.map_err(|error| {
        let kind = match &error {
            SealError::Missing { .. } | SealError::NoDirectory => FailureKind::OutputMissing,
            SealError::Overlap { .. }
            | SealError::TargetForm { .. }
            | SealError::Refused { .. }
            | SealError::TooManyEntries { .. }
            | SealError::TooLarge { .. } => FailureKind::OutputRefused,
            SealError::PutBack(error) => kind_of(error),
            SealError::Storage(_) => FailureKind::StorageFailed,
        };
        failure(kind, sentence(&error))
    })?;
    Ok(report(shell, &assignment.attempt, &sealed))
}

/// Says whether another attempt may be able to put back what this one could not.
fn kind_of(error: &PutBackError) -> FailureKind {
    match error {
        PutBackError::NotOver { .. } | PutBackError::NotListed { .. } => {
            FailureKind::InputUnavailable
        }
        PutBackError::Storage(_) | PutBackError::Target(TargetError::Storage(_)) => {
            FailureKind::StorageFailed
        }
        PutBackError::NotPublished { .. }
        | PutBackError::Replaced { .. }
        | PutBackError::Changed { .. }
        | PutBackError::Gone { .. }
        | PutBackError::Unknown { .. }
        | PutBackError::Target(_) => FailureKind::OutputRefused,
    }
}

/// Says what is wrong with the outputs, with sizes as people read them.
fn sentence(error: &SealError) -> String {
    match error {
        SealError::TooLarge { output, limit, found } => {
            let (found, limit) = (Size(*found), Size(*limit));
            format!("the output {output} has at least {found}, more than its limit of {limit}")
        }
        SealError::Missing { .. }
        | SealError::NoDirectory
        | SealError::Overlap { .. }
        | SealError::TargetForm { .. }
        | SealError::Refused { .. }
        | SealError::TooManyEntries { .. }
        | SealError::PutBack(_)
        | SealError::Storage(_) => chain(error),
    }
}

fn report(shell: &Shell, attempt: &AttemptId, sealed: &Sealed) -> Vec<StagedOutput> {
    sealed
        .outputs
        .iter()
        .map(|output| StagedOutput {
            name: output.name.clone(),
            digest: output.digest,
            files: output.files,
            bytes: output.bytes,
            read_token: shell.tokens.token(attempt, &output.name),
        })
        .collect()
}

/// Returns the outputs of a task as the shadow declares them.
pub(crate) fn declared(spec: &TaskSpec) -> Result<Vec<Declared>, Failure> {
    spec.outputs
        .iter()
        .map(|(name, output)| {
            declare(name, output)
                .map_err(|error| failure(FailureKind::OutputRefused, format!("{name}: {error}")))
        })
        .collect()
}

fn declare(name: &OutputName, output: &OutputSpec) -> Result<Declared, UnusableTarget> {
    Ok(Declared {
        name: name.clone(),
        path: OutputPath::new(&output.path)?,
        presence: if output.optional { Presence::Optional } else { Presence::Required },
        publishes: output.publish.as_ref().map(shadow_target).transpose()?,
        max_bytes: output.bytes_max,
    })
}

/// A path or mode that the shadow does not take.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableTarget {
    #[error(transparent)]
    Path(#[from] InvalidPath),
    #[error(transparent)]
    Mode(#[from] InvalidMode),
}

/// Returns a target in the terms of the shadow.
pub(crate) fn shadow_target(target: &Target) -> Result<votum_shadow::Target, UnusableTarget> {
    let path = TargetPath::new(target.path.as_str())?;
    let existing = match target.existing {
        Existing::Replace => votum_shadow::Existing::Replace,
        Existing::Fail => votum_shadow::Existing::Fail,
    };
    let kept = target.generations_kept;
    Ok(match target.kind {
        TargetKind::File => {
            let mode = target.mode.map(FileMode::new).transpose()?;
            votum_shadow::Target::File { path, mode, existing, kept }
        }
        TargetKind::Tree => votum_shadow::Target::Tree { path, existing, kept },
    })
}
