//! What clients ask for, read and checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use prost::Message as _;
use tonic::Status;
use votum_ids::{JobId, RequestId};
use votum_job::{JobSpec, SPEC_BYTES_MAX};
use votum_machine::WallTime;
use votum_proto::v1;

use crate::{
    Fault, Filter, InvalidFilter, JobState, JobView, LogPiece, LogStream, Malformed, Translate,
    WorkerView,
    filter::{self, Facts},
    names::{Scope, job_name, read_attempt_name, read_job_name, read_scope},
    page::{self, Page},
    spec::{job_spec_from_proto, job_spec_to_proto},
    status,
    time::{read_timestamp_if_any, timestamp},
    translate::{
        Numbered, enumerated, enumerated_if_any, number, numbered, parse_if_any, read_all, set,
        uuid, write_all,
    },
};

/// Hands in a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitJob {
    /// What is asked for, defaults filled in, not yet checked as a graph.
    pub spec: JobSpec,
    /// The id it shall have; drawn by the coordinator if absent.
    pub job: Option<JobId>,
    /// Recognises a repeated submission.
    pub request: Option<RequestId>,
    /// Check only; nothing is received.
    pub validate_only: bool,
}

impl SubmitJob {
    /// Writes the request.
    #[must_use]
    pub fn to_proto(&self) -> v1::SubmitJobRequest {
        v1::SubmitJobRequest {
            spec: Some(job_spec_to_proto(&self.spec)),
            job_id: self.job.as_ref().map(JobId::to_string).unwrap_or_default(),
            request_id: self.request.as_ref().map(RequestId::to_string).unwrap_or_default(),
            validate_only: self.validate_only,
        }
    }

    /// Reads the request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with every field that means nothing.
    pub fn read(proto: v1::SubmitJobRequest) -> Result<Self, Status> {
        let job = parse_if_any("job_id", &proto.job_id)?;
        let request = match proto.request_id.as_str() {
            "" => None,
            text => Some(RequestId(uuid("request_id", text)?)),
        };
        let spec = set("spec", proto.spec)?;
        let bytes = spec.encoded_len();
        if bytes > SPEC_BYTES_MAX {
            return Err(status::spec_too_large(bytes, SPEC_BYTES_MAX));
        }
        let spec = job_spec_from_proto(spec).map_err(|found| {
            let found: Vec<_> = found.into_iter().map(|wrong| wrong.below("spec")).collect();
            status::malformed_spec(&found)
        })?;
        Ok(Self { spec, job, request, validate_only: proto.validate_only })
    }
}

/// Answers a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The durable job; absent if the request was only validated.
    pub job: Option<JobView>,
    /// The same request had been received before.
    pub duplicate: bool,
}

impl Translate for Submitted {
    type Proto = v1::SubmitJobResponse;

    fn to_proto(&self) -> v1::SubmitJobResponse {
        v1::SubmitJobResponse {
            job: self.job.as_ref().map(Translate::to_proto),
            duplicate: self.duplicate,
        }
    }

    fn from_proto(proto: v1::SubmitJobResponse) -> Result<Self, Malformed> {
        Ok(Self {
            job: crate::translate::read_if_any("job", proto.job)?,
            duplicate: proto.duplicate,
        })
    }
}

/// Says how much of a job is wanted (AIP-157).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detail {
    /// Without spec, attempts, outputs and participants.
    Basic,
    /// Everything.
    Full,
}

numbered!(Detail, v1::JobView { Basic = Basic, Full = Full });

impl Detail {
    /// Leaves out what was not asked for.
    #[must_use]
    pub fn of(self, job: JobView) -> JobView {
        match self {
            Self::Basic => job.basic(),
            Self::Full => job,
        }
    }
}

/// Names one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetJob {
    /// Which.
    pub job: JobId,
    /// How much of it.
    pub detail: Detail,
}

impl Translate for GetJob {
    type Proto = v1::GetJobRequest;

    fn to_proto(&self) -> v1::GetJobRequest {
        v1::GetJobRequest { name: job_name(&self.job), view: self.detail.number() }
    }

