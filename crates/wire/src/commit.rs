//! The messages of the commit protocol on the wire.

use votum_commit::{Installation, Knowledge, LogPosition, Objection, Peer, Pledge, Vote};
use votum_ids::{ClusterId, Epoch, Incarnation, TxnId, WorkerUid};
use votum_proto::worker::v1 as pb;

use crate::{
    Fault, Malformed, Translate,
    translate::{Numbered, cut, enumerated, numbered, parse, read, read_if_any, set, uuid},
};

impl Translate for Installation {
    type Proto = pb::Installation;

    fn to_proto(&self) -> pb::Installation {
        pb::Installation { worker_id: self.worker.to_string(), worker_uid: self.uid.to_string() }
    }

    fn from_proto(proto: pb::Installation) -> Result<Self, Malformed> {
        Ok(Self {
            worker: parse("worker_id", &proto.worker_id)?,
            uid: WorkerUid(uuid("worker_uid", &proto.worker_uid)?),
        })
    }
}

impl Translate for LogPosition {
    type Proto = pb::LogPosition;

    fn to_proto(&self) -> pb::LogPosition {
        pb::LogPosition {
            cluster_id: self.cluster.to_string(),
            epoch: self.epoch.0,
            start_id: self.start.to_string(),
            lsn: self.lsn,
        }
    }

    fn from_proto(proto: pb::LogPosition) -> Result<Self, Malformed> {
        Ok(Self {
            cluster: ClusterId(uuid("cluster_id", &proto.cluster_id)?),
            epoch: Epoch(proto.epoch),
            start: Incarnation(uuid("start_id", &proto.start_id)?),
            lsn: proto.lsn,
        })
    }
}

impl Translate for Pledge {
    type Proto = pb::Pledge;

    fn to_proto(&self) -> pb::Pledge {
        pb::Pledge {
            task_id: self.task.to_string(),
            output: self.output.to_string(),
            token: Some(self.token.to_proto()),
            digest: self.digest.to_string(),
            target: self.target.as_ref().map(Translate::to_proto),
            replaceable: self.replaceable,
        }
    }

    fn from_proto(proto: pb::Pledge) -> Result<Self, Malformed> {
        Ok(Self {
            task: parse("task_id", &proto.task_id)?,
            output: parse("output", &proto.output)?,
            token: read("token", proto.token)?,
            digest: parse("digest", &proto.digest)?,
            target: read_if_any("target", proto.target)?,
            replaceable: proto.replaceable,
        })
    }
}

impl Translate for Peer {
    type Proto = pb::Peer;

    fn to_proto(&self) -> pb::Peer {
        pb::Peer {
            installation: Some(self.installation.to_proto()),
            address: self.address.clone(),
            updates: self.updates,
        }
    }

    fn from_proto(proto: pb::Peer) -> Result<Self, Malformed> {
        Ok(Self {
            installation: read("installation", proto.installation)?,
            address: proto.address,
            updates: proto.updates,
        })
    }
}

/// Writes a vote in a round.
pub(crate) fn vote_to_proto(txn: &TxnId, vote: &Vote) -> pb::VoteCast {
    let vote = match vote {
        Vote::Yes => pb::vote_cast::Vote::Yes(pb::VoteYes {}),
        Vote::No(objection) => pb::vote_cast::Vote::No(objection.to_proto()),
        Vote::ReadOnly => pb::vote_cast::Vote::ReadOnly(pb::VoteReadOnly {}),
    };
    pb::VoteCast { txn_id: txn.to_string(), vote: Some(vote) }
}

/// Reads a vote in a round.
pub(crate) fn vote_from_proto(proto: pb::VoteCast) -> Result<(TxnId, Vote), Malformed> {
    let txn = parse("txn_id", &proto.txn_id)?;
    let vote = match set("vote", proto.vote)? {
        pb::vote_cast::Vote::Yes(pb::VoteYes {}) => Vote::Yes,
        pb::vote_cast::Vote::No(objection) => Vote::No(read("no", Some(objection))?),
        pb::vote_cast::Vote::ReadOnly(pb::VoteReadOnly {}) => Vote::ReadOnly,
    };
    Ok((txn, vote))
}

impl Translate for Objection {
    type Proto = pb::Objection;

    fn to_proto(&self) -> pb::Objection {
        let (kind, reason, message) = match self {
            Self::Refused => (pb::ObjectionKind::Refused, "", ""),
            Self::NotHeld => (pb::ObjectionKind::NotHeld, "", ""),
            Self::WrongInstallation => (pb::ObjectionKind::WrongInstallation, "", ""),
            Self::Failed { reason, message } => {
                (pb::ObjectionKind::Failed, reason.as_str(), message.as_str())
            }
        };
        pb::Objection { kind: kind as i32, reason: reason.to_owned(), message: message.to_owned() }
    }

    fn from_proto(proto: pb::Objection) -> Result<Self, Malformed> {
        match pb::ObjectionKind::try_from(proto.kind) {
            Ok(pb::ObjectionKind::Refused) => Ok(Self::Refused),
            Ok(pb::ObjectionKind::NotHeld) => Ok(Self::NotHeld),
            Ok(pb::ObjectionKind::WrongInstallation) => Ok(Self::WrongInstallation),
            Ok(pb::ObjectionKind::Failed) => {
                Ok(Self::Failed { reason: cut(proto.reason), message: cut(proto.message) })
            }
            Ok(pb::ObjectionKind::Unspecified) | Err(_) => {
                Err(Malformed::new("kind", Fault::UnknownValue(proto.kind)))
            }
        }
    }
}

numbered!(Knowledge, pb::Knowledge {
    Unknown = Unknown,
    InDoubt = InDoubt,
    Commit = Commit,
    Refused = Refused,
});

/// What a participant in doubt asks a peer (C7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInquiry {
    /// The round.
    pub txn: TxnId,
    /// The installation that the round names for the worker asked.
    pub asked: WorkerUid,
    /// Whether the round names something to publish on the worker asked.
    pub updates: bool,
    /// Who asks.
    pub by: Installation,
}

impl Translate for PeerInquiry {
    type Proto = pb::QueryRoundRequest;

    fn to_proto(&self) -> pb::QueryRoundRequest {
        pb::QueryRoundRequest {
            txn_id: self.txn.to_string(),
            asked_uid: self.asked.to_string(),
            updates: self.updates,
            asking: Some(self.by.to_proto()),
        }
    }

    fn from_proto(proto: pb::QueryRoundRequest) -> Result<Self, Malformed> {
        Ok(Self {
            txn: parse("txn_id", &proto.txn_id)?,
            asked: WorkerUid(uuid("asked_uid", &proto.asked_uid)?),
            updates: proto.updates,
            by: read("asking", proto.asking)?,
        })
    }
}

impl Translate for Knowledge {
    type Proto = pb::QueryRoundResponse;

    fn to_proto(&self) -> pb::QueryRoundResponse {
        pb::QueryRoundResponse { knowledge: self.number() }
    }

    fn from_proto(proto: pb::QueryRoundResponse) -> Result<Self, Malformed> {
        enumerated("knowledge", proto.knowledge)
    }
}
