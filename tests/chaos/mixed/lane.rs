//! The jobs of a run: several lanes at once, in each one job after the other.

use std::{path::PathBuf, time::Duration};

use tokio::task::JoinHandle;
use votum_ids::JobId;
use votum_tests::{Cluster, Dice, request};
use votum_wire::{JobView, request::SubmitJob};

use super::{
    flavour::{Deck, Flavour},
    hold::Hold,
    oracle::judge,
    people,
    tally::Tally,
};

/// Where one job follows another, all with the same targets.
#[derive(Debug)]
pub(crate) struct Lane {
    number: usize,
    current: Option<Current>,
}

/// What is drawn when a job begins.
#[derive(Debug)]
pub(crate) struct Draws<'a> {
    pub(crate) dice: &'a mut Dice,
    pub(crate) deck: &'a mut Deck,
    /// Whether the workers can limit the memory of a task.
    pub(crate) can_limit: bool,
}

#[derive(Debug)]
struct Current {
    flavour: Flavour,
    job: JobId,
    /// The job, and the one that took over what it staged.
    play: JoinHandle<Vec<JobView>>,
    /// When it is cancelled, since the start of the run.
    cancel_at: Option<Duration>,
    cancelled: bool,
    hold: Option<Hold>,
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

    /// Judges a job that has ended, hands in the next one, and lets people have their ways with it.
    pub(crate) fn turn(
        &mut self,
        cluster: &Cluster,
        draws: &mut Draws<'_>,
        now: Duration,
        tally: &mut Tally,
    ) {
        self.settle(cluster, now, tally);
        match &mut self.current {
            None => self.current = Some(Current::begin(self.number, cluster, draws, now)),
            Some(current) => {
                if current.cancel_at.take_if(|at| *at <= now).is_some() {
                    current.cancelled = true;
                    let (client, job) = (cluster.client().clone(), current.job.clone());
                    drop(cluster.spawn(people::cancel(client, job)));
                }
            }
        }
    }

    /// Judges a job that has ended, and goes on with its pause.
    pub(crate) fn settle(&mut self, cluster: &Cluster, now: Duration, tally: &mut Tally) {
        let Some(current) = &mut self.current else { return };
        if let Some(hold) = &mut current.hold
            && hold.step(cluster, now)
        {
            tally.holds += 1;
            current.hold = None;
        }
        let over = |current: &mut Current| current.play.is_finished() && current.hold.is_none();
        if let Some(current) = self.current.take_if(over) {
            let views = cluster.block_on(current.play).expect("waiting for a job does not fail");
            judge(cluster, current.flavour, current.cancelled, &views);
            tally.ended(current.flavour, &views);
        }
    }

    /// Says how its job stands, if there is one.
    pub(crate) fn describe(&self, cluster: &Cluster) -> Option<String> {
        let current = self.current.as_ref()?;
        let (flavour, hold) = (current.flavour, &current.hold);
        Some(format!("{flavour:?}, {hold:?}: {:#?}", cluster.glance(&current.job)))
    }
}

impl Current {
    fn begin(lane: usize, cluster: &Cluster, draws: &mut Draws<'_>, now: Duration) -> Self {
        let Draws { dice, deck, can_limit } = draws;
        let flavour = deck.draw(dice);
        let cancel_at = dice.chance(12).then(|| now + dice.time_below(CANCEL));
        let hold = (dice.chance(25) && flavour.can_be_held()).then(|| Hold::draw(dice, now));
        let name = format!("lane{lane}-{:016x}", dice.bits());
        let job = JobId::new(name.as_str()).expect("it is a name");
        let submission = SubmitJob {
            spec: flavour.spec(&name, cluster, dice, *can_limit),
            job: Some(job.clone()),
            request: Some(request()),
            validate_only: false,
        };
        let gate = cluster.runs().join(format!("{name}.mended"));
        let play = cluster.spawn(people::play(cluster.client().clone(), submission, flavour, gate));
        let hold = hold.map(|plan| plan.of(&job));
        Self { flavour, job, play, cancel_at, cancelled: false, hold }
    }
}

/// Returns every target of every lane, for a reader.
pub(crate) fn targets(cluster: &Cluster) -> Vec<PathBuf> {
    let names = (0..LANES).flat_map(|lane| TASKS.map(|task| target(lane, task)));
    names.flat_map(|name| cluster.targets(&name)).collect()
}

/// Returns the target of a task of a lane's jobs.
fn target(lane: usize, task: &str) -> String {
    format!("lane{lane}-{task}.txt")
}

/// Returns the target of a task, whose job's name begins with its lane.
pub(crate) fn target_of(job: &str, task: &str) -> String {
    let lane = job.split('-').next().unwrap_or_default();
    format!("{lane}-{task}.txt")
}

/// How many jobs are on their way at a time.
pub(crate) const LANES: usize = 5;
/// The tasks that jobs have at most.
const TASKS: [&str; 3] = ["t1", "t2", "t3"];
/// A job is cancelled before this.
const CANCEL: Duration = Duration::from_secs(6);
