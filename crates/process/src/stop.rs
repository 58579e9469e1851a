//! Ends an attempt before its time: asked first, forced after a grace.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Signal, pidfd_send_signal};
use tokio::time::timeout;

use crate::{
    exit::Ended,
    supervised::{Supervised, SupervisionError, blocking},
};

impl Supervised {
    /// Asks the task to end, and ends it by force after `grace`.
    ///
    /// Writes `reason` to `cancel_file`, sends SIGTERM to the task's process
    /// group, and at the end of `grace` SIGKILL to every process of the
    /// attempt. Returns when none is left. May be called again after a drop.
    ///
    /// # Errors
    /// As [`Supervised::exited`].
    pub async fn stop(
        &self,
        grace: Duration,
        reason: &str,
        cancel_file: &Path,
    ) -> Result<Ended, SupervisionError> {
        let (reason, cancel_file) = (reason.to_owned(), cancel_file.to_owned());
        // A task that cannot be told why has to end all the same.
        let _ = blocking(move || write_whole(&cancel_file, &reason)).await;
        self.signal(Signal::TERM);
        match timeout(grace, self.exited()).await {
            Ok(ended) => ended,
            Err(_) => self.kill().await,
        }
    }

    /// Ends every process of the attempt at once and waits until none is left.
    ///
    /// # Errors
    /// As [`Supervised::exited`].
    pub async fn kill(&self) -> Result<Ended, SupervisionError> {
        self.signal(Signal::QUIT);
        self.exited().await
    }

    fn signal(&self, signal: Signal) {
        // The one error is that it has ended, which is what the signals are for.
        // A supervisor that somebody has stopped must go on in order to act.
        let _ = pidfd_send_signal(self.supervisor(), signal);
        let _ = pidfd_send_signal(self.supervisor(), Signal::CONT);
    }
}

/// Writes a file that nobody sees before it is whole.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    fs::write(&aside, text)?;
    // The task may be of another user; what it is told is no secret of the file.
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o644))?;
    fs::rename(&aside, path)
}
