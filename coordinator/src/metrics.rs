//! What the coordinator shows to Prometheus.
//!
//! Counters follow what the engine records (`observed.rs`) and what is sent
//! (`performed.rs`), so the engine itself counts nothing. Gauges are asked of the
//! engine when somebody looks (`scrape.rs`). `docs/metrics.md` lists every name.

mod families;
mod observed;
mod performed;
mod phases;
mod rpc;
mod scrape;

pub(crate) use families::Metrics;
pub(crate) use observed::{Observed, stable_word, vote_word};
pub(crate) use performed::Counted;
pub(crate) use rpc::RpcMetrics;
pub(crate) use scrape::Scrape;
