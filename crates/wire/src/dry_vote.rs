//! A dry vote on the wire: between coordinator and worker, and as people are shown it.

use votum_ids::JobId;
use votum_job::{Base, Candidate, DryVoteAnswer, DryVoteRequest, Finding, SealedAs};
use votum_machine::WallTime;
use votum_proto::{v1, worker::v1 as pb};

use crate::{
    Malformed, Translate,
    names::{job_name, read_job_name, read_worker_name, worker_name},
    time::{read_timestamp, timestamp},
    translate::{cut, parse, parse_if_any, read, read_all, read_if_any, write_all},
};

/// Wants a dry vote of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryVoteJob {
    /// Which.
    pub job: JobId,
}

impl Translate for DryVoteJob {
    type Proto = v1::DryVoteJobRequest;

    fn to_proto(&self) -> v1::DryVoteJobRequest {
        v1::DryVoteJobRequest { name: job_name(&self.job) }
    }

    fn from_proto(proto: v1::DryVoteJobRequest) -> Result<Self, Malformed> {
        Ok(Self { job: read_job_name("name", &proto.name)? })
    }
}

/// What the workers of a job answered in a dry vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryVoteView {
    /// When it ended.
    pub at: WallTime,
    /// Whether every task was staged, so that nothing was left out.
    pub complete: bool,
    /// What stands in the way.
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub omitted: u32,
}

impl DryVoteView {
    /// Says whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Returns how many findings there were, also those that are left out.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.findings.len() as u64 + u64::from(self.omitted)
    }
}

impl Translate for DryVoteView {
    type Proto = v1::DryVote;

    fn to_proto(&self) -> v1::DryVote {
        v1::DryVote {
            create_time: Some(timestamp(self.at)),
            complete: self.complete,
            findings: write_all(&self.findings),
            omitted_finding_count: self.omitted,
        }
    }

    fn from_proto(proto: v1::DryVote) -> Result<Self, Malformed> {
        Ok(Self {
            at: read_timestamp("create_time", proto.create_time)?,
            complete: proto.complete,
            findings: read_all("findings", proto.findings)?,
            omitted: proto.omitted_finding_count,
        })
    }
}

impl Translate for Finding {
    type Proto = v1::Finding;

    fn to_proto(&self) -> v1::Finding {
        v1::Finding {
            worker: worker_name(&self.worker),
            task_id: self.task.as_ref().map(ToString::to_string).unwrap_or_default(),
            output: self.output.as_ref().map(ToString::to_string).unwrap_or_default(),
            target: self.target.clone().unwrap_or_default(),
            reason: self.reason.clone(),
            message: self.message.clone(),
        }
    }

    fn from_proto(proto: v1::Finding) -> Result<Self, Malformed> {
        Ok(Self {
            worker: read_worker_name("worker", &proto.worker)?,
            task: parse_if_any("task_id", &proto.task_id)?,
            output: parse_if_any("output", &proto.output)?,
            target: Some(cut(proto.target)).filter(|target| !target.is_empty()),
            reason: cut(proto.reason),
            message: cut(proto.message),
        })
    }
}

impl Translate for DryVoteRequest {
    type Proto = pb::AskDryVote;

    fn to_proto(&self) -> pb::AskDryVote {
        pb::AskDryVote {
            job_id: self.job.to_string(),
            dry_vote: Some(self.id.to_proto()),
            candidates: write_all(&self.candidates),
            bytes_wanted: self.bytes_wanted,
        }
    }

    fn from_proto(proto: pb::AskDryVote) -> Result<Self, Malformed> {
        Ok(Self {
            job: parse("job_id", &proto.job_id)?,
            id: read("dry_vote", proto.dry_vote)?,
            candidates: read_all("candidates", proto.candidates)?,
            bytes_wanted: proto.bytes_wanted,
        })
    }
}

impl Translate for Candidate {
    type Proto = pb::Candidate;

    fn to_proto(&self) -> pb::Candidate {
        pb::Candidate {
            task_id: self.task.to_string(),
            output: self.output.to_string(),
            target: self.target.as_ref().map(Translate::to_proto),
            token: self.sealed.map(|sealed| sealed.token.to_proto()),
            digest: self.sealed.map(|sealed| sealed.digest.to_string()).unwrap_or_default(),
        }
    }

    fn from_proto(proto: pb::Candidate) -> Result<Self, Malformed> {
        let sealed = match read_if_any("token", proto.token)? {
            Some(token) => Some(SealedAs { token, digest: parse("digest", &proto.digest)? }),
            None => None,
        };
        Ok(Self {
            task: parse("task_id", &proto.task_id)?,
            output: parse("output", &proto.output)?,
            target: read_if_any("target", proto.target)?,
            sealed,
        })
    }
}

impl Translate for DryVoteAnswer {
    type Proto = pb::DryVoteAnswer;

    fn to_proto(&self) -> pb::DryVoteAnswer {
        pb::DryVoteAnswer {
            job_id: self.job.to_string(),
            dry_vote: Some(self.id.to_proto()),
            findings: write_all(&self.findings),
            omitted_finding_count: self.omitted,
            bases: write_all(&self.bases),
        }
    }

    fn from_proto(proto: pb::DryVoteAnswer) -> Result<Self, Malformed> {
        Ok(Self {
            job: parse("job_id", &proto.job_id)?,
            id: read("dry_vote", proto.dry_vote)?,
            findings: read_all("findings", proto.findings)?,
            omitted: proto.omitted_finding_count,
            bases: read_all("bases", proto.bases)?,
        })
    }
}

impl Translate for Base {
    type Proto = pb::TargetBase;

    fn to_proto(&self) -> pb::TargetBase {
        pb::TargetBase {
            task_id: self.task.to_string(),
            output: self.output.to_string(),
            content: self.content.map(|content| content.to_string()).unwrap_or_default(),
        }
    }

    fn from_proto(proto: pb::TargetBase) -> Result<Self, Malformed> {
        Ok(Self {
            task: parse("task_id", &proto.task_id)?,
            output: parse("output", &proto.output)?,
            content: parse_if_any("content", &proto.content)?,
        })
    }
}
