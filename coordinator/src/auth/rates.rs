//! How often somebody may ask: a bucket for each, that fills with time and empties with requests.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use votum_machine::Moment;

/// The buckets of everybody who asked lately.
#[derive(Debug)]
pub(crate) struct Rates {
    /// Requests that a bucket gains in a second; it holds those of two.
    per_second: NonZeroU32,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Millionths of requests that are left.
    left: u64,
    seen: Moment,
}

impl Rates {
    /// Lets everybody ask so often.
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self { per_second, buckets: Mutex::default() }
    }

    /// Takes one request of somebody; or says how long to wait for the next.
    pub(crate) fn take(&self, who: &str, now: Moment) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(who) && buckets.len() >= BUCKETS_MAX {
            // A full bucket is as good as none; if all are in use, everybody begins anew.
            buckets.retain(|_, bucket| self.filled(bucket, now).left < self.most());
            if buckets.len() >= BUCKETS_MAX {
                buckets.clear();
            }
        }
        let bucket =
            buckets.entry(who.to_owned()).or_insert(Bucket { left: self.most(), seen: now });
        *bucket = self.filled(bucket, now);
        match bucket.left.checked_sub(REQUEST) {
            Some(left) => {
                bucket.left = left;
                Ok(())
            }
            None => {
                let missing = REQUEST - bucket.left;
                Err(Duration::from_micros(missing.div_ceil(self.per_second.get().into())))
            }
        }
    }

    fn filled(&self, bucket: &Bucket, now: Moment) -> Bucket {
        let passed = u64::try_from(now.since(bucket.seen).as_micros()).unwrap_or(u64::MAX);
        let gained = passed.saturating_mul(self.per_second.get().into());
        Bucket { left: bucket.left.saturating_add(gained).min(self.most()), seen: now }
    }

    fn most(&self) -> u64 {
        u64::from(self.per_second.get()) * BURST_SECONDS * REQUEST
    }
}

/// A request, in the unit of buckets: at one a second, a microsecond gains one unit.
const REQUEST: u64 = 1_000_000;
/// A bucket holds the requests of so many seconds.
const BURST_SECONDS: u64 = 2;
/// Most that are remembered; a stranger who invents names costs no more memory than this.
const BUCKETS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let rates = Rates::new(NonZeroU32::new(10).unwrap());
        let start = Moment::START;
        let taken = |who: &str, now| (0..100).filter(|_| rates.take(who, now).is_ok()).count();
        assert_eq!(taken("ada", start), 20);
        assert_eq!(rates.take("ada", start), Err(Duration::from_millis(100)));
        assert_eq!(taken("ada", start.after(Duration::from_millis(500))), 5);
        assert_eq!(taken("bob", start), 20);
    }

    #[test]
    fn invented_names_cost_a_bounded_memory() {
        let rates = Rates::new(NonZeroU32::new(1).unwrap());
        for number in 0..BUCKETS_MAX + 5 {
            rates.take(&number.to_string(), Moment::START).unwrap();
        }
        assert!(rates.buckets.lock().unwrap().len() <= BUCKETS_MAX);
    }
}
