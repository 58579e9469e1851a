//! What operators have ordered about a worker, as it is recorded: a drain, and removals for good.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use votum_ids::WorkerUid;
use votum_machine::WallTime;

/// Everything that operators have ordered about the bearers of one name, and not taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// It takes no further attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
    /// Installations that are never admitted again; at most [`REMOVALS_MAX`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub removed: BTreeMap<WorkerUid, Removal>,
}

/// A worker takes no further attempts until it is resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Who ordered it, as far as the connection tells.
    pub by: String,
    /// Why, for people and for the tasks that are stopped; may be empty.
    pub reason: String,
    /// When it was ordered.
    pub ordered: WallTime,
    /// How long what runs may go on after that; for ever if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<Duration>,
}

/// An installation that an operator has removed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Who ordered it, as far as the connection tells.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// When it was ordered.
    pub ordered: WallTime,
}

impl Drain {
    /// Returns when what still runs is stopped; none: never.
    #[must_use]
    pub fn deadline(&self) -> Option<WallTime> {
        self.time_limit.map(|limit| self.ordered.after(limit))
    }
}

/// So many installations of one name can be removed; a name that wears out faster is not bound to
/// one machine.
pub const REMOVALS_MAX: usize = 1_000;
