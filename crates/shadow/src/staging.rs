//! The private folder of one attempt, from its start to its sealing.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{fs, io::Errno};
use thiserror::Error;
use votum_ids::{AttemptId, OutputName};

use crate::{
    Shadow,
    beneath::{look, make_dir, names, open_dir},
    fault::{StorageError, fault},
    layout,
    path::{Form, OutputPath},
    program::is_for_all,
    seal::{Declared, SealedOutput},
    shadow::PRIVATE_MODE,
};

impl Shadow {
    /// Makes the folder of an attempt: scratch, outputs and inputs, all empty.
    ///
    /// Doing it again is harmless as long as the attempt has nothing yet.
    ///
    /// # Errors
    /// [`StageError::NotEmpty`] when the attempt has something already.
    pub fn stage(&self, attempt: &AttemptId) -> Result<Staging, StageError> {
        let staging = Staging { shadow: self.clone(), attempt: attempt.clone() };
        let dir = self.make_attempt_dir(attempt)?;
        self.open_way(attempt)?;
        if look(&dir, layout::SEALED).map_err(fault("look at", layout::SEALED))?.is_some() {
            return Err(StageError::NotEmpty { attempt: attempt.clone() });
        }
        for name in [layout::WORK, layout::OUT, layout::INPUTS, layout::CHECKPOINT, layout::ASKS] {
            let (inner, _) = make_dir(&dir, name, INNER_MODE).map_err(fault("make", name))?;
            if !names(&inner, 1).map_err(fault("list", name))?.is_empty() {
                return Err(StageError::NotEmpty { attempt: attempt.clone() });
            }
            if let Some(user) = self.program_user
                && name != layout::INPUTS
            {
                user.own(&inner).map_err(fault("hand over", name))?;
            }
        }
        Ok(staging)
    }

    /// Finds the folder of an attempt that was staged earlier.
    ///
    /// # Errors
    /// [`StageError::Unknown`] when there is none.
    pub fn reopen(&self, attempt: &AttemptId) -> Result<Staging, StageError> {
        match self.open_attempt(attempt) {
            Ok(_) => Ok(Staging { shadow: self.clone(), attempt: attempt.clone() }),
            Err(Errno::NOENT) => Err(StageError::Unknown { attempt: attempt.clone() }),
            Err(errno) => Err(fault("open", &layout::attempt_path(attempt))(errno).into()),
        }
    }

    pub(crate) fn open_attempt(&self, attempt: &AttemptId) -> Result<OwnedFd, Errno> {
        open_dir(&self.staging().dir, &layout::attempt_path(attempt))
    }

    fn make_attempt_dir(&self, attempt: &AttemptId) -> Result<OwnedFd, StageError> {
        let job = attempt.job.as_str();
        // The last attempt of the job may be discarded, and its folder with it,
        // between the two steps.
        for _ in 0..RACES_WITH_DISCARD_MAX {
            let made = make_dir(&self.staging().dir, job, PRIVATE_MODE)
                .and_then(|(dir, _)| make_dir(dir, &layout::attempt_name(attempt), PRIVATE_MODE));
            match made {
                Ok((dir, _)) => return Ok(dir),
                Err(Errno::NOENT) => {}
                Err(errno) => {
                    return Err(fault("make", &layout::attempt_path(attempt))(errno).into());
                }
            }
        }
        Err(fault("make", &layout::attempt_path(attempt))(Errno::NOENT).into())
    }
}

/// The folder of an attempt that is not sealed.
#[derive(Debug)]
pub struct Staging {
    pub(crate) shadow: Shadow,
    pub(crate) attempt: AttemptId,
}

impl Staging {
    /// Returns the attempt it belongs to.
    #[must_use]
    pub fn attempt(&self) -> &AttemptId {
        &self.attempt
    }

    /// Returns the private scratch of the program, its working directory.
    #[must_use]
    pub fn work_dir(&self) -> PathBuf {
        self.dir().join(layout::WORK)
    }

    /// Returns where the program leaves its outputs.
    #[must_use]
    pub fn output_dir(&self) -> PathBuf {
        self.dir().join(layout::OUT)
    }

    /// Returns where the program's inputs lie, each in a folder of its name.
    #[must_use]
    pub fn inputs_dir(&self) -> PathBuf {
        self.dir().join(layout::INPUTS)
    }

    /// Returns where the program keeps the state that a later attempt can go on from.
    #[must_use]
    pub fn checkpoint_dir(&self) -> PathBuf {
        self.dir().join(layout::CHECKPOINT)
    }

    /// Returns where the program asks for a checkpoint, and is answered.
    #[must_use]
    pub fn asks_dir(&self) -> PathBuf {
        self.dir().join(layout::ASKS)
    }

