//! The room for connections: who has which place, and who was silent the longest.
//!
//! Whoever has not said as much as a request takes makes room before all others: a crowd
//! that connects at once pushes out itself, and not those who are being served.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use crate::{Limits, Refused, refused::Fingerprint};

/// Everybody who is connected to one server.
#[derive(Debug)]
pub(crate) struct Room {
    limits: Limits,
    /// Counts what is heard, so that it can be said who was heard before whom.
    heard: AtomicU64,
    taken: Mutex<BTreeMap<u64, Taken>>,
}

#[derive(Debug)]
struct Taken {
    from: IpAddr,
    /// What it has shown.
    shown: Option<Fingerprint>,
    /// When it was heard last, as [`Room::heard`] counts; with [`SERVED`] once it has said enough.
    heard: Arc<AtomicU64>,
    /// Dropped to end the connection.
    _until: oneshot::Sender<()>,
}

impl Room {
    /// Makes an empty one.
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, heard: AtomicU64::new(0), taken: Mutex::default() })
    }

    /// Gives a place to a connection; ends the most silent one if there is no room.
    pub(crate) fn enter(self: &Arc<Self>, from: IpAddr) -> Place {
        let number = self.heard.fetch_add(1, Ordering::Relaxed);
        let heard = Arc::new(AtomicU64::new(number));
        let (until, ended) = oneshot::channel();
        let mut taken = self.lock();
        let of_address = taken.values().filter(|one| one.from == from).count();
        if of_address >= self.limits.per_address_max {
            end_most_silent(&mut taken, |one| one.from == from);
        } else if taken.len() >= self.limits.connections_max {
            end_most_silent(&mut taken, |_| true);
        }
        taken.insert(number, Taken { from, shown: None, heard: Arc::clone(&heard), _until: until });
        drop(taken);
        Place { room: Arc::clone(self), number, said: 0, heard, ended }
    }

    /// Ends whoever was silent the longest, to make room.
    pub(crate) fn end_most_silent(&self) {
        end_most_silent(&mut self.lock(), |_| true);
    }

    /// Ends whoever has shown what is refused.
    pub(crate) fn end_refused(&self, refused: &Refused) {
        self.lock().retain(|_, one| !one.shown.is_some_and(|shown| refused.names(shown)));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end_most_silent(taken: &mut BTreeMap<u64, Taken>, among: impl Fn(&Taken) -> bool) {
    let silent = taken.iter().filter(|(_, one)| among(one));
    let silent = silent.min_by_key(|(_, one)| one.heard.load(Ordering::Relaxed));
    if let Some(number) = silent.map(|(number, _)| *number) {
        taken.remove(&number);
    }
}

/// The place of one connection; free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Room>,
    number: u64,
    /// Bytes, as far as they are counted.
    said: usize,
    heard: Arc<AtomicU64>,
    ended: oneshot::Receiver<()>,
}

impl Place {
    /// Notes what its connection has shown.
    pub(crate) fn show(&self, fingerprint: Fingerprint) {
        if let Some(taken) = self.room.lock().get_mut(&self.number) {
            taken.shown = Some(fingerprint);
        }
    }

    /// Notes that so many bytes were heard.
    pub(crate) fn heard(&mut self, bytes: usize) {
        self.said = self.said.saturating_add(bytes);
        let served = if self.said < REQUEST_BYTES { 0 } else { SERVED };
        let now = self.room.heard.fetch_add(1, Ordering::Relaxed);
        self.heard.store(served | now, Ordering::Relaxed);
    }

    /// Says whether the place was given to somebody else.
    pub(crate) fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.ended).poll(context).map(|_| ())
    }

    /// Waits until the place is given to somebody else.
    pub(crate) async fn ended(&mut self) {
        poll_fn(|context| self.poll_ended(context)).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.lock().remove(&self.number);
    }
}

/// Greater than whatever is counted: those who were served are not the first to go.
const SERVED: u64 = 1 << 63;
/// No request over HTTP/2 is shorter: its preface and settings alone take 33 bytes.
const REQUEST_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn the_most_silent_of_an_address_makes_room() {
        let room = Room::new(Limits { connections_max: 10, per_address_max: 2 });
        let (ada, bob): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let mut other = room.enter(bob);
        let mut first = room.enter(ada);
        let mut second = room.enter(ada);
        first.heard(1);
        let mut third = room.enter(ada);
        let ended = [&mut other, &mut first, &mut second, &mut third].map(is_ended);
        assert_eq!(ended, [false, false, true, false]);
    }

    #[test]
    fn a_crowd_that_says_nothing_pushes_out_itself() {
        let room = Room::new(Limits { connections_max: 10, per_address_max: 3 });
        let ada: IpAddr = [10, 0, 0, 1].into();
        let mut served = room.enter(ada);
        served.heard(REQUEST_BYTES);
        let crowd: Vec<Place> = (0..100)
            .map(|_| {
                let mut one = room.enter(ada);
                one.heard(16);
                one
            })
            .collect();
        assert!(!is_ended(&mut served));
        let kept = crowd.into_iter().map(|mut one| !is_ended(&mut one)).filter(|kept| *kept);
        assert_eq!(kept.count(), 2);
    }

    #[test]
    fn a_place_is_free_when_its_connection_goes() {
        let room = Room::new(Limits { connections_max: 1, per_address_max: 1 });
        let ada = [10, 0, 0, 1].into();
        drop(room.enter(ada));
        let mut place = room.enter(ada);
        assert!(!is_ended(&mut place));
    }

    fn is_ended(place: &mut Place) -> bool {
        place.poll_ended(&mut Context::from_waker(Waker::noop())).is_ready()
    }
}
