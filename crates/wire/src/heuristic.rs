//! What was forced at a participant in doubt, on the wire.

use votum_commit::{Evidence, Forced, Heuristic};
use votum_proto::worker::v1 as pb;

use crate::{
    EvidenceView, Fault, Malformed, Translate,
    time::{read_timestamp, timestamp},
    translate::{Numbered as _, cut, enumerated, parse, read_all, write_all},
};

impl Translate for Heuristic {
    type Proto = pb::Heuristic;

    fn to_proto(&self) -> pb::Heuristic {
        let Self { txn, outcome, forced: Forced { by, reason, evidence }, at } = self;
        let evidence = evidence
            .iter()
            .map(|Evidence { at, text }| EvidenceView { at: *at, text: text.clone() });
        pb::Heuristic {
            txn_id: txn.to_string(),
            outcome: outcome.number(),
            by: by.clone(),
            reason: reason.clone(),
            create_time: Some(timestamp(*at)),
            evidence: write_all(&evidence.collect::<Vec<_>>()),
        }
    }

    fn from_proto(proto: pb::Heuristic) -> Result<Self, Malformed> {
        if proto.evidence.len() > EVIDENCE_MAX {
            let count = format!("{} entries", proto.evidence.len());
            return Err(Malformed::new("evidence", Fault::OutOfRange(count)));
        }
        let evidence: Vec<EvidenceView> = read_all("evidence", proto.evidence)?;
        let evidence = evidence.into_iter();
        let evidence = evidence.map(|EvidenceView { at, text }| Evidence { at, text: cut(text) });
        Ok(Self {
            txn: parse("txn_id", &proto.txn_id)?,
            outcome: enumerated("outcome", proto.outcome)?,
            forced: Forced {
                by: cut(proto.by),
                reason: cut(proto.reason),
                evidence: evidence.collect(),
            },
            at: read_timestamp("create_time", proto.create_time)?,
        })
    }
}

/// Most pieces of evidence that come with what was forced.
pub const EVIDENCE_MAX: usize = 64;
