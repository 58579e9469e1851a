//! A thousand workers that only beat, and ordinary jobs beside them (P18).

use std::time::Duration;

use crate::{
    bench::Bench,
    crowd::{Crowd, Keeping, names},
    daemons::{Cluster, Plan},
    measured::submitting::ran,
    stopwatch::{Stopwatch, pause},
};

/// Measures what a thousand idle workers cost, and what they leave to others.
///
/// # Errors
/// When a daemon does not come up or a job does not commit.
pub(crate) async fn crowded(bench: &mut Bench) -> anyhow::Result<()> {
    let beat = vec!["--heartbeat-interval-ms=1000".to_owned()];
    let plan = Plan { coordinator: beat, ..Plan::of(3) };
    let cluster = Cluster::started(&bench.scratch, &plan).await?;
    let source = cluster.source(4096)?;
    let (time, daemon) = (bench.pace.time, &cluster.coordinator);
    ran(cluster.clients(), &source, 4, time / 3).await?;
    pause(Duration::from_secs(1)).await;
    let before = daemon.memory_mb().unwrap_or_default();
    let workers = names(1000);
    let mut crowd = Crowd::connected(&cluster.address, &workers, &Keeping::Nothing).await?;
    cluster.ready(workers.len() + 3).await?;
    pause(Duration::from_secs(2)).await;
    let [mut used, mut rates] = [const { Vec::new() }; 2];
    for _ in 0..bench.pace.runs {
        let (watch, spent) = (Stopwatch::start(), daemon.processor_s().unwrap_or_default());
        pause(time.max(Duration::from_secs(2))).await;
        let spent = daemon.processor_s().unwrap_or_default() - spent;
        used.push(100.0 * spent / watch.elapsed().as_secs_f64());
    }
    let memory = daemon.memory_mb().unwrap_or_default() - before;
    for _ in 0..bench.pace.runs {
        rates.push(ran(cluster.clients(), &source, 64, time).await?.rate());
    }
    crowd.check()?;
    bench.report.add("crowd.cpu", "% of a core", used);
    bench.report.add("crowd.memory", "MB", vec![memory]);
    bench.report.add("crowd.job.rate.c64", "1/s", rates);
    Ok(())
}
