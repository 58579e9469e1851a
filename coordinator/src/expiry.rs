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

#[cfg(test)]
mod tests {
    use votum_commit::Decision;
    use votum_journal::Journal;

    use super::*;
    use crate::{
        engine::tests::{job, submission},
        record::{JobRecord, LIST_KEYS, Record},
        recovery::{Recovered, recover, tests::config},
    };

    #[tokio::test]
    async fn a_closed_job_is_forgotten_after_its_retention() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let mut recovered = recover(&config(folder.path()), &clock).await.unwrap();

        record(&mut recovered, &clock, closed(Duration::from_secs(3600))).await;
        assert_eq!(expired(&recovered.reader, &clock), []);
        let closing = closing(Duration::ZERO);
        record(&mut recovered, &clock, closed(Duration::ZERO)).await;
        clock.sleep_until(Some(clock.now().after(Duration::from_millis(2)))).await;
        assert_eq!(expired(&recovered.reader, &clock), std::slice::from_ref(&closing));
        record(&mut recovered, &clock, Record::Forgotten(closing)).await;
        assert_eq!(expired(&recovered.reader, &clock), []);
        assert_eq!(recovered.reader.scan(LIST_KEYS.as_bytes(), None, 10).unwrap(), []);
    }

    /// Appends a record and waits until it is durable, and so indexed.
    async fn record(recovered: &mut Recovered, clock: &Clock, record: Record) {
        let lsn = recovered.journal.append(votum_driver::entry(clock.wall(), &record));
        recovered.durable.wait_for(|durable| *durable >= lsn).await.unwrap();
    }

    fn closed(retention: Duration) -> Record {
        let closing = Some(closing(retention));
        let record = JobRecord { job: job(), schedule: None, commit: None, closing };
        Record::Job(Box::new(record))
    }

    fn closing(retention: Duration) -> Closing {
        Closing {
            job: job(),
            display_name: "sales".to_owned(),
            decision: Decision::Commit,
            received: votum_machine::WallTime(1_000),
            request: submission().request,
            retention,
        }
    }
}
