//! Finds closed jobs whose retention has ended, and tombstones whose time is over, and hands them in.

use std::time::Duration;

use votum_driver::{Clock, Inbox};
use votum_ids::JobId;
use votum_journal::{KeyValue, Reader};
use votum_machine::WallTime;

use crate::{
    event::Event,
    record::{CRUMBLING_KEYS, Closing, EXPIRY_KEYS, KnownRequest, Tombstone, request_key},
};

/// Looks at the index at once and then again and again, until the loop has ended.
///
/// `kept` says how long a job whose records are removed is still known.
pub(crate) async fn run(reader: Reader, clock: Clock, inbox: Inbox<Event>, kept: Duration) {
    loop {
        let mut found = expired(&reader, &clock, kept);
        found.extend(crumbled(&reader, &clock));
        let wait = if found.len() < AT_ONCE { INTERVAL } else { BUSY_INTERVAL };
        for event in found {
            if !inbox.send(event).await {
                return;
            }
        }
        clock.sleep_until(Some(clock.now().after(wait))).await;
    }
}

/// Returns the next jobs that may be forgotten, at most [`AT_ONCE`].
fn expired(reader: &Reader, clock: &Clock, kept: Duration) -> Vec<Event> {
    let event = |(key, value): KeyValue| {
        let closing: Closing = serde_json::from_slice(&value).ok()?;
        let tombstone = tombstone(reader, &key, &closing, kept);
        Some(Event::Expired { closing, tombstone: tombstone.map(Box::new) })
    };
    due(reader, clock, EXPIRY_KEYS).into_iter().filter_map(event).collect()
}

/// Returns the next jobs of which nothing at all shall be known, at most [`AT_ONCE`].
fn crumbled(reader: &Reader, clock: &Clock) -> Vec<Event> {
    let event = |(_, value): KeyValue| {
        let job: JobId = serde_json::from_slice(&value).ok()?;
        Some(Event::Crumbled { job })
    };
    due(reader, clock, CRUMBLING_KEYS).into_iter().filter_map(event).collect()
}

/// Returns the first entries of an order in time whose time has come.
fn due(reader: &Reader, clock: &Clock, order: &str) -> Vec<KeyValue> {
    let found = match reader.scan(order.as_bytes(), None, AT_ONCE) {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, "cannot read which jobs have expired");
            return Vec::new();
        }
    };
    let now = format!("{order}{:016x}/", clock.wall().0);
    found.into_iter().filter(|(key, _)| key.as_slice() < now.as_bytes()).collect()
}

/// Gathers what outlives a job's records while the index still has it.
fn tombstone(reader: &Reader, key: &[u8], closing: &Closing, kept: Duration) -> Option<Tombstone> {
    // The key says when retention ends, which began with the end of the job.
    let digits = key.get(EXPIRY_KEYS.len()..).and_then(|rest| rest.get(..16));
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    let expiry = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default();
    let retention = u64::try_from(closing.retention.as_millis()).unwrap_or(u64::MAX);
    let ended = WallTime(expiry.saturating_sub(retention));
    outliving(reader, closing, ended, kept)
}

/// Returns what outlives a job that ended then, unless nothing shall.
pub(crate) fn outliving(
    reader: &Reader,
    closing: &Closing,
    ended: WallTime,
    kept: Duration,
) -> Option<Tombstone> {
    if kept.is_zero() {
        return None;
    }
    let known = reader.get(&request_key(closing.request)).ok().flatten();
    let known = known.and_then(|value| serde_json::from_slice::<KnownRequest>(&value).ok());
    let spec_digest = known.filter(|known| known.job == closing.job).map(|known| known.spec_digest);
    let closing = closing.unfiled();
    Some(Tombstone { closing, ended, spec_digest, kept, deleted_by: None, removed: None })
}

