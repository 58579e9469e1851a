//! The real daemon, killed at the worst moments, and what it says when it is back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod reading;
mod speaking;

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
    Assignment, AttemptEnd, AttemptState, CheckpointPolicy, Failure, FailureKind, FlatMap,
    OutputSpec, Program, StagedOutput, TaskSpec,
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
    assert_eq!(
        session.hear().await,
        FromWorker::Commit(Reply::Inquired { txn: txn(), committed: false })
    );
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
async fn a_program_that_outlived_the_daemon_goes_on() {
    let mut world = World::new().await;
    let daemon = world.start_daemon();
    let mut session = world.session().await;
    session.say(start(&world.until_gate("printf hello > \"$VOTUM_OUTPUT_ROWS\""))).await;
    let pid = session.started().await;
    drop(daemon);

    let _daemon = world.start_daemon();
    let mut session = world.session().await;
    assert_eq!(session.listed_state(), AttemptState::Live);
    assert_eq!(session.started().await, pid);
    world.open_gate();
    session.sealed().await;
    let outputs = world.staging().join(job().as_str()).join("load.1.1/out/rows.csv");
    assert_eq!(fs::read_to_string(outputs).unwrap(), "hello");
}

#[tokio::test]
async fn what_ended_while_no_daemon_lived_is_reported() {
    for (script, code) in [("printf hello > \"$VOTUM_OUTPUT_ROWS\"", 0), ("exit 7", 7)] {
        let mut world = World::new().await;
        let daemon = world.start_daemon();
        let mut session = world.session().await;
        session.say(start(&world.until_gate(script))).await;
        session.started().await;
        drop(daemon);
        world.open_gate();
        let exit = world.attempt_dir().join("exit.json");
        until(|| exit.exists()).await;

        let _daemon = world.start_daemon();
        let mut session = world.session().await;
        let end = match session.listed_state() {
            AttemptState::Live => session.ended().await,
            AttemptState::Ended(end) => end,
        };
        match end {
            AttemptEnd::Sealed { outputs, .. } => assert_eq!((outputs[0].bytes, code), (5, 0)),
            AttemptEnd::Failed { failure, .. } => {
                assert_eq!(failure.kind, FailureKind::ExitCode(code));
            }
        }
    }
}

#[tokio::test]
async fn an_exit_before_a_power_cut_seals_nothing() {
    let mut world = World::new().await;
    let daemon = world.start_daemon();
    let mut session = world.session().await;
    session.say(start(&world.until_gate("printf hello > \"$VOTUM_OUTPUT_ROWS\""))).await;
    session.started().await;
    drop(daemon);
    world.open_gate();
    let exit = world.attempt_dir().join("exit.json");
    until(|| exit.exists()).await;
    // The machine was booted: names are there, bytes that nobody synced are not.
    let launch = world.attempt_dir().join("launch.json");
    let mut plan: serde_json::Value = serde_json::from_slice(&fs::read(&launch).unwrap()).unwrap();
    plan["body"]["boot"] = "another".into();
    fs::write(&launch, plan.to_string()).unwrap();
    let rows = world.staging().join(job().as_str()).join("load.1.1/out/rows.csv");
    fs::write(&rows, "").unwrap();

    let _daemon = world.start_daemon();
    let session = world.session().await;

    assert_eq!(session.listed_failure().kind, FailureKind::Interrupted);
}

#[tokio::test]
async fn an_adopted_program_is_stopped_on_request() {
    let mut world = World::new().await;
    let daemon = world.start_daemon();
    let mut session = world.session().await;
    let script = "trap 'cat \"$VOTUM_CANCEL_FILE\" >&2; exit 3' TERM; sleep 1000 & wait";
    session.say(start(script)).await;
    session.started().await;
    drop(daemon);

    let _daemon = world.start_daemon();
    let mut session = world.session().await;
    session.started().await;
    let (grace, reason) = (Duration::from_secs(20), "bob said so".to_owned());
    session
        .say(FromCoordinator::Stop { attempt: attempt(), grace, reason, checkpoint_first: false })
        .await;
    let AttemptEnd::Failed { failure, .. } = session.ended().await else { panic!("it failed") };
    assert_eq!((failure.kind, failure.stderr_tail.as_str()), (FailureKind::Stopped, "bob said so"));
}

