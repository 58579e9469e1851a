//! Why a call of the client failed.

use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status};
use votum_ids::JobId;
use votum_wire::{JobView, Malformed, Problem, Reason};

/// Why a call of the client failed: one variant for each thing a caller can do about it.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The address of the coordinator is none.
    #[error("{address:?} is not an address of the form host:port")]
    InvalidAddress {
        /// What was given.
        address: String,
    },
    /// The address asks for encryption, and no authority is given to know the coordinator by.
    #[error(transparent)]
    NoTrust(#[from] votum_tls::TlsError),
    /// The coordinator cannot be reached, or is not ready, for longer than the patience allows.
    #[error("the coordinator at {address} is unavailable")]
    Unavailable {
        /// Where it was looked for.
        address: String,
        /// What the last attempt ended with.
        #[source]
        last: Box<Problem>,
    },
    /// The coordinator did not answer in time.
    #[error("the coordinator at {address} did not answer within {limit:?}")]
    TimedOut {
        /// Where it was asked.
        address: String,
        /// How long it had.
        limit: Duration,
    },
    /// The coordinator refused the request.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// The coordinator answered something that means nothing to this version.
    #[error("the answer of the coordinator means nothing to this version")]
    Malformed(#[from] Malformed),
    /// No job has this id, and none an id that begins so, and none is named so.
    #[error("there is no job {reference}")]
    NoSuchJob {
        /// What was given.
        reference: String,
    },
    /// Several jobs have an id that begins so.
    #[error("{reference} could be any of several jobs")]
    Ambiguous {
        /// What was given.
        reference: String,
        /// Some of the jobs it could be, newest first.
        candidates: Vec<JobId>,
    },
    /// The job did not reach the wanted state in time.
    #[error("{} is still {} after {limit:?}", .job.job, .job.state.word())]
    NotYet {
        /// The job as it is.
        job: Box<JobView>,
        /// How long was waited.
        limit: Duration,
    },
}

impl ClientError {
    /// Returns the problem that the coordinator stated, if it stated one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) | Self::Unavailable { last: problem, .. } => Some(problem),
            Self::InvalidAddress { .. }
            | Self::NoTrust(_)
            | Self::TimedOut { .. }
            | Self::Malformed(_)
            | Self::NoSuchJob { .. }
            | Self::Ambiguous { .. }
            | Self::NotYet { .. } => None,
        }
    }
}

/// Tells what may pass from what stays: only the first is worth another attempt.
pub(crate) fn is_transient(problem: &Problem) -> bool {
    match problem.code {
        // The coordinator is there, and has asked that worker often enough.
        Code::Unavailable => problem.reason != Reason::WorkerUnreachable,
        // A connection that breaks in the middle of a call ends it with one of
        // these; Votum itself always gives a reason.
        Code::Unknown | Code::Internal | Code::Cancelled => problem.reason.as_str().is_empty(),
        Code::Ok
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// Reads what a call ended with.
pub(crate) fn failed(address: &str, status: &Status) -> ClientError {
    let problem = Box::new(Problem::from_status(status));
    if is_transient(&problem) {
        ClientError::Unavailable { address: address.to_owned(), last: problem }
    } else {
        ClientError::Refused(problem)
    }
}

/// Sorts how a stream ended: a broken one is opened again, a refused one is not.
pub(crate) fn broken(address: &str, status: &Status) -> Result<(), ClientError> {
    let problem = Problem::from_status(status);
    if is_transient(&problem) { Ok(()) } else { Err(failed(address, status)) }
}
