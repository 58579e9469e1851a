//! A target that keeps one earlier generation, over four jobs.
//!
//! `retiring <base> [told]` works in `<base>/staging` and `<base>/root`; with a second word it keeps
//! beside each generation what that consists of. Ended at any moment while it
//! retires, it goes on from there when it is started again, as a worker would.

#![allow(clippy::print_stdout, reason = "an example for tests to read")]

use std::{error::Error, fs, path::PathBuf};

use votum_ids::{AttemptId, Epoch, FencingToken, JobId, OutputName, TaskId};
use votum_shadow::{Declared, Existing, OutputPath, Presence, Sealed, Shadow, Target, TargetPath};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(base) = arguments.next() else { return Err("usage: retiring <base> [told]".into()) };
    let is_told = arguments.next().is_some();
    let base = PathBuf::from(base);
    fs::create_dir_all(base.join("root"))?;
    let shadow = Shadow::open(&base.join("staging"), &[base.join("root")])?;
    for number in 1..=JOBS {
        let job = JobId::new(format!("job-{number}"))?;
        let over = base.join(format!("{job}.over"));
        if over.exists() {
            continue;
        }
        let attempt = AttemptId {
            job: job.clone(),
            task: TaskId::new("report")?,
            token: FencingToken { epoch: Epoch(1), counter: 1 },
        };
        let sealed = match shadow.sealed(&attempt)? {
            Some(sealed) => sealed,
            None => seal(&shadow, &attempt)?,
        };
        for output in &sealed.outputs {
            if let Some(target) = &output.publishes {
                shadow.publish(&attempt, output, target)?;
            }
        }
        println!("published {number}");
        if is_told {
            shadow.keep_manifests(&job)?;
        }
        println!("kept {number}");
        shadow.retire_job(&job)?;
        shadow.discard_job(&job)?;
        // A worker keeps in its journal that the job is over; here a file does.
        fs::write(over, "yes")?;
        println!("over {number}");
    }
    Ok(())
}

fn seal(shadow: &Shadow, attempt: &AttemptId) -> Result<Sealed, Box<dyn Error>> {
    let staging = shadow.stage(attempt)?;
    fs::create_dir_all(staging.output_dir().join("site/inner"))?;
    fs::write(staging.output_dir().join("site/inner/a"), attempt.job.as_str())?;
    let target =
        Target::Tree { path: TargetPath::new("site")?, existing: Existing::Replace, kept: Some(1) };
    Ok(staging.seal(&[Declared {
        name: OutputName::new("site")?,
        path: OutputPath::new("site/")?,
        presence: Presence::Required,
        publishes: Some(target),
        max_bytes: None,
    }])?)
}

/// Two of them find something to retire.
const JOBS: u32 = 4;