#[tokio::test]
async fn a_program_without_its_order_is_ended_and_reported() {
    let mut world = World::new().await;
    let daemon = world.start_daemon();
    let mut session = world.session().await;
    session.say(start("echo started >&2; sleep 1000 & wait")).await;
    let program = PathBuf::from(format!("/proc/{}", session.started().await));
    drop(daemon);
    assert!(program.exists(), "the daemon's end is not the program's");
    fs::write(world.attempt_dir().join("order.json"), "{}").unwrap();

    let _daemon = world.start_daemon();
    let session = world.session().await;
    assert!(!program.exists());
    let failure = session.listed_failure();
    assert_eq!(failure.kind, FailureKind::Interrupted);
    assert!(failure.message.contains("order.json"), "{failure:?}");
    session.say(FromCoordinator::Discard { attempt: attempt() }).await;
    until(|| !world.staging().join(job().as_str()).exists()).await;
}

#[tokio::test]
async fn a_reused_process_id_is_neither_adopted_nor_signalled() {
    let mut world = World::new().await;
    let daemon = world.start_daemon();
    let mut session = world.session().await;
    session.say(start("echo $PPID > supervisor; sleep 1000 & wait")).await;
    session.started().await;
    let work = world.staging().join(job().as_str()).join("load.1.1/work/supervisor");
    until(|| fs::read_to_string(&work).is_ok_and(|text| text.ends_with('\n'))).await;
    let supervisor: u32 = fs::read_to_string(&work).unwrap().trim().parse().unwrap();
    drop(daemon);
    send(supervisor, rustix::process::Signal::KILL);
    // Somebody else has the number of the supervisor, so to speak.
    let mut innocent = Command::new("sleep").arg("1000").spawn().unwrap();
    let identity = world.attempt_dir().join("identity.json");
    let text = fs::read_to_string(&identity).unwrap();
    let forged = text.replace(&supervisor.to_string(), &innocent.id().to_string());
    assert_ne!(text, forged);
    fs::write(&identity, forged).unwrap();

    let _daemon = world.start_daemon();
    let session = world.session().await;
    assert_eq!(session.listed_failure().kind, FailureKind::Interrupted);
    assert!(innocent.try_wait().unwrap().is_none(), "a stranger was signalled");
    innocent.kill().unwrap();
    innocent.wait().unwrap();
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
async fn a_worker_that_is_asked_to_end_leaves_its_tasks_alone() {
    let mut world = World::new().await;
    let mut daemon = world.start_daemon();
    let mut session = world.session().await;
    session.say(start(&world.until_gate("touch \"$VOTUM_OUTPUT_ROWS\""))).await;
    let pid = session.started().await;
    daemon.terminate();
    until(|| daemon.0.try_wait().unwrap().is_some_and(|status| status.success())).await;
    assert!(PathBuf::from(format!("/proc/{pid}")).exists());

    let _daemon = world.start_daemon();
    let mut session = world.session().await;
    assert_eq!(session.started().await, pid);
    world.open_gate();
    session.sealed().await;
}

#[tokio::test]
async fn a_worker_that_stops_its_tasks_says_goodbye() {
    let mut world = World::new().await;
    let mut daemon = world.start_daemon_with(&["--stop-tasks"]);
    let mut session = world.session().await;
    session.say(start("sleep 1000")).await;
    session.started().await;
    daemon.terminate();
    let AttemptEnd::Failed { failure, .. } = session.ended().await else { panic!("it failed") };
    assert_eq!(failure.kind, FailureKind::Interrupted);
    assert_eq!(session.hear().await, FromWorker::Goodbye);
    until(|| daemon.0.try_wait().unwrap().is_some_and(|status| status.success())).await;
}

#[tokio::test]
async fn a_worker_that_stops_its_tasks_saves_them_first() {
    let mut world = World::new().await;
    let mut daemon = world.start_daemon_with(&["--stop-tasks"]);
    let mut session = world.session().await;
    let script = "echo 7 > \"$VOTUM_CHECKPOINT_DIR/n\"; touch saved; sleep 1000";
    let FromCoordinator::Start(mut order) = start(script) else { panic!("it is an order") };
    let every = Some(Duration::from_hours(1));
    order.spec.checkpoint = Some(CheckpointPolicy { every, ..CheckpointPolicy::default() });
    session.say(FromCoordinator::Start(order)).await;
    session.started().await;
    let saved = world.staging().join(job().as_str()).join("load.1.1/work/saved");
    until(|| saved.exists()).await;

    daemon.terminate();

    let FromWorker::CheckpointHeld(held) = session.hear().await else { panic!("it was saved") };
    assert_eq!(held.bytes, 2);
    let AttemptEnd::Failed { failure, .. } = session.ended().await else { panic!("it failed") };
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
        self.start_daemon_with(&[])
    }

    fn start_daemon_with(&self, arguments: &[&str]) -> Daemon {
        let child = Command::new(env!("CARGO_BIN_EXE_votum-worker"))
            .args(["--name", "alice", "--coordinator", &self.url])
            .arg("--data-dir")
            .arg(self.dir.path().join("data"))
            .arg("--publish-root")
            .arg(self.dir.path().join("srv"))
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Daemon(child)
    }

    /// Waits for the next session and admits the worker.
    async fn session(&mut self) -> Session {
        self.session_with(OURS).await
    }

    /// Admits the worker as a coordinator that speaks versions up to this one.
    async fn session_with(&mut self, newest: u32) -> Session {
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
                protocols: votum_wire::Versions::OURS,
            },
            inventory: Inventory::default(),
        };
        let FromWorker::Hello(hello) = session.hear().await else { panic!("no Hello") };
        session.hello = hello;
        let lease = Duration::from_secs(15);
        session
            .say(FromCoordinator::Welcome {
                lease,
                heartbeat_interval: Duration::from_secs(3),
                stop_grace: Duration::from_secs(10),
                protocol: OURS,
                newest,
            })
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

    fn attempt_dir(&self) -> PathBuf {
        self.dir.path().join("data/attempts").join(job().as_str()).join("load.1.1")
    }

    /// A script that waits for [`World::open_gate`] before it does the rest, or until the world
    /// that it waits in is gone.
    fn until_gate(&self, rest: &str) -> String {
        let gate = self.dir.path().join("gate");
        let (gate, world) = (gate.display(), self.dir.path().display());
        format!("while [ ! -e {gate} ] && [ -d {world} ]; do sleep 0.02; done; {rest}")
    }

    fn open_gate(&self) {
        fs::write(self.dir.path().join("gate"), "").unwrap();
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

    /// Waits until the program runs, and returns its process id.
    async fn started(&mut self) -> u32 {
        let frame = self.hear().await;
        let FromWorker::Started { pid, .. } = frame else { panic!("{frame:?} is no start") };
        pid
    }

    async fn ended(&mut self) -> AttemptEnd {
        let mut frame = self.hear().await;
        if let FromWorker::Started { .. } = frame {
            frame = self.hear().await;
        }
        let FromWorker::Ended { end, .. } = frame else { panic!("{frame:?} is no end") };
        end
    }

    async fn sealed(&mut self) -> StagedOutput {
        let end = self.ended().await;
        let AttemptEnd::Sealed { mut outputs, .. } = end else { panic!("{end:?}") };
        outputs.remove(0)
    }

    /// Returns how the only attempt of the inventory stands.
    fn listed_state(&self) -> AttemptState {
        let [listed] = self.inventory.attempts.as_slice() else { panic!("{:?}", self.inventory) };
        listed.state.clone()
    }

    fn listed_failure(&self) -> Failure {
        let state = self.listed_state();
        let AttemptState::Ended(AttemptEnd::Failed { failure, .. }) = state else {
            panic!("{state:?}");
        };
        failure
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
        send(self.0.id(), rustix::process::Signal::TERM);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn send(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
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
    attempt_with(1)
}

fn attempt_with(counter: u64) -> AttemptId {
    let token = FencingToken { epoch: Epoch(1), counter };
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
        generations_kept: None,
    }
}

fn pledge(sealed: &StagedOutput) -> Pledge {
    Pledge {
        task: attempt().task,
        output: sealed.name.clone(),
        token: attempt().token,
        digest: sealed.digest,
        replaceable: false,
        target: Some(target()),
    }
}

fn start(script: &str) -> FromCoordinator {
    start_as(attempt(), script)
}

fn start_as(attempt: AttemptId, script: &str) -> FromCoordinator {
    let rows = OutputSpec {
        path: "rows.csv".to_owned(),
        optional: false,
        bytes_max: None,
        replicas: 1,
        publish: Some(target()),
    };
    let program = Program::Script {
        text: script.to_owned(),
        interpreter: vec!["sh".to_owned(), "-eu".to_owned()],
    };
    FromCoordinator::Start(Box::new(Assignment {
        attempt,
        number: 1,
        worker: WorkerId::new("alice").unwrap(),
        job_name: "sales".to_owned(),
        spec: TaskSpec {
            outputs: FlatMap::from([(OutputName::new("rows").unwrap(), rows)]),
            timeout: Duration::from_mins(5),
            grace_period: Duration::from_secs(2),
            ..TaskSpec::of(program)
        },
        job_env: BTreeMap::new(),
        params: BTreeMap::new(),
        inputs: Vec::new(),
        time_limit: Duration::from_mins(5),
        resume: Vec::new(),
        role: votum_job::Role::Task,
    }))
}

/// What the daemon and the coordinator of these tests speak.
const OURS: u32 = votum_wire::Versions::OURS.newest();
/// Long enough for a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);
