//! What the machine can do at best, measured beside what Votum does.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context;
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};

use crate::{load::Load, statistics::median_ms, stopwatch::Stopwatch};

/// Appends 300 bytes to a growing file and syncs it, again and again: D, in milliseconds.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn fdatasync_ms(scratch: &Path, time: Duration) -> anyhow::Result<Option<f64>> {
    let mut file = tempfile::tempfile_in(scratch)?;
    let (whole, mut samples) = (Stopwatch::start(), Vec::new());
    while whole.elapsed() < time {
        let watch = Stopwatch::start();
        file.write_all(&RECORD)?;
        file.sync_data()?;
        samples.push(watch.elapsed());
    }
    Ok(median_ms(&samples))
}

/// Returns how many records of 300 bytes 64 writers append each second to a preallocated file;
/// one thread writes and syncs for all who wait.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn append_rate(scratch: &Path, time: Duration) -> anyhow::Result<f64> {
    let file = tempfile::tempfile_in(scratch)?;
    file.write_all_at(&vec![0; PREALLOCATED], 0)?;
    file.sync_all()?;
    let (group, whole) = (Arc::new(Group::default()), Stopwatch::start());
    let committed = Arc::clone(&group);
    let committer = thread::spawn(move || committed.commit(&file));
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let group = Arc::clone(&group);
            thread::spawn(move || {
                let mut written = 0_u64;
                while whole.elapsed() < time && group.append() {
                    written += 1;
                }
                written
            })
        })
        .collect();
    let mut written = 0;
    for writer in writers {
        written += writer.join().ok().context("a writer panicked")?;
    }
    let rate = written as f64 / whole.elapsed().as_secs_f64();
    group.end();
    committer.join().ok().context("the committer panicked")??;
    Ok(rate)
}

/// Writers that share their syncs.
#[derive(Default)]
struct Group {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    synced: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// How many records were handed in.
    handed_in: u64,
    /// How many are durable.
    durable: u64,
    /// Nobody hands in or commits any more.
    is_over: bool,
}

impl Group {
    /// Hands a record in and waits until it is durable; false if it never will be.
    fn append(&self) -> bool {
        let mut waiting = self.lock();
        waiting.handed_in += 1;
        let mine = waiting.handed_in;
        self.arrived.notify_one();
        let is_early = |waiting: &mut Waiting| waiting.durable < mine && !waiting.is_over;
        let waited = self.synced.wait_while(waiting, is_early);
        waited.unwrap_or_else(PoisonError::into_inner).durable >= mine
    }

    /// Writes and syncs whatever has been handed in, until it is over.
    fn commit(&self, file: &File) -> std::io::Result<()> {
        let committed = self.commit_all(file);
        self.end();
        committed
    }

    fn commit_all(&self, file: &File) -> std::io::Result<()> {
        let mut durable = 0;
        loop {
            let is_idle = |waiting: &mut Waiting| waiting.handed_in == durable && !waiting.is_over;
            let waited = self.arrived.wait_while(self.lock(), is_idle);
            let handed_in = waited.unwrap_or_else(PoisonError::into_inner).handed_in;
            if handed_in == durable {
                return Ok(());
            }
            let bytes = RECORD.repeat(usize::try_from(handed_in - durable).unwrap_or(1));
            let room = PREALLOCATED as u64 - bytes.len() as u64;
            file.write_all_at(&bytes, durable * RECORD.len() as u64 % room)?;
            file.sync_data()?;
            durable = handed_in;
            self.lock().durable = durable;
            self.synced.notify_all();
        }
    }

