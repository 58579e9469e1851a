//! Measures Votum beside the limits of the machine and beside other programs, and reports what
//! that means for each goal; `cargo xtask bench` builds and runs it.

mod bench;
mod crowd;
mod daemons;
mod goals;
mod jobs;
mod limits;
mod load;
mod machine;
mod measured;
mod page;
mod peers;
mod plot;
mod report;
mod statistics;
mod stopwatch;

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::Context;
use clap::Parser;

use crate::{
    bench::{Bench, Pace},
    limits::Unary,
    machine::{MachineView, load},
    measured::{committing, counting, crowding, recovering, storing, submitting},
    peers::Peers,
    report::{Report, tell},
};

/// Measures Votum and compares it with its goals.
#[derive(Debug, Parser)]
#[command(name = "votum-bench")]
struct Arguments {
    /// Only what these goals need, such as P1,P3; `growth` for the plots.
    #[arg(long, value_delimiter = ',', value_name = "GOAL")]
    only: Vec<String>,
    /// Fewer and shorter runs, smaller files: for a look.
    #[arg(long)]
    quick: bool,
    /// Where the report goes.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: PathBuf,
    /// Decides the shape of drawn graphs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Measure other programs, too, before and after: PostgreSQL, Restate, Celery.
    #[arg(long)]
    peers: bool,
    /// Where they are installed.
    #[arg(long, default_value = "target/bench-peers", value_name = "DIR")]
    peers_dir: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(run(Arguments::parse()))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { only, quick, out, seed, peers, peers_dir } = arguments;
    let only: BTreeSet<String> = only.into_iter().collect();
    if let Some(unknown) = only.iter().find(|goal| !goals::names().any(|name| name == *goal)) {
        let names: Vec<_> = goals::names().collect();
        anyhow::bail!("there is no goal {unknown}; there are {}", names.join(", "));
    }
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let scratch = tempfile::Builder::new().prefix("scratch-").tempdir_in(&out)?;
    let mut bench = Bench {
        report: Report::begun(MachineView::of(scratch.path())),
        scratch: scratch.path().canonicalize()?,
        pace: if quick { Pace::QUICK } else { Pace::FULL },
        seed,
        only,
    };
    let (mut others, runs) = (Peers::at(&peers_dir), bench.pace.runs);
    if peers {
        others.measure(&mut bench, runs / 2).await;
    }
    measure(&mut bench).await?;
    if peers {
        others.measure(&mut bench, runs - runs / 2).await;
        others.report(&mut bench);
    }
    bench.report.write(&out)?;
    for judged in &bench.report.goals {
        let measured = judged.measured.map_or_else(|| "–".to_owned(), page::number);
        let (must, stretch) = (judged.must.verdict.word(), judged.stretch.verdict.word());
        let (goal, what, unit) = (judged.goal, judged.what, judged.unit);
        tell(&format!("{goal}: {what}: {measured} {unit}: must {must}, stretch {stretch}"));
    }
    tell(&format!("the report is {}", out.join("bench.html").display()));
    Ok(())
}

/// Runs what was asked for; a part that fails is noted, and the rest goes on.
async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    macro_rules! part {
        ($goals:expr, $what:expr) => {
            if bench.wants(&$goals) {
                let part = stringify!($what);
                tell(&format!("{part}, load {}", load()));
                if let Err(error) = $what {
                    bench.report.note(&format!("Not measured to the end: {part}: {error:#}"));
                }
            }
        };
    }
    part!(["P1", "P2", "P20"], submitting::received(bench).await);
    part!(["P3", "P4", "P12", "P18"], submitting::ordinary_jobs(bench).await);
    part!(["P5", "P6", "P7", "P8", "P15"], committing::rounds(bench).await);
    part!(["P8", "growth"], committing::files(bench).await);
    part!(["P9"], committing::bytes(bench).await);
    part!(["P10"], storing::staging(bench));
    part!(["P11"], storing::transfer(bench).await);
    part!(["P12"], counting::forced(bench).await);
    part!(["P12"], counting::traced(bench).await);
    part!(["P21"], storing::journal(bench));
    part!(["P16", "P17"], recovering::idle(bench).await);
    part!(["P14", "P16", "growth"], recovering::restarts(bench).await);
    part!(["P15"], recovering::drained_after_restart(bench).await);
    part!(["P18"], crowding::crowded(bench).await);
    part!(["P19", "growth"], committing::wide_jobs(bench).await);
    part!(["growth"], committing::graphs(bench).await);
    if bench.wants(&["P6"]) && bench.report.median("limit.fdatasync").is_none() {
        let (unary, mut seen) = (Unary::started().await?, bench::Seen::default());
        for _ in 0..bench.pace.runs {
            bench.limits(&unary, &mut seen).await?;
        }
        bench.report_limits(seen);
    }
    Ok(())
}
