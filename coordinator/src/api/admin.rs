//! The cluster as a whole.

use tonic::{Request, Response, Status};
use votum_journal::IndexState;
use votum_proto::v1::{
    GetClusterInfoRequest, GetClusterInfoResponse, admin_service_server::AdminService,
};
use votum_wire::{
    Translate, status,
    view::{ClusterView, IndexState as IndexWord, JournalView},
};

use super::Desk;
use crate::{action::Answer, question::Question, sessions::LogIdentity};

/// The service for operators.
#[derive(Debug)]
pub(crate) struct AdminApi {
    pub(crate) desk: Desk,
    pub(crate) log: LogIdentity,
    pub(crate) index: IndexState,
}

#[tonic::async_trait]
impl AdminService for AdminApi {
    async fn get_cluster_info(
        &self,
        _request: Request<GetClusterInfoRequest>,
    ) -> Result<Response<GetClusterInfoResponse>, Status> {
        let answer = self.desk.ask(Question::ShowCluster).await?;
        let Answer::Cluster(cluster) = answer else { return Err(status::shutting_down()) };
        let counters = self.desk.reader.counters();
        let view = ClusterView {
            cluster: self.log.cluster,
            epoch: self.log.epoch,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.desk.clock.anchor(),
            jobs: cluster.jobs,
            kept: cluster.kept,
            workers: cluster.workers,
            log_stale: cluster.stale,
            quarantined: cluster.quarantined,
            mixed: cluster.mixed,
            journal: JournalView {
                forced_records: counters.forced_records,
                syncs: counters.fdatasyncs,
                bytes: counters.bytes,
            },
            index: match self.index {
                IndexState::Current => IndexWord::Current,
                IndexState::CaughtUp { .. } => IndexWord::CaughtUp,
                IndexState::Rebuilt { .. } => IndexWord::Rebuilt,
            },
        };
        Ok(Response::new(view.to_proto()))
    }
}
