//! A job as it changes: one picture at once, then one whenever there is something to see.

use futures_util::{Stream, StreamExt, stream};
use tonic::Status;
use votum_ids::JobId;
use votum_proto::v1::WatchJobResponse;
use votum_wire::{Translate, view::JobView};

use super::Desk;

/// Returns the pictures of a job, ending with the first in a final state.
pub(super) async fn watch(
    desk: Desk,
    job: JobId,
) -> Result<impl Stream<Item = Result<WatchJobResponse, Status>> + use<>, Status> {
    let views = views(desk, job).await?;
    Ok(views.map(|view| Ok(WatchJobResponse { job: Some(view?.to_proto()) })))
}

/// Returns the pictures themselves.
///
/// A watcher that reads slowly misses pictures in between, never the last one.
pub(super) async fn views(
    desk: Desk,
    job: JobId,
) -> Result<impl Stream<Item = Result<JobView, Status>> + use<>, Status> {
    let mut changes = desk.changes.watch(&job);
    changes.mark_unchanged();
    let first = desk.job(&job).await?;
    let state = Some((desk, job, changes, Some(first)));
    Ok(stream::unfold(state, |state| async move {
        let (desk, job, mut changes, ready) = state?;
        let view = match ready {
            Some(first) => Ok(first),
            None => {
                changes.changed().await.ok()?;
                desk.job(&job).await
            }
        };
        let goes_on = view.as_ref().is_ok_and(|view| !view.state.is_final());
        Some((view, goes_on.then_some((desk, job, changes, None))))
    }))
}
