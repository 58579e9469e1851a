//! The way to what a worker keeps: its logs and its outputs.

use std::time::Duration;

use tonic::{
    Status,
    transport::{Channel, Endpoint},
};
use votum_ids::WorkerId;
use votum_proto::worker::v1::artifact_service_client::ArtifactServiceClient;
use votum_tls::Far;
use votum_wire::status;

use super::Desk;

/// Connects to a worker's artifact service.
///
/// # Errors
/// `WORKER_UNREACHABLE` when nobody answers where the worker said that it serves.
pub(super) async fn reach(
    desk: &Desk,
    worker: &WorkerId,
) -> Result<ArtifactServiceClient<Channel>, Status> {
    let workers = desk.workers().await?;
    let unreachable = || status::worker_unreachable(worker);
    let keeper = workers.iter().find(|view| view.worker == *worker);
    let address = &keeper.ok_or_else(unreachable)?.artifact_address;
    let url = desk.dialer.url(address);
    let endpoint = Endpoint::from_shared(url).map_err(|_| unreachable())?;
    let endpoint = endpoint
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_PATIENCE)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    let far = Far::Worker(worker.as_str());
    let channel = desk.dialer.connect(&endpoint, far).await.map_err(|_| unreachable())?;
    Ok(ArtifactServiceClient::new(channel))
}

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// A worker that vanished without a word is noticed after this and the next.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
