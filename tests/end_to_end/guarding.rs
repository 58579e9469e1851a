//! Who may do what: certificates, tokens, roles, and what a stranger gets to see.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::timeout;
use tonic::{
    Code, Response, Status,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;
use votum_client::{Access, ClientError, Token};
use votum_commit::Installation;
use votum_ids::{
    AttemptId, Epoch, FencingToken, Incarnation, JobId, OutputName, SecretName, TaskId, TxnId,
    WorkerId, WorkerUid,
};
use votum_proto::{
    v1::{
        CancelJobRequest, DrainWorkerRequest, ForceParticipantRequest, ResolveCaseRequest,
        SubmitJobRequest, case_service_client::CaseServiceClient,
        job_service_client::JobServiceClient, txn_service_client::TxnServiceClient,
        worker_service_client::WorkerServiceClient,
    },
    worker::v1::{
        GetArtifactRequest, QueryRoundRequest, ReadLogsRequest, SessionRequest,
        artifact_service_client::ArtifactServiceClient, peer_service_client::PeerServiceClient,
        session_service_client::SessionServiceClient,
    },
};
use votum_tests::{Cluster, JobDraft, Pki, TaskDraft, Timing, access, eventually, programs};
use votum_tls::{Dialer, Far, TlsFiles};
use votum_wire::{
    ArtifactId, ArtifactPart, FromWorker, Hello, JobState, PeerInquiry, Problem, Translate,
    Versions, artifact::GetArtifact, request::SubmitJob,
};

use crate::{open_gate, patient, wait_for_file};

#[test]
fn a_role_bounds_what_its_certificate_may_do() {
    let pki = Pki::made();
    let cluster = coordinator_alone(&pki);
    let of = |role: &str| channel(&cluster, pki.issue(role, &format!("a-{role}")));
    let (worker, viewer, submitter) = (of("worker"), of("viewer"), of("submitter"));
    cluster.block_on(async {
        let may_not = |role: &str, ended: Result<(), Status>| {
            let problem = Problem::from_status(&ended.unwrap_err());
            let told = (problem.code, problem.reason.as_str());
            assert_eq!(told, (Code::PermissionDenied, "NOT_ALLOWED"), "{role}: {problem:#?}");
        };
        let submits = |channel| async move {
            JobServiceClient::new(channel).submit_job(SubmitJobRequest::default()).await
        };
        let cancels = |channel| async move {
            JobServiceClient::new(channel).cancel_job(CancelJobRequest::default()).await
        };
        may_not("worker", done(submits(worker.clone()).await));
        may_not("viewer", done(submits(viewer.clone()).await));
        may_not("viewer", done(cancels(viewer).await));
        let mut cases = CaseServiceClient::new(submitter.clone());
        may_not("submitter", done(cases.resolve_case(ResolveCaseRequest::default()).await));
        let mut txns = TxnServiceClient::new(submitter.clone());
        may_not(
            "submitter",
            done(txns.force_participant(ForceParticipantRequest::default()).await),
        );
        let mut workers = WorkerServiceClient::new(submitter.clone());
        may_not("submitter", done(workers.drain_worker(DrainWorkerRequest::default()).await));
        // What it may do comes as far as the request itself.
        let submitted = submits(submitter).await.unwrap_err();
        assert_eq!(submitted.code(), Code::InvalidArgument, "{submitted:?}");
        let mut sessions = SessionServiceClient::new(of_operator(&cluster, &pki));
        let opened = sessions.session(tokio_stream::empty::<SessionRequest>()).await;
        may_not("operator", done(opened));
    });
    let viewer = cluster.client_with(&access(pki.issue("viewer", "vera")));
    assert_eq!(cluster.block_on(viewer.workers()).unwrap(), []);
}

#[test]
fn strangers_and_expired_certificates_get_nowhere() {
    let (pki, foreign) = (Pki::made(), Pki::made());
    let cluster = coordinator_alone(&pki);
    let of_another =
        TlsFiles { ca: pki.trusted_alone().ca, ..foreign.issue("operator", "mallory") };
    for (who, files) in [
        ("expired", pki.issue_expired("operator", "eve")),
        ("of another authority", of_another),
        ("without any", pki.trusted_alone()),
    ] {
        let client = cluster.client_with(&access(files));
        let ended = cluster.block_on(client.workers());
        assert!(matches!(ended, Err(ClientError::Unavailable { .. })), "{who}: {ended:?}");
    }
    let in_clear = cluster.client_with(&Access::default());
    let ended = cluster.block_on(in_clear.workers());
    assert!(matches!(ended, Err(ClientError::Unavailable { .. })), "{ended:?}");
    // A worker's certificate does not pass for the coordinator's.
    let trusting_another = access(foreign.issue("operator", "ada"));
    let ended = cluster.block_on(cluster.client_with(&trusting_another).workers());
    assert!(matches!(ended, Err(ClientError::Unavailable { .. })), "{ended:?}");
    cluster.block_on(cluster.client().workers()).unwrap();
}

#[test]
fn a_worker_cannot_speak_for_another() {
    let pki = Pki::made();
    let cluster = coordinator_alone(&pki);
    let channel = channel(&cluster, pki.issue("worker", "s8"));
    let open = |name: &str| {
        let hello = FromWorker::Hello(hello(name)).to_proto();
        let frames = tokio_stream::iter([hello]);
        let mut sessions = SessionServiceClient::new(channel.clone());
        cluster.block_on(async move { done(sessions.session(frames).await) })
    };
    let problem = Problem::from_status(&open("s9").unwrap_err());
    assert_eq!((problem.code, problem.reason.as_str()), (Code::PermissionDenied, "NOT_ALLOWED"));
    assert!(problem.message.contains("s8") && problem.message.contains("s9"), "{problem}");
    open("s8").unwrap();
}

#[test]
fn a_token_counts_until_it_is_removed() {
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    let tokens = cluster.home().join("tokens");
    let line = |name: &str, roles: &str| {
        let hash = blake3::hash(format!("votum_{name}").as_bytes()).to_hex();
        format!("{name}:{hash}:{roles}\n")
    };
    fs::write(&tokens, [line("vera", "viewer"), line("s1", "worker")].concat()).unwrap();
    cluster.coordinator().add_argument(&format!("--tokens={}", tokens.display()));
    let own = cluster.home().join("s1.token");
    fs::write(&own, "votum_s1\n").unwrap();
    cluster.worker("s1").add_argument(&format!("--token-file={}", own.display()));
    cluster.coordinator().start();
    cluster.worker("s1").start();
    let with = |cluster: &Cluster, token: &str| {
        let token = Token::new(token);
        let client = cluster.client_with(&Access { token, ..Access::default() });
        cluster.block_on(async { client.workers().await })
    };
    eventually("the worker is admitted by its token", LIMIT, || {
        let workers = with(&cluster, "votum_vera").ok()?;
        workers.iter().any(|view| view.worker.as_str() == "s1").then_some(())
    });
    for wrong in ["votum_mallory", "votum_s1x"] {
        let problem = refused(with(&cluster, wrong));
        assert_eq!((problem.code, problem.reason.as_str()), UNAUTHENTICATED, "{problem:#?}");
    }
    let nobody = cluster.block_on(cluster.client_with(&Access::default()).workers());
    assert_eq!(refused(nobody).code, Code::Unauthenticated);
    // A worker's token is a worker's, and no more.
    assert_eq!(refused(with(&cluster, "votum_s1")).code, Code::PermissionDenied);

    fs::write(&tokens, line("s1", "worker")).unwrap();
    cluster.coordinator().hang_up();
    eventually("the removed token is refused", LIMIT, || with(&cluster, "votum_vera").err());
    let log = cluster.coordinator().log();
    assert!(!log.contains("votum_vera") && !log.contains("votum_mallory"), "{log}");
}

#[test]
fn a_job_commits_under_certificates_with_a_worker_killed() {
    let pki = Pki::made();
    let mut cluster = Cluster::prepared_with(&programs!(), Timing::PATIENT, &pki);
    cluster.start_all();
    let gate = wait_for_file(&cluster, "gate");
    let make = TaskDraft::new("make").on("s1").leaves("rows", "rows.txt");
    let make = make.runs("echo from s1 > \"$VOTUM_OUTPUT_ROWS\"; echo made");
    let copy = TaskDraft::new("copy").on("s2").reads("rows", "make", "rows");
    let copy = copy.leaves("copy", "copy.txt").publishes("copy.txt");
    let copy = copy.runs(&format!("{gate}; cat \"$VOTUM_INPUT_ROWS\" > \"$VOTUM_OUTPUT_COPY\""));
    let last = TaskDraft::new("last").on("s3").reads("copy", "copy", "copy");
    let last = last.leaves("sum", "sum.txt").publishes("sum.txt");
    let last = last.runs("cat \"$VOTUM_INPUT_COPY\" > \"$VOTUM_OUTPUT_SUM\"");
    let job = cluster.submit(&JobDraft::new("sealed").task(make).task(copy).task(last).spec());
    cluster.wait_for("the second task runs", &job, |view| {
        view.tasks.iter().any(|task| task.task.as_str() == "copy" && !task.attempts.is_empty())
    });
    strangers_read_nothing(&cluster, &pki, &job);
    cluster.worker("s2").kill();
    open_gate(&cluster, "gate");
    cluster.worker("s2").start();

    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    for (worker, target) in [("s2", "copy.txt"), ("s3", "sum.txt")] {
        let text = fs::read_to_string(cluster.root(worker).join(target)).unwrap();
        assert_eq!(text, "from s1\n", "{worker}");
    }
}

#[test]
fn a_default_start_listens_on_loopback_alone() {
    let mut cluster = patient();
    let own: Vec<i32> = ["coordinator", "s1", "s2", "s3"]
        .into_iter()
        .flat_map(|name| cluster.daemon(name).pids().clone())
        .map(|pid| i32::try_from(pid).unwrap())
        .collect();
    let listening: Vec<String> = own.iter().flat_map(|pid| listening(*pid)).collect();
    assert!(listening.len() >= 4, "{listening:?}");
    let open: Vec<&String> = listening.iter().filter(|address| !is_loopback(address)).collect();
    assert_eq!(open, [""; 0]);
}

#[test]
fn every_change_is_in_the_audit_log_with_who_asked() {
    let pki = Pki::made();
    let cluster = coordinator_alone(&pki);
    let submitter = cluster.client_with(&access(pki.issue("submitter", "sue")));
    let spec = JobDraft::new("noted").task(TaskDraft::new("wait").runs("true")).spec();
    let request = SubmitJob { spec, job: None, request: None, validate_only: false };
    let job = cluster.block_on(submitter.submit(&request)).unwrap().job.unwrap();
    assert_eq!(job.creator, "sue");
    cluster.block_on(submitter.cancel(&job.job, "enough")).unwrap();
    let drain = DrainWorkerRequest { name: "workers/s1".to_owned(), ..Default::default() };
    let mut workers = WorkerServiceClient::new(channel(&cluster, pki.issue("viewer", "vera")));
    cluster.block_on(workers.drain_worker(drain)).unwrap_err();

    let path = cluster.home().join("coordinator/audit.jsonl");
    let lines = eventually("three lines are written", LIMIT, || {
        let text = fs::read_to_string(&path).unwrap_or_default();
        (text.lines().count() >= 3).then_some(text)
    });
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |number: usize, key: &str| lines[number][key].as_str().unwrap_or("-").to_owned();
    let name = format!("jobs/{}", job.job);
    for (number, by, call, about, outcome) in [
        (0, "sue", "votum.v1.JobService/SubmitJob", name.as_str(), "OK"),
        (1, "sue", "votum.v1.JobService/CancelJob", name.as_str(), "OK"),
        (2, "vera", "votum.v1.WorkerService/DrainWorker", "-", "PERMISSION_DENIED"),
    ] {
        let found = ["by", "call", "about", "outcome"].map(|key| told(number, key));
        assert_eq!(found, [by, call, about, outcome]);
        assert!(
            told(number, "from").starts_with("127.0.0.1:") && told(number, "at").ends_with('Z')
        );
    }
    assert_eq!(told(2, "reason"), "NOT_ALLOWED");
}

#[test]
fn a_secret_reaches_its_task_and_nobody_else() {
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    let sources = cluster.home().join("sources");
    fs::create_dir(&sources).unwrap();
    fs::write(sources.join("orders-db"), CANARY).unwrap();
    cluster.worker("s1").add_argument(&format!("--secrets-dir={}", sources.display()));
    cluster.start_all();
    let gate = wait_for_file(&cluster, "gate");
    let look = "cd \"$VOTUM_SECRETS_DIR\"; (pwd; ls; stat -c %a orders-db; wc -c < orders-db)";
    let task = TaskDraft::new("load").on("s1").leaves("seen", "seen").publishes("seen.txt");
    let task = task.runs(&format!("{look} > \"$VOTUM_OUTPUT_SEEN\"; {gate}"));
    let mut spec = JobDraft::new("loads").task(task).spec();
    for task in spec.tasks.values_mut() {
        task.secrets = [SecretName::new("orders-db").unwrap()].into();
    }
    let job = cluster.submit(&spec);
    // A restart of the worker leaves a running task its secrets.
    let started = || cluster.glance(&job)?.tasks[0].attempts.first()?.started;
    eventually("the task runs", LIMIT, started);
    cluster.worker("s1").kill();
    cluster.worker("s1").start();
    open_gate(&cluster, "gate");
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    let seen = fs::read_to_string(cluster.root("s1").join("seen.txt")).unwrap();
    let lines: Vec<&str> = seen.lines().map(str::trim).collect();
    assert_eq!(lines[1..], ["orders-db", "400", &CANARY.len().to_string()]);
    assert!(!Path::new(lines[0]).exists(), "{} is still there", lines[0]);
    fs::remove_dir_all(&sources).unwrap();
    assert_eq!(holding(cluster.home(), CANARY), Vec::<PathBuf>::new());
    assert!(!format!("{view:?}").contains(CANARY));

    spec.display_name = "lacks".to_owned();
    let lacks = cluster.ended(&cluster.submit(&spec));
    assert_eq!(lacks.state, JobState::Aborted, "{lacks:#?}");
    assert!(format!("{lacks:?}").contains("SecretUnknown"), "{lacks:#?}");
}

/// Lists the files below a folder that hold a text.
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).unwrap_or_default();
                let holds = bytes.windows(text.len()).any(|window| window == text.as_bytes());
                found.extend(holds.then(|| entry.path()));
            }
        }
    }
    found
}

