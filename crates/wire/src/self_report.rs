//! What programs say of themselves, on the wire.

use votum_job::{Amount, Progress, SelfReport};
use votum_proto::worker::v1 as pb;

use crate::{
    Malformed, Translate,
    translate::{cut, read_if_any, set},
};

impl Translate for SelfReport {
    type Proto = pb::SelfReport;

    fn to_proto(&self) -> pb::SelfReport {
        pb::SelfReport {
            progress: self.progress.as_ref().map(Progress::to_proto),
            warnings: self.warnings,
            malformed_lines: self.malformed,
            skipped_bytes: self.skipped_bytes,
            last_warning: self.last_warning.clone(),
            last_complaint: self.last_complaint.clone(),
        }
    }

    fn from_proto(proto: pb::SelfReport) -> Result<Self, Malformed> {
        Ok(Self {
            progress: read_if_any("progress", proto.progress)?,
            warnings: proto.warnings,
            malformed: proto.malformed_lines,
            skipped_bytes: proto.skipped_bytes,
            last_warning: cut(proto.last_warning),
            last_complaint: cut(proto.last_complaint),
        })
    }
}

impl Translate for Progress {
    type Proto = pb::Progress;

    fn to_proto(&self) -> pb::Progress {
        use pb::progress::Amount as Sent;
        let amount = match &self.amount {
            Amount::Share { millionths } => Sent::ShareMillionths(*millionths),
            Amount::Counted { done, total, unit } => {
                Sent::Count(pb::Count { done: *done, total: *total, unit: unit.clone() })
            }
        };
        pb::Progress { amount: Some(amount), message: self.message.clone() }
    }

    fn from_proto(proto: pb::Progress) -> Result<Self, Malformed> {
        use pb::progress::Amount as Sent;
        let amount = match set("amount", proto.amount)? {
            Sent::ShareMillionths(millionths) => Amount::Share { millionths },
            Sent::Count(pb::Count { done, total, unit }) => {
                Amount::Counted { done, total, unit: cut(unit) }
            }
        };
        Ok(Self { amount, message: cut(proto.message) })
    }
}
