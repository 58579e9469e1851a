//! Published so that it can be taken back, and taken back.

use std::path::Path;

use votum_crashimage::{Image, scratch};
use votum_shadow::Shadow;

use super::{Scene, Standing, attempt_of, ensure, lasting, publishing::lay_out, read, told};

pub(super) fn scene(standing: Standing) -> Result<Scene, String> {
    let folder = scratch();
    lay_out(folder.path(), standing);
    let before = visible(folder.path());
    let name = format!("withdrawing over {standing:?}");
    Scene::record(&name, folder, "withdrawing", Some("sales"), move |image| {
        judge(image, before.as_deref())
    })
}

fn judge(image: &Image<'_>, before: Option<&str>) -> Result<(), String> {
    let promised = |what: &str| image.promises.contains(&what);
    let root = image.folder.join("root");
    let roots = std::slice::from_ref(&root);
    let shadow = told("open", Shadow::open(&image.folder.join("staging"), roots))?;
    let seen = visible(image.folder);
    let (old, new) = (seen.as_deref() == before, seen.as_deref() == Some("of sales"));
    let right = match (promised("sealed"), promised("published"), promised("withdrawing")) {
        (false, ..) => old,
        (true, true, false) => new,
        _between if promised("withdrawn") => old,
        _between => old || new,
    };
    ensure(right, || format!("a reader finds {seen:?}"))?;
    if promised("withdrawn") {
        nothing_is_left(&root)?;
    }
    if !promised("sealed") {
        return Ok(());
    }
    let attempt = attempt_of("sales");
    let sealed = told("the list of what was sealed", shadow.sealed(&attempt))?;
    let sealed = sealed.ok_or("what was sealed is lost")?;
    let site = &sealed.outputs[0];
    let target = site.publishes.as_ref().unwrap();
    if !promised("withdrawing") {
        told("publish again", shadow.publish_revocably(&attempt, site, target, 0))?;
        let seen = visible(image.folder);
        ensure(seen.as_deref() == Some("of sales"), || format!("published: {seen:?}"))?;
    }
    told("withdraw", shadow.withdraw(&attempt, site, target, 0))?;
    let seen = visible(image.folder);
    ensure(seen.as_deref() == before, || format!("withdrawn: {seen:?}"))?;
    nothing_is_left(&root)
}

/// Neither a name nor a link tells of what was withdrawn.
fn nothing_is_left(root: &Path) -> Result<(), String> {
    let mut left = lasting(root);
    left.retain(|path, shown| path.contains("sales") || shown.contains("/sales/"));
    ensure(left.is_empty(), || format!("left of what was withdrawn: {left:#?}"))
}

/// What a reader finds at the target, links followed.
fn visible(base: &Path) -> Option<String> {
    read(&base.join("root/site/inner/a")).or_else(|| read(&base.join("root/site/a")))
}
