//! Why a request was refused, as both sides of the API see it (AIP-193).
//!
//! A problem cannot be made without a reason, so no status leaves Votum that a
//! program could only take apart by its sentence.

use std::{collections::BTreeMap, fmt, time::Duration};

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, RpcStatusExt, StatusExt};

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem, in the words of gRPC.
    pub code: Code,
    /// The stable word for programs.
    pub reason: Reason,
    /// One sentence for people.
    pub message: String,
    /// The dynamic parts of the sentence.
    pub metadata: BTreeMap<String, String>,
    /// Fields that are wrong.
    pub fields: Vec<FieldProblem>,
    /// Preconditions that do not hold.
    pub preconditions: Vec<Precondition>,
    /// The resource it is about.
    pub resource: Option<Resource>,
    /// When asking again makes sense.
    pub retry_after: Option<Duration>,
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// Path of the field from the request, such as `spec.tasks.load.retry`.
    pub field: String,
    /// What is wrong, for people.
    pub problem: String,
}

/// One precondition that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// The kind: the reason it goes with.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// For people.
    pub description: String,
}

/// A resource of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Full name of its message, such as `votum.v1.Job`.
    pub kind: String,
    /// Its resource name.
    pub name: String,
}

impl Problem {
    /// States a problem; the reason decides the code.
    #[must_use]
    pub fn words(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code: reason.code(),
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            fields: Vec::new(),
            preconditions: Vec::new(),
            resource: None,
            retry_after: None,
        }
    }

    /// Adds a dynamic part of the sentence.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Adds a wrong field.
    #[must_use]
    pub fn field(mut self, field: impl fmt::Display, problem: impl fmt::Display) -> Self {
        self.fields.push(FieldProblem { field: field.to_string(), problem: problem.to_string() });
        self
    }

    /// Adds a precondition that does not hold, of the kind of the reason.
    #[must_use]
    pub fn precondition(
        mut self,
        subject: impl fmt::Display,
        description: impl fmt::Display,
    ) -> Self {
        self.preconditions.push(Precondition {
            kind: self.reason.as_str().to_owned(),
            subject: subject.to_string(),
            description: description.to_string(),
        });
        self
    }

    /// Names the resource it is about.
    #[must_use]
    pub fn resource(mut self, kind: &str, name: impl fmt::Display) -> Self {
        self.resource = Some(Resource { kind: kind.to_owned(), name: name.to_string() });
        self
    }

    /// Says when asking again makes sense.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Reads what a call ended with; the reason is empty if the peer is not Votum.
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        Self::from_details(status.code(), status.message(), details)
    }

    /// Reads the form that stands inside of messages.
    pub(crate) fn from_rpc_status(status: &tonic_types::Status) -> Self {
        Self::from_details(Code::from_i32(status.code), &status.message, status.get_error_details())
    }

    /// Returns the form that stands inside of messages.
    pub(crate) fn into_rpc_status(self) -> tonic_types::Status {
        let status = Status::from(self);
        tonic_types::Status::decode(status.details()).expect("written a line before")
    }

    fn from_details(code: Code, message: &str, details: ErrorDetails) -> Self {
        let info = details.error_info();
        let fields = details.bad_request().map(|bad| bad.field_violations.as_slice());
        let preconditions =
            details.precondition_failure().map(|failed| failed.violations.as_slice());
        Self {
            code,
            reason: Reason::from(info.map_or("", |info| info.reason.as_str())),
            message: message.to_owned(),
            metadata: info
                .map(|info| info.metadata.clone().into_iter().collect())
                .unwrap_or_default(),
            fields: fields
                .unwrap_or_default()
                .iter()
                .map(|violation| FieldProblem {
                    field: violation.field.clone(),
                    problem: violation.description.clone(),
                })
                .collect(),
            preconditions: preconditions
                .unwrap_or_default()
                .iter()
                .map(|violation| Precondition {
                    kind: violation.r#type.clone(),
                    subject: violation.subject.clone(),
                    description: violation.description.clone(),
                })
                .collect(),
            resource: details.resource_info().map(|resource| Resource {
                kind: resource.resource_type.clone(),
                name: resource.resource_name.clone(),
            }),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let mut details = ErrorDetails::with_error_info(
            problem.reason.as_str(),
            DOMAIN,
            problem.metadata.into_iter().collect::<std::collections::HashMap<_, _>>(),
        );
        if !problem.fields.is_empty() {
            let fields = problem.fields.into_iter();
            details.set_bad_request(
                fields
                    .map(|wrong| FieldViolation::new(wrong.field, wrong.problem))
                    .collect::<Vec<_>>(),
            );
        }
        if !problem.preconditions.is_empty() {
            let failed = problem.preconditions.into_iter().map(|failed| {
                PreconditionViolation::new(failed.kind, failed.subject, failed.description)
            });
            details.set_precondition_failure(failed.collect::<Vec<_>>());
        }
        if let Some(Resource { kind, name }) = problem.resource {
            details.set_resource_info(kind, name, "", "");
        }
        if problem.retry_after.is_some() {
            details.set_retry_info(problem.retry_after);
        }
        Self::with_error_details(problem.code, problem.message, details)
    }
}

