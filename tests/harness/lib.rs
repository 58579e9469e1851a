//! A cluster of real processes on one machine, and everything that tests ask of it.
//!
//! Nothing in here knows how a daemon works inside: it is started, killed,
//! stopped and asked over gRPC, and judged by what lies on its disk.

mod cluster;
mod daemon;
mod dice;
mod disk;
mod draft;
mod exposition;
mod journal;
mod network;
mod patience;
mod pki;
mod port;
mod processes;
mod reader;
mod trial;
mod verdict;

pub use cluster::{Cluster, Programs, Timing};
pub use daemon::{Daemon, signal_of};
pub use dice::Dice;
pub use disk::SmallDisk;
pub use draft::{JobDraft, TaskDraft};
pub use exposition::Exposition;
pub use journal::{Written, spoil, written};
pub use network::Network;
pub use patience::{Stopwatch, eventually, let_pass, within};
pub use pki::{Pki, access};
pub use port::free_port;
pub use processes::{Alive, processes_mentioning};
pub use reader::{Reader, Seen};
pub use trial::{Flavour, Trial};
pub use verdict::{Content, Visible, content_of};

use votum_ids::RequestId;
use votum_wire::Versions;

/// Draws an id for a request.
#[must_use]
pub fn request() -> RequestId {
    cluster::draw_request()
}

/// Returns the versions of the session's protocol that a daemon of the tests plays, if it plays
/// an older or a newer program than it is.
///
/// # Panics
/// If the variable does not hold two numbers.
#[must_use]
pub fn played_protocols() -> Option<Versions> {
    let played = std::env::var(PROTOCOLS_VARIABLE).ok()?;
    let (oldest, newest) = played.split_once('-').expect("two numbers");
    let number = |text: &str| text.parse().expect("a number");
    Some(Versions::new(number(oldest), number(newest)).expect("a range"))
}

/// Names the variable in which a daemon of the tests finds the versions it plays, such as `2-3`.
pub const PROTOCOLS_VARIABLE: &str = "VOTUM_TEST_PROTOCOLS";
