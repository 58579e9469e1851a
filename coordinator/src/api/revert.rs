//! The revert of a committed job: a job whose workers put back what stood at its targets before.
//!
//! Everything is looked at before anything begins, so that a refusal names its reason at once. What
//! changes after that is found by the workers themselves, at the latest in their votes.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tonic::Status;
use votum_ids::{Existing, Target, TaskId, WorkerId};
use votum_job::{Graph, JobSpec, OutputSpec, Placement, Program, TaskSpec};
use votum_schedule::Submission;
use votum_wire::{
    OutputState, Translate as _,
    artifact::GetArtifact,
    output::{OutputFiles, OutputId, TargetStanding},
    request::Submitted,
    revert::{Earlier, EarlierContent, RevertJob, Reverted, RevertedTarget},
    status,
    view::{JobState, JobView},
};

use super::{
    JobApi,
    jobs::{draw_job_uid, draw_request, spec_digest},
    keeper,
    outputs::{self, Held},
};
use crate::quarantine;

impl JobApi {
    /// Says what a revert would put back, or hands it in; a request that the journal knows returns
    /// its job.
    pub(super) async fn revert(
        &self,
        wish: RevertJob,
        by: String,
        traceparent: Option<String>,
    ) -> Result<Reverted, Status> {
        let RevertJob { job: of, request, validate_only, reason } = wish;
        let request = request.unwrap_or_else(draw_request);
        if let Some(known) = self.known_request(request)? {
            let job = self.0.job(&known.job).await?;
            if job.spec.as_ref().and_then(|spec| spec.reverts()) != Some(&of) {
                return Err(status::request_id_reused(request, &known.job));
            }
            return Ok(Reverted { targets: Vec::new(), job: Some(job), duplicate: true });
        }
        let view = self.0.job(&of).await?;
        let published = self.published(&view).await?;
        let spec = spec_of(&view, &published, &reason);
        let mut places: BTreeMap<WorkerId, Vec<Shown>> = BTreeMap::new();
        for shown in published {
            places.entry(shown.held.worker.clone()).or_default().push(shown);
        }
        let looks = places.into_values().map(|shown| self.look(shown));
        let looks: Vec<Vec<_>> = stream::iter(looks).buffered(LOOKS_AT_ONCE).try_collect().await?;
        let targets = looks.into_iter().flatten().collect();
        Graph::check(&spec).map_err(|found| status::invalid_job(&found))?;
        let submission = Submission {
            uid: draw_job_uid(),
            by,
            request,
            spec_digest: spec_digest(&spec),
            rescue: None,
            traceparent,
        };
        let Submitted { job, duplicate } =
            self.submit(spec, None, submission, validate_only).await?;
        Ok(Reverted { targets, job, duplicate })
    }

    /// Lists what a job has published, unless it has not committed everywhere.
    async fn published(&self, view: &JobView) -> Result<Vec<Shown>, Status> {
        let job = &view.job;
        match view.state {
            JobState::Committed => {}
            JobState::Quarantined => {
                return Err(status::job_quarantined(job, &view.state_message));
            }
            JobState::Received
            | JobState::Queued
            | JobState::Running
            | JobState::AwaitingApproval
            | JobState::Preparing
            | JobState::Committing
            | JobState::Aborting
            | JobState::Aborted => return Err(status::not_committed(job, view.state)),
        }
        let spec = view.spec.as_ref();
        let spec = spec.ok_or_else(|| status::not_revertible(job, "its record was removed"))?;
        let stored = self.0.stored(job).await?;
        let unknown = || status::not_revertible(job, "its record does not tell who published it");
        let records = quarantine::read(job, &stored).map_err(|_damages| unknown())?;
        let mut published = Vec::new();
        for task in &view.tasks {
            let Some(declared) = spec.tasks.get(&task.task) else { continue };
            for shown in task.outputs.iter().filter(|it| it.state == OutputState::Published) {
                let output = declared.outputs.get(&shown.output);
                let target = output.and_then(|output| Some((output, output.publish.clone()?)));
                let Some((output, target)) = target else { continue };
                let (task, name) = (task.task.clone(), shown.output.clone());
                let id = OutputId { job: job.clone(), task, output: name };
                let held = outputs::held(&records, &id, shown).ok_or_else(unknown)?;
                published.push(Shown { id, path: output.path.clone(), target, held });
            }
        }
        if published.is_empty() {
            return Err(status::not_revertible(job, "it has published nothing"));
        }
        Ok(published)
    }

