//! Samples of how near a daemon is to its limits.

use votum_machine::WallTime;
use votum_wire::{LimitKind, LimitUse, Vitals};

/// Returns a limit of each kind.
pub(crate) fn all() -> Vec<LimitUse> {
    let limit = |(kind, used)| LimitUse { kind, used, most: 1 << 40 };
    LimitKind::ALL.into_iter().zip(1..).map(limit).collect()
}

/// Returns what a worker says of itself.
pub(crate) fn vitals() -> Vitals {
    Vitals { sent: Some(WallTime(1_800_000_000_070)), limits: all() }
}
