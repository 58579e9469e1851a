//! The real daemon, killed at the worst moments, and what it says when it is back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::TcpIncoming},
};
use uuid::Uuid;
use votum_commit::{Installation, LogPosition, Message, Pledge, Reply, Vote};
use votum_ids::{
    AttemptId, ClusterId, Epoch, Existing, FencingToken, Incarnation, JobId, OutputName, Target,
    TargetKind, TaskId, TxnId, WorkerId,
};
use votum_job::{
    Assignment, AttemptEnd, AttemptState, FailureKind, OutputSpec, Program, StagedOutput, TaskSpec,
};
use votum_proto::worker::v1::{
    SessionRequest, SessionResponse,
    session_service_server::{SessionService, SessionServiceServer},
};
use votum_wire::{CoordinatorFrame, FromCoordinator, FromWorker, Hello, Inventory, Translate};

#[tokio::test]
async fn what_was_sealed_survives_a_kill_and_is_published() {
    let mut world = World::new().await;
    let daemon = world.start_daemon();
    let mut session = world.session().await;
    session.say(start("printf hello > \"$VOTUM_OUTPUT_ROWS\"")).await;
    let sealed = session.sealed().await;
    drop(daemon);

    let daemon = world.start_daemon();
    let mut session = world.session().await;
    let [listed] = session.inventory.attempts.as_slice() else { panic!("{:?}", session.inventory) };
    assert!(matches!(&listed.state, AttemptState::Ended(AttemptEnd::Sealed { outputs, .. })
        if outputs[0].digest == sealed.digest));
    session.say(session.prepare(&sealed)).await;
    let yes = FromWorker::Commit(Reply::Voted { txn: txn(), vote: Vote::Yes });
    assert_eq!(session.hear().await, yes);
    assert!(!world.published().exists(), "nothing undecided is visible");
    drop(daemon);

    let daemon = world.start_daemon();
    let mut session = world.session().await;
    assert_eq!(session.inventory.prepared, [txn()]);
    assert_eq!(session.hear().await, FromWorker::Commit(Reply::Inquired { txn: txn() }));
    session.say(session.commit(&sealed)).await;
    assert_eq!(session.hear().await, FromWorker::Commit(Reply::Acked { txn: txn() }));
    assert_eq!(fs::read_to_string(world.published()).unwrap(), "hello");
    drop(daemon);

    let _daemon = world.start_daemon();
    let mut session = world.session().await;
    assert_eq!(session.inventory.committed[0].txn, txn());
    session.say(session.commit(&sealed)).await;
    assert_eq!(session.hear().await, FromWorker::Commit(Reply::Acked { txn: txn() }));
    session.say(FromCoordinator::Commit(Message::Release { job: job() })).await;
    until(|| !world.staging().join(job().as_str()).exists()).await;
    assert_eq!(fs::read_to_string(world.published()).unwrap(), "hello");
}

#[tokio::test]
async fn a_program_that_outlived_the_daemon_is_ended_and_reported() {
    let mut world = World::new().await;
    let daemon = world.start_daemon();
    let mut session = world.session().await;
    session.say(start("echo started >&2; sleep 1000 & wait")).await;
    let FromWorker::Started { pid, .. } = session.hear().await else { panic!("it never ran") };
    let program = PathBuf::from(format!("/proc/{pid}"));
    drop(daemon);
    assert!(program.exists(), "the daemon's end is not the program's");

    let _daemon = world.start_daemon();
    let session = world.session().await;
    assert!(!program.exists());
    let [listed] = session.inventory.attempts.as_slice() else { panic!("{:?}", session.inventory) };
    let AttemptState::Ended(AttemptEnd::Failed { failure, .. }) = &listed.state else {
        panic!("{listed:?}");
    };
    assert_eq!(failure.kind, FailureKind::Interrupted);
    session.say(FromCoordinator::Discard { attempt: attempt() }).await;
    until(|| !world.staging().join(job().as_str()).exists()).await;
}

