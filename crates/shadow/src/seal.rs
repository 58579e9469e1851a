//! Sealing: what an attempt left becomes a fixed, durable content with a name.
//!
//! After [`Staging::seal`] returned, the outputs are read-only, hashed and on
//! the disk, directories included, and what they consist of is written beside
//! them. Scratch, inputs and whatever was not declared are gone. A crash at any
//! moment before loses nothing: sealing again gives the same digests.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{fs, io::Errno};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use votum_crashpoint::crash_point;
use votum_ids::{AttemptId, Digest, OutputName};

use crate::{
    Shadow, Staging,
    beneath::{look, open_dir, open_file, open_for_writing},
    discard::{prune, remove_tree},
    fault::{StorageError, fault},
    harden::{harden_directories, harden_directory, harden_files},
    layout,
    manifest::{Content, Entry, Manifest},
    path::{Form, OutputPath, Relation, TreePath},
    put_back::{PutBack, PutBackError},
    syncs::Syncs,
    target::Target,
    walk::{Budget, FileIdentity, Found, Refusal, Thing, WalkError, walk_file, walk_tree},
};

/// An output as the job declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// Its name within the task.
    pub name: OutputName,
    /// Where the attempt leaves it.
    pub path: OutputPath,
    /// Whether the attempt may leave it out.
    pub presence: Presence,
    /// Where it becomes visible, if it does.
    pub publishes: Option<Target>,
    /// Most bytes of its files together.
    pub max_bytes: Option<u64>,
}

/// Whether an output may be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Without it the attempt has failed.
    #[default]
    Required,
    /// It is sealed if it is there.
    Optional,
}

/// What an attempt left: fixed, durable and invisible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Of which attempt.
    pub attempt: AttemptId,
    /// In the order of their declaration.
    pub outputs: Vec<SealedOutput>,
}

impl Sealed {
    /// Returns an output by its name.
    #[must_use]
    pub fn output(&self, name: &OutputName) -> Option<&SealedOutput> {
        self.outputs.iter().find(|output| output.name == *name)
    }
}

/// One sealed output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedOutput {
    /// Its name within the task.
    pub name: OutputName,
    /// Where it lies below the output directory.
    pub path: OutputPath,
    /// Where it becomes visible, if it does.
    pub publishes: Option<Target>,
    /// What it consists of.
    pub manifest: Manifest,
    /// The manifest's digest: what votes and decisions name.
    pub digest: Digest,
    /// How many files it has.
    pub files: u64,
    /// How many bytes they have together.
    pub bytes: u64,
    /// The inode of the file, or of the directory of a tree.
    pub inode: u64,
    /// Of each file of the manifest, in its order.
    pub identities: Vec<FileIdentity>,
    /// Nothing was made: what stood at the target before is put back, which the manifest describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_back: Option<PutBack>,
}

impl Staging {
    /// Fixes the declared outputs and forgets everything else of the attempt.
    ///
    /// The program must be gone. Everything is looked at before anything is
    /// changed, so a refusal leaves the folder as it was.
    ///
    /// # Errors
    /// [`SealError`] with the output and the path that cannot be sealed.
    pub fn seal(self, declared: &[Declared]) -> Result<Sealed, SealError> {
        check_apart(declared)?;
        let (folder, out) = self.folders()?;

        let mut budget = Budget::new(None);
        let mut collected = Vec::new();
        for declared in declared {
            budget.next_output(declared.max_bytes);
            collected.extend(collect(&out, declared, &mut budget)?);
        }
        let mut syncs = Syncs::default();
        let outputs = collected
            .into_iter()
            .map(|collected| fix(collected, &mut syncs))
            .collect::<Result<Vec<_>, _>>()?;
        close_parents(&out, &outputs, &mut syncs)?;
        self.conclude(&folder, &out, outputs, syncs)
    }

