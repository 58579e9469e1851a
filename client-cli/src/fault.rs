//! Why a command did not do what it was asked: a sentence, what to do about it, and an exit code.

use std::{collections::BTreeMap, fmt, io, path::Path};

use serde::Serialize;
use tonic::Code;
use votum_client::ClientError;
use votum_wire::{Problem, Reason, code_word};

use crate::{exit::Exit, job_file::Rejection};

/// The result of a command.
pub(crate) type Outcome = Result<Exit, Fault>;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Fault {
    /// How the command ends.
    pub exit: Exit,
    message: String,
    details: Box<Details>,
}

#[derive(Debug)]
struct Details {
    hints: Vec<String>,
    code: String,
    reason: String,
    metadata: BTreeMap<String, String>,
}

impl Fault {
    /// States a fault; `reason` is the stable word for programs.
    pub(crate) fn new(exit: Exit, reason: &str, message: impl Into<String>) -> Self {
        let details = Details {
            hints: Vec::new(),
            code: code_of(exit).to_owned(),
            reason: reason.to_owned(),
            metadata: BTreeMap::new(),
        };
        Self { exit, message: message.into(), details: Box::new(details) }
    }

    /// States that the command was used wrongly.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "USAGE", message)
    }

    /// States that a file cannot be read.
    pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::new(Exit::Usage, "UNREADABLE", format!("cannot read {}: {error}", path.display()))
    }

    /// Adds a line on what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.details.hints.push(hint.into());
        self
    }

    /// Adds a dynamic part of the sentence, for programs.
    pub(crate) fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.details.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Says whether it is about this.
    pub(crate) fn is(&self, reason: &Reason) -> bool {
        self.details.reason == reason.as_str()
    }

    /// Returns a dynamic part of the sentence.
    pub(crate) fn part(&self, key: &str) -> Option<&str> {
        self.details.metadata.get(key).map(String::as_str)
    }

    /// Says whether there is nobody to tell: the reader of a pipe went away.
    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    /// Returns it as one JSON object.
    pub(crate) fn json(&self) -> String {
        let Self { message, details, .. } = self;
        let Details { code, reason, metadata, .. } = details.as_ref();
        let answer = ErrorAnswer { error: ErrorObject { code, reason, message, metadata } };
        serde_json::to_string(&answer).expect("texts become JSON")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        self.details.hints.iter().try_for_each(|hint| write!(f, "\n  {hint}"))
    }
}

impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Self {
        let mut fault = Self::new(Exit::Usage, "INVALID_SPEC", rejection.to_string());
        for (number, line) in rejection.one_line_each().into_iter().enumerate() {
            fault.details.metadata.insert(format!("problem_{}", number + 1), line);
        }
        fault
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let gone = error.kind() == io::ErrorKind::BrokenPipe;
        let message = if gone { String::new() } else { error.to_string() };
        Self::new(Exit::Failure, "IO", message)
    }
}

