//! Checkpoints: states of running attempts, copied aside, whole or not there (R7).
//!
//! The program goes on while its state is copied, so whatever changes under
//! the copy is noticed and nothing is sealed then. A copy has a draft's name
//! until every byte of it is durable; its number is given by one rename.

use std::{
    ffi::CString,
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{self, AtFlags, Mode, RenameFlags},
    io::Errno,
};
use thiserror::Error;
use votum_crashpoint::crash_point;
use votum_ids::{CheckpointId, Digest, JobId, TaskId};

use crate::{
    Intake, IntakeError, Staging,
    beneath::{
        Anchor, make_dir, make_dirs, names, open_dir, open_file, open_for_writing, sync_dir,
    },
    copy::copy_through,
    discard::remove_tree,
    fault::{SYNC, StorageError, fault},
    layout,
    manifest::{Content, ENTRIES_MAX, Entry, FILE_MODE_MASK, Manifest},
    path::{Form, TreePath},
    shadow::PRIVATE_MODE,
    walk::{Budget, Found, Refusal, Thing, WalkError, walk_tree},
};

/// The folder of every checkpoint on one worker; cheap to clone. Every call blocks.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    top: Arc<Anchor>,
}

/// How much of an attempt a checkpoint takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What the program keeps in its checkpoint directory.
    State,
    /// Its scratch and its outputs as well: between two steps nothing of it runs.
    Everything,
}

/// A checkpoint that is whole and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCheckpoint {
    /// Of its manifest.
    pub digest: Digest,
    /// How many files.
    pub files: u64,
    /// How many bytes they have together.
    pub bytes: u64,
}

impl Checkpoints {
    /// Opens the folder, making it if needed.
    ///
    /// # Errors
    /// [`StorageError`] when the filesystem refuses.
    pub fn open(folder: &Path) -> Result<Self, StorageError> {
        make_dirs(folder)?;
        let top = Anchor::open(folder)?;
        fs::fchmod(&top.dir, Mode::from_raw_mode(PRIVATE_MODE))
            .map_err(fault("restrict", &top.path))?;
        Ok(Self { top: Arc::new(top) })
    }

