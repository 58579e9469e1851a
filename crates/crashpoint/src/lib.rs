//! Named places where a test may end the process, as a power switch would.
//!
//! Recovery is only as good as the crashes it was tried with. A crash point
//! costs one comparison when nothing is armed. `VOTUM_CRASH_AT=name` kills the
//! process with SIGKILL at the first visit of the point `name`,
//! `VOTUM_CRASH_AT=name:3` at the third. The kill is real: nothing is flushed,
//! no destructor runs.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// Ends the process here if the point is armed; otherwise does nothing.
///
/// Names are `<crate>.<place>` and are listed from the source by the crash
/// tests, which fail if a point was never hit: use a literal.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        $crate::visit($name)
    };
}

/// Counts a visit of the point and kills the process if it is the armed one.
///
/// # Panics
/// If `VOTUM_CRASH_AT` has a count that is no positive number.
pub fn visit(name: &str) {
    let Some(armed) = ARMED.get_or_init(Armed::from_environment) else { return };
    if armed.name == name && armed.visits_left.fetch_sub(1, Ordering::SeqCst) == 1 {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal is on its way; nothing after the point may happen before it lands.
        loop {
            std::thread::park();
        }
    }
}

struct Armed {
    name: String,
    visits_left: AtomicU64,
}

impl Armed {
    fn from_environment() -> Option<Self> {
        let armed = std::env::var(VARIABLE).ok()?;
        let (name, visits) = match armed.rsplit_once(':') {
            None => (armed.as_str(), 1),
            Some((name, visits)) => {
                (name, visits.parse().expect("VOTUM_CRASH_AT is name or name:count"))
            }
        };
        assert!(visits > 0, "VOTUM_CRASH_AT counts visits from 1");
        Some(Self { name: name.to_owned(), visits_left: AtomicU64::new(visits) })
    }
}

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

const VARIABLE: &str = "VOTUM_CRASH_AT";
