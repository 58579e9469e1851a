//! Publishes the output of one attempt so that it can be taken back, and takes it back.
//!
//! `withdrawing <base> <job>` works in `<base>/staging` and `<base>/root`, and says what is durable.

#![allow(clippy::print_stdout, reason = "an example for tests to read")]

use std::{error::Error, fs, path::PathBuf};

use votum_ids::{AttemptId, Epoch, FencingToken, JobId, OutputName, TaskId};
use votum_shadow::{Declared, Existing, OutputPath, Presence, Shadow, Target, TargetPath};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(base), Some(job)) = (arguments.next(), arguments.next()) else {
        return Err("usage: withdrawing <base> <job>".into());
    };
    let base = PathBuf::from(base);
    fs::create_dir_all(base.join("root"))?;
    let shadow = Shadow::open(&base.join("staging"), &[base.join("root")])?;
    let attempt = AttemptId {
        job: JobId::new(&job)?,
        task: TaskId::new("report")?,
        token: FencingToken { epoch: Epoch(1), counter: 1 },
    };
    let target =
        Target::Tree { path: TargetPath::new("site")?, existing: Existing::Replace, kept: None };
    let staging = shadow.stage(&attempt)?;
    fs::create_dir_all(staging.output_dir().join("site/inner"))?;
    fs::write(staging.output_dir().join("site/inner/a"), format!("of {job}"))?;
    let sealed = staging.seal(&[Declared {
        name: OutputName::new("site")?,
        path: OutputPath::new("site/")?,
        presence: Presence::Required,
        publishes: Some(target.clone()),
        max_bytes: None,
    }])?;
    println!("sealed");
    let [site] = sealed.outputs.as_slice() else { return Err("one output".into()) };
    shadow.publish_revocably(&attempt, site, &target, 0)?;
    println!("published");
    println!("withdrawing");
    shadow.withdraw(&attempt, site, &target, 0)?;
    println!("withdrawn");
    Ok(())
}
