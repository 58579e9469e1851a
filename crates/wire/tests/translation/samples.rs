//! One value of everything that has a form on the wire, with every field set.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc, time::Duration};

use prost::{Message, Name};
use uuid::Uuid;
use votum_commit::{
    Cause, Decision, Evidence, Forced, Heuristic, Installation, Knowledge, LogPosition,
    Message as Told, Objection, Peer, Pledge, Reply, Vote,
};
use votum_ids::{
    AttemptId, CheckpointId, ClusterId, Digest, Epoch, Existing, FencingToken, Incarnation, JobId,
    OutputName, SecretName, StepName, Target, TargetKind, TaskId, TxnId, WorkerId, WorkerUid,
};
use votum_job::{
    Amount, Assignment, AttemptEnd, AttemptState, Base, Candidate, CheckpointHolder,
    CheckpointPolicy, Comeback, Compensation, Concurrency, ConcurrencyKey, ConcurrencyPolicy,
    DryVoteAnswer, DryVoteRequest, EffectSpec, EffectWork, Failure, FailureKind, Finding,
    HealthCheck, HeldCheckpoint, HookRole, InputSource, InputSpec, JobSpec, ListedAttempt,
    OnExhausted, OnUnknown, OnUnreachable, OutputSpec, Placement, Program, Progress, ResolvedInput,
    Resources, ResumePoint, RetryPolicy, Role, SealedAs, SelfReport, StagedOutput, Step,
    TaskSignal, TaskSpec, Trigger, Usage,
};
use votum_machine::WallTime;
use votum_wire::{
    ApprovalView, ArtifactId, ArtifactPart, AttemptView, CaseAction, CaseKind, CaseName, CaseView,
    CheckpointView, ClusterView, CommittedRound, CoordinatorFrame, DrainView, DryVoteView,
    EvidenceView, ForcedKind, ForcedView, FromCoordinator, FromWorker, GivenApproval, Hello,
    HookAttempt, HookKind, HookState, HookView, IndexState, Inventory, JobDamage, JobHolder,
    JobState, JobView, JournalView, LogPiece, LogStream, Malformed, Outcome, OutputState,
    OutputView, ParticipantView, PauseOrigin, PauseView, PeerInquiry, QuarantineView,
    QuarantinedStream, QueueView, RecordDamage, ReportView, ResolutionView, TaskState, TaskView,
    Translate, TrialOutcome, TrialView, UnreadableJob, Verdict, Versions, WorkerDamage,
    WorkerState, WorkerView,
    approval::ApproveJob,
    artifact::{GetArtifact, LogChunk, ReadArtifact, ReadLogs},
    case::{CasePage, GetCase, ResolveCase},
    dry_vote::DryVoteJob,
    forced::ForceParticipant,
    hold::{PauseJob, RetryJob, UnpauseJob},
    names::{AttemptName, Scope, TaskScope},
    operation::{DeleteWorker, DrainWorker},
    request::{CancelJob, Detail, GetJob, JobPage, Submitted, TailLogs, WorkerPage},
    rescue::{KeptReleaseView, RescueJob, Rescued, RescuedTask},
    revert::{Earlier, EarlierContent, RevertJob, Reverted, RevertedTarget},
    txn::{TxnPage, TxnParticipantView, TxnStage, TxnView},
};

use crate::limits;

/// A value in its form on the wire.
pub(crate) struct Sample {
    /// Full name of the message.
    pub(crate) name: &'static str,
    /// The encoded message.
    pub(crate) bytes: Vec<u8>,
    /// Reads bytes and says whether they are this value.
    pub(crate) reread: Reread,
}

type Reread = Box<dyn Fn(&[u8]) -> Result<bool, Malformed>>;

pub(crate) fn sample<T>(value: T) -> Sample
where
    T: Translate + PartialEq + Debug + 'static,
    T::Proto: Message + Name + Default,
{
    let name: &'static str = Box::leak(T::Proto::full_name().into_boxed_str());
    let bytes = value.to_proto().encode_to_vec();
    let reread = move |bytes: &[u8]| {
        let Ok(proto) = T::Proto::decode(bytes) else { return Ok(false) };
        T::from_proto(proto).map(|read| read == value)
    };
    Sample { name, bytes, reread: Box::new(reread) }
}

