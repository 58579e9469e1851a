//! What people force: never the decision, only what is waited for, or one participant's outcome.

use serde::{Deserialize, Serialize};
use votum_machine::WallTime;

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
