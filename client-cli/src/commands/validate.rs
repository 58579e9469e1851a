//! `votum validate`: check job files without a coordinator.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use votum_job::JobSpec;

use crate::{
    args::Format,
    context::Context,
    display::amount,
    exit::Exit,
    fault::{Fault, Outcome},
    job_file::{self, GivenParams, MissingParams, SourceArgs, Syntax},
};

/// Check job files without a coordinator.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum validate nightly.yaml release.toml\n  make-job | votum validate - --format json"
)]
pub(crate) struct ValidateArgs {
    /// Job files (YAML, `.toml` or `.json`); `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How they are read; parameters without a value count as given.
    #[command(flatten)]
    source: SourceArgs,
}

/// Checks every file, and says of each what is wrong or what it is.
pub(crate) fn run(args: &ValidateArgs, context: &Context) -> Outcome {
    let given = args.source.given()?;
    let mut refused = None;
    for path in &args.files {
        let result = read(path, args.source.format, &given, MissingParams::StoodIn);
        match result {
            Ok(spec) => context.screen.result(&verdict(path, &spec, context.screen.format))?,
            Err(fault) => {
                if let Some(earlier) = refused.replace(fault) {
                    context.screen.fault(&earlier)?;
                }
            }
        }
    }
    refused.map_or(Ok(Exit::Done), Err)
}

/// Reads and checks one job file.
pub(crate) fn read(
    path: &Path,
    format: Option<Syntax>,
    given: &GivenParams,
    missing: MissingParams,
) -> Result<JobSpec, Fault> {
    let bytes = job_file::read(path).map_err(|error| Fault::unreadable(path, &error))?;
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "<stdin>".into() } else { path.to_string_lossy() };
    let syntax = format.or_else(|| (!is_stdin).then(|| Syntax::of(path)));
    Ok(job_file::parse(&name, &bytes, syntax, given, missing)?)
}

fn verdict(path: &Path, spec: &JobSpec, format: Format) -> String {
    let outputs = spec.tasks.values().flat_map(|task| task.outputs.values());
    let published = outputs.filter(|output| output.publish.is_some()).count();
    let (name, tasks) = (&spec.display_name, spec.tasks.len());
    let compensated = spec.tasks.values().filter(|task| task.compensate.is_some()).count();
    let effects = spec.effects.len();
    match format {
        Format::Table => {
            let mut words = format!(
                "{}: ok: {name}, {}, {} published",
                path.display(),
                amount::count(tasks as u64, "task"),
                amount::count(published as u64, "output")
            );
            for (count, noun) in [(compensated, "compensation"), (effects, "effect")] {
                if count > 0 {
                    words.push_str(&format!(", {}", amount::count(count as u64, noun)));
                }
            }
            words
        }
        Format::Json => json!({
            "file": path.to_string_lossy(), "valid": true,
            "displayName": name, "tasks": tasks, "publishedOutputs": published,
            "compensations": compensated, "effects": effects,
        })
        .to_string(),
        Format::Name => name.clone(),
    }
}
