//! Who waits for which answer: machines name a caller by number only.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::oneshot;

use crate::action::Answer;

/// Names one caller that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ReplyId(u64);

/// The callers that wait; clones share one list.
///
/// Bounded by the requests in progress: a caller that goes away takes its entry with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replies(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    callers: BTreeMap<ReplyId, oneshot::Sender<Answer>>,
}

impl Replies {
    /// Adds a caller.
    pub(crate) fn register(&self) -> (ReplyId, Caller) {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.last += 1;
        let reply = ReplyId(waiting.last);
        waiting.callers.insert(reply, sender);
        (reply, Caller { reply, receiver, replies: self.clone() })
    }

    /// Answers a caller, if it still waits.
    pub(crate) fn answer(&self, reply: ReplyId, answer: Answer) {
        let caller = self.0.lock().unwrap_or_else(PoisonError::into_inner).callers.remove(&reply);
        if let Some(caller) = caller {
            // A caller that went away needs no answer.
            let _ = caller.send(answer);
        }
    }
}

/// A caller that waits for its answer.
#[derive(Debug)]
pub(crate) struct Caller {
    reply: ReplyId,
    receiver: oneshot::Receiver<Answer>,
    replies: Replies,
}

impl Caller {
    /// Waits for the answer; none if the daemon stops before.
    pub(crate) async fn answer(mut self) -> Option<Answer> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let mut waiting = self.replies.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.callers.remove(&self.reply);
    }
}
