//! A typed client of Votum: jobs in, views out, and patience with a coordinator that restarts.
//!
//! Every call that may be repeated without harm is repeated while the
//! coordinator is unavailable, with growing, random pauses, for as long as
//! [`Options::patience`] says. A submission is one of them because it carries a
//! request id.

mod access;
mod approval;
mod backoff;
mod backup;
mod cases;
mod changes;
mod client;
mod error;
mod history;
mod logs;
mod options;
mod outputs;
mod reference;
mod txns;
mod wait;
mod watch;

pub use access::{Access, Token};
pub use backup::{Backup, BackupEnd, BackupPart};
pub use changes::ListWatch;
pub use client::Client;
pub use error::ClientError;
pub use logs::Logs;
pub use options::Options;
pub use outputs::OutputBytes;
pub use wait::Until;
pub use watch::Watch;
