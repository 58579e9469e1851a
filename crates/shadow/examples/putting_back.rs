//! Two jobs over one target, a new one and `root/mine` that was there before, then a job that puts back, and one that puts that back.
//!
//! `putting_back <base>` works in `<base>/staging` and `<base>/root`. Ended at any moment, it goes
//! on from there when it is started again, as a worker would.

#![allow(clippy::print_stdout, reason = "an example for tests to read")]

use std::{error::Error, fs, path::PathBuf};

use votum_ids::{AttemptId, Epoch, FencingToken, JobId, OutputName, TaskId};
use votum_shadow::{Declared, Existing, OutputPath, Presence, Sealed, Shadow, Target, TargetPath};

fn main() -> Result<(), Box<dyn Error>> {
    let Some(base) = std::env::args().nth(1) else {
        return Err("usage: putting_back <base>".into());
    };
    let base = PathBuf::from(base);
    fs::create_dir_all(base.join("root"))?;
    let shadow = Shadow::open(&base.join("staging"), &[base.join("root")])?;
    for number in 1..=4 {
        let attempt = attempt(number)?;
        let over = base.join(format!("{}.over", attempt.job));
        if over.exists() {
            continue;
        }
        let sealed = match shadow.sealed(&attempt)? {
            Some(sealed) => sealed,
            None => seal(&shadow, &attempt, number)?,
        };
        println!("sealed {number}");
        for output in &sealed.outputs {
            if let Some(target) = &output.publishes {
                shadow.publish(&attempt, output, target)?;
            }
        }
        println!("published {number}");
        shadow.keep_manifests(&attempt.job)?;
        shadow.retire_job(&attempt.job)?;
        shadow.discard_job(&attempt.job)?;
        // A worker keeps in its journal that the job is over; here a file does.
        fs::write(over, "yes")?;
        println!("over {number}");
    }
    Ok(())
}

fn seal(shadow: &Shadow, by: &AttemptId, number: u64) -> Result<Sealed, Box<dyn Error>> {
    let _ = shadow.discard_attempt(by);
    let staging = shadow.stage(by)?;
    let all =
        [declared("site", "site/")?, declared("fresh", "fresh/")?, declared("mine", "mine/")?];
    if number > 2 {
        return Ok(staging.seal_put_back(&all, &attempt(number - 1)?)?);
    }
    let made = if number == 1 { &all[..1] } else { &all[..] };
    for Declared { name, .. } in made {
        fs::create_dir_all(staging.output_dir().join(name.as_str()))?;
        fs::write(staging.output_dir().join(name.as_str()).join("a"), by.job.as_str())?;
    }
    Ok(staging.seal(made)?)
}

fn attempt(number: u64) -> Result<AttemptId, Box<dyn Error>> {
    Ok(AttemptId {
        job: JobId::new(format!("job-{number}"))?,
        task: TaskId::new("report")?,
        token: FencingToken { epoch: Epoch(1), counter: 1 },
    })
}

fn declared(name: &str, path: &str) -> Result<Declared, Box<dyn Error>> {
    let target =
        Target::Tree { path: TargetPath::new(name)?, existing: Existing::Replace, kept: Some(1) };
    Ok(Declared {
        name: OutputName::new(name)?,
        path: OutputPath::new(path)?,
        presence: Presence::Required,
        publishes: Some(target),
        max_bytes: None,
    })
}
