//! `votum plan`: what a job file would do, without a coordinator.

use std::path::PathBuf;

use clap::Args;
use votum_job::Graph;

use crate::{
    args::Format,
    commands::validate,
    context::Context,
    display,
    exit::Exit,
    fault::{Fault, Outcome},
    job_file::{MissingParams, SourceArgs},
};

/// Show in which order a job would run, what becomes visible where, and what an abort undoes.
///
/// Nothing is sent: which worker takes a task that is not pinned is decided when it is ready.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  votum plan nightly.yaml -p date=2026-11-21")]
pub(crate) struct PlanArgs {
    /// Job file (YAML, `.toml` or `.json`); `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How it is read; the name of a parameter without a value stands in for it.
    #[command(flatten)]
    source: SourceArgs,
}

/// Prints the plan.
pub(crate) fn run(args: &PlanArgs, context: &Context) -> Outcome {
    let given = args.source.given()?;
    let spec = validate::read(&args.file, args.source.format, &given, MissingParams::StoodIn)?;
    // Reading it has checked it; a job file that is not valid was refused there.
    let graph = Graph::check(&spec).map_err(|problems| {
        let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Fault::new(Exit::Usage, "INVALID_SPEC", words.join("\n"))
    })?;
    context.screen.result(&match context.screen.format {
        Format::Table => display::plan::screen(&spec, &graph, context.screen.paint),
        Format::Json => display::plan::json(&spec, &graph),
        Format::Name => {
            graph.order().iter().map(|task| format!("{}\n", graph.name(*task))).collect()
        }
    })?;
    Ok(Exit::Done)
}
