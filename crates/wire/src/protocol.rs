//! Which versions of the session's protocol a program speaks, and which one two of them choose.
//!
//! Version 1 is what was spoken before versions were negotiated: its programs state
//! none. Both sides state what they speak; the newest that both speak is chosen, and
//! nobody sends a frame or a value that the chosen version does not have. So a program
//! that speaks two versions talks to its older and its newer neighbour, and workers and
//! coordinator are upgraded one after the other.

use std::fmt;

use crate::{Fault, Malformed};

/// A range of versions, not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Versions {
    oldest: u32,
    newest: u32,
}

/// The first version in which a publisher can be replaced after the decision (C13).
pub const TAKE_OVER_SINCE: u32 = 3;

/// The first version in which a worker tells what a person has forced there (H2).
pub const FORCED_SINCE: u32 = 4;

/// Who is behind when two programs have no version in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// The worker's newest version is older than the coordinator's oldest.
    Worker,
    /// The coordinator's newest version is older than the worker's oldest.
    Coordinator,
}

impl Versions {
    /// What this build speaks.
    pub const OURS: Self = Self { oldest: 2, newest: FORCED_SINCE };

    /// Makes a range.
    ///
    /// # Errors
    /// When it is empty or begins before version 1.
    pub fn new(oldest: u32, newest: u32) -> Result<Self, Malformed> {
        if oldest == 0 || oldest > newest {
            let text = format!("{oldest} to {newest}");
            return Err(Malformed::new("protocol_min", Fault::OutOfRange(text)));
        }
        Ok(Self { oldest, newest })
    }

    /// Returns the newest version.
    #[must_use]
    pub const fn newest(self) -> u32 {
        self.newest
    }

    /// Says whether a version is spoken.
    #[must_use]
    pub fn contains(self, version: u32) -> bool {
        (self.oldest..=self.newest).contains(&version)
    }

    /// Returns the newest version that a coordinator of these versions and a worker both speak.
    ///
    /// # Errors
    /// Who must be upgraded.
    pub fn chosen_with(self, worker: Self) -> Result<u32, Behind> {
        if worker.newest < self.oldest {
            return Err(Behind::Worker);
        }
        if self.newest < worker.oldest {
            return Err(Behind::Coordinator);
        }
        Ok(self.newest.min(worker.newest))
    }

    /// Returns the ends for a message.
    pub(crate) fn ends(self) -> (u32, u32) {
        (self.oldest, self.newest)
    }

    /// Reads the ends of a message; a peer that states none speaks version 1.
    pub(crate) fn read(oldest: u32, newest: u32) -> Result<Self, Malformed> {
        if (oldest, newest) == (0, 0) { Self::new(1, 1) } else { Self::new(oldest, newest) }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.oldest, self.newest) {
            (oldest, newest) if oldest == newest => write!(f, "{newest}"),
            (oldest, newest) => write!(f, "{oldest} to {newest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_choose_the_newest_version_of_both() {
        let range = |oldest, newest| Versions::new(oldest, newest).unwrap();
        assert_eq!(range(2, 3).chosen_with(range(1, 2)), Ok(2));
        assert_eq!(range(1, 2).chosen_with(range(2, 3)), Ok(2));
        assert_eq!(range(2, 3).chosen_with(range(1, 4)), Ok(3));
        assert_eq!(range(3, 4).chosen_with(range(1, 2)), Err(Behind::Worker));
        assert_eq!(range(1, 2).chosen_with(range(3, 4)), Err(Behind::Coordinator));
    }

    #[test]
    fn whoever_states_no_version_speaks_the_first() {
        assert_eq!(Versions::read(0, 0), Versions::new(1, 1));
        assert!(Versions::read(3, 2).is_err());
        assert!(Versions::read(0, 2).is_err());
    }
}
