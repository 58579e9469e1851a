//! `votum schema`: the JSON Schema of job files.

use clap::{Args, ValueEnum};

use crate::{context::Context, exit::Exit, fault::Outcome, job_file};

/// Print the JSON Schema of job files, for editors and checks elsewhere.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  votum schema job > votum-job.schema.json\n\nAn editor that knows YAML checks and completes a job file that begins with\n  # yaml-language-server: $schema=./votum-job.schema.json"
)]
pub(crate) struct SchemaArgs {
    /// Which schema.
    #[arg(default_value = "job")]
    which: Which,
}

/// A schema that there is.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    /// Of job files, in YAML, TOML and JSON.
    Job,
}

/// Prints the schema.
pub(crate) fn run(args: &SchemaArgs, context: &Context) -> Outcome {
    match args.which {
        Which::Job => context.screen.result(&format!("{:#}", job_file::schema()))?,
    }
    Ok(Exit::Done)
}
