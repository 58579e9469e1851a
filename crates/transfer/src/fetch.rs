//! The half that fetches: one artifact, file by file, into an intake that verifies it.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use thiserror::Error;
use tokio::{
    task::spawn_blocking,
    time::{error::Elapsed, timeout},
};
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, Endpoint},
};
use votum_ids::{Digest, WorkerId};
use votum_proto::worker::v1::{
    ReadArtifactResponse, artifact_service_client::ArtifactServiceClient,
};
use votum_shadow::{Intake, IntakeError, Manifest, TreePath};
use votum_tls::{Dialer, Far};
use votum_wire::{
    ArtifactId, Problem, Translate,
    artifact::{GetArtifact, ReadArtifact},
};

use crate::{
    PIECE_BYTES_MAX,
    manifest::{BadManifest, Incoming},
};

/// An artifact and who holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Who holds it.
    pub holder: WorkerId,
    /// Where the holder serves artifacts, as `host:port`.
    pub address: String,
    /// What is wanted.
    pub artifact: ArtifactId,
    /// Of its manifest, as the coordinator named it.
    pub digest: Digest,
    /// Allows reading it.
    pub read_token: String,
}

/// Fetches an artifact and returns what the program reads.
///
/// `begin` makes the intake once the manifest is there and has the digest that
/// was named. A stream that breaks is opened again where it broke off, as long
/// as bytes keep coming; what is there of an earlier fetch is not fetched again.
///
/// # Errors
/// [`FetchError`]; only [`FetchError::Unreachable`] may pass by itself.
pub async fn fetch(
    source: &Source,
    dialer: &Dialer,
    begin: impl FnOnce(&Manifest) -> Result<Intake, IntakeError> + Send + 'static,
) -> Result<PathBuf, FetchError> {
    let mut holder = Holder::connect(source, dialer)?;
    let manifest = holder.manifest().await?;
    let found = manifest.digest();
    if found != source.digest {
        return Err(FetchError::DigestMismatch { expected: source.digest, found });
    }
    let files: Vec<(TreePath, u64)> =
        manifest.files().map(|file| (file.path.clone(), file.size)).collect();
    let mut intake = blocking(move || begin(&manifest)).await?;
    for (path, size) in files {
        intake = holder.file(intake, &path, size).await?;
    }
    blocking(move || intake.finish()).await
}

/// The other side of a fetch.
struct Holder<'a> {
    source: &'a Source,
    service: ArtifactServiceClient<Channel>,
}

impl<'a> Holder<'a> {
    fn connect(source: &'a Source, dialer: &Dialer) -> Result<Self, FetchError> {
        let endpoint = Endpoint::from_shared(dialer.url(&source.address))
            .map_err(|_| FetchError::InvalidAddress { address: source.address.clone() })?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        let channel = dialer.connect_lazy(&endpoint, Far::Worker(source.holder.as_str()));
        Ok(Self { source, service: ArtifactServiceClient::new(channel) })
    }

    async fn manifest(&mut self) -> Result<Manifest, FetchError> {
        let mut patience = Patience::full();
        loop {
            match self.try_manifest().await? {
                Ok(manifest) => return Ok(manifest),
                Err(broken) => patience.lose(self.source, broken).await?,
            }
        }
    }

    /// Reads the manifest once; the inner error is worth another attempt.
    async fn try_manifest(&mut self) -> Result<Result<Manifest, Broken>, FetchError> {
        let request = GetArtifact {
            artifact: self.source.artifact.clone(),
            read_token: self.source.read_token.clone(),
        };
        let opened = timeout(SILENCE_MAX, self.service.get_artifact(request.to_proto())).await;
        let mut pages = match self.opened(opened)? {
            Ok(pages) => pages,
            Err(broken) => return Ok(Err(broken)),
        };
        let mut incoming = Incoming::default();
        loop {
            match self.received(timeout(SILENCE_MAX, pages.message()).await)? {
                Ok(Some(page)) => incoming.take(page)?,
                Ok(None) => return Ok(Ok(incoming.finish()?)),
                Err(broken) => return Ok(Err(broken)),
            }
        }
    }