    /// Copies the state of an attempt, makes the copy durable and gives it its number.
    ///
    /// The program may be running: what changed under the copy is
    /// [`CheckpointError::Changed`], and may be tried again. An error leaves nothing.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn seal(
        &self,
        id: &CheckpointId,
        staging: &Staging,
        scope: Scope,
        bytes_max: u64,
    ) -> Result<SealedCheckpoint, CheckpointError> {
        let task = self.make_task_dir(id)?;
        let draft = Draft::make(&task, id, "seal")?;
        let manifest = draft.copy(staging, scope, bytes_max)?;
        crash_point!("shadow.checkpoint.copied");
        draft.number(self, id, &manifest)
    }

    /// Begins to take in a checkpoint that another worker holds, or goes on with it.
    ///
    /// `purpose` is a word that tells concurrent intakes of one checkpoint apart.
    ///
    /// # Errors
    /// [`IntakeError::OtherManifest`] when the manifest is not the one wanted.
    pub fn intake(
        &self,
        id: &CheckpointId,
        purpose: &str,
        manifest: &Manifest,
        digest: Digest,
    ) -> Result<Intake, IntakeError> {
        let found = manifest.digest();
        if found != digest {
            return Err(IntakeError::OtherManifest { expected: digest, found });
        }
        let task = self.make_task_dir(id)?;
        let name = draft_name(id, purpose);
        let (draft, _) = make_dir(&task, &name, PRIVATE_MODE).map_err(fault("make", &name))?;
        let path = self.top.path.join(layout::checkpoint_path(id)).with_file_name(&name);
        Intake::begin(&draft, layout::STATE, path.join(layout::STATE), manifest)
    }

    /// Makes what was taken in durable and gives it its number.
    ///
    /// # Errors
    /// [`CheckpointError::Storage`] when the filesystem refuses.
    pub fn admit(
        &self,
        id: &CheckpointId,
        purpose: &str,
        manifest: &Manifest,
    ) -> Result<SealedCheckpoint, CheckpointError> {
        let task = self.open_task(id).map_err(fault("open", layout::checkpoint_path(id)))?;
        let name = draft_name(id, purpose);
        let draft = open_dir(&task, &name).map_err(fault("open", &name))?;
        let state = open_dir(&draft, layout::STATE).map_err(fault("open", &name))?;
        for entry in manifest.entries() {
            let path = entry.path.as_str();
            if matches!(entry.content, Content::File { .. }) {
                open_file(&state, path).and_then(fs::fsync).map_err(fault(SYNC, path))?;
            }
        }
        sync_directories(&state, manifest)?;
        Draft { task: &task, name, dir: draft, wanted: false }.number(self, id, manifest)
    }

    /// Reads what a checkpoint consists of; `None` if it is not here.
    ///
    /// # Errors
    /// [`StorageError`] when it is here and cannot be read.
    pub fn manifest(&self, id: &CheckpointId) -> Result<Option<Manifest>, StorageError> {
        let shown = layout::checkpoint_path(id);
        let file = match self.open_checkpoint(id).and_then(|dir| open_file(dir, layout::MANIFEST)) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(fault("open", &shown)(errno)),
        };
        let unreadable = |source| StorageError { doing: "read", path: shown.into(), source };
        let mut text = Vec::new();
        match file.take(MANIFEST_BYTES_MAX).read_to_end(&mut text) {
            Ok(_) => serde_json::from_slice(&text).map(Some).map_err(|e| unreadable(e.into())),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Opens one file of a checkpoint; `None` if it is not here.
    ///
    /// # Errors
    /// [`StorageError`] when it is here and cannot be opened.
    pub fn open_file(
        &self,
        id: &CheckpointId,
        path: &TreePath,
    ) -> Result<Option<File>, StorageError> {
        let open = || open_file(open_dir(self.open_checkpoint(id)?, layout::STATE)?, path.as_str());
        match open() {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(fault("open", path.as_str())(errno)),
        }
    }

    /// Removes a checkpoint; nothing at all is fine.
    ///
    /// # Errors
    /// [`StorageError`] when it cannot be removed; try again.
    pub fn remove(&self, id: &CheckpointId) -> Result<(), StorageError> {
        match self.open_task(id) {
            Ok(task) => remove_tree(&task, &c_name(&layout::checkpoint_name(id))),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(fault("open", layout::checkpoint_path(id))(errno)),
        }
    }

    /// Removes every checkpoint of a job.
    ///
    /// # Errors
    /// [`StorageError`] when something cannot be removed; try again.
    pub fn remove_job(&self, job: &JobId) -> Result<(), StorageError> {
        remove_tree(&self.top.dir, &c_name(job.as_str()))
    }

    /// After a crash: removes drafts, and every checkpoint of which `is_known` says no.
    ///
    /// What is not of this crate's making is left alone.
    ///
    /// # Errors
    /// [`StorageError`] when something cannot be listed or removed.
    pub fn sweep(&self, is_known: &dyn Fn(&CheckpointId) -> bool) -> Result<(), StorageError> {
        for job in names(&self.top.dir, ENTRIES_MAX).map_err(fault("list", &self.top.path))? {
            let Some(job) = job.to_str().ok().and_then(|job| JobId::new(job).ok()) else {
                continue;
            };
            let job_dir = open_dir(&self.top.dir, job.as_str());
            let job_dir = job_dir.map_err(fault("open", job.as_str()))?;
            for task in names(&job_dir, ENTRIES_MAX).map_err(fault("list", job.as_str()))? {
                let task = task.to_str().ok().and_then(|task| TaskId::new(task).ok());
                let Some(task) = task else { continue };
                self.sweep_task(&job_dir, &job, &task, is_known)?;
                // Whatever is left in them keeps both.
                let _ = fs::unlinkat(&job_dir, task.as_str(), AtFlags::REMOVEDIR);
            }
            let _ = fs::unlinkat(&self.top.dir, job.as_str(), AtFlags::REMOVEDIR);
        }
        Ok(())
    }

    fn sweep_task(
        &self,
        job_dir: &OwnedFd,
        job: &JobId,
        task: &TaskId,
        is_known: &dyn Fn(&CheckpointId) -> bool,
    ) -> Result<(), StorageError> {
        let dir = open_dir(job_dir, task.as_str()).map_err(fault("open", task.as_str()))?;
        for name in names(&dir, ENTRIES_MAX).map_err(fault("list", task.as_str()))? {
            let Ok(text) = name.to_str() else { continue };
            let unwanted = match layout::parse_checkpoint(job, task, text) {
                Some(id) => !is_known(&id),
                None => text.ends_with(DRAFT_ENDING),
            };
            if unwanted {
                remove_tree(&dir, &name)?;
            }
        }
        Ok(())
    }

    pub(crate) fn open_checkpoint(&self, id: &CheckpointId) -> Result<OwnedFd, Errno> {
        open_dir(&self.top.dir, &layout::checkpoint_path(id))
    }

    fn open_task(&self, id: &CheckpointId) -> Result<OwnedFd, Errno> {
        open_dir(&self.top.dir, &format!("{}/{}", id.attempt.job, id.attempt.task))
    }

    fn make_task_dir(&self, id: &CheckpointId) -> Result<OwnedFd, StorageError> {
        let make = || {
            let (job, _) = make_dir(&self.top.dir, id.attempt.job.as_str(), PRIVATE_MODE)?;
            make_dir(job, id.attempt.task.as_str(), PRIVATE_MODE).map(|(task, _)| task)
        };
        make().map_err(fault("make", layout::checkpoint_path(id)))
    }

    /// Makes the names on the way to the checkpoints of a task durable.
    fn sync_way(&self, id: &CheckpointId, task: &OwnedFd) -> Result<(), StorageError> {
        let job = id.attempt.job.as_str();
        sync_dir(task)
            .and_then(|()| open_dir(&self.top.dir, job).and_then(sync_dir))
            .and_then(|()| sync_dir(&self.top.dir))
            .map_err(fault(SYNC, layout::checkpoint_path(id)))
    }
}

