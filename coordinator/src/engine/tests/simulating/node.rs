//! One daemon without its shell: a machine, its clock, its disk, and the gate before its actions.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use votum_driver::{Awaits, Durable, Gate, Stamped};
use votum_journal::{Bearing, Lsn, Stream};
use votum_machine::{Machine, Moment, WallTime};

/// A machine and everything that outlives it, or does not.
pub(super) struct Node<M: Machine> {
    pub(super) machine: M,
    /// Everything appended, in order; a crash keeps the durable part and perhaps more.
    pub(super) journal: Vec<(WallTime, M::Record)>,
    pub(super) durable: usize,
    /// How much of the durable part somebody has been told of.
    pub(super) read: usize,
    gate: Gate<M::Action>,
    /// What a planted bug lets pass the gate.
    early: Vec<M::Action>,
    clock: Clock,
    /// Until then it is down, or stands still.
    pub(super) asleep: Duration,
    /// It is down: it starts from its journal when it wakes.
    pub(super) down: bool,
    /// Until then its disk takes nothing more.
    pub(super) full: Duration,
    /// The next sync fails.
    pub(super) sync_fails: bool,
    /// Where a planted bug has passed over a sync that had failed.
    hole: Option<usize>,
}

/// What one start of a daemon takes for the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) born: Duration,
    /// The time of day at its start; it is read then, and never again.
    pub(super) anchor: WallTime,
    /// How many thousandths its clock is too fast.
    pub(super) fast: u32,
}

/// Why a daemon ends itself.
#[derive(Debug)]
pub(super) struct SyncFailed;

impl<M> Node<M>
where
    M: Machine,
    M::Record: Durable + Clone,
    M::Action: Awaits,
{
    /// Starts a machine that was made from these records.
    pub(super) fn start(machine: M, journal: Vec<(WallTime, M::Record)>, clock: Clock) -> Self {
        let durable = journal.len();
        Self {
            machine,
            journal,
            durable,
            read: 0,
            gate: Gate::new(lsn(durable)),
            early: Vec::new(),
            clock,
            asleep: Duration::ZERO,
            down: false,
            full: Duration::ZERO,
            sync_fails: false,
            hole: None,
        }
    }

    /// Starts it again where its records end.
    pub(super) fn restart(&mut self, machine: M, clock: Clock) {
        let journal = std::mem::take(&mut self.journal);
        let (read, full, asleep) = (self.read.min(journal.len()), self.full, self.asleep);
        *self = Self { read, full, asleep, ..Self::start(machine, journal, clock) };
    }

    /// Steps the machine at this time of the world.
    pub(super) fn step(
        &mut self,
        time: Duration,
        event: M::Event,
        neglects: impl Fn(&M::Record) -> bool,
        hurries: impl Fn(&M::Action) -> bool,
    ) {
        let now = self.clock.moment(time);
        let reaction = self.machine.step(now, event);
        if let Some(record) = reaction.record {
            let forced = record.forced() && !neglects(&record);
            self.journal.push((self.clock.anchor.after(now.elapsed()), record));
            self.gate.appended(lsn(self.journal.len()), forced);
        }
        for action in reaction.actions {
            if hurries(&action) {
                self.early.push(action);
            } else {
                self.gate.push(action);
            }
        }
    }

    /// Says whether a sync would cover anything.
    pub(super) fn is_dirty(&self) -> bool {
        self.durable < self.journal.len()
    }

    /// Makes everything durable, or fails; `forgives` is the bug that goes on then.
    pub(super) fn sync(&mut self, time: Duration, forgives: bool) -> Result<(), SyncFailed> {
        if std::mem::take(&mut self.sync_fails) || self.full > time {
            if !forgives {
                return Err(SyncFailed);
            }
            self.hole.get_or_insert(self.durable);
        }
        self.durable = self.journal.len();
        self.gate.open(lsn(self.durable));
        Ok(())
    }

    /// Returns the next action that waits for nothing.
    pub(super) fn pop(&mut self) -> Option<M::Action> {
        if self.early.is_empty() { self.gate.pop() } else { Some(self.early.remove(0)) }
    }

    /// Returns when it wants a tick, in the time of the world.
    pub(super) fn due(&self) -> Option<Duration> {
        Some(self.clock.time(self.machine.next_deadline()?))
    }

    /// Returns the time of day as it takes it.
    pub(super) fn wall(&self, time: Duration) -> WallTime {
        self.clock.anchor.after(self.clock.moment(time).elapsed())
    }

    /// Returns when it is asked for a moment of its own clock.
    pub(super) fn time_of(&self, moment: Moment) -> Duration {
        self.clock.time(moment)
    }

    /// Returns its time since its start.
    pub(super) fn now(&self, time: Duration) -> Moment {
        self.clock.moment(time)
    }

    /// Ends it; `beyond` undurable records are on its disk all the same.
    pub(super) fn crash(&mut self, beyond: usize) {
        let kept = self.hole.take().unwrap_or(self.durable + beyond);
        self.journal.truncate(kept);
        self.durable = self.journal.len();
        self.gate = Gate::new(lsn(self.durable));
        self.early.clear();
        self.sync_fails = false;
        self.down = true;
    }

    /// Says whether it does anything at this time.
    pub(super) fn is_awake(&self, time: Duration) -> bool {
        !self.down && self.asleep <= time
    }
}

impl Clock {
    fn moment(&self, time: Duration) -> Moment {
        let passed = time.saturating_sub(self.born);
        Moment::since_start(passed * (1_000 + self.fast) / 1_000)
    }

    /// Returns the earliest time of the world at which its clock shows that moment.
    fn time(&self, moment: Moment) -> Duration {
        let rate = u128::from(1_000 + self.fast);
        let nanos = (moment.elapsed().as_nanos().min(FAR) * 1_000).div_ceil(rate);
        self.born + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2))
    }
}

/// Later than anything that is waited for.
const FAR: u128 = 1 << 60;

fn lsn(records: usize) -> Lsn {
    Lsn(records as u64)
}

/// Returns what a start finds in a journal: the records of each open stream.
pub(super) fn open_streams<R: Durable + Clone>(
    journal: &[(WallTime, R)],
) -> BTreeMap<Stream, Vec<Stamped<R>>> {
    let (mut streams, mut closed) = (BTreeMap::<_, Vec<_>>::new(), BTreeSet::new());
    for (at, record) in journal {
        let stream = record.stream();
        let stamped = Stamped { at: *at, record: record.clone() };
        match record.bearing() {
            Bearing::Continues => streams.entry(stream).or_default().push(stamped),
            Bearing::Closes => {
                closed.insert(stream);
            }
            Bearing::Restates => {
                streams.insert(stream, vec![stamped]);
            }
            Bearing::Forgets => {
                streams.remove(&stream);
            }
        }
    }
    streams.retain(|stream, _| !closed.contains(stream));
    streams
}
