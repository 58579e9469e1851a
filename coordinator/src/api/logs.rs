//! What tasks wrote: read from the workers that keep it, and passed on.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{Stream, StreamExt};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use votum_ids::{AttemptId, TaskId, WorkerId};
use votum_machine::WallTime;
use votum_proto::v1::TailLogsResponse;
use votum_wire::{
    HookKind, HookState, Problem, Translate,
    artifact::{LogChunk, ReadLogs},
    names::AttemptName,
    request::TailLogs,
    status,
    view::{JobView, LogPiece, LogStream},
};

use super::{Desk, keeper, watch};

type Pieces = mpsc::Sender<Result<TailLogsResponse, Status>>;

/// Returns the logs of a job, a task or an attempt; following ends with the job.
pub(super) async fn tail(
    desk: Desk,
    wanted: TailLogs,
) -> Result<impl Stream<Item = Result<TailLogsResponse, Status>> + use<>, Status> {
    let view = desk.job(&wanted.scope.job).await?;
    check_scope(&wanted, &view)?;
    let (pieces, received) = mpsc::channel(PIECES_MAX);
    tokio::spawn(async move {
        let sent = if wanted.follow {
            follow(desk, &wanted, &pieces).await
        } else {
            read_all(&desk, &wanted, &view, &pieces).await
        };
        if let Err(error) = sent {
            // A client that went away needs no reason.
            let _ = pieces.send(Err(error)).await;
        }
    });
    Ok(ReceiverStream::new(received))
}

fn check_scope(wanted: &TailLogs, view: &JobView) -> Result<(), Status> {
    let Some(scope) = &wanted.scope.task else { return Ok(()) };
    let is_effect = view.spec.as_deref().is_some_and(|spec| spec.effects.contains_key(&scope.task));
    if !is_effect && view.tasks.iter().all(|task| task.task != scope.task) {
        return Err(status::task_not_found(&view.job, &scope.task));
    }
    match scope.number {
        Some(number) if sources(wanted, view).is_empty() => {
            let (job, task) = (view.job.clone(), scope.task.clone());
            let hook = is_effect.then_some(HookKind::Effect);
            Err(status::attempt_not_found(&AttemptName { job, task, hook, number }))
        }
        Some(_) | None => Ok(()),
    }
}

/// Reads one attempt after the other, by task and number; a worker that cannot be reached is
/// asked once, and keeps back nothing of what others have.
async fn read_all(
    desk: &Desk,
    wanted: &TailLogs,
    view: &JobView,
    pieces: &Pieces,
) -> Result<(), Status> {
    let mut silent = BTreeSet::new();
    let mut lost = Ok(());
    for source in sources(wanted, view) {
        if silent.contains(&source.worker) {
            continue;
        }
        if let Err(error) = pass_on(desk, &source, || true, wanted, pieces).await {
            silent.insert(source.worker);
            lost = lost.and(Err(error));
        }
    }
    lost
}

/// Follows every attempt as it appears, until the job is final and nothing goes on that was begun
/// around its decision; of a hook that is named, until no further try follows.
///
/// A worker that cannot be reached, because its daemon restarts or the network is cut, is
/// asked again from the first byte that was not passed on.
async fn follow(desk: Desk, wanted: &TailLogs, pieces: &Pieces) -> Result<(), Status> {
    let mut views = std::pin::pin!(watch::views(desk.clone(), wanted.scope.job.clone()).await?);
    let mut following = Following::default();
    let mut last = None;
    while let Some(view) = views.next().await {
        let view = view?;
        following.take_up(&desk, wanted, pieces, &view);
        last = Some(view);
    }
    while last.as_ref().is_some_and(|view| goes_on(wanted, view)) && !pieces.is_closed() {
        let _ = timeout(PAUSE, std::future::pending::<()>()).await;
        let view = desk.job(&wanted.scope.job).await?;
        following.take_up(&desk, wanted, pieces, &view);
        last = Some(view);
    }
    // One that is lost with its worker must not keep back what the others wrote.
    let mut lost = Ok(());
    while let Some(read) = following.readers.join_next().await {
        lost = lost.and(read.map_err(|error| status::internal(&error))?);
    }
    lost
}

/// The streams that are being followed.
#[derive(Default)]
struct Following {
    followed: BTreeSet<(AttemptId, LogStream)>,
    /// Attempts that are over, told to their readers.
    over: tokio::sync::watch::Sender<BTreeSet<AttemptId>>,
    readers: JoinSet<Result<(), Status>>,
}

impl Following {
    fn take_up(&mut self, desk: &Desk, wanted: &TailLogs, pieces: &Pieces, view: &JobView) {
        for source in sources(wanted, view) {
            if source.is_over {
                self.over.send_if_modified(|over| over.insert(source.attempt.clone()));
            }
            if self.followed.insert((source.attempt.clone(), source.stream)) {
                let (desk, wanted, pieces) = (desk.clone(), wanted.clone(), pieces.clone());
                let over = self.over.subscribe();
                self.readers.spawn(async move {
                    let is_over = || over.borrow().contains(&source.attempt);
                    pass_on(&desk, &source, is_over, &wanted, &pieces).await
                });
            }
        }
    }
}