#[tokio::test]
async fn an_installation_keeps_who_it_is() {
    let mut world = World::new().await;
    let daemon = world.start_daemon();
    let first = world.session().await.hello;
    drop(daemon);
    let _daemon = world.start_daemon();
    let second = world.session().await.hello;
    assert_eq!(first.installation, second.installation);
    assert_ne!(first.incarnation, second.incarnation);
    assert_eq!(second.seen, Some(log()), "the largest epoch was recorded before it was obeyed");
}

#[tokio::test]
async fn a_worker_that_is_asked_to_end_says_goodbye() {
    let mut world = World::new().await;
    let mut daemon = world.start_daemon();
    let mut session = world.session().await;
    session.say(start("sleep 1000")).await;
    assert!(matches!(session.hear().await, FromWorker::Started { .. }));
    daemon.terminate();
    let FromWorker::Ended { end: AttemptEnd::Failed { failure, .. }, .. } = session.hear().await
    else {
        panic!("its attempt was not reported");
    };
    assert_eq!(failure.kind, FailureKind::Interrupted);
    assert_eq!(session.hear().await, FromWorker::Goodbye);
    until(|| daemon.0.try_wait().unwrap().is_some_and(|status| status.success())).await;
}

/// A coordinator that says what the test says, and one worker's disk.
struct World {
    dir: tempfile::TempDir,
    url: String,
    sessions: mpsc::Receiver<Opened>,
}

struct Opened {
    incoming: Streaming<SessionRequest>,
    outgoing: mpsc::Sender<Result<SessionResponse, Status>>,
}

