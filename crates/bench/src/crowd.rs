//! Simulated workers: real sessions that speak the real protocol from this process.
//!
//! They run no program and hold no file: an attempt is sealed as soon as it is ordered. What a
//! worker would force they force into a journal of their own, or nowhere, as they are told.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Interval, interval},
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;
use votum_commit::{Installation, Message, Reply, Vote};
use votum_ids::{Digest, Incarnation, JobId, TxnId, WorkerId, WorkerUid};
use votum_job::{Assignment, AttemptEnd, Comeback, StagedOutput, Usage};
use votum_journal::{Bearing, Entry, Journal, Lsn, OnDisk, Options, Stream, Urgency};
use votum_proto::worker::v1::session_service_client::SessionServiceClient;
use votum_wire::{
    CoordinatorFrame, FromCoordinator, FromWorker, Hello, Translate, Versions, Vitals,
};

use crate::{
    daemons::Cluster,
    jobs::{WORKERS, worker_id},
    stopwatch::Stopwatch,
};

/// Where simulated workers force what a worker must force.
#[derive(Debug, Clone)]
pub(crate) enum Keeping {
    /// Nowhere: they promise what they could not keep.
    Nothing,
    /// Each into a journal below this folder.
    Journals(PathBuf),
}

/// Simulated workers; they are gone with this value.
#[derive(Debug)]
pub(crate) struct Crowd {
    sessions: JoinSet<anyhow::Result<()>>,
    rounds: Rounds,
}

/// When the rounds went by, as the workers saw it.
#[derive(Debug, Clone)]
pub(crate) struct Rounds {
    watch: Stopwatch,
    seen: Arc<Mutex<BTreeMap<TxnId, Round>>>,
}

/// One round.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Round {
    /// When the first worker was asked to vote.
    pub(crate) first_asked: Duration,
    /// When the last one was.
    pub(crate) last_asked: Duration,
    /// When the first worker heard the decision.
    pub(crate) first_told: Option<Duration>,
    /// When the last one did.
    pub(crate) last_told: Option<Duration>,
}

impl Rounds {
    fn asked(&self, txn: &TxnId) {
        let now = self.watch.elapsed();
        let mut seen = self.lock();
        if seen.len() >= ROUNDS_MAX {
            seen.clear();
        }
        let round =
            seen.entry(txn.clone()).or_insert(Round { first_asked: now, ..Round::default() });
        round.last_asked = now;
    }

    fn told(&self, txn: &TxnId) {
        let now = self.watch.elapsed();
        if let Some(round) = self.lock().get_mut(txn) {
            round.first_told.get_or_insert(now);
            round.last_told = Some(now);
        }
    }

    /// Takes out what was seen of every round that was decided.
    pub(crate) fn taken(&self) -> Vec<Round> {
        let seen = std::mem::take(&mut *self.lock());
        seen.into_values().filter(|round| round.first_told.is_some()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<TxnId, Round>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crowd {
    /// Connects workers of these names.
    ///
    /// # Errors
    /// When the coordinator cannot be reached, or a journal cannot be made.
    pub(crate) async fn connected(
        address: &str,
        names: &[WorkerId],
        keeping: &Keeping,
    ) -> anyhow::Result<Self> {
        let rounds = Rounds { watch: Stopwatch::start(), seen: Arc::default() };
        let mut sessions = JoinSet::new();
        for names in names.chunks(SESSIONS_PER_CONNECTION) {
            let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
            let channel = endpoint.connect().await.context("cannot reach the coordinator")?;
            for name in names {
                let promises = match keeping {
                    Keeping::Nothing => Promises::unkept(),
                    Keeping::Journals(folder) => Promises::kept(&folder.join(name.as_str()))?,
                };
                let session = Session::new(name, promises, rounds.clone());
                sessions.spawn(session.hold(channel.clone()));
            }
        }
        Ok(Self { sessions, rounds })
    }

    /// Returns what was seen of the rounds.
    pub(crate) fn rounds(&self) -> &Rounds {
        &self.rounds
    }

    /// Says why a session ended, if one has.
    ///
    /// # Errors
    /// What that session met.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.sessions.try_join_next() {
            Some(ended) => ended?.context("a simulated worker has gone"),
            None => Ok(()),
        }
    }
}

/// Names simulated workers.
pub(crate) fn names(count: usize) -> Vec<WorkerId> {
    (0..count).map(|number| worker_id(&format!("w{number}"))).collect()
}

/// Frames that wait for what they promise to be durable.
struct Promises {
    journal: Option<OnDisk>,
    durable: watch::Receiver<Lsn>,
    waiting: VecDeque<(Lsn, FromWorker)>,
    /// Kept so that the receiver stays open where nothing is kept.
    _unkept: Option<watch::Sender<Lsn>>,
}

impl Promises {
    fn unkept() -> Self {
        let (sender, durable) = watch::channel(Lsn::NONE);
        Self { journal: None, durable, waiting: VecDeque::new(), _unkept: Some(sender) }
    }

