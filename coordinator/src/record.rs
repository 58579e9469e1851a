//! The coordinator's durable facts: one frame, one stream, at most one fact of each machine.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use votum_commit::{CoordinatorRecord, Decision, Forced};
use votum_driver::Durable;
use votum_ids::{Digest, Epoch, Incarnation, JobId, RequestId, TxnId, WorkerId};
use votum_journal::{Bearing, KeyChange, Stream};
use votum_machine::WallTime;
use votum_schedule::{Orders, Registration};
use votum_wire::view::CANCELLED;

use crate::open_job::OpenJob;

/// A fact of the coordinator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// This coordinator started; every older one is fenced.
    EpochStarted {
        /// Raised by one at every start.
        epoch: Epoch,
        /// This start.
        start: Incarnation,
        /// The log was found to be stale before, and no person has settled it.
        #[serde(default)]
        stale: bool,
    },
    /// A worker has seen this log further than it goes (C6).
    LogFoundStale {
        /// The worker.
        by: WorkerId,
    },
    /// The journal was made out of a backup (C6): what was recorded after that is not known.
    Restored {
        /// The last record of the backup.
        last: u64,
        /// The epoch of the next start: higher than any that the lost journal may have reached.
        next_epoch: Epoch,
    },
    /// A person has settled what a stale log may lack: it counts as complete and current (C6).
    LogTrusted {
        /// By whom, why, and what was known.
        trusted: Forced,
        /// Higher than any epoch that a worker had seen by then.
        above: Epoch,
    },
    /// A worker introduced itself differently than before.
    Registered(Registration),
    /// An operator has ordered something about a worker; states everything that stands.
    Ordered {
        /// Whom it is about.
        worker: WorkerId,
        /// All that stands of it from here on.
        orders: Orders,
    },
    /// Something about one job.
    Job(Box<JobRecord>),
    /// A closed job's retention has ended: its bytes may be reclaimed.
    Forgotten(Closing),
    /// What outlives a job's retention, so that neither its id nor its request runs it again.
    Buried(Tombstone),
    /// A tombstone's time is over: the id and the request are free.
    Crumbled {
        /// The job.
        job: JobId,
    },
}

/// What one step decided about one job: at most one fact of each machine, in one frame.
///
/// A field that this program does not know makes it unreadable: it may be a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobRecord {
    /// The job.
    pub job: JobId,
    /// What the scheduler decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<votum_schedule::Record>,
    /// What the commit coordinator decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CoordinatorRecord>,
    /// When the round was opened that this decides: the start of the longest possible doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<WallTime>,
    /// What the settlement decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<votum_settle::Record>,
    /// What a person has decided where the log does not tell enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruling: Option<Ruling>,
    /// Present in the last record of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<Closing>,
}

/// What a person has decided about a job of which the log does not tell enough (C6, V3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ruling {
    /// What.
    pub ruled: Ruled,
    /// By whom, why, and what was known.
    pub forced: Forced,
}

/// What becomes of such a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ruled {
    /// It has committed.
    Commit,
    /// It aborts.
    Abort,
    /// Nothing was decided about it: it goes on.
    Resume,
}

/// How a job ended, as the index keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closing {
    /// The job.
    pub job: JobId,
    /// Its display name.
    pub display_name: String,
    /// What it came to.
    pub decision: Decision,
    /// When it was received.
    pub received: WallTime,
    /// Under which request.
    pub request: RequestId,
    /// Never reused; nil in records of versions that did not tell it.
    #[serde(default)]
    pub uid: Uuid,
    /// How long record and logs are kept after this.
    pub retention: Duration,
    /// The round that committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<TxnId>,
    /// Whether a participant stands otherwise than was decided, and stays so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mixed: bool,
    /// What else it is found by in the list; none if that is long, or was not told by an earlier
    /// version: then its records are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filed: Option<Box<Filed>>,
}

/// What a closed job is found by without a look at its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filed {
    /// Who submitted it.
    pub by: String,
    /// Of its spec.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether it aborted because somebody cancelled it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
    /// When it ended; in a record none if that is when it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<WallTime>,
}