/// Returns every sample.
pub(crate) fn samples() -> Vec<Sample> {
    let mut all = Vec::new();
    all.extend(from_worker().into_iter().map(sample));
    all.extend(
        from_coordinator().into_iter().map(|body| sample(CoordinatorFrame { log: log(), body })),
    );
    all.extend([
        sample(PeerInquiry { txn: txn(), asked: uid(4), updates: true, by: installation() }),
        sample(Knowledge::Unknown),
        sample(Knowledge::InDoubt),
        sample(Knowledge::Commit),
        sample(Knowledge::Refused),
        sample(GetArtifact { artifact: artifact(), read_token: "secret".to_owned() }),
        sample(GetArtifact {
            artifact: ArtifactId { attempt: attempt(), part: ArtifactPart::Checkpoint(7) },
            read_token: "secret".to_owned(),
        }),
        sample(ReadArtifact {
            artifact: artifact(),
            path: "a/b".to_owned(),
            offset: 7,
            limit: Some(0),
            read_token: "secret".to_owned(),
        }),
        sample(ReadLogs {
            attempt: attempt(),
            stream: LogStream::Stderr,
            offset: 9,
            follow: true,
            tail_lines: Some(0),
            since: Some(WallTime(1_800_000_000_080)),
            timed: true,
        }),
        sample(LogChunk {
            offset: 9,
            data: "x\n".into(),
            written: Some(WallTime(1_800_000_000_090)),
        }),
        sample(DrainWorker {
            worker: worker_id(),
            time_limit: Some(Duration::from_secs(9)),
            reason: "another disk".to_owned(),
        }),
        sample(DeleteWorker { worker: worker_id(), reason: "scrapped".to_owned() }),
        sample(TxnPage { txns: vec![txn_view()], next: Some("t".to_owned()) }),
        sample(WorkerPage { workers: vec![worker()], next: Some("w".to_owned()) }),
        sample(cluster()),
    ]);
    all.extend(of_jobs());
    all.extend(of_reverts());
    all.extend(crate::histories::samples());
    all
}

fn reverted(then: Earlier) -> RevertedTarget {
    let output = votum_wire::output::OutputId {
        job: job_id(),
        task: task_id(),
        output: "rows".parse().unwrap(),
    };
    RevertedTarget { output, worker: worker_id(), path: "/srv/rows".to_owned(), then }
}

/// Returns what is said about reverts.
fn of_reverts() -> Vec<Sample> {
    vec![
        sample(RevertJob {
            job: job_id(),
            request: Some(votum_ids::RequestId(Uuid::from_u128(12))),
            validate_only: true,
            reason: "broken links".to_owned(),
        }),
        sample(Reverted {
            targets: [Earlier::Nothing, Earlier::Of(job_id()), Earlier::Ordinary]
                .map(reverted)
                .into(),
            job: Some(job().basic()),
            duplicate: true,
        }),
        sample(EarlierContent::Kept(Earlier::Nothing)),
        sample(EarlierContent::Kept(Earlier::Of(job_id()))),
        sample(EarlierContent::Kept(Earlier::Ordinary)),
        sample(EarlierContent::Retired { job: job_id(), problem: "it is gone".to_owned() }),
        sample(EarlierContent::NotRevertible { problem: "it is not known".to_owned() }),
    ]
}

/// Returns what is said about jobs.
fn of_jobs() -> Vec<Sample> {
    vec![
        sample(job()),
        sample(job().basic()),
        sample(DryVoteJob { job: job_id() }),
        sample(dry_vote()),
        sample(ApproveJob {
            job: job_id(),
            verdict: Verdict::Reject,
            reason: "the totals".to_owned(),
            etag: Some("5d0b".to_owned()),
        }),
        sample(Submitted { job: Some(job().basic()), duplicate: true }),
        sample(JobPage { jobs: vec![job().basic()], next: Some("t".to_owned()) }),
        sample(GetJob { job: job_id(), detail: Detail::Basic }),
        sample(PauseJob { job: job_id(), reason: "later".to_owned(), stop_running: true }),
        sample(RescueJob {
            job: job_id(),
            request: Some(votum_ids::RequestId(Uuid::from_u128(12))),
            validate_only: true,
        }),
        sample(Rescued {
            plan: vec![
                RescuedTask { task: task_id(), holder: Some(worker_id()), runs: String::new() },
                RescuedTask { task: task_id(), holder: None, runs: "it failed".to_owned() },
            ],
            job: Some(job().basic()),
            duplicate: true,
        }),
        sample(UnpauseJob { job: job_id() }),
        sample(RetryJob { job: job_id(), task: Some(task_id()) }),
        sample(RetryJob { job: job_id(), task: None }),
        sample(case()),
        sample(CasePage { cases: vec![case()], next: Some("t".to_owned()) }),
        sample(GetCase { name: CaseName::worker(job_id(), worker_id()) }),
        sample(ForceParticipant {
            job: job_id(),
            worker: worker_id(),
            reason: "its disk is gone".to_owned(),
        }),
        sample(ResolveCase {
            name: CaseName::hook(job_id(), task_id()),
            action: CaseAction::Retry,
            reason: "mended".to_owned(),
        }),
        sample(PauseView { origin: PauseOrigin::Exhausted, ..pause() }),
        sample(CancelJob { job: job_id(), reason: "no".to_owned() }),
        sample(TailLogs {
            scope: Scope {
                job: job_id(),
                task: Some(TaskScope { task: task_id(), number: Some(2) }),
            },
            follow: true,
            tail_lines: Some(0),
            stream: Some(LogStream::Stdout),
            since: Some(WallTime(1_800_000_000_080)),
            timed: true,
        }),
        sample(LogPiece {
            attempt: attempt_name(),
            stream: LogStream::Stdout,
            offset: 3,
            data: "y".into(),
            written: Some(WallTime(1_800_000_000_090)),
        }),
    ]
}