/// Returns what to try, by what the connection failed with. The words are those of rustls, h2 and
/// the system; where none is known, the coordinator may simply not run.
fn why_unreachable(last: &str, address: &str) -> String {
    let says = |words: &[&str]| words.iter().any(|word| last.contains(word));
    if says(&["BadSignature", "UnknownIssuer", "NotValidForName", "invalid peer certificate"]) {
        "its certificate is of another authority or name:  --tls-ca FILE".to_owned()
    } else if says(&["CertificateRequired", "CertificateUnknown", "operation was canceled"]) {
        "it may want a certificate of whoever asks:  --tls-cert FILE --tls-key FILE".to_owned()
    } else if says(&["h2 protocol error", "http2 error", "InvalidContentType", "corrupt message"]) {
        match address.starts_with("https") {
            true => "it may not speak TLS there:  http:// in the address".to_owned(),
            false => "it may speak TLS there:  --tls-ca FILE".to_owned(),
        }
    } else if address.contains("127.0.0.1:7070") {
        "is it running?  votum dev  starts one on this machine, for trying out".to_owned()
    } else {
        "is the coordinator running there?".to_owned()
    }
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::InvalidAddress { .. } => Self::usage(message),
            ClientError::NoTrust(_) => {
                Self::usage(message).hint("--tls-ca FILE  or  VOTUM_TLS_CA  names it")
            }
            ClientError::Unavailable { address, last } => {
                Self::new(Exit::Unreachable, last.reason.as_str(), format!("{message}: {last}"))
                    .with("address", &address)
                    .hint(why_unreachable(&last.to_string(), &address))
                    .hint("another one:     --address URL  or  VOTUM_ADDRESS")
            }
            ClientError::TimedOut { address, .. } => {
                Self::new(Exit::Unreachable, "TIMEOUT", message).with("address", address)
            }
            ClientError::Refused(problem) => (*problem).into(),
            ClientError::Malformed(malformed) => {
                Self::new(Exit::Failure, "MALFORMED", format!("{message}: {malformed}"))
            }
            ClientError::NoSuchJob { reference } => {
                Self::new(Exit::NotFound, Reason::JobNotFound.as_str(), message)
                    .with("job", reference)
            }
            ClientError::Ambiguous { candidates, .. } => candidates
                .iter()
                .fold(Self::new(Exit::Usage, "AMBIGUOUS", message), |fault, job| {
                    fault.hint(job.as_str())
                }),
            ClientError::NotYet { job, .. } => {
                Self::new(Exit::TimedOut, "TIMEOUT", format!("{message}; it goes on"))
                    .with("job", &job.job)
                    .hint(format!("look again:  votum watch {}", job.job))
            }
        }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let exit = exit_of(problem.code, &problem.reason);
        let mut fault = Self::new(exit, problem.reason.as_str(), problem.message);
        fault.details.code = code_word(problem.code).to_owned();
        fault.details.metadata = problem.metadata;
        // The first is in the sentence.
        let mut all = problem.preconditions.into_iter().map(|failed| failed.description);
        let first = all.next();
        let more = all.filter(|other| Some(other) != first.as_ref());
        fault.details.hints.extend(more.map(|other| format!("also: {other}")));
        for field in problem.fields {
            fault.details.hints.push(format!("{}: {}", field.field, field.problem));
        }
        fault
    }
}

/// The form of an error for programs, in the order in which it is read.
#[derive(Serialize)]
struct ErrorAnswer<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: &'a str,
    reason: &'a str,
    message: &'a str,
    metadata: &'a BTreeMap<String, String>,
}

fn exit_of(code: Code, reason: &Reason) -> Exit {
    match code {
        Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
        Code::NotFound => Exit::NotFound,
        Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => Exit::Refused,
        Code::PermissionDenied | Code::Unauthenticated => Exit::NotAllowed,
        Code::Unavailable if *reason == Reason::WorkerUnreachable => Exit::Failure,
        Code::Unavailable => Exit::Unreachable,
        Code::DeadlineExceeded => Exit::TimedOut,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::ResourceExhausted
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => Exit::Failure,
    }
}

fn code_of(exit: Exit) -> &'static str {
    match exit {
        Exit::Done => "OK",
        Exit::Failure => "UNKNOWN",
        Exit::Usage => "INVALID_ARGUMENT",
        Exit::Aborted | Exit::Mixed | Exit::HeldBack => "ABORTED",
        Exit::NotAllowed => "PERMISSION_DENIED",
        Exit::NotFound => "NOT_FOUND",
        Exit::Refused | Exit::Replaced => "FAILED_PRECONDITION",
        Exit::Unreachable => "UNAVAILABLE",
        Exit::Cancelled | Exit::Interrupted => "CANCELLED",
        Exit::TimedOut => "DEADLINE_EXCEEDED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_does_not_hold_is_told_at_once() {
        let reason = || Reason::NoSuchWorker;
        let problem = Problem::words(reason(), "task a: no worker named s8; 1 more like it")
            .precondition("workers/s8", "task a: no worker named s8")
            .precondition("workers/s9", "task b: no worker named s9");
        let told = Fault::from(problem).to_string();
        let expected =
            "task a: no worker named s8; 1 more like it\n  also: task b: no worker named s9";
        assert_eq!(told, expected);
    }

    #[test]
    fn what_to_try_follows_from_what_the_connection_failed_with() {
        let clear = "http://10.0.0.1:7070";
        let tls = "https://10.0.0.1:7070";
        for (last, address, hint) in [
            ("invalid peer certificate: UnknownIssuer", tls, "--tls-ca"),
            ("invalid peer certificate: BadSignature", tls, "--tls-ca"),
            ("operation was canceled", tls, "--tls-cert"),
            ("h2 protocol error: http2 error", clear, "it may speak TLS"),
            ("received corrupt message of type InvalidContentType", tls, "it may not speak TLS"),
            ("tcp connect error", clear, "is the coordinator running there?"),
            ("tcp connect error", "http://127.0.0.1:7070", "votum dev"),
        ] {
            let told = why_unreachable(last, address);
            assert!(told.contains(hint), "{last} at {address}: {told}");
        }
    }
}
