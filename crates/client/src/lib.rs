//! A typed client of Votum: jobs in, views out, and patience with a coordinator that restarts.
//!
//! ```no_run
//! use votum_client::{Client, ClientError, Options, Until, wire::request::SubmitJob};
//!
//! # async fn example(request: SubmitJob) -> Result<(), ClientError> {
//! let client = Client::connect("127.0.0.1:7070", Options::default())?;
//! let submitted = client.submit(&request).await?;
//! if let Some(received) = submitted.job {
//!     let ended = client.wait(&received.job, Until::Ended, None).await?;
//!     assert!(ended.state.is_final());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/run_job.rs` makes a job, hands it in and says what became visible where.
//!
//! # Deadlines
//!
//! One call takes at most [`Options::timeout`] (10 s unless told otherwise), then it fails as
//! [`ClientError::TimedOut`]. [`Client::wait`] has a limit of its own, and none by default; [`Client::watch`] and
//! [`Client::logs`] are streams without one, which are opened again when they break.
//!
//! # Retries
//!
//! Every call that may be repeated without harm is repeated while the coordinator is unavailable,
//! with growing, random pauses, for as long as [`Options::patience`] says (30 s). What the coordinator
//! refuses is never repeated. A submission is repeated only because it carries a request id:
//!
//! ```
//! use votum_client::{ids::RequestId, job::JobSpec, wire::request::SubmitJob};
//!
//! // Drawn once, before the first try, and kept by whoever may have to try again after a crash.
//! let id = RequestId(uuid::Uuid::new_v4());
//! let request = SubmitJob {
//!     spec: JobSpec::named("nightly"),
//!     job: None,
//!     request: Some(id),
//!     validate_only: false,
//! };
//! assert_eq!(request.clone().request, request.request);
//! ```

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
/// Names and digests.
pub use votum_ids as ids;
/// What a job is.
pub use votum_job as job;
/// Requests and what is shown.
pub use votum_wire as wire;
pub use wait::Until;
pub use watch::Watch;
