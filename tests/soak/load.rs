//! The jobs of a run: several lanes, in each one job after the other until the run is over.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;
use votum_client::{Client, ClientError};
use votum_ids::JobId;
use votum_job::JobSpec;
use votum_tests::{Cluster, Dice, JobDraft, Stopwatch, TaskDraft, eventually, request};
use votum_wire::{JobState, JobView, Reason, TaskState, request::SubmitJob};

use crate::{KEPT, LIMIT, WORKERS};

/// Lanes at work.
pub(crate) struct Load {
    lanes: Vec<JoinHandle<()>>,
    ledger: Arc<Ledger>,
}

/// What every lane writes into.
#[derive(Default)]
struct Ledger {
    is_over: AtomicBool,
    tally: Mutex<Tally>,
    latencies: Mutex<Latencies>,
}

/// How jobs have ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) committed: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
}

/// How long calls and jobs took since somebody asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies {
    /// Until the answer to a submission.
    pub(crate) submits: Vec<Duration>,
    /// From the submission to the end of a job that commits.
    pub(crate) jobs: Vec<Duration>,
}

/// What becomes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Commits,
    Fails,
    IsCancelled,
}

impl Load {
    /// Starts every lane.
    pub(crate) fn begin(cluster: &Cluster, seed: u64) -> Self {
        let ledger = Arc::new(Ledger::default());
        let mut dice = Dice::new(seed);
        let lanes = (0..LANES).map(|number| {
            let (client, ledger) = (cluster.client().clone(), Arc::clone(&ledger));
            cluster.spawn(run_lane(number, client, Dice::new(dice.bits()), ledger))
        });
        Self { lanes: lanes.collect(), ledger }
    }

    /// Returns how jobs have ended until now.
    pub(crate) fn tally(&self) -> Tally {
        *self.ledger.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was measured since this was asked for the last time.
    pub(crate) fn latencies_since_last(&self) -> Latencies {
        let mut latencies = self.ledger.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut latencies)
    }

    /// Lets every lane end with the job that it has.
    pub(crate) fn end(self, cluster: &Cluster) -> Tally {
        self.ledger.is_over.store(true, Ordering::SeqCst);
        eventually("every lane ends", LIMIT, || {
            self.lanes.iter().all(JoinHandle::is_finished).then_some(())
        });
        let tally = self.tally();
        for lane in self.lanes {
            cluster.block_on(lane).expect("no lane panics");
        }
        tally
    }
}

async fn run_lane(number: usize, client: Client, mut dice: Dice, ledger: Arc<Ledger>) {
    while !ledger.is_over.load(Ordering::SeqCst) {
        let fate = match dice.below(10) {
            0 => Fate::Fails,
            1 => Fate::IsCancelled,
            _ => Fate::Commits,
        };
        let watch = Stopwatch::start();
        let submission = SubmitJob {
            spec: spec(number, fate),
            job: None,
            request: Some(request()),
            validate_only: false,
        };
        let submitted = client.submit(&submission).await.expect("a job is received");
        let took = watch.elapsed();
        let job = submitted.job.expect("it was not only validated").job;
        let view = follow(&client, &job, fate).await;
        ledger.enter(fate, &view, took, watch.elapsed());
    }
}

/// Follows a job to its end, and cancels it once it runs if that is its fate.
async fn follow(client: &Client, job: &JobId, fate: Fate) -> JobView {
    let mut watch = client.watch(job);
    let mut is_cancelled = false;
    loop {
        let view = watch.next().await.expect("a job ends").expect("the coordinator is there");
        if view.state.is_final() {
            return view;
        }
        let runs = view.tasks.iter().any(|task| task.state == TaskState::Running);
        if fate == Fate::IsCancelled && runs && !is_cancelled {
            is_cancelled = true;
            match client.cancel(job, "soak").await {
                Ok(_) => {}
                Err(ClientError::Refused(problem)) if problem.reason == Reason::AlreadyDecided => {}
                Err(error) => panic!("{job}: {error}: {error:?}"),
            }
        }
    }
}

impl Ledger {
    fn enter(&self, fate: Fate, view: &JobView, submit: Duration, whole: Duration) {
        let expected = match fate {
            Fate::Commits => JobState::Committed,
            Fate::Fails | Fate::IsCancelled => JobState::Aborted,
        };
        assert_eq!(view.state, expected, "{fate:?}: {view:#?}");
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        match fate {
            Fate::Commits => tally.committed += 1,
            Fate::Fails => tally.failed += 1,
            Fate::IsCancelled => tally.cancelled += 1,
        }
        let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        latencies.submits.push(submit);
        if fate == Fate::Commits {
            latencies.jobs.push(whole);
        }
    }
}

/// Writes a job of three tasks, each of which publishes where the lane's job before has.
fn spec(lane: usize, fate: Fate) -> JobSpec {
    let target = format!("lane{lane}.txt");
    let task = |id: &str, worker: &str| {
        TaskDraft::new(id)
            .on(worker)
            .attempts(1)
            .writes("rows", "rows.txt")
            .publishes(&target)
            .keeping(GENERATIONS_KEPT)
    };
    let third = task("t3", WORKERS[2]).reads("left", "t1", "rows").reads("right", "t2", "rows");
    let third = match fate {
        Fate::Commits => third,
        Fate::Fails => third.runs("exit 7"),
        Fate::IsCancelled => third.runs("while :; do sleep 0.1; done"),
    };
    let job = JobDraft::new(&format!("lane{lane}"))
        .task(task("t1", WORKERS[0]))
        .task(task("t2", WORKERS[1]))
        .task(third);
    JobSpec { retention: KEPT, ..job.spec() }
}

impl Tally {
    /// Says whether some jobs have committed, some failed and some were cancelled.
    pub(crate) fn is_of_every_kind(self) -> bool {
        self.committed > 0 && self.failed > 0 && self.cancelled > 0
    }

    /// Counts all of them.
    pub(crate) fn jobs(self) -> u64 {
        self.committed + self.failed + self.cancelled
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { committed, failed, cancelled } = self;
        write!(f, "{} jobs: {committed} committed, ", self.jobs())?;
        write!(f, "{failed} failed, {cancelled} cancelled")
    }
}

/// How many jobs are on their way at a time.
pub(crate) const LANES: usize = 6;
/// How many earlier generations stay at a target.
pub(crate) const GENERATIONS_KEPT: u32 = 1;
