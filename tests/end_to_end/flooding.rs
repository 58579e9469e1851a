//! A task whose log is one line without an end: its worker stays small, and everybody is served.

use std::{fs, time::Duration};

use tonic::{Streaming, transport::Endpoint};
use votum_ids::JobId;
use votum_proto::v1::{TailLogsRequest, TailLogsResponse, job_service_client::JobServiceClient};
use votum_tests::{Cluster, JobDraft, TaskDraft, eventually};
use votum_wire::{
    JobState, LogPiece, LogStream,
    names::{Scope, job_name},
    request::TailLogs,
};

use crate::{open_gate, patient};

#[test]
fn a_line_without_an_end_costs_its_worker_no_memory() {
    let mut cluster = patient();
    let gate = cluster.home().join("gate");
    let pours = "head -c 20000000 /dev/zero | tr '\\0' x";
    let script = format!("until [ -e {} ]; do {pours}; done; printf the-end", gate.display());
    let task = TaskDraft::new("pour").on("s1").runs(&script);
    let before = peaks(&mut cluster);
    let flood = cluster.submit(&JobDraft::new("flood").task(task).spec());
    let deaf: Vec<_> = (0..3).map(|_| deaf_reader(&cluster, &flood)).collect();
    let mut logs = cluster.client().logs(wanted(&flood, None, true));
    let mut next = || cluster.block_on(logs.next()).map(Result::unwrap);

    let (mut end, mut missing, mut pieces, mut last) = (0, 0, 0_u64, Vec::new());
    let mut take = |piece: LogPiece| {
        assert!(piece.data.len() <= PIECE_BYTES_MAX, "{} bytes at once", piece.data.len());
        missing += piece.offset - end;
        end = piece.offset + piece.data.len() as u64;
        pieces += 1;
        last = piece.data.to_vec();
        end
    };
    while take(next().expect("it goes on while it is poured")) < LINE_BYTES / 2 {}
    // In the midst of it another job of the same worker commits.
    let task = TaskDraft::new("greet").on("s1").writes_and_publishes("rows", "rows.txt", 0o644);
    let served = cluster.submit(&JobDraft::new("served").task(task).spec());
    assert_eq!(cluster.ended(&served).state, JobState::Committed);
    let ends = read(&cluster, &wanted(&flood, Some(3), false));
    assert!(ends <= TAIL_BYTES_MAX, "the last 3 lines are {ends} bytes");
    let supervisors = cluster.processes_of(&flood);
    let supervisors = supervisors.iter().filter(|alive| alive.command.contains("supervise"));
    let supervised: Vec<u64> = supervisors.map(|alive| peak(alive.pid)).collect();
    assert!(!supervised.is_empty(), "somebody reads what the task pours");
    assert!(supervised.iter().all(|peak| *peak < GROWTH_MAX), "{supervised:?} bytes");
    while take(next().expect("it goes on while it is poured")) < LINE_BYTES {}
    open_gate(&cluster, "gate");
    while let Some(piece) = next() {
        take(piece);
    }

    assert!(last.ends_with(b"the-end"), "{pieces} pieces, {end} bytes, {missing} not kept");
    assert_eq!(cluster.ended(&flood).state, JobState::Committed);
    for ((name, before), (_, after)) in before.into_iter().zip(peaks(&mut cluster)) {
        let grown = after.saturating_sub(before);
        assert!(grown < GROWTH_MAX, "{name} grew by {grown} bytes over {end} bytes of log");
    }
    assert_eq!(deaf.len(), 3);
}

/// Reads everything that is wanted; returns how much that was.
fn read(cluster: &Cluster, wanted: &TailLogs) -> u64 {
    let mut logs = cluster.client().logs(wanted.clone());
    let mut bytes = 0;
    while let Some(piece) = cluster.block_on(logs.next()) {
        bytes += piece.unwrap().data.len() as u64;
    }
    bytes
}

fn wanted(job: &JobId, tail_lines: Option<u32>, follow: bool) -> TailLogs {
    let stream = Some(LogStream::Stdout);
    let scope = Scope::job(job.clone());
    TailLogs { scope, follow, tail_lines, stream, since: None, timed: false }
}

/// Follows logs and never reads them.
fn deaf_reader(cluster: &Cluster, job: &JobId) -> Streaming<TailLogsResponse> {
    let endpoint = Endpoint::from_shared(format!("http://{}", cluster.address())).unwrap();
    cluster.block_on(async {
        let mut jobs = JobServiceClient::new(endpoint.connect().await.unwrap());
        let request =
            TailLogsRequest { name: job_name(job), follow: true, ..TailLogsRequest::default() };
        jobs.tail_logs(request).await.unwrap().into_inner()
    })
}

/// Returns the most memory that each daemon has had.
fn peaks(cluster: &mut Cluster) -> Vec<(&'static str, u64)> {
    let of = |name: &'static str| {
        let pid = *cluster.daemon(name).pids().last().unwrap();
        (name, peak(i32::try_from(pid).unwrap()))
    };
    ["coordinator", "s1"].map(of).to_vec()
}

/// Returns the most resident memory that a process has had, in bytes.
#[track_caller]
fn peak(pid: i32) -> u64 {
    let status = eventually("the process is there", LIMIT, || {
        fs::read_to_string(format!("/proc/{pid}/status")).ok()
    });
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kibibytes << 10
}

/// The line is at least so long.
const LINE_BYTES: u64 = 200_000_000;
/// No message of a log is larger.
const PIECE_BYTES_MAX: usize = 64 << 10;
/// The last lines are looked for in so many bytes, and as many are written until they are found.
const TAIL_BYTES_MAX: u64 = 16 << 20;
/// A daemon that kept the line would grow by more.
const GROWTH_MAX: u64 = 48 << 20;
const LIMIT: Duration = Duration::from_mins(1);
