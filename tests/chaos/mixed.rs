//! Several jobs at once, and faults of every kind upon them, until the time is up.
//!
//! One seed decides which jobs are handed in and which faults fall when. Then
//! the faults stop: every job must come to its end, and nothing may be left.

mod aftermath;
mod fault;
mod flavour;
mod hold;
mod lane;
mod oracle;
mod people;
mod tally;

use std::time::Duration;

use fault::{Affliction, Fault};
use flavour::Deck;
use lane::{Draws, Lane};
use tally::Tally;
use votum_tests::{Cluster, Dice, Reader, SmallDisk, Stopwatch, Timing, let_pass, programs};

/// Tears at a cluster for `length`, and checks what it comes to.
pub(crate) fn run(seed: u64, length: Duration) {
    println!("seed {seed}, mixed faults for {length:?}");
    let mut run = Run::prepared(seed);
    while run.watch.elapsed() < length {
        run.step();
        let_pass(STEP);
    }
    run.heal();
    run.finish();
}

/// A cluster under load and under attack.
struct Run {
    cluster: Cluster,
    disk: Option<SmallDisk>,
    /// Until it is asked what it saw.
    reader: Option<Reader>,
    dice: Dice,
    deck: Deck,
    /// Whether the workers can limit the memory of a task.
    can_limit: bool,
    watch: Stopwatch,
    lanes: Vec<Lane>,
    afflictions: Vec<Affliction>,
    next_fault: Duration,
    /// When the worker that has ended by itself is started again.
    restart_at: Option<Duration>,
    tally: Tally,
}

impl Run {
    fn prepared(seed: u64) -> Self {
        let mut cluster = match Cluster::prepared_apart(&programs!(), CHAOTIC) {
            Ok(cluster) => cluster,
            Err(why) => {
                println!("NOT RUN: network cuts in the mixed chaos: {why}");
                Cluster::prepared(&programs!(), CHAOTIC)
            }
        };
        let disk = match small_disk(&cluster) {
            Ok(disk) => Some(disk),
            Err(why) => {
                println!("NOT RUN: full disks in the mixed chaos: {why}");
                None
            }
        };
        if let Err(why) = fault::clocks_can_jump() {
            println!("NOT RUN: clock jumps in the mixed chaos: {why}");
        }
        cluster.start_all();
        let can_limit = fault::memory_is_limited(&cluster);
        let reader = Reader::start(lane::targets(&cluster), cluster.journal("coordinator"));
        Self {
            cluster,
            disk,
            reader: Some(reader),
            dice: Dice::new(seed),
            deck: Deck::default(),
            can_limit,
            watch: Stopwatch::start(),
            lanes: (0..lane::LANES).map(Lane::new).collect(),
            afflictions: Vec::new(),
            next_fault: Duration::ZERO,
            restart_at: None,
            tally: Tally::default(),
        }
    }

    fn step(&mut self) {
        let now = self.watch.elapsed();
        self.relieve(now);
        self.restart_the_fallen();
        let (dice, deck, can_limit) = (&mut self.dice, &mut self.deck, self.can_limit);
        let mut draws = Draws { dice, deck, can_limit };
        for lane in &mut self.lanes {
            lane.turn(&self.cluster, &mut draws, now, &mut self.tally);
        }
        if now >= self.next_fault {
            self.afflict(now);
            self.next_fault = now + GAP_MIN + self.dice.time_below(GAP);
        }
    }

    /// Draws a fault and lets it fall, unless its victim has trouble enough.
    fn afflict(&mut self, now: Duration) {
        let fault = Fault::draw(&mut self.dice);
        let length = fault.length(&mut self.dice, CHAOTIC.lease);
        let there = self.cluster.daemon(fault.victim()).is_started();
        let possible = there && fault.is_possible(&self.cluster, self.disk.as_ref());
        let suffers =
            |victim: &str| self.afflictions.iter().any(|one| one.fault.victim() == victim);
        if !possible || suffers(fault.victim()) || self.afflictions.len() >= AFFLICTIONS_MAX {
            return;
        }
        println!("{now:.1?}: {fault:?} for {length:.1?}");
        fault.fall(&mut self.cluster, self.disk.as_ref());
        self.tally.fault(&fault);
        self.afflictions.push(Affliction { fault, end: now + length });
    }