/// Asks a worker for what only its peers and the coordinator may have.
fn strangers_read_nothing(cluster: &Cluster, pki: &Pki, job: &JobId) {
    let address = cluster.shown("s1").unwrap().artifact_address;
    let reach = |files: TlsFiles| {
        let dialer = Dialer::load(files).unwrap();
        let endpoint = Endpoint::from_shared(dialer.url(&address)).unwrap();
        let _entered = cluster.entered();
        dialer.connect_lazy(&endpoint, Far::Worker("s1"))
    };
    let code = |ended: Result<(), Status>| ended.unwrap_err().code();
    let (operator, peer) = (reach(pki.issue("operator", "olga")), reach(pki.issue("worker", "s7")));
    let stranger = reach(pki.trusted_alone());
    cluster.block_on(async {
        let get = |channel| async move {
            let ended = ArtifactServiceClient::new(channel).get_artifact(artifact(job)).await;
            done(ended)
        };
        assert_eq!(code(get(operator).await), Code::PermissionDenied);
        let ended = timeout(LIMIT, get(stranger)).await.unwrap().unwrap_err();
        assert!(Problem::from_status(&ended).reason.as_str().is_empty(), "{ended:?}");
        // A worker of the cluster without the token that comes with an assignment.
        let problem = Problem::from_status(&get(peer.clone()).await.unwrap_err());
        assert_eq!(
            (problem.code, problem.reason.as_str()),
            (Code::PermissionDenied, "NOT_ALLOWED")
        );
        let mut logs = ArtifactServiceClient::new(peer.clone());
        let read = logs.read_logs(ReadLogsRequest::default()).await;
        assert_eq!(code(done(read)), Code::PermissionDenied);
        let mut rounds = PeerServiceClient::new(peer);
        let asked = rounds.query_round(in_the_name_of("s2", job)).await;
        assert_eq!(code(done(asked)), Code::PermissionDenied);
    });
}

