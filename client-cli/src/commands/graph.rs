//! `votum graph`: the tasks of a job and what they wait for.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use clap::{Args, ValueEnum};
use votum_ids::TaskId;
use votum_job::{Graph, JobSpec};
use votum_wire::view::TaskState;

use crate::{
    commands::validate,
    context::{Context, Patience},
    display::graph,
    exit::Exit,
    fault::{Fault, Outcome},
    job_file::{GivenParams, MissingParams},
    job_name,
};

/// Draw the tasks of a job and what they wait for, as text, dot, mermaid or svg.
///
/// Of a job, with where each task stands; of a job file, as it would run.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum graph @last\n  votum graph nightly.yaml --format mermaid\n  votum graph @last --format svg > nightly.svg\n  votum graph nightly.yaml --format dot | dot -Tpng > nightly.png"
)]
pub(crate) struct GraphArgs {
    /// A job, or a job file.
    #[arg(value_name = "JOB|FILE")]
    what: String,
    /// How it is drawn.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Drawn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Drawn {
    /// Level by level.
    Text,
    /// For Graphviz.
    Dot,
    /// For Markdown pages.
    Mermaid,
    /// A picture of its own.
    Svg,
}

/// Draws the graph.
pub(crate) async fn run(args: &GraphArgs, context: &Context) -> Outcome {
    let (spec, states) = read(&args.what, context).await?;
    let checked = Graph::check(&spec).map_err(|problems| {
        let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Fault::new(Exit::Usage, "INVALID_SPEC", words.join("\n"))
    })?;
    let drawing = graph::Drawing { name: &spec.display_name, graph: &checked, states: &states };
    context.screen.result(&match args.format {
        Drawn::Text => drawing.text(context.screen.paint),
        Drawn::Dot => drawing.dot(),
        Drawn::Mermaid => drawing.mermaid(),
        Drawn::Svg => drawing.svg(),
    })?;
    Ok(Exit::Done)
}

/// Reads a job file if there is one of the name, else a job.
async fn read(
    what: &str,
    context: &Context,
) -> Result<(JobSpec, BTreeMap<TaskId, TaskState>), Fault> {
    let path = Path::new(what);
    if what == "-" || path.is_file() {
        let given = GivenParams::default();
        let spec = validate::read(path, None, &given, MissingParams::StoodIn)?;
        return Ok((spec, BTreeMap::new()));
    }
    let client = context.client(Patience::Short)?;
    let job = job_name::resolve(&client, what).await?;
    let view = client.job(&job).await?;
    let states = view.tasks.iter().map(|task| (task.task.clone(), task.state)).collect();
    let spec = view.spec.ok_or_else(|| {
        Fault::new(Exit::Refused, "SPEC_GONE", format!("the spec of {job} is gone with its record"))
    })?;
    Ok((Arc::unwrap_or_clone(spec), states))
}
