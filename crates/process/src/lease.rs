//! The dead man's rule: a supervisor that is told to ends its attempt when nobody renews a lease.
//!
//! The daemon writes one small file for all its attempts, and writes it again
//! as long as it may let them run. A daemon that was killed, or that stands
//! still, does not write; a restarted one renews the lease for whatever still
//! runs. The time stands in it as the machine's uptime, which daemon and
//! supervisor count alike and nobody can set; it goes on while the machine is
//! suspended, and means nothing after the next boot.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    identity::BootId,
    processes::uptime,
    record::{self, Aside, RecordError},
};

/// Lets attempts run for `length` more, counted from this call.
///
/// `length` is asked for after the time was taken, so that a caller which stands still in
/// between makes the lease shorter, never longer.
///
/// A file that is written twice at once may keep either; the caller writes one after
/// the other. It is not synced: after a reboot there is nobody to read it.
///
/// # Errors
/// When the file cannot be written, or the machine does not tell its uptime; the lease is
/// then what it was.
pub fn renew(file: &Path, length: impl FnOnce() -> Duration) -> Result<(), RecordError> {
    let unwritable = |source| RecordError::Write { path: file.to_owned(), source };
    let now = uptime().map_err(unwritable)?;
    let until_ms = milliseconds(now.saturating_add(length()));
    let boot = BootId::of_this_boot().map_err(unwritable)?;
    Aside::new(file)?.write(&Term { boot, until_ms })?.publish()?;
    Ok(())
}

/// The content of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Term {
    boot: BootId,
    /// Milliseconds since that boot.
    until_ms: u64,
}

/// The lease of one attempt, as its supervisor watches it.
#[derive(Debug)]
pub(crate) struct Lease {
    file: PathBuf,
    boot: BootId,
    /// As far as it is known; the file may say more by then.
    until_ms: u64,
}

impl Lease {
    /// Begins to watch; a lease that cannot be read is over.
    pub(crate) fn watched(file: &Path, boot: &BootId) -> Self {
        let mut lease = Self { file: file.to_owned(), boot: boot.clone(), until_ms: 0 };
        lease.read();
        lease
    }

    /// Returns how long it lasts at least; none once nobody has renewed it in time.
    pub(crate) fn rest(&mut self) -> Option<Duration> {
        // Whoever cannot tell the time cannot tell that it is not over.
        let now = uptime().map_or(u64::MAX, milliseconds);
        if self.until_ms <= now {
            self.read();
        }
        let rest = self.until_ms.checked_sub(now).filter(|rest| *rest > 0);
        rest.map(Duration::from_millis)
    }

    fn read(&mut self) {
        if let Ok(Some(term)) = record::read::<Term>(&self.file)
            && term.boot == self.boot
        {
            self.until_ms = self.until_ms.max(term.until_ms);
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lasts_as_long_as_it_is_renewed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, boot) = (dir.path().join("lease"), BootId::of_this_boot().unwrap());
        renew(&file, || Duration::from_secs(60)).unwrap();
        let rest = Lease::watched(&file, &boot).rest();
        assert!(rest.is_some_and(|rest| rest > Duration::from_secs(30)), "{rest:?}");
        renew(&file, || Duration::ZERO).unwrap();
        assert_eq!(Lease::watched(&file, &boot).rest(), None);
    }

    #[test]
    fn nobody_holds_a_lease_that_was_never_written() {
        let dir = tempfile::tempdir().unwrap();
        let boot = BootId::of_this_boot().unwrap();
        assert_eq!(Lease::watched(&dir.path().join("lease"), &boot).rest(), None);
    }

    #[test]
    fn a_lease_of_an_earlier_boot_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lease");
        renew(&file, || Duration::from_secs(60)).unwrap();
        let other: BootId = serde_json::from_str("\"another\"").unwrap();
        assert_eq!(Lease::watched(&file, &other).rest(), None);
    }
}
