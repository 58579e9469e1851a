//! Jobs that replace each other at a target that keeps one earlier generation.

use std::path::Path;

use votum_crashimage::{Image, scratch};
use votum_ids::OutputName;
use votum_shadow::Shadow;

use super::{Scene, attempt_of, ensure, read, told};

pub(super) fn scene() -> Result<Scene, String> {
    let folder = scratch();
    std::fs::create_dir(folder.path().join("root")).unwrap();
    Scene::record("retiring", folder, "retiring", Some("told"), judge)
}

fn judge(image: &Image<'_>) -> Result<(), String> {
    let promised = |what: &str, number: u32| {
        let promise = format!("{what} {number}");
        image.promises.iter().any(|made| *made == promise)
    };
    let root = image.folder.join("root");
    let roots = std::slice::from_ref(&root);
    let shadow = told("open", Shadow::open(&image.folder.join("staging"), roots))?;
    let published = (1..=JOBS).rev().find(|number| promised("published", *number)).unwrap_or(0);
    let seen = generations_stand(&root)?;
    for number in 1..=JOBS {
        what_is_told_can_be_read(&shadow, &root, number)?;
        let is_kept = promised("kept", number) && number + 1 >= seen;
        let attempt = attempt_of(&format!("job-{number}"));
        let told = told("the list of what is published", shadow.published(&attempt, &site()))?;
        ensure(told.is_some() || !is_kept, || format!("what job {number} published is not told"))?;
    }
    ensure(seen == published || seen == published + 1, || {
        format!("job {seen} is visible, {published} was published")
    })?;
    for number in 1..=published {
        let attempt = attempt_of(&format!("job-{number}"));
        if promised("over", number) {
            continue;
        }
        let sealed = told("the list of what was sealed", shadow.sealed(&attempt))?;
        for output in sealed.iter().flat_map(|sealed| &sealed.outputs) {
            let target = output.publishes.as_ref().unwrap();
            told("publish again", shadow.publish(&attempt, output, target))?;
        }
        told("retire", shadow.retire_job(&attempt.job))?;
        told("discard", shadow.discard_job(&attempt.job))?;
        generations_stand(&root)?;
    }
    Ok(())
}

/// An output of which somebody is told that it can be read is whole, or not there at all.
fn what_is_told_can_be_read(shadow: &Shadow, root: &Path, number: u32) -> Result<(), String> {
    let job = format!("job-{number}");
    let told = told("the list of what is published", shadow.published(&attempt_of(&job), &site()))?;
    let generation = root.join(format!(".votum/gen/{job}/report.site"));
    let whole = read(&generation.join("inner/a")) == Some(job) || !generation.exists();
    ensure(told.is_none() || whole, || format!("job {number} is told of, and not whole"))
}

fn site() -> OutputName {
    OutputName::new("site").unwrap()
}

/// The visible job's generation and the one before it are whole; returns the visible one.
fn generations_stand(root: &Path) -> Result<u32, String> {
    let Some(seen) = read(&root.join("site/inner/a")) else {
        let link = std::fs::symlink_metadata(root.join("site"));
        return ensure(link.is_err(), || "the target leads nowhere".to_owned()).map(|()| 0);
    };
    let number = (1..=JOBS).find(|number| seen == format!("job-{number}"));
    let number = number.ok_or_else(|| format!("a reader finds {seen:?}"))?;
    if number > 1 {
        let earlier = format!("job-{}", number - 1);
        let kept = read(&root.join(format!(".votum/gen/{earlier}/report.site/inner/a")));
        ensure(kept.as_ref() == Some(&earlier), || format!("{earlier} is kept: {kept:?}"))?;
    }
    Ok(number)
}

/// As many as the example has.
const JOBS: u32 = 4;
