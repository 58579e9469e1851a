//! A worker that holds one sealed output and two logs, and serves them on a socket.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Status, transport::Server};
use votum_ids::{AttemptId, Epoch, FencingToken, JobId, OutputName, TaskId, WorkerId};
use votum_machine::WallTime;
use votum_proto::worker::v1::artifact_service_client::ArtifactServiceClient;
use votum_shadow::{Declared, Manifest, OutputPath, Presence, ReadError, Sealed, Shadow, TreePath};
use votum_transfer::{Denied, Holdings, LogPart, LogWritten, Source, artifact_service};
use votum_wire::{
    ArtifactId, ArtifactPart, LogStream, Translate,
    artifact::{LogChunk, ReadArtifact, ReadLogs},
};

/// What the holder does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mischief {
    None,
    /// So many reads end in the middle of their file.
    CutsTheFirstReads(usize),
    /// One bit of one file is not as it was sealed.
    FlipsABit,
}

/// The log that grows while it is read.
/// What is written from this offset on was written a second later.
pub(crate) const LATER: u64 = 88_880;
pub(crate) const GROWING: [&str; 3] = ["begun\n", "going on\n", "ended\n"];

/// A running holder.
pub(crate) struct Holder {
    pub(crate) source: Source,
    dir: TempDir,
    grown: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Holder {
    pub(crate) async fn start(files: &[(String, Vec<u8>)], mischief: Mischief) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shadow = Shadow::open(&dir.path().join("holder"), &[]).unwrap();
        let sealed = seal(&shadow, files);
        let manifest = Arc::new(sealed.outputs[0].manifest.clone());
        let digest = manifest.digest();
        let grown = Arc::new(AtomicUsize::new(1));
        let shelf = Shelf {
            shadow,
            sealed,
            manifest,
            mischief,
            reads: AtomicUsize::new(0),
            grown: Arc::clone(&grown),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            let server = Server::builder().add_service(artifact_service(Arc::new(shelf)));
            let incoming = TcpListenerStream::new(listener);
            server.serve_with_incoming_shutdown(incoming, stopped).await.unwrap();
        });
        let artifact = ArtifactId { attempt: attempt(1), part: ArtifactPart::Output(output()) };
        let read_token = "right".to_owned();
        let holder = WorkerId::new("holder").unwrap();
        let source = Source { holder, address, artifact, digest, read_token };
        Self { source, dir, grown, stop, served }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) async fn stop(self) -> Source {
        let _ = self.stop.send(());
        self.served.await.unwrap();
        self.source
    }

    /// Reads a file as a peer would who knows the protocol and nothing of the manifest.
    pub(crate) async fn read(&self, path: &str) -> Result<Vec<u8>, Status> {
        let request = ReadArtifact {
            artifact: self.source.artifact.clone(),
            path: path.to_owned(),
            offset: 0,
            limit: None,
            read_token: self.source.read_token.clone(),
        };
        let mut service = self.service().await;
        let mut pieces = service.read_artifact(request.to_proto()).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.message().await? {
            bytes.extend_from_slice(&piece.data);
        }
        Ok(bytes)
    }

    pub(crate) async fn log(&self, wanted: &ReadLogs) -> Result<String, Status> {
        let chunks = self.log_chunks(wanted).await?;
        let bytes: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.data).collect();
        Ok(String::from_utf8(bytes).unwrap())
    }

    pub(crate) async fn log_chunks(&self, wanted: &ReadLogs) -> Result<Vec<LogChunk>, Status> {
        let mut service = self.service().await;
        let mut stream = service.read_logs(wanted.to_proto()).await?.into_inner();
        let mut chunks = Vec::new();
        while let Some(chunk) = stream.message().await? {
            chunks.push(LogChunk::from_proto(chunk).unwrap());
        }
        Ok(chunks)
    }

    /// Lets the second log grow to its end, while somebody reads it.
    pub(crate) async fn go_on_and_end(&self) {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while self.grown.fetch_add(1, Ordering::SeqCst) <= GROWING.len() {
            tick.tick().await;
        }
    }

    async fn service(&self) -> ArtifactServiceClient<tonic::transport::Channel> {
        let address = format!("http://{}", self.source.address);
        ArtifactServiceClient::connect(address).await.unwrap()
    }
}

struct Shelf {
    shadow: Shadow,
    sealed: Sealed,
    manifest: Arc<Manifest>,
    mischief: Mischief,
    reads: AtomicUsize,
    grown: Arc<AtomicUsize>,
}

