//! `votum init`: a job file to start from.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use crate::{
    context::Context,
    exit::Exit,
    fault::{Fault, Outcome},
};

/// Write a commented job file to start from; it is valid, and runs as it is.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum init && votum run job.yaml\n  votum init --template pipeline nightly.yaml\n  votum init --template fanout -"
)]
pub(crate) struct InitArgs {
    /// What kind of job it is.
    #[arg(long, value_name = "KIND", default_value = "single")]
    template: Template,
    /// File to write, which must not exist; `-` is standard output.
    #[arg(value_name = "FILE", default_value = "job.yaml")]
    file: PathBuf,
}

/// A kind of job to start from.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Template {
    /// One task, one published file.
    Single,
    /// Three tasks, each fed by the one before.
    Pipeline,
    /// Parts that are worked on at the same time, and joined.
    Fanout,
}

impl Template {
    fn text(self) -> &'static str {
        match self {
            Self::Single => include_str!("../templates/single.yaml"),
            Self::Pipeline => include_str!("../templates/pipeline.yaml"),
            Self::Fanout => include_str!("../templates/fanout.yaml"),
        }
    }
}

/// Writes the file; one that exists is left alone.
pub(crate) fn run(args: &InitArgs, context: &Context) -> Outcome {
    if args.file == Path::new("-") {
        context.screen.result(args.template.text().trim_end())?;
        return Ok(Exit::Done);
    }
    let file = args.file.display();
    let text = args.template.text().replace("FILE", &file.to_string());
    write(&args.file, &text).map_err(|error| {
        let fault = |message: String| Fault::new(Exit::Usage, "UNWRITABLE", message);
        if error.kind() == io::ErrorKind::AlreadyExists {
            fault(format!("{file} exists already")).hint("name another file:  votum init FILE")
        } else {
            fault(format!("cannot write {file}: {error}"))
        }
    })?;
    context.screen.result(&format!("wrote {file}"))?;
    context.screen.remark(&format!(
        "  look:  votum plan {file}\n  run:   votum run {file}   (a cluster to try it on: votum dev)"
    ))?;
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    File::create_new(path)?.write_all(text.as_bytes())
}
