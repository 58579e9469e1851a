//! The bounded queue in front of a machine.

use tokio::sync::mpsc;

/// Where events come in; clones share one queue.
#[derive(Debug)]
pub struct Inbox<E>(mpsc::Sender<E>);

impl<E> Inbox<E> {
    /// Makes a queue of at most [`INBOX_MAX`] events and returns both ends.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<E>) {
        let (sender, receiver) = mpsc::channel(INBOX_MAX);
        (Self(sender), receiver)
    }

    /// Returns how many more events fit in at this moment.
    #[must_use]
    pub fn room(&self) -> usize {
        self.0.capacity()
    }

    /// Hands in an event; waits while the queue is full.
    ///
    /// Returns false when the loop has ended, and with it everything that could react.
    pub async fn send(&self, event: E) -> bool {
        self.0.send(event).await.is_ok()
    }
}

impl<E> Clone for Inbox<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Most events that wait in front of a machine; whoever brings another waits.
pub const INBOX_MAX: usize = 8_192;