    fn from_proto(proto: v1::GetJobRequest) -> Result<Self, Malformed> {
        Ok(Self {
            job: read_job_name("name", &proto.name)?,
            detail: enumerated_if_any("view", proto.view)?.unwrap_or(Detail::Full),
        })
    }
}

/// Chooses jobs; the default chooses all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those in one of these states.
    pub states: BTreeSet<JobState>,
    /// Those that are held, whatever their state.
    pub paused: bool,
    /// Those that abort, or aborted, because somebody cancelled them.
    pub cancelled: bool,
    /// Those of this display name.
    pub display_name: Option<String>,
    /// Those whose spec has all of these labels.
    pub labels: BTreeMap<String, String>,
    /// Those that were received then or later.
    pub since: Option<WallTime>,
    /// Those whose id begins so.
    pub prefix: Option<String>,
    /// Those of which this holds.
    pub filter: Option<Filter>,
    /// Those whose records were removed, instead of the others; by name or by prefix only.
    pub removed: bool,
}

impl Wanted {
    /// Says whether a job is among them, as far as a view tells; nothing that it does not tell is.
    #[must_use]
    pub fn contains(&self, job: &JobView, now: WallTime) -> bool {
        self.judge(&Facts::of(job), now) == Some(true)
    }

    /// Says whether a job is among them; none if what is known of it leaves that open.
    #[must_use]
    pub fn judge(&self, job: &Facts<'_>, now: WallTime) -> Option<bool> {
        let Self { display_name, labels, since, prefix, filter, .. } = self;
        filter::all(
            [
                Some(since.is_none_or(|since| job.received >= since)),
                Some(prefix.as_ref().is_none_or(|prefix| job.job.as_str().starts_with(prefix))),
                display_name.as_ref().map_or(Some(true), |name| Some(job.name? == name)),
                self.stands(job),
            ]
            .into_iter()
            .chain(labels.iter().map(|(key, value)| Some(job.labels?.get(key) == Some(value))))
            .chain(filter.iter().map(|filter| filter.judge(job, now))),
        )
    }

    /// Returns a time before which no wanted job was received, if there is one.
    #[must_use]
    pub fn received_since(&self, now: WallTime) -> Option<WallTime> {
        let filtered = self.filter.as_ref().and_then(|filter| filter.received_since(now));
        self.since.max(filtered)
    }

    /// Says whether a state is asked for by name.
    #[must_use]
    pub fn names(&self, state: JobState) -> bool {
        self.states.contains(&state)
            || self.filter.as_ref().is_some_and(|filter| filter.names(state))
    }

    fn stands(&self, job: &Facts<'_>) -> Option<bool> {
        if self.is_any_state() {
            return Some(true);
        }
        filter::any(
            self.states
                .iter()
                .map(|state| Some(job.state? == *state))
                .chain(self.paused.then_some(job.paused))
                .chain(self.cancelled.then_some(job.cancelled)),
        )
    }

    /// Says whether it does not matter where a job stands.
    #[must_use]
    pub fn is_any_state(&self) -> bool {
        self.states.is_empty() && !self.paused && !self.cancelled
    }

    /// Returns what the token of a page is good for.
    fn arguments(&self) -> String {
        let states = self.states.iter().map(|state| state.word());
        let more = self.paused.then_some("PAUSED").into_iter();
        let more = more.chain(self.cancelled.then_some("CANCELLED"));
        let words: Vec<&str> = states.chain(more).collect();
        let Self { display_name, labels, since, prefix, .. } = self;
        let mut arguments =
            format!("jobs {} {display_name:?} {labels:?} {since:?} {prefix:?}", words.join(","));
        if let Some(filter) = &self.filter {
            let _written = write!(arguments, " {:?}", filter.text());
        }
        if self.removed {
            arguments.push_str(" removed");
        }
        arguments
    }
}

/// Asks for a page of jobs, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListJobs {
    /// Which jobs.
    pub wanted: Wanted,
    /// How much of each.
    pub detail: Detail,
    /// Which part of the list.
    pub page: Page,
}

