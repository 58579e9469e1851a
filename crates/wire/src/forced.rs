//! What people have forced: who, why, and whether it contradicts the decision.

use votum_ids::{JobId, WorkerId, WorkerUid};
use votum_machine::WallTime;
use votum_proto::v1;

use crate::{
    EvidenceView, Fault, JobView, Malformed, Translate,
    names::{read_worker_name, worker_name},
    request::checked_reason,
    time::{read_timestamp, read_timestamp_if_any, timestamp},
    translate::{Numbered as _, enumerated, numbered, read_all, uuid, write_all},
    txn::{read_txn_name, txn_name},
};

/// What a person has forced for one participant of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForcedView {
    /// Who took part.
    pub worker: WorkerId,
    /// The installation.
    pub uid: WorkerUid,
    /// What was forced.
    pub kind: ForcedKind,
    /// Who forced it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it was recorded.
    pub at: WallTime,
    /// Whether the decision is another one.
    pub contradicts: bool,
    /// When the participant has done after all what was decided.
    pub healed: Option<WallTime>,
    /// When its installation was removed for good: it never will.
    pub removed: Option<WallTime>,
    /// What was known then; empty in a basic view.
    pub evidence: Vec<EvidenceView>,
}

impl ForcedView {
    /// Says whether the participant stands otherwise than the decision says.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        self.contradicts && self.healed.is_none()
    }
}

/// What a person can force for a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForcedKind {
    /// A decided commit waits for it no longer.
    GivenUp,
    /// In doubt, it was made to publish.
    Committed,
    /// In doubt, it was made to publish nothing.
    Aborted,
}

numbered!(ForcedKind, v1::ForcedKind {
    GivenUp = GivenUp,
    Committed = Committed,
    Aborted = Aborted,
});

impl JobView {
    /// Returns what was forced and contradicts the decision: the job is MIXED if there is any.
    pub fn mixed(&self) -> impl Iterator<Item = &ForcedView> {
        self.forced.iter().filter(|forced| forced.is_mixed())
    }

    /// Says whether a decided commit waits for a lost participant.
    #[must_use]
    pub fn is_held_back(&self) -> bool {
        !self.held_back.is_empty()
    }

    /// Says whether a participant stands otherwise than the decision says.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        self.mixed().next().is_some()
    }
}

impl Translate for ForcedView {
    type Proto = v1::ForcedOutcome;

    fn to_proto(&self) -> v1::ForcedOutcome {
        v1::ForcedOutcome {
            worker: worker_name(&self.worker),
            worker_uid: self.uid.to_string(),
            kind: self.kind.number(),
            by: self.by.clone(),
            reason: self.reason.clone(),
            create_time: Some(timestamp(self.at)),
            contradicts_decision: self.contradicts,
            heal_time: self.healed.map(timestamp),
            remove_time: self.removed.map(timestamp),
            evidence: write_all(&self.evidence),
        }
    }

    fn from_proto(proto: v1::ForcedOutcome) -> Result<Self, Malformed> {
        Ok(Self {
            worker: read_worker_name("worker", &proto.worker)?,
            uid: WorkerUid(uuid("worker_uid", &proto.worker_uid)?),
            kind: enumerated("kind", proto.kind)?,
            by: proto.by,
            reason: proto.reason,
            at: read_timestamp("create_time", proto.create_time)?,
            contradicts: proto.contradicts_decision,
            healed: read_timestamp_if_any("heal_time", proto.heal_time)?,
            removed: read_timestamp_if_any("remove_time", proto.remove_time)?,
            evidence: read_all("evidence", proto.evidence)?,
        })
    }
}

/// Gives a lost participant up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForceParticipant {
    /// The job, whose id was said twice.
    pub job: JobId,
    /// Who is given up.
    pub worker: WorkerId,
    /// Why; not empty.
    pub reason: String,
}

impl Translate for ForceParticipant {
    type Proto = v1::ForceParticipantRequest;

    fn to_proto(&self) -> v1::ForceParticipantRequest {
        v1::ForceParticipantRequest {
            name: txn_name(&self.job),
            worker: worker_name(&self.worker),
            reason: self.reason.clone(),
            confirm: self.job.to_string(),
        }
    }

    fn from_proto(proto: v1::ForceParticipantRequest) -> Result<Self, Malformed> {
        let job = read_txn_name("name", &proto.name)?;
        if proto.confirm != job.as_str() {
            let wrong = Fault::Meaningless("it must be the id of the job, once more".to_owned());
            return Err(Malformed::new("confirm", wrong));
        }
        let reason = checked_reason(proto.reason)?;
        if reason.trim().is_empty() {
            return Err(Malformed::new("reason", Fault::Missing));
        }
        Ok(Self { job, worker: read_worker_name("worker", &proto.worker)?, reason })
    }
}