impl Closing {
    /// Closes an open job.
    pub(crate) fn of(job: JobId, open: &OpenJob, decision: Decision, round: Option<TxnId>) -> Self {
        Self {
            job,
            display_name: open.spec.display_name.clone(),
            decision,
            received: open.received,
            request: open.submission.request,
            uid: open.submission.uid,
            retention: open.spec.retention,
            round,
            mixed: open.is_mixed(),
            filed: Filed::of(open).map(Box::new),
        }
    }

    /// Closes a job of which little more than its id is known.
    pub(crate) fn of_stranger(
        job: JobId,
        received: WallTime,
        decision: Decision,
        round: Option<TxnId>,
    ) -> Self {
        Self {
            job,
            display_name: String::new(),
            decision,
            received,
            request: RequestId(Uuid::nil()),
            uid: Uuid::nil(),
            retention: UNKNOWN_RETENTION,
            round,
            mixed: false,
            filed: None,
        }
    }

    /// Leaves out what only the list needs.
    pub(crate) fn unfiled(&self) -> Self {
        Self { filed: None, ..self.clone() }
    }
}

impl Filed {
    fn of(open: &OpenJob) -> Option<Self> {
        let OpenJob { spec, submission, cause, ended, .. } = open;
        let bytes: usize = spec.labels.iter().map(|(key, value)| key.len() + value.len()).sum();
        let cancelled = cause.as_ref().is_some_and(|cause| cause.reason == CANCELLED);
        (bytes + submission.by.len() <= FILED_BYTES_MAX).then(|| Self {
            by: submission.by.clone(),
            labels: spec.labels.clone(),
            cancelled,
            ended: *ended,
        })
    }
}

/// What is known of a job whose records are gone; a few hundred bytes in the index, none in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tombstone {
    /// How it ended.
    pub closing: Closing,
    /// When that was recorded.
    pub ended: WallTime,
    /// Of the spec that it came with; none if the index did not tell it.
    pub spec_digest: Option<Digest>,
    /// How long this is kept, from the removal of the job's records on.
    pub kept: Duration,
    /// Who had the job deleted before its retention was over; none: it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_by: Option<String>,
    /// When its records were removed; none in logs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<WallTime>,
}

/// What the index keeps under a request id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownRequest {
    /// The job that the request made.
    pub job: JobId,
    /// Of the spec it came with.
    pub spec_digest: Digest,
}

/// What the index keeps in the list of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Listed {
    /// The job is open: its state is in memory.
    Open {
        /// The job.
        job: JobId,
    },
    /// The job has ended.
    Closed(Closing),
}

impl Durable for Record {
    const VERSION: u16 = 1;

    fn stream(&self) -> Stream {
        match self {
            Self::EpochStarted { .. }
            | Self::LogFoundStale { .. }
            | Self::Restored { .. }
            | Self::LogTrusted { .. } => cluster_stream(),
            Self::Registered(registration) => worker_stream(&registration.worker),
            Self::Ordered { worker, .. } => order_stream(worker),
            Self::Job(record) => job_stream(&record.job),
            Self::Forgotten(closing) => job_stream(&closing.job),
            Self::Buried(Tombstone { closing: Closing { job, .. }, .. })
            | Self::Crumbled { job } => stream(format!("{TOMBSTONE_STREAMS}{job}")),
        }
    }

    fn forced(&self) -> bool {
        match self {
            // Who bears a name is durable before the bearer is admitted.
            Self::EpochStarted { .. }
            | Self::LogFoundStale { .. }
            | Self::Restored { .. }
            | Self::LogTrusted { .. }
            | Self::Registered(_)
            | Self::Ordered { .. } => true,
            // The records that it stands for go later in the same log, so never without it.
            Self::Forgotten(_) | Self::Buried(_) | Self::Crumbled { .. } => false,
            Self::Job(record) => {
                record.schedule.as_ref().is_some_and(votum_schedule::Record::forced)
                    || record.commit.as_ref().is_some_and(CoordinatorRecord::forced)
                    || record.settle.as_ref().is_some_and(votum_settle::Record::forced)
                    || record.ruling.is_some()
            }
        }
    }

