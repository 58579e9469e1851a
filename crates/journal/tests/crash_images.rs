//! A power cut at every sync: what was acknowledged is there, whatever part of the rest is kept.
//!
//! The model of the filesystem and the bound of what is tried are those of `votum-crashimage`. By
//! itself each test makes one round; `VOTUM_IMAGES_SECONDS` lets it make larger ones for a time,
//! `VOTUM_SEED` decides what is drawn.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

#[allow(dead_code, reason = "the other tests use the rest")]
mod rig;
#[allow(dead_code, reason = "the other tests use the rest")]
mod workload;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    thread,
};

use tempfile::TempDir;
use votum_crashimage::{
    Campaign, Found, Image, Plan, Recorded, Recording, Synced, judge_absences, scratch,
};

#[test]
fn crash_images_of_the_journal_keep_every_promise() {
    let scenes = match scenes() {
        Ok(scenes) => scenes,
        Err(reason) => return println!("NOT RUN: {reason}"),
    };
    votum_crashimage::rounds(SHORT, |plan, goes_on| {
        // Each of them waits most of the time.
        thread::scope(|scope| {
            for scene in &scenes {
                scope.spawn(move || {
                    let found = scene.cut(plan, &|_| false, goes_on);
                    println!("{}: {found}", scene.name);
                    assert!(found.broken.is_none(), "{}, {plan:?}: {found:#?}", scene.name);
                });
            }
        });
    });
}

#[test]
fn crash_images_tell_of_each_missing_sync_of_the_journal() {
    let scenes = match scenes() {
        Ok(scenes) => scenes,
        Err(reason) => return println!("NOT RUN: {reason}"),
    };
    let roles: BTreeSet<String> =
        scenes.iter().flat_map(|scene| scene.recording.syncs().map(role)).collect();
    let caught: BTreeMap<String, Option<String>> = thread::scope(|scope| {
        let tried =
            roles.iter().map(|left_out| (left_out, scope.spawn(|| miss(&scenes, left_out))));
        let tried: Vec<_> = tried.collect();
        tried.into_iter().map(|(role, why)| (role.clone(), why.join().unwrap())).collect()
    });
    assert!(caught.contains_key("head"), "no segment was removed: {caught:#?}");
    judge_absences(&caught, &SILENT);
}

/// Leaves out the syncs of one role; says how it shows, if it does.
fn miss(scenes: &[Scene], left_out: &str) -> Option<String> {
    scenes.iter().find_map(|scene| {
        let found = scene.cut(PLANTED, &|synced| role(synced) == left_out, &|| true);
        found.broken.map(|broken| format!("{}: {}", scene.name, broken.why))
    })
}

/// A journal that was written to, and all that was acknowledged of it.
struct Scene {
    name: &'static str,
    recording: Recording,
    /// Lies as long as its inodes must not be given to others.
    _folder: TempDir,
}

impl Scene {
    /// Records writers, one after the other; each may be killed at a crash point.
    fn record(
        name: &'static str,
        folder: TempDir,
        runs: &[(u64, Option<&str>)],
    ) -> Result<Self, String> {
        // The index is no truth: whatever a cut leaves of it, another boot makes it again.
        let mut recording = Recording::of(folder.path(), &["journal/index"]);
        for (operations, crash_at) in runs {
            let journal = recording.base().join("journal");
            let arguments = [
                "write".into(),
                journal.into(),
                SEGMENT_BYTES.into(),
                operations.to_string().into(),
            ];
            let crash_at: Vec<(&str, &str)> =
                crash_at.iter().map(|point| ("VOTUM_CRASH_AT", *point)).collect();
            match recording.run(rig::writer(), &arguments, &crash_at) {
                Recorded::Done => {}
                Recorded::NotHere(reason) => return Err(reason),
            }
        }
        Ok(Self { name, recording, _folder: folder })
    }