impl Shelf {
    fn check(&self, artifact: &ArtifactId, read_token: &str) -> Result<(), Denied> {
        if artifact.attempt != self.sealed.attempt {
            return Err(Denied::NotHeld);
        }
        if read_token == "right" { Ok(()) } else { Err(Denied::NotAllowed) }
    }
}

impl Holdings for Shelf {
    fn manifest(&self, artifact: &ArtifactId, read_token: &str) -> Result<Arc<Manifest>, Denied> {
        self.check(artifact, read_token)?;
        Ok(Arc::clone(&self.manifest))
    }

    fn open(
        &self,
        artifact: &ArtifactId,
        read_token: &str,
        path: &TreePath,
    ) -> Result<File, Denied> {
        self.check(artifact, read_token)?;
        let output = &self.sealed.outputs[0];
        let file = match self.shadow.open_sealed(&artifact.attempt, output, path) {
            Ok(file) => file,
            Err(ReadError::NoSuchFile { .. } | ReadError::Gone { .. }) => {
                return Err(Denied::NotHeld);
            }
            Err(ReadError::Storage(error)) => return Err(io::Error::other(error).into()),
        };
        let reads = self.reads.fetch_add(1, Ordering::SeqCst);
        match self.mischief {
            Mischief::CutsTheFirstReads(cut) if reads < cut => {
                let len = file.metadata().unwrap().len();
                Ok(copy(file, |bytes| bytes.truncate(usize::try_from(len / 2).unwrap())))
            }
            Mischief::FlipsABit if path.as_str() == "one" => Ok(copy(file, |bytes| bytes[0] ^= 1)),
            Mischief::None | Mischief::CutsTheFirstReads(_) | Mischief::FlipsABit => Ok(file),
        }
    }

    fn read_log(
        &self,
        attempt: &AttemptId,
        stream: LogStream,
        offset: u64,
        bytes_max: usize,
    ) -> Result<LogPart, Denied> {
        if *attempt != self.sealed.attempt {
            return Err(Denied::NotHeld);
        }
        let grown = self.grown.load(Ordering::SeqCst);
        let (log, complete) = match stream {
            LogStream::Stdout => {
                let line = |i| format!("line {i}\n");
                ((0..10_000).map(line).collect::<String>(), true)
            }
            LogStream::Stderr => {
                (GROWING[..grown.min(GROWING.len())].concat(), grown > GROWING.len())
            }
        };
        let end = log.len() as u64;
        let offset = offset.min(end);
        let rest = &log.as_bytes()[usize::try_from(offset).unwrap()..];
        let data = rest[..rest.len().min(bytes_max)].to_vec();
        Ok(LogPart { offset, data, end, complete })
    }

    fn log_written(
        &self,
        _attempt: &AttemptId,
        _stream: LogStream,
        offset: u64,
    ) -> Result<Option<LogWritten>, Denied> {
        let (at, until) = if offset < LATER { (1_000, Some(LATER)) } else { (2_000, None) };
        Ok(Some(LogWritten { at: WallTime(at), until }))
    }

    fn log_since(
        &self,
        _attempt: &AttemptId,
        _stream: LogStream,
        since: WallTime,
    ) -> Result<Option<u64>, Denied> {
        Ok(match since.0 {
            0..=1_000 => Some(0),
            1_001..=2_000 => Some(LATER),
            2_001.. => None,
        })
    }
}

/// Returns another file with the same bytes, changed.
fn copy(mut file: File, change: impl FnOnce(&mut Vec<u8>)) -> File {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    change(&mut bytes);
    let mut copy = tempfile::tempfile().unwrap();
    copy.write_all(&bytes).unwrap();
    copy
}

fn seal(shadow: &Shadow, files: &[(String, Vec<u8>)]) -> Sealed {
    let declared = Declared {
        name: output(),
        path: OutputPath::new("tree/").unwrap(),
        presence: Presence::Required,
        publishes: None,
        max_bytes: None,
    };
    let staging = shadow.stage(&attempt(1)).unwrap();
    let top = staging.output_path(&declared);
    for (name, bytes) in files {
        let path = top.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    staging.seal(&[declared]).unwrap()
}

pub(crate) fn attempt(counter: u64) -> AttemptId {
    AttemptId {
        job: JobId::new("sales-1").unwrap(),
        task: TaskId::new("load").unwrap(),
        token: FencingToken { epoch: Epoch(1), counter },
    }
}

pub(crate) fn output() -> OutputName {
    OutputName::new("rows").unwrap()
}
