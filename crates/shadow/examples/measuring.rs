//! Measures what sealing and publishing cost on the filesystem of a directory.
//!
//! `measuring <base>` works in `<base>/staging` and `<base>/root` and removes
//! both in the end. Each figure is the median of several runs.

#![expect(clippy::print_stdout, reason = "a program for people to read")]

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use votum_ids::{AttemptId, Epoch, FencingToken, JobId, OutputName, TaskId};
use votum_shadow::{
    Declared, Depth, Existing, OutputPath, Pledge, Presence, Sealed, Shadow, Target, TargetPath,
};

fn main() -> Result<(), Box<dyn Error>> {
    let Some(base) = std::env::args().nth(1) else { return Err("usage: measuring <base>".into()) };
    let base = PathBuf::from(base);
    fs::create_dir_all(base.join("root"))?;
    let shadow = Shadow::open(&base.join("staging"), &[base.join("root")])?;

    let leave_small = |site: &Path| {
        (0..1000).try_for_each(|n| fs::write(site.join(format!("file-{n}")), format!("{n:4096}")))
    };
    let (seal, check, publish) = measure(&shadow, "small", 5, &leave_small)?;
    println!("1,000 files of 4 KiB: seal {seal:?}, quick check {check:?}, publish {publish:?}");

    let big = vec![7_u8; 256 << 20];
    let leave_big = |site: &Path| fs::write(site.join("big"), &big);
    let (seal, check, publish) = measure(&shadow, "big", 3, &leave_big)?;
    let speed = 256.0 / seal.as_secs_f64();
    println!(
        "1 file of 256 MiB: seal {seal:?} ({speed:.0} MiB/s, writing back included), \
         quick check {check:?}, publish {publish:?}"
    );

    let leave_one = |site: &Path| fs::write(site.join("one"), "x".repeat(4096));
    let (seal, check, publish) = measure(&shadow, "one", 101, &leave_one)?;
    println!("1 file of 4 KiB: seal {seal:?}, quick check {check:?}, publish {publish:?}");
    fs::remove_dir_all(base.join("staging"))?;
    Ok(fs::remove_dir_all(base.join("root"))?)
}

/// Returns the medians of sealing, checking and publishing.
fn measure(
    shadow: &Shadow,
    name: &str,
    runs: u64,
    leave: &dyn Fn(&Path) -> std::io::Result<()>,
) -> Result<(Duration, Duration, Duration), Box<dyn Error>> {
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    let target =
        Target::Tree { path: TargetPath::new(name)?, existing: Existing::Replace, kept: None };
    let declared = Declared {
        name: OutputName::new("site")?,
        path: OutputPath::new("site/")?,
        presence: Presence::Required,
        publishes: Some(target.clone()),
        max_bytes: None,
    };
    for run in 1..=runs {
        let attempt = AttemptId {
            job: JobId::new(format!("{name}-{run}"))?,
            task: TaskId::new("measure")?,
            token: FencingToken { epoch: Epoch(1), counter: 1 },
        };
        let staging = shadow.stage(&attempt)?;
        let site = staging.output_dir().join("site");
        fs::create_dir(&site)?;
        leave(&site)?;
        let started = clock();
        let sealed: Sealed = staging.seal(std::slice::from_ref(&declared))?;
        times[0].push(started.elapsed());
        let output = &sealed.outputs[0];
        let pledge = Pledge {
            attempt: attempt.clone(),
            output: output.name.clone(),
            digest: output.digest,
            target: Some(target.clone()),
        };
        let started = clock();
        shadow.check(std::slice::from_ref(&sealed), &[pledge], Depth::Quick)?;
        times[1].push(started.elapsed());
        let started = clock();
        shadow.publish(&attempt, output, &target)?;
        times[2].push(started.elapsed());
        shadow.discard_attempt(&attempt)?;
    }
    let [seal, check, publish] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    Ok((seal, check, publish))
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn clock() -> Instant {
    Instant::now()
}
