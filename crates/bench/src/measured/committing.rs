//! What the vote costs: alone, with files, with many bytes, over many workers (P5 to P9, P19).

use std::time::Duration;

use votum_client::{Client, wire::JobView};
use votum_ids::WorkerId;

use crate::{
    bench::Bench,
    crowd::{Crowd, Keeping, Round, names},
    daemons::{Cluster, Plan},
    jobs::{WORKERS, single, tangled, wide, worker_id},
    limits,
    measured::submitting::{committed, ran},
    statistics::quantile,
};

/// Measures rounds of three workers that force what they must and have no files.
///
/// # Errors
/// When a daemon does not come up or a job does not commit.
pub(crate) async fn rounds(bench: &mut Bench) -> anyhow::Result<()> {
    let cluster = Cluster::started(&bench.scratch, &Plan::of(0)).await?;
    let keeping = Keeping::Journals(cluster.home().join("crowd"));
    let workers = WORKERS.map(worker_id);
    let mut crowd = Crowd::connected(&cluster.address, &workers, &keeping).await?;
    cluster.ready(workers.len()).await?;
    let time = bench.pace.time;
    ran(cluster.clients(), "nothing", 4, time / 3).await?;
    let [mut decided, mut alone, mut rates, mut intervals] = [const { Vec::new() }; 4];
    for _ in 0..bench.pace.runs {
        crowd.rounds().taken();
        alone.extend(ran(cluster.clients(), "nothing", 1, time).await?.median_ms());
        decided.extend(median(&crowd.rounds().taken(), to_decision));
        let rate = ran(cluster.clients(), "nothing", 64, time).await?.rate();
        rates.push(rate);
        intervals.push(1.0 / rate.max(1e-9));
        crowd.check()?;
    }
    bench.report.add("round.decided.c1", "ms", decided);
    bench.report.add("empty.end_to_end.c1", "ms", alone);
    bench.report.add("empty.rate.c64", "1/s", rates);
    bench.report.add("empty.interval.c64", "s", intervals);
    bench.report.note(
        "Jobs without programs and files are those of three simulated workers in the measuring \
         process, each of which forces Sealed, Prepared and Committed into a journal of its own.",
    );
    Ok(())
}

/// Measures commits of one file on each of up to 64 real workers.
///
/// # Errors
/// When a daemon does not come up or a job does not commit.
pub(crate) async fn files(bench: &mut Bench) -> anyhow::Result<()> {
    let quick = bench.pace.runs < 3;
    let counts: &[usize] = if quick { &[1, 3, 8] } else { &[1, 2, 3, 4, 8, 16, 32, 64] };
    let most = counts.iter().copied().max().unwrap_or_default();
    let cluster = Cluster::started(&bench.scratch, &Plan::of(most)).await?;
    let source = cluster.source(4096)?;
    let workers: Vec<WorkerId> =
        (1..=most).map(|number| worker_id(&format!("s{number}"))).collect();
    let (mut points, mut publishing) = (Vec::new(), Vec::new());
    for &count in counts {
        let mut runs = Vec::new();
        for _ in 0..bench.pace.runs {
            if count == 3 {
                publishing.extend(limits::publish_ms(&bench.scratch, bench.pace.time / 3)?);
            }
            let mut times = Vec::new();
            for _ in 0..COMMITS_A_RUN {
                let (_, view) =
                    committed(&cluster.client(0), wide(&source, &workers[..count])).await?;
                times.extend(voted_to_ended_ms(&view));
            }
            // Stamps have whole milliseconds: only their mean says more.
            runs.push(times.iter().sum::<f64>() / times.len().max(1) as f64);
        }
        points.extend(quantile(&runs, 0.5).map(|median| (count as f64, median)));
        bench.report.add(&format!("commit.files.{count}"), "ms", runs);
    }
    bench.report.add("limit.publish", "ms", publishing);
    bench.report.draw(
        "Commit with files, real workers on one machine",
        "workers",
        "ms from the vote to published",
        points,
    );
    bench.report.note(
        "Commits with files are means of 8 jobs a run, by the coordinator's own stamps, from the \
         first vote asked for to the last acknowledgement.",
    );
    Ok(())
}

