//! Closed loops: so many callers, each begins again as soon as its last call has ended.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use tokio::task::JoinSet;

use crate::{
    statistics::{median_ms, quantile},
    stopwatch::Stopwatch,
};

/// What a closed loop did.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Of each call.
    pub(crate) latencies: Vec<Duration>,
    /// From the first begin to the last end.
    pub(crate) wall: Duration,
}

impl Load {
    /// Lets `callers` call for `time`; a call is told its caller and which of its calls it is.
    ///
    /// # Errors
    /// The first error of a call, which ends everything.
    pub(crate) async fn run<F>(
        callers: usize,
        time: Duration,
        call: impl Fn(usize, u64) -> F + Send + Sync + 'static,
    ) -> anyhow::Result<Self>
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (whole, call) = (Stopwatch::start(), Arc::new(call));
        let mut loops = JoinSet::new();
        for caller in 0..callers {
            let call = Arc::clone(&call);
            loops.spawn(async move {
                let mut latencies = Vec::new();
                for number in 0.. {
                    if whole.elapsed() >= time {
                        break;
                    }
                    let watch = Stopwatch::start();
                    call(caller, number).await?;
                    latencies.push(watch.elapsed());
                }
                anyhow::Ok(latencies)
            });
        }
        let mut load = Self::default();
        while let Some(ended) = loops.join_next().await {
            load.latencies.extend(ended.context("a caller panicked")??);
        }
        load.wall = whole.elapsed();
        Ok(load)
    }

    /// Returns the median in milliseconds; none if nothing ended.
    pub(crate) fn median_ms(&self) -> Option<f64> {
        median_ms(&self.latencies)
    }

    /// Returns the 99th percentile in milliseconds; none if nothing ended.
    pub(crate) fn p99_ms(&self) -> Option<f64> {
        let all: Vec<f64> = self.latencies.iter().map(|one| one.as_secs_f64() * 1e3).collect();
        quantile(&all, 0.99)
    }

    /// Returns how many ended each second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.wall.as_secs_f64().max(1e-9)
    }
}
