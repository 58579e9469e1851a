//! What a task says of itself, as clients see it.

use votum_job::{Amount, Progress, SelfReport, WHOLE};
use votum_proto::v1;

use crate::{
    Fault, Malformed, Translate,
    time::{read_timestamp, read_timestamp_if_any, timestamp},
    translate::{count, number},
    view::ReportView,
};

impl Translate for ReportView {
    type Proto = v1::TaskProgress;

    fn to_proto(&self) -> v1::TaskProgress {
        let SelfReport {
            progress,
            warnings,
            malformed,
            skipped_bytes,
            last_warning,
            last_complaint,
        } = &self.report;
        let amount = progress.as_ref().map(|progress| &progress.amount);
        let (done, total, unit) = match amount {
            Some(Amount::Counted { done, total, unit }) => {
                (Some(count(*done)), Some(count(*total)), unit.clone())
            }
            Some(Amount::Share { .. }) | None => (None, None, String::new()),
        };
        v1::TaskProgress {
            fraction: amount.map(|amount| f64::from(amount.millionths()) / f64::from(WHOLE)),
            done_count: done,
            total_count: total,
            unit,
            message: progress.as_ref().map(|told| told.message.clone()).unwrap_or_default(),
            report_time: Some(timestamp(self.at)),
            rate_per_second: self.rate.map(|rate| rate as f64 / f64::from(WHOLE)),
            estimated_end_time: self.end.map(timestamp),
            warning_count: count(*warnings),
            malformed_line_count: count(*malformed),
            skipped_bytes: count(*skipped_bytes),
            last_warning: last_warning.clone(),
            last_complaint: last_complaint.clone(),
        }
    }

    fn from_proto(proto: v1::TaskProgress) -> Result<Self, Malformed> {
        let amount = match (proto.fraction, proto.done_count, proto.total_count) {
            (None, _, _) => None,
            (Some(_), Some(done), Some(total)) => Some(Amount::Counted {
                done: number("done_count", done)?,
                total: number("total_count", total)?,
                unit: proto.unit,
            }),
            (Some(fraction), _, _) => {
                let millionths = millionths("fraction", fraction)?;
                let millionths = u32::try_from(millionths).unwrap_or(WHOLE).min(WHOLE);
                Some(Amount::Share { millionths })
            }
        };
        let rate = proto.rate_per_second.map(|rate| millionths("rate_per_second", rate));
        Ok(Self {
            report: SelfReport {
                progress: amount.map(|amount| Progress { amount, message: proto.message }),
                warnings: number("warning_count", proto.warning_count)?,
                malformed: number("malformed_line_count", proto.malformed_line_count)?,
                skipped_bytes: number("skipped_bytes", proto.skipped_bytes)?,
                last_warning: proto.last_warning,
                last_complaint: proto.last_complaint,
            },
            at: read_timestamp("report_time", proto.report_time)?,
            rate: rate.transpose()?,
            end: read_timestamp_if_any("estimated_end_time", proto.estimated_end_time)?,
        })
    }
}

/// Reads a number that was divided by a million.
fn millionths(field: &str, value: f64) -> Result<u64, Malformed> {
    if !value.is_finite() || value < 0.0 {
        return Err(Malformed::new(field, Fault::out_of_range(value)));
    }
    // Beyond what fits, the largest number is near enough for people.
    Ok((value * f64::from(WHOLE)).round() as u64)
}