    fn cut(
        &self,
        plan: Plan,
        is_missing: &dyn Fn(&Synced) -> bool,
        goes_on: &dyn Fn() -> bool,
    ) -> Found {
        let images = scratch();
        let campaign = Campaign::of(&self.recording, plan);
        let campaign = campaign.without(is_missing);
        campaign.run(images.path(), goes_on, &mut judge)
    }
}

fn scenes() -> Result<Vec<Scene>, String> {
    let (old, torn) = (scratch(), scratch());
    write_before(old.path(), BEFORE);
    write_before(torn.path(), 30);
    leave_a_torn_tail(torn.path());
    Ok(vec![
        Scene::record("beginning", scratch(), &[(60, None), (3, None)])?,
        // Segments are made, closed and removed.
        Scene::record("going on", old, &[(110, None)])?,
        // A killed writer leaves a group to the kernel alone.
        Scene::record("killed", scratch(), &[(40, Some("journal.after_append:2")), (5, None)])?,
        Scene::record("torn", torn, &[(5, None)])?,
    ])
}

/// Writes so many operations that nobody records.
fn write_before(folder: &Path, operations: u64) {
    let mut opened = workload::open(&folder.join("journal"), segment_bytes()).unwrap();
    workload::perform(&mut opened, 1..=operations);
}

/// Leaves what a power cut leaves of a group of which only the end was kept.
fn leave_a_torn_tail(folder: &Path) {
    let names = fs::read_dir(folder.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let segments = names.filter(|path| path.extension().is_some_and(|end| end == "journal"));
    let newest = segments.max().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let tail = end.next_multiple_of(64) + 64;
    bytes.resize(bytes.len().max(tail + 200), 0);
    bytes[tail..tail + 200].fill(7);
    fs::write(&newest, bytes).unwrap();
}

/// The journal opens, and holds exactly the operations up to one that is not before the last
/// acknowledged one; after that it takes others.
fn judge(image: &Image<'_>) -> Result<(), String> {
    let acked = image.promises.iter().filter_map(|promise| rig::last_ack(promise)).max();
    let journal = image.folder.join("journal");
    let open =
        || workload::open(&journal, 32_768).map_err(|error| format!("unopenable: {error:?}"));
    let mut opened = open()?;
    let held = workload::operations_held(&opened.journal)?;
    let acked = acked.unwrap_or(0);
    if held < acked {
        return Err(format!("lost: {acked} acknowledged, {held} held"));
    }
    workload::perform(&mut opened, held + 1..=held + 2);
    Ok(())
}

fn segment_bytes() -> u64 {
    SEGMENT_BYTES.parse().unwrap()
}

/// Says what a sync is for, by what is synced.
fn role(synced: &Synced) -> String {
    let parts: Vec<&str> = synced.path.split('/').collect();
    let role = match parts.as_slice() {
        [""] => "folder of the journal",
        ["journal"] => "names of the journal",
        ["journal", "head.aside"] => "head",
        ["journal", name] if name.ends_with(".aside") => "a segment that is made",
        ["journal", name] if name.ends_with(".journal") && synced.keeps_all() => {
            "a segment that is closed or resumed"
        }
        ["journal", name] if name.ends_with(".journal") => "a group",
        _other => panic!("what is the sync of {} for?", synced.path),
    };
    role.to_owned()
}

/// Small, so that segments come and go.
const SEGMENT_BYTES: &str = "16384";
/// So many that segments are removed soon after.
const BEFORE: u64 = 900;
/// A round of the tests that run always.
const SHORT: Plan = Plan { exhaustive: 8, random: 1, at_most: 20, seed: 1 };
/// A round of those that look for a missing sync.
const PLANTED: Plan = Plan { exhaustive: 16, random: 2, at_most: usize::MAX, seed: 1 };
/// Syncs without which every promise is kept all the same, and why they are there.
const SILENT: [(&str, &str); 0] = [];
