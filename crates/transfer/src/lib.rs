//! Moves sealed outputs from the worker that holds them to the worker that reads them.
//!
//! One half serves ([`ArtifactServer`]), one half fetches ([`fetch`]). Nothing
//! that arrives is believed: pieces carry a CRC32C, the manifest must have the
//! digest that the coordinator named, every file the one of the manifest, and
//! every path is resolved by `votum-shadow`. Memory is bounded on both sides,
//! whatever the sizes.

mod fetch;
mod holdings;
mod manifest;
mod server;
mod tail;

pub use fetch::{Broken, FetchError, Source, fetch};
pub use holdings::{Denied, Holdings, LogPart, LogWritten};
pub use manifest::BadManifest;
pub use server::{ArtifactServer, artifact_service};

/// Largest piece of a file in one message.
pub const PIECE_BYTES_MAX: usize = 1 << 20;
