//! What the worker shows to Prometheus, on a listener of its own.
//!
//! Counters follow what the engine records (`observed.rs`), so the engine itself
//! counts nothing; gauges are read when somebody looks. `docs/metrics.md` lists every name.

mod families;
mod observed;
mod scrape;

pub(crate) use families::Metrics;
pub(crate) use observed::Observed;
pub(crate) use scrape::{Scrape, serve};