    fn bearing(&self) -> Bearing {
        match self {
            Self::EpochStarted { .. } | Self::Registered(_) | Self::Ordered { .. } => {
                Bearing::Restates
            }
            Self::Job(record) if record.closing.is_some() => Bearing::Closes,
            Self::Job(_)
            | Self::LogFoundStale { .. }
            | Self::Restored { .. }
            | Self::LogTrusted { .. } => Bearing::Continues,
            Self::Buried(_) => Bearing::Closes,
            Self::Forgotten(_) | Self::Crumbled { .. } => Bearing::Forgets,
        }
    }

    fn keys(&self, at: WallTime) -> Vec<KeyChange> {
        match self {
            Self::Job(record) => record.keys(at),
            Self::Buried(tombstone) => tombstone.keys(at),
            // Known also where the record itself cannot be read.
            Self::EpochStarted { stale: true, .. }
            | Self::LogFoundStale { .. }
            | Self::Restored { .. } => {
                vec![put(STALE_KEY.to_vec(), &true)]
            }
            // The start after it says so too: it stands when this record is gone.
            Self::LogTrusted { .. } | Self::EpochStarted { stale: false, .. } => {
                vec![KeyChange::Remove { key: STALE_KEY.to_vec() }]
            }
            // Forgetting a stream drops its keys with it.
            Self::Registered(_)
            | Self::Ordered { .. }
            | Self::Forgotten(_)
            | Self::Crumbled { .. } => Vec::new(),
        }
    }
}

impl JobRecord {
    fn keys(&self, at: WallTime) -> Vec<KeyChange> {
        let mut keys = Vec::new();
        if let Some(votum_schedule::Record::Received { job, submission, .. }) = &self.schedule {
            let known = KnownRequest { job: job.clone(), spec_digest: submission.spec_digest };
            keys.push(put(request_key(submission.request), &known));
            keys.push(put(list_key(at, job), &Listed::Open { job: job.clone() }));
        }
        // A note to a job that had closed before: it stands in the list, and expires as it was to.
        // Of what was forced it is told by the first record; to state a job's end twice is harmless.
        let noted = matches!(self.schedule, Some(votum_schedule::Record::Returned { .. }));
        if let Some(closing) = self.closing.as_ref().filter(|_| !noted) {
            let mut listed = closing.clone();
            if let Some(filed) = &mut listed.filed {
                filed.ended.get_or_insert(at);
            }
            keys.push(put(list_key(closing.received, &closing.job), &Listed::Closed(listed)));
            let expiry = at.after(closing.retention);
            keys.push(put(expiry_key(expiry, &closing.job), &closing.unfiled()));
            if closing.mixed {
                keys.push(put(mixed_key(&closing.job), &true));
            }
        }
        keys
    }
}

impl Tombstone {
    /// Takes the request over from the job's own stream, which is about to go.
    fn keys(&self, at: WallTime) -> Vec<KeyChange> {
        let Closing { job, request, .. } = &self.closing;
        let known = self.spec_digest.map(|spec_digest| {
            put(request_key(*request), &KnownRequest { job: job.clone(), spec_digest })
        });
        let expiry = format!("{CRUMBLING_KEYS}{:016x}/{job}", at.after(self.kept).0);
        let keys = [put(tombstone_key(job), self), put(expiry.into_bytes(), job)];
        keys.into_iter().chain(known).chain(self.former_key()).collect()
    }

    /// Returns the key by which its name leads to it, newest first; a stranger had no name.
    fn former_key(&self) -> Option<KeyChange> {
        let Closing { job, display_name, received, .. } = &self.closing;
        let mut key = former_keys(display_name);
        key.extend(format!("{:016x}/{job}", u64::MAX - received.0).into_bytes());
        (!display_name.is_empty()).then(|| put(key, job))
    }
}

/// Returns the stream of facts about the cluster as a whole.
pub(crate) fn cluster_stream() -> Stream {
    stream("cluster".to_owned())
}

