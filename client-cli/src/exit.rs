//! The exit codes: what a script can tell apart.

use std::process::ExitCode;

/// The exit codes of a command that ends with a job, for its help.
pub(crate) const JOB_CODES: &str = "\
Exit codes:
    0  the job COMMITTED, or what was waited for came
    3  it ABORTED: a task failed for good, its time was over, or a worker voted no
    8  it was cancelled
    9  it is MIXED: what was forced for a worker contradicts the decision; see votum show
   10  it is decided to COMMIT, but a lost worker holds its outputs back; see votum case list
  124  --timeout passed; the job goes on
  130  Ctrl-C: this only stopped looking, the job goes on
    1  anything else; 2 wrong usage or job file, 4 not allowed, 5 no such job, 6 refused,
       7 coordinator unreachable";

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
    /// What was published is as it was, but does not stand at its target any more.
    Replaced,
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
            Self::Replaced => 11,
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