    fn kept(folder: &std::path::Path) -> anyhow::Result<Self> {
        let (sender, durable) = watch::channel(Lsn::NONE);
        let tell = move |lsn| {
            let _unheard = sender.send(lsn);
        };
        let opened = OnDisk::open(folder, Options::new([7; 16]), tell)?;
        let journal = Some(opened.journal);
        Ok(Self { journal, durable, waiting: VecDeque::new(), _unkept: None })
    }

    /// Forces a record about a job; the frame waits for it.
    fn make(&mut self, job: &JobId, frame: FromWorker) -> anyhow::Result<()> {
        let lsn = match &mut self.journal {
            Some(journal) => journal.append(entry(job, Urgency::Forced, Bearing::Continues)?),
            None => Lsn::NONE,
        };
        self.waiting.push_back((lsn, frame));
        Ok(())
    }

    fn forget(&mut self, job: &JobId) -> anyhow::Result<()> {
        if let Some(journal) = &mut self.journal {
            journal.append(entry(job, Urgency::Lazy, Bearing::Forgets)?);
        }
        Ok(())
    }

    fn due(&mut self) -> Option<FromWorker> {
        let durable = *self.durable.borrow_and_update();
        let (lsn, _) = self.waiting.front()?;
        if *lsn <= durable { self.waiting.pop_front().map(|(_, frame)| frame) } else { None }
    }
}

fn entry(job: &JobId, urgency: Urgency, bearing: Bearing) -> anyhow::Result<Entry> {
    let stream = Stream::new(format!("job/{job}"))?;
    let (keys, payload) = (Vec::new(), vec![7; RECORD_BYTES]);
    Ok(Entry { stream, urgency, version: 1, bearing, keys, payload })
}

/// One simulated worker.
struct Session {
    hello: Hello,
    promises: Promises,
    rounds: Rounds,
    beats: u64,
}

impl Session {
    #[expect(clippy::disallowed_methods, reason = "each start of a worker draws its id")]
    fn new(name: &WorkerId, promises: Promises, rounds: Rounds) -> Self {
        let uid = WorkerUid(uid_of(name));
        let installation = Installation { worker: name.clone(), uid };
        let hello = Hello {
            installation,
            incarnation: Incarnation(Uuid::new_v4()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            labels: BTreeMap::new(),
            slots: SLOTS,
            artifact_address: "127.0.0.1:1".to_owned(),
            publish_roots: vec!["/simulated".to_owned()],
            seen: None,
            protocols: Versions::OURS,
        };
        Self { hello, promises, rounds, beats: 0 }
    }

    async fn hold(mut self, channel: Channel) -> anyhow::Result<()> {
        let (outgoing, frames) = mpsc::channel::<FromWorker>(FRAMES_MAX);
        outgoing.send(FromWorker::Hello(self.hello.clone())).await?;
        let frames = ReceiverStream::new(frames).map(|frame| frame.to_proto());
        let mut client =
            SessionServiceClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX);
        let mut incoming = client.session(frames).await?.into_inner();
        let mut beat: Option<Interval> = None;
        loop {
            while let Some(frame) = self.promises.due() {
                outgoing.send(frame).await?;
            }
            tokio::select! {
                received = incoming.message() => {
                    let Some(frame) = received? else { return Ok(()) };
                    let CoordinatorFrame { body, .. } = CoordinatorFrame::from_proto(frame)?;
                    if let FromCoordinator::Welcome { heartbeat_interval, .. } = body {
                        outgoing.send(FromWorker::InventoryEnded).await?;
                        beat = Some(interval(heartbeat_interval));
                    } else {
                        self.react(body, &outgoing).await?;
                    }
                }
                changed = self.promises.durable.changed() => changed.context("the journal ended")?,
                () = next(&mut beat) => {
                    self.beats += 1;
                    let number = self.beats;
                    let (free_bytes, vitals) = (1 << 40, Vitals::default());
                    outgoing.send(FromWorker::Heartbeat { free_bytes, number, vitals }).await?;
                }
            }
        }
    }

