//! One daemon without its shell: a machine, its journal, and the gate before its actions.

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
    gate: Gate<M::Action>,
    born: Duration,
}

impl<M> Node<M>
where
    M: Machine,
    M::Record: Durable + Clone,
    M::Action: Awaits,
{
    /// Starts a machine that was made from these records.
    pub(super) fn start(machine: M, journal: Vec<(WallTime, M::Record)>, time: Duration) -> Self {
        let durable = journal.len();
        Self { machine, journal, durable, gate: Gate::new(lsn(durable)), born: time }
    }

    /// Steps the machine at this time of the world.
    pub(super) fn step(&mut self, time: Duration, event: M::Event) {
        let reaction = self.machine.step(self.moment(time), event);
        if let Some(record) = reaction.record {
            let forced = record.forced();
            self.journal.push((wall(time), record));
            self.gate.appended(lsn(self.journal.len()), forced);
        }
        for action in reaction.actions {
            self.gate.push(action);
        }
    }

    /// Makes everything durable.
    pub(super) fn sync(&mut self) {
        self.durable = self.journal.len();
        self.gate.open(lsn(self.durable));
    }

    /// Returns the next action that waits for nothing.
    pub(super) fn pop(&mut self) -> Option<M::Action> {
        self.gate.pop()
    }

    /// Returns when it wants a tick, in the time of the world.
    pub(super) fn due(&self) -> Option<Duration> {
        Some(self.born + self.machine.next_deadline()?.elapsed())
    }

    /// Ends it; returns the records that are left of `beyond` undurable ones.
    pub(super) fn crash(mut self, beyond: usize) -> Vec<(WallTime, M::Record)> {
        self.journal.truncate(self.durable + beyond);
        self.journal
    }

    fn moment(&self, time: Duration) -> Moment {
        Moment::since_start(time.saturating_sub(self.born))
    }
}

/// Returns the time of day at a time of the world.
pub(super) fn wall(time: Duration) -> WallTime {
    WallTime(1_000_000).after(time)
}

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
