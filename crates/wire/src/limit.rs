//! How near a daemon is to its limits, on the wire.

use votum_machine::WallTime;
use votum_proto::v1;

use crate::translate::count;

/// How near a daemon is to one of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitUse {
    /// What is limited.
    pub kind: LimitKind,
    /// How much of it is taken.
    pub used: u64,
    /// How much of it there is.
    pub most: u64,
}

impl LimitUse {
    /// Says how much of it is taken, in whole percent; a limit of nothing is reached.
    #[must_use]
    pub fn percent(&self) -> u64 {
        self.used.saturating_mul(100).checked_div(self.most).unwrap_or(100)
    }
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitKind {
    /// Files, sockets and pipes that the daemon has open.
    OpenFiles,
    /// Processes and threads of its control group or its machine, whichever is nearer to its end.
    Processes,
    /// Bytes of the filesystem of its journal or staging, without what is reserved there.
    DiskBytes,
    /// Names on that filesystem.
    DiskFiles,
    /// Jobs of a coordinator that have not ended.
    OpenJobs,
}

impl LimitKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::OpenFiles, Self::Processes, Self::DiskBytes, Self::DiskFiles, Self::OpenJobs];

    /// Returns its name for programs, such as `open_files`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::OpenFiles => "open_files",
            Self::Processes => "processes",
            Self::DiskBytes => "disk_bytes",
            Self::DiskFiles => "disk_files",
            Self::OpenJobs => "open_jobs",
        }
    }
}

/// What a worker says of itself with each sign of life; nothing that must be right rests on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vitals {
    /// The time by which it reckons, when it said so.
    pub sent: Option<WallTime>,
    /// How near it is to its limits; at most [`LIMITS_MAX`] are read.
    pub limits: Vec<LimitUse>,
}

/// Most limits of one daemon.
pub const LIMITS_MAX: usize = 16;

/// Writes them.
pub(crate) fn write_limits(limits: &[LimitUse]) -> Vec<v1::LimitUse> {
    let write = |limit: &LimitUse| v1::LimitUse {
        limit: limit.kind.word().to_owned(),
        used: count(limit.used),
        most: count(limit.most),
    };
    limits.iter().map(write).collect()
}

/// Reads them; skips those that mean nothing here, such as what a later version limits.
pub(crate) fn read_limits(limits: &[v1::LimitUse]) -> Vec<LimitUse> {
    let read = |limit: &v1::LimitUse| {
        Some(LimitUse {
            kind: LimitKind::ALL.into_iter().find(|kind| kind.word() == limit.limit)?,
            used: u64::try_from(limit.used).ok()?,
            most: u64::try_from(limit.most).ok()?,
        })
    };
    limits.iter().filter_map(read).take(LIMITS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_only_a_later_version_knows_is_skipped() {
        let known = LimitUse { kind: LimitKind::OpenFiles, used: 3, most: 4 };
        let mut written = write_limits(&[known]);
        let odd = |limit: &str, used| v1::LimitUse { limit: limit.to_owned(), used, most: 1 };
        written.extend([odd("open_doors", 1), odd("open_jobs", -1)]);
        assert_eq!(read_limits(&written), [known]);
    }

    #[test]
    fn a_limit_of_nothing_is_reached() {
        let limit = |used, most| LimitUse { kind: LimitKind::Processes, used, most };
        assert_eq!([limit(0, 0).percent(), limit(1, 3).percent()], [100, 33]);
    }
}
