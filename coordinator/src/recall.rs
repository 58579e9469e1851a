//! Looks up what became of jobs that are not open, one after the other, for workers in doubt.

use tokio::sync::mpsc;
use votum_commit::{CoordinatorRecord, Decision, Installation};
use votum_driver::Inbox;
use votum_ids::{JobId, TxnId};
use votum_journal::Reader;

use crate::{
    event::{Event, Past},
    quarantine,
    record::{JobRecord, job_stream},
    recovery::read_tombstone,
};

/// Where inquiries go in.
#[derive(Debug)]
pub(crate) struct Recall(mpsc::Sender<Inquiry>);

type Inquiry = (Installation, TxnId);

impl Recall {
    /// Starts to answer from the journal; every answer is an event.
    pub(crate) fn start(reader: Reader, inbox: Inbox<Event>) -> Self {
        let (sender, mut inquiries) = mpsc::channel::<Inquiry>(INQUIRIES_MAX);
        tokio::spawn(async move {
            while let Some((from, txn)) = inquiries.recv().await {
                let past = past(&reader, &txn.job);
                if !inbox.send(Event::Recalled { from, txn, past }).await {
                    return;
                }
            }
        });
        Self(sender)
    }

    /// Asks what became of the job of a round; an inquiry too many is dropped.
    pub(crate) fn look_up(&self, from: Installation, txn: TxnId) {
        if self.0.try_send((from, txn)).is_err() {
            tracing::warn!("too many inquiries about jobs that are not open: drops one");
        }
    }
}

/// Finds what became of a job, in its records or in what outlives them.
fn past(reader: &Reader, job: &JobId) -> Past {
    let committed = || -> anyhow::Result<bool> {
        let stored = reader.read(&job_stream(job))?;
        let Ok(records) = quarantine::read(job, &stored) else {
            anyhow::bail!("its records cannot all be read");
        };
        if records.is_empty() {
            let tombstone = read_tombstone(reader, job)?;
            return Ok(tombstone.is_some_and(|found| found.closing.decision == Decision::Commit));
        }
        Ok(records.iter().any(|stamped| commits(&stamped.record)))
    };
    match committed() {
        Ok(true) => Past::Committed,
        Ok(false) => Past::NotCommitted,
        Err(error) => {
            tracing::error!(%job, %error, "cannot read what became of a job");
            Past::Unreadable
        }
    }
}

fn commits(record: &JobRecord) -> bool {
    let decided = matches!(record.commit, Some(CoordinatorRecord::CommitDecided { .. }));
    let closing = record.closing.as_ref();
    decided || closing.is_some_and(|closing| closing.decision == Decision::Commit)
}

/// Most inquiries that wait.
const INQUIRIES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use votum_driver::Clock;
    use votum_machine::WallTime;

    use super::*;
    use crate::{
        engine::tests::{job, submission},
        record::{Closing, Record, Tombstone},
        recovery::{Recovered, recover, tests::config},
    };
    use votum_journal::Journal;

    #[tokio::test]
    async fn a_commit_is_remembered_past_its_records() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let mut recovered = recover(&config(folder.path()), &clock).await.unwrap();
        assert_eq!(past(&recovered.reader, &job()), Past::NotCommitted);

        record(&mut recovered, &clock, closed(Decision::Commit)).await;
        assert_eq!(past(&recovered.reader, &job()), Past::Committed);
        let buried = Tombstone {
            closing: closing(Decision::Commit),
            ended: WallTime(2_000),
            spec_digest: None,
            kept: Duration::from_secs(3600),
        };
        record(&mut recovered, &clock, Record::Buried(buried)).await;
        record(&mut recovered, &clock, Record::Forgotten(closing(Decision::Commit))).await;
        assert_eq!(past(&recovered.reader, &job()), Past::Committed);
        record(&mut recovered, &clock, Record::Crumbled { job: job() }).await;
        assert_eq!(past(&recovered.reader, &job()), Past::NotCommitted);
    }

    #[tokio::test]
    async fn an_abort_is_never_remembered_as_a_commit() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let mut recovered = recover(&config(folder.path()), &clock).await.unwrap();
        record(&mut recovered, &clock, closed(Decision::Abort)).await;
        assert_eq!(past(&recovered.reader, &job()), Past::NotCommitted);
    }

    /// Appends a record and waits until it is durable, and so indexed.
    async fn record(recovered: &mut Recovered, clock: &Clock, record: Record) {
        let lsn = recovered.journal.append(votum_driver::entry(clock.wall(), &record));
        recovered.durable.wait_for(|durable| *durable >= lsn).await.unwrap();
    }

    fn closed(decision: Decision) -> Record {
        let closing = Some(closing(decision));
        let (schedule, commit, prepared, settle) = (None, None, None, None);
        let record = JobRecord { job: job(), schedule, commit, prepared, settle, closing };
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
        }
    }
}
