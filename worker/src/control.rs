//! What people ask of a worker on its own machine, while the coordinator may be gone.
//!
//! They come through a socket in the data directory that only the worker's own user and root can
//! open: whoever can, could as well change the journal. One question a connection, one line
//! of JSON each way.

use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};
use tokio::{
    fs::{self, File},
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, oneshot},
    time::timeout,
};
use votum_commit::Decision;
use votum_driver::{Clock, Inbox};
use votum_ids::JobId;

use crate::{
    event::Event,
    forcing::{LocalAnswer, LocalQuestion},
    session::chain,
    shell::Shell,
};

/// One line of a person's program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Tell which promises wait for their decision, and what was forced.
    ListTxns {},
    /// End one doubt.
    Force {
        /// Of which job.
        job: JobId,
        /// What this worker shall do.
        outcome: Decision,
        /// Why; not empty.
        reason: String,
    },
}

/// Names a question that waits for its answer, within one start of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// Where local questions wait for what the machine says.
#[derive(Debug, Default)]
pub(crate) struct LocalDesk {
    next: AtomicU64,
    waiting: Mutex<BTreeMap<AskId, oneshot::Sender<LocalAnswer>>>,
}

impl LocalDesk {
    /// Gives an answer to whoever waits for it; he may have gone.
    pub(crate) fn answer(&self, ask: AskId, answer: LocalAnswer) {
        if let Some(waiting) = self.lock().remove(&ask) {
            let _ = waiting.send(answer);
        }
    }

    fn register(&self) -> (AskId, oneshot::Receiver<LocalAnswer>) {
        let ask = AskId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.retain(|_, sender| !sender.is_closed());
        waiting.insert(ask, sender);
        (ask, receiver)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AskId, oneshot::Sender<LocalAnswer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the socket; one that an earlier start has left is replaced.
pub(crate) async fn listen(data_dir: &Path) -> io::Result<UnixListener> {
    let place = Place::of(data_dir).await?;
    let (fresh, path) = (place.path(FRESH), place.path(SOCKET));
    match fs::remove_file(&fresh).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600)).await?;
    fs::rename(&fresh, &path).await?;
    Ok(listener)
}

/// Answers whoever comes, until it is dropped.
pub(crate) async fn serve(shell: Arc<Shell>, listener: UnixListener) {
    let clock = shell.clock;
    let turns = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, for one: it passes.
                tracing::warn!(%error, "cannot take a local question");
                clock.sleep_until(Some(clock.now().after(PAUSE))).await;
                continue;
            }
        };
        let Ok(turn) = Arc::clone(&turns).try_acquire_owned() else {
            continue; // It is hung up on, and says so itself.
        };
        let (desk, inbox) = (Arc::clone(&shell.local), shell.inbox.clone());
        tokio::spawn(async move {
            let answered = timeout(PATIENCE, answer(stream, &desk, &inbox, clock)).await;
            if let Ok(Err(error)) = answered {
                tracing::debug!(error = chain(&error), "a local question got no answer");
            }
            drop(turn);
        });
    }
}

async fn answer(
    mut stream: UnixStream,
    desk: &LocalDesk,
    inbox: &Inbox<Event>,
    clock: Clock,
) -> io::Result<()> {
    let by = name_of(stream.peer_cred()?.uid());
    let line = read_line(&mut stream, REQUEST_BYTES_MAX).await?;
    let question = match serde_json::from_str(&line).map_err(io::Error::from)? {
        Request::ListTxns {} => LocalQuestion::ListTxns,
        Request::Force { job, outcome, reason } => {
            LocalQuestion::Force { job, outcome, by, reason, at: clock.wall() }
        }
    };
    let (ask, answer) = desk.register();
    inbox.send(Event::Local { ask, question }).await;
    let answer = answer.await.map_err(|_| io::Error::other("the worker is ending"))?;
    write_line(&mut stream, &answer).await
}

/// Asks the worker whose data directory this is.
///
/// # Errors
/// When no worker listens there, or it gives no answer.
pub(crate) async fn ask(data_dir: &Path, request: &Request) -> io::Result<LocalAnswer> {
    let place = Place::of(data_dir).await?;
    let mut stream = UnixStream::connect(place.path(SOCKET)).await?;
    let asking = async {
        write_line(&mut stream, request).await?;
        let line = read_line(&mut stream, ANSWER_BYTES_MAX).await?;
        serde_json::from_str(&line).map_err(io::Error::from)
    };
    match timeout(PATIENCE, asking).await {
        Ok(answered) => answered,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the worker gives no answer")),
    }
}

async fn read_line(stream: &mut UnixStream, bytes_max: u64) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream).take(bytes_max).read_line(&mut line).await?;
    if line.ends_with('\n') { Ok(line) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

async fn write_line(stream: &mut UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(value).map_err(io::Error::from)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await?;
    stream.shutdown().await
}

/// Names a user of this machine.
fn name_of(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        Ok(None) | Err(_) => format!("uid {uid}"),
    }
}

/// A directory by a short path: that of a socket has a hundred bytes at most.
struct Place(#[expect(dead_code, reason = "the path lasts as long as this is open")] File, PathBuf);

impl Place {
    async fn of(data_dir: &Path) -> io::Result<Self> {
        use std::os::fd::AsRawFd as _;
        let dir = File::open(data_dir).await?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
        Ok(Self(dir, path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.1.join(name)
    }
}

const SOCKET: &str = "control.sock";
const FRESH: &str = "control.sock.new";
/// A question is a job's name and a reason.
const REQUEST_BYTES_MAX: u64 = 64 << 10;
/// An answer lists what was promised in every open round.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// Most questions at a time.
const CONNECTIONS_MAX: usize = 8;
/// How long a question may take: an answer waits for the disk.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait where no connection can be taken.
const PAUSE: Duration = Duration::from_secs(1);