/// A checkpoint that has no number yet; removed when it is dropped unless it got one.
struct Draft<'a> {
    task: &'a OwnedFd,
    name: String,
    dir: OwnedFd,
    wanted: bool,
}

impl<'a> Draft<'a> {
    fn make(task: &'a OwnedFd, id: &CheckpointId, purpose: &str) -> Result<Self, StorageError> {
        let name = draft_name(id, purpose);
        remove_tree(task, &c_name(&name))?;
        let (dir, _) = make_dir(task, &name, PRIVATE_MODE).map_err(fault("make", &name))?;
        Ok(Self { task, name, dir, wanted: false })
    }

    /// Copies every part and looks once more whether anything changed meanwhile.
    fn copy(
        &self,
        staging: &Staging,
        scope: Scope,
        bytes_max: u64,
    ) -> Result<Manifest, CheckpointError> {
        let (state, _) =
            make_dir(&self.dir, layout::STATE, STATE_MODE).map_err(fault("make", layout::STATE))?;
        let folder = staging.shadow.open_attempt(&staging.attempt);
        let folder = folder.map_err(fault("open", layout::attempt_path(&staging.attempt)))?;
        let mut budget = Budget::new(Some(bytes_max));
        let mut entries = Vec::new();
        let mut seen = Vec::new();
        for &part in scope.parts() {
            let from = open_dir(&folder, part).map_err(|errno| match errno {
                Errno::NOENT | Errno::NOTDIR | Errno::LOOP => CheckpointError::NoDirectory { part },
                errno => fault("open", part)(errno).into(),
            })?;
            let found = walk_tree(&from, Path::new(part), &mut budget)
                .map_err(|error| CheckpointError::of(error, bytes_max))?;
            copy_part(&from, &state, part, &found, &mut entries)?;
            seen.push((from, part, found));
        }
        let manifest = Manifest::new(Form::Tree, entries)
            .map_err(|_| CheckpointError::TooManyEntries { limit: ENTRIES_MAX })?;
        sync_directories(&state, &manifest)?;
        for (from, part, found) in seen {
            let again = walk_tree(&from, Path::new(part), &mut Budget::new(None))
                .map_err(|error| CheckpointError::of(error, bytes_max))?;
            if again != found {
                return Err(CheckpointError::Changed);
            }
        }
        Ok(manifest)
    }

