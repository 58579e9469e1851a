//! `votum backup`: a copy of the coordinator's store, taken while it runs.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;
use votum_client::{Backup, BackupEnd, BackupPart};

use crate::{
    args::Format,
    context::{Context, Patience},
    exit::Exit,
    fault::{Fault, Outcome},
};

/// Copy the coordinator's store into a file while it runs.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct BackupArgs {
    /// Where to; must not exist. `-`: standard output.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Writes a backup; the file has its name only when it is whole and durable.
pub(crate) async fn run(args: &BackupArgs, context: &Context) -> Outcome {
    let to_stdout = args.file == Path::new("-");
    if !to_stdout && args.file.exists() {
        let message = format!("{} exists; a backup replaces nothing", args.file.display());
        return Err(Fault::usage(message));
    }
    let client = context.client(Patience::Short)?;
    let mut backup = client.backup().await?;
    let end = if to_stdout {
        gathered(&mut backup, &mut io::stdout().lock()).await?
    } else {
        stored(&mut backup, &args.file).await?
    };
    let BackupEnd { last_record, digest, bytes } = end;
    let text = format!("{bytes} bytes, up to record {last_record}\n{digest}");
    if to_stdout {
        context.screen.remark(&text)?;
        return Ok(Exit::Done);
    }
    let file = args.file.display().to_string();
    context.screen.result(&match context.screen.format {
        Format::Json => json!({
            "file": file,
            "bytes": bytes.to_string(),
            "lastRecord": last_record.to_string(),
            "digest": digest.to_string(),
        })
        .to_string(),
        Format::Name => file,
        Format::Table => format!("{file}: {text}"),
    })?;
    Ok(Exit::Done)
}

/// Writes it beside its place, and names it when it is durable.
async fn stored(backup: &mut Backup, file: &Path) -> Result<BackupEnd, Fault> {
    let mut aside = OsString::from(file);
    aside.push(".part");
    let aside = PathBuf::from(aside);
    let written = written(backup, &aside, file).await;
    if written.is_err() {
        // What is left of it is no backup; the first fault is the one to tell.
        let _ = fs::remove_file(&aside);
    }
    written
}

async fn written(backup: &mut Backup, aside: &Path, file: &Path) -> Result<BackupEnd, Fault> {
    let cannot = |error: io::Error| {
        Fault::new(Exit::Failure, "IO", format!("cannot write {}: {error}", aside.display()))
    };
    let mut out = File::create(aside).map_err(cannot)?;
    let end = gathered(backup, &mut out).await?;
    out.sync_all().map_err(cannot)?;
    fs::rename(aside, file).map_err(cannot)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new("."))).and_then(|it| it.sync_all()).map_err(cannot)?;
    Ok(end)
}

/// Writes part after part until the end says that all have come.
async fn gathered(backup: &mut Backup, out: &mut impl Write) -> Result<BackupEnd, Fault> {
    loop {
        match backup.next().await? {
            BackupPart::Data(data) => out.write_all(&data)?,
            BackupPart::End(end) => {
                out.flush()?;
                return Ok(end);
            }
        }
    }
}

const HELP: &str = "The coordinator goes on meanwhile. The file holds every record that was durable when the command began, \
and a digest at its end; `votum-coordinator restore` makes a data directory of it. It holds the text of every job: \
keep it as safe as the coordinator's disk.

Examples:
  votum backup /backup/votum.backup
  votum backup - | ssh vault 'cat > votum.backup'";
