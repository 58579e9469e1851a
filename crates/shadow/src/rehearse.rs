//! The check before a vote, tried long before it: everything that is in the way, not the first.

use rustix::fs;
use votum_ids::Digest;

use crate::{
    Shadow,
    check::{CheckError, Pledge, check_apart},
    seal::Sealed,
    site::{Survey, TargetError},
    target::Target,
    verify::Depth,
};

/// One part of what a worker would be asked to publish.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// It is sealed here.
    Sealed(&'a Pledge),
    /// Its task has not made it yet; only its target is known.
    Planned(&'a Target),
}

/// What a rehearsal came to; parts are named by their place in the list.
#[derive(Debug, Default)]
pub struct Rehearsal {
    /// What is in the way of which part; of no single one: they are in each other's.
    pub obstacles: Vec<(Option<usize>, CheckError)>,
    /// What stands at the target of which part, recognised by its identity; none: nothing does.
    pub bases: Vec<(usize, Option<Digest>)>,
}

impl Shadow {
    /// Runs the checks of [`Shadow::check`] for every part and promises nothing; changes nothing.
    ///
    /// What stands at a target is told by the directory entry alone: a link by where it leads,
    /// anything else by its inode, size and last change. What changes deep inside of a directory
    /// that was not published by Votum is not seen.
    #[must_use]
    pub fn rehearse(&self, held: &[Sealed], parts: &[Part<'_>], depth: Depth) -> Rehearsal {
        let mut rehearsal = Rehearsal::default();
        let mut places = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let (checked, target) = match *part {
                Part::Sealed(pledge) => {
                    (self.check_pledge(held, pledge, depth), pledge.target.as_ref())
                }
                Part::Planned(target) => {
                    (self.place(target, None).map(Some).map_err(CheckError::from), Some(target))
                }
            };
            match checked {
                Ok(place) => places.extend(place),
                Err(error) => rehearsal.obstacles.push((Some(at), error)),
            }
            if let Some(Ok(base)) = target.map(|target| self.base(target)) {
                rehearsal.bases.push((at, base));
            }
        }
        if let Err(error) = check_apart(places) {
            rehearsal.obstacles.push((None, error.into()));
        }
        rehearsal
    }

    fn base(&self, target: &Target) -> Result<Option<Digest>, TargetError> {
        let site = self.site(target.path())?;
        let Survey { standing, .. } = site.survey()?;
        let Some((dir, stat)) = standing else { return Ok(None) };
        let link = fs::readlinkat(&dir, site.path.name(), Vec::new()).ok();
        let link = link.as_ref().map(|text| text.to_bytes());
        let mut identity = blake3::Hasher::new();
        let (changed, nanos) = (stat.st_mtime.to_string(), stat.st_mtime_nsec.to_string());
        for number in [stat.st_mode.to_string(), stat.st_ino.to_string(), stat.st_size.to_string()]
        {
            identity.update(number.as_bytes()).update(b"/");
        }
        identity.update(changed.as_bytes()).update(b".").update(nanos.as_bytes()).update(b"/");
        identity.update(link.unwrap_or_default());
        Ok(Some(Digest(*identity.finalize().as_bytes())))
    }
}
