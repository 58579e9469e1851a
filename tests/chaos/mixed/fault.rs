//! The faults: what they do to whom, for how long, and how they end.

use std::{path::Path, time::Duration};

use votum_client::Client;
use votum_ids::WorkerId;
use votum_job::RESERVED_LABELS;
use votum_tests::{Cluster, Dice, SmallDisk};
use votum_wire::operation::DrainWorker;

use super::DAEMONS;

/// A fault that lasts.
#[derive(Debug)]
pub(crate) struct Affliction {
    pub(crate) fault: Fault,
    /// Since the start of the run.
    pub(crate) end: Duration,
}

/// What befalls whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Killed with SIGKILL, and started again.
    Killed(&'static str),
    /// Stopped with SIGSTOP, for less than the lease or for more, and going on as if nothing had been.
    Frozen(&'static str, Span),
    /// Its frames are lost.
    Cut(&'static str, Direction),
    /// No byte is free on its disk.
    DiskFull(&'static str),
    /// Killed, and started again with a wall clock so many seconds off.
    ClockJumped(&'static str, i64),
    /// Drained by an operator, and resumed.
    Drained(&'static str, Option<Duration>),
}

/// How long somebody stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// Less than the lease.
    Short,
    /// Up to four leases.
    Long,
}

/// Whose frames are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Nothing comes in or goes out.
    Both,
    /// What the coordinator sends to it is lost.
    FromCoordinator,
    /// What it sends to the coordinator is lost.
    ToCoordinator,
}

impl Fault {
    /// Draws one.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let anybody = *dice.choose(&DAEMONS);
        let worker = *dice.choose(&DAEMONS[1..]);
        match dice.below(100) {
            0..35 => Self::Killed(anybody),
            35..45 => Self::Frozen(anybody, Span::Short),
            45..55 => Self::Frozen(anybody, Span::Long),
            55..75 => {
                let directions =
                    [Direction::Both, Direction::FromCoordinator, Direction::ToCoordinator];
                Self::Cut(worker, *dice.choose(&directions))
            }
            75..83 => Self::DiskFull(super::SMALL),
            83..90 => {
                let seconds = i64::try_from(dice.below(2 * JUMP_MAX)).unwrap_or_default();
                Self::ClockJumped(anybody, seconds - i64::try_from(JUMP_MAX).unwrap_or_default())
            }
            _ => {
                let limit = dice.chance(50).then(|| dice.time_below(Duration::from_secs(3)));
                Self::Drained(worker, limit)
            }
        }
    }

    /// Draws how long it lasts.
    pub(crate) fn length(&self, dice: &mut Dice, lease: Duration) -> Duration {
        match self {
            Self::Killed(_) | Self::ClockJumped(..) => dice.time_below(Duration::from_secs(4)),
            Self::Frozen(_, Span::Short) => dice.time_below(lease * 2 / 3),
            Self::Frozen(_, Span::Long) => lease + dice.time_below(lease * 3),
            Self::Cut(..) => dice.time_below(lease * 4),
            Self::DiskFull(_) | Self::Drained(..) => dice.time_below(Duration::from_secs(6)),
        }
    }

    /// Says whether this machine allows it.
    pub(crate) fn is_possible(&self, cluster: &Cluster, disk: Option<&SmallDisk>) -> bool {
        match self {
            Self::Killed(_) | Self::Frozen(..) | Self::Drained(..) => true,
            Self::Cut(..) => cluster.is_apart(),
            Self::DiskFull(_) => disk.is_some(),
            Self::ClockJumped(..) => clocks_can_jump().is_ok(),
        }
    }

    /// Returns whom it befalls.
    pub(crate) fn victim(&self) -> &'static str {
        match self {
            Self::Killed(victim)
            | Self::Frozen(victim, _)
            | Self::Cut(victim, _)
            | Self::DiskFull(victim)
            | Self::ClockJumped(victim, _)
            | Self::Drained(victim, _) => victim,
        }
    }

    /// Says whether the victim is not to be started before its end.
    pub(crate) fn keeps_away(&self, name: &str) -> bool {
        match self {
            Self::Killed(victim) | Self::ClockJumped(victim, _) => *victim == name,
            Self::Frozen(..) | Self::Cut(..) | Self::DiskFull(_) | Self::Drained(..) => false,
        }
    }

    /// Returns its word for the summary.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Killed(_) => "killed",
            Self::Frozen(_, Span::Short) => "frozen",
            Self::Frozen(_, Span::Long) => "frozen long",
            Self::Cut(_, Direction::Both) => "cut",
            Self::Cut(..) => "cut one way",
            Self::DiskFull(_) => "disk full",
            Self::ClockJumped(..) => "clock jumped",
            Self::Drained(..) => "drained",
        }
    }

    /// Lets it fall.
    pub(crate) fn fall(&self, cluster: &mut Cluster, disk: Option<&SmallDisk>) {
        match self {
            Self::Killed(victim) => cluster.daemon(victim).kill(),
            Self::Frozen(victim, _) => cluster.daemon(victim).freeze(),
            Self::Cut(..) => self.last(cluster),
            Self::DiskFull(_) => disk.expect("it is possible").fill(),
            Self::ClockJumped(victim, seconds) => {
                let library = clocks_can_jump().expect("it is possible");
                let daemon = cluster.daemon(victim);
                daemon.kill();
                daemon.set_variable("LD_PRELOAD", library);
                daemon.set_variable("FAKETIME", &format!("{seconds:+}s"));
                for (name, value) in WALL_CLOCK_ONLY {
                    daemon.set_variable(name, value);
                }
            }
            Self::Drained(victim, time_limit) => {
                let order = DrainWorker {
                    worker: worker(victim),
                    time_limit: *time_limit,
                    reason: "chaos".to_owned(),
                };
                let client = cluster.client().clone();
                // Nobody waits for the answer: the coordinator may be away.
                drop(cluster.spawn(async move { client.drain_worker(&order).await }));
            }
        }
    }

    /// Goes on after the network was healed of another one.
    pub(crate) fn last(&self, cluster: &Cluster) {
        let Self::Cut(victim, direction) = self else { return };
        match direction {
            Direction::Both => cluster.network().isolate(victim),
            Direction::FromCoordinator => cluster.network().cut("coordinator", victim),
            Direction::ToCoordinator => cluster.network().cut(victim, "coordinator"),
        }
    }

    /// Ends it.
    pub(crate) fn end(&self, cluster: &mut Cluster, disk: Option<&SmallDisk>) {
        match self {
            Self::Killed(victim) | Self::ClockJumped(victim, _) => cluster.daemon(victim).start(),
            Self::Frozen(victim, _) => {
                // It may have ended by itself in the moment before.
                if cluster.daemon(victim).is_started() {
                    cluster.daemon(victim).thaw();
                }
            }
            Self::Cut(..) => cluster.network().heal(),
            Self::DiskFull(_) => disk.expect("it was possible").free(),
            Self::Drained(victim, _) => {
                let (client, worker) = (cluster.client().clone(), worker(victim));
                drop(cluster.spawn(resume(client, worker)));
            }
        }
    }
}

