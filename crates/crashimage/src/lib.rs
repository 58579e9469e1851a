//! What a power cut can leave on a disk, tried at every sync of a real run.
//!
//! A program runs under `strace`, and what it asks of the filesystem becomes a list of changes,
//! syncs and promises (a [`Recording`]). From that list folders are made again as a power cut can
//! leave them (a [`Campaign`]): before every sync and every promise, with everything that was
//! synced by then and any part of what was not. The code under test opens each of them, and a judge
//! says whether every promise that had been made is kept.
//!
//! # The model of the filesystem
//!
//! It promises no more than POSIX and Linux do, as ALICE (OSDI 2014) and CrashMonkey (OSDI 2018)
//! have it. A filesystem that keeps more, such as ext4, leaves fewer of these folders.
//!
//! - `fsync` of a file makes its bytes, its length and its permission bits durable, `fdatasync` its
//!   bytes and its length. Neither makes a name durable.
//! - `fsync` of a folder makes the names in it durable: those made, removed, renamed and exchanged.
//! - A rename or an exchange is one step, over two folders as well: it is lost or kept as a whole,
//!   and the sync of either folder keeps it.
//! - Changes of one name keep their order: one that builds on another is not kept without it.
//! - Whatever else was not synced is lost or kept, each change for itself, in any combination.
//! - Of a write that was not synced, any blocks of 512 bytes are kept. The length may be kept
//!   without the bytes, which are zeros then: delayed allocation.
//! - `sync_file_range` keeps nothing.
//!
//! # The bound
//!
//! Where the changes that were not synced leave no more than [`Plan::exhaustive`] combinations, all
//! of them are tried. Where there are more, those of which people know that they hurt are tried
//! (all lost, every prefix with its last write torn, each one lost or kept alone, names without
//! bytes, bytes without names) and [`Plan::random`] others, which a seed decides, as it decides which of
//! all these are made if there are more than [`Plan::at_most`].

mod absences;
mod campaign;
mod cut;
mod dice;
mod disk;
mod recording;
mod rounds;
mod trace;

pub use absences::judge_absences;
pub use campaign::{Broken, Campaign, Found, Image, Plan, Rewrite};
pub use recording::{Recorded, Recording, Synced};
pub use rounds::rounds;

use std::path::Path;

/// Makes a folder for recordings and images: in memory, where a sync costs nothing, if the machine
/// has such a place.
///
/// # Panics
/// If no folder can be made.
#[must_use]
pub fn scratch() -> tempfile::TempDir {
    let named = |folder: &Path| tempfile::Builder::new().prefix("votum-images-").tempdir_in(folder);
    let in_memory = named(Path::new("/dev/shm"));
    in_memory.or_else(|_| named(&std::env::temp_dir())).expect("a folder can be made")
}
