//! How long this worker may let attempts run that must not run beside a successor (R3).
//!
//! The coordinator waits from the moment it *received* a frame; this side counts
//! from the moment it *sent* the last one that is known to have arrived, so it is
//! never later. A sign of life is counted from the step that asks for it: whatever
//! delays the sending makes the lease shorter, never longer.

use std::{collections::VecDeque, time::Duration};

use votum_machine::Moment;

/// The lease of this worker, as far as the coordinator has confirmed it.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    length: Duration,
    stop_grace: Duration,
    /// When Hello was said on the present connection.
    greeted: Option<Moment>,
    /// Signs of life that nobody has answered, the oldest first.
    open: VecDeque<(u64, Moment)>,
    /// Of the last sign of life; never used twice by one start of the daemon.
    number: u64,
    /// When the last confirmed frame was sent.
    confirmed: Option<Moment>,
}

impl Lease {
    /// Notes that this worker says Hello on another connection.
    pub(crate) fn greet(&mut self, now: Moment) {
        self.open.clear();
        self.greeted = Some(now);
    }

    /// Notes that Hello was answered, and what the coordinator counts with.
    pub(crate) fn welcomed(&mut self, length: Duration, stop_grace: Duration) {
        (self.length, self.stop_grace) = (length, stop_grace);
        self.confirmed = self.confirmed.max(self.greeted);
    }

    /// Notes that a sign of life is sent; returns its number.
    pub(crate) fn beat(&mut self, now: Moment) -> u64 {
        self.number += 1;
        self.open.push_back((self.number, now));
        if self.open.len() > OPEN_MAX {
            self.open.pop_front();
        }
        self.number
    }

    /// Notes that a sign of life was heard; an answer that was overtaken changes nothing.
    pub(crate) fn acknowledged(&mut self, number: u64) {
        while let Some((open, sent)) =
            self.open.front().copied().filter(|(open, _)| *open <= number)
        {
            self.open.pop_front();
            if open == number {
                self.confirmed = self.confirmed.max(Some(sent));
            }
        }
    }

    /// Says when exclusive attempts are asked to end; none before the coordinator has spoken.
    pub(crate) fn end(&self) -> Option<Moment> {
        self.confirmed.map(|sent| sent.after(self.length))
    }

    /// Says by when the last process of an exclusive attempt is killed.
    pub(crate) fn last_moment(&self) -> Option<Moment> {
        self.end().map(|end| end.after(self.grace_max()))
    }

    /// Says how long an exclusive attempt may take to end: the rest of what the
    /// coordinator waits is for the kill itself.
    pub(crate) fn grace_max(&self) -> Duration {
        self.stop_grace / 2
    }

    /// Says why an attempt is stopped whose lease has ended.
    pub(crate) fn reason(&self) -> String {
        let silence = self.length.as_secs_f64();
        format!("the coordinator could not be reached for {silence} s, and the task is exclusive")
    }
}

/// More signs of life than this are never under way within one lease.
const OPEN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::since_start(Duration::from_secs(secs))
    }

    fn welcomed() -> Lease {
        let mut lease = Lease::default();
        lease.greet(at(1));
        lease.welcomed(Duration::from_secs(15), Duration::from_secs(10));
        lease
    }

    #[test]
    fn the_lease_counts_from_the_sending_of_hello() {
        assert_eq!(welcomed().end(), Some(at(16)));
        assert_eq!(welcomed().last_moment(), Some(at(21)));
    }

    #[test]
    fn an_answer_renews_from_when_its_frame_was_sent() {
        let mut lease = welcomed();
        let (first, second) = (lease.beat(at(4)), lease.beat(at(7)));
        lease.acknowledged(first);
        assert_eq!(lease.end(), Some(at(19)));
        lease.acknowledged(second);
        lease.acknowledged(first);
        assert_eq!(lease.end(), Some(at(22)));
    }

    #[test]
    fn an_answer_to_an_earlier_connection_renews_nothing() {
        let mut lease = welcomed();
        let lost = lease.beat(at(4));
        lease.greet(at(9));
        lease.acknowledged(lost);
        assert_eq!(lease.end(), Some(at(16)));
    }

    #[test]
    fn unanswered_signs_of_life_are_bounded() {
        let mut lease = welcomed();
        let first = lease.beat(at(2));
        for secs in 3..200 {
            lease.beat(at(secs));
        }
        lease.acknowledged(first);
        assert_eq!((lease.end(), lease.open.len()), (Some(at(16)), OPEN_MAX));
    }
}
