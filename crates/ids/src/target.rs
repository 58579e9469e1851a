//! A target: the name on a worker under which an output becomes visible.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A published name on a worker; readers open it.
///
/// Whether the path lies below one of the worker's publish roots is checked by
/// the worker, before its vote; here it is a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Absolute, or relative to the worker's first publish root.
    pub path: String,
    /// Whether a file or a directory becomes visible.
    pub kind: TargetKind,
    /// Permission bits of a file; as staged if absent.
    pub mode: Option<u32>,
    /// What something that stands there already means.
    pub existing: Existing,
    /// How many earlier generations stay beside the visible one; all of them if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generations_kept: Option<u32>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

/// Tells a file from a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// One regular file.
    File,
    /// A directory with everything in it.
    Tree,
}

/// What something that stands at the target already means.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// It is replaced and kept as an earlier generation.
    #[default]
    Replace,
    /// The worker votes No.
    Fail,
}
