//! The only translator between domain values and generated messages.
//!
//! Reading never trusts: what a peer sent is a domain value or [`Malformed`],
//! with the path of the field. Writing cannot fail. What went wrong becomes a
//! status in [`status`] and nowhere else; what a client got back is a
//! [`problem::Problem`].

pub mod approval;
pub mod artifact;
mod attempt;
pub mod case;
mod case_name;
mod checkpoint;
mod cluster;
mod commit;
mod concurrency;
mod conduct;
pub mod dry_vote;
pub mod filter;
pub mod forced;
pub mod frame;
mod heuristic;
pub mod history;
pub mod hold;
pub mod hook;
mod job;
pub mod json;
mod limit;
pub mod listing;
mod malformed;
pub mod method;
pub mod names;
pub mod operation;
pub mod output;
pub mod page;
pub mod problem;
mod program;
mod protocol;
mod quarantine;
pub mod request;
pub mod rescue;
pub mod revert;
mod self_report;
pub mod session;
mod spec;
pub mod status;
mod target;
mod task_progress;
mod time;
mod translate;
pub mod txn;
pub mod view;
mod worker;

pub use approval::{ApprovalView, GivenApproval, REJECTED, Verdict};
pub use attempt::{ArtifactId, ArtifactPart};
pub use case::{CaseKind, CaseView, EvidenceView};
pub use case_name::{CaseName, Subject};
pub use commit::PeerInquiry;
pub use dry_vote::DryVoteView;
pub use filter::{Filter, InvalidFilter};
pub use forced::{ForcedKind, ForcedView};
pub use frame::{
    CommittedRound, CoordinatorFrame, FromCoordinator, FromWorker, Hello, INVENTORY_PAGE_MAX,
    Inventory, UnreadableJob,
};
pub use heuristic::EVIDENCE_MAX;
pub use hold::{PauseOrigin, PauseView};
pub use hook::{
    CaseAction, HookAttempt, HookKind, HookState, HookView, ResolutionView, TrialOutcome, TrialView,
};
pub use limit::{LIMITS_MAX, LimitKind, LimitUse, Vitals};
pub use malformed::{Fault, Malformed};
pub use problem::{Problem, Reason, code_word};
pub use protocol::{Behind, FORCED_SINCE, TAKE_OVER_SINCE, Versions};
pub use spec::{job_spec_from_proto, job_spec_to_proto};
pub use translate::Translate;
pub use view::{
    ATTEMPTS_SHOWN_MAX, AttemptView, CheckpointView, ClusterView, DrainView, IndexState, JobDamage,
    JobHolder, JobState, JobView, JournalView, LogPiece, LogStream, Outcome, OutputState,
    OutputView, ParticipantView, QuarantineView, QuarantinedStream, QueueView, RecordDamage,
    ReportView, TaskState, TaskView, WorkerDamage, WorkerState, WorkerView,
};
