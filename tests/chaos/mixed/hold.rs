//! A person pauses a job for a time: nothing of it may start meanwhile, also on a worker that
//! nobody reaches.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::task::{JoinHandle, spawn_blocking};
use votum_client::{Client, ClientError};
use votum_ids::{Epoch, JobId, TaskId};
use votum_tests::{Cluster, Dice, Stopwatch, let_pass};
use votum_wire::{AttemptView, JobView, hold::PauseJob};

/// A pause that is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    at: Duration,
    length: Duration,
    stop_running: bool,
}

/// A pause of one job.
#[derive(Debug)]
pub(crate) struct Hold {
    plan: Plan,
    job: JobId,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Its time has not come.
    Planned,
    /// It is asked for; the answer is what was under way then, if it was accepted.
    Asked(JoinHandle<Option<UnderWay>>),
    /// It holds.
    Held { under_way: UnderWay, until: Duration },
    /// What has run is compared, and the job goes on.
    Ending(JoinHandle<Result<(), String>>),
}

/// The numbers of the attempts of each task.
type Attempts = BTreeMap<TaskId, BTreeSet<u32>>;

/// What a job had begun when it was paused.
#[derive(Debug, Default)]
struct UnderWay {
    attempts: Attempts,
    /// Of the coordinator by then. One that died before may have given out an attempt whose
    /// record was not on its disk yet: that turns up when its worker lists it (R4).
    epoch: Epoch,
}

impl Plan {
    /// Says of which job.
    pub(crate) fn of(self, job: &JobId) -> Hold {
        Hold { plan: self, job: job.clone(), phase: Phase::Planned }
    }
}

impl Hold {
    /// Draws one.
    pub(crate) fn draw(dice: &mut Dice, now: Duration) -> Plan {
        Plan {
            at: now + dice.time_below(BEGIN),
            length: dice.time_below(LENGTH),
            stop_running: dice.chance(60),
        }
    }

    /// Goes on with it; says whether it is over.
    ///
    /// # Panics
    /// If anything of the job has started while it was paused.
    #[track_caller]
    pub(crate) fn step(&mut self, cluster: &Cluster, now: Duration) -> bool {
        match &mut self.phase {
            Phase::Planned => {
                if self.plan.at <= now {
                    let wish = PauseJob {
                        job: self.job.clone(),
                        reason: "chaos".to_owned(),
                        stop_running: self.plan.stop_running,
                    };
                    let asked = cluster.spawn(ask(cluster.client().clone(), wish));
                    self.phase = Phase::Asked(asked);
                }
                false
            }
            Phase::Asked(asked) => {
                if !asked.is_finished() {
                    return false;
                }
                let answer = cluster.block_on(asked).expect("asking does not fail");
                let Some(under_way) = answer else { return true };
                let until = now.saturating_add(self.plan.length);
                self.phase = Phase::Held { under_way, until };
                false
            }
            Phase::Held { under_way, until } => {
                if *until <= now {
                    let (client, job) = (cluster.client().clone(), self.job.clone());
                    let ending = end(client, job, std::mem::take(under_way), cluster.runs());
                    self.phase = Phase::Ending(cluster.spawn(ending));
                }
                false
            }
            Phase::Ending(ending) => {
                if !ending.is_finished() {
                    return false;
                }
                let judged = cluster.block_on(ending).expect("comparing does not fail");
                judged.unwrap_or_else(|what| panic!("{} while it was paused: {what}", self.job));
                true
            }
        }
    }
}

