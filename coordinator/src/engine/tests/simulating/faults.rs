//! What goes wrong, when the dice say so, and how long.

use std::time::Duration;

use votum_ids::WorkerId;

use super::{
    fact::Fact,
    node::Clock,
    play::{Crash, Fault, Who},
    wire::ChiefEnd,
    world::{BEGINNING, World},
};

impl World {
    /// Breaks something now and then, as long as anything may break.
    pub(super) fn fault(&mut self) {
        if self.faults_left == 0 || !self.stage.dice.once_in(self.stage.play.rarity) {
            return;
        }
        let fault = if self.stage.play.kinds.is_empty() {
            *self.stage.dice.one_of(&[Fault::Kill, Fault::PowerCut, Fault::Cut, Fault::Partition])
        } else {
            let kinds = self.stage.play.kinds.clone();
            *self.stage.dice.one_of(&kinds)
        };
        let living: Vec<WorkerId> = self
            .sites
            .values()
            .filter(|site| !site.lost)
            .map(|site| site.me.worker.clone())
            .collect();
        let worker = self.stage.dice.one_of(&living).clone();
        self.faults_left -= 1;
        *self.tally.entry(fault).or_default() += 1;
        let time = self.stage.time;
        self.stage.ledger.remark(time, &|| format!("FAULT: {fault:?} (of {worker}?)"));
        self.stage.ledger.mix(fault as u64);
        self.strike(fault, &worker);
        self.perform();
    }

    fn strike(&mut self, fault: Fault, worker: &WorkerId) {
        let chief = self.stage.dice.once_in(2);
        let long = self.window();
        match fault {
            Fault::Kill | Fault::PowerCut => {
                let down = if self.stage.dice.once_in(2) { Duration::ZERO } else { long };
                let power = fault == Fault::PowerCut;
                self.crash(chief, worker, None, power, down);
            }
            Fault::ClockJump => self.crash(chief, worker, None, false, Duration::ZERO),
            Fault::Cut => self.cut(worker),
            Fault::Partition | Fault::PartitionUp | Fault::PartitionDown => {
                self.partition(fault, worker, long);
            }
            Fault::Loss => {
                let until = self.stage.time + long;
                self.stage.lossy = Some(self.stage.lossy.map_or(until, |known| known.max(until)));
            }
            Fault::Pause => self.pause(chief, worker, long),
            Fault::DiskFull => {
                let until = self.stage.time + long;
                if chief {
                    self.chief.full = until;
                } else {
                    self.site(worker).node.full = until;
                }
            }
            Fault::SyncFails => {
                if chief {
                    self.chief.sync_fails = true;
                } else {
                    self.site(worker).node.sync_fails = true;
                }
            }
            Fault::Lost => self.lose(worker),
        }
    }

    /// Returns how long something lasts, and notes that the world is whole after that.
    fn window(&mut self) -> Duration {
        let long = Duration::from_secs(1) + self.stage.dice.time(Duration::from_secs(89));
        self.whole = self.whole.max(self.stage.time + long);
        long
    }

    /// Returns when the end of a dead connection is noticed (keepalive).
    fn notice(&mut self) -> Duration {
        self.stage.time + self.stage.dice.time(KEEPALIVE)
    }

    fn crash(
        &mut self,
        chief: bool,
        worker: &WorkerId,
        kept: Option<bool>,
        power: bool,
        down: Duration,
    ) {
        if chief {
            self.crash_chief(kept, down);
        } else {
            self.crash_site(worker, kept, power, down);
        }
    }

    /// The session of a worker ends, after some of what is under way has arrived.
    pub(super) fn cut(&mut self, worker: &WorkerId) {
        let (one, other) = (self.notice_soon(), self.notice_soon());
        let Self { stage, sites, .. } = self;
        let site = sites.get_mut(worker).unwrap();
        if let Some(line) = site.lines.last_mut() {
            line.up.cut(&mut stage.dice);
            line.down.cut(&mut stage.dice);
            line.fail(one, other);
        }
    }

    fn notice_soon(&mut self) -> Duration {
        self.stage.time + self.stage.dice.time(Duration::from_millis(50))
    }

    fn partition(&mut self, fault: Fault, worker: &WorkerId, long: Duration) {
        let (one, other, time) = (self.notice(), self.notice(), self.stage.time);
        let Self { stage, sites, .. } = self;
        let site = sites.get_mut(worker).unwrap();
        site.away = site.away.max(time + long);
        if fault == Fault::Partition {
            (site.deaf, site.dumb) = (time + long, time + long);
        }
        if let Some(line) = site.lines.last_mut() {
            if fault != Fault::PartitionDown {
                line.up.cut(&mut stage.dice);
            }
            if fault != Fault::PartitionUp {
                line.down.cut(&mut stage.dice);
            }
            line.fail(one, other);
        }
    }

