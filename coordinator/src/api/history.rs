//! What the log tells of one job, and how that is forgotten before its time.

use tonic::Status;
use votum_ids::JobId;
use votum_journal::{ReadError, Stored};
use votum_wire::{
    history::{EventPage, ListEvents},
    status,
};

use super::{Desk, refused};
use crate::{
    action::{Answer, Refusal},
    expiry, quarantine,
    question::Question,
    record::job_stream,
    view,
};

impl Desk {
    /// Returns a page of a job's history; that of a job whose records were removed is empty.
    pub(super) async fn events(&self, wanted: ListEvents) -> Result<EventPage, Status> {
        let ListEvents { job, size, after } = wanted;
        let stored = self.stored(&job).await?;
        if stored.is_empty() {
            self.tombstone(&job)?.ok_or_else(|| status::job_not_found(&job))?;
            return Ok(EventPage { events: Vec::new(), next: None });
        }
        let mut events = view::event::events(&job, &stored);
        events.retain(|event| event.id > after);
        let more = events.len() > size;
        events.truncate(size);
        let last = events.last().filter(|_| more);
        let next = last.map(|last| EventPage::token_after(&job, last.id));
        Ok(EventPage { events, next })
    }

    /// Forgets a job that has ended; one that was forgotten before stays so.
    pub(super) async fn delete(&self, job: JobId, by: String) -> Result<(), Status> {
        let jobs = vec![job.clone()];
        // What is open may be closing: its last record is durable before the answer says so.
        if let Answer::Jobs(open) = self.ask(Question::ShowJobs { jobs }).await?
            && let Some(view) = open.into_iter().next()
        {
            let state = view.state;
            if view.quarantine.is_some() {
                let problem = view.state_message;
                return Err(refused(&Refusal::Quarantined { job, problem }));
            }
            let why = if state.is_final() { view.state_message } else { String::new() };
            return Err(refused(&Refusal::NotEnded { job, state, why }));
        }
        let stored = self.stored(&job).await?;
        if stored.is_empty() {
            self.tombstone(&job)?.ok_or_else(|| status::job_not_found(&job))?;
            return Ok(());
        }
        let unreadable = || {
            let problem = "its records cannot all be read, and are kept".to_owned();
            refused(&Refusal::Quarantined { job: job.clone(), problem })
        };
        let records = quarantine::read(&job, &stored).map_err(|_damages| unreadable())?;
        let closing =
            records.iter().find_map(|stamped| Some((stamped.at, stamped.record.closing.clone()?)));
        let (ended, closing) = closing.ok_or_else(unreadable)?;
        let tombstone = expiry::outliving(&self.reader, &closing, ended, self.tombstones_kept);
        let tombstone = tombstone.map(|mut tombstone| {
            tombstone.deleted_by = Some(by);
            tombstone.removed = Some(self.clock.wall());
            Box::new(tombstone)
        });
        self.ask(Question::Delete { closing, tombstone }).await?;
        Ok(())
    }

    /// Reads a job's records, away from the threads that answer.
    pub(super) async fn stored(&self, job: &JobId) -> Result<Vec<Stored>, Status> {
        let (reader, stream) = (self.reader.clone(), job_stream(job));
        let read = tokio::task::spawn_blocking(move || reader.read(&stream)).await;
        let read: Result<_, ReadError> = read.map_err(|error| status::internal(&error))?;
        read.map_err(|error| status::internal(&error))
    }
}