impl World {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, sessions) = mpsc::channel(8);
        let service = SessionServiceServer::new(Door(sender));
        let serving = Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
        tokio::spawn(serving);
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("srv")).unwrap();
        Self { dir, url, sessions }
    }

    fn start_daemon(&self) -> Daemon {
        let child = Command::new(env!("CARGO_BIN_EXE_votum-worker"))
            .args(["--name", "alice", "--coordinator", &self.url])
            .arg("--data-dir")
            .arg(self.dir.path().join("data"))
            .arg("--publish-root")
            .arg(self.dir.path().join("srv"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Daemon(child)
    }

    /// Waits for the next session and admits the worker.
    async fn session(&mut self) -> Session {
        let opened = timeout(PATIENCE, self.sessions.recv()).await.expect("the worker comes");
        let Opened { incoming, outgoing } = opened.unwrap();
        let mut session = Session {
            incoming,
            outgoing,
            hello: Hello {
                installation: Installation {
                    worker: WorkerId::new("nobody").unwrap(),
                    uid: votum_ids::WorkerUid(Uuid::nil()),
                },
                incarnation: Incarnation(Uuid::nil()),
                version: String::new(),
                labels: BTreeMap::new(),
                slots: 0,
                artifact_address: String::new(),
                publish_roots: Vec::new(),
                seen: None,
            },
            inventory: Inventory::default(),
        };
        let FromWorker::Hello(hello) = session.hear().await else { panic!("no Hello") };
        session.hello = hello;
        let lease = Duration::from_secs(15);
        session
            .say(FromCoordinator::Welcome { lease, heartbeat_interval: Duration::from_secs(3) })
            .await;
        loop {
            let frame = session.hear().await;
            if frame == FromWorker::InventoryEnded {
                return session;
            }
            let FromWorker::Inventory(page) = frame else { panic!("{frame:?} is no inventory") };
            session.inventory.attempts.extend(page.attempts);
            session.inventory.prepared.extend(page.prepared);
            session.inventory.committed.extend(page.committed);
        }
    }

    fn published(&self) -> PathBuf {
        self.dir.path().join("srv/rows.csv")
    }

    fn staging(&self) -> PathBuf {
        self.dir.path().join("data/staging")
    }
}

struct Door(mpsc::Sender<Opened>);

#[tonic::async_trait]
impl SessionService for Door {
    type SessionStream = ReceiverStream<Result<SessionResponse, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (outgoing, stream) = mpsc::channel(64);
        let opened = Opened { incoming: request.into_inner(), outgoing };
        self.0.send(opened).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

struct Session {
    incoming: Streaming<SessionRequest>,
    outgoing: mpsc::Sender<Result<SessionResponse, Status>>,
    hello: Hello,
    inventory: Inventory,
}

impl Session {
    /// Returns what the worker says next, signs of life left out.
    async fn hear(&mut self) -> FromWorker {
        timeout(PATIENCE, self.hear_anything_but_life()).await.expect("it speaks")
    }

    async fn hear_anything_but_life(&mut self) -> FromWorker {
        loop {
            let frame = self.incoming.message().await.unwrap().expect("it stays");
            let frame = FromWorker::from_proto(frame).unwrap();
            if !matches!(frame, FromWorker::Heartbeat { .. }) {
                return frame;
            }
        }
    }

    async fn say(&self, body: FromCoordinator) {
        let frame = CoordinatorFrame { log: log(), body };
        self.outgoing.send(Ok(frame.to_proto())).await.unwrap();
    }

    async fn sealed(&mut self) -> StagedOutput {
        let mut frame = self.hear().await;
        if let FromWorker::Started { .. } = frame {
            frame = self.hear().await;
        }
        let FromWorker::Ended { end: AttemptEnd::Sealed { mut outputs, .. }, .. } = frame else {
            panic!("{frame:?} is not the wanted end");
        };
        outputs.remove(0)
    }

    fn prepare(&self, sealed: &StagedOutput) -> FromCoordinator {
        FromCoordinator::Commit(Message::Prepare {
            txn: txn(),
            holder: self.hello.installation.clone(),
            pledges: vec![pledge(sealed)],
            peers: Vec::new(),
        })
    }

    fn commit(&self, sealed: &StagedOutput) -> FromCoordinator {
        let (holder, pledges) = (self.hello.installation.clone(), vec![pledge(sealed)]);
        FromCoordinator::Commit(Message::Commit { txn: txn(), holder, pledges })
    }
}

/// A real daemon; dropping it kills it as a power switch would.
struct Daemon(Child);

impl Daemon {
    fn terminate(&mut self) {
        let pid = i32::try_from(self.0.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn until(holds: impl FnMut() -> bool) {
    let mut holds = holds;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let wait = async {
        while !holds() {
            ticks.tick().await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it comes true");
}

fn job() -> JobId {
    JobId::new("sales-7").unwrap()
}

fn attempt() -> AttemptId {
    let token = FencingToken { epoch: Epoch(1), counter: 1 };
    AttemptId { job: job(), task: TaskId::new("load").unwrap(), token }
}

fn txn() -> TxnId {
    TxnId { job: job(), epoch: Epoch(1), counter: 1 }
}

fn log() -> LogPosition {
    LogPosition {
        cluster: ClusterId(Uuid::from_u128(7)),
        epoch: Epoch(1),
        start: Incarnation(Uuid::from_u128(8)),
        lsn: 1,
    }
}

fn target() -> Target {
    Target {
        path: "rows.csv".to_owned(),
        kind: TargetKind::File,
        mode: None,
        existing: Existing::Replace,
    }
}

fn pledge(sealed: &StagedOutput) -> Pledge {
    Pledge {
        task: attempt().task,
        output: sealed.name.clone(),
        token: attempt().token,
        digest: sealed.digest,
        target: Some(target()),
    }
}

fn start(script: &str) -> FromCoordinator {
    let rows = OutputSpec {
        path: "rows.csv".to_owned(),
        optional: false,
        bytes_max: None,
        publish: Some(target()),
    };
    let program = Program::Script {
        text: script.to_owned(),
        interpreter: vec!["sh".to_owned(), "-eu".to_owned()],
    };
    FromCoordinator::Start(Box::new(Assignment {
        attempt: attempt(),
        number: 1,
        worker: WorkerId::new("alice").unwrap(),
        job_name: "sales".to_owned(),
        spec: TaskSpec {
            outputs: BTreeMap::from([(OutputName::new("rows").unwrap(), rows)]),
            timeout: Duration::from_mins(5),
            grace_period: Duration::from_secs(2),
            ..TaskSpec::of(program)
        },
        job_env: BTreeMap::new(),
        params: BTreeMap::new(),
        inputs: Vec::new(),
        time_limit: Duration::from_mins(5),
    }))
}

/// Long enough for a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);