    /// Writes down durably what was sealed, and forgets everything else of the attempt.
    pub(crate) fn conclude(
        &self,
        folder: &OwnedFd,
        out: &OwnedFd,
        outputs: Vec<SealedOutput>,
        mut syncs: Syncs,
    ) -> Result<Sealed, SealError> {
        let sealed = Sealed { attempt: self.attempt.clone(), outputs };
        write_aside(folder, &sealed, &mut syncs)?;
        syncs.finish()?;
        crash_point!("shadow.seal.after_sync");

        // The list has its name only when all it lists is durable, and so is it itself.
        fs::renameat(folder, layout::SEALED_DRAFT, folder, layout::SEALED)
            .map_err(fault("name", layout::SEALED))?;
        self.sync_way()?;
        crash_point!("shadow.seal.after_manifest");

        let kept: Vec<_> = sealed.outputs.iter().map(|output| output.path.path()).collect();
        // What cannot be removed here goes with the whole attempt, or is
        // reported then; the outputs are sealed all the same.
        let _ = remove_tree(folder, c"work");
        let _ = remove_tree(folder, c"inputs");
        let _ = remove_tree(folder, c"checkpoint");
        let _ = remove_tree(folder, c"asks");
        let _ = prune(out, None, &kept);
        crash_point!("shadow.seal.after_prune");
        Ok(sealed)
    }

    /// Opens the folder of the attempt, and that of its outputs.
    pub(crate) fn folders(&self) -> Result<(OwnedFd, OwnedFd), SealError> {
        let folder = self
            .shadow
            .open_attempt(&self.attempt)
            .map_err(fault("open", &layout::attempt_path(&self.attempt)))?;
        let out = open_dir(&folder, layout::OUT).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS => SealError::NoDirectory,
            errno => fault("open", layout::OUT)(errno).into(),
        })?;
        Ok((folder, out))
    }

    /// Makes the names on the way to what the attempt left durable.
    fn sync_way(&self) -> Result<(), StorageError> {
        let (staging, job) = (&self.shadow.staging().dir, self.attempt.job.as_str());
        let mut syncs = Syncs::default();
        for path in [&*layout::attempt_path(&self.attempt), job, "."] {
            syncs.add(open_dir(staging, path).map_err(fault("open", path))?, path)?;
        }
        syncs.finish()
    }
}

impl Shadow {
    /// Reads back what was sealed for an attempt; `None` if its sealing never ended.
    ///
    /// A program of the worker's own user could have written this file itself:
    /// compare the digests with what the journal has.
    ///
    /// # Errors
    /// [`StorageError`] when it is there and cannot be read.
    pub fn sealed(&self, attempt: &AttemptId) -> Result<Option<Sealed>, StorageError> {
        let shown = format!("{}/{}", layout::attempt_path(attempt), layout::SEALED);
        let open = || open_file(self.open_attempt(attempt)?, layout::SEALED);
        let file = match open() {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(fault("open", &shown)(errno)),
        };
        let unreadable = |source| StorageError { doing: "read", path: shown.into(), source };
        let mut text = Vec::new();
        match file.take(SEALED_BYTES_MAX).read_to_end(&mut text) {
            Ok(_) => serde_json::from_slice(&text).map(Some).map_err(|e| unreadable(e.into())),
            Err(error) => Err(unreadable(error)),
        }
    }
}