/// Returns the stream of one job.
pub(crate) fn job_stream(job: &JobId) -> Stream {
    stream(format!("{JOB_STREAMS}{job}"))
}

/// Returns the stream of one worker.
pub(crate) fn worker_stream(worker: &WorkerId) -> Stream {
    stream(format!("{WORKER_STREAMS}{worker}"))
}

/// Returns the stream of what operators have ordered about one worker.
pub(crate) fn order_stream(worker: &WorkerId) -> Stream {
    stream(format!("{ORDER_STREAMS}{worker}"))
}

fn stream(name: String) -> Stream {
    Stream::new(name).expect("identifiers are short and printable")
}

/// Returns the key of a job in the list: newest first, in the order of the index.
pub(crate) fn list_key(received: WallTime, job: &JobId) -> Vec<u8> {
    format!("{LIST_KEYS}{:016x}/{job}", u64::MAX - received.0).into_bytes()
}

/// Returns the key under which a request finds its job.
pub(crate) fn request_key(request: RequestId) -> Vec<u8> {
    format!("request/{request}").into_bytes()
}

/// Returns the key under which a job that was removed is still known.
pub(crate) fn tombstone_key(job: &JobId) -> Vec<u8> {
    format!("{TOMBSTONE_KEYS}{job}").into_bytes()
}

/// Returns how the keys of removed jobs begin whose ids begin so.
pub(crate) fn tombstone_keys(beginning: &str) -> Vec<u8> {
    format!("{TOMBSTONE_KEYS}{beginning}").into_bytes()
}

/// Returns how the keys of removed jobs of one name begin, the newest first.
pub(crate) fn former_keys(display_name: &str) -> Vec<u8> {
    format!("{FORMER_KEYS}{display_name}/").into_bytes()
}

/// Returns the key of a closed job in the order in which retention ends.
pub(crate) fn expiry_key(expiry: WallTime, job: &JobId) -> Vec<u8> {
    format!("{EXPIRY_KEYS}{:016x}/{job}", expiry.0).into_bytes()
}

/// Returns the key by which a closed job that is mixed is counted; it goes with the job's records.
fn mixed_key(job: &JobId) -> Vec<u8> {
    format!("{MIXED_KEYS}{job}").into_bytes()
}

fn put(key: Vec<u8>, value: &impl Serialize) -> KeyChange {
    let value = serde_json::to_vec(value).expect("index values have string keys only");
    KeyChange::Put { key, value }
}

/// How long the record of a job is kept of whose spec nothing is known.
const UNKNOWN_RETENTION: Duration = Duration::from_hours(24 * 7);
/// Labels and names that are longer are not kept in the list: whoever asks reads the job's records.
const FILED_BYTES_MAX: usize = 1024;
/// There while the log is known to be stale.
pub(crate) const STALE_KEY: &[u8] = b"stale";
/// Prefix of the streams of jobs.
pub(crate) const JOB_STREAMS: &str = "job/";
/// Prefix of the streams of workers.
pub(crate) const WORKER_STREAMS: &str = "worker/";
/// Prefix of the streams of what operators have ordered about workers; apart from the workers'
/// own, whose records do not state it.
pub(crate) const ORDER_STREAMS: &str = "orders/";
/// Prefix of the streams of jobs that were removed.
const TOMBSTONE_STREAMS: &str = "tombstone/";
/// Prefix of what is known of jobs that were removed.
const TOMBSTONE_KEYS: &str = "tombstone/";
/// Prefix of removed jobs by the names that they had.
const FORMER_KEYS: &str = "former/";
/// Prefix of the order in which that is forgotten.
pub(crate) const CRUMBLING_KEYS: &str = "crumbling/";
/// Prefix of the list of jobs.
pub(crate) const LIST_KEYS: &str = "jobs/";
/// Prefix of what counts the closed jobs that are mixed.
pub(crate) const MIXED_KEYS: &str = "mixed/";
/// Prefix of the order in which retention ends.
pub(crate) const EXPIRY_KEYS: &str = "expiry/";
