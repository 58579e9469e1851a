//! What stands at a target, looked at and left as it is.

use rustix::io::Errno;
use votum_ids::{AttemptId, JobId};

use crate::{
    Shadow,
    beneath::look,
    layout::{Generation, parse_generation},
    publish::link_text,
    seal::SealedOutput,
    site::TargetError,
};

/// What stands at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A link to the generation in question.
    InPlace,
    /// A link to another generation.
    Replaced {
        /// Whose.
        by: JobId,
    },
    /// Something that was not published from here, or not by Votum.
    Foreign,
    /// Nothing.
    Gone,
}

impl Shadow {
    /// Returns what a reader of an output's target finds at this moment; none if it has no target.
    ///
    /// # Errors
    /// [`TargetError`] when the way to the target leads nowhere or the filesystem refuses.
    pub fn standing(
        &self,
        attempt: &AttemptId,
        output: &SealedOutput,
    ) -> Result<Option<Standing>, TargetError> {
        let Some(target) = &output.publishes else { return Ok(None) };
        let site = self.site(target.path())?;
        let dir = match site.ground() {
            Ok(Some(dir)) => dir,
            // Where its directory was, there is nothing, or something that is none.
            Ok(None) | Err(TargetError::Blocked { .. }) => return Ok(Some(Standing::Gone)),
            Err(error) => return Err(error),
        };
        let name = site.path.name();
        let read = || -> Result<Standing, Errno> {
            if look(&dir, name)?.is_none() {
                return Ok(Standing::Gone);
            }
            let text = link_text(&dir, name)?;
            let own = Generation::new(attempt, &output.name);
            Ok(match text.as_deref().and_then(parse_generation) {
                Some(generation) if generation == own => Standing::InPlace,
                Some(generation) => Standing::Replaced { by: generation.job },
                None => Standing::Foreign,
            })
        };
        read().map(Some).map_err(site.fault("look at"))
    }
}
