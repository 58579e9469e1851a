//! The half that serves: manifests, pieces of files, and logs.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{Semaphore, mpsc},
    task::{JoinError, spawn_blocking},
    time::{MissedTickBehavior, interval},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use votum_machine::WallTime;
use votum_proto::worker::v1::{
    GetArtifactRequest, GetArtifactResponse, ReadArtifactRequest, ReadArtifactResponse,
    ReadLogsRequest, ReadLogsResponse,
    artifact_service_server::{ArtifactService, ArtifactServiceServer},
};
use votum_shadow::TreePath;
use votum_wire::{
    ArtifactId, Fault, Malformed, Translate,
    artifact::{GetArtifact, LogChunk, ReadArtifact, ReadLogs},
    status,
};

use crate::{Denied, Holdings, LogPart, PIECE_BYTES_MAX, manifest::page, tail::tail_start};

/// Returns the service of what a worker holds.
pub fn artifact_service<H: Holdings>(holdings: Arc<H>) -> ArtifactServiceServer<ArtifactServer<H>> {
    ArtifactServiceServer::new(ArtifactServer {
        holdings,
        readers: Arc::new(Semaphore::new(READERS_MAX)),
    })
}

/// Serves what a worker holds.
#[derive(Debug)]
pub struct ArtifactServer<H> {
    holdings: Arc<H>,
    /// Bounds the threads and the memory of all readers together.
    readers: Arc<Semaphore>,
}

#[tonic::async_trait]
impl<H: Holdings> ArtifactService for ArtifactServer<H> {
    type GetArtifactStream = ReceiverStream<Result<GetArtifactResponse, Status>>;
    type ReadArtifactStream = ReceiverStream<Result<ReadArtifactResponse, Status>>;
    type ReadLogsStream = ReceiverStream<Result<ReadLogsResponse, Status>>;