    fn end(&self) {
        self.lock().is_over = true;
        self.arrived.notify_all();
        self.synced.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes 4 KiB aside, forces them, renames them over a file and forces the folder: the
/// milliseconds of one publication that survives a power cut.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn publish_ms(scratch: &Path, time: Duration) -> anyhow::Result<Option<f64>> {
    let home = tempfile::tempdir_in(scratch)?;
    let (aside, target) = (home.path().join("aside"), home.path().join("target"));
    let (whole, mut samples) = (Stopwatch::start(), Vec::new());
    while whole.elapsed() < time {
        let watch = Stopwatch::start();
        let mut file = File::create(&aside)?;
        file.write_all(&[7; 4096])?;
        file.sync_all()?;
        fs::rename(&aside, &target)?;
        File::open(home.path())?.sync_all()?;
        samples.push(watch.elapsed());
    }
    Ok(median_ms(&samples))
}

/// Returns how many processes of `true` the machine starts and ends each second, with a caller for
/// each processor.
///
/// # Errors
/// When nothing can be started.
pub(crate) fn spawn_rate(time: Duration) -> anyhow::Result<f64> {
    let callers = thread::available_parallelism().map_or(1, usize::from);
    let whole = Stopwatch::start();
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            thread::spawn(move || {
                let mut spawned = 0_u64;
                while whole.elapsed() < time {
                    Command::new("/bin/true").status()?;
                    spawned += 1;
                }
                std::io::Result::Ok(spawned)
            })
        })
        .collect();
    let mut spawned = 0;
    for caller in callers {
        spawned += caller.join().ok().context("a caller panicked")??;
    }
    Ok(spawned as f64 / whole.elapsed().as_secs_f64())
}

/// Copies a file and forces the copy; returns MiB each second.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn copy_rate(scratch: &Path, source: &Path) -> anyhow::Result<f64> {
    let home = tempfile::tempdir_in(scratch)?;
    let copy = home.path().join("copy");
    let watch = Stopwatch::start();
    let bytes = fs::copy(source, &copy)?;
    File::open(&copy)?.sync_all()?;
    Ok(mebibytes(bytes) / watch.elapsed().as_secs_f64())
}

/// Sends so many bytes over a loopback connection; returns MiB each second.
///
/// # Errors
/// When there is no loopback.
pub(crate) fn tcp_rate(bytes: u64) -> anyhow::Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let sender = thread::spawn(move || {
        let mut stream = TcpStream::connect(address)?;
        let piece = vec![7; 256 << 10];
        let mut left = bytes;
        while left > 0 {
            let size = left.min(piece.len() as u64);
            stream.write_all(&piece[..usize::try_from(size).unwrap_or(piece.len())])?;
            left -= size;
        }
        std::io::Result::Ok(())
    });
    let (mut stream, _) = listener.accept()?;
    let (watch, mut piece, mut received) = (Stopwatch::start(), vec![0; 256 << 10], 0_u64);
    while received < bytes {
        match stream.read(&mut piece)? {
            0 => break,
            count => received += count as u64,
        }
    }
    let rate = mebibytes(received) / watch.elapsed().as_secs_f64();
    sender.join().ok().context("the sender panicked")??;
    Ok(rate)
}

/// Turns bytes into MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A gRPC server and its caller in this process, which do nothing but answer: G.
#[derive(Debug)]
pub(crate) struct Unary {
    address: String,
    server: tokio::task::JoinHandle<()>,
}

impl Unary {
    /// Starts the server.
    ///
    /// # Errors
    /// When it cannot listen.
    pub(crate) async fn started() -> anyhow::Result<Self> {
        let (health, service) = tonic_health::server::health_reporter();
        health.set_service_status(name(), ServingStatus::Serving).await;
        let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into())?.with_nodelay(Some(true));
        let address = format!("http://{}", incoming.local_addr()?);
        let serving = Server::builder().add_service(service).serve_with_incoming(incoming);
        let server = tokio::spawn(async move {
            // Whoever calls it finds out.
            let _ = serving.await;
        });
        Ok(Self { address, server })
    }

    /// Lets so many callers call with 300 bytes.
    ///
    /// # Errors
    /// When a call fails.
    pub(crate) async fn called(&self, callers: usize, time: Duration) -> anyhow::Result<Load> {
        let mut channels: Vec<Channel> = Vec::new();
        for _ in 0..callers.min(4) {
            let endpoint = Endpoint::from_shared(self.address.clone())?.tcp_nodelay(true);
            channels.push(endpoint.connect().await?);
        }
        Load::run(callers, time, move |caller, _| {
            let mut client = HealthClient::new(channels[caller % channels.len()].clone());
            async move {
                client.check(HealthCheckRequest { service: name() }).await?;
                Ok(())
            }
        })
        .await
    }
}

impl Drop for Unary {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn name() -> String {
    "x".repeat(RECORD.len())
}

/// As large as an ordinary record.
const RECORD: [u8; 300] = [7; 300];
const PREALLOCATED: usize = 64 << 20;
const WRITERS: usize = 64;
