//! The exit codes: what a script can tell apart.

use std::process::ExitCode;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; the job committed, or the wanted state came.
    Done,
    /// Any other failure.
    Failure,
    /// Wrong usage or an invalid job file.
    Usage,
    /// The job aborted.
    Aborted,
    /// Not authenticated or not allowed.
    NotAllowed,
    /// No such job, worker or output.
    NotFound,
    /// Refused by state: already decided, id taken, request id reused.
    Refused,
    /// The coordinator cannot be reached or still recovers.
    Unreachable,
    /// The job was cancelled.
    Cancelled,
    /// A forced outcome contradicts the decision.
    Mixed,
    /// Commit is decided, but a lost participant holds its publication back.
    HeldBack,
    /// `--timeout` passed; the job goes on.
    TimedOut,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// Returns the number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Aborted => 3,
            Self::NotAllowed => 4,
            Self::NotFound => 5,
            Self::Refused => 6,
            Self::Unreachable => 7,
            Self::Cancelled => 8,
            Self::Mixed => 9,
            Self::HeldBack => 10,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