    /// Writes down what it consists of and gives it its number.
    fn number(
        mut self,
        checkpoints: &Checkpoints,
        id: &CheckpointId,
        manifest: &Manifest,
    ) -> Result<SealedCheckpoint, CheckpointError> {
        let failed =
            |doing| move |source| StorageError { doing, path: layout::MANIFEST.into(), source };
        let file = open_for_writing(self.dir.as_fd(), layout::MANIFEST)
            .map_err(fault("make", layout::MANIFEST))?;
        let mut file = File::from(file);
        let text = serde_json::to_vec(manifest).expect("a manifest has no map and no float");
        file.write_all(&text).map_err(failed("write"))?;
        file.sync_all().map_err(failed(SYNC))?;
        sync_dir(&self.dir).map_err(fault(SYNC, &self.name))?;
        crash_point!("shadow.checkpoint.written");
        let name = layout::checkpoint_name(id);
        match fs::renameat_with(
            self.task,
            self.name.as_str(),
            self.task,
            name.as_str(),
            RenameFlags::NOREPLACE,
        ) {
            Ok(()) => self.wanted = true,
            // An intake of the same checkpoint was faster: the same bytes stand there.
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(fault("name", &name)(errno).into()),
        }
        crash_point!("shadow.checkpoint.named");
        checkpoints.sync_way(id, self.task)?;
        Ok(SealedCheckpoint {
            digest: manifest.digest(),
            files: manifest.files().count() as u64,
            bytes: manifest.bytes(),
        })
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.wanted {
            // What resists is taken by the sweep of the next start.
            let _ = remove_tree(self.task, &c_name(&self.name));
        }
    }
}

impl Scope {
    fn parts(self) -> &'static [&'static str] {
        match self {
            Self::State => &[layout::CHECKPOINT],
            Self::Everything => &[layout::CHECKPOINT, layout::OUT, layout::WORK],
        }
    }
}

/// Copies what was found in one part below its name.
fn copy_part(
    from: &OwnedFd,
    state: &OwnedFd,
    part: &str,
    found: &[Found],
    entries: &mut Vec<Entry>,
) -> Result<(), CheckpointError> {
    make_dir(state, part, STATE_MODE).map_err(fault("make", part))?;
    let top = TreePath::new(part).expect("the name of a part is a path");
    entries.push(Entry::directory(top));
    let mut buffer = Vec::new();
    for Found { path, thing } in found {
        let refused = |rule| CheckpointError::Refused {
            path: PathBuf::from(part).join(path.as_str()),
            refusal: Refusal::Name { rule },
        };
        let to = TreePath::new(format!("{part}/{path}"))
            .map_err(|_| refused("its path is too long or too deep"))?;
        let parent = to.parent();
        let parent = parent.as_ref().map_or(".", |parent| parent.as_str());
        let into = open_dir(state, parent).map_err(fault("open", parent))?;
        entries.push(match thing {
            Thing::Directory => {
                make_dir(&into, to.name(), STATE_MODE).map_err(fault("make", to.as_str()))?;
                Entry::directory(to)
            }
            Thing::Link { text } => {
                fs::symlinkat(text.as_str(), &into, to.name())
                    .map_err(fault("link", to.as_str()))?;
                Entry::link(to, text.clone())
            }
            Thing::File { mode, .. } => {
                let mode = mode & FILE_MODE_MASK;
                let content = copy_file(from, path, &into, to.name(), mode, &mut buffer)?;
                Entry { path: to, mode, content }
            }
        });
    }
    Ok(())
}

