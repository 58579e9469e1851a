//! The bounded queue between those who append and the committer; it gives out the numbers.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    Entry, Lsn, Urgency,
    entry::Bearing,
    frame::{Frame, frame_bytes},
};

/// Records that have a number and are not written yet.
#[derive(Debug)]
pub(crate) struct Backlog {
    state: Mutex<State>,
    arrived: Condvar,
    room: Condvar,
}

#[derive(Debug)]
struct State {
    frames: Vec<Frame>,
    bytes: usize,
    forced: bool,
    closing: bool,
    next: Lsn,
    closed: bool,
}

/// Whether the committer may wait for something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until something arrives, and then for a forced record to join lazy ones.
    UntilSomethingArrives {
        /// Where no stream is closed.
        lazy: Duration,
        /// From when one is.
        closing: Duration,
    },
    /// Not at all: there is other work.
    None,
}

impl Backlog {
    pub(crate) fn new(next: Lsn) -> Self {
        let (frames, forced, closing) = (Vec::new(), false, false);
        let state = State { frames, bytes: 0, forced, closing, next, closed: false };
        Self { state: Mutex::new(state), arrived: Condvar::new(), room: Condvar::new() }
    }

    /// Numbers a record and queues it; waits while the backlog is full.
    pub(crate) fn push(&self, entry: Entry, sequence: u64, epoch: u64) -> Lsn {
        let full = |state: &mut State| state.is_full();
        let state = self.room.wait_while(self.lock(), full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let lsn = state.number();
        let was_idle = state.frames.is_empty();
        let was_pressing = (state.forced, state.closing);
        state.bytes += frame_bytes(&entry);
        state.forced |= entry.urgency == Urgency::Forced;
        state.closing |= entry.bearing == Bearing::Closes;
        state.frames.push(Frame { lsn, origin: lsn, durable: Lsn::NONE, epoch, sequence, entry });
        let is_pressing = (state.forced, state.closing);
        let wakes = was_idle || is_pressing != was_pressing || state.is_full();
        drop(state);
        if wakes {
            self.arrived.notify_one();
        }
        lsn
    }

    /// Takes everything that has arrived, followed by the copies that are still alive after it.
    ///
    /// Returns none when the backlog is closed and empty. Copies are numbered
    /// under the same lock that empties the queue: no record that forgets or
    /// restates a stream can stand between the check and the copy.
    pub(crate) fn take(&self, patience: Patience, copies: Vec<Frame>) -> Option<Vec<Frame>> {
        let mut state = match patience {
            Patience::None => self.lock(),
            Patience::UntilSomethingArrives { lazy, closing } => self.wait(lazy, closing),
        };
        if state.closed && state.frames.is_empty() {
            return None;
        }
        let mut frames = mem::take(&mut state.frames);
        for copy in still_alive(copies, &frames) {
            let lsn = state.number();
            frames.push(Frame { lsn, ..copy });
        }
        state.bytes = 0;
        (state.forced, state.closing) = (false, false);
        drop(state);
        self.room.notify_all();
        Some(frames)
    }

    /// Lets the committer finish what has arrived and stop.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    fn wait(&self, lazy: Duration, closing: Duration) -> MutexGuard<'_, State> {
        let idle = |state: &mut State| state.frames.is_empty() && !state.closed;
        let state = self.arrived.wait_while(self.lock(), idle);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let lazy_only = |state: &mut State| !state.forced && !state.closed && !state.is_full();
        let none_closes = |state: &mut State| lazy_only(state) && !state.closing;
        let waited = self.arrived.wait_timeout_while(state, lazy, none_closes);
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return state;
        }
        let waited = self.arrived.wait_timeout_while(state, closing, lazy_only);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.bytes >= BACKLOG_BYTES_MAX || self.frames.len() >= BACKLOG_RECORDS_MAX
    }

    fn number(&mut self) -> Lsn {
        let lsn = self.next;
        self.next = lsn.next();
        lsn
    }
}

/// Drops the copies whose stream a later record forgets or restates.
fn still_alive(mut copies: Vec<Frame>, later: &[Frame]) -> Vec<Frame> {
    let ended: BTreeSet<_> = later
        .iter()
        .filter(|frame| match frame.entry.bearing {
            Bearing::Restates | Bearing::Forgets => true,
            Bearing::Continues | Bearing::Closes => false,
        })
        .map(|frame| &frame.entry.stream)
        .collect();
    copies.retain(|copy| !ended.contains(&copy.entry.stream));
    copies
}

/// A backlog of so many bytes takes nothing more; also the most that one group holds.
const BACKLOG_BYTES_MAX: usize = 8 << 20;
/// A backlog of so many records takes nothing more.
const BACKLOG_RECORDS_MAX: usize = 8192;
