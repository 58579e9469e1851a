//! The vote of one participant in one round.

use serde::{Deserialize, Serialize};

/// A participant's answer to Prepare.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vote {
    /// Prepared, durably: obeys either decision from here on.
    Yes,
    /// Cannot or will not publish.
    No(Objection),
    /// Holds nothing to publish and leaves the protocol after this vote.
    ReadOnly,
}

/// Why a participant votes No. The first three cost the round, the last the job (C10).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objection {
    /// It refused this round durably when a peer asked (C7).
    Refused,
    /// It does not hold what the round names, or not with these digests and tokens.
    NotHeld,
    /// The round names another installation of this worker.
    WrongInstallation,
    /// A check of the staged bytes or of a target failed.
    Failed {
        /// Stable word for programs, such as `TARGET_EXISTS`.
        reason: String,
        /// One sentence for people, naming the output and the path.
        message: String,
    },
}