fn copy_file(
    from: &OwnedFd,
    path: &TreePath,
    into: &OwnedFd,
    name: &str,
    mode: u32,
    buffer: &mut Vec<u8>,
) -> Result<Content, CheckpointError> {
    let shown = path.as_str();
    let source = open_file(from, shown).map_err(|errno| match errno {
        Errno::NOENT | Errno::LOOP | Errno::NOTDIR => CheckpointError::Changed,
        errno => fault("open", shown)(errno).into(),
    })?;
    let copy = open_copy(into, name).map_err(fault("make", shown))?;
    let failed = |doing| move |source| StorageError { doing, path: shown.into(), source };
    let (digest, size) = copy_through(&source.into(), &copy, buffer).map_err(failed("copy"))?;
    fs::fchmod(&copy, Mode::from_raw_mode(mode)).map_err(fault("restrict", shown))?;
    copy.sync_all().map_err(failed(SYNC))?;
    Ok(Content::File { size, digest })
}

/// Makes an empty file that can be written and read back.
pub(crate) fn open_copy(into: &OwnedFd, name: &str) -> Result<File, Errno> {
    let flags = fs::OFlags::RDWR
        | fs::OFlags::CREATE
        | fs::OFlags::EXCL
        | fs::OFlags::NOFOLLOW
        | fs::OFlags::CLOEXEC;
    fs::openat(into, name, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

/// Makes every name of a state durable, what lies deepest first.
fn sync_directories(state: &OwnedFd, manifest: &Manifest) -> Result<(), StorageError> {
    for entry in manifest.entries().iter().rev() {
        if matches!(entry.content, Content::Directory) {
            let path = entry.path.as_str();
            open_dir(state, path).and_then(sync_dir).map_err(fault(SYNC, path))?;
        }
    }
    sync_dir(state).map_err(fault(SYNC, layout::STATE))
}

fn draft_name(id: &CheckpointId, purpose: &str) -> String {
    format!("{}.{purpose}{DRAFT_ENDING}", layout::checkpoint_name(id))
}

fn c_name(name: &str) -> CString {
    CString::new(name).expect("a checked name has no NUL")
}

/// Why a checkpoint was not sealed; nothing of it is left.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The program changed its state while it was copied; another try may find it at rest.
    #[error("the state changed while it was copied")]
    Changed,
    /// The program removed or replaced a directory of the attempt.
    #[error("the directory {part} of the attempt was removed or replaced")]
    NoDirectory {
        /// Which.
        part: &'static str,
    },
    /// Something in the state is no plain content.
    #[error("a checkpoint cannot hold {path:?}: {refusal}")]
    Refused {
        /// What it is about, below the attempt's folder.
        path: PathBuf,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// The state has too many entries.
    #[error("the state has more than {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// The state is larger than allowed.
    #[error("the state has at least {found} bytes, more than {limit}")]
    TooLarge {
        /// Most bytes it may have.
        limit: u64,
        /// Bytes found until the limit was exceeded.
        found: u64,
    },
    /// The filesystem refused; a full disk, for one.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl CheckpointError {
    fn of(error: WalkError, limit: u64) -> Self {
        match error {
            WalkError::Refused { refusal: Refusal::Changed, .. } => Self::Changed,
            WalkError::Refused { path, refusal } => Self::Refused { path, refusal },
            WalkError::TooManyEntries => Self::TooManyEntries { limit: ENTRIES_MAX },
            WalkError::TooLarge { found } => Self::TooLarge { limit, found },
            WalkError::Storage(error) => Self::Storage(error),
        }
    }
}

/// What every draft's name ends in, and no checkpoint's.
const DRAFT_ENDING: &str = ".tmp";
/// Of the directories of a state.
const STATE_MODE: u32 = 0o755;
/// The list of the most entries, with room to spare.
const MANIFEST_BYTES_MAX: u64 = 2 << 30;