impl ListJobs {
    /// Writes a request for the first page, or for the one that a token stands for.
    #[must_use]
    pub fn request(
        wanted: &Wanted,
        detail: Detail,
        size: usize,
        token: Option<String>,
    ) -> v1::ListJobsRequest {
        v1::ListJobsRequest {
            page_size: i32::try_from(size).unwrap_or(i32::MAX),
            page_token: token.unwrap_or_default(),
            states: wanted.states.iter().map(|state| state.number()).collect(),
            view: detail.number(),
            paused: wanted.paused,
            cancelled: wanted.cancelled,
            display_name: wanted.display_name.clone().unwrap_or_default(),
            labels: wanted.labels.clone(),
            create_after: wanted.since.map(timestamp),
            job_id_prefix: wanted.prefix.clone().unwrap_or_default(),
            filter: wanted.filter.as_ref().map(|it| it.text().to_owned()).unwrap_or_default(),
            removed: wanted.removed,
        }
    }

    /// Reads the request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when a field means nothing or the token is of another list.
    pub fn read(proto: v1::ListJobsRequest) -> Result<Self, Status> {
        let state = |(i, state): (usize, &i32)| enumerated(&format!("states[{i}]"), *state);
        let states = proto.states.iter().enumerate().map(state).collect::<Result<_, _>>()?;
        let detail = enumerated_if_any("view", proto.view)?.unwrap_or(Detail::Basic);
        let wanted = Wanted {
            states,
            paused: proto.paused,
            cancelled: proto.cancelled,
            display_name: Some(proto.display_name).filter(|name| !name.is_empty()),
            labels: proto.labels,
            since: read_timestamp_if_any("create_after", proto.create_after)?,
            prefix: Some(proto.job_id_prefix).filter(|prefix| !prefix.is_empty()),
            filter: read_filter(&proto.filter)?,
            removed: proto.removed,
        };
        if wanted.removed && wanted.display_name.is_none() && wanted.prefix.is_none() {
            let words = "removed jobs are listed by display_name or by job_id_prefix";
            return Err(Malformed::new("removed", Fault::Meaningless(words.to_owned())).into());
        }
        let page = Page::read(proto.page_size, &proto.page_token, &wanted.arguments())?;
        Ok(Self { wanted, detail, page })
    }

    /// Returns the token of the page that begins after a position.
    #[must_use]
    pub fn token_after(&self, position: &str) -> String {
        page::seal(position, &self.wanted.arguments())
    }
}

/// Reads a filter; none if nothing is written.
fn read_filter(text: &str) -> Result<Option<Filter>, InvalidFilter> {
    if text.trim().is_empty() { Ok(None) } else { text.parse().map(Some) }
}

/// A page of jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPage {
    /// Newest first.
    pub jobs: Vec<JobView>,
    /// Token of the page that follows; absent at the end.
    pub next: Option<String>,
}

impl Translate for JobPage {
    type Proto = v1::ListJobsResponse;

    fn to_proto(&self) -> v1::ListJobsResponse {
        v1::ListJobsResponse {
            jobs: write_all(&self.jobs),
            next_page_token: self.next.clone().unwrap_or_default(),
        }
    }

    fn from_proto(proto: v1::ListJobsResponse) -> Result<Self, Malformed> {
        Ok(Self {
            jobs: read_all("jobs", proto.jobs)?,
            next: Some(proto.next_page_token).filter(|token| !token.is_empty()),
        })
    }
}

/// Asks for a page of workers, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListWorkers {
    /// Which part of the list.
    pub page: Page,
}

impl ListWorkers {
    /// Reads the request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when the page size is negative or the token is of another list.
    pub fn read(proto: &v1::ListWorkersRequest) -> Result<Self, Status> {
        Ok(Self { page: Page::read(proto.page_size, &proto.page_token, WORKERS)? })
    }

    /// Returns the token of the page that begins after a position.
    #[must_use]
    pub fn token_after(position: &str) -> String {
        page::seal(position, WORKERS)
    }
}

/// What the tokens of lists of workers are good for.
const WORKERS: &str = "workers";

/// A page of workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerPage {
    /// By name.
    pub workers: Vec<WorkerView>,
    /// Token of the page that follows; absent at the end.
    pub next: Option<String>,
}

