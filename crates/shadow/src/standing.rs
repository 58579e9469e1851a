//! What stands at a target, looked at and left as it is.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use votum_ids::{AttemptId, JobId};

use crate::{
    Shadow,
    layout::parse_generation,
    publish::link_text,
    put_back::{Ordinary, Stood},
    seal::SealedOutput,
    site::TargetError,
};

/// What stands at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// What the output in question shows: its generation, or what it has put back.
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
            Ok(None) | Err(TargetError::Blocked { .. }) => {
                let wanted = output.shows(attempt) == Stood::Nothing;
                return Ok(Some(if wanted { Standing::InPlace } else { Standing::Gone }));
            }
            Err(error) => return Err(error),
        };
        let shown = stands(&dir, site.path.name()).map_err(site.fault("look at"))?;
        let own = output.shows(attempt);
        Ok(Some(match shown {
            shown if shown == own => Standing::InPlace,
            Stood::Generation(generation) => Standing::Replaced { by: generation.job },
            Stood::Nothing => Standing::Gone,
            Stood::Ordinary(_) => Standing::Foreign,
        }))
    }
}

/// Looks at what stands somewhere.
pub(crate) fn stands(dir: &OwnedFd, name: &str) -> Result<Stood, Errno> {
    let Some(found) = Ordinary::look(dir, name)? else { return Ok(Stood::Nothing) };
    let text = link_text(dir, name)?;
    let generation = text.as_deref().and_then(parse_generation);
    Ok(generation.map_or(Stood::Ordinary(found), Stood::Generation))
}
