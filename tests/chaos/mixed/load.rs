//! The jobs of a run: several lanes at once, in each one job after the other.

use std::{path::PathBuf, time::Duration};

use tokio::task::JoinHandle;
use votum_client::{Client, ClientError, Until};
use votum_ids::JobId;
use votum_job::JobSpec;
use votum_tests::{Cluster, Content, Dice, JobDraft, TaskDraft, content_of, request};
use votum_wire::{JobState, JobView, Reason, request::SubmitJob};

use super::tally::Tally;

/// Where one job follows another, all with the same targets.
#[derive(Debug)]
pub(crate) struct Lane {
    number: usize,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    flavour: Flavour,
    job: JobId,
    play: JoinHandle<JobView>,
    /// When it is cancelled, since the start of the run.
    cancel_at: Option<Duration>,
    cancelled: bool,
}

/// What a job does if nothing befalls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flavour {
    /// One task that is done at once.
    Instant,
    /// Three tasks, each pinned to a worker, the third reads what the others made.
    Pinned,
    /// The same, wherever there is room, and for seconds.
    Floating,
    /// One task that fails twice before it succeeds.
    Stumbling,
    /// One task of many small steps.
    Long,
    /// One task that stages megabytes for another.
    Bulky,
    /// The last of three tasks fails for good.
    Failing,
}

impl Lane {
    /// Makes an empty lane.
    pub(crate) fn new(number: usize) -> Self {
        Self { number, current: None }
    }

    /// Says whether its job has not ended.
    pub(crate) fn is_busy(&self) -> bool {
        self.current.is_some()
    }

    /// Judges a job that has ended, hands in the next one, cancels what is to be cancelled.
    pub(crate) fn turn(
        &mut self,
        cluster: &Cluster,
        dice: &mut Dice,
        now: Duration,
        tally: &mut Tally,
    ) {
        self.settle(cluster, tally);
        match &mut self.current {
            None => self.current = Some(Current::begin(self.number, cluster, dice, now)),
            Some(current) => {
                if current.cancel_at.take_if(|at| *at <= now).is_some() {
                    current.cancelled = true;
                    let (client, job) = (cluster.client().clone(), current.job.clone());
                    drop(cluster.spawn(cancel(client, job)));
                }
            }
        }
    }

    /// Judges a job that has ended.
    pub(crate) fn settle(&mut self, cluster: &Cluster, tally: &mut Tally) {
        let over = |current: &mut Current| current.play.is_finished();
        if let Some(current) = self.current.take_if(over) {
            let view = cluster.block_on(current.play).expect("waiting for a job does not fail");
            judge(cluster, current.flavour, current.cancelled, &view);
            tally.ended(&view);
        }
    }

    /// Says how its job stands, if there is one.
    pub(crate) fn describe(&self, cluster: &Cluster) -> Option<String> {
        let current = self.current.as_ref()?;
        Some(format!("{:?}: {:#?}", current.flavour, cluster.glance(&current.job)))
    }
}

impl Current {
    fn begin(lane: usize, cluster: &Cluster, dice: &mut Dice, now: Duration) -> Self {
        let flavour = *dice.choose(&FLAVOURS);
        let cancel_at = dice.chance(12).then(|| now + dice.time_below(CANCEL));
        let job = JobId::new(format!("lane{lane}-{:016x}", dice.bits())).expect("it is a name");
        let submission = SubmitJob {
            spec: flavour.spec(lane, cluster, dice),
            job: Some(job.clone()),
            request: Some(request()),
            validate_only: false,
        };
        let play = cluster.spawn(play(cluster.client().clone(), submission));
        Self { flavour, job, play, cancel_at, cancelled: false }
    }
}

/// Hands a job in and waits for its end, however long the coordinator is away.
async fn play(client: Client, submission: SubmitJob) -> JobView {
    let job = loop {
        match client.submit(&submission).await {
            Ok(submitted) => break submitted.job.expect("it was not only validated").job,
            Err(ClientError::Unavailable { .. } | ClientError::TimedOut { .. }) => {}
            Err(error) => panic!("{:?} is refused: {error}: {error:?}", submission.job),
        }
    };
    loop {
        match client.wait(&job, Until::Ended, None).await {
            Ok(view) => return view,
            Err(ClientError::Unavailable { .. } | ClientError::TimedOut { .. }) => {}
            Err(error) => panic!("{job} cannot be followed: {error}: {error:?}"),
        }
    }
}

async fn cancel(client: Client, job: JobId) {
    match client.cancel(&job, "chaos").await {
        // It was decided before, or not received yet, or nobody is there to hear it.
        Ok(_) | Err(ClientError::Unavailable { .. } | ClientError::TimedOut { .. }) => {}
        Err(ClientError::Refused(problem))
            if [Reason::AlreadyDecided, Reason::JobNotFound].contains(&problem.reason) => {}
        Err(error) => panic!("{job}: {error}: {error:?}"),
    }
}

