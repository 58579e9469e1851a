//! Who takes part, and sets of them.

use std::fmt;

/// One site: its number in [`NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(pub(crate) u8);

/// The site that begins the vote, and votes itself.
pub(crate) const COORDINATOR: Place = Place(0);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES[usize::from(self.0)])
    }
}

/// A set of sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Places(u8);

impl Places {
    pub(crate) const NONE: Self = Self(0);

    /// Returns the first so many.
    pub(crate) fn first(count: usize) -> Self {
        assert!(count <= NAMES.len(), "there are {} sites", NAMES.len());
        Self((1 << count) - 1)
    }

    pub(crate) fn only(place: Place) -> Self {
        Self(1 << place.0)
    }

    pub(crate) fn with(self, place: Place) -> Self {
        Self(self.0 | 1 << place.0)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn contains(self, place: Place) -> bool {
        self.0 & (1 << place.0) != 0
    }

    pub(crate) fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the one with the lowest number: whom all elect.
    pub(crate) fn lowest(self) -> Option<Place> {
        self.iter().next()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Place> {
        (0..NAMES.len() as u8).map(Place).filter(move |place| self.contains(*place))
    }

    /// Returns every subset of the first so many that is not empty.
    pub(crate) fn parts(count: usize) -> impl Iterator<Item = Self> {
        (1..=Self::first(count).0).map(Self)
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.iter().map(|place| place.to_string()).collect();
        f.write_str(&names.join(", "))
    }
}

/// The coordinator, and at most four workers.
const NAMES: [&str; 5] = ["C", "alice", "bob", "carol", "dave"];
