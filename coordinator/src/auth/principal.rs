//! Who asks, and in which roles.

use std::{collections::BTreeSet, fmt, str::FromStr};

use thiserror::Error;
use votum_ids::WorkerId;
use votum_tls::Identity;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Looks at everything, changes nothing.
    Viewer,
    /// Hands in jobs and steers them; looks at everything.
    Submitter,
    /// Decides what only a person can decide, and everything a submitter may.
    Operator,
    /// Holds the session of one worker, and nothing else.
    Worker,
}

impl Role {
    /// Says whether whoever has this role may do what needs `other`.
    pub(crate) fn covers(self, other: Self) -> bool {
        // A worker stands beside the ladder of the others.
        if self == Self::Worker || other == Self::Worker { self == other } else { self >= other }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Submitter => "submitter",
            Self::Operator => "operator",
            Self::Worker => "worker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        let all = [Self::Viewer, Self::Submitter, Self::Operator, Self::Worker];
        let found = all.into_iter().find(|role| role.word() == word);
        found.ok_or_else(|| UnknownRole { word: word.to_owned() })
    }
}

/// A word that is no role.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{word:?} is no role: there are viewer, submitter, operator and worker")]
pub(crate) struct UnknownRole {
    word: String,
}

/// Who asks; the layer puts one into the extensions of every request that it lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The name that was proved; where nothing has to be proved, the one that was claimed.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) roles: BTreeSet<Role>,
    /// How the name is known.
    pub(crate) proof: Proof,
}

/// How a name is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing has to be proved: everybody who can connect is trusted.
    Nothing,
    /// By the certificate of the connection.
    Certificate,
    /// By a token that came with the request.
    Token,
}

impl Proof {
    /// Returns its word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Certificate => "certificate",
            Self::Token => "token",
        }
    }
}

impl Principal {
    /// Somebody who has to prove nothing and may do everything.
    pub(crate) fn trusted(name: String) -> Self {
        let roles = BTreeSet::from([Role::Operator, Role::Worker]);
        Self { name, roles, proof: Proof::Nothing }
    }

    /// Somebody whose certificate says who it is; a role that is none of these may nothing.
    pub(crate) fn certified(identity: &Identity) -> Self {
        let roles = identity.role.parse().into_iter().collect();
        Self { name: identity.name.clone(), roles, proof: Proof::Certificate }
    }

    /// Says whether it may speak for a worker.
    pub(crate) fn speaks_for(&self, worker: &WorkerId) -> bool {
        self.proof == Proof::Nothing || self.name == worker.as_str()
    }

    /// Says whether it may do what needs `role`.
    pub(crate) fn may(&self, role: Role) -> bool {
        self.roles.iter().any(|has| has.covers(role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_may_what_submitters_and_viewers_may() {
        use Role::{Operator, Submitter, Viewer, Worker};
        for (has, covered) in [
            (Viewer, vec![Viewer]),
            (Submitter, vec![Viewer, Submitter]),
            (Operator, vec![Viewer, Submitter, Operator]),
            (Worker, vec![Worker]),
        ] {
            let all = [Viewer, Submitter, Operator, Worker];
            let found: Vec<Role> = all.into_iter().filter(|needed| has.covers(*needed)).collect();
            assert_eq!(found, covered, "{has}");
        }
    }

    #[test]
    fn a_word_that_is_no_role_is_named() {
        assert_eq!("operator".parse(), Ok(Role::Operator));
        let refused = "admin".parse::<Role>().unwrap_err().to_string();
        assert!(refused.contains("\"admin\"") && refused.contains("operator"), "{refused}");
    }
}
