//! The one loop: step, append, and perform when durable.
//!
//! Every daemon is this loop around one pure machine. An action never overtakes
//! a fact it could reveal: it waits until every *forced* record appended up to
//! its step is durable, also when its own step recorded nothing. So an inquiry
//! that is answered right after a decision waits for the sync of the decision.
//! Actions that others take as a promise (acknowledgements, replies, views) wait
//! for lazy records as well. The journal groups syncs; the loop never waits.

mod clock;
mod durable;
mod gate;
pub mod headroom;
mod inbox;
mod perform;
mod trace;

pub use clock::Clock;
pub use durable::{Durable, Stamped, Unreadable, decode, entry};
pub use gate::Gate;
pub use inbox::{INBOX_MAX, Inbox};
pub use perform::{Awaits, Perform, Tick};

use std::fmt::Debug;

use tokio::sync::{mpsc, watch};
use votum_crashpoint::crash_point;
use votum_journal::{Journal, Lsn};
use votum_machine::{Machine, Moment};

/// A machine, its journal and its performer: everything that one daemon's loop owns.
#[derive(Debug)]
pub struct Driver<M: Machine, J, P> {
    machine: M,
    journal: J,
    performer: P,
    clock: Clock,
    gate: Gate<M::Action>,
}

impl<M, J, P> Driver<M, J, P>
where
    M: Machine,
    M::Event: Tick + Debug,
    M::Record: Durable + Debug,
    M::Action: Awaits + Debug,
    J: Journal,
    P: Perform<M::Action>,
{
    /// Joins a recovered machine with its journal and its performer.
    pub fn new(machine: M, journal: J, performer: P, clock: Clock) -> Self {
        let gate = Gate::new(journal.durable());
        Self { machine, journal, performer, clock, gate }
    }

    /// Runs until every sender of `inbox` is gone; hands the journal back.
    ///
    /// `durable` follows the journal's last durable record; actions wait on it.
    pub async fn run(
        mut self,
        mut inbox: mpsc::Receiver<M::Event>,
        mut durable: watch::Receiver<Lsn>,
    ) -> J {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                changed = durable.changed() => if changed.is_err() { return self.journal },
                received = inbox.recv_many(&mut batch, BATCH) => if received == 0 {
                    return self.journal;
                },
                () = self.clock.sleep_until(self.machine.next_deadline()) => {}
            }
            let now = self.clock.now();
            for event in batch.drain(..) {
                self.step(now, event);
            }
            self.tick(now);
            let durable = *durable.borrow_and_update();
            self.perform(durable);
        }
    }

    /// Ticks until nothing is due; at most [`BATCH`] times, so that events keep their turn.
    fn tick(&mut self, now: Moment) {
        for _ in 0..BATCH {
            if self.machine.next_deadline().is_none_or(|due| due > now) {
                return;
            }
            self.step(now, M::Event::tick());
        }
    }

    fn step(&mut self, now: Moment, event: M::Event) {
        trace::event(&event);
        let reaction = self.machine.step(now, event);
        trace::reaction(&reaction);
        if let Some(record) = reaction.record {
            let forced = record.forced();
            let lsn = self.journal.append(entry(self.clock.anchor().at(now), &record));
            self.gate.appended(lsn, forced);
        }
        for action in reaction.actions {
            self.gate.push(action);
        }
    }

    fn perform(&mut self, durable: Lsn) {
        self.gate.open(durable);
        let mut first = true;
        while let Some(action) = self.gate.pop() {
            if first {
                crash_point!("driver.before_first_action");
                first = false;
            }
            self.performer.perform(action);
            crash_point!("driver.after_action");
        }
    }
}

/// Most events that one turn of the loop takes, and most ticks.
const BATCH: usize = 256;