fn from_worker() -> Vec<FromWorker> {
    let listed = |state| ListedAttempt { attempt: attempt(), number: 2, state };
    let vote = |vote| FromWorker::Commit(Reply::Voted { txn: txn(), vote });
    let mut frames = vec![
        FromWorker::DryVoted(Box::new(dry_vote_answer())),
        FromWorker::Commit(Reply::TookOver { txn: txn(), number: 2 }),
        FromWorker::Commit(Reply::Declined { txn: txn(), number: 3 }),
        FromWorker::Commit(Reply::StoodDown { txn: txn(), number: 1 }),
        FromWorker::Commit(Reply::Forced(heuristic(Decision::Abort))),
        FromWorker::Commit(Reply::Forced(heuristic(Decision::Commit))),
        FromWorker::Hello(Hello {
            installation: installation(),
            incarnation: Incarnation(Uuid::from_u128(5)),
            version: "0.1.0".to_owned(),
            labels: map("zone", "a"),
            slots: 8,
            artifact_address: "10.0.0.1:7001".to_owned(),
            publish_roots: vec!["/srv".to_owned()],
            seen: Some(log()),
            protocols: Versions::new(2, 3).unwrap(),
        }),
        FromWorker::Inventory(Inventory {
            attempts: vec![listed(AttemptState::Live), listed(AttemptState::Ended(sealed()))],
            prepared: vec![txn()],
            committed: vec![CommittedRound { txn: txn(), pledges: pledges() }],
            checkpoints: vec![held_checkpoint()],
            unreadable: vec![UnreadableJob {
                job: job_id(),
                problem: "record 3 cannot be read".to_owned(),
            }],
        }),
        FromWorker::InventoryEnded,
        FromWorker::Heartbeat { free_bytes: u64::MAX, number: 12, vitals: limits::vitals() },
        FromWorker::Started { attempt: attempt(), pid: 77 },
        reported(None),
        reported(Some(Amount::Share { millionths: 350_000 })),
        reported(Some(Amount::Counted { done: u64::MAX, total: 400, unit: "rows".to_owned() })),
        FromWorker::Ended { attempt: attempt(), end: sealed() },
        vote(Vote::Yes),
        vote(Vote::ReadOnly),
        vote(Vote::No(Objection::Refused)),
        vote(Vote::No(Objection::NotHeld)),
        vote(Vote::No(Objection::WrongInstallation)),
        vote(Vote::No(objection())),
        FromWorker::Commit(Reply::Acked { txn: txn() }),
        FromWorker::Commit(Reply::Inquired { txn: txn(), committed: false }),
        FromWorker::Commit(Reply::Inquired { txn: txn(), committed: true }),
        FromWorker::Discarded { attempt: attempt(), comeback: Comeback::Running },
        FromWorker::Discarded { attempt: attempt(), comeback: Comeback::Sealed },
        FromWorker::Discarded { attempt: attempt(), comeback: Comeback::Failed },
        FromWorker::CheckpointHeld(held_checkpoint()),
        FromWorker::CheckpointGone(checkpoint()),
        FromWorker::Goodbye,
    ];
    frames.extend(failures().into_iter().map(|failure| FromWorker::Ended {
        attempt: attempt(),
        end: AttemptEnd::Failed { failure, usage: usage() },
    }));
    frames
}

fn heuristic(outcome: Decision) -> Heuristic {
    let evidence = vec![Evidence { at: WallTime(8), text: "in doubt for 9 s".to_owned() }];
    let forced = Forced { by: "ana".to_owned(), reason: "C is gone".to_owned(), evidence };
    Heuristic { txn: txn(), outcome, forced, at: WallTime(1_800_000_000_015) }
}

fn reported(amount: Option<Amount>) -> FromWorker {
    let report = Box::new(self_report(amount));
    FromWorker::Reported { attempt: attempt(), report, age: Duration::from_millis(1500) }
}

fn self_report(amount: Option<Amount>) -> SelfReport {
    SelfReport {
        progress: amount.map(|amount| Progress { amount, message: "page 7".to_owned() }),
        warnings: 3,
        malformed: 2,
        skipped_bytes: 1 << 40,
        last_warning: "slow".to_owned(),
        last_complaint: "odd".to_owned(),
    }
}

fn dry_vote() -> DryVoteView {
    let findings = vec![finding()];
    DryVoteView { at: WallTime(7_500), complete: true, findings, omitted: 3 }
}

fn finding() -> Finding {
    Finding {
        worker: worker_id(),
        task: Some(task_id()),
        output: Some(OutputName::new("rows").unwrap()),
        target: Some("/srv/rows".to_owned()),
        reason: "TARGET_NOT_WRITABLE".to_owned(),
        message: "not writable".to_owned(),
    }
}

