//! A power cut at every sync: what was sealed, published, kept and saved is as it was promised.
//!
//! The model of the filesystem and the bound of what is tried are those of `votum-crashimage`. By
//! itself each test makes one round; `VOTUM_IMAGES_SECONDS` lets it make larger ones for a time,
//! `VOTUM_SEED` decides what is drawn.

mod publishing;
mod putting_back;
mod retiring;
mod saving;
mod withdrawing;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use tempfile::TempDir;
use votum_crashimage::{
    Campaign, Found, Image, Plan, Recorded, Recording, Synced, judge_absences, scratch,
};
use votum_ids::{AttemptId, Epoch, FencingToken, JobId, TaskId};

use crate::{crashing::example, field::picture};

#[test]
fn crash_images_of_the_shadow_keep_every_promise() {
    let scenes = match scenes() {
        Ok(scenes) => scenes,
        Err(reason) => return println!("NOT RUN: {reason}"),
    };
    votum_crashimage::rounds(SHORT, |plan, goes_on| {
        for scene in scenes.iter().take_while(|_| goes_on()) {
            let found = scene.cut(plan, &|_| false, goes_on);
            println!("{}: {found}", scene.name);
            assert!(found.broken.is_none(), "{}, {plan:?}: {:#?}", scene.name, found.broken);
        }
    });
}

#[test]
fn crash_images_tell_of_each_missing_sync_of_the_shadow() {
    let scenes = match scenes() {
        Ok(scenes) => scenes,
        Err(reason) => return println!("NOT RUN: {reason}"),
    };
    let mut caught: BTreeMap<String, Option<String>> = BTreeMap::new();
    for scene in &scenes {
        let roles: BTreeSet<String> = scene.recording.syncs().map(role).collect();
        for role_left_out in roles {
            let known = caught.entry(role_left_out.clone()).or_default();
            if known.is_none() {
                let found = scene.cut(PLANTED, &|synced| role(synced) == role_left_out, &|| true);
                *known = found.broken.map(|broken| format!("{}: {}", scene.name, broken.why));
            }
        }
    }
    judge_absences(&caught, &SILENT);
}

