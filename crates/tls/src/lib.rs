//! Who is at the other end of a connection: certificates, the ways in and the ways out.
//!
//! A certificate of a cluster's own authority names one role and one name in a
//! URI (`votum://worker/s1`); everything else in it is for the transport. A
//! [`Dialer`] makes connections, in clear text or with TLS, and [`incoming`]
//! takes them, bounded, with what is known of the peer in each request's
//! extensions ([`Peer`]). Files are read again on [`ServerTls::reload`] and
//! [`Dialer::reload`]; connections that stand are not touched by that. Only what
//! [`Refused`] names is ended at once.

#[cfg(feature = "authority")]
mod authority;
mod dialer;
mod error;
mod files;
mod identity;
mod incoming;
mod refused;
mod room;
mod server;

#[cfg(feature = "authority")]
pub use authority::{Authority, AuthorityError, Issued, Order};
pub use dialer::{Dialer, Far};
pub use error::TlsError;
pub use files::TlsFiles;
pub use identity::{Identity, IdentityError, worker_host};
pub use incoming::{Connection, Limits, Peer, incoming};
pub use refused::Refused;
pub use server::{Clients, ServerTls};

/// The role of a certificate that the coordinator shows.
pub const COORDINATOR: &str = "coordinator";
/// The role of a certificate that a worker shows.
pub const WORKER: &str = "worker";