/// Measures the commit of a small and of a large file.
///
/// # Errors
/// When a daemon does not come up or a job does not commit.
pub(crate) async fn bytes(bench: &mut Bench) -> anyhow::Result<()> {
    let cluster = Cluster::started(&bench.scratch, &Plan::of(1)).await?;
    let (small, large) = (cluster.source(4096)?, cluster.source(bench.pace.bytes_max)?);
    let [mut least, mut most] = [const { Vec::new() }; 2];
    for _ in 0..bench.pace.runs {
        // Two small ones beside each large one; stamps have whole milliseconds.
        let mut times = Vec::new();
        for _ in 0..COMMITS_A_RUN {
            let (_, view) = committed(&cluster.client(0), single(&small)).await?;
            times.extend(voted_to_ended_ms(&view));
        }
        least.push(times.iter().sum::<f64>() / times.len().max(1) as f64);
        let (_, view) = committed(&cluster.client(0), single(&large)).await?;
        most.extend(voted_to_ended_ms(&view));
    }
    bench.report.add("commit.bytes.least", "ms", least);
    bench.report.add("commit.bytes.most", "ms", most);
    let mebibytes = limits::mebibytes(bench.pace.bytes_max as u64);
    bench.report.note(&format!("The large file of P9 has {mebibytes:.0} MiB."));
    Ok(())
}

/// Measures one job over up to 1,000 simulated workers that force nothing, and graphs of tasks.
///
/// # Errors
/// When a daemon does not come up or a job does not commit.
pub(crate) async fn wide_jobs(bench: &mut Bench) -> anyhow::Result<()> {
    let cluster = Cluster::started(&bench.scratch, &Plan::of(0)).await?;
    let workers = names(1000);
    let mut crowd = Crowd::connected(&cluster.address, &workers, &Keeping::Nothing).await?;
    cluster.ready(workers.len()).await?;
    let mut points = Vec::new();
    for count in [10, 30, 100, 300, 1000] {
        let (mut runs, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..bench.pace.runs {
            crowd.rounds().taken();
            let (took, _) =
                committed(&cluster.client(0), wide("nothing", &workers[..count])).await?;
            crowd.check()?;
            whole.push(took.as_secs_f64());
            let told = median(&crowd.rounds().taken(), |round| {
                Some(round.last_told?.saturating_sub(round.first_asked))
            });
            runs.extend(told.map(|milliseconds| milliseconds / 1e3));
        }
        points.extend(quantile(&runs, 0.5).map(|median| (count as f64, median)));
        bench.report.add(&format!("wide.{count}"), "s", runs);
        bench.report.add(&format!("wide.{count}.end_to_end"), "s", whole);
    }
    let cost = "s from the first vote asked for to the last worker told";
    bench.report.draw("Commit over simulated workers", "workers", cost, points);
    Ok(())
}

/// Measures one job of as many tasks as fit into the largest spec, about.
///
/// # Errors
/// When a daemon does not come up or a job does not commit.
pub(crate) async fn graphs(bench: &mut Bench) -> anyhow::Result<()> {
    let cluster = Cluster::started(&bench.scratch, &Plan::of(0)).await?;
    let workers = names(4);
    let mut crowd = Crowd::connected(&cluster.address, &workers, &Keeping::Nothing).await?;
    cluster.ready(workers.len()).await?;
    let mut points = Vec::new();
    for tasks in [100, 300, 1000, 3000, 5000] {
        let mut runs = Vec::new();
        for run in 0..bench.pace.runs {
            let spec = tangled(tasks, bench.seed + run as u64);
            let (took, _) = committed(&cluster.client(0), spec).await?;
            runs.push(took.as_secs_f64());
            crowd.check()?;
        }
        points.extend(quantile(&runs, 0.5).map(|median| (tasks as f64, median)));
        bench.report.add(&format!("graph.{tasks}"), "s", runs);
    }
    bench.report.draw("One job of many tasks", "tasks", "s end to end", points);
    bench.report.note(
        "The tasks of large graphs run on four simulated workers at once. A job may have 10,000 \
         tasks, but a spec has at most 3 MiB, which 5,800 tasks of this kind fill.",
    );
    Ok(())
}

fn median(rounds: &[Round], time: impl Fn(&Round) -> Option<Duration>) -> Option<f64> {
    let times: Vec<Duration> = rounds.iter().filter_map(time).collect();
    crate::statistics::median_ms(&times)
}

fn to_decision(round: &Round) -> Option<Duration> {
    Some(round.first_told?.saturating_sub(round.last_asked))
}

fn voted_to_ended_ms(view: &JobView) -> Option<f64> {
    Some(view.ended?.since(view.prepared?).as_secs_f64() * 1e3)
}

/// Waits until nothing is open any more.
///
/// # Errors
/// When that takes longer than `limit`.
pub(crate) async fn drained(client: &Client, limit: Duration) -> anyhow::Result<()> {
    let watch = crate::stopwatch::Stopwatch::start();
    loop {
        let open: u64 = client.cluster().await?.jobs.values().sum();
        if open == 0 {
            return Ok(());
        }
        anyhow::ensure!(watch.elapsed() < limit, "{open} jobs are still open");
        crate::stopwatch::pause(Duration::from_millis(20)).await;
    }
}

/// How many jobs make one run where the stamps are coarse.
const COMMITS_A_RUN: usize = 8;
