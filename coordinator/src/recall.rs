//! Looks up what became of jobs that are not open, one after the other, for workers in doubt,
//! and for those where somebody has ended the doubt by force.

use tokio::sync::mpsc;
use votum_commit::{CoordinatorRecord, Decision, Heuristic, Installation};
use votum_driver::{Inbox, Stamped};
use votum_ids::{JobId, TxnId};
use votum_journal::Reader;

use crate::{
    event::{Event, Past, Place},
    open_job::OpenJob,
    quarantine,
    record::{Closing, JobRecord, job_stream},
    recovery::read_tombstone,
};

/// Where inquiries go in.
#[derive(Debug)]
pub(crate) struct Recall(mpsc::Sender<Inquiry>);

/// What is looked up.
#[derive(Debug)]
enum Inquiry {
    /// What became of a round, for a worker in doubt about it.
    Past { from: Installation, txn: TxnId },
    /// Where something that was forced belongs.
    Place { from: Installation, heuristic: Box<Heuristic> },
    /// Whether the journal knows how a job ended.
    End { job: JobId },
}

impl Recall {
    /// Starts to answer from the journal; every answer is an event.
    pub(crate) fn start(reader: Reader, inbox: Inbox<Event>) -> Self {
        let (sender, mut inquiries) = mpsc::channel::<Inquiry>(INQUIRIES_MAX);
        tokio::spawn(async move {
            while let Some(inquiry) = inquiries.recv().await {
                let found = match inquiry {
                    Inquiry::Past { from, txn } => {
                        let past = past(&reader, &txn);
                        Event::Recalled { from, txn, past }
                    }
                    Inquiry::Place { from, heuristic } => {
                        let place = place(&reader, &from, &heuristic);
                        Event::ForcedRecalled { from, heuristic, place }
                    }
                    Inquiry::End { job } => match has_ended(&reader, &job) {
                        Ok(ended) => Event::LookedUp { job, ended },
                        Err(error) => {
                            tracing::error!(%job, %error, "cannot look a job up");
                            continue;
                        }
                    },
                };
                if !inbox.send(found).await {
                    return;
                }
            }
        });
        Self(sender)
    }

    /// Asks what became of the job of a round; an inquiry too many is dropped.
    pub(crate) fn look_up(&self, from: Installation, txn: TxnId) {
        self.ask(Inquiry::Past { from, txn });
    }

    /// Asks where something that was forced belongs; one too many is dropped, and told again.
    pub(crate) fn find_place(&self, from: Installation, heuristic: Box<Heuristic>) {
        self.ask(Inquiry::Place { from, heuristic });
    }

    /// Asks whether the journal knows how a job ended; one too many is dropped.
    pub(crate) fn find_end(&self, job: JobId) {
        self.ask(Inquiry::End { job });
    }

    fn ask(&self, inquiry: Inquiry) {
        if self.0.try_send(inquiry).is_err() {
            tracing::warn!("too many inquiries about jobs that are not open: drops one");
        }
    }
}

/// Finds what became of a round, in the records of its job or in what outlives them.
fn past(reader: &Reader, txn: &TxnId) -> Past {
    match committed(reader, &txn.job) {
        Ok(committed) => compare(committed, txn),
        Err(error) => {
            tracing::error!(job = %txn.job, %error, "cannot read what became of a job");
            Past::Unreadable
        }
    }
}

/// Finds the history that something which was forced belongs to.
fn place(reader: &Reader, from: &Installation, heuristic: &Heuristic) -> Place {
    let job = &heuristic.txn.job;
    let stored = match reader.read(&job_stream(job)) {
        Ok(stored) => stored,
        Err(error) => {
            tracing::error!(%job, %error, "cannot read what became of a job");
            return Place::Unreadable;
        }
    };
    let read = quarantine::read(job, &stored);
    let damaged = read.is_err();
    // Of a job that a person has settled its end can be read, whatever else cannot.
    let records = read.unwrap_or_else(|_damages| quarantine::readable(job, &stored));
    let place = place_in(&records, from, heuristic);
    if damaged && place == Place::Gone { Place::Unreadable } else { place }
}

/// Finds it among the records of the job.
pub(crate) fn place_in(
    records: &[Stamped<JobRecord>],
    from: &Installation,
    heuristic: &Heuristic,
) -> Place {
    let noted = |record: &JobRecord| {
        matches!(&record.commit, Some(CoordinatorRecord::Heuristic { holder, heuristic: known })
            if holder == from && known.txn == heuristic.txn)
    };
    if records.iter().any(|stamped| noted(&stamped.record)) {
        return Place::Noted;
    }
    let closing = records.iter().rev().find_map(|stamped| stamped.record.closing.clone());
    let Some(mut closing) = closing else { return Place::Gone };
    if let Some(mut open) = OpenJob::replay(records) {
        let (holder, heuristic) = (from.clone(), heuristic.clone());
        let told = CoordinatorRecord::Heuristic { holder, heuristic };
        open.note(closing.received, None, Some(&told));
        closing.mixed |= open.is_mixed();
    }
    Place::Closed(Box::new(closing))
}

