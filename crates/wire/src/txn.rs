//! Open transactions as people are shown them, on the wire.

use votum_ids::{JobId, TxnId, WorkerUid};
use votum_machine::WallTime;
use votum_proto::v1;

use crate::{
    Fault, Malformed, ParticipantView, Translate, WorkerState,
    names::job_name,
    page::{self, Page},
    time::{read_timestamp, read_timestamp_if_any, timestamp},
    translate::{
        Numbered, enumerated, enumerated_if_any, number, numbered, parse_if_any, read, read_all,
        uuid, write_all,
    },
};

/// The transaction of a job between its first round of votes and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnView {
    /// The job.
    pub job: JobId,
    /// The current or deciding round; none if the job aborts and no round of this start is known.
    pub txn: Option<TxnId>,
    /// Where it stands.
    pub stage: TxnStage,
    /// When it came there.
    pub since: WallTime,
    /// Whom it concerns, by name.
    pub participants: Vec<TxnParticipantView>,
}

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnStage {
    /// Votes are collected; nothing is decided.
    Preparing,
    /// Commit is decided, and somebody has not acknowledged it.
    Committing,
    /// Abort is decided; nobody acknowledges it.
    Aborting,
    /// Commit was decided, and only those that were given up have not acknowledged it.
    Owing,
}

/// One participant of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnParticipantView {
    /// Who, its vote, and whether it has acknowledged.
    pub participant: ParticipantView,
    /// The installation that the round names.
    pub uid: WorkerUid,
    /// Whether it is in doubt as far as the coordinator knows.
    pub in_doubt: bool,
    /// When its vote came to this start of the coordinator.
    pub voted: Option<WallTime>,
    /// When its acknowledgement came.
    pub acknowledged: Option<WallTime>,
    /// How often this start of the coordinator has sent it COMMIT.
    pub commits_sent: u32,
    /// When it last did.
    pub commit_sent: Option<WallTime>,
    /// Where the worker stands; none if it is not known any more.
    pub worker_state: Option<WorkerState>,
    /// Its last sign of life.
    pub last_seen: Option<WallTime>,
}

/// Asks for a page of transactions, by job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListTxns {
    /// Which part of the list.
    pub page: Page,
    /// Only those with a participant in doubt.
    pub in_doubt: bool,
}

/// A page of transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnPage {
    /// By job.
    pub txns: Vec<TxnView>,
    /// Token of the page that follows; absent at the end.
    pub next: Option<String>,
}

impl TxnView {
    /// Says whether a participant is in doubt as far as the coordinator knows.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.participants.iter().any(|one| one.in_doubt)
    }
}

impl TxnStage {
    /// Returns the word for people and programs, such as `PREPARING`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Preparing => "PREPARING",
            Self::Committing => "COMMITTING",
            Self::Aborting => "ABORTING",
            Self::Owing => "OWING",
        }
    }
}

numbered!(TxnStage, v1::TxnStage {
    Preparing = Preparing,
    Committing = Committing,
    Aborting = Aborting,
    Owing = Owing,
});

impl ListTxns {
    /// Reads the request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when the page size is negative or the token is of another list.
    pub fn read(proto: &v1::ListTxnsRequest) -> Result<Self, tonic::Status> {
        let in_doubt = proto.in_doubt;
        let page = Page::read(proto.page_size, &proto.page_token, arguments(in_doubt))?;
        Ok(Self { page, in_doubt })
    }

    /// Returns the token of the page that begins after a job.
    #[must_use]
    pub fn token_after(&self, job: &JobId) -> String {
        page::seal(job.as_str(), arguments(self.in_doubt))
    }
}

fn arguments(in_doubt: bool) -> &'static str {
    if in_doubt { "txns in doubt" } else { "txns" }
}

/// Returns the resource name of a job's transaction.
#[must_use]
pub fn txn_name(job: &JobId) -> String {
    format!("{}/txn", job_name(job))
}

/// Reads the resource name of a job's transaction.
///
/// # Errors
/// [`Malformed`] when the text has not the form `jobs/{job}/txn`.
pub fn read_txn_name(field: &str, text: &str) -> Result<JobId, Malformed> {
    let id = text.strip_prefix("jobs/").and_then(|rest| rest.strip_suffix("/txn"));
    let form = || Malformed::new(field, Fault::form(text, "jobs/{job}/txn"));
    JobId::new(id.ok_or_else(form)?).map_err(|_| form())
}

impl Translate for TxnView {
    type Proto = v1::Txn;

    fn to_proto(&self) -> v1::Txn {
        v1::Txn {
            name: txn_name(&self.job),
            txn_id: self.txn.as_ref().map(ToString::to_string).unwrap_or_default(),
            stage: self.stage.number(),
            stage_time: Some(timestamp(self.since)),
            participants: write_all(&self.participants),
        }
    }

    fn from_proto(proto: v1::Txn) -> Result<Self, Malformed> {
        Ok(Self {
            job: read_txn_name("name", &proto.name)?,
            txn: parse_if_any("txn_id", &proto.txn_id)?,
            stage: enumerated("stage", proto.stage)?,
            since: read_timestamp("stage_time", proto.stage_time)?,
            participants: read_all("participants", proto.participants)?,
        })
    }
}

impl Translate for TxnParticipantView {
    type Proto = v1::TxnParticipant;

    fn to_proto(&self) -> v1::TxnParticipant {
        v1::TxnParticipant {
            participant: Some(self.participant.to_proto()),
            worker_uid: self.uid.to_string(),
            in_doubt: self.in_doubt,
            vote_time: self.voted.map(timestamp),
            acknowledge_time: self.acknowledged.map(timestamp),
            commits_sent: i32::try_from(self.commits_sent).unwrap_or(i32::MAX),
            commit_sent_time: self.commit_sent.map(timestamp),
            worker_state: self.worker_state.map_or(0, Numbered::number),
            last_seen_time: self.last_seen.map(timestamp),
        }
    }

    fn from_proto(proto: v1::TxnParticipant) -> Result<Self, Malformed> {
        let acknowledged = read_timestamp_if_any("acknowledge_time", proto.acknowledge_time)?;
        Ok(Self {
            participant: read("participant", proto.participant)?,
            uid: WorkerUid(uuid("worker_uid", &proto.worker_uid)?),
            in_doubt: proto.in_doubt,
            voted: read_timestamp_if_any("vote_time", proto.vote_time)?,
            acknowledged,
            commits_sent: number("commits_sent", proto.commits_sent)?,
            commit_sent: read_timestamp_if_any("commit_sent_time", proto.commit_sent_time)?,
            worker_state: enumerated_if_any("worker_state", proto.worker_state)?,
            last_seen: read_timestamp_if_any("last_seen_time", proto.last_seen_time)?,
        })
    }
}

impl Translate for TxnPage {
    type Proto = v1::ListTxnsResponse;

    fn to_proto(&self) -> v1::ListTxnsResponse {
        v1::ListTxnsResponse {
            txns: write_all(&self.txns),
            next_page_token: self.next.clone().unwrap_or_default(),
        }
    }

    fn from_proto(proto: v1::ListTxnsResponse) -> Result<Self, Malformed> {
        Ok(Self {
            txns: read_all("txns", proto.txns)?,
            next: Some(proto.next_page_token).filter(|token| !token.is_empty()),
        })
    }
}