/// Why an attempt's outputs cannot be sealed.
#[derive(Debug, Error)]
pub enum SealError {
    /// Two declared outputs are one, or lie in one another.
    #[error("the outputs {first} and {second} overlap")]
    Overlap {
        /// One of them.
        first: OutputName,
        /// The other.
        second: OutputName,
    },
    /// A directory is to be published as a file, or a file as a directory.
    #[error("the output {output} is not what its target publishes")]
    TargetForm {
        /// The output.
        output: OutputName,
    },
    /// A required output is not there.
    #[error("the required output {output} is missing at {path:?}")]
    Missing {
        /// The output.
        output: OutputName,
        /// Where it was expected.
        path: OutputPath,
    },
    /// The program removed or replaced the output directory itself.
    #[error("the output directory was removed or replaced")]
    NoDirectory,
    /// Something in an output is no plain content.
    #[error("the output {output} cannot hold {path:?}: {refusal}")]
    Refused {
        /// The output.
        output: OutputName,
        /// What it is about, below the output directory.
        path: PathBuf,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// The outputs of the attempt have too many entries together.
    #[error("with the output {output} there are more than {limit} entries")]
    TooManyEntries {
        /// The output that exceeded it.
        output: OutputName,
        /// The limit.
        limit: usize,
    },
    /// The output is larger than declared.
    #[error("the output {output} has at least {found} bytes, more than {limit}")]
    TooLarge {
        /// The output.
        output: OutputName,
        /// Most bytes it may have.
        limit: u64,
        /// Bytes found until the limit was exceeded.
        found: u64,
    },
    /// What stood at the target before cannot be put back.
    #[error(transparent)]
    PutBack(#[from] PutBackError),
    /// The filesystem refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl SealError {
    fn of(declared: &Declared, error: WalkError) -> Self {
        let output = declared.name.clone();
        match error {
            WalkError::Refused { path, refusal } => Self::Refused { output, path, refusal },
            WalkError::TooManyEntries => {
                Self::TooManyEntries { output, limit: crate::manifest::ENTRIES_MAX }
            }
            WalkError::TooLarge { found } => {
                Self::TooLarge { output, limit: declared.max_bytes.unwrap_or(u64::MAX), found }
            }
            WalkError::Storage(error) => Self::Storage(error),
        }
    }
}

/// An output that was looked at and not changed.
struct Collected<'a> {
    declared: &'a Declared,
    /// What the found paths are relative to.
    base: OwnedFd,
    inode: u64,
    found: Vec<Found>,
}

fn check_apart(declared: &[Declared]) -> Result<(), SealError> {
    for (i, first) in declared.iter().enumerate() {
        if first.publishes.as_ref().is_some_and(|target| target.form() != first.path.form()) {
            return Err(SealError::TargetForm { output: first.name.clone() });
        }
        for second in &declared[i + 1..] {
            let relation = first.path.path().relation(second.path.path());
            if relation != Relation::Apart || first.name == second.name {
                let (first, second) = (first.name.clone(), second.name.clone());
                return Err(SealError::Overlap { first, second });
            }
        }
    }
    Ok(())
}

/// Looks at everything of one output; `None` if it is rightly left out.
fn collect<'a>(
    out: &OwnedFd,
    declared: &'a Declared,
    budget: &mut Budget,
) -> Result<Option<Collected<'a>>, SealError> {
    let path = declared.path.path();
    let shown = Path::new(path.as_str());
    let missing = || match declared.presence {
        Presence::Optional => Ok(None),
        Presence::Required => {
            Err(SealError::Missing { output: declared.name.clone(), path: declared.path.clone() })
        }
    };
    let refused =
        |refusal| SealError::of(declared, WalkError::Refused { path: shown.to_owned(), refusal });
    let unopened = |errno| match errno {
        Errno::LOOP => refused(Refusal::Link),
        Errno::NOTDIR => refused(Refusal::WrongForm),
        Errno::ACCESS => refused(Refusal::Unreadable),
        errno => fault("open", shown)(errno).into(),
    };
    let parent = path.parent();
    let parent = match open_dir(out, parent.as_ref().map_or(".", |parent| parent.as_str())) {
        Ok(parent) => parent,
        Err(Errno::NOENT) => return missing(),
        Err(errno) => return Err(unopened(errno)),
    };
    let Some(stat) = look(&parent, path.name()).map_err(fault("look at", shown))? else {
        return missing();
    };
    let (base, found) = match declared.path.form() {
        Form::File => {
            let name = TreePath::child(None, path.name())
                .expect("a component of a checked path is a checked path");
            let found = walk_file(&parent, &name, shown, budget);
            (parent, found)
        }
        Form::Tree => {
            let tree = open_dir(&parent, path.name()).map_err(unopened)?;
            let found = walk_tree(&tree, shown, budget);
            (tree, found)
        }
    };
    let found = found.map_err(|error| SealError::of(declared, error))?;
    #[expect(clippy::unnecessary_cast, reason = "the field's type differs by architecture")]
    let inode = stat.st_ino as u64;
    Ok(Some(Collected { declared, base, inode, found }))
}