    async fn get_artifact(
        &self,
        request: Request<GetArtifactRequest>,
    ) -> Result<Response<Self::GetArtifactStream>, Status> {
        let wanted = GetArtifact::from_proto(request.into_inner())?;
        let (manifest, target, before) = self
            .blocking(move |holdings| {
                let GetArtifact { artifact, read_token } = &wanted;
                let refused = |denied| refused(artifact, &denied);
                let manifest = holdings.manifest(artifact, read_token).map_err(refused)?;
                let target = holdings.target(artifact, read_token).map_err(refused)?;
                let before = holdings.before(artifact, read_token).map_err(refused)?;
                let (target, before) = (target.as_ref(), before.as_ref());
                Ok((manifest, target.map(Translate::to_proto), before.map(Translate::to_proto)))
            })
            .await?;
        let (pages, stream) = mpsc::channel(PIECES_AHEAD);
        tokio::spawn(async move {
            for index in 0.. {
                let Some(mut page) = page(&manifest, index) else { return };
                page.target = target.clone().filter(|_| index == 0);
                page.before = before.clone().filter(|_| index == 0);
                if pages.send(Ok(page)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn read_artifact(
        &self,
        request: Request<ReadArtifactRequest>,
    ) -> Result<Response<Self::ReadArtifactStream>, Status> {
        let wanted = ReadArtifact::from_proto(request.into_inner())?;
        let path = TreePath::new(wanted.path.as_str()).map_err(|_| {
            let fault = Fault::Form { text: wanted.path.clone(), form: "a path of the manifest" };
            Malformed { field: "path".to_owned(), fault }
        })?;
        let reader = Arc::clone(&self.readers).acquire_owned().await;
        let reader = reader.map_err(|_closed| status::shutting_down())?;
        let (artifact, offset) = (wanted.artifact.clone(), wanted.offset);
        let file = self
            .blocking(move |holdings| {
                holdings
                    .open(&wanted.artifact, &wanted.read_token, &path)
                    .map_err(|denied| refused(&artifact, &denied))
            })
            .await?;
        let (pieces, stream) = mpsc::channel(PIECES_AHEAD);
        let holdings = Arc::clone(&self.holdings);
        spawn_blocking(move || {
            let sent = |bytes| holdings.sent(bytes);
            send_file(&file, offset, wanted.limit.unwrap_or(u64::MAX), &pieces, sent);
            drop(reader);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn read_logs(
        &self,
        request: Request<ReadLogsRequest>,
    ) -> Result<Response<Self::ReadLogsStream>, Status> {
        let mut wanted = ReadLogs::from_proto(request.into_inner())?;
        if let Some(since) = wanted.since {
            let ReadLogs { attempt, stream, .. } = wanted.clone();
            let first = self.blocking(move |holdings| {
                let first = holdings.log_since(&attempt, stream, since);
                first.map_err(|denied| no_log(&attempt, &denied))
            });
            // Nothing yet: what comes is later than all that is there.
            let first = match first.await? {
                Some(first) => first,
                None => self.log_end(&wanted).await?,
            };
            wanted.offset = wanted.offset.max(first);
        }
        if let Some(lines) = wanted.tail_lines {
            let ReadLogs { attempt, stream, offset, .. } = wanted.clone();
            wanted.offset = self
                .blocking(move |holdings| {
                    let read = |at, bytes_max| holdings.read_log(&attempt, stream, at, bytes_max);
                    tail_start(lines, offset, read).map_err(|denied| no_log(&attempt, &denied))
                })
                .await?;
        }
        // The first part is read here, so that a log which is not kept is a plain refusal.
        let first = read_log(&self.holdings, &wanted).await?;
        let (chunks, stream) = mpsc::channel(PIECES_AHEAD);
        tokio::spawn(send_log(Arc::clone(&self.holdings), wanted, first, chunks));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl<H: Holdings> ArtifactServer<H> {
    async fn log_end(&self, wanted: &ReadLogs) -> Result<u64, Status> {
        let end = ReadLogs { offset: u64::MAX, ..wanted.clone() };
        Ok(read_log(&self.holdings, &end).await?.0.end)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&H) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let holdings = Arc::clone(&self.holdings);
        spawn_blocking(move || work(&holdings)).await.map_err(|error| panicked(&error))?
    }
}

/// Sends a file in pieces until its end, the limit, or the end of the reader's patience.
fn send_file(
    file: &File,
    mut offset: u64,
    limit: u64,
    pieces: &mpsc::Sender<Result<ReadArtifactResponse, Status>>,
    sent: impl Fn(u64),
) {
    let mut left = limit;
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let piece = match read_piece(file, offset, wanted) {
            Ok(data) if data.is_empty() => return,
            Ok(data) => data,
            Err(error) => {
                // Whoever has gone away needs no answer.
                let _ = pieces.blocking_send(Err(status::internal(&error)));
                return;
            }
        };
        let bytes = piece.len() as u64;
        let crc32c = crc32c::crc32c(&piece);
        if pieces.blocking_send(Ok(ReadArtifactResponse { offset, data: piece, crc32c })).is_err() {
            return;
        }
        sent(bytes);
        offset = offset.saturating_add(bytes);
        left -= bytes;
    }
}

/// Reads up to `wanted` bytes; fewer at the end of the file only.
fn read_piece(file: &File, offset: u64, wanted: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; wanted];
    let mut filled = 0;
    while filled < wanted {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer.into())
}

/// Sends a log from its first part on, and follows it if that is wanted; else up to where it ended
/// when the reading began, so that nobody runs after a task that writes without end.
async fn send_log<H: Holdings>(
    holdings: Arc<H>,
    mut wanted: ReadLogs,
    first: (LogPart, Option<WallTime>),
    chunks: mpsc::Sender<Result<ReadLogsResponse, Status>>,
) {
    let (mut part, mut written) = first;
    let until = if wanted.follow { u64::MAX } else { part.end };
    let mut look_again = interval(FOLLOW_INTERVAL);
    look_again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if part.offset >= until {
            return;
        }
        let room = usize::try_from(until - part.offset).unwrap_or(usize::MAX);
        part.data.truncate(room);
        if part.data.is_empty() {
            if part.complete || !wanted.follow {
                return;
            }
            tokio::select! {
                _ = look_again.tick() => {}
                () = chunks.closed() => return,
            }
        } else {
            wanted.offset = part.offset + part.data.len() as u64;
            let chunk = LogChunk { offset: part.offset, data: part.data.into(), written };
            if chunks.send(Ok(chunk.to_proto())).await.is_err() {
                return;
            }
        }
        (part, written) = match read_log(&holdings, &wanted).await {
            Ok(next) => next,
            Err(status) => {
                // Whoever has gone away needs no answer.
                let _ = chunks.send(Err(status)).await;
                return;
            }
        };
    }
}

/// Reads a part of a log; if times are wanted, one that was written within a second, and when.
async fn read_log<H: Holdings>(
    holdings: &Arc<H>,
    wanted: &ReadLogs,
) -> Result<(LogPart, Option<WallTime>), Status> {
    let (holdings, wanted) = (Arc::clone(holdings), wanted.clone());
    let read =
        move || read_part(&*holdings, &wanted).map_err(|denied| no_log(&wanted.attempt, &denied));
    spawn_blocking(read).await.map_err(|error| panicked(&error))?
}

fn read_part<H: Holdings>(
    holdings: &H,
    wanted: &ReadLogs,
) -> Result<(LogPart, Option<WallTime>), Denied> {
    let (attempt, stream) = (&wanted.attempt, wanted.stream);
    let mut part = holdings.read_log(attempt, stream, wanted.offset, LOG_CHUNK_BYTES)?;
    if !wanted.timed || part.data.is_empty() {
        return Ok((part, None));
    }
    let written = holdings.log_written(attempt, stream, part.offset)?;
    if let Some(until) = written.and_then(|written| written.until) {
        part.data.truncate(usize::try_from(until - part.offset).unwrap_or(usize::MAX));
    }
    Ok((part, written.map(|written| written.at)))
}

fn refused(artifact: &ArtifactId, denied: &Denied) -> Status {
    match denied {
        Denied::NotHeld => status::output_not_found(artifact),
        Denied::NotAllowed => status::not_allowed(artifact),
        Denied::Storage(_) => status::internal(denied),
    }
}

fn no_log(attempt: &votum_ids::AttemptId, denied: &Denied) -> Status {
    match denied {
        Denied::NotHeld => status::log_not_found(attempt),
        Denied::NotAllowed => status::not_allowed(attempt),
        Denied::Storage(_) => status::internal(denied),
    }
}

fn panicked(error: &JoinError) -> Status {
    status::internal(error)
}

/// Half of the largest piece: large enough that the cost of a message vanishes.
const PIECE_BYTES: usize = PIECE_BYTES_MAX / 2;
/// So many messages wait in a stream for their reader.
const PIECES_AHEAD: usize = 2;
/// So many files are read at once; further readers wait.
const READERS_MAX: usize = 64;
/// Largest chunk of a log.
const LOG_CHUNK_BYTES: usize = 64 << 10;
/// How often a log is looked at that somebody follows.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);