/// Returns the word of a code, as the JSON of gRPC writes it.
#[must_use]
pub fn code_word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $code:ident;)+) => {
        /// The stable words of the API's errors, each with its code.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $variant,)+
            /// A word of the protocol, of a failed attempt, or of a later version.
            Other(String),
        }

        impl Reason {
            /// Returns the word; empty if the other side gave none.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }

            /// Returns the code that goes with the word.
            #[must_use]
            pub fn code(&self) -> Code {
                match self {
                    $(Self::$variant => Code::$code,)+
                    Self::Other(_) => Code::Aborted,
                }
            }
        }

        impl From<&str> for Reason {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }
    };
}

reasons! {
    /// A field of a request or frame means nothing.
    Malformed = "MALFORMED", InvalidArgument;
    /// The job makes no sense.
    InvalidSpec = "INVALID_SPEC", InvalidArgument;
    /// A name stands there twice.
    DuplicateName = "DUPLICATE_NAME", InvalidArgument;
    /// The job names a task that it does not have.
    UnknownTask = "UNKNOWN_TASK", InvalidArgument;
    /// The job names an output that the task does not have.
    UnknownOutput = "UNKNOWN_OUTPUT", InvalidArgument;
    /// Tasks wait for each other.
    DependencyCycle = "DEPENDENCY_CYCLE", InvalidArgument;
    /// Two outputs of the job would become visible in one place.
    PublishConflict = "PUBLISH_CONFLICT", InvalidArgument;
    /// The spec or a part of it is too large.
    SpecTooLarge = "SPEC_TOO_LARGE", InvalidArgument;
    /// The page token is not of this list.
    PageTokenInvalid = "PAGE_TOKEN_INVALID", InvalidArgument;
    /// The filter of a list means nothing.
    FilterInvalid = "FILTER_INVALID", InvalidArgument;
    /// A task is pinned to a worker that was never seen, or was deleted.
    NoSuchWorker = "NO_SUCH_WORKER", FailedPrecondition;
    /// A target lies below no publish root of its worker.
    PublishRootNotAllowed = "PUBLISH_ROOT_NOT_ALLOWED", FailedPrecondition;
    /// The commit is durable.
    AlreadyDecided = "ALREADY_DECIDED", FailedPrecondition;
    /// A record of the job cannot be read: nothing is done with it.
    JobQuarantined = "JOB_QUARANTINED", FailedPrecondition;
    /// The job is not paused.
    NotPaused = "NOT_PAUSED", FailedPrecondition;
    /// Nobody is asked to approve the job.
    NotAwaitingApproval = "NOT_AWAITING_APPROVAL", FailedPrecondition;
    /// What the job staged is not what the etag names.
    StaleEtag = "STALE_ETAG", Aborted;
    /// A vote on the job, or its decision, is on its way.
    VoteUnderWay = "VOTE_UNDER_WAY", FailedPrecondition;
    /// No task waits for another attempt.
    NothingToRetry = "NOTHING_TO_RETRY", FailedPrecondition;
    /// The job has not ended, or something is still owed of it.
    JobNotEnded = "JOB_NOT_ENDED", FailedPrecondition;
    /// The job is not aborted.
    NotAborted = "NOT_ABORTED", FailedPrecondition;
    /// The job waits for something that cannot be undone.
    NotUndoable = "NOT_UNDOABLE", InvalidArgument;
    /// What the log knows does not allow it.
    IllegalResolution = "ILLEGAL_RESOLUTION", FailedPrecondition;
    /// Nobody waits for this participant.
    NothingOwed = "NOTHING_OWED", FailedPrecondition;
    /// Nothing is decided about the job.
    NotDecided = "NOT_DECIDED", FailedPrecondition;
    /// The worker can be heard, or may still be.
    WorkerNotLost = "WORKER_NOT_LOST", FailedPrecondition;
    /// There is no such case, or it is decided.
    CaseNotFound = "CASE_NOT_FOUND", NotFound;
    /// Nothing that the job staged is kept.
    NothingKept = "NOTHING_KEPT", FailedPrecondition;
    /// Another job takes over, or has taken over, what the job kept.
    AlreadyRescued = "ALREADY_RESCUED", FailedPrecondition;
    /// What stood at a target of the job before is not kept any more.
    RetiredVersionsGone = "RETIRED_VERSIONS_GONE", FailedPrecondition;
    /// What stood at the targets of the job before cannot be put back.
    NotRevertible = "NOT_REVERTIBLE", FailedPrecondition;
    /// No round of votes of the job is open, and no decision on its way.
    NoOpenTxn = "NO_OPEN_TXN", FailedPrecondition;
    /// The coordinator's log is older than what its workers have seen (C6).
    LogStale = "LOG_STALE", FailedPrecondition;
    /// The worker belongs to another cluster.
    ForeignCluster = "FOREIGN_CLUSTER", FailedPrecondition;
    /// The worker is connected, so it is not gone for good.
    WorkerConnected = "WORKER_CONNECTED", FailedPrecondition;
    /// The commit of a job depends on the worker.
    WorkerInDoubt = "WORKER_IN_DOUBT", FailedPrecondition;
    /// An operator has removed this installation of the worker for good.
    WorkerRemoved = "WORKER_REMOVED", FailedPrecondition;
    /// Worker and coordinator have no version of the session's protocol in common.
    ProtocolMismatch = "PROTOCOL_MISMATCH", FailedPrecondition;
    /// A session begins with Hello and has one.
    HelloExpected = "HELLO_EXPECTED", FailedPrecondition;
    /// There is no such job.
    JobNotFound = "JOB_NOT_FOUND", NotFound;
    /// There is no such task in the job.
    TaskNotFound = "TASK_NOT_FOUND", NotFound;
    /// There is no such attempt of the task.
    AttemptNotFound = "ATTEMPT_NOT_FOUND", NotFound;
    /// There is no such worker.
    WorkerNotFound = "WORKER_NOT_FOUND", NotFound;
    /// The worker does not hold the output.
    OutputNotFound = "OUTPUT_NOT_FOUND", NotFound;
    /// The output was not published, and may never be.
    OutputNotPublished = "OUTPUT_NOT_PUBLISHED", FailedPrecondition;
    /// The worker keeps no log of the attempt.
    LogNotFound = "LOG_NOT_FOUND", NotFound;
    /// Another job has the id.
    JobIdTaken = "JOB_ID_TAKEN", AlreadyExists;
    /// Another job has the concurrency key, and this one does not wait for it.
    ConcurrencyKeyHeld = "CONCURRENCY_KEY_HELD", AlreadyExists;
    /// The request id was used for another spec.
    RequestIdReused = "REQUEST_ID_REUSED", AlreadyExists;
    /// Another installation has the name, connected or not.
    WorkerNameTaken = "WORKER_NAME_TAKEN", AlreadyExists;
    /// A later start of the daemon took the session over.
    Fenced = "FENCED", Aborted;
    /// Recovery is not complete.
    Recovering = "RECOVERING", Unavailable;
    /// The daemon is going away.
    ShuttingDown = "SHUTTING_DOWN", Unavailable;
    /// A worker that is needed cannot be reached.
    WorkerUnreachable = "WORKER_UNREACHABLE", Unavailable;
    /// As much as is allowed is in progress.
    QuotaExceeded = "QUOTA_EXCEEDED", ResourceExhausted;
    /// The disk of the coordinator has too little room for another job.
    StorageLow = "STORAGE_LOW", ResourceExhausted;
    /// The caller's role, or its read token, does not allow it.
    NotAllowed = "NOT_ALLOWED", PermissionDenied;
    /// It is not known who asks.
    NotAuthenticated = "NOT_AUTHENTICATED", Unauthenticated;
    /// There is no such call.
    NoSuchCall = "NO_SUCH_CALL", Unimplemented;
    /// The disk failed, or an invariant does not hold.
    Internal = "INTERNAL", Internal;
}

/// Who defines the reasons.
pub const DOMAIN: &str = "votum.v1";
