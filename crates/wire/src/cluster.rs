//! The coordinator as operators are shown it, on the wire.

use std::collections::BTreeMap;

use votum_ids::{ClusterId, Epoch};
use votum_proto::v1;

use crate::{
    ClusterView, Fault, IndexState, JobState, JournalView, Malformed, Translate, WorkerState,
    limit::{read_limits, write_limits},
    time::{read_timestamp, read_timestamp_if_any, timestamp},
    translate::{Numbered, count, enumerated, number, numbered, read, read_all, uuid, write_all},
};

numbered!(IndexState, v1::IndexState {
    Current = Current,
    CaughtUp = CaughtUp,
    Rebuilt = Rebuilt,
});

impl Translate for ClusterView {
    type Proto = v1::GetClusterInfoResponse;

    fn to_proto(&self) -> v1::GetClusterInfoResponse {
        let job_word = |state: &JobState| job_state_word(*state).to_owned();
        let worker_word = |state: &WorkerState| worker_state_word(*state).to_owned();
        v1::GetClusterInfoResponse {
            cluster_id: self.cluster.to_string(),
            epoch: count(self.epoch.0),
            version: self.version.clone(),
            start_time: Some(timestamp(self.started)),
            job_counts: self.jobs.iter().map(|(state, n)| (job_word(state), count(*n))).collect(),
            kept_job_count: count(self.kept),
            worker_counts: self
                .workers
                .iter()
                .map(|(state, n)| (worker_word(state), count(*n)))
                .collect(),
            stale_log: self.log_stale,
            quarantined_streams: write_all(&self.quarantined),
            journal: Some(self.journal.to_proto()),
            index_state: self.index.number(),
            mixed_job_count: count(self.mixed),
            limits: write_limits(&self.limits),
            answer_time: self.answered.map(timestamp),
        }
    }

    fn from_proto(proto: v1::GetClusterInfoResponse) -> Result<Self, Malformed> {
        Ok(Self {
            cluster: ClusterId(uuid("cluster_id", &proto.cluster_id)?),
            epoch: Epoch(number("epoch", proto.epoch)?),
            version: proto.version,
            started: read_timestamp("start_time", proto.start_time)?,
            jobs: read_counts("job_counts", proto.job_counts, |word| {
                v1::JobState::from_str_name(word)
                    .and_then(|state| JobState::from_number(state as i32))
            })?,
            kept: number("kept_job_count", proto.kept_job_count)?,
            workers: read_counts("worker_counts", proto.worker_counts, |word| {
                v1::WorkerState::from_str_name(word)
                    .and_then(|state| WorkerState::from_number(state as i32))
            })?,
            log_stale: proto.stale_log,
            quarantined: read_all("quarantined_streams", proto.quarantined_streams)?,
            journal: read("journal", proto.journal)?,
            index: enumerated("index_state", proto.index_state)?,
            mixed: number("mixed_job_count", proto.mixed_job_count)?,
            limits: read_limits(&proto.limits),
            answered: read_timestamp_if_any("answer_time", proto.answer_time)?,
        })
    }
}

impl Translate for JournalView {
    type Proto = v1::JournalCounters;

    fn to_proto(&self) -> v1::JournalCounters {
        v1::JournalCounters {
            forced_records: count(self.forced_records),
            syncs: count(self.syncs),
            appended_bytes: count(self.bytes),
        }
    }

    fn from_proto(proto: v1::JournalCounters) -> Result<Self, Malformed> {
        Ok(Self {
            forced_records: number("forced_records", proto.forced_records)?,
            syncs: number("syncs", proto.syncs)?,
            bytes: number("appended_bytes", proto.appended_bytes)?,
        })
    }
}

fn job_state_word(state: JobState) -> &'static str {
    v1::JobState::try_from(state.number()).map_or("", |state| state.as_str_name())
}

fn worker_state_word(state: WorkerState) -> &'static str {
    v1::WorkerState::try_from(state.number()).map_or("", |state| state.as_str_name())
}

fn read_counts<S: Ord>(
    field: &str,
    proto: BTreeMap<String, i64>,
    state: impl Fn(&str) -> Option<S>,
) -> Result<BTreeMap<S, u64>, Malformed> {
    let read = |(word, n): (String, i64)| {
        let key = state(&word)
            .ok_or_else(|| Malformed::new(field, Fault::form(&word, "the name of a state")))?;
        Ok((key, number(field, n)?))
    };
    proto.into_iter().map(read).collect()
}
