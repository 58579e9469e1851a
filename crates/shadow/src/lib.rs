//! Staged files, invisible until published.
//!
//! A program writes below a private staging directory. What it leaves is
//! *sealed* once: read-only, hashed, durable. After the decision it is
//! *published* or *discarded*. The types follow the order: a [`Staging`] is
//! consumed by [`Staging::seal`], and only a [`SealedOutput`] can be given to
//! [`Shadow::publish`].
//!
//! ```text
//! <staging>/<job>/<task>.<epoch>.<counter>/work     scratch         gone when sealed
//!                                         /inputs   what it reads   gone when sealed
//!                                         /checkpoint, asks         gone when sealed
//!                                         /out      what it leaves  the declared stays
//!                                         /sealed.json              written last
//! <checkpoints>/<job>/<task>/<epoch>.<counter>.<n>  a checkpoint: whole, or not there
//! <root>/.votum/gen/<job>/<task>.<output>           a generation: immutable
//! <root>/.votum/gen/<job>/<task>.<output>.before    what stood at the target before
//! <root>/.votum/targets/<digest>/<n>                links to the generations of one target
//! <root>/<target>                                   a link to its generation
//! ```
//!
//! # The promise
//!
//! - Nothing undecided lies below a publish root, and the staging directory is
//!   for the worker alone (mode 0700).
//! - When `seal` has returned, a power cut loses no declared byte.
//! - What is published is what was sealed: the same inodes, renamed. No byte
//!   is copied, and publishing needs no space beyond a name and a link.
//! - A reader of a target finds the earlier content or the later one, at every
//!   instant; a directory that it has opened stays as it is.
//! - Whatever stood at a target is kept. Nothing below a root is ever removed,
//!   except links of this crate's own making, what is taken back in favour of
//!   another publisher, and earlier generations that their target does not keep
//!   ([`Shadow::retire_job`]).
//! - Whatever an untrusted program leaves, nothing outside its own folder is
//!   read or changed on its account: links, pipes, devices, hard links and the
//!   like are refused by name, and every path is resolved below a descriptor.
//! - Every operation may be repeated, after a crash at any of its steps.
//!
//! # Who may read
//!
//! `.votum`, its generations and their directories have mode 0755: who may
//! enter the root may read what was published there. Files keep the mode that
//! the program gave them, less the write bits, unless the target names a mode.
//!
//! # Programs of another user
//!
//! Where the worker is root, programs can run as somebody else
//! ([`Shadow::for_programs_of`]): `work`, `out`, `checkpoint` and `asks` belong to
//! that user then, and the directories above have mode 0711, those of attempts 0710
//! with the user's group. Sealing makes the worker the owner of every output and of
//! the directories it lies in. All programs of a worker are one user, which can
//! read what it can name: attempts are not hidden from each other.
//!
//! # What is assumed of the filesystem
//!
//! Staging directory and roots lie on one Linux filesystem with `renameat2`
//! (ext4, XFS, btrfs; tried at [`Shadow::open`]) and below one mount of it. A
//! rename is one transaction: after a power cut all of it happened or nothing.
//! `fsync` of a directory makes the names in it durable. The kernel is 5.8 or
//! later (`openat2`, `faccessat2`), and `/proc` is mounted. The change time of
//! an inode moves with every write.

mod beneath;
mod check;
mod checkpoint;
mod content;
mod copy;
mod discard;
mod fault;
mod harden;
mod intake;
mod layout;
mod manifest;
mod path;
mod program;
mod publish;
mod published;
mod put_back;
mod read;
mod rehearse;
mod restore;
mod retire;
mod seal;
mod shadow;
mod site;
mod staging;
mod standing;
mod sweep;
mod syncs;
mod target;
mod verify;
mod walk;
mod withdraw;

pub use check::{CheckError, Pledge};
pub use checkpoint::{CheckpointError, Checkpoints, Scope, SealedCheckpoint};
pub use discard::DiscardError;
pub use fault::StorageError;
pub use intake::{Intake, IntakeError};
pub use layout::Generation;
pub use manifest::{Content, ENTRIES_MAX, Entry, InvalidManifest, Manifest, ManifestFile};
pub use path::{DEPTH_MAX, Form, InvalidPath, OutputPath, PATH_BYTES_MAX, TargetPath, TreePath};
pub use program::ProgramUser;
pub use publish::{PublishError, Published};
pub use put_back::{Ordinary, PutBack, PutBackError, Stood};
pub use read::ReadError;
pub use rehearse::{Part, Rehearsal};
pub use restore::RestoreError;
pub use seal::{Declared, Presence, SealError, Sealed, SealedOutput};
pub use shadow::{OpenError, Shadow};
pub use site::TargetError;
pub use staging::{StageError, Staging};
pub use standing::Standing;
pub use sweep::{Swept, Verdict};
pub use target::{Existing, FileMode, InvalidMode, Target};
pub use verify::Depth;
pub use walk::{FileIdentity, Refusal};