/// Names what the first task has sealed, with a token that nobody gave out.
fn artifact(job: &JobId) -> GetArtifactRequest {
    let task = TaskId::new("make").unwrap();
    let token = FencingToken { epoch: Epoch(1), counter: 1 };
    let attempt = AttemptId { job: job.clone(), task, token };
    let part = ArtifactPart::Output(OutputName::new("rows").unwrap());
    let read_token = "0".repeat(64);
    GetArtifact { artifact: ArtifactId { attempt, part }, read_token }.to_proto()
}

/// Asks about a round as if this worker did.
fn in_the_name_of(worker: &str, job: &JobId) -> QueryRoundRequest {
    let by = installation(worker);
    let txn = TxnId { job: job.clone(), epoch: Epoch(1), counter: 1 };
    PeerInquiry { txn, asked: by.uid, updates: true, by }.to_proto()
}

fn coordinator_alone(pki: &Pki) -> Cluster {
    let mut cluster = Cluster::prepared_with(&programs!(), Timing::PATIENT, pki);
    cluster.coordinator().start();
    eventually("the coordinator answers", LIMIT, || {
        cluster.block_on(cluster.client().workers()).ok().map(|_| ())
    });
    cluster
}

fn of_operator(cluster: &Cluster, pki: &Pki) -> Channel {
    channel(cluster, pki.issue("operator", "olga"))
}

