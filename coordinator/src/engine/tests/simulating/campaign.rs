//! Seed after seed on every core, until a promise is broken or the time is over.

use std::{
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use votum_commit::Decision;
use votum_driver::Clock;

use super::{
    ledger::Violation,
    play::{Fault, Play},
    world::{Failure, Outcome, World},
};

/// How long a campaign goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// From this seed on.
    pub(super) seed: u64,
    /// At most so many schedules.
    pub(super) schedules: u64,
    /// At most so long.
    pub(super) time: Duration,
}

/// What a campaign has seen.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) schedules: u64,
    pub(super) commits: u64,
    pub(super) aborts: u64,
    pub(super) mixed: u64,
    replaced: u64,
    given_up: u64,
    forced: u64,
    undone: u64,
    moves: u64,
    simulated: Duration,
    pub(super) twice: u64,
    pub(super) faults: BTreeMap<Fault, u64>,
    pub(super) took: Duration,
}

/// The first seed that broke a promise.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) play: Play,
    pub(super) invariant: &'static str,
}

/// Plays one seed, and says also of a panic that it broke something.
///
/// # Errors
/// The first promise that was broken.
pub(super) fn play(play: &Play, tells: bool) -> Result<Outcome, Box<Failure>> {
    catch_unwind(AssertUnwindSafe(|| World::told(play, tells))).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let violation = Violation {
            invariant: "panic",
            rule: "V1: recovery is repeatable, and no machine ever contradicts itself",
            source: "assertions of the machines and of their replay",
            said: said.unwrap_or_default(),
            time: Duration::ZERO,
        };
        Err(Box::new(Failure { violation, moves: 0, lines: Vec::new() }))
    })
}

/// Plays one seed after the other.
///
/// # Errors
/// The smallest seed that broke a promise, of those that were played by then.
pub(super) fn run(limit: Limit) -> Result<Report, Box<Broken>> {
    let (clock, next, stop) = (Clock::start(), AtomicU64::new(limit.seed), AtomicBool::new(false));
    let (report, broken) = (Mutex::new(Report::default()), Mutex::new(None::<Broken>));
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(CORES_MAX);
    let one_core = || {
        let mut mine = Report::default();
        while !stop.load(Ordering::Relaxed) && clock.now().elapsed() < limit.time {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed - limit.seed >= limit.schedules {
                break;
            }
            let asked = Play::of(seed);
            match play(&asked, false) {
                Ok(outcome) => {
                    // Now and then the same again: one seed decides everything.
                    if seed % TWICE_EVERY == 0 {
                        let again = play(&asked, false).map(|again| again.trace).ok();
                        assert_eq!(again, Some(outcome.trace), "seed {seed} came out differently");
                        mine.twice += 1;
                    }
                    mine.count(&outcome);
                }
                Err(failure) => {
                    stop.store(true, Ordering::Relaxed);
                    let mut broken = broken.lock().unwrap();
                    if broken.as_ref().is_none_or(|other| other.play.seed > seed) {
                        let invariant = failure.violation.invariant;
                        *broken = Some(Broken { play: asked, invariant });
                    }
                }
            }
        }
        report.lock().unwrap().add(mine);
    };
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(one_core);
        }
    });
    match broken.into_inner().unwrap() {
        Some(broken) => Err(Box::new(broken)),
        None => Ok(Report { took: clock.now().elapsed(), ..report.into_inner().unwrap() }),
    }
}

impl Report {
    fn count(&mut self, outcome: &Outcome) {
        self.schedules += 1;
        match outcome.decision {
            Some(Decision::Commit) => self.commits += 1,
            Some(Decision::Abort) | None => self.aborts += 1,
        }
        self.mixed += u64::from(outcome.mixed);
        self.replaced += u64::from(outcome.replaced);
        self.given_up += u64::from(outcome.given_up);
        self.forced += u64::from(outcome.forced.is_some());
        self.undone += u64::from(outcome.undone > 0);
        self.moves += outcome.moves as u64;
        self.simulated += outcome.time;
        for (fault, times) in &outcome.tally {
            *self.faults.entry(*fault).or_default() += u64::from(*times);
        }
    }

    fn add(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.commits += other.commits;
        self.aborts += other.aborts;
        self.mixed += other.mixed;
        self.replaced += other.replaced;
        self.given_up += other.given_up;
        self.forced += other.forced;
        self.undone += other.undone;
        self.moves += other.moves;
        self.simulated += other.simulated;
        self.twice += other.twice;
        for (fault, times) in other.faults {
            *self.faults.entry(fault).or_default() += times;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schedules, commits, aborts, mixed, replaced, given_up, forced, undone, .. } =
            self;
        let seconds = self.took.as_secs_f64().max(0.001);
        let rate = *schedules as f64 * 60.0 / seconds;
        writeln!(f, "{schedules} schedules in {seconds:.1} s, {rate:.0} a minute, 0 violations")?;
        writeln!(f, "  {commits} committed, {aborts} aborted, {mixed} of them mixed")?;
        writeln!(f, "  a publisher replaced in {replaced}, given up in {given_up}")?;
        writeln!(f, "  an outcome forced in {forced}, something undone in {undone}")?;
        let hours = self.simulated.as_secs() / 3_600;
        writeln!(f, "  {} moves, {hours} simulated hours", self.moves)?;
        writeln!(f, "  {} seeds played twice, with the same trace", self.twice)?;
        write!(f, "  faults:")?;
        for (fault, times) in &self.faults {
            write!(f, " {fault:?} {times}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match play(&self.play, true) {
            Ok(_) => writeln!(f, "the seed broke {} once, and not again", self.invariant)?,
            Err(failure) => writeln!(f, "{failure}")?,
        }
        writeln!(f, "{}", self.play)?;
        write!(f, "again: cargo xtask sim --seed {} --schedules 1", self.play.seed)
    }
}

/// Every so many seeds one is played twice.
const TWICE_EVERY: u64 = 100;
/// No more threads than this.
const CORES_MAX: usize = 64;
