//! Identifiers that machines draw: unique for ever and without meaning.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! unique {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(pub Uuid);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $type {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

unique!(
    /// One coordinator's journal, from its creation on.
    ClusterId
);
unique!(
    /// One installation of a worker: its data directory. A wiped disk is another one.
    WorkerUid
);
unique!(
    /// One start of a daemon.
    Incarnation
);
unique!(
    /// Chosen by a client so that a repeated submission is recognised (AIP-155).
    RequestId
);