fn channel(cluster: &Cluster, files: TlsFiles) -> Channel {
    let dialer = Dialer::load(files).unwrap();
    let endpoint = Endpoint::from_shared(dialer.url(cluster.address())).unwrap();
    let _entered = cluster.entered();
    dialer.connect_lazy(&endpoint, Far::Coordinator)
}

fn done<T>(ended: Result<Response<T>, Status>) -> Result<(), Status> {
    ended.map(|_| ())
}

fn refused<T: std::fmt::Debug>(ended: Result<T, ClientError>) -> Problem {
    let Err(ClientError::Refused(problem)) = ended else { panic!("{ended:?}") };
    *problem
}

fn installation(worker: &str) -> Installation {
    Installation { worker: WorkerId::new(worker).unwrap(), uid: WorkerUid(Uuid::from_u128(9)) }
}

fn hello(name: &str) -> Hello {
    Hello {
        installation: installation(name),
        incarnation: Incarnation(Uuid::from_u128(1)),
        version: "9.0.0".to_owned(),
        labels: BTreeMap::new(),
        slots: 1,
        artifact_address: "127.0.0.1:1".to_owned(),
        publish_roots: Vec::new(),
        seen: None,
        protocols: Versions::OURS,
    }
}

/// Lists the addresses that a process listens on, as `/proc` writes them.
fn listening(pid: i32) -> Vec<String> {
    let sockets: Vec<u64> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| {
            let target = fs::read_link(entry.ok()?.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .collect();
    let tables = ["tcp", "tcp6"].map(|table| format!("/proc/{pid}/net/{table}"));
    let mut found = Vec::new();
    for table in tables {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let inode = words[9].parse().unwrap();
            if words[3] == LISTEN && sockets.contains(&inode) {
                found.push(words[1].to_owned());
            }
        }
    }
    found
}

/// Addresses stand there as hexadecimal words of the machine's own order.
fn is_loopback(address: &str) -> bool {
    let v4 = u32::from_be_bytes([127, 0, 0, 1]).to_be();
    let v4 = format!("{v4:08X}:");
    address.starts_with(&v4)
        || address.starts_with("00000000000000000000000001000000:")
        || address.starts_with(&format!("0000000000000000FFFF0000{v4}"))
}

const UNAUTHENTICATED: (Code, &str) = (Code::Unauthenticated, "NOT_AUTHENTICATED");
/// The state of a socket that listens.
const LISTEN: &str = "0A";
/// Whatever is to happen at all has happened by then, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
/// A value that is nowhere by accident.
const CANARY: &str = "canary-7f3a-of-the-orders-database";
