//! The durable history of a job, on the wire and for people.

use votum_ids::{JobId, TaskId, WorkerId};
use votum_machine::WallTime;
use votum_proto::v1;

use crate::{
    Malformed, Translate,
    names::{job_name, read_job_name, read_worker_name, worker_name},
    page::{self, Page},
    time::{read_timestamp, timestamp},
    translate::{count, number, parse_if_any, read_all, write_all},
};

/// One durable fact of a job's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventView {
    /// Counts the events of the job from 1, without gaps; the same event keeps its number.
    pub id: u64,
    /// Number of its record in the coordinator's log.
    pub lsn: u64,
    /// When it was recorded.
    pub at: WallTime,
    /// What kind of fact, such as `commit_decided`; programs skip those that they do not know.
    pub kind: String,
    /// One sentence for people.
    pub text: String,
    /// The task or effect that it is about; none: the job as a whole.
    pub task: Option<TaskId>,
    /// The attempt of the task or the try of the effect, counted from 1.
    pub attempt: Option<u32>,
    /// The worker that it is about.
    pub worker: Option<WorkerId>,
    /// Who asked for it; empty if nobody did.
    pub by: String,
    /// Whether what follows waited for its sync.
    pub forced: bool,
    /// The coordinator's epoch when it was recorded.
    pub epoch: u64,
}

impl Translate for EventView {
    type Proto = v1::JobEvent;

    fn to_proto(&self) -> v1::JobEvent {
        v1::JobEvent {
            event_id: count(self.id),
            lsn: count(self.lsn),
            create_time: Some(timestamp(self.at)),
            kind: self.kind.clone(),
            text: self.text.clone(),
            task: self.task.as_ref().map(TaskId::to_string).unwrap_or_default(),
            attempt_number: self.attempt.map_or(0, |n| i32::try_from(n).unwrap_or(i32::MAX)),
            worker: self.worker.as_ref().map(worker_name).unwrap_or_default(),
            by: self.by.clone(),
            forced: self.forced,
            epoch: count(self.epoch),
        }
    }

    fn from_proto(proto: v1::JobEvent) -> Result<Self, Malformed> {
        let worker = match proto.worker.as_str() {
            "" => None,
            name => Some(read_worker_name("worker", name)?),
        };
        let attempt: u32 = number("attempt_number", proto.attempt_number)?;
        Ok(Self {
            id: number("event_id", proto.event_id)?,
            lsn: number("lsn", proto.lsn)?,
            at: read_timestamp("create_time", proto.create_time)?,
            kind: proto.kind,
            text: proto.text,
            task: parse_if_any("task", &proto.task)?,
            attempt: (attempt > 0).then_some(attempt),
            worker,
            by: proto.by,
            forced: proto.forced,
            epoch: number("epoch", proto.epoch)?,
        })
    }
}

/// Asks for a page of a job's history, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEvents {
    /// Whose.
    pub job: JobId,
    /// At most this many.
    pub size: usize,
    /// Only events after this one; 0: from the beginning.
    pub after: u64,
}

impl ListEvents {
    /// Writes a request for the events after one.
    #[must_use]
    pub fn request(job: &JobId, size: usize, after: u64) -> v1::ListEventsRequest {
        v1::ListEventsRequest {
            parent: job_name(job),
            page_size: i32::try_from(size).unwrap_or(i32::MAX),
            page_token: String::new(),
            after_event_id: count(after),
        }
    }

    /// Reads the request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when a field means nothing or the token is of another list.
    pub fn read(proto: &v1::ListEventsRequest) -> Result<Self, tonic::Status> {
        let job = read_job_name("parent", &proto.parent)?;
        let after: u64 = number("after_event_id", proto.after_event_id)?;
        let Page { size, after: position } =
            Page::read(proto.page_size, &proto.page_token, &arguments(&job))?;
        let position = position.and_then(|position| position.parse().ok()).unwrap_or(0);
        Ok(Self { job, size, after: after.max(position) })
    }
}

fn arguments(job: &JobId) -> String {
    format!("events {job}")
}

/// A page of a job's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// Oldest first.
    pub events: Vec<EventView>,
    /// Token of the page that follows; absent at the end.
    pub next: Option<String>,
}

impl EventPage {
    /// Returns the token of the page that begins after an event.
    #[must_use]
    pub fn token_after(job: &JobId, id: u64) -> String {
        page::seal(&id.to_string(), &arguments(job))
    }
}

impl Translate for EventPage {
    type Proto = v1::ListEventsResponse;

    fn to_proto(&self) -> v1::ListEventsResponse {
        v1::ListEventsResponse {
            events: write_all(&self.events),
            next_page_token: self.next.clone().unwrap_or_default(),
        }
    }

    fn from_proto(proto: v1::ListEventsResponse) -> Result<Self, Malformed> {
        Ok(Self {
            events: read_all("events", proto.events)?,
            next: Some(proto.next_page_token).filter(|token| !token.is_empty()),
        })
    }
}