/// Each output stands on exactly one worker, from the attempt that the coordinator names, or no
/// output stands anywhere.
#[track_caller]
fn judge(cluster: &Cluster, flavour: Flavour, cancelled: bool, view: &JobView) {
    let reason = view.cause.as_ref().map_or("", |cause| cause.reason.as_str());
    match (flavour, view.state) {
        (Flavour::Failing, JobState::Committed) => panic!("it cannot commit: {view:#?}"),
        (_, JobState::Committed) | (Flavour::Failing, JobState::Aborted) => {}
        (_, JobState::Aborted) if cancelled && reason == "CANCELLED" => {}
        (_, JobState::Aborted) if EXCUSES.contains(&reason) => {}
        (..) => panic!("{flavour:?} has ended like this: {view:#?}"),
    }
    for task in &view.tasks {
        let shown: Vec<Content> = cluster
            .targets(&target_of(view.job.as_str(), task.task.as_str()))
            .iter()
            .filter_map(|target| content_of(target))
            .filter(|content| content.job() == Some(view.job.as_str()))
            .collect();
        if view.state == JobState::Aborted {
            assert!(shown.is_empty(), "{}: {shown:?}", view.job);
            continue;
        }
        let [content] = shown.as_slice() else {
            panic!("{} shows {}: {shown:?}, {view:#?}", view.job, task.task)
        };
        let last = task.attempts.last().expect("a committed task has run");
        assert_eq!(content.token(), Some(last.token.to_string().as_str()), "{task:#?}");
    }
}

/// Returns every target of every lane, for a reader.
pub(crate) fn targets(cluster: &Cluster) -> Vec<PathBuf> {
    let names = (0..LANES).flat_map(|lane| TASKS.map(|task| target(lane, task)));
    names.flat_map(|name| cluster.targets(&name)).collect()
}

fn target(lane: usize, task: &str) -> String {
    format!("lane{lane}-{task}.txt")
}

/// Returns the target of a task, whose job's name begins with its lane.
fn target_of(job: &str, task: &str) -> String {
    let lane = job.split('-').next().unwrap_or_default();
    format!("{lane}-{task}.txt")
}

impl Flavour {
    fn spec(self, lane: usize, cluster: &Cluster, dice: &mut Dice) -> JobSpec {
        let mut task = |id: &str, longest: u64| {
            let millis = dice.below(longest.max(1));
            let (seconds, rest) = (millis / 1000, millis % 1000);
            TaskDraft::new(id)
                .counted(&cluster.runs())
                .attempts(ATTEMPTS)
                .runs(&format!("sleep {seconds}.{rest:03}"))
                .writes("rows", "rows.txt")
                .publishes(&target(lane, id))
        };
        let three = |first: TaskDraft, second: TaskDraft, third: TaskDraft| {
            let third = third.reads("left", "t1", "rows").reads("right", "t2", "rows");
            let third = third.runs("cat \"$VOTUM_INPUT_LEFT\" \"$VOTUM_INPUT_RIGHT\" > /dev/null");
            vec![first, second, third]
        };
        let tasks = match self {
            Self::Instant => vec![task("t1", 1)],
            Self::Pinned => {
                three(task("t1", 800).on("s1"), task("t2", 800).on("s2"), task("t3", 800).on("s3"))
            }
            Self::Floating => three(task("t1", 3000), task("t2", 3000), task("t3", 3000)),
            Self::Stumbling => {
                vec![task("t1", 300).runs("[ \"$VOTUM_ATTEMPT\" -gt 2 ] || exit 9")]
            }
            Self::Long => {
                let steps = "i=0; while [ $i -lt 60 ]; do sleep 0.1; i=$((i + 1)); done";
                vec![task("t1", 1).runs(steps)]
            }
            Self::Bulky => {
                let bulk =
                    "dd if=/dev/zero of=\"$VOTUM_OUTPUT_ROWS.bulk\" bs=64k count=64 2>/dev/null";
                let size = "wc -c < \"$VOTUM_INPUT_BULK\" > /dev/null";
                let maker = task("t1", 300).runs(bulk).leaves("bulk", "rows.txt.bulk");
                vec![maker, task("t2", 300).reads("bulk", "t1", "bulk").runs(size)]
            }
            Self::Failing => three(
                task("t1", 500),
                task("t2", 500).on("s2"),
                task("t3", 500).runs("exit 7").attempts(1),
            ),
        };
        let draft = JobDraft::new(&format!("lane{lane}")).votes_within(Duration::from_secs(5));
        let mut spec = tasks.into_iter().fold(draft, JobDraft::task).spec();
        // Longer than any jump of a clock.
        spec.timeout = Duration::from_mins(30);
        spec
    }
}

/// How many jobs are on their way at a time.
pub(crate) const LANES: usize = 5;
/// The tasks that jobs have at most.
const TASKS: [&str; 3] = ["t1", "t2", "t3"];
/// Retries are not what is tried.
const ATTEMPTS: u32 = 60;
/// A job is cancelled before this.
const CANCEL: Duration = Duration::from_secs(6);
const FLAVOURS: [Flavour; 7] = [
    Flavour::Instant,
    Flavour::Pinned,
    Flavour::Floating,
    Flavour::Stumbling,
    Flavour::Long,
    Flavour::Bulky,
    Flavour::Failing,
];
/// Why a job may abort that nobody cancelled: what its tasks write names the attempt, so outputs
/// that are lost again and again never come out the same (R5); and losses of machines are bounded.
const EXCUSES: [&str; 6] = [
    "NONDETERMINISTIC",
    "WORKER_LOST",
    "INTERRUPTED",
    "INPUT_UNAVAILABLE",
    "STORAGE_FAILED",
    "DISK_FULL",
];