    /// A daemon stands still; its peers take the connection for dead, what is under way waits.
    fn pause(&mut self, chief: bool, worker: &WorkerId, long: Duration) {
        let until = self.stage.time + long;
        if chief {
            self.chief.asleep = self.chief.asleep.max(until);
            let notice = self.notice();
            for line in self.sites.values_mut().flat_map(|site| &mut site.lines) {
                line.fail(notice, until);
            }
        } else {
            let notice = self.notice();
            let site = self.site(worker);
            site.node.asleep = site.node.asleep.max(until);
            for line in &mut site.lines {
                line.fail(until, notice);
            }
        }
    }

    /// A worker is gone with its disk, for good; one a world.
    fn lose(&mut self, worker: &WorkerId) {
        if self.sites.values().any(|site| site.lost) {
            return;
        }
        self.crash_site(worker, Some(false), true, Duration::ZERO);
        let Self { stage, sites, .. } = self;
        let site = sites.get_mut(worker).unwrap();
        site.lost = true;
        site.work.clear();
        stage.ledger.see(stage.time, &Fact::Lost { at: &site.me });
    }

    /// The coordinator dies; `kept` says what becomes of undurable records.
    pub(super) fn crash_chief(&mut self, kept: Option<bool>, down: Duration) {
        if self.chief.down {
            return;
        }
        self.stage.ledger.see(self.stage.time, &Fact::Died { who: "the coordinator" });
        for post in std::mem::take(&mut self.posts) {
            // What had left may have arrived.
            if self.stage.dice.once_in(2) {
                self.stage.ledger.see(self.stage.time, &Fact::Taken { hook: &post.hook });
            }
            self.stage.ledger.see(self.stage.time, &Fact::LostSight { hook: &post.hook });
        }
        self.oracle.lose_calls();
        self.looks_again = true;
        let beyond = self.beyond(self.chief.journal.len() - self.chief.durable, kept);
        self.chief.crash(beyond);
        self.chief.asleep = self.stage.time + down;
        let at_once = self.stage.dice.once_in(2);
        let Self { stage, sites, .. } = self;
        for line in sites.values_mut().flat_map(|site| &mut site.lines) {
            line.chief = ChiefEnd::Over;
            line.up.clear();
            line.down.cut(&mut stage.dice);
            let noticed = if at_once { Duration::ZERO } else { stage.dice.time(KEEPALIVE) };
            line.fail(stage.time + noticed, stage.time);
        }
    }

    /// The daemon of a worker dies, or the machine.
    pub(super) fn crash_site(
        &mut self,
        worker: &WorkerId,
        kept: Option<bool>,
        power: bool,
        down: Duration,
    ) {
        let notice = if power { self.notice() } else { self.notice_soon() };
        let undurable = {
            let site = &self.sites[worker];
            if site.node.down {
                return;
            }
            site.node.journal.len() - site.node.durable
        };
        let beyond = self.beyond(undurable, kept);
        let Self { stage, sites, .. } = self;
        let site = sites.get_mut(worker).unwrap();
        site.crash(beyond, power, stage);
        site.node.asleep = stage.time + down;
        for line in &mut site.lines {
            line.up.cut(&mut stage.dice);
            line.fail(stage.time, notice);
        }
        site.lose_connection(stage);
        site.tell_durable(stage);
    }

    fn beyond(&mut self, undurable: usize, kept: Option<bool>) -> usize {
        match kept {
            Some(true) => undurable,
            Some(false) => 0,
            None => self.stage.dice.below(undurable + 1),
        }
    }

    /// A process dies where the play wants it.
    pub(super) fn crash_if_due(&mut self) {
        let Some(crash) = self.stage.play.crash.clone() else { return };
        let Crash { who, kept, delay, for_good, .. } = crash;
        if !self.is_stalled(&who) {
            return;
        }
        if let (Some(crash), 1..) = (&mut self.stage.play.crash, delay) {
            crash.delay -= 1;
            return;
        }
        self.stage.play.crash = None;
        match who {
            Who::Chief => self.crash_chief(Some(kept), Duration::ZERO),
            Who::Worker(name) => {
                let worker = WorkerId::new(name).unwrap();
                if for_good {
                    self.lose(&worker);
                } else {
                    self.crash_site(&worker, Some(kept), true, Duration::ZERO);
                }
            }
        }
        self.perform();
    }

    /// Says whether the disk of a node that is about to die takes nothing more.
    pub(super) fn is_stalled(&self, who: &Who) -> bool {
        let crash = self.stage.play.crash.as_ref();
        crash.is_some_and(|crash| crash.who == *who && self.records(who) >= crash.records)
    }

    /// Draws the clock of a daemon that starts.
    pub(super) fn draw_clock(&mut self) -> Clock {
        let time = self.stage.time;
        if !self.stage.faulty {
            return Clock { born: time, anchor: BEGINNING.after(time), fast: 0 };
        }
        let fast = u32::try_from(self.stage.dice.below(6)).unwrap();
        let anchor = BEGINNING.after(time);
        let jump = self.stage.dice.below(600_000) as u64;
        let anchor = if self.stage.play.has(Fault::ClockJump) {
            votum_machine::WallTime(anchor.0 + jump - 300_000)
        } else {
            anchor
        };
        Clock { born: time, anchor, fast }
    }
}

/// The longest until a silent peer is noticed.
const KEEPALIVE: Duration = Duration::from_secs(10);
