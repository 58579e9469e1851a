//! All or nothing: two-phase commit with presumed abort.
//!
//! One job, many workers, one moment after which everything becomes visible
//! and before which nothing does. [`Coordinator`] is the transaction manager
//! (TM), [`Participants`] the resource managers (RM) of one worker. Both are
//! pure machines: they react, their drivers record, send, publish and discard.
//!
//! A vote is held in *rounds*. A round is a fixed set of participants and of
//! pledges (output, digest, token, target); its [`TxnId`](votum_ids::TxnId) is
//! in every message but Abort and Release, which belong to the job. Votes never
//! move to another round. Nothing is recorded before the decision, so a
//! coordinator that restarts without one opens a round again instead of
//! throwing away hours of work; a participant that learns that its round ended
//! goes back to Staged and discards nothing.
//!
//! A round at the coordinator (every other pair is ignored):
//!
//! | phase | vote Yes, ReadOnly | vote No | ack | tick | inquiry |
//! |---|---|---|---|---|---|
//! | Working | | | | | RoundEnded |
//! | Preparing | the last: **CommitDecided**, Commit to all that said Yes | Failed: **Aborting**; Refused: another round; NotHeld, WrongInstallation: Working | | ask the silent; past the timeout another round, past the deadline **Aborting** | Undecided; another round RoundEnded |
//! | Delivering | | | the last: *Ended*; Owing if somebody was given up | Commit again | Commit, or Replaced; another round RoundEnded |
//! | Owing | | | the last that somebody given up owes: *CaughtUp* | | Commit, or Replaced; another round RoundEnded |
//! | Aborting | | | | | Abort |
//! | not open | | | | | Abort, presumed |
//!
//! A participant (**bold** records are forced, *italic* ones lazy):
//!
//! | phase | Prepare | checked | peer asks | Commit | Abort | RoundEnded | Release |
//! |---|---|---|---|---|---|---|---|
//! | Staged | check, or No if refused or older | | **Refused** | alarm | *Aborted*, discard | | *Released* |
//! | Checking | a later round: check that | **Prepared**, Yes; or No, Staged | **Refused**, No | alarm | *Aborted*, discard | Staged | *Released* |
//! | Prepared (in doubt) | Yes again; later: check; older: No | | in doubt | **Committed**, publish | *Aborted*, discard | *RoundEnded*, Staged | |
//! | Finishing | No | | Commit | published: ack | | | |
//! | Ended | No | | Commit | ack again | | | *Released* |
//! | Aborted | No | | Refused | alarm | discard | | *Released* |
//! | Forced | commit: Yes if it publishes the same; abort: No | | unknown | commit: **Committed**, ack; abort: says so | *Aborted*, discard | | *Released* once noted |
//! | Released, unknown | No | | unknown | ack again | discard | | discard |
//!
//! A participant in doubt asks the coordinator, and when that stays silent its
//! peers: cooperative termination. A peer that has not voted may end the
//! *round* by refusing it durably; it never ends the job.
//!
//! After the decision a publisher may be lost for good. What it owes is then published by
//! others that hold it, each under a publisher number of its own: **Replaced** comes before any
//! of them is told TakeOver, and their **TakenOver** before they publish. The replaced one is told
//! so until it confirms (**StoodDown**) that nothing of it is visible; until then the
//! transaction stays open, and ends as for one that was given up (C13, C14).
//!
//! A person may end the doubt of one participant by force (**Forced**). That binds it alone: peers
//! hear *unknown* from it, and it tells the coordinator until that has noted it (**Heuristic**).
//! Where the decision is another one, the job is mixed, and the records say who did it and why
//! (C1, H1, H2).
//!
//! Read before changing anything: Gray, "Notes on Data Base Operating Systems"
//! (1978); Mohan, Lindsay, Obermarck, "Transaction Management in the R*
//! Distributed Database Management System" (TODS 11:4, 1986) for presumed
//! abort; Bernstein, Hadzilacos, Goodman, "Concurrency Control and Recovery in
//! Database Systems", ch. 7 (1987) for cooperative termination; Gray, Lamport,
//! "Consensus on Transaction Commit" (TODS 31:1, 2006) for the specification.

mod action;
mod agenda;
mod alarm;
mod coordinator;
mod decision;
mod delivery;
mod event;
mod forced;
mod heuristic;
mod message;
mod participant;
mod participants;
mod patience;
mod record;
mod replay;
mod round;
mod standing;
mod takeover;
mod transaction;
mod vote;

pub use action::{CoordinatorAction, ParticipantAction};
pub use alarm::Alarm;
pub use coordinator::{Coordinator, LogState, Start};
pub use decision::{Cause, Decision};
pub use event::{CoordinatorEvent, ParticipantEvent};
pub use forced::{Evidence, Forced, Heuristic};
pub use message::{Installation, Knowledge, LogPosition, Message, Peer, Pledge, Reply, Share};
pub use participants::Participants;
pub use record::{CoordinatorRecord, ParticipantRecord};
pub use replay::{CorruptTransaction, Recorded, readable_commit};
pub use round::PEERS_MAX;
pub use standing::{Stage, Standing};
pub use vote::{Objection, Vote};