    /// Asks one worker what would be put back, and whether it can be.
    async fn look(&self, published: Vec<Shown>) -> Result<Vec<RevertedTarget>, Status> {
        let mut targets = Vec::with_capacity(published.len());
        let Some(worker) = published.first().map(|shown| shown.held.worker.clone()) else {
            return Ok(targets);
        };
        let mut keeper = keeper::reach(&self.0, &worker).await?;
        for Shown { id, target, held, .. } in published {
            let Held { artifact, read_token, .. } = held;
            let told = |refusal: Status| outputs::told(&refusal, &worker, &id);
            let request = GetArtifact { artifact, read_token }.to_proto();
            let mut pages = keeper.get_artifact(request).await.map_err(told)?.into_inner();
            let page = pages.message().await.map_err(told)?.unwrap_or_default();
            let malformed = |malformed| status::malformed(&malformed);
            let before = page.before.clone().map(EarlierContent::from_proto).transpose();
            let before = before.map_err(malformed)?;
            let standing = OutputFiles::of_manifest(page).map_err(malformed)?.target;
            let then = put_back(&id, &worker, &target, standing, before)?;
            targets.push(RevertedTarget {
                output: id,
                worker: worker.clone(),
                path: target.path,
                then,
            });
        }
        Ok(targets)
    }
}

/// An output that a job has published.
struct Shown {
    id: OutputId,
    /// Within the task's outputs.
    path: String,
    target: Target,
    held: Held,
}

/// Returns what would stand at a target, unless something is in the way.
fn put_back(
    id: &OutputId,
    worker: &WorkerId,
    target: &Target,
    standing: Option<TargetStanding>,
    before: Option<EarlierContent>,
) -> Result<Earlier, Status> {
    let (job, path) = (&id.job, &target.path);
    let refused = |why: &str| status::not_revertible(job, &format!("{path} on {worker} {why}"));
    match standing {
        Some(TargetStanding::InPlace) => {}
        Some(TargetStanding::Replaced { by }) => {
            return Err(status::replaced_since(job, worker, path, &by));
        }
        Some(TargetStanding::Foreign) => return Err(refused("was replaced since, by no job")),
        Some(TargetStanding::Gone) => return Err(refused("was removed since")),
        None => return Err(refused("cannot be looked at")),
    }
    match before {
        Some(EarlierContent::Kept(earlier)) => Ok(earlier),
        Some(EarlierContent::Retired { job: earlier, .. }) => {
            Err(status::retired_versions_gone(job, worker, path, &earlier))
        }
        Some(EarlierContent::NotRevertible { problem }) => {
            Err(status::not_revertible(job, &format!("on {worker}, {problem}")))
        }
        // A worker that does not tell could not do it either.
        None => Err(refused("is kept by a worker that cannot put back: upgrade it")),
    }
}

/// Makes the job: one task for each task that has published something, where it did.
fn spec_of(view: &JobView, published: &[Shown], reason: &str) -> JobSpec {
    let mut tasks: BTreeMap<TaskId, TaskSpec> = BTreeMap::new();
    for Shown { id, path, target, held } in published {
        let task = tasks.entry(id.task.clone()).or_insert_with(|| TaskSpec {
            placement: Placement { worker: Some(held.worker.clone()), ..Placement::default() },
            timeout: TIMEOUT,
            ..TaskSpec::of(Program::PutBack(held.artifact.attempt.clone()))
        });
        let publish = Some(Target { mode: None, existing: Existing::Replace, ..target.clone() });
        let (path, replicas) = (path.clone(), 1);
        let output = OutputSpec { path, optional: false, bytes_max: None, publish, replicas };
        task.outputs.insert(id.output.clone(), output);
    }
    let mut spec = JobSpec::named(format!("revert-{}", view.display_name));
    if spec.display_name.len() > votum_job::DISPLAY_NAME_BYTES_MAX {
        spec.display_name.clone_from(&view.display_name);
    }
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    spec.description = format!("puts back what stood before {}{because}", view.job);
    spec.tasks = tasks.into_iter().collect();
    spec.timeout = TIMEOUT;
    if let Some(of) = &view.spec {
        spec.labels.clone_from(&of.labels);
        spec.retention = of.retention;
        spec.prepare_timeout = of.prepare_timeout;
    }
    spec
}

/// How long a revert waits for workers that are away, and for jobs at the same targets.
const TIMEOUT: Duration = Duration::from_hours(1);
/// So many workers are asked at a time.
const LOOKS_AT_ONCE: usize = 16;