    /// Fetches one file, from where an earlier fetch broke off.
    async fn file(
        &mut self,
        intake: Intake,
        path: &TreePath,
        size: u64,
    ) -> Result<Intake, FetchError> {
        let asked = path.clone();
        let (mut intake, mut offset) = blocking(move || {
            let received = intake.received(&asked)?;
            Ok((intake, received))
        })
        .await?;
        let mut patience = Patience::full();
        while offset < size {
            let before = offset;
            let broken;
            (intake, offset, broken) = self.stretch(intake, path, offset, size).await?;
            if offset > before {
                patience = Patience::full();
            }
            if offset < size {
                patience.lose(self.source, broken.unwrap_or(Broken::EndedEarly)).await?;
            }
        }
        Ok(intake)
    }

    /// Takes in one stream of pieces, as far as it goes.
    async fn stretch(
        &mut self,
        mut intake: Intake,
        path: &TreePath,
        mut offset: u64,
        size: u64,
    ) -> Result<(Intake, u64, Option<Broken>), FetchError> {
        let request = ReadArtifact {
            artifact: self.source.artifact.clone(),
            path: path.as_str().to_owned(),
            offset,
            limit: Some(size - offset),
            read_token: self.source.read_token.clone(),
        };
        let opened = timeout(SILENCE_MAX, self.service.read_artifact(request.to_proto())).await;
        let mut pieces: Streaming<ReadArtifactResponse> = match self.opened(opened)? {
            Ok(pieces) => pieces,
            Err(broken) => return Ok((intake, offset, Some(broken))),
        };
        loop {
            let piece = match self.received(timeout(SILENCE_MAX, pieces.message()).await)? {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok((intake, offset, None)),
                Err(broken) => return Ok((intake, offset, Some(broken))),
            };
            if !is_sound(&piece, offset) {
                return Ok((intake, offset, Some(Broken::Damaged)));
            }
            let bytes = piece.data.len() as u64;
            intake = write(intake, path.clone(), offset, piece.data).await?;
            offset += bytes;
        }
    }

    /// Sorts how the opening of a stream ended.
    fn opened<T>(
        &self,
        outcome: Result<Result<tonic::Response<T>, Status>, Elapsed>,
    ) -> Result<Result<T, Broken>, FetchError> {
        Ok(self.received(outcome)?.map(tonic::Response::into_inner))
    }

    /// Sorts what came: a value, something worth another attempt, or a refusal.
    fn received<T>(
        &self,
        outcome: Result<Result<T, Status>, Elapsed>,
    ) -> Result<Result<T, Broken>, FetchError> {
        let status = match outcome {
            Ok(Ok(value)) => return Ok(Ok(value)),
            Ok(Err(status)) => status,
            Err(_elapsed) => return Ok(Err(Broken::Silent)),
        };
        let problem = Box::new(Problem::from_status(&status));
        let artifact = || self.source.artifact.clone();
        match problem.code {
            Code::NotFound => Err(FetchError::Gone { artifact: artifact(), problem }),
            Code::Unavailable => Ok(Err(Broken::Failed(problem))),
            // A connection that breaks in the middle ends a call with one of these.
            Code::Unknown | Code::Internal | Code::Cancelled
                if problem.reason.as_str().is_empty() =>
            {
                Ok(Err(Broken::Failed(problem)))
            }
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss
            | Code::Unauthenticated => Err(FetchError::Refused { artifact: artifact(), problem }),
        }
    }
}

/// Says whether a piece is the one that follows, undamaged.
fn is_sound(piece: &ReadArtifactResponse, offset: u64) -> bool {
    piece.offset == offset
        && (1..=PIECE_BYTES_MAX).contains(&piece.data.len())
        && crc32c::crc32c(&piece.data) == piece.crc32c
}

