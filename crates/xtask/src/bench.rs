//! Builds everything as it is released and lets `votum-bench` measure it.

use crate::run::{cargo, say, succeed};

/// What is passed on to the measuring program.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only what these goals need, such as P1,P3; `growth` for the plots.
    #[arg(long, value_name = "GOALS")]
    only: Option<String>,
    /// Fewer and shorter runs, smaller files: for a look.
    #[arg(long)]
    quick: bool,
    /// Where the report goes.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: String,
    /// Decides the shape of drawn graphs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Measure other programs, too, before and after: PostgreSQL, Restate, Celery. What is
    /// missing of the last two is fetched from the registries of npm and pip.
    #[arg(long)]
    peers: bool,
    /// Where they are installed.
    #[arg(long, default_value = "target/bench-peers", value_name = "DIR")]
    peers_dir: String,
}

/// Builds and measures.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    say("benchmarks: a quiet machine gives better figures; the load is in the report");
    let mut build = vec!["build", "--release"];
    for package in MEASURED {
        build.extend(["--package", package]);
    }
    succeed(&mut cargo(&build))?;
    let seed = options.seed.to_string();
    let mut run = vec!["run", "--release", "--package", "votum-bench", "--"];
    run.extend(["--out", &options.out, "--seed", &seed]);
    if let Some(only) = &options.only {
        run.extend(["--only", only]);
    }
    for (is_set, flag) in [(options.quick, "--quick"), (options.peers, "--peers")] {
        if is_set {
            run.push(flag);
        }
    }
    run.extend(["--peers-dir", &options.peers_dir]);
    succeed(&mut cargo(&run))
}

/// The measuring program looks for the others beside itself.
const MEASURED: [&str; 3] = ["votum-coordinator", "votum-worker", "votum-bench"];
