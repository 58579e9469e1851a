//! Finds closed jobs whose retention has ended, and hands them in.

use std::time::Duration;

use votum_driver::{Clock, Inbox};
use votum_journal::Reader;

use crate::{
    event::Event,
    record::{Closing, EXPIRY_KEYS},
};

/// Looks at the index at once and then every [`INTERVAL`], until the loop has ended.
pub(crate) async fn run(reader: Reader, clock: Clock, inbox: Inbox<Event>) {
    loop {
        for closing in expired(&reader, &clock) {
            if !inbox.send(Event::Expired(closing)).await {
                return;
            }
        }
        clock.sleep_until(Some(clock.now().after(INTERVAL))).await;
    }
}

/// Returns the next jobs that may be forgotten, at most [`AT_ONCE`].
fn expired(reader: &Reader, clock: &Clock) -> Vec<Closing> {
    let found = match reader.scan(EXPIRY_KEYS.as_bytes(), None, AT_ONCE) {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, "cannot read which jobs have expired");
            return Vec::new();
        }
    };
    let now = format!("{EXPIRY_KEYS}{:016x}/", clock.wall().0);
    let due = found.into_iter().filter(|(key, _)| key.as_slice() < now.as_bytes());
    due.filter_map(|(_, value)| serde_json::from_slice(&value).ok()).collect()
}

/// How often to look.
const INTERVAL: Duration = Duration::from_secs(60);
/// Most jobs that one look hands in.
const AT_ONCE: usize = 1_000;
