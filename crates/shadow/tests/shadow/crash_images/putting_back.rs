//! Jobs that replace each other, and jobs that put back what stood before.

use std::path::Path;

use votum_crashimage::{Image, scratch};
use votum_shadow::Shadow;

use super::{Scene, attempt_of, ensure, read, told};
use crate::field::write;

pub(super) fn scene() -> Result<Scene, String> {
    let folder = scratch();
    write(&folder.path().join("root/mine/a"), "mine");
    Scene::record("putting back", folder, "putting_back", None, judge)
}

fn judge(image: &Image<'_>) -> Result<(), String> {
    let promised = |what: &str, number: usize| {
        let promise = format!("{what} {number}");
        image.promises.iter().any(|made| *made == promise)
    };
    let root = image.folder.join("root");
    let roots = std::slice::from_ref(&root);
    let shadow = told("open", Shadow::open(&image.folder.join("staging"), roots))?;
    let published = (1..=4).rev().find(|number| promised("published", *number)).unwrap_or(0);
    // Each target by itself: it is as after what was published last, or as after the next.
    for (target, shown) in SHOWN {
        let seen = shown_at(&root, target)?;
        let next = if promised("sealed", published + 1) { published + 1 } else { published };
        let right = [published, next].iter().any(|number| seen.as_deref() == shown[*number]);
        ensure(right, || format!("{target} shows {seen:?} after {published}"))?;
    }
    for number in published.max(1)..=4 {
        if promised("over", number) || !promised("sealed", number) {
            continue;
        }
        let attempt = attempt_of(&format!("job-{number}"));
        let sealed = told("the list of what was sealed", shadow.sealed(&attempt))?;
        for output in sealed.iter().flat_map(|sealed| &sealed.outputs) {
            let target = output.publishes.as_ref().unwrap();
            told("publish again", shadow.publish(&attempt, output, target))?;
        }
        for (target, shown) in SHOWN.iter().filter(|_| sealed.is_some()) {
            let seen = shown_at(&root, target)?;
            ensure(seen.as_deref() == shown[number], || format!("{target} shows {seen:?}"))?;
        }
        told("keep", shadow.keep_manifests(&attempt.job))?;
        told("retire", shadow.retire_job(&attempt.job))?;
        told("discard", shadow.discard_job(&attempt.job))?;
    }
    Ok(())
}

/// What a reader finds; a link that leads nowhere is an error.
fn shown_at(root: &Path, target: &str) -> Result<Option<String>, String> {
    let seen = read(&root.join(target).join("a"));
    let dangles = seen.is_none() && std::fs::symlink_metadata(root.join(target)).is_ok();
    ensure(!dangles, || format!("{target} leads nowhere")).map(|()| seen)
}

/// What each target shows after so many jobs.
const SHOWN: [(&str, [Option<&str>; 5]); 3] = [
    ("site", [None, Some("job-1"), Some("job-2"), Some("job-1"), Some("job-2")]),
    ("fresh", [None, None, Some("job-2"), None, Some("job-2")]),
    ("mine", [Some("mine"), Some("mine"), Some("job-2"), Some("mine"), Some("job-2")]),
];
