//! What is written to control groups of version 2, tried on plain directories.
//!
//! The kernel's part, to refuse and to enforce, is left out: a machine with
//! version 1 controllers has no version 2 tree that could do it.

use tempfile::TempDir;
use votum_ids::{Epoch, FencingToken, JobId, TaskId};

use super::*;

fn attempt() -> AttemptId {
    let token = FencingToken { epoch: Epoch(3), counter: 14 };
    AttemptId { job: JobId::new("nightly").unwrap(), task: TaskId::new("load").unwrap(), token }
}

/// A directory that looks like a tree of version 2 whose controllers were delegated.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        fs::write(tree.path("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
        // The kernel puts such files into every group; here they are where they are looked for.
        fs::create_dir_all(tree.path("votum/probe")).unwrap();
        for file in ["cgroup.kill", "memory.max", "pids.max", "cpu.max"] {
            fs::write(tree.path("votum/probe").join(file), "").unwrap();
        }
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn detect(&self) -> Cgroups {
        let line = format!("41 31 0:38 / {} rw - cgroup2 cgroup2 rw\n", self.0.path().display());
        Cgroups::of(&Hierarchies::parse(&line, "0::/\n"), "votum")
    }
}

const LIMITS: Limits = Limits {
    cpu_millis: Some(1500),
    memory_bytes: Some(1 << 20),
    processes: Some(32),
    file_bytes: None,
};

#[test]
fn delegated_controllers_are_handed_on_to_the_groups_of_attempts() {
    let tree = Tree::new();

    let found = tree.detect();

    assert_eq!(found.backend(), Backend::Unified);
    assert!(found.limits_memory() && found.limits_processes() && found.limits_cpu());
    for group in ["cgroup.subtree_control", "votum/cgroup.subtree_control"] {
        assert_eq!(tree.read(group), "+cpu +memory +pids");
    }
}

#[test]
fn every_limit_is_written_as_version_two_wants_it() {
    let tree = Tree::new();
    let mut groups = Groups::of(&tree.detect(), &attempt());
    let own = |file: &str| tree.read(&format!("votum/nightly.load.3.14/{file}"));

    groups.enter(&LIMITS).unwrap();
    assert!(!tree.path("votum/nightly.load.3.14/pids.max").exists(), "its maker is in it");
    groups.leave(&LIMITS).unwrap();
    groups.kill();

    assert_eq!(own("memory.max"), "1048576");
    assert_eq!((own("memory.swap.max"), own("memory.oom.group")), ("0".into(), "1".into()));
    assert_eq!((own("cpu.max"), own("pids.max")), ("150000 100000".into(), "32".into()));
    let myself = std::process::id().to_string();
    assert_eq!((own("cgroup.procs"), tree.read("cgroup.procs")), (myself.clone(), myself));
    assert_eq!(own("cgroup.kill"), "1");
}

#[test]
fn an_attempt_enters_only_the_groups_that_it_needs() {
    let base = tempfile::tempdir().unwrap();
    let place = |name: &str, version| {
        let home = base.path().join(name);
        Some(Place { dir: home.join("votum"), home, version })
    };
    let cgroups = Cgroups {
        kill: place("unified", Version::Two),
        memory: place("memory", Version::One),
        processes: place("pids", Version::One),
        cpu: place("cpu", Version::One),
        within: false,
    };
    let made = |limits: &Limits| {
        let mut groups = Groups::of(&cgroups, &attempt());
        groups.make(limits).unwrap();
        let made = ["unified", "memory", "pids", "cpu"]
            .map(|name| base.path().join(name).join("votum/nightly.load.3.14").exists());
        let entered = groups.cgroups.places().count();
        groups.remove();
        (made, entered)
    };

    assert_eq!(made(&Limits::default()), ([true, true, false, false], 2));
    let few = Limits { processes: Some(32), ..Limits::default() };
    assert_eq!(made(&few), ([true, true, true, false], 3));

    // Of one tree that has every controller there is one group for all.
    let tree = Tree::new();
    let mut groups = Groups::of(&tree.detect(), &attempt());
    groups.make(&LIMITS).unwrap();
    assert_eq!(groups.cgroups.places().count(), 1);
}

#[test]
fn what_version_two_counts_is_understood() {
    let tree = Tree::new();
    let mut groups = Groups::of(&tree.detect(), &attempt());
    groups.make(&LIMITS).unwrap();
    let group = tree.path("votum/nightly.load.3.14");
    fs::write(group.join("memory.peak"), "4096\n").unwrap();
    fs::write(group.join("memory.events"), "low 0\nhigh 0\noom 3\noom_kill 2\n").unwrap();
    fs::write(group.join("pids.events"), "max 7\n").unwrap();
    fs::write(group.join("cgroup.procs"), "12\n13\n").unwrap();

    assert_eq!(groups.memory_peak(), Some(4096));
    assert_eq!((groups.oom_kills(), groups.forks_refused()), (2, 7));
    assert_eq!(groups.members(), [12, 13].into());
}

#[test]
fn groups_within_an_attempt_leave_the_limits_to_it() {
    let tree = Tree::new();
    Groups::of(&tree.detect(), &attempt()).make(&LIMITS).unwrap();
    let mut groups = Groups::of(&tree.detect().within(&attempt()), &attempt());

    groups.enter(&LIMITS).unwrap();
    groups.leave(&LIMITS).unwrap();

    let inner = tree.path("votum/nightly.load.3.14/nightly.load.3.14");
    let files = fs::read_dir(&inner).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(files.collect::<Vec<_>>(), ["cgroup.procs"]);
}

#[test]
fn a_group_that_is_swept_before_anybody_is_in_it_is_made_again() {
    let tree = Tree::new();
    let mut sweeps = 3;
    let mut groups = Groups::of(&tree.detect(), &attempt());
    let sweep = || {
        if sweeps > 0 {
            sweeps -= 1;
            fs::remove_dir_all(tree.path("votum/nightly.load.3.14")).unwrap();
        }
    };

    groups.enter_once_made(&LIMITS, sweep).unwrap();

    assert_eq!(sweeps, 0);
    let myself = std::process::id().to_string();
    assert_eq!(tree.read("votum/nightly.load.3.14/cgroup.procs"), myself);
}

#[test]
fn a_group_goes_with_those_within_it() {
    let tree = Tree::new();
    let found = tree.detect();
    let inner = tree.path("votum/nightly.load.3.14/nightly.load.3.14");
    fs::create_dir_all(&inner).unwrap();
    Groups::of(&found, &attempt()).remove();
    assert!(!tree.path("votum/nightly.load.3.14").exists());

    fs::create_dir_all(&inner).unwrap();
    found.sweep();
    assert!(!tree.path("votum/nightly.load.3.14").exists());
}
