//! A crash at any step, and then once more: the same end as without a crash.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use crate::field::{picture, write};

#[test]
fn a_crash_anywhere_ends_like_no_crash() {
    let mut hit = BTreeSet::new();
    for standing in [Standing::Nothing, Standing::Ordinary, Standing::Generation] {
        let undisturbed = World::new(standing);
        let before = undisturbed.visible();
        assert!(undisturbed.run(None).success());
        let (after, end) = (undisturbed.visible(), undisturbed.end());
        for point in crash_points() {
            // Two outputs: the second visit is the second output's.
            for visit in 1..=2 {
                let world = World::new(standing);
                let crashed = world.run(Some((&point, visit)));
                if crashed.success() {
                    continue;
                }
                assert_eq!(crashed.signal(), Some(9), "{point}: {crashed}");
                hit.insert(point.clone());
                for (target, seen) in world.visible() {
                    let whole = seen == before[&target] || seen == after[&target];
                    assert!(whole, "{standing:?} {point}:{visit} {target}: {seen:?}");
                }
                assert!(world.run(None).success(), "{standing:?} {point}:{visit}");
                assert_eq!(world.end(), end, "{standing:?} {point}:{visit}");
            }
        }
    }
    let all: BTreeSet<_> = crash_points().into_iter().collect();
    assert_eq!(hit, all, "every crash point was reached");
}

#[test]
fn two_crashes_in_a_row_end_like_none() {
    let undisturbed = World::new(Standing::Ordinary);
    assert!(undisturbed.run(None).success());
    let end = undisturbed.end();
    let points: Vec<_> =
        crash_points().into_iter().filter(|point| point.contains("publish")).collect();
    for first in &points {
        for second in &points {
            let world = World::new(Standing::Ordinary);
            world.run(Some((first, 1)));
            world.run(Some((second, 1)));
            assert!(world.run(None).success(), "{first} {second}");
            assert_eq!(world.end(), end, "{first} {second}");
        }
    }
}

/// What stands at the targets when the job comes.
#[derive(Debug, Clone, Copy)]
enum Standing {
    Nothing,
    Ordinary,
    Generation,
}

struct World {
    base: tempfile::TempDir,
}

impl World {
    fn new(standing: Standing) -> Self {
        let world = Self { base: tempfile::tempdir().unwrap() };
        let root = world.base.path().join("root");
        fs::create_dir(&root).unwrap();
        match standing {
            Standing::Nothing => {}
            Standing::Ordinary => {
                write(&root.join("reports/daily/latest.json"), "mine");
                write(&root.join("site/a"), "mine");
            }
            Standing::Generation => {
                assert!(world.start("earlier", None).success());
            }
        }
        world
    }

    fn run(&self, crash_at: Option<(&str, u32)>) -> ExitStatus {
        self.start("sales", crash_at)
    }

    fn start(&self, job: &str, crash_at: Option<(&str, u32)>) -> ExitStatus {
        let mut command = Command::new(example("publishing"));
        command.arg(self.base.path()).arg(job).env_remove("VOTUM_CRASH_AT");
        if let Some((point, visit)) = crash_at {
            command.env("VOTUM_CRASH_AT", format!("{point}:{visit}"));
        }
        let output = command.output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(complaint.is_empty(), "{crash_at:?}: {complaint}");
        output.status
    }

    /// What a reader finds at each target, links followed.
    fn visible(&self) -> BTreeMap<String, Option<String>> {
        let read = |path: &str| fs::read_to_string(self.base.path().join("root").join(path)).ok();
        ["reports/daily/latest.json", "site/a", "site/inner/deep/c"]
            .map(|path| (path.to_owned(), read(path)))
            .into()
    }

    fn end(&self) -> BTreeMap<String, String> {
        assert_eq!(picture(&self.base.path().join("staging")).len(), 0);
        picture(&self.base.path().join("root"))
    }
}

/// Reads the names from the source, so that no point can be forgotten.
fn crash_points() -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut points = Vec::new();
    for entry in fs::read_dir(source).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let names = text.split("crash_point!(\"").skip(1);
        points.extend(names.map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    // Those of checkpoints, of retiring and of putting back have tests and programs of their own.
    let elsewhere = ["checkpoint", "retire", "clearing", "bringing_back"];
    points.retain(|point| !elsewhere.iter().any(|other| point.contains(other)));
    points.sort();
    points
}

/// Cargo builds examples beside the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.is_file(), "build the example first: cargo build --example {name}");
    path
}
