//! The check before a vote: what was pledged is held, unchanged, and could be published.

use std::{os::fd::OwnedFd, path::PathBuf};

use rustix::{fs, io::Errno};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use votum_ids::{AttemptId, Digest, OutputName};

use crate::{
    Shadow,
    beneath::open_dir,
    fault::{StorageError, fault},
    layout::{self, Generation, leads_to_generation},
    path::TargetPath,
    put_back::PutBackError,
    seal::{Sealed, SealedOutput},
    site::{Survey, TargetError, Way},
    target::{Existing, Target},
    verify::{Depth, Mismatch, Modes, verify},
};

/// One output that a round of votes names for this worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pledge {
    /// The attempt that left it.
    pub attempt: AttemptId,
    /// Its name within the task.
    pub output: OutputName,
    /// The digest that the coordinator recorded.
    pub digest: Digest,
    /// Where this worker would make it visible, if it would.
    pub target: Option<Target>,
}

impl Shadow {
    /// Checks everything that a round names for this worker; changes nothing.
    ///
    /// `held` is what was sealed here. All pledges of a job belong into one
    /// call, since their targets must not overlap.
    ///
    /// # Errors
    /// [`CheckError`]; its first two variants say that this worker does not
    /// hold what was pledged, the others that what it holds must not be
    /// published.
    pub fn check(
        &self,
        held: &[Sealed],
        pledges: &[Pledge],
        depth: Depth,
    ) -> Result<(), CheckError> {
        let mut places = Vec::new();
        for pledge in pledges {
            places.extend(self.check_pledge(held, pledge, depth)?);
        }
        Ok(check_apart(places)?)
    }

    /// Checks one of them; returns where it would be published, if it would.
    pub(crate) fn check_pledge<'a>(
        &self,
        held: &[Sealed],
        pledge: &'a Pledge,
        depth: Depth,
    ) -> Result<Option<Place<'a>>, CheckError> {
        let output = held
            .iter()
            .find(|sealed| sealed.attempt == pledge.attempt)
            .and_then(|sealed| sealed.output(&pledge.output))
            .ok_or_else(|| CheckError::NotHeld {
                attempt: pledge.attempt.clone(),
                output: pledge.output.clone(),
            })?;
        match &output.put_back {
            None => self.check_content(pledge, output, depth)?,
            Some(put_back) => {
                check_digest(pledge, output)?;
                self.check_put_back(output, put_back)?;
            }
        }
        let target = pledge.target.as_ref();
        Ok(target.map(|target| self.check_target(pledge, output, target)).transpose()?)
    }

    fn check_content(
        &self,
        pledge: &Pledge,
        output: &SealedOutput,
        depth: Depth,
    ) -> Result<(), CheckError> {
        let Pledge { attempt, output: name, .. } = pledge;
        check_digest(pledge, output)?;
        let gone = || CheckError::NotHeld { attempt: attempt.clone(), output: name.clone() };
        let path = output.path.path();
        let parent = match self.open_staged_parent(attempt, output) {
            Ok(parent) => parent,
            Err(Errno::NOENT) => return Err(gone()),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let path = path.as_str().into();
                return Err(CheckError::Changed { output: name.clone(), path });
            }
            Err(errno) => return Err(fault("open", path.as_str())(errno).into()),
        };
        verify(&parent, path.name(), output, depth, Modes::AsSealed).map_err(|mismatch| {
            match mismatch {
                Mismatch::Gone => gone(),
                Mismatch::Changed { path } => CheckError::Changed { output: name.clone(), path },
                Mismatch::Storage(error) => error.into(),
            }
        })
    }

    fn check_target<'a>(
        &self,
        pledge: &Pledge,
        output: &SealedOutput,
        target: &'a Target,
    ) -> Result<Place<'a>, TargetError> {
        if target.form() != output.path.form() {
            let (target, output) = (target.path().clone(), pledge.output.clone());
            return Err(TargetError::Form { target, output });
        }
        self.place(target, Some(pledge))
    }

    /// Finds where a target lies, if it could be made to appear there.
    ///
    /// `own` is what would be published; it may stand there already.
    pub(crate) fn place<'a>(
        &self,
        target: &'a Target,
        own: Option<&Pledge>,
    ) -> Result<Place<'a>, TargetError> {
        let path = target.path();
        let site = self.site(path)?;
        let Survey { real_path, depth, way, standing } = site.survey()?;
        let mut replaces_link = None;
        if let Some((dir, _)) = standing {
            let text = fs::readlinkat(&dir, site.path.name(), Vec::new()).ok();
            let ours = own.map(|own| Generation::new(&own.attempt, &own.output).link_text(depth));
            let is_ours = match (&text, &ours) {
                (Some(text), Some(ours)) => text.as_bytes() == ours.as_bytes(),
                (None, _) | (_, None) => false,
            };
            if target.existing() == Existing::Fail && !is_ours {
                return Err(TargetError::Occupied { target: path.clone() });
            }
            replaces_link = text.filter(|text| !leads_to_generation(text.as_bytes()));
        }
        let role = match (way, replaces_link) {
            (Way::Straight, None) => Role::Plain,
            (Way::ThroughLinks, None) => Role::BehindLinks,
            (Way::Straight | Way::ThroughLinks, Some(_)) => Role::ReplacesLink,
        };
        Ok(Place { real_path, target: path, role })
    }

    pub(crate) fn open_staged_parent(
        &self,
        attempt: &AttemptId,
        output: &SealedOutput,
    ) -> Result<OwnedFd, Errno> {
        let out = open_dir(self.open_attempt(attempt)?, layout::OUT)?;
        match output.path.path().parent() {
            None => Ok(out),
            Some(parent) => open_dir(out, parent.as_str()),
        }
    }
}

