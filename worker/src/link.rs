//! The outgoing half of the connection to the coordinator, as the performer sees it.
//!
//! Every frame may get lost, so sending never waits: what does not fit costs the
//! connection, and the next inventory says it all again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use votum_wire::{FromWorker, Hello};

use crate::event::SessionNumber;

/// Where frames for the coordinator go; clones share one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Link(Arc<Mutex<State>>);

#[derive(Debug, Default)]
enum State {
    /// Nobody listens; what is said is lost.
    #[default]
    Down,
    Up(Line),
    /// Everything was said, for ever.
    Finished,
}

/// One connection.
#[derive(Debug)]
struct Line {
    session: SessionNumber,
    frames: mpsc::Sender<FromWorker>,
    manners: Manners,
    hangup: CancellationToken,
}

/// Whether Hello was said, which comes before everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manners {
    Silent,
    Greeted,
}

impl Link {
    /// Makes a connection the current one; returns what is to be sent on it.
    ///
    /// Returns none when nothing is to be said any more.
    pub(crate) fn open(
        &self,
        session: SessionNumber,
        hangup: CancellationToken,
    ) -> Option<mpsc::Receiver<FromWorker>> {
        let (frames, outgoing) = mpsc::channel(OUTGOING_MAX);
        let mut state = self.lock();
        if let State::Finished = *state {
            return None;
        }
        *state = State::Up(Line { session, frames, manners: Manners::Silent, hangup });
        Some(outgoing)
    }

    /// Says Hello.
    pub(crate) fn greet(&self, session: SessionNumber, hello: Hello) {
        if let State::Up(line) = &mut *self.lock()
            && line.session == session
        {
            line.manners = Manners::Greeted;
            line.send(FromWorker::Hello(hello));
        }
    }

    /// Says something if the coordinator can be reached.
    pub(crate) fn send(&self, frame: FromWorker) {
        if let State::Up(line) = &*self.lock()
            && line.manners == Manners::Greeted
        {
            line.send(frame);
        }
    }

    /// Ends a connection from this side.
    pub(crate) fn leave(&self, session: SessionNumber) {
        let mut state = self.lock();
        if let State::Up(line) = &*state
            && line.session == session
        {
            line.hangup.cancel();
            *state = State::Down;
        }
    }

    /// Says whether somebody may be listening.
    pub(crate) fn is_up(&self) -> bool {
        matches!(*self.lock(), State::Up(_))
    }

    /// Says nothing any more; what was said is still sent.
    pub(crate) fn finish(&self) {
        *self.lock() = State::Finished;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn send(&self, frame: FromWorker) {
        if self.frames.try_send(frame).is_err() {
            self.hangup.cancel();
        }
    }
}

/// Most frames that wait to be sent; beyond it the connection counts as lost.
const OUTGOING_MAX: usize = 4096;