fn dry_vote_request() -> DryVoteRequest {
    let token = FencingToken { epoch: Epoch(3), counter: 9 };
    let candidate = Candidate {
        task: task_id(),
        output: OutputName::new("rows").unwrap(),
        target: None,
        sealed: Some(SealedAs { token, digest: Digest([5; 32]) }),
    };
    let target = Target {
        path: "/srv/rows".to_owned(),
        kind: TargetKind::Tree,
        mode: None,
        existing: Existing::Fail,
        generations_kept: Some(7),
    };
    let planned = Candidate { target: Some(target), sealed: None, ..candidate.clone() };
    let candidates = vec![candidate, planned];
    DryVoteRequest { job: job_id(), id: token, candidates, bytes_wanted: 77 }
}

fn dry_vote_answer() -> DryVoteAnswer {
    let base =
        |content| Base { task: task_id(), output: OutputName::new("rows").unwrap(), content };
    DryVoteAnswer {
        job: job_id(),
        id: FencingToken { epoch: Epoch(3), counter: 9 },
        findings: vec![finding()],
        omitted: 2,
        bases: vec![base(Some(Digest([6; 32]))), base(None)],
    }
}

fn from_coordinator() -> Vec<FromCoordinator> {
    let told = |message| FromCoordinator::Commit(message);
    vec![
        FromCoordinator::DryVote(Box::new(dry_vote_request())),
        FromCoordinator::Welcome {
            lease: Duration::from_secs(9),
            heartbeat_interval: Duration::from_millis(2500),
            stop_grace: Duration::from_secs(4),
            protocol: 2,
            newest: 3,
        },
        FromCoordinator::HeartbeatAcknowledged { number: 12 },
        FromCoordinator::Start(Box::new(assignment())),
        FromCoordinator::Stop {
            attempt: attempt(),
            grace: Duration::from_secs(10),
            reason: "cancelled".to_owned(),
            checkpoint_first: true,
        },
        FromCoordinator::Acknowledged { attempt: attempt() },
        FromCoordinator::Discard { attempt: attempt() },
        FromCoordinator::Replicate(Box::new(resume_point())),
        told(Told::Prepare {
            txn: txn(),
            holder: installation(),
            pledges: pledges(),
            peers: vec![Peer {
                installation: installation(),
                address: "10.0.0.2:7001".to_owned(),
                updates: true,
            }],
        }),
        told(Told::TakeOver { txn: txn(), holder: installation(), number: 2, pledges: pledges() }),
        told(Told::Replaced { txn: txn(), holder: installation(), number: 1 }),
        told(Told::Noted { txn: txn() }),
        told(Told::Commit { txn: txn(), holder: installation(), pledges: pledges() }),
        told(Told::Abort { job: job_id() }),
        told(Told::Undecided { txn: txn() }),
        told(Told::RoundEnded { txn: txn() }),
        told(Told::Release { job: job_id() }),
    ]
}

fn assignment() -> Assignment {
    let staged = InputSource::Staged {
        holder: worker_id(),
        address: "10.0.0.1:7001".to_owned(),
        attempt: attempt(),
        output: output_name(),
        digest: digest(),
        bytes: u64::MAX,
        read_token: "secret".to_owned(),
    };
    Assignment {
        attempt: attempt(),
        number: 2,
        worker: worker_id(),
        job_name: "nightly".to_owned(),
        spec: spec().tasks.remove(&task_id()).unwrap(),
        job_env: map("A", "1"),
        params: map("day", "2026-11-22"),
        inputs: vec![
            ResolvedInput { name: output_name(), source: staged },
            ResolvedInput {
                name: OutputName::new("disk").unwrap(),
                source: InputSource::WorkerPath("/data".to_owned()),
            },
        ],
        time_limit: Duration::from_secs(60),
        resume: vec![resume_point()],
        role: Role::Hook(Box::new(HookRole {
            key: "key".to_owned(),
            verdict: "abort".to_owned(),
            announcement: "{}".to_owned(),
            undoes: vec![attempt().token],
        })),
    }
}

fn checkpoint() -> CheckpointId {
    CheckpointId { attempt: attempt(), sequence: u64::MAX }
}

fn held_checkpoint() -> HeldCheckpoint {
    HeldCheckpoint {
        id: checkpoint(),
        digest: digest(),
        bytes: 4096,
        steps: 2,
        read_token: "secret".to_owned(),
    }
}

fn resume_point() -> ResumePoint {
    ResumePoint {
        id: checkpoint(),
        digest: digest(),
        bytes: 4096,
        steps: 2,
        holders: vec![CheckpointHolder {
            worker: worker_id(),
            address: "10.0.0.1:7001".to_owned(),
            read_token: "secret".to_owned(),
        }],
    }
}

