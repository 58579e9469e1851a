//! From the program to the readers: sealed, voted for, published, discarded.

use std::{collections::BTreeMap, path::Path, process::Command};

use votum_crashimage::{Image, scratch};
use votum_shadow::{Depth, Pledge, Sealed, Shadow, Verdict};

use super::{Scene, Standing, attempt_of, ensure, lasting, read, told};
use crate::{crashing::example, field::write};

pub(super) fn scene(standing: Standing) -> Result<Scene, String> {
    let (folder, end) = (scratch(), scratch());
    for world in [&folder, &end] {
        lay_out(world.path(), standing);
    }
    let before = visible(folder.path());
    publish_by_program(end.path(), "sales");
    let after = visible(end.path());
    let lasts = lasting(&end.path().join("root"));
    let name = format!("publishing over {standing:?}");
    Scene::record(&name, folder, "publishing", Some("sales"), move |image| {
        judge(image, &before, &after, &lasts)
    })
}

/// Lets stand at the targets what stood there.
pub(super) fn lay_out(base: &Path, standing: Standing) {
    std::fs::create_dir(base.join("root")).unwrap();
    match standing {
        Standing::Nothing => {}
        Standing::Ordinary => {
            write(&base.join("root/reports/daily/latest.json"), "mine");
            write(&base.join("root/site/a"), "mine");
        }
        Standing::Generation => publish_by_program(base, "earlier"),
    }
}

fn publish_by_program(base: &Path, job: &str) {
    let output = Command::new(example("publishing")).arg(base).arg(job).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn judge(
    image: &Image<'_>,
    before: &Visible,
    after: &Visible,
    lasts: &BTreeMap<String, String>,
) -> Result<(), String> {
    let promised = |what: &str| image.promises.iter().any(|promise| promise.starts_with(what));
    let root = image.folder.join("root");
    let roots = std::slice::from_ref(&root);
    let shadow = told("open", Shadow::open(&image.folder.join("staging"), roots))?;
    let attempt = attempt_of("sales");

    let seen = visible(image.folder);
    for (target, found) in &seen {
        let is_published = image.promises.iter().any(|promise| {
            promise.starts_with("published ")
                && promise.ends_with(target.split("/a").next().unwrap())
        });
        let is_old = *found == before[target] && !is_published;
        let is_new = *found == after[target] && promised("voted");
        ensure(is_old || is_new, || format!("a reader of {target} finds {found:?}"))?;
    }
    if !promised("voted") {
        let generation = root.join(".votum/gen/sales");
        ensure(!generation.exists(), || "something undecided lies in the root".to_owned())?;
    }
    let published_all = image.promises.iter().filter(|p| p.starts_with("published")).count() == 2;
    if promised("sealed") && !published_all {
        let sealed = told("the list of what was sealed", shadow.sealed(&attempt))?;
        let sealed = sealed.ok_or("what was sealed is lost")?;
        if !promised("voted") {
            told(
                "what was sealed",
                shadow.check(std::slice::from_ref(&sealed), &pledges(&sealed), Depth::Full),
            )?;
            told("discard", shadow.discard_job(&attempt.job))?;
            return Ok(());
        }
        for output in &sealed.outputs {
            let target = output.publishes.as_ref().unwrap();
            told("publish again", shadow.publish(&attempt, output, target))?;
        }
    } else if !promised("sealed") {
        let swept = told("sweep", shadow.sweep(&|_| Verdict::Remove))?;
        return ensure(swept.failed.is_empty(), || format!("{swept:?}"));
    }
    told("discard", shadow.discard_job(&attempt.job))?;
    ensure(visible(image.folder) == *after, || "not everything is published".to_owned())?;
    let lasting = lasting(&root);
    ensure(lasting == *lasts, || format!("{lasting:#?} and not {lasts:#?}"))
}

fn pledges(sealed: &Sealed) -> Vec<Pledge> {
    let pledge = |output: &votum_shadow::SealedOutput| Pledge {
        attempt: sealed.attempt.clone(),
        output: output.name.clone(),
        digest: output.digest,
        target: output.publishes.clone(),
    };
    sealed.outputs.iter().map(pledge).collect()
}

/// What a reader finds at each target, links followed.
type Visible = BTreeMap<String, Option<String>>;

fn visible(base: &Path) -> Visible {
    ["reports/daily/latest.json", "site/a", "site/inner/deep/c"]
        .map(|path| (path.to_owned(), read(&base.join("root").join(path))))
        .into()
}