/// Asks until the job is paused; says nothing if it cannot be any more, or is not there yet.
async fn ask(client: Client, wish: PauseJob) -> Option<UnderWay> {
    loop {
        match client.pause(&wish).await {
            Ok(_) => break,
            Err(ClientError::Unavailable { .. } | ClientError::TimedOut { .. }) => {}
            Err(ClientError::Refused(_)) => return None,
            Err(error) => panic!("{}: {error}: {error:?}", wish.job),
        }
    }
    let epoch = loop {
        match client.cluster().await {
            Ok(cluster) => break cluster.epoch,
            Err(ClientError::Unavailable { .. } | ClientError::TimedOut { .. }) => {}
            Err(error) => panic!("{error}: {error:?}"),
        }
    };
    let attempts = attempts(&read(&client, &wish.job).await, |_| true);
    Some(UnderWay { attempts, epoch })
}

/// Compares what the job has begun, and lets it go on.
async fn end(client: Client, job: JobId, under_way: UnderWay, runs: PathBuf) -> Result<(), String> {
    let view = read_when_listed(&client, &job, &runs).await;
    let mut known = under_way.attempts;
    for (task, before) in attempts(&view, |attempt| attempt.token.epoch < under_way.epoch) {
        known.entry(task).or_default().extend(before);
    }
    let judged = compare(&attempts(&view, |_| true), &known, &runs, &job);
    loop {
        match client.unpause(&job).await {
            // Its answer may have been lost before, and the job may be over.
            Ok(_) | Err(ClientError::Refused(_)) => return judged,
            Err(ClientError::Unavailable { .. } | ClientError::TimedOut { .. }) => {}
            Err(error) => panic!("{job}: {error}: {error:?}"),
        }
    }
}

/// Reads it once the coordinator knows every attempt that has run, or after [`LISTED_WITHIN`]: what
/// one that died gave out without a record turns up when its worker is back and lists it (R4).
async fn read_when_listed(client: &Client, job: &JobId, runs: &Path) -> JobView {
    let watch = Stopwatch::start();
    loop {
        let view = read(client, job).await;
        let known = attempts(&view, |_| true);
        let unlisted =
            |(task, known): (&TaskId, &BTreeSet<u32>)| !ran(runs, job, task).is_subset(known);
        if !known.iter().any(unlisted) || watch.elapsed() > LISTED_WITHIN {
            return view;
        }
        spawn_blocking(|| let_pass(BETWEEN_LOOKS)).await.expect("waiting does not fail");
    }
}

fn compare(begun: &Attempts, known: &Attempts, runs: &Path, job: &JobId) -> Result<(), String> {
    if begun != known {
        return Err(format!("the coordinator began {begun:?} beyond {known:?}"));
    }
    for (task, known) in known {
        let ran = ran(runs, job, task);
        if !ran.is_subset(known) {
            return Err(format!("{task} ran in {ran:?} beyond {known:?}"));
        }
    }
    Ok(())
}

/// Returns the numbers of the attempts whose processes have begun.
fn ran(runs: &Path, job: &JobId, task: &TaskId) -> BTreeSet<u32> {
    let ran = fs::read_to_string(runs.join(format!("{job}.{task}"))).unwrap_or_default();
    ran.lines().filter_map(|line| line.parse().ok()).collect()
}

async fn read(client: &Client, job: &JobId) -> JobView {
    loop {
        match client.job(job).await {
            Ok(view) => return view,
            Err(ClientError::Unavailable { .. } | ClientError::TimedOut { .. }) => {}
            Err(error) => panic!("{job}: {error}: {error:?}"),
        }
    }
}

fn attempts(view: &JobView, wanted: impl Fn(&AttemptView) -> bool) -> Attempts {
    let numbers = |attempts: &[AttemptView]| {
        attempts.iter().filter(|one| wanted(one)).map(|attempt| attempt.number).collect()
    };
    view.tasks.iter().map(|task| (task.task.clone(), numbers(&task.attempts))).collect()
}

/// A job is paused before this.
const BEGIN: Duration = Duration::from_secs(4);
/// For less than this: longer than a lease and its grace.
const LENGTH: Duration = Duration::from_secs(7);
/// A worker that is away by then is back by now, and has listed what it runs.
const LISTED_WITHIN: Duration = Duration::from_mins(1);
/// Seldom enough not to disturb what is measured.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