    /// Returns where the program shall leave one output.
    #[must_use]
    pub fn output_path(&self, declared: &Declared) -> PathBuf {
        self.output_dir().join(declared.path.path().as_str())
    }

    /// Makes the directories that declared outputs lie in.
    ///
    /// The output itself is never made, a directory neither: that it is
    /// missing must show.
    ///
    /// # Errors
    /// [`StorageError`] when the filesystem refuses.
    pub fn make_parents(&self, declared: &[Declared]) -> Result<(), StorageError> {
        let open = || open_dir(self.shadow.open_attempt(&self.attempt)?, layout::OUT);
        let out = open().map_err(fault("open", layout::OUT))?;
        for Declared { path, .. } in declared {
            let mut dir = out.try_clone().map_err(|source| StorageError {
                doing: "open",
                path: layout::OUT.into(),
                source,
            })?;
            let parent = path.path().parent();
            for name in parent.iter().flat_map(|parent| parent.components()) {
                let failed = |doing| fault(doing, path.path().as_str());
                (dir, _) = make_dir(&dir, name, INNER_MODE).map_err(failed("make"))?;
                if let Some(user) = self.shadow.program_user {
                    user.own(&dir).map_err(failed("hand over"))?;
                }
            }
        }
        Ok(())
    }

    /// Gives the program an output of another attempt on this worker, without a copy.
    ///
    /// Returns what the program reads: a link to the sealed bytes. It works as
    /// long as they are staged. The user of the program must be able to read them
    /// ([`Staging::can_link_input`]).
    ///
    /// # Errors
    /// [`StorageError`] when the filesystem refuses.
    pub fn link_input(
        &self,
        input: &OutputName,
        producer: &AttemptId,
        output: &SealedOutput,
    ) -> Result<PathBuf, StorageError> {
        self.shadow.open_way(producer)?;
        let sealed = self.shadow.staged_path(producer, &output.path);
        let open = || open_dir(self.shadow.open_attempt(&self.attempt)?, layout::INPUTS);
        let inputs = open().map_err(fault("open", layout::INPUTS))?;
        // A file keeps its name, and with it its ending; a directory takes the input's.
        let (dir, name) = match output.path.form() {
            Form::Tree => (inputs, input.as_str()),
            Form::File => {
                let made = make_dir(&inputs, input.as_str(), INNER_MODE);
                let (dir, _) = made.map_err(fault("make", input.as_str()))?;
                (dir, output.path.path().name())
            }
        };
        let linked = match fs::symlinkat(&sealed, &dir, name) {
            Err(Errno::EXIST) => fs::readlinkat(&dir, name, Vec::new()).and_then(|there| {
                let same = there.as_bytes() == sealed.as_os_str().as_encoded_bytes();
                same.then_some(()).ok_or(Errno::EXIST)
            }),
            linked => linked,
        };
        linked.map_err(fault("link", input.as_str()))?;
        Ok(match output.path.form() {
            Form::Tree => self.inputs_dir().join(name),
            Form::File => self.inputs_dir().join(input.as_str()).join(name),
        })
    }

    /// Says whether the program could read a link to the sealed bytes.
    ///
    /// A program that runs as another user than the worker cannot, where the one
    /// that left them kept some of them from others: then it needs a copy.
    #[must_use]
    pub fn can_link_input(&self, output: &SealedOutput) -> bool {
        self.shadow.program_user.is_none() || is_for_all(&output.manifest)
    }

    fn dir(&self) -> PathBuf {
        self.shadow.attempt_dir(&self.attempt)
    }
}

impl Shadow {
    pub(crate) fn attempt_dir(&self, attempt: &AttemptId) -> PathBuf {
        self.staging_dir().join(layout::attempt_path(attempt))
    }

    pub(crate) fn staged_path(&self, attempt: &AttemptId, path: &OutputPath) -> PathBuf {
        self.attempt_dir(attempt).join(Path::new(layout::OUT)).join(path.path().as_str())
    }
}

/// Why an attempt has no folder to work in.
#[derive(Debug, Error)]
pub enum StageError {
    /// The attempt was staged earlier and has left something.
    #[error("attempt {attempt} has something staged already")]
    NotEmpty {
        /// The attempt.
        attempt: AttemptId,
    },
    /// Nothing is staged for the attempt.
    #[error("attempt {attempt} has nothing staged")]
    Unknown {
        /// The attempt.
        attempt: AttemptId,
    },
    /// The filesystem refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Of the program's own folders; they lie in one that is for the worker alone.
const INNER_MODE: u32 = 0o755;
const RACES_WITH_DISCARD_MAX: u32 = 16;
