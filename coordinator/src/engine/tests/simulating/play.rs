//! What a world is asked to play: the job, how it is meant to end, and what goes wrong.

use std::{fmt, time::Duration};

use votum_commit::Decision;
use votum_wire::Verdict;

use super::{bug::Bug, dice::Dice};

/// One schedule of one job; everything else follows from the seed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Play {
    pub(super) seed: u64,
    pub(super) shape: Shape,
    pub(super) ending: Ending,
    pub(super) crash: Option<Crash>,
    /// How many faults may fall at any time.
    pub(super) faults: u32,
    /// About how many moves lie between two of them.
    pub(super) rarity: usize,
    /// Of which kinds; none without faults.
    pub(super) kinds: Vec<Fault>,
    /// How long a frame may be under way.
    pub(super) delay: Duration,
    /// What a person forces at a worker that is in doubt.
    pub(super) forces: Option<Decision>,
    /// What a person answers when the job asks for approval; none: it does not ask.
    pub(super) approval: Option<Verdict>,
    /// The mistake that is planted.
    pub(super) bug: Option<Bug>,
}

/// What kind of job it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One task that acts outside, two that publish, effects of each kind; two workers.
    Saga,
    /// One task that publishes on two workers what a third one holds as well.
    Replicated,
    /// Tasks, arrows, places, replicas and effects as the seed has them; three workers.
    Drawn,
}

/// How the job is meant to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything goes well.
    Commits,
    /// A task always fails.
    TaskFails,
    /// Every worker votes No.
    VotesNo,
    /// A client cancels the job after so many moves.
    Cancelled(usize),
}

/// Who is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    Chief,
    Worker(&'static str),
}

/// Where a process dies: some moves after its journal has so many records, and without a sync
/// in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crash {
    pub(super) who: Who,
    pub(super) records: usize,
    /// Whether what no sync has covered is on the disk all the same.
    pub(super) kept: bool,
    /// How many moves later.
    pub(super) delay: usize,
    /// Whether its machine never comes back.
    pub(super) for_good: bool,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// A daemon is killed; what it had started runs on.
    Kill,
    /// A machine loses its power: unsynced writes are gone from somewhere on, the last one torn.
    PowerCut,
    /// A connection is reset.
    Cut,
    /// Nothing passes between a worker and everybody else.
    Partition,
    /// Nothing that a worker says reaches the coordinator.
    PartitionUp,
    /// Nothing that the coordinator says reaches a worker.
    PartitionDown,
    /// Single messages of the commit protocol get lost, come twice or overtake each other.
    Loss,
    /// A daemon stands still.
    Pause,
    /// A disk takes nothing more.
    DiskFull,
    /// A sync fails, once.
    SyncFails,
    /// A daemon starts again with another time of day.
    ClockJump,
    /// A worker is gone for good, and its disk with it.
    Lost,
}

impl Fault {
    pub(super) const ALL: [Self; 12] = [
        Self::Kill,
        Self::PowerCut,
        Self::Cut,
        Self::Partition,
        Self::PartitionUp,
        Self::PartitionDown,
        Self::Loss,
        Self::Pause,
        Self::DiskFull,
        Self::SyncFails,
        Self::ClockJump,
        Self::Lost,
    ];
}

impl Play {
    /// The job of the sagas, with nothing that goes wrong.
    pub(super) fn calm(seed: u64, ending: Ending) -> Self {
        Self {
            seed,
            shape: Shape::Saga,
            ending,
            crash: None,
            faults: 0,
            rarity: 40,
            kinds: Vec::new(),
            delay: Duration::ZERO,
            forces: None,
            approval: None,
            bug: None,
        }
    }

    /// Returns what this seed stands for in a campaign.
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, 0x0070_6c61_7900);
        let ending = match dice.below(10) {
            0 => Ending::TaskFails,
            1 => Ending::VotesNo,
            2 | 3 => Ending::Cancelled(20 + dice.below(200)),
            _ => Ending::Commits,
        };
        let shape = match dice.below(8) {
            0 => Shape::Saga,
            1 => Shape::Replicated,
            _ => Shape::Drawn,
        };
        let kinds = if dice.once_in(2) {
            Fault::ALL.to_vec()
        } else {
            Fault::ALL.into_iter().filter(|_| dice.once_in(3)).collect()
        };
        let delays = [0, 0, 5, 50, 500, 4_000];
        let delay = Duration::from_millis(*dice.one_of(&delays));
        let forces = match dice.below(8) {
            0 => Some(Decision::Abort),
            1 => Some(Decision::Commit),
            _ => None,
        };
        let approval = match dice.below(8) {
            0 | 1 => Some(Verdict::Approve),
            2 => Some(Verdict::Reject),
            _ => None,
        };
        let faults = if kinds.is_empty() { 0 } else { u32::try_from(1 + dice.below(8)).unwrap() };
        let rarity = *dice.one_of(&[10, 40, 40, 100, 200]);
        Self { shape, faults, rarity, kinds, delay, forces, approval, ..Self::calm(seed, ending) }
    }

    /// Says whether faults of this kind may fall.
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.kinds.contains(&fault)
    }
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, shape, ending, faults, rarity, kinds, .. } = self;
        let Self { delay, forces, approval, bug, crash, .. } = self;
        write!(f, "seed {seed}: {shape:?}, meant to end {ending:?}")?;
        write!(
            f,
            "; {faults} faults, about {rarity} moves apart, of {kinds:?}; frames under way up to {delay:?}"
        )?;
        write!(f, "; a person forces {forces:?}, answers {approval:?}")?;
        write!(f, "; crash {crash:?}; planted {bug:?}")
    }
}