impl Translate for WorkerPage {
    type Proto = v1::ListWorkersResponse;

    fn to_proto(&self) -> v1::ListWorkersResponse {
        v1::ListWorkersResponse {
            workers: write_all(&self.workers),
            next_page_token: self.next.clone().unwrap_or_default(),
        }
    }

    fn from_proto(proto: v1::ListWorkersResponse) -> Result<Self, Malformed> {
        Ok(Self {
            workers: read_all("workers", proto.workers)?,
            next: Some(proto.next_page_token).filter(|token| !token.is_empty()),
        })
    }
}

/// Asks for an abort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelJob {
    /// Which.
    pub job: JobId,
    /// Shown as the cause.
    pub reason: String,
}

impl Translate for CancelJob {
    type Proto = v1::CancelJobRequest;

    fn to_proto(&self) -> v1::CancelJobRequest {
        v1::CancelJobRequest { name: job_name(&self.job), reason: self.reason.clone() }
    }

    fn from_proto(proto: v1::CancelJobRequest) -> Result<Self, Malformed> {
        let reason = checked_reason(proto.reason)?;
        Ok(Self { job: read_job_name("name", &proto.name)?, reason })
    }
}

/// Bounds a reason that a person gave.
pub(crate) fn checked_reason(reason: String) -> Result<String, Malformed> {
    if reason.len() > REASON_BYTES_MAX {
        let fault = Fault::TooMany { count: reason.len(), limit: REASON_BYTES_MAX };
        return Err(Malformed::new("reason", fault));
    }
    Ok(reason)
}

/// A reason is recorded for ever, so it stays a sentence.
const REASON_BYTES_MAX: usize = 1024;

/// Asks for what tasks wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailLogs {
    /// Whose.
    pub scope: Scope,
    /// Stay for further lines until the attempts have ended.
    pub follow: bool,
    /// Only the last lines of each stream.
    pub tail_lines: Option<u32>,
    /// Only one stream.
    pub stream: Option<LogStream>,
    /// Only what was written then or later, to the second.
    pub since: Option<WallTime>,
    /// Each piece shall have been written within a second, and say when.
    pub timed: bool,
}

numbered!(LogStream, v1::LogStream { Stdout = Stdout, Stderr = Stderr });

impl Translate for TailLogs {
    type Proto = v1::TailLogsRequest;

    fn to_proto(&self) -> v1::TailLogsRequest {
        v1::TailLogsRequest {
            name: self.scope.to_string(),
            follow: self.follow,
            tail_lines: self.tail_lines.map(|lines| i32::try_from(lines).unwrap_or(i32::MAX)),
            stream: self.stream.map_or(0, Numbered::number),
            since_time: self.since.map(timestamp),
            timed: self.timed,
        }
    }

    fn from_proto(proto: v1::TailLogsRequest) -> Result<Self, Malformed> {
        Ok(Self {
            scope: read_scope("name", &proto.name)?,
            follow: proto.follow,
            tail_lines: proto.tail_lines.map(|lines| number("tail_lines", lines)).transpose()?,
            stream: enumerated_if_any("stream", proto.stream)?,
            since: read_timestamp_if_any("since_time", proto.since_time)?,
            timed: proto.timed,
        })
    }
}

impl Translate for LogPiece {
    type Proto = v1::TailLogsResponse;

    fn to_proto(&self) -> v1::TailLogsResponse {
        v1::TailLogsResponse {
            attempt: self.attempt.to_string(),
            stream: self.stream.number(),
            offset: crate::translate::count(self.offset),
            data: self.data.clone(),
            write_time: self.written.map(timestamp),
        }
    }

    fn from_proto(proto: v1::TailLogsResponse) -> Result<Self, Malformed> {
        Ok(Self {
            attempt: read_attempt_name("attempt", &proto.attempt)?,
            stream: enumerated("stream", proto.stream)?,
            offset: number("offset", proto.offset)?,
            data: proto.data,
            written: read_timestamp_if_any("write_time", proto.write_time)?,
        })
    }
}