/// Lets every worker take attempts again, whatever became of the orders before.
pub(crate) fn resume_all(cluster: &Cluster) {
    for name in &DAEMONS[1..] {
        let resumed = resume(cluster.client().clone(), worker(name));
        cluster.block_on(resumed);
    }
}

/// Says whether the workers can limit the memory of a task.
pub(crate) fn memory_is_limited(cluster: &Cluster) -> bool {
    let workers = cluster.block_on(cluster.client().workers()).expect("all are ready");
    let label = format!("{RESERVED_LABELS}limit.memory");
    let can = workers.iter().all(|worker| worker.labels.contains_key(&label));
    if !can {
        println!("NOT RUN: memory limits in the mixed chaos: no control group can limit it here");
    }
    can
}

/// Returns the library that shows a daemon another time of day.
///
/// # Errors
/// Says that it is not installed.
pub(crate) fn clocks_can_jump() -> Result<&'static str, String> {
    let found = LIBRARIES.into_iter().find(|library| Path::new(library).exists());
    found.ok_or_else(|| "faketime is not installed".to_owned())
}

async fn resume(client: Client, worker: WorkerId) {
    // A run that is not over resumes it once more at its end.
    let _ = client.resume_worker(&worker).await;
}

fn worker(name: &str) -> WorkerId {
    WorkerId::new(name).expect("the names of the cluster are names")
}

/// Where Debian puts it.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];
/// The time of day alone is faked. What the library of a killed
/// daemon keeps in /dev/shm goes at the end of the run.
const WALL_CLOCK_ONLY: [(&str, &str); 3] =
    [("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("NO_FAKE_STAT", "1"), ("FAKETIME_DISABLE_SHM", "1")];
/// Seconds; less than a job's deadline, which a jump forward brings nearer (V5).
const JUMP_MAX: u64 = 300;