    async fn react(
        &mut self,
        body: FromCoordinator,
        outgoing: &mpsc::Sender<FromWorker>,
    ) -> anyhow::Result<()> {
        match body {
            FromCoordinator::Start(assignment) => {
                let attempt = assignment.attempt.clone();
                outgoing.send(FromWorker::Started { attempt: attempt.clone(), pid: 1 }).await?;
                let (job, end) = (attempt.job.clone(), sealed(&assignment));
                self.promises.make(&job, FromWorker::Ended { attempt, end })?;
            }
            FromCoordinator::Discard { attempt } => {
                let comeback = Comeback::Sealed;
                outgoing.send(FromWorker::Discarded { attempt, comeback }).await?;
            }
            FromCoordinator::Commit(message) => self.vote(message)?,
            FromCoordinator::Welcome { .. }
            | FromCoordinator::HeartbeatAcknowledged { .. }
            | FromCoordinator::Stop { .. }
            | FromCoordinator::Acknowledged { .. }
            | FromCoordinator::Replicate(_)
            | FromCoordinator::DryVote(_) => {}
        }
        Ok(())
    }

    fn vote(&mut self, message: Message) -> anyhow::Result<()> {
        match message {
            Message::Prepare { txn, pledges, .. } => {
                self.rounds.asked(&txn);
                let job = txn.job.clone();
                let reads = pledges.iter().all(|pledge| pledge.target.is_none());
                let vote = if reads { Vote::ReadOnly } else { Vote::Yes };
                let frame = FromWorker::Commit(Reply::Voted { txn, vote });
                if reads {
                    self.promises.waiting.push_back((Lsn::NONE, frame));
                    return Ok(());
                }
                self.promises.make(&job, frame)
            }
            Message::Commit { txn, .. } => {
                self.rounds.told(&txn);
                let job = txn.job.clone();
                self.promises.make(&job, FromWorker::Commit(Reply::Acked { txn }))
            }
            Message::Release { job } => self.promises.forget(&job),
            Message::TakeOver { .. }
            | Message::Replaced { .. }
            | Message::Abort { .. }
            | Message::Undecided { .. }
            | Message::RoundEnded { .. }
            | Message::Noted { .. } => Ok(()),
        }
    }
}

/// Returns the same installation for a name whenever it connects.
fn uid_of(name: &WorkerId) -> Uuid {
    let number = name.as_str().bytes().fold(1, |sum: u128, byte| sum * 257 + u128::from(byte));
    Uuid::from_u128(number)
}

/// Lets the coordinator see the workers of ordinary jobs once, so that it takes jobs for them.
///
/// # Errors
/// When the coordinator cannot be reached.
pub(crate) async fn introduce(cluster: &Cluster) -> anyhow::Result<()> {
    let workers = WORKERS.map(worker_id);
    let crowd = Crowd::connected(&cluster.address, &workers, &Keeping::Nothing).await?;
    cluster.ready(workers.len()).await?;
    drop(crowd);
    Ok(())
}

/// Seals what a task declares: one invented file each.
fn sealed(assignment: &Assignment) -> AttemptEnd {
    let output = |name: &votum_ids::OutputName| StagedOutput {
        name: name.clone(),
        digest: Digest([7; 32]),
        files: 1,
        bytes: 4096,
        read_token: "simulated".to_owned(),
    };
    let outputs = assignment.spec.outputs.keys().map(output).collect();
    AttemptEnd::Sealed { outputs, usage: Usage::default() }
}

/// Waits for the next sign of life, for ever before the first is due.
async fn next(beat: &mut Option<Interval>) {
    match beat {
        Some(beat) => {
            beat.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// A coordinator takes 64 requests at once on a connection.
const SESSIONS_PER_CONNECTION: usize = 50;
/// More attempts at once than anything here orders of one worker.
const SLOTS: u32 = 1024;
/// Most frames that wait to be sent.
const FRAMES_MAX: usize = 4096;
const FRAME_BYTES_MAX: usize = 16 << 20;
/// Most rounds that are remembered.
const ROUNDS_MAX: usize = 200_000;
/// Of the payload of a record; about what a worker writes.
const RECORD_BYTES: usize = 230;
