//! What only a person can decide: how it is listed, shown and decided.

use tonic::Status;
use votum_machine::WallTime;
use votum_proto::v1;

use crate::{
    Malformed, Translate,
    case_name::CaseName,
    hook::{CaseAction, HookKind},
    page::{self, Page},
    request::checked_reason,
    time::{read_timestamp, timestamp},
    translate::{Numbered, enumerated, numbered, read_all, write_all},
};

/// Something that only a person can decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseView {
    /// The job, and what of it.
    pub name: CaseName,
    /// What that is.
    pub kind: CaseKind,
    /// Why it is a case, as a stable word.
    pub reason: String,
    /// One sentence: what happened last.
    pub message: String,
    /// Since when it is a case.
    pub since: WallTime,
    /// What the log knows, oldest first; empty in lists.
    pub evidence: Vec<EvidenceView>,
    /// What a person may do.
    pub actions: Vec<CaseAction>,
}

/// What a case is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaseKind {
    /// An effect of the job.
    Effect,
    /// What undoes a task.
    Compensation,
    /// Commit is decided, and a participant that has not published is lost.
    LostParticipant,
    /// Records of the job cannot be read.
    Quarantine,
    /// The log may lack what was recorded last: of a job, or of all.
    StaleLog,
}

impl CaseKind {
    /// Returns the word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Effect => "effect",
            Self::Compensation => "compensation",
            Self::LostParticipant => "lost participant",
            Self::Quarantine => "quarantined job",
            Self::StaleLog => "stale log",
        }
    }
}

impl From<HookKind> for CaseKind {
    fn from(kind: HookKind) -> Self {
        match kind {
            HookKind::Effect => Self::Effect,
            HookKind::Compensation => Self::Compensation,
        }
    }
}

numbered!(CaseKind, v1::CaseKind {
    Effect = Effect,
    Compensation = Compensation,
    LostParticipant = LostParticipant,
    Quarantine = Quarantine,
    StaleLog = StaleLog,
});

/// One thing that the log knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceView {
    /// When it was recorded.
    pub at: WallTime,
    /// One sentence.
    pub text: String,
}

impl Translate for CaseView {
    type Proto = v1::Case;

    fn to_proto(&self) -> v1::Case {
        v1::Case {
            name: self.name.resource(),
            kind: self.kind.number(),
            reason: self.reason.clone(),
            message: self.message.clone(),
            create_time: Some(timestamp(self.since)),
            evidence: write_all(&self.evidence),
            actions: self.actions.iter().map(|action| action.number()).collect(),
        }
    }

    fn from_proto(proto: v1::Case) -> Result<Self, Malformed> {
        let name = CaseName::read("name", &proto.name)?;
        let action = |(i, number)| enumerated(&format!("actions[{i}]"), number);
        Ok(Self {
            name,
            kind: enumerated("kind", proto.kind)?,
            reason: proto.reason,
            message: proto.message,
            since: read_timestamp("create_time", proto.create_time)?,
            evidence: read_all("evidence", proto.evidence)?,
            actions: proto.actions.into_iter().enumerate().map(action).collect::<Result<_, _>>()?,
        })
    }
}

impl Translate for EvidenceView {
    type Proto = v1::Evidence;

    fn to_proto(&self) -> v1::Evidence {
        v1::Evidence { create_time: Some(timestamp(self.at)), text: self.text.clone() }
    }

    fn from_proto(proto: v1::Evidence) -> Result<Self, Malformed> {
        let at = read_timestamp("create_time", proto.create_time)?;
        Ok(Self { at, text: proto.text })
    }
}

/// Asks for a page of cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListCases {
    /// Which part of the list.
    pub page: Page,
}

impl ListCases {
    /// Reads the request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when the page size is negative or the token is of another list.
    pub fn read(proto: &v1::ListCasesRequest) -> Result<Self, Status> {
        Ok(Self { page: Page::read(proto.page_size, &proto.page_token, CASES)? })
    }

    /// Returns the token of the page that begins after a position.
    #[must_use]
    pub fn token_after(position: &str) -> String {
        page::seal(position, CASES)
    }
}

/// What the tokens of lists of cases are good for.
const CASES: &str = "cases";

/// A page of cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CasePage {
    /// By job, then by subject; without their evidence.
    pub cases: Vec<CaseView>,
    /// Token of the page that follows; absent at the end.
    pub next: Option<String>,
}

impl Translate for CasePage {
    type Proto = v1::ListCasesResponse;

    fn to_proto(&self) -> v1::ListCasesResponse {
        v1::ListCasesResponse {
            cases: write_all(&self.cases),
            next_page_token: self.next.clone().unwrap_or_default(),
        }
    }

    fn from_proto(proto: v1::ListCasesResponse) -> Result<Self, Malformed> {
        Ok(Self {
            cases: read_all("cases", proto.cases)?,
            next: Some(proto.next_page_token).filter(|token| !token.is_empty()),
        })
    }
}

/// Asks for one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetCase {
    /// Which.
    pub name: CaseName,
}

impl Translate for GetCase {
    type Proto = v1::GetCaseRequest;

    fn to_proto(&self) -> v1::GetCaseRequest {
        v1::GetCaseRequest { name: self.name.resource() }
    }

    fn from_proto(proto: v1::GetCaseRequest) -> Result<Self, Malformed> {
        Ok(Self { name: CaseName::read("name", &proto.name)? })
    }
}

/// Decides a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveCase {
    /// Which.
    pub name: CaseName,
    /// What shall become of it.
    pub action: CaseAction,
    /// Why; not empty.
    pub reason: String,
}

impl Translate for ResolveCase {
    type Proto = v1::ResolveCaseRequest;

    fn to_proto(&self) -> v1::ResolveCaseRequest {
        v1::ResolveCaseRequest {
            name: self.name.resource(),
            action: self.action.number(),
            reason: self.reason.clone(),
        }
    }

    fn from_proto(proto: v1::ResolveCaseRequest) -> Result<Self, Malformed> {
        let name = CaseName::read("name", &proto.name)?;
        let action = enumerated("action", proto.action)?;
        let reason = checked_reason(proto.reason)?;
        if reason.trim().is_empty() {
            return Err(Malformed::new("reason", crate::Fault::Missing));
        }
        Ok(Self { name, action, reason })
    }
}
