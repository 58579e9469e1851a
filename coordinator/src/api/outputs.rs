//! What an output consists of and its bytes, relayed from the worker that holds it.
//!
//! The worker's answer is passed on piece by piece as the client takes it. The coordinator knows
//! the token that lets one read this output and no other; no client ever sees it.

use futures_util::{Stream, TryStreamExt};
use tonic::{Code, Status, Streaming};
use votum_driver::Stamped;
use votum_ids::{AttemptId, WorkerId};
use votum_job::{AttemptEnd, StagedOutput};
use votum_proto::{
    v1::{ListOutputFilesResponse, ReadOutputResponse},
    worker::v1::ReadArtifactResponse,
};
use votum_schedule::Record;
use votum_wire::{
    ArtifactId, ArtifactPart, OutputState, OutputView, Problem, Translate,
    artifact::{GetArtifact, ReadArtifact},
    output::{ListOutputFiles, OutputFiles, OutputId, OutputPiece, ReadOutput},
    status,
};

use super::{Desk, keeper};
use crate::{quarantine, record::JobRecord};

/// Who holds an output, and what lets one read it.
pub(super) struct Held {
    pub(super) worker: WorkerId,
    pub(super) artifact: ArtifactId,
    pub(super) read_token: String,
}

/// Streams what an output consists of.
pub(super) async fn files(
    desk: &Desk,
    wanted: ListOutputFiles,
) -> Result<impl Stream<Item = Result<ListOutputFilesResponse, Status>> + use<>, Status> {
    let Held { worker, artifact, read_token } = find(desk, &wanted.output, wanted.staged).await?;
    let mut keeper = keeper::reach(desk, &worker).await?;
    let request = GetArtifact { artifact, read_token }.to_proto();
    let answer = keeper.get_artifact(request).await;
    let pages = answer.map_err(|refusal| told(&refusal, &worker, &wanted.output))?.into_inner();
    Ok(pages.map_err(move |broken| told(&broken, &worker, &wanted.output)).and_then(
        |page| async move {
            let files = OutputFiles::of_manifest(page);
            Ok(files.map_err(|malformed| status::malformed(&malformed))?.to_proto())
        },
    ))
}

/// Streams the bytes of one file of an output.
pub(super) async fn read(
    desk: &Desk,
    wanted: ReadOutput,
) -> Result<impl Stream<Item = Result<ReadOutputResponse, Status>> + use<>, Status> {
    let ReadOutput { output, path, offset, limit, staged } = wanted;
    let Held { worker, artifact, read_token } = find(desk, &output, staged).await?;
    let mut keeper = keeper::reach(desk, &worker).await?;
    let request = ReadArtifact { artifact, path, offset, limit, read_token }.to_proto();
    let answer = keeper.read_artifact(request).await;
    let pieces: Streaming<ReadArtifactResponse> =
        answer.map_err(|refusal| told(&refusal, &worker, &output))?.into_inner();
    Ok(pieces.map_err(move |broken| told(&broken, &worker, &output)).and_then(|piece| async move {
        let ReadArtifactResponse { offset, data, .. } = piece;
        Ok(OutputPiece { offset, data }.to_proto())
    }))
}

/// Finds who holds an output of a job, unless it may not be read as things are.
async fn find(desk: &Desk, wanted: &OutputId, staged: bool) -> Result<Held, Status> {
    let OutputId { job, task, output } = wanted;
    let view = desk.job(job).await?;
    let unknown = || status::output_not_found(wanted);
    let shown = view.tasks.iter().find(|view| view.task == *task).ok_or_else(unknown)?;
    let shown = shown.outputs.iter().find(|view| view.output == *output).ok_or_else(unknown)?;
    match shown.state {
        OutputState::Published => {}
        OutputState::Staged | OutputState::Prepared if staged => {}
        OutputState::Staged | OutputState::Prepared => {
            return Err(status::output_not_published(wanted, view.state));
        }
        OutputState::Discarded => return Err(status::output_discarded(wanted, view.state)),
    }
    let stored = desk.stored(job).await?;
    let records = quarantine::read(job, &stored).map_err(|_damages| unknown())?;
    held(&records, wanted, shown).ok_or_else(unknown)
}

/// Finds in a job's records who sealed or copied what is shown: the last that fits.
pub(super) fn held(
    records: &[Stamped<JobRecord>],
    wanted: &OutputId,
    shown: &OutputView,
) -> Option<Held> {
    let mut workers = Vec::new();
    let mut found = None;
    let mut look = |attempt: &AttemptId, worker: &WorkerId, outputs: &[StagedOutput]| {
        let fits =
            |output: &&StagedOutput| output.name == wanted.output && output.digest == shown.digest;
        if attempt.task == wanted.task
            && *worker == shown.worker
            && let Some(output) = outputs.iter().find(fits)
        {
            let part = ArtifactPart::Output(wanted.output.clone());
            found = Some(Held {
                worker: worker.clone(),
                artifact: ArtifactId { attempt: attempt.clone(), part },
                read_token: output.read_token.clone(),
            });
        }
    };
    for Stamped { record, .. } in records {
        let Some(schedule) = &record.schedule else { continue };
        if let Record::Received { submission, .. } = schedule {
            for kept in submission.rescue.iter().flat_map(|rescue| rescue.kept.values()) {
                look(&kept.attempt, &kept.worker, &kept.outputs);
            }
        }
        if let Record::Assigned { attempt, worker, .. } = schedule {
            workers.push((attempt, worker));
        }
        if let Record::Ended { attempt, end: AttemptEnd::Sealed { outputs, .. }, .. } = schedule
            && let Some((_, worker)) = workers.iter().rev().find(|(known, _)| *known == attempt)
        {
            look(attempt, worker, outputs);
        }
        if let Record::Replicated { attempt, worker, outputs, .. } = schedule {
            look(attempt, worker, outputs);
        }
    }
    found
}

/// Says what a worker's refusal, or a connection that broke, means to a client.
pub(super) fn told(refusal: &Status, worker: &WorkerId, output: &OutputId) -> Status {
    if refusal.code() == Code::NotFound {
        return status::output_not_kept(output, worker);
    }
    let problem = Problem::from_status(refusal);
    if problem.reason.as_str().is_empty() {
        return status::worker_unreachable(worker);
    }
    problem.into()
}