async fn write(
    mut intake: Intake,
    path: TreePath,
    offset: u64,
    data: Bytes,
) -> Result<Intake, FetchError> {
    blocking(move || {
        intake.write(&path, offset, &data)?;
        Ok(intake)
    })
    .await
}

/// Does work that waits for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IntakeError> + Send + 'static,
) -> Result<T, FetchError> {
    let done = spawn_blocking(work).await.expect("an intake does not panic");
    done.map_err(FetchError::from)
}

/// How often a stream may still break before bytes come again.
struct Patience {
    attempts: u32,
    wait: Duration,
}

impl Patience {
    fn full() -> Self {
        Self { attempts: ATTEMPTS_MAX, wait: FIRST_WAIT }
    }

    /// Waits before the next attempt, unless there were enough.
    async fn lose(&mut self, source: &Source, broken: Broken) -> Result<(), FetchError> {
        self.attempts -= 1;
        if self.attempts == 0 {
            return Err(FetchError::Unreachable { address: source.address.clone(), broken });
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the state waited for is another machine's, and there is no event of it"
        )]
        tokio::time::sleep(self.wait).await;
        self.wait *= 2;
        Ok(())
    }
}

/// How a stream ended that should have gone on.
#[derive(Debug, Error)]
pub enum Broken {
    /// The connection failed or was refused.
    #[error(transparent)]
    Failed(Box<Problem>),
    /// Nothing came for too long.
    #[error("nothing came for {SILENCE_MAX:?}")]
    Silent,
    /// The holder ended the stream before the file's end.
    #[error("the stream ended before the file did")]
    EndedEarly,
    /// A piece was damaged on the way, or is not the one that follows.
    #[error("a piece arrived damaged")]
    Damaged,
}

/// Why an artifact could not be fetched.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The holder's address is none.
    #[error("{address:?} is not an address of the form host:port")]
    InvalidAddress {
        /// What was given.
        address: String,
    },
    /// The holder cannot be reached, or streams break without bytes between.
    #[error("the holder at {address} cannot be reached")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// How the last attempt ended.
        #[source]
        broken: Broken,
    },
    /// The holder does not hold the artifact any more.
    #[error("{artifact} is gone from its holder")]
    Gone {
        /// What was wanted.
        artifact: ArtifactId,
        /// What the holder said.
        #[source]
        problem: Box<Problem>,
    },
    /// The holder refuses; a wrong token, for one.
    #[error("the holder of {artifact} refuses to send it")]
    Refused {
        /// What was wanted.
        artifact: ArtifactId,
        /// What the holder said.
        #[source]
        problem: Box<Problem>,
    },
    /// What the holder sent is not what the coordinator named.
    #[error("the holder's content is {found}, not {expected}")]
    DigestMismatch {
        /// Named by the coordinator or by the manifest.
        expected: Digest,
        /// Of what came.
        found: Digest,
    },
    /// What the holder sent is no manifest.
    #[error("the holder sent no manifest")]
    BadManifest(#[from] BadManifest),
    /// It cannot be taken in here.
    #[error("it cannot be taken in")]
    Intake(#[source] IntakeError),
}

impl From<IntakeError> for FetchError {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::OtherManifest { expected, found }
            | IntakeError::Damaged { expected, found, .. } => {
                Self::DigestMismatch { expected, found }
            }
            IntakeError::NoSuchFile { .. }
            | IntakeError::BeyondEnd { .. }
            | IntakeError::Missing { .. }
            | IntakeError::Storage(_) => Self::Intake(error),
        }
    }
}

/// A machine that does not answer is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A holder that sends nothing for so long counts as unreachable.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// So often a stream may break without a byte between.
const ATTEMPTS_MAX: u32 = 5;
/// The wait before the second attempt; doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// A few pieces are on the way while one is written.
const WINDOW_BYTES: u32 = 4 << 20;
