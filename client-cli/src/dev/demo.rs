//! The job that `votum dev --demo` runs: an audit of this machine's third-party Rust crates.

use std::{
    env,
    path::{Path, PathBuf},
};

use votum_job::JobSpec;
use votum_wire::{JobView, WorkerView};

use crate::{
    display::{
        amount, outcome,
        paint::{Paint, Tone},
        table::{Table, cell},
    },
    exit::Exit,
    fault::Fault,
    job_file::{self, GivenParams, MissingParams},
};

/// The job file, as it also lies in the repository.
pub(crate) const JOB_FILE: &str = include_str!("../../../docs/examples/dependency-audit.yaml");
/// How many workers it names.
pub(crate) const WORKERS_MIN: u16 = 3;

/// Makes the job for the crates that cargo has unpacked on this machine.
pub(crate) fn job() -> Result<JobSpec, Fault> {
    let sources = sources()?;
    let mut params = vec![("sources".to_owned(), sources.to_string_lossy().into_owned())];
    if let Some(lock) = lock_file() {
        params.push(("lock".to_owned(), lock.to_string_lossy().into_owned()));
    }
    let given = GivenParams::new(params);
    Ok(job_file::parse(NAME, JOB_FILE.as_bytes(), None, &given, MissingParams::Refused)?)
}

/// Returns where cargo unpacks the sources of crates.
fn sources() -> Result<PathBuf, Fault> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let sources = home.map(|home| home.join("registry").join("src"));
    sources.filter(|sources| sources.is_dir()).ok_or_else(|| {
        Fault::new(Exit::Failure, "NO_SOURCES", "the demo audits crates, and cargo has none here")
            .hint("cargo fetch  in any Rust project brings some")
            .hint("without them:  votum run docs/examples/hello.yaml")
    })
}

/// Returns the lock file of the project around the working directory.
fn lock_file() -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    here.ancestors().map(|folder| folder.join("Cargo.lock")).find(|lock| lock.is_file())
}

/// Returns what became visible where, and the page to open.
pub(crate) fn summary(view: &JobView, workers: &[WorkerView], paint: Paint) -> String {
    let mut table = Table::new(["VISIBLE", "WORKER", "SIZE", "FILES", "DIGEST", "AT"]);
    let mut page = None;
    for (task, output) in outcome::published(view) {
        let path =
            absolute(output.publish_path.as_deref().unwrap_or_default(), &output.worker, workers);
        if path.extension().is_some_and(|extension| extension == "html") {
            page = Some(path.clone());
        }
        table.row([
            cell(format!("{}.{}", task.task, output.output)),
            cell(output.worker.as_str()),
            cell(amount::size(output.bytes)).right(),
            cell(output.files.to_string()).right(),
            cell(&output.digest.to_string()[..12]).tone(Tone::Soft),
            cell(path.to_string_lossy()),
        ]);
    }
    let mut text = table.text(paint);
    if let Some(page) = page {
        let url = paint.text(Tone::Strong, &format!("file://{}", page.display()));
        text.push_str(&format!("\nopen the report:  {url}\n"));
    }
    text
}

/// A relative target lies below the first publish root of its worker.
fn absolute(target: &str, worker: &votum_ids::WorkerId, workers: &[WorkerView]) -> PathBuf {
    let root = workers
        .iter()
        .find(|view| view.worker == *worker)
        .and_then(|view| view.publish_roots.first());
    root.map_or_else(|| PathBuf::from(target), |root| Path::new(root).join(target))
}

const NAME: &str = "docs/examples/dependency-audit.yaml";

#[cfg(test)]
mod tests;