    /// Ends what has lasted long enough.
    fn relieve(&mut self, now: Duration) {
        let (over, lasting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.afflictions).into_iter().partition(|one| one.end <= now);
        self.afflictions = lasting;
        for one in over {
            one.fault.end(&mut self.cluster, self.disk.as_ref());
        }
        // A network is healed as a whole; what is to stay cut is cut again.
        for one in &self.afflictions {
            one.fault.last(&self.cluster);
        }
    }

    /// Starts a daemon again that has ended by itself, as a service manager does. Only one whose
    /// disk is full may (V3).
    fn restart_the_fallen(&mut self) {
        let now = self.watch.elapsed();
        for name in DAEMONS {
            let daemon = self.cluster.daemon(name);
            if !daemon.is_started() || daemon.exited().is_none() {
                continue;
            }
            assert_eq!(name, SMALL, "{name} has ended by itself: {}", daemon.log());
            self.tally.fallen += 1;
            self.restart_at = Some(now + RESTART_PAUSE);
        }
        if self.restart_at.take_if(|at| *at <= now).is_some()
            && !self.cluster.worker(SMALL).is_started()
            && !self.afflictions.iter().any(|one| one.fault.keeps_away(SMALL))
        {
            self.cluster.worker(SMALL).start();
        }
    }

    /// Ends all faults, and waits until every job has come to its end.
    fn heal(&mut self) {
        println!("{:.1?}: the faults end", self.watch.elapsed());
        let begin = self.watch.elapsed();
        self.relieve(Duration::MAX);
        self.cluster.start_missing();
        while self.lanes.iter().any(Lane::is_busy) {
            let waited = self.watch.elapsed() - begin;
            if waited > HEALING_MAX {
                let left: Vec<_> =
                    self.lanes.iter().filter_map(|lane| lane.describe(&self.cluster)).collect();
                panic!("not ended {waited:?} after the last fault: {left:#?}");
            }
            self.restart_the_fallen();
            fault::resume_all(&self.cluster);
            for lane in &mut self.lanes {
                // A pause ends with the faults.
                lane.settle(&self.cluster, Duration::MAX, &mut self.tally);
            }
            let_pass(STEP);
        }
        println!("healed within {:.1?}", self.watch.elapsed() - begin);
    }

    fn finish(mut self) {
        fault::resume_all(&self.cluster);
        self.cluster.wait_until_ready();
        aftermath::nothing_is_left(&self.cluster);
        aftermath::journals_open_again(&mut self.cluster, &self.tally.outcomes);
        aftermath::no_attempt_leaves_anything(&mut self.cluster);
        let committed = self.tally.committed();
        let reader = self.reader.take().expect("a run finishes once");
        let (reads, bad) = reader.bad_reads(&committed);
        assert!(bad.is_empty(), "read what must not be seen: {bad:#?}");
        println!(
            "{}, stuck 0, mixed 0, bad reads 0 of {reads}, in {:.0?}",
            self.tally,
            self.watch.elapsed()
        );
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Also where a check has failed.
        aftermath::forget_faked_clocks(&mut self.cluster);
    }
}

/// Puts everything that one worker keeps on a small disk.
fn small_disk(cluster: &Cluster) -> Result<SmallDisk, String> {
    let folder = cluster.home().join(SMALL);
    let disk = SmallDisk::mounted(&folder, SMALL_MIB)?;
    std::fs::create_dir(folder.join("public")).map_err(|error| error.to_string())?;
    Ok(disk)
}

/// Who has a small disk.
const SMALL: &str = "s3";
/// Journal, logs, staging, and what was published and replaced of a long run.
const SMALL_MIB: u32 = 256;
/// Every daemon of the cluster.
const DAEMONS: [&str; 4] = ["coordinator", "s1", "s2", "s3"];
/// Gives a silent worker up after seconds, and a pinned task only long after every fault.
const CHAOTIC: Timing = Timing {
    lease: Duration::from_secs(3),
    stop_grace: Duration::from_secs(1),
    lost_after: Duration::from_mins(2),
    heartbeat: Duration::from_millis(400),
};
/// Between two looks at everything.
const STEP: Duration = Duration::from_millis(20);
/// Between two faults, at least and beyond that.
const GAP_MIN: Duration = Duration::from_millis(200);
const GAP: Duration = Duration::from_millis(2500);
/// So many victims suffer at a time; of four, one is left.
const AFFLICTIONS_MAX: usize = 3;
/// A service manager waits as long.
const RESTART_PAUSE: Duration = Duration::from_millis(500);
/// Whatever is to come to its end has come to it by then, also on a busy machine.
const HEALING_MAX: Duration = Duration::from_mins(3);