/// Returns a job that uses everything a job can have.
pub(crate) fn spec() -> JobSpec {
    let step = |name: &str, program| Step { name: StepName::new(name).unwrap(), program };
    let fetch = TaskSpec {
        timeout: Duration::from_secs(5),
        grace_period: Duration::ZERO,
        ..TaskSpec::of(Program::Steps(vec![
            step("first", Program::Command(vec!["true".to_owned()])),
            step(
                "second",
                Program::Script { text: "true".to_owned(), interpreter: vec!["sh".to_owned()] },
            ),
        ]))
    };
    let undo = Program::Command(vec!["undo".to_owned()]);
    let check = TaskSpec {
        compensate: Some(Box::new(Compensation { program: undo, ..compensation() })),
        ..TaskSpec::of(Program::Command(vec!["true".to_owned()]))
    };
    let back = TaskSpec::of(Program::PutBack(attempt()));
    let tasks = [("back", back), ("check", check), ("fetch", fetch)]
        .map(|(id, task)| (TaskId::new(id).unwrap(), task));
    let tasks = tasks.into_iter().chain([(task_id(), load())]);
    JobSpec {
        display_name: "nightly".to_owned(),
        description: "loads the day's sales".to_owned(),
        labels: map("team", "sales"),
        params: map("day", "2026-11-22"),
        env: map("A", "1"),
        timeout: Duration::from_secs(3600),
        retention: Duration::from_hours(24),
        prepare_timeout: Duration::from_millis(1500),
        approval: Some(Duration::from_hours(5)),
        dry_vote: Some(Duration::from_secs(90)),
        on_exhausted: OnExhausted::Pause,
        keep_staged: Duration::from_hours(2),
        concurrency: Some(Concurrency {
            key: concurrency_key(),
            policy: ConcurrencyPolicy::Replace,
        }),
        tasks: tasks.collect(),
        effects: effects(),
    }
}

fn load() -> TaskSpec {
    let published = |kind, mode| OutputSpec {
        path: "rows/".to_owned(),
        optional: true,
        bytes_max: Some(0),
        replicas: 2,
        publish: Some(Target {
            path: "sales/rows".to_owned(),
            kind,
            mode,
            existing: Existing::Fail,
            generations_kept: Some(3),
        }),
    };
    let from_fetch =
        InputSpec::TaskOutput { task: TaskId::new("fetch").unwrap(), output: output_name() };
    TaskSpec {
        placement: Placement { worker: Some(worker_id()), labels: map("zone", "a") },
        needs: [TaskId::new("fetch").unwrap()].into(),
        program: Program::Script {
            text: "cat > rows".to_owned(),
            interpreter: vec!["bash".to_owned()],
        },
        env: map("B", "2"),
        inputs: [
            (output_name(), from_fetch),
            (OutputName::new("disk").unwrap(), InputSpec::WorkerPath("/data".to_owned())),
        ]
        .into(),
        outputs: [
            (output_name(), published(TargetKind::Tree, None)),
            (OutputName::new("report").unwrap(), published(TargetKind::File, Some(0o644))),
        ]
        .into(),
        timeout: Duration::from_secs(60),
        grace_period: Duration::from_secs(10),
        retry: RetryPolicy {
            attempts: 3,
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(7),
            never_on: [2, 64].into(),
        },
        start_timeout: Some(Duration::from_secs(30)),
        progress_timeout: Some(Duration::from_secs(40)),
        health: Some(HealthCheck {
            command: vec!["curl".to_owned(), "-f".to_owned()],
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            failures: 4,
        }),
        stop_signal: TaskSignal::Int,
        checkpoint: Some(CheckpointPolicy {
            every: Some(Duration::from_secs(90)),
            signal: Some(TaskSignal::Usr1),
            replicate: true,
            bytes_max: Some(1 << 30),
        }),
        resources: Resources {
            cpu_millis: Some(1500),
            memory_bytes: Some(1 << 31),
            processes: Some(64),
            disk_bytes: Some(1 << 33),
        },
        exclusive: true,
        on_unreachable: OnUnreachable::Proceed,
        secrets: [SecretName::new("orders-db").unwrap()].into(),
        compensate: Some(Box::new(compensation())),
    }
}

fn compensation() -> Compensation {
    Compensation {
        program: Program::Script { text: "undo".to_owned(), interpreter: vec!["sh".to_owned()] },
        timeout: Duration::from_secs(7),
        retry: RetryPolicy { attempts: 4, ..RetryPolicy::default() },
        elsewhere: true,
    }
}

fn effects() -> BTreeMap<TaskId, EffectSpec> {
    let work = [
        EffectWork::Program {
            placement: Placement { worker: Some(worker_id()), labels: map("zone", "a") },
            program: Program::Command(vec!["mail".to_owned()]),
            env: map("B", "2"),
        },
        EffectWork::Program {
            placement: Placement::default(),
            program: Program::Script { text: "x".to_owned(), interpreter: vec!["sh".to_owned()] },
            env: BTreeMap::new(),
        },
        EffectWork::Webhook { url: "http://example.com/".to_owned(), headers: map("x-a", "b") },
    ];
    let names = ["announce", "page", "post"].map(|name| TaskId::new(name).unwrap());
    let afters = [Trigger::Commit, Trigger::Abort, Trigger::End];
    let effect = |(work, after)| EffectSpec {
        after,
        needs: [TaskId::new("announce").unwrap()].into(),
        work,
        timeout: Duration::from_secs(9),
        retry: RetryPolicy { attempts: 5, ..RetryPolicy::default() },
        on_unknown: OnUnknown::Park,
    };
    names.into_iter().zip(work.into_iter().zip(afters).map(effect)).collect()
}

