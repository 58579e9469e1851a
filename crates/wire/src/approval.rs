//! The approval that a job waits for: how it is answered, and how it is shown.

use votum_ids::JobId;
use votum_machine::WallTime;
use votum_proto::v1;

use crate::{
    Malformed, Translate,
    names::{job_name, read_job_name},
    request::checked_reason,
    time::{read_timestamp, read_timestamp_if_any, timestamp},
};

/// Answers the approval that a job waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApproveJob {
    /// Which.
    pub job: JobId,
    /// What the answer is.
    pub verdict: Verdict,
    /// Shown with the job for ever.
    pub reason: String,
    /// Names what was looked at; absent: whatever is staged.
    pub etag: Option<String>,
}

/// What a person says about a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It shall be voted on.
    Approve,
    /// It shall not become visible.
    Reject,
}

impl Translate for ApproveJob {
    type Proto = v1::ApproveJobRequest;

    fn to_proto(&self) -> v1::ApproveJobRequest {
        v1::ApproveJobRequest {
            name: job_name(&self.job),
            reject: self.verdict == Verdict::Reject,
            reason: self.reason.clone(),
            etag: self.etag.clone().unwrap_or_default(),
        }
    }

    fn from_proto(proto: v1::ApproveJobRequest) -> Result<Self, Malformed> {
        Ok(Self {
            job: read_job_name("name", &proto.name)?,
            verdict: if proto.reject { Verdict::Reject } else { Verdict::Approve },
            reason: checked_reason(proto.reason)?,
            etag: Some(proto.etag).filter(|etag| !etag.is_empty()),
        })
    }
}

/// What a person is asked, and has answered, before a job commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalView {
    /// Names what was staged when it was asked for.
    pub etag: String,
    /// When it was asked for.
    pub asked: WallTime,
    /// When the job aborts if nobody has answered.
    pub expires: WallTime,
    /// Who approved what is staged by now.
    pub given: Option<GivenApproval>,
}

/// Who approved a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenApproval {
    /// Who.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// When.
    pub at: WallTime,
}

impl Translate for ApprovalView {
    type Proto = v1::JobApproval;

    fn to_proto(&self) -> v1::JobApproval {
        let given = self.given.as_ref();
        v1::JobApproval {
            etag: self.etag.clone(),
            create_time: Some(timestamp(self.asked)),
            expire_time: Some(timestamp(self.expires)),
            approve_time: given.map(|given| timestamp(given.at)),
            by: given.map(|given| given.by.clone()).unwrap_or_default(),
            reason: given.map(|given| given.reason.clone()).unwrap_or_default(),
        }
    }

    fn from_proto(proto: v1::JobApproval) -> Result<Self, Malformed> {
        let at = read_timestamp_if_any("approve_time", proto.approve_time)?;
        let (by, reason) = (proto.by, proto.reason);
        Ok(Self {
            etag: proto.etag,
            asked: read_timestamp("create_time", proto.create_time)?,
            expires: read_timestamp("expire_time", proto.expire_time)?,
            given: at.map(|at| GivenApproval { by, reason, at }),
        })
    }
}

/// The reason in the cause of a job that a person did not approve.
pub const REJECTED: &str = "REJECTED";
