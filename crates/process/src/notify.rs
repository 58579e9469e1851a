//! Sends the task of a running attempt a signal that means something to it.

use rustix::process::{Signal, pidfd_send_signal};

use crate::supervised::Supervised;

impl Supervised {
    /// Sends a signal to the task itself, not to what it started; `signal` is its name without `SIG`.
    ///
    /// A task that has ended, or another process of its number, gets nothing,
    /// and a name that is not known sends nothing.
    pub fn notify(&self, signal: &str) {
        let signal = match signal {
            "TERM" => Signal::TERM,
            "INT" => Signal::INT,
            "HUP" => Signal::HUP,
            "QUIT" => Signal::QUIT,
            "USR1" => Signal::USR1,
            "USR2" => Signal::USR2,
            _unknown => return,
        };
        let Ok(Some(task)) = self.task() else { return };
        if let Ok(Some(pidfd)) = task.open() {
            let _ = pidfd_send_signal(&pidfd, signal);
        }
    }
}
