//! What people force: never the decision, only what is waited for, or one participant's outcome.

use serde::{Deserialize, Serialize};
use votum_ids::TxnId;
use votum_machine::WallTime;

use crate::Decision;

/// Who forced something, why, and what was known then; kept for ever (H2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Forced {
    /// Who, as far as it is known.
    pub by: String,
    /// Why; never empty.
    pub reason: String,
    /// What was known then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// One thing that was known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// When it was recorded or seen.
    pub at: WallTime,
    /// One sentence.
    pub text: String,
}

/// What a person has forced at a participant that was in doubt; the literature calls it a
/// heuristic decision.
///
/// It binds that participant alone and tells nobody what the round came to (C1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Heuristic {
    /// The round that was in doubt.
    pub txn: TxnId,
    /// What the participant does, as if that had been decided.
    pub outcome: Decision,
    /// By whom, and why.
    pub forced: Forced,
    /// When, by the clock of the participant's machine.
    pub at: WallTime,
}
