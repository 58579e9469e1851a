//! The life of one attempt's outputs, from the program to the readers.
//!
//! `publishing <base> <job>` works in `<base>/staging` and `<base>/root`. Ended
//! at any moment, it goes on from there when it is started again, as a worker
//! would. It says on standard output how far it came.

#![expect(clippy::print_stdout, reason = "a program for people and tests to read")]

use std::{error::Error, fs, path::PathBuf};

use votum_ids::{AttemptId, Epoch, FencingToken, JobId, OutputName, TaskId};
use votum_shadow::{
    Declared, Depth, Existing, OutputPath, Pledge, Presence, Sealed, Shadow, Target, TargetPath,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(base), Some(job)) = (arguments.next(), arguments.next()) else {
        return Err("usage: publishing <base> <job>".into());
    };
    let base = PathBuf::from(base);
    fs::create_dir_all(base.join("root"))?;
    let shadow = Shadow::open(&base.join("staging"), &[base.join("root")])?;
    let attempt = AttemptId {
        job: JobId::new(&job)?,
        task: TaskId::new("report")?,
        token: FencingToken { epoch: Epoch(1), counter: 1 },
    };
    let sealed = match shadow.sealed(&attempt)? {
        Some(sealed) => sealed,
        None => seal(&shadow, &attempt)?,
    };
    println!("sealed");

    // One that was given up, and whose remains only the end of the job takes.
    let spare =
        AttemptId { token: FencingToken { epoch: Epoch(1), counter: 2 }, ..attempt.clone() };
    if shadow.reopen(&spare).is_err() {
        shadow.stage(&spare)?;
    }

    // A worker keeps in its journal that it has voted; here a file does.
    let voted = base.join(format!("{job}.voted"));
    if !voted.exists() {
        vote(&shadow, &sealed)?;
        fs::write(&voted, "yes")?;
    }
    println!("voted");

    for output in &sealed.outputs {
        if let Some(target) = &output.publishes {
            let published = shadow.publish(&attempt, output, target)?;
            println!("published {}", published.path.display());
        }
    }
    shadow.discard_attempt(&attempt)?;
    shadow.discard_job(&attempt.job)?;
    println!("done");
    Ok(())
}

fn seal(shadow: &Shadow, attempt: &AttemptId) -> Result<Sealed, Box<dyn Error>> {
    let declared = declared()?;
    let staging = match shadow.reopen(attempt) {
        Ok(staging) => staging,
        Err(_nothing_staged) => {
            let staging = shadow.stage(attempt)?;
            staging.make_parents(&declared)?;
            let text = format!("of {}", attempt.job);
            fs::create_dir_all(staging.output_dir().join("site/inner/deep"))?;
            for file in ["sub/summary.json", "site/a", "site/inner/b", "site/inner/deep/c"] {
                fs::write(staging.output_dir().join(file), &text)?;
            }
            staging
        }
    };
    Ok(staging.seal(&declared)?)
}

fn vote(shadow: &Shadow, sealed: &Sealed) -> Result<(), Box<dyn Error>> {
    let pledges: Vec<Pledge> = sealed
        .outputs
        .iter()
        .map(|output| Pledge {
            attempt: sealed.attempt.clone(),
            output: output.name.clone(),
            digest: output.digest,
            target: output.publishes.clone(),
        })
        .collect();
    Ok(shadow.check(std::slice::from_ref(sealed), &pledges, Depth::Quick)?)
}

fn declared() -> Result<Vec<Declared>, Box<dyn Error>> {
    let summary = Target::File {
        path: TargetPath::new("reports/daily/latest.json")?,
        mode: Some("0644".parse()?),
        existing: Existing::Replace,
        kept: None,
    };
    let site =
        Target::Tree { path: TargetPath::new("site")?, existing: Existing::Replace, kept: None };
    let output = |name, path, target| {
        Ok::<_, Box<dyn Error>>(Declared {
            name: OutputName::new(name)?,
            path: OutputPath::new(path)?,
            presence: Presence::Required,
            publishes: Some(target),
            max_bytes: None,
        })
    };
    Ok(vec![output("summary", "sub/summary.json", summary)?, output("site", "site/", site)?])
}
