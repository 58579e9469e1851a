//! Typed identifiers: every name that crosses a crate, a journal or the wire.
//!
//! Each is its own type, so that no function can take one for another. Names
//! are checked where they are made and are safe as path components everywhere.

mod checkpoint;
mod digest;
mod fencing;
mod name;
mod target;
mod unique;

pub use checkpoint::CheckpointId;
pub use digest::{Digest, MalformedDigest};
pub use fencing::{AttemptId, Epoch, FencingToken, MalformedTxnId, TxnId};
pub use name::{InvalidName, JobId, OutputName, SecretName, StepName, TaskId, WorkerId};
pub use target::{Existing, Target, TargetKind};
pub use unique::{ClusterId, Incarnation, RequestId, WorkerUid};
