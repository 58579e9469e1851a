//! Builds everything as it is released and lets `votum-bench` measure it.

use std::path::PathBuf;

use crate::run::{cargo, command, root, say, succeed};

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
    // Started as it was built: to build it alone would choose other features of what all use.
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let program = target.unwrap_or_else(|| root().join("target")).join("release/votum-bench");
    let mut run = vec!["--out", &options.out, "--seed", &seed];
    if let Some(only) = &options.only {
        run.extend(["--only", only]);
    }
    for (is_set, flag) in [(options.quick, "--quick"), (options.peers, "--peers")] {
        if is_set {
            run.push(flag);
        }
    }
    run.extend(["--peers-dir", &options.peers_dir]);
    succeed(&mut command(&program.to_string_lossy(), &run))
}

/// The measuring program looks for the others beside itself.
const MEASURED: [&str; 3] = ["votum-coordinator", "votum-worker", "votum-bench"];
