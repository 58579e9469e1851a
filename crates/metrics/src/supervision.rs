//! What systemd is told: that the daemon serves, that it lives, that it ends.
//!
//! Without `NOTIFY_SOCKET` in the environment nothing is told and nothing waits.

use std::time::Duration;

use sd_notify::NotifyState;
use votum_driver::Clock;

/// Tells that the daemon serves.
pub fn tell_ready() {
    tell(NotifyState::Ready);
}

/// Tells that the daemon ends, as it was asked to.
pub fn tell_stopping() {
    tell(NotifyState::Stopping);
}

/// Tells that the daemon lives, for as long as `lives` says so, three times within the limit of
/// its unit; never returns. Without a limit nothing is asked.
///
/// A daemon whose loop does not answer is not told to live: systemd ends it and starts it again.
pub async fn keep_watchdog(clock: Clock, lives: impl AsyncFn() -> bool) -> ! {
    let limit = sd_notify::watchdog_enabled();
    loop {
        // Without a limit this waits for ever.
        clock.sleep_until(limit.map(|limit| clock.now().after(pause(limit)))).await;
        if lives().await {
            tell(NotifyState::Watchdog);
        }
    }
}

/// Twice as often as systemd asks for would do; one may be late.
fn pause(limit: Duration) -> Duration {
    limit / 3
}

fn tell(state: NotifyState<'_>) {
    // Nobody listens, or nobody listens any more: the daemon serves all the same.
    let _ = sd_notify::notify(&[state]);
}
