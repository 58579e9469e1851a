//! The cluster as a whole.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use votum_driver::headroom::{self, Headroom};
use votum_journal::{BackupError, IndexState, Reader};
use votum_proto::v1::{
    BackupEnd, BackupStoreRequest, BackupStoreResponse, GetClusterInfoRequest,
    GetClusterInfoResponse, admin_service_server::AdminService,
};
use votum_wire::{
    LimitKind, LimitUse, Translate, status,
    view::{ClusterView, IndexState as IndexWord, JournalView},
};

use super::Desk;
use crate::{
    action::Answer, backup::Outgoing, question::Question, record::MIXED_KEYS, sessions::LogIdentity,
};

/// The service for operators.
#[derive(Debug)]
pub(crate) struct AdminApi {
    pub(crate) desk: Desk,
    pub(crate) log: LogIdentity,
    pub(crate) index: IndexState,
    /// What is limited here.
    pub(crate) bounds: Bounds,
    /// How many further backups may be under way.
    pub(crate) backups: Arc<Semaphore>,
}

impl AdminApi {
    /// Makes the service.
    pub(crate) fn new(desk: Desk, log: LogIdentity, index: IndexState, bounds: Bounds) -> Self {
        Self { desk, log, index, bounds, backups: Arc::new(Semaphore::new(BACKUPS_MAX)) }
    }
}

/// What limits this coordinator.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Most open jobs.
    pub(crate) jobs_open_max: usize,
    /// Where the journal lies.
    pub(crate) data_dir: PathBuf,
}

impl Bounds {
    /// Says how near each of them is; what does not answer is left out.
    fn looked_at(&self, jobs_open: u64) -> Vec<LimitUse> {
        let disk = headroom::disk(&self.data_dir);
        if let Err(error) = &disk {
            tracing::error!(%error, "the journal's filesystem does not answer");
        }
        let (bytes, names) = disk.map_or((None, None), |(bytes, names)| (Some(bytes), names));
        let most = u64::try_from(self.jobs_open_max).unwrap_or(u64::MAX);
        let known = [
            (LimitKind::OpenJobs, Some(Headroom { used: jobs_open, most })),
            (LimitKind::OpenFiles, headroom::open_files()),
            (LimitKind::Processes, headroom::processes()),
            (LimitKind::DiskBytes, bytes),
            (LimitKind::DiskFiles, names),
        ];
        let shown = known.into_iter().filter_map(|(kind, found)| {
            let Headroom { used, most } = found?;
            Some(LimitUse { kind, used, most })
        });
        shown.collect()
    }
}

#[tonic::async_trait]
impl AdminService for AdminApi {
    type BackupStoreStream = ReceiverStream<Result<BackupStoreResponse, Status>>;

    async fn backup_store(
        &self,
        _request: Request<BackupStoreRequest>,
    ) -> Result<Response<Self::BackupStoreStream>, Status> {
        let permit = Arc::clone(&self.backups).try_acquire_owned();
        let permit = permit.map_err(|_full| status::quota_exceeded("backups", BACKUPS_MAX))?;
        let reader = self.desk.reader.clone();
        let (parts, stream) = mpsc::channel(PARTS_AHEAD);
        tokio::task::spawn_blocking(move || {
            let _under_way = permit;
            if let Err(error) = send_backup(&reader, &parts) {
                tracing::error!(error = %error, "a backup was broken off");
                // Whoever has gone away needs no answer.
                let _ = parts.blocking_send(Err(status::internal(&error)));
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn get_cluster_info(
        &self,
        _request: Request<GetClusterInfoRequest>,
    ) -> Result<Response<GetClusterInfoResponse>, Status> {
        let answer = self.desk.ask(Question::ShowCluster).await?;
        let Answer::Cluster(cluster) = answer else { return Err(status::shutting_down()) };
        let counters = self.desk.reader.counters();
        let (bounds, open) = (self.bounds.clone(), cluster.jobs.values().sum());
        let looked = tokio::task::spawn_blocking(move || bounds.looked_at(open)).await;
        let limits = looked.map_err(|error| status::internal(&error))?;
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
            mixed: cluster.mixed + self.desk.closed_mixed(),
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
            limits,
            answered: Some(self.desk.clock.wall()),
        };
        Ok(Response::new(view.to_proto()))
    }
}

impl Desk {
    /// Counts the closed jobs that are mixed, as long as their records are kept; at most
    /// [`MIXED_MAX`].
    pub(crate) fn closed_mixed(&self) -> u64 {
        match self.reader.scan(MIXED_KEYS.as_bytes(), None, MIXED_MAX) {
            Ok(found) => found.len() as u64,
            Err(error) => {
                tracing::error!(%error, "cannot count the closed jobs that are mixed");
                0
            }
        }
    }
}

/// Sends everything that is durable at this moment, as fast as it is taken.
fn send_backup(
    reader: &Reader,
    parts: &mpsc::Sender<Result<BackupStoreResponse, Status>>,
) -> Result<(), BackupError> {
    let mut backup = Outgoing::begin(reader)?;
    let mut bytes = 0;
    while let Some(data) = backup.read()? {
        bytes += data.len();
        if parts.blocking_send(Ok(BackupStoreResponse { data: data.into(), end: None })).is_err() {
            tracing::warn!(bytes, "nobody takes the rest of a backup");
            return Ok(());
        }
    }
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let end = BackupEnd {
        last_record: whole(backup.last()),
        digest: backup.digest().to_string(),
        bytes: whole(bytes as u64),
    };
    tracing::info!(last_record = end.last_record, bytes, digest = end.digest, "backed up");
    // Whoever has gone away has not got a whole one, and knows it.
    let _ = parts.blocking_send(Ok(BackupStoreResponse { data: Bytes::new(), end: Some(end) }));
    Ok(())
}

/// Most closed jobs that are counted as mixed.
const MIXED_MAX: usize = 10_000;
/// So many backups at a time.
const BACKUPS_MAX: usize = 2;
/// So many parts wait to be taken; a part has up to 256 KiB.
const PARTS_AHEAD: usize = 4;