/// Makes one output read-only and hashed; it is durable when `syncs` has finished.
fn fix(collected: Collected<'_>, syncs: &mut Syncs) -> Result<SealedOutput, SealError> {
    let Collected { declared, base, inode, found } = collected;
    let shown = Path::new(declared.path.path().as_str());
    let shown = match declared.path.form() {
        Form::File => shown.parent().unwrap_or(Path::new("")),
        Form::Tree => shown,
    };
    let mut fixed = harden_files(&base, shown, &found, syncs)
        .map_err(|error| SealError::of(declared, error))?
        .into_iter();
    let directories = found.iter().filter(|found| matches!(found.thing, Thing::Directory));
    let directories = directories.map(|found| &found.path);
    harden_directories(&base, declared.path.form(), directories, syncs)?;

    let mut entries: Vec<(Entry, Option<FileIdentity>)> = found
        .into_iter()
        .map(|Found { path, thing }| match thing {
            Thing::Directory => (Entry::directory(path), None),
            Thing::Link { text } => (Entry::link(path, text), None),
            Thing::File { .. } => {
                let file = fixed.next().expect("every file found was hardened, in order");
                let content = Content::File { size: file.identity.size, digest: file.digest };
                (Entry { path, mode: file.mode, content }, Some(file.identity))
            }
        })
        .collect();
    entries.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
    let identities: Vec<_> = entries.iter().filter_map(|(_, identity)| identity.clone()).collect();
    let entries = entries.into_iter().map(|(entry, _)| entry).collect();
    let manifest = Manifest::new(declared.path.form(), entries)
        .expect("the walk refuses whatever a manifest refuses");
    Ok(SealedOutput {
        name: declared.name.clone(),
        path: declared.path.clone(),
        publishes: declared.publishes.clone(),
        digest: manifest.digest(),
        files: identities.len() as u64,
        bytes: manifest.bytes(),
        manifest,
        inode,
        identities,
        put_back: None,
    })
}

/// Makes the way from the outputs up to the output directory the worker's own; it is durable
/// when `syncs` has finished.
fn close_parents(
    out: &OwnedFd,
    outputs: &[SealedOutput],
    syncs: &mut Syncs,
) -> Result<(), StorageError> {
    let mut parents = BTreeSet::new();
    for output in outputs {
        let mut path = output.path.path().parent();
        while let Some(parent) = path {
            path = parent.parent();
            parents.insert(parent);
        }
    }
    for parent in &parents {
        let dir = open_dir(out, parent.as_str()).map_err(fault("open", parent.as_str()))?;
        harden_directory(dir, parent.as_str(), syncs)?;
    }
    let dir = open_dir(out, ".").map_err(fault("open", layout::OUT))?;
    harden_directory(dir, layout::OUT, syncs)
}

/// Writes beside the outputs what they consist of, under a name that means nothing yet.
fn write_aside(folder: &OwnedFd, sealed: &Sealed, syncs: &mut Syncs) -> Result<(), StorageError> {
    // The program could write here too: whatever it put there is in the way.
    for name in [c"sealed.json", c"sealed.json.new"] {
        remove_tree(folder, name)?;
    }
    let draft = layout::SEALED_DRAFT;
    let file = open_for_writing(folder.as_fd(), draft).map_err(fault("make", draft))?;
    let mut file = File::from(file);
    let text = serde_json::to_vec(sealed).expect("a sealed attempt has no map and no float");
    let failed = |source| StorageError { doing: "write", path: draft.into(), source };
    file.write_all(&text).map_err(failed)?;
    syncs.add(file, draft)
}

/// The list of the most entries, with room to spare.
pub(crate) const SEALED_BYTES_MAX: u64 = 4 << 30;