/// How often to look.
const INTERVAL: Duration = Duration::from_secs(60);
/// How soon to look again while there is more: up to 60,000 jobs a minute go.
const BUSY_INTERVAL: Duration = Duration::from_secs(1);
/// Most entries of each order that one look hands in.
const AT_ONCE: usize = 1_000;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use votum_commit::Decision;
    use votum_journal::Journal;

    use super::*;
    use crate::{
        engine::tests::{job, spec, submission},
        record::{JobRecord, LIST_KEYS, Record, former_keys, tombstone_key},
        recovery::{Recovered, recover, tests::config},
    };

    #[tokio::test]
    async fn a_closed_job_is_forgotten_after_its_retention() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let mut recovered = recover(&config(folder.path()), &clock).await.unwrap();

        record(&mut recovered, &clock, closed(Duration::from_secs(3600))).await;
        assert!(expired(&recovered.reader, &clock, KEPT).is_empty());
        record(&mut recovered, &clock, closed(Duration::ZERO)).await;
        clock.sleep_until(Some(clock.now().after(Duration::from_millis(2)))).await;
        let [Event::Expired { closing, tombstone: None }] =
            &expired(&recovered.reader, &clock, Duration::ZERO)[..]
        else {
            panic!("one job has expired, and nothing shall outlive it")
        };
        record(&mut recovered, &clock, Record::Forgotten(closing.clone())).await;
        assert!(expired(&recovered.reader, &clock, KEPT).is_empty());
        assert_eq!(recovered.reader.scan(LIST_KEYS.as_bytes(), None, 10).unwrap(), []);
    }

    #[tokio::test]
    async fn a_removed_job_is_known_until_its_tombstone_crumbles() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let mut recovered = recover(&config(folder.path()), &clock).await.unwrap();
        record(&mut recovered, &clock, received()).await;
        record(&mut recovered, &clock, closed(Duration::ZERO)).await;
        clock.sleep_until(Some(clock.now().after(Duration::from_millis(2)))).await;
        let mut found = expired(&recovered.reader, &clock, KEPT);
        let Some(Event::Expired { closing, tombstone: Some(tombstone) }) = found.pop() else {
            panic!("one job has expired, and something outlives it")
        };
        assert_eq!(tombstone.spec_digest, Some(submission().spec_digest));
        // Found twice, it is buried twice and no different.
        for _ in 0..2 {
            record(&mut recovered, &clock, Record::Buried((*tombstone).clone())).await;
        }
        record(&mut recovered, &clock, Record::Forgotten(closing)).await;
        assert_eq!(known(&recovered), (true, Some((*tombstone).clone())));
        assert!(crumbled(&recovered.reader, &clock).is_empty());
        assert_eq!(recovered.reader.scan(&former_keys("sales"), None, 10).unwrap().len(), 1);

        // The journal alone tells it, and no start loads it.
        drop(recovered);
        std::fs::remove_dir_all(folder.path().join("journal").join("index")).unwrap();
        let mut recovered = recover(&config(folder.path()), &clock).await.unwrap();
        assert_eq!(known(&recovered), (true, Some((*tombstone).clone())));
        let over = Tombstone { kept: Duration::ZERO, ..*tombstone };
        record(&mut recovered, &clock, Record::Buried(over)).await;
        clock.sleep_until(Some(clock.now().after(Duration::from_millis(2)))).await;
        assert_eq!(crumbled(&recovered.reader, &clock).len(), 1);
        record(&mut recovered, &clock, Record::Crumbled { job: job() }).await;
        assert_eq!(known(&recovered), (false, None));
        assert_eq!(recovered.reader.scan(CRUMBLING_KEYS.as_bytes(), None, 10).unwrap(), []);
        assert_eq!(recovered.reader.scan(&former_keys("sales"), None, 10).unwrap(), []);
    }

    /// Says whether the request is known, and what is known of the job.
    fn known(recovered: &Recovered) -> (bool, Option<Tombstone>) {
        let request = recovered.reader.get(&request_key(submission().request)).unwrap();
        let tombstone = recovered.reader.get(&tombstone_key(&job())).unwrap();
        (request.is_some(), tombstone.map(|value| serde_json::from_slice(&value).unwrap()))
    }

    fn received() -> Record {
        let schedule = votum_schedule::Record::Received {
            job: job(),
            spec: Arc::new(spec("sales", "s1")),
            submission: submission(),
            in_line: None,
        };
        let schedule = Some(schedule);
        let record = JobRecord {
            job: job(),
            schedule,
            commit: None,
            prepared: None,
            settle: None,
            ruling: None,
            closing: None,
        };
        Record::Job(Box::new(record))
    }

    /// Appends a record and waits until it is durable, and so indexed.
    async fn record(recovered: &mut Recovered, clock: &Clock, record: Record) {
        let lsn = recovered.journal.append(votum_driver::entry(clock.wall(), &record));
        recovered.durable.wait_for(|durable| *durable >= lsn).await.unwrap();
    }

    fn closed(retention: Duration) -> Record {
        let closing = Some(closing(retention));
        let record = JobRecord {
            job: job(),
            schedule: None,
            commit: None,
            prepared: None,
            settle: None,
            ruling: None,
            closing,
        };
        Record::Job(Box::new(record))
    }

    fn closing(retention: Duration) -> Closing {
        Closing {
            job: job(),
            display_name: "sales".to_owned(),
            decision: Decision::Commit,
            received: WallTime(1_000),
            request: submission().request,
            uid: submission().uid,
            retention,
            round: None,
            mixed: false,
            filed: None,
        }
    }

    const KEPT: Duration = Duration::from_secs(3600);
}