/// Returns a job of which everything is known.
fn concurrency_key() -> ConcurrencyKey {
    ConcurrencyKey::new("nightly/eu:1").unwrap()
}

pub(crate) fn job() -> JobView {
    JobView {
        job: job_id(),
        uid: Uuid::from_u128(11),
        display_name: "nightly".to_owned(),
        spec: Some(Arc::new(spec())),
        state: JobState::Aborting,
        state_message: "waits for s1".to_owned(),
        decision: Some(Decision::Abort),
        cause: Some(Cause {
            reason: "CANCELLED".to_owned(),
            message: "cancelled by alice".to_owned(),
            by: "alice".to_owned(),
        }),
        tasks: vec![task_view()],
        participants: participants(),
        created: WallTime(1_800_000_000_001),
        started: Some(WallTime(1_800_000_000_002)),
        prepared: Some(WallTime(1_800_000_000_003)),
        decided: Some(WallTime(1_800_000_000_004)),
        ended: Some(WallTime(1_800_000_000_005)),
        creator: "alice".to_owned(),
        pause: Some(pause()),
        further_pauses: vec![PauseView { by: "bob".to_owned(), ..pause() }],
        rescued_from: Some(job_id()),
        kept_until: Some(WallTime(1_800_000_000_007)),
        kept_release: Some(kept_release()),
        queue: Some(QueueView { key: concurrency_key(), holder: Some(job_id()), ahead: 2 }),
        rescued_by: Some(job_id()),
        quarantine: Some(quarantine()),
        worker_damages: vec![WorkerDamage {
            worker: worker_id(),
            problem: "record 3 cannot be read".to_owned(),
        }],
        hooks: hooks(),
        forced: vec![forced()],
        held_back: vec![worker_id()],
        approval: Some(ApprovalView {
            etag: "5d0b".to_owned(),
            asked: WallTime(7_000),
            expires: WallTime(9_000),
            given: Some(GivenApproval {
                by: "ana".to_owned(),
                reason: "checked".to_owned(),
                at: WallTime(8_000),
            }),
        }),
        dry_vote: Some(dry_vote()),
    }
}

fn forced() -> ForcedView {
    ForcedView {
        worker: worker_id(),
        uid: uid(3),
        kind: ForcedKind::GivenUp,
        by: "ana".to_owned(),
        reason: "its disk is gone".to_owned(),
        at: WallTime(1_800_000_000_012),
        contradicts: true,
        healed: Some(WallTime(1_800_000_000_013)),
        removed: Some(WallTime(1_800_000_000_014)),
        evidence: vec![EvidenceView { at: WallTime(7), text: "it is lost".to_owned() }],
    }
}

fn task_view() -> TaskView {
    let attempts = failures().into_iter().map(|failure| Some(Outcome::Failed(failure)));
    let attempts = attempts.chain([Some(Outcome::Succeeded), None]).zip(1..);
    TaskView {
        task: task_id(),
        state: TaskState::Retrying,
        worker: Some(worker_id()),
        attempts: attempts.map(|(outcome, number)| attempt_view(number, outcome)).collect(),
        omitted_attempts: 3,
        outputs: vec![OutputView {
            output: output_name(),
            worker: worker_id(),
            state: OutputState::Prepared,
            files: 3,
            bytes: 4096,
            digest: digest(),
            publish_path: Some("sales/rows".to_owned()),
        }],
        retry_at: Some(WallTime(1_800_000_000_123)),
        report: Some(ReportView {
            report: self_report(Some(Amount::Counted {
                done: 120,
                total: 400,
                unit: "rows".to_owned(),
            })),
            at: WallTime(1_800_000_000_200),
            rate: Some(2_500_000),
            end: Some(WallTime(1_800_000_000_900)),
        }),
        checkpoint: Some(CheckpointView {
            sequence: 7,
            steps: 2,
            recorded: WallTime(1_800_000_000_000),
            bytes: 4096,
            workers: vec![worker_id()],
        }),
        waits: Some("retries in 3 s".to_owned()),
    }
}

fn quarantine() -> QuarantineView {
    QuarantineView {
        records: 9,
        damages: vec![RecordDamage {
            number: 3,
            lsn: 812,
            version: 2,
            kind: Some("commit_decided".to_owned()),
            forced: true,
            problem: "it has format version 2".to_owned(),
        }],
        last_state: Some(JobState::Preparing),
        last_recorded: Some(WallTime(1_800_000_000_008)),
        holders: vec![JobHolder {
            worker: worker_id(),
            holding: "lists 1 sealed attempt".to_owned(),
        }],
    }
}