fn check_digest(pledge: &Pledge, output: &SealedOutput) -> Result<(), CheckError> {
    let (held, pledged) = (output.manifest.digest(), pledge.digest);
    if held == pledged {
        return Ok(());
    }
    Err(CheckError::OtherDigest { output: pledge.output.clone(), held, pledged })
}

/// Where a target really lies, and what that means for the others of the job.
pub(crate) struct Place<'a> {
    real_path: PathBuf,
    target: &'a TargetPath,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Plain,
    BehindLinks,
    ReplacesLink,
}

/// Checks that no target is in the way of another.
pub(crate) fn check_apart(mut places: Vec<Place<'_>>) -> Result<(), TargetError> {
    let overlap = |first: &Place<'_>, second: &Place<'_>| {
        let (first, second) = (first.target.clone(), second.target.clone());
        Err(TargetError::Overlap { first, second })
    };
    // Sorted by component, whatever lies in a place follows it at once.
    places.sort_by(|a, b| a.real_path.cmp(&b.real_path));
    for pair in places.windows(2) {
        if let [outer, inner] = pair
            && inner.real_path.starts_with(&outer.real_path)
        {
            return overlap(outer, inner);
        }
    }
    // A link that one target replaces may be the way to another, which would
    // then lead into the first: together they are refused without asking more.
    let find = |role| places.iter().find(|place| place.role == role);
    match (find(Role::ReplacesLink), find(Role::BehindLinks)) {
        (Some(first), Some(second)) => overlap(first, second),
        (None, _) | (_, None) => Ok(()),
    }
}

/// Why a worker cannot vote for publishing.
#[derive(Debug, Error)]
pub enum CheckError {
    /// Nothing of that name was sealed here, or it is gone.
    #[error("the output {output} of attempt {attempt} is not held")]
    NotHeld {
        /// The attempt.
        attempt: AttemptId,
        /// The output.
        output: OutputName,
    },
    /// Something else was sealed here than was pledged.
    #[error("the output {output} held is {held}, not {pledged}")]
    OtherDigest {
        /// The output.
        output: OutputName,
        /// What this worker has.
        held: Digest,
        /// What the coordinator recorded.
        pledged: Digest,
    },
    /// The bytes are not those that were sealed.
    #[error("the output {output} has changed at {path:?} since it was sealed")]
    Changed {
        /// The output.
        output: OutputName,
        /// Where, below the output directory.
        path: PathBuf,
    },
    /// It could not be published where it should be.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// What stood at the target before cannot be put back.
    #[error(transparent)]
    PutBack(#[from] PutBackError),
    /// The filesystem refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