/// Says what it means for a round which one has committed, if one has; it may be unknown which.
pub(crate) fn compare(committed: Option<Option<TxnId>>, txn: &TxnId) -> Past {
    match committed {
        None => Past::NotCommitted,
        Some(Some(round)) if round != *txn => Past::OtherRoundCommitted,
        Some(_) => Past::Committed,
    }
}

/// Returns which round of a job has committed.
fn committed(reader: &Reader, job: &JobId) -> anyhow::Result<Option<Option<TxnId>>> {
    let stored = reader.read(&job_stream(job))?;
    let records = match quarantine::read(job, &stored) {
        Ok(records) => records,
        // Of a job that a person has settled its end can be read.
        Err(_damages) => {
            let records = quarantine::readable(job, &stored);
            let ended = records.iter().any(|stamped| stamped.record.closing.is_some());
            anyhow::ensure!(ended, "its records cannot all be read");
            records
        }
    };
    let tombstone = if records.is_empty() { read_tombstone(reader, job)? } else { None };
    let buried = tombstone.and_then(|found| round_of(&found.closing));
    Ok(records.iter().find_map(|stamped| round(&stamped.record)).or(buried))
}

/// Says whether the journal knows a job that is not open.
fn has_ended(reader: &Reader, job: &JobId) -> anyhow::Result<bool> {
    let known = !reader.read(&job_stream(job))?.is_empty();
    Ok(known || read_tombstone(reader, job)?.is_some())
}

/// Returns which round a record says has committed.
pub(crate) fn round(record: &JobRecord) -> Option<Option<TxnId>> {
    if let Some(CoordinatorRecord::CommitDecided { txn, .. }) = &record.commit {
        return Some(Some(txn.clone()));
    }
    round_of(record.closing.as_ref()?)
}

fn round_of(closing: &Closing) -> Option<Option<TxnId>> {
    (closing.decision == Decision::Commit).then(|| closing.round.clone())
}

/// Most inquiries that wait.
const INQUIRIES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use votum_driver::Clock;
    use votum_ids::Epoch;
    use votum_machine::WallTime;

    use super::*;
    use crate::{
        engine::tests::{job, submission},
        record::{Record, Tombstone},
        recovery::{Recovered, recover, tests::config},
    };
    use votum_journal::Journal;

    #[tokio::test]
    async fn a_commit_is_remembered_past_its_records() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let mut recovered = recover(&config(folder.path()), &clock).await.unwrap();
        assert_eq!(past(&recovered.reader, &txn(1)), Past::NotCommitted);

        record(&mut recovered, &clock, closed(Decision::Commit)).await;
        assert_eq!(past(&recovered.reader, &txn(1)), Past::Committed);
        assert_eq!(past(&recovered.reader, &txn(2)), Past::OtherRoundCommitted);
        let buried = Tombstone {
            closing: closing(Decision::Commit),
            ended: WallTime(2_000),
            spec_digest: None,
            kept: Duration::from_secs(3600),
            deleted_by: None,
            removed: None,
        };
        record(&mut recovered, &clock, Record::Buried(buried)).await;
        record(&mut recovered, &clock, Record::Forgotten(closing(Decision::Commit))).await;
        assert_eq!(past(&recovered.reader, &txn(1)), Past::Committed);
        assert_eq!(past(&recovered.reader, &txn(2)), Past::OtherRoundCommitted);
        record(&mut recovered, &clock, Record::Crumbled { job: job() }).await;
        assert_eq!(past(&recovered.reader, &txn(1)), Past::NotCommitted);
    }

    #[tokio::test]
    async fn an_abort_is_never_remembered_as_a_commit() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let mut recovered = recover(&config(folder.path()), &clock).await.unwrap();
        record(&mut recovered, &clock, closed(Decision::Abort)).await;
        assert_eq!(past(&recovered.reader, &txn(1)), Past::NotCommitted);
    }

    /// Appends a record and waits until it is durable, and so indexed.
    async fn record(recovered: &mut Recovered, clock: &Clock, record: Record) {
        let lsn = recovered.journal.append(votum_driver::entry(clock.wall(), &record));
        recovered.durable.wait_for(|durable| *durable >= lsn).await.unwrap();
    }

    fn closed(decision: Decision) -> Record {
        let closing = Some(closing(decision));
        let (schedule, commit, prepared) = (None, None, None);
        let (settle, ruling) = (None, None);
        let record = JobRecord { job: job(), schedule, commit, prepared, settle, ruling, closing };
        Record::Job(Box::new(record))
    }

    fn closing(decision: Decision) -> Closing {
        Closing {
            job: job(),
            display_name: "sales".to_owned(),
            decision,
            received: WallTime(1_000),
            request: submission().request,
            uid: submission().uid,
            retention: Duration::from_secs(3600),
            round: (decision == Decision::Commit).then(|| txn(1)),
            mixed: false,
            filed: None,
        }
    }

    fn txn(counter: u64) -> TxnId {
        TxnId { job: job(), epoch: Epoch(1), counter }
    }
}