fn hooks() -> Vec<HookView> {
    let states = [
        HookState::Waiting,
        HookState::Due,
        HookState::Running,
        HookState::Done,
        HookState::Parked,
        HookState::Closed,
    ];
    let outcomes = [TrialOutcome::Done, TrialOutcome::Failed, TrialOutcome::Unknown];
    let trial = |(outcome, number)| TrialView {
        number,
        worker: Some(worker_id()),
        ended: WallTime(1_800_000_000_008),
        outcome,
        message: "the receiver answered 503".to_owned(),
    };
    let hook = |state| HookView {
        hook: task_id(),
        kind: HookKind::Compensation,
        state,
        tries: 3,
        worker: Some(worker_id()),
        next: Some(WallTime(1_800_000_000_009)),
        trials: outcomes.into_iter().zip(1..).map(trial).collect(),
        attempts: vec![HookAttempt {
            number: 3,
            worker: worker_id(),
            token: FencingToken { epoch: Epoch(3), counter: 9 },
        }],
        resolution: Some(ResolutionView {
            action: CaseAction::GiveUp,
            by: "ana".to_owned(),
            reason: "the receiver is gone".to_owned(),
            at: WallTime(1_800_000_000_010),
        }),
    };
    states.into_iter().map(hook).collect()
}

fn case() -> CaseView {
    CaseView {
        name: CaseName::hook(job_id(), task_id()),
        kind: CaseKind::Effect,
        reason: "RETRIES_EXHAUSTED".to_owned(),
        message: "the receiver answered 503".to_owned(),
        since: WallTime(1_800_000_000_011),
        evidence: vec![EvidenceView { at: WallTime(7), text: "try 1".to_owned() }],
        actions: CaseAction::ALL.to_vec(),
    }
}

fn participants() -> Vec<ParticipantView> {
    let participant = |vote| ParticipantView { worker: worker_id(), vote, acknowledged: true };
    vec![
        participant(None),
        participant(Some(Vote::Yes)),
        participant(Some(Vote::ReadOnly)),
        participant(Some(Vote::No(Objection::Refused))),
        participant(Some(Vote::No(Objection::NotHeld))),
        participant(Some(Vote::No(Objection::WrongInstallation))),
        participant(Some(Vote::No(objection()))),
    ]
}

fn kept_release() -> KeptReleaseView {
    KeptReleaseView {
        by: "ana".to_owned(),
        reason: "needs the space".to_owned(),
        at: WallTime(1_800_000_000_008),
        kept: [(task_id(), worker_id())].into(),
    }
}

fn pause() -> PauseView {
    PauseView {
        by: "ana".to_owned(),
        reason: "maintenance".to_owned(),
        since: WallTime(1_800_000_000_006),
        origin: PauseOrigin::Asked,
        stop_running: true,
    }
}

fn attempt_view(number: u32, outcome: Option<Outcome>) -> AttemptView {
    AttemptView {
        number,
        worker: worker_id(),
        token: attempt().token,
        started: Some(WallTime(1_800_000_000_010)),
        ended: Some(WallTime(1_800_000_000_020)),
        outcome,
        usage: Some(usage()),
    }
}

fn txn_view() -> TxnView {
    let participant = ParticipantView {
        worker: worker_id(),
        vote: Some(Vote::No(Objection::NotHeld)),
        acknowledged: true,
    };
    TxnView {
        job: JobId::new("sales-7").unwrap(),
        txn: Some("sales-7:3.1".parse().unwrap()),
        stage: TxnStage::Committing,
        since: WallTime(1_000),
        participants: vec![TxnParticipantView {
            participant,
            uid: uid(3),
            in_doubt: true,
            voted: Some(WallTime(1_001)),
            acknowledged: Some(WallTime(1_002)),
            commits_sent: 2,
            commit_sent: Some(WallTime(1_003)),
            worker_state: Some(WorkerState::Lost),
            last_seen: Some(WallTime(1_004)),
        }],
    }
}

fn worker() -> WorkerView {
    WorkerView {
        worker: worker_id(),
        uid: uid(3),
        incarnation: Incarnation(Uuid::from_u128(5)),
        state: WorkerState::Suspect,
        labels: map("zone", "a"),
        version: "0.1.0".to_owned(),
        artifact_address: "10.0.0.1:7001".to_owned(),
        publish_roots: vec!["/srv".to_owned()],
        last_seen: Some(WallTime(1_800_000_000_030)),
        running: vec![attempt_name()],
        slots: 8,
        free_bytes: Some(0),
        holds: vec![job_id()],
        keeps: vec![job_id()],
        drain: Some(DrainView {
            by: "carol".to_owned(),
            reason: "another disk".to_owned(),
            ordered: WallTime(1_800_000_000_040),
            deadline: Some(WallTime(1_800_000_000_050)),
        }),
        protocol: 2,
        damages: vec![JobDamage { job: job_id(), problem: "record 3 cannot be read".to_owned() }],
        limits: limits::all(),
        clock_ahead_ms: Some(-3),
    }
}

