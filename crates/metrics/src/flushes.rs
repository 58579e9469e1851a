//! How long the disk takes for a group of records: what every promise waits for.

use prometheus_client::metrics::histogram::Histogram;
use votum_driver::Clock;
use votum_journal::SyncObserver;
use votum_machine::Moment;

use crate::FLUSH_SECONDS;

/// Measures the syncs of one journal.
#[derive(Debug)]
pub struct FlushTimer {
    clock: Clock,
    begun: Moment,
    seconds: Histogram,
}

impl FlushTimer {
    /// Measures into the histogram that it returns as well, to be registered.
    #[must_use]
    pub fn new(clock: Clock) -> (Self, Histogram) {
        let seconds = Histogram::new(FLUSH_SECONDS);
        (Self { clock, begun: clock.now(), seconds: seconds.clone() }, seconds)
    }
}

impl SyncObserver for FlushTimer {
    fn sync_begins(&mut self) {
        self.begun = self.clock.now();
    }

    fn sync_ended(&mut self) {
        self.seconds.observe(self.clock.now().since(self.begun).as_secs_f64());
    }
}