/// Says whether anything that is followed goes on after the end of the job.
fn goes_on(wanted: &TailLogs, view: &JobView) -> bool {
    let scope = wanted.scope.task.as_ref();
    view.hooks.iter().any(|hook| match hook.state {
        HookState::Running => scope.is_none_or(|scope| scope.task == hook.hook),
        HookState::Waiting | HookState::Due => scope.is_some_and(|scope| scope.task == hook.hook),
        HookState::Done | HookState::Parked | HookState::Closed => false,
    })
}

/// One stream of one attempt, and who keeps it.
struct Source {
    name: AttemptName,
    attempt: AttemptId,
    worker: WorkerId,
    stream: LogStream,
    /// Nothing is added to it any more.
    is_over: bool,
}

fn sources(wanted: &TailLogs, view: &JobView) -> Vec<Source> {
    let attempt =
        |task: &TaskId, token| AttemptId { job: view.job.clone(), task: task.clone(), token };
    let named = |task: &TaskId, hook, number| AttemptName {
        job: view.job.clone(),
        task: task.clone(),
        hook,
        number,
    };
    let mut found = Vec::new();
    let mut add = |name: AttemptName, attempt: AttemptId, worker: &WorkerId, is_over| {
        if !wanted.scope.contains(&name) {
            return;
        }
        let streams = [LogStream::Stdout, LogStream::Stderr].into_iter();
        let streams = streams.filter(|stream| wanted.stream.is_none_or(|only| only == *stream));
        found.extend(streams.map(|stream| {
            let (name, attempt, worker) = (name.clone(), attempt.clone(), worker.clone());
            Source { name, attempt, worker, stream, is_over }
        }));
    };
    for task in &view.tasks {
        for known in &task.attempts {
            let name = named(&task.task, None, known.number);
            let is_over = known.ended.is_some() || view.state.is_final();
            add(name, attempt(&task.task, known.token), &known.worker, is_over);
        }
    }
    for hook in &view.hooks {
        for known in &hook.attempts {
            let name = named(&hook.hook, Some(hook.kind), known.number);
            let is_over = known.number < hook.tries || hook.state != HookState::Running;
            add(name, attempt(&hook.hook, known.token), &known.worker, is_over);
        }
    }
    found
}

/// Passes on one stream, piece by piece; waits for a client that reads slowly.
///
/// It ends with the log of an attempt that is over, since nothing is added to that any more.
async fn pass_on(
    desk: &Desk,
    source: &Source,
    is_over: impl Fn() -> bool,
    wanted: &TailLogs,
    pieces: &Pieces,
) -> Result<(), Status> {
    let mut place = Place { offset: 0, tail_lines: wanted.tail_lines, since: wanted.since };
    let mut failures = 0;
    while !pieces.is_closed() {
        // Known before the reading, so that what is read then is everything.
        let over = !wanted.follow || is_over();
        let before = place.offset;
        match read_on(desk, source, wanted, &mut place, pieces).await {
            Ok(()) if over => return Ok(()),
            Ok(()) => {}
            Err(_) if place.offset > before => failures = 0,
            // Whoever does not follow waits for no worker's return.
            Err(error) if over && (!wanted.follow || failures == FAILURES_MAX) => {
                return Err(error);
            }
            Err(_) => failures += u32::from(over),
        }
        let _ = timeout(PAUSE, std::future::pending::<()>()).await;
    }
    Ok(())
}

/// Where in a log the reading goes on.
struct Place {
    offset: u64,
    /// Only until the first piece has come: after it, everything is wanted.
    tail_lines: Option<u32>,
    /// Likewise.
    since: Option<WallTime>,
}

/// Passes on what follows, until the worker has no more or cannot be reached.
async fn read_on(
    desk: &Desk,
    source: &Source,
    wanted: &TailLogs,
    place: &mut Place,
    pieces: &Pieces,
) -> Result<(), Status> {
    let unreachable = || status::worker_unreachable(&source.worker);
    let mut keeper = keeper::reach(desk, &source.worker).await?;
    let request = ReadLogs {
        attempt: source.attempt.clone(),
        stream: source.stream,
        offset: place.offset,
        follow: wanted.follow,
        tail_lines: place.tail_lines,
        since: place.since,
        timed: wanted.timed,
    };
    let answer = keeper.read_logs(request.to_proto()).await;
    let mut chunks = match answer {
        Ok(chunks) => chunks.into_inner(),
        // An attempt that never started wrote nothing.
        Err(error) if error.code() == tonic::Code::NotFound => return Ok(()),
        // A connection that breaks or falls silent states no reason of Votum's.
        Err(error) if Problem::from_status(&error).reason.as_str().is_empty() => {
            return Err(unreachable());
        }
        Err(error) => return Err(error),
    };
    // The worker's daemon may end in the middle of its answer.
    while let Some(chunk) = chunks.message().await.map_err(|_| unreachable())? {
        let LogChunk { offset, data, written } =
            LogChunk::from_proto(chunk).map_err(|malformed| status::malformed(&malformed))?;
        *place = Place { offset: offset + data.len() as u64, tail_lines: None, since: None };
        let attempt = source.name.clone();
        let piece = LogPiece { attempt, stream: source.stream, offset, data, written };
        if pieces.send(Ok(piece.to_proto())).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Most pieces that wait for a client.
const PIECES_MAX: usize = 64;
/// Between two questions to a worker that had no more, or could not be reached.
const PAUSE: Duration = Duration::from_millis(500);
/// So often in a row a worker is asked in vain for the log of an attempt that is over.
const FAILURES_MAX: u32 = 10;
