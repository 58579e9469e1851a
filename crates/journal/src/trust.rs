//! Whether the index on the disk may be believed.
//!
//! The index is not synced with every group, and its engine does not promise to
//! come back as a whole from a power cut. A mark beside it says who wrote it
//! last: a process that closed it, or one of a certain boot and mount. A process
//! that was killed leaves its writes to the kernel, so the same boot and mount
//! may go on; anything else is a doubt, and a doubt means a rebuild.

use std::{fs, io, path::Path};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::{Lsn, folder, index::IndexError};

/// Why the index was rebuilt from the log.
#[derive(Debug)]
pub enum Doubt {
    /// There was none.
    Missing,
    /// The machine, or the mount, ended without the index being closed.
    Interrupted,
    /// A process found it wrong while it ran.
    Distrusted,
    /// Its engine could not open it.
    Unusable(IndexError),
    /// It belongs to another cluster.
    OtherCluster,
    /// It has no mark of how far it goes, or one of another format.
    OtherFormat,
    /// It goes further than the log: durable records were lost, or older files were put back.
    Ahead {
        /// Up to here it was applied.
        applied: Lsn,
        /// Here the log ends.
        last: Lsn,
    },
    /// It ends before the oldest segment begins.
    Behind {
        /// Up to here it was applied.
        applied: Lsn,
        /// Here the log begins.
        oldest: Lsn,
    },
}

/// Says whether the process that wrote the index last leaves it in doubt.
pub(crate) fn doubt(journal: &Path) -> io::Result<Option<Doubt>> {
    let mark = match fs::read_to_string(journal.join(NAME)) {
        Ok(mark) => mark,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Doubt::Missing)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(error) => return Err(error),
    };
    Ok(match mark.as_str() {
        CLOSED => None,
        DISTRUSTED => Some(Doubt::Distrusted),
        written if of_this_boot(journal).is_some_and(|mark| mark == written) => None,
        _other => Some(Doubt::Interrupted),
    })
}

/// Marks the index as being written by this boot, before it is.
pub(crate) fn begin(journal: &Path) -> io::Result<()> {
    let mark = of_this_boot(journal).unwrap_or_default();
    folder::replace(journal, NAME, mark.as_bytes())
}

/// Marks the index as closed: every byte of it is durable and nobody writes it.
pub(crate) fn close(journal: &Path) -> io::Result<()> {
    folder::replace(journal, NAME, CLOSED.as_bytes())
}

/// Marks the index as wrong, so that the next start rebuilds it.
pub(crate) fn withdraw(journal: &Path) -> io::Result<()> {
    folder::replace(journal, NAME, DISTRUSTED.as_bytes())
}

/// Names the boot and the mount; none where the kernel does not say which boot it is.
fn of_this_boot(journal: &Path) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let unique = StatxFlags::from_bits_retain(STATX_MNT_ID_UNIQUE);
    let mount = match statx(CWD, journal, AtFlags::empty(), unique) {
        Ok(found) if found.stx_mask & STATX_MNT_ID_UNIQUE != 0 => found.stx_mnt_id,
        // Before Linux 6.8 a mount has no number of its own, and the boot alone decides.
        Ok(_) | Err(_) => 0,
    };
    Some(format!("{WRITTEN}{} mount {mount}\n", boot.trim()))
}

const NAME: &str = "index.trust";
const CLOSED: &str = "closed\n";
const DISTRUSTED: &str = "distrusted\n";
const WRITTEN: &str = "written in boot ";
const STATX_MNT_ID_UNIQUE: u32 = 0x4000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_process_leaves_no_doubt() {
        let folder = tempfile::tempdir().unwrap();
        begin(folder.path()).unwrap();
        assert!(doubt(folder.path()).unwrap().is_none());
    }

    #[test]
    fn a_boot_that_ended_leaves_a_doubt() {
        let folder = tempfile::tempdir().unwrap();
        let other = of_this_boot(folder.path()).unwrap().replace("mount ", "mount 9");
        fs::write(folder.path().join(NAME), other).unwrap();
        assert!(matches!(doubt(folder.path()).unwrap(), Some(Doubt::Interrupted)));
    }

    #[test]
    fn only_a_closed_index_outlives_its_boot() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(doubt(folder.path()).unwrap(), Some(Doubt::Missing)));
        close(folder.path()).unwrap();
        assert!(doubt(folder.path()).unwrap().is_none());
        withdraw(folder.path()).unwrap();
        assert!(matches!(doubt(folder.path()).unwrap(), Some(Doubt::Distrusted)));
        fs::write(folder.path().join(NAME), [0xff]).unwrap();
        assert!(matches!(doubt(folder.path()).unwrap(), Some(Doubt::Interrupted)));
    }
}