/// Says which promise is broken.
type Judge = dyn Fn(&Image<'_>) -> Result<(), String>;

/// A program on a folder, and what must hold after a power cut.
struct Scene {
    name: String,
    recording: Recording,
    judge: Box<Judge>,
    /// Lies as long as its inodes must not be given to others.
    _folder: TempDir,
}

impl Scene {
    /// Records an example on a folder that was laid out before.
    fn record(
        name: &str,
        folder: TempDir,
        program: &str,
        job: Option<&str>,
        judge: impl Fn(&Image<'_>) -> Result<(), String> + 'static,
    ) -> Result<Self, String> {
        // What a worker has in its journal lies beside its folders here.
        let mut recording = Recording::of(folder.path(), &["sales.", "earlier.", "job-"]);
        let arguments: Vec<_> = [Some(recording.base().as_os_str()), job.map(str::as_ref)]
            .into_iter()
            .flatten()
            .map(ToOwned::to_owned)
            .collect();
        match recording.run(&example(program), &arguments, &[]) {
            Recorded::Done => {}
            Recorded::NotHere(reason) => return Err(reason),
        }
        Ok(Self { name: name.to_owned(), recording, judge: Box::new(judge), _folder: folder })
    }

    fn cut(
        &self,
        plan: Plan,
        is_missing: &dyn Fn(&Synced) -> bool,
        goes_on: &dyn Fn() -> bool,
    ) -> Found {
        let images = scratch();
        let campaign = Campaign::of(&self.recording, plan).without(is_missing);
        campaign.run(images.path(), goes_on, &mut |image| (self.judge)(image))
    }
}

fn scenes() -> Result<Vec<Scene>, String> {
    let mut scenes = Vec::new();
    for standing in Standing::ALL {
        scenes.push(publishing::scene(standing)?);
        scenes.push(withdrawing::scene(standing)?);
    }
    scenes.push(putting_back::scene()?);
    scenes.push(retiring::scene()?);
    scenes.push(saving::scene()?);
    Ok(scenes)
}

/// What stands at a target when the job comes.
#[derive(Debug, Clone, Copy)]
enum Standing {
    Nothing,
    Ordinary,
    Generation,
}

impl Standing {
    const ALL: [Self; 3] = [Self::Nothing, Self::Ordinary, Self::Generation];
}

/// Says what a sync is for, by what is synced.
fn role(synced: &Synced) -> String {
    let parts: Vec<&str> = synced.path.split('/').collect();
    match parts.as_slice() {
        [""] => "folder around the configured ones".to_owned(),
        ["root"] if synced.after.is_empty() => "root, when it is opened".to_owned(),
        ["root", ".votum"] if synced.after.is_empty() => ".votum, when it is opened".to_owned(),
        ["root", ".votum", "gen"] if synced.after == "withdrawing" => {
            "folder of all generations, when one is withdrawn".to_owned()
        }
        ["root", ".votum", "gen"] => "folder of all generations".to_owned(),
        ["root", ".votum", "gen", _job] => {
            let when = match synced.after.split(' ').next() {
                Some("kept") => ", when one is put away",
                Some("withdrawing") => ", when one is withdrawn",
                Some("published") if is_numbered(&synced.after) => ", when its list is kept",
                _publishing => "",
            };
            format!("folder of a job's generations{when}")
        }
        ["root", ".votum", "gen", _job, file] if file.contains(".json") => {
            "list of what is published".to_owned()
        }
        ["root", ".votum", "gen", _job, _file] => "mode of a published file".to_owned(),
        ["root", ..] if synced.after == "withdrawing" => {
            "directory of a target, when it is withdrawn".to_owned()
        }
        ["root", ..] => "directory of a target".to_owned(),
        ["staging"] => "staging directory".to_owned(),
        ["staging", _job] => "folder of a job".to_owned(),
        ["staging", _job, _attempt] => "folder of an attempt".to_owned(),
        ["staging", _job, _attempt, "sealed.json.new"] => "list of what is sealed".to_owned(),
        ["staging", _job, _attempt, "out"] => "output directory".to_owned(),
        [top, _job, _attempt, .., name] if DIRECTORIES.contains(name) => {
            format!("directory in {top}")
        }
        ["staging", ..] => "file of an output".to_owned(),
        ["checkpoints"] => "folder of all checkpoints".to_owned(),
        ["checkpoints", _job] => "folder of a job's checkpoints".to_owned(),
        ["checkpoints", _job, _task] => "folder of a task's checkpoints".to_owned(),
        ["checkpoints", _job, _task, _draft] => "folder of a checkpoint".to_owned(),
        ["checkpoints", .., "manifest.json"] => "list of what is saved".to_owned(),
        ["checkpoints", .., "state"] => "directory in checkpoints".to_owned(),
        ["checkpoints", ..] => "file of a checkpoint".to_owned(),
        _other => panic!("what is the sync of {} for?", synced.path),
    }
}

/// Says whether a promise is about one of several jobs.
fn is_numbered(promise: &str) -> bool {
    promise.ends_with(|last: char| last.is_ascii_digit())
}

/// Names of directories that programs make in these scenes.
const DIRECTORIES: [&str; 5] = ["sub", "site", "inner", "deep", "checkpoint"];
/// Syncs without which every promise is kept all the same, and why they are there.
const SILENT: [(&str, &str); 1] = [(
    "folder of a job's generations, when one is withdrawn",
    "where another output of the job keeps the folder; here it goes with its only output",
)];
/// A round of the tests that run always.
const SHORT: Plan = Plan { exhaustive: 32, random: 6, at_most: 40, seed: 1 };
/// One of those that look for a missing sync.
const PLANTED: Plan = Plan { at_most: usize::MAX, ..SHORT };

fn attempt_of(job: &str) -> AttemptId {
    AttemptId {
        job: JobId::new(job).unwrap(),
        task: TaskId::new("report").unwrap(),
        token: FencingToken { epoch: Epoch(1), counter: 1 },
    }
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// What lies below a folder, but for names that lead nowhere anybody goes: what a cut left of
/// trying whether anything can be renamed, and an earlier link that was on its way out.
fn lasting(folder: &Path) -> BTreeMap<String, String> {
    let mut seen = picture(folder);
    seen.retain(|path, _| !path.contains("probe.") && !path.starts_with(".votum/link."));
    seen
}

fn told<T, E: std::fmt::Debug>(what: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error:?}"))
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