fn cluster() -> ClusterView {
    ClusterView {
        cluster: ClusterId(Uuid::from_u128(1)),
        epoch: Epoch(3),
        version: "0.1.0".to_owned(),
        started: WallTime(1_800_000_000_000),
        jobs: JobState::ALL.into_iter().zip(1..).collect(),
        kept: 3,
        workers: [(WorkerState::Ready, 2), (WorkerState::Lost, 1)].into(),
        log_stale: true,
        quarantined: vec![QuarantinedStream {
            stream: "job/nightly-1".to_owned(),
            problem: "record 3 of 9 cannot be read".to_owned(),
        }],
        journal: JournalView { forced_records: 5, syncs: 2, bytes: 900 },
        index: IndexState::Rebuilt,
        mixed: 2,
        limits: limits::all(),
        answered: Some(WallTime(1_800_000_000_060)),
    }
}

fn failures() -> Vec<Failure> {
    let kinds = [
        FailureKind::ExitCode(3),
        FailureKind::Signal(9),
        FailureKind::TimedOut,
        FailureKind::StartTimedOut,
        FailureKind::Stuck,
        FailureKind::Unhealthy,
        FailureKind::SecretUnknown,
        FailureKind::SpawnFailed,
        FailureKind::OutputMissing,
        FailureKind::OutputRefused,
        FailureKind::InputUnavailable,
        FailureKind::StorageFailed,
        FailureKind::OutOfMemory,
        FailureKind::DiskFull,
        FailureKind::Interrupted,
        FailureKind::Stopped,
        FailureKind::WorkerLost,
        FailureKind::Drained,
    ];
    let failure =
        |kind| Failure { kind, message: "it failed".to_owned(), stderr_tail: "oh no\n".to_owned() };
    kinds.into_iter().map(failure).collect()
}

fn sealed() -> AttemptEnd {
    let output = StagedOutput {
        name: output_name(),
        digest: digest(),
        files: 3,
        bytes: u64::MAX,
        read_token: "secret".to_owned(),
    };
    AttemptEnd::Sealed { outputs: vec![output], usage: usage() }
}

fn usage() -> Usage {
    Usage {
        cpu_time: Duration::from_micros(1_234_567),
        run_time: Duration::from_secs(2),
        rss_bytes_max: 1 << 30,
    }
}

fn pledges() -> Vec<Pledge> {
    let pledge = |target: Option<Target>| Pledge {
        task: task_id(),
        output: output_name(),
        token: attempt().token,
        digest: digest(),
        replaceable: target.is_some(),
        target,
    };
    let target = |kind, mode, existing| {
        let path = "sales/rows".to_owned();
        Some(Target { path, kind, mode, existing, generations_kept: None })
    };
    vec![
        pledge(None),
        pledge(target(TargetKind::File, None, Existing::Replace)),
        pledge(target(TargetKind::File, Some(0o4755), Existing::Fail)),
        pledge(target(TargetKind::Tree, None, Existing::Fail)),
    ]
}

fn objection() -> Objection {
    Objection::Failed {
        reason: "TARGET_EXISTS".to_owned(),
        message: "load.rows: /srv/sales/rows exists".to_owned(),
    }
}

fn log() -> LogPosition {
    LogPosition {
        cluster: ClusterId(Uuid::from_u128(1)),
        epoch: Epoch(3),
        start: Incarnation(Uuid::from_u128(2)),
        lsn: u64::MAX,
    }
}

fn installation() -> Installation {
    Installation { worker: worker_id(), uid: uid(3) }
}

fn uid(number: u128) -> WorkerUid {
    WorkerUid(Uuid::from_u128(number))
}

fn artifact() -> ArtifactId {
    ArtifactId { attempt: attempt(), part: ArtifactPart::Output(output_name()) }
}

fn attempt() -> AttemptId {
    let token = FencingToken { epoch: Epoch(3), counter: u64::MAX };
    AttemptId { job: job_id(), task: task_id(), token }
}

fn attempt_name() -> AttemptName {
    AttemptName { job: job_id(), task: task_id(), hook: None, number: 2 }
}

fn txn() -> TxnId {
    TxnId { job: job_id(), epoch: Epoch(3), counter: 2 }
}

pub(crate) fn digest() -> Digest {
    Digest([0xab; 32])
}

pub(crate) fn job_id() -> JobId {
    JobId::new("nightly-k3f9x2ab").unwrap()
}

pub(crate) fn task_id() -> TaskId {
    TaskId::new("load_rows").unwrap()
}

pub(crate) fn output_name() -> OutputName {
    OutputName::new("rows").unwrap()
}

pub(crate) fn worker_id() -> WorkerId {
    WorkerId::new("s1").unwrap()
}

fn map(key: &str, value: &str) -> BTreeMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}
