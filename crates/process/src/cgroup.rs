//! Control groups: where a machine has them, what an attempt may use, and how it is ended whole.
//!
//! What there is differs: version 2 with all controllers, version 1
//! controllers beside a version 2 tree that has none, or nothing that this
//! user may write. It is found out once, when the daemon starts, and goes
//! with each launch: the supervisor makes the attempt's groups, is in them
//! only while it spawns the task, and removes them when nothing is left.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use votum_ids::AttemptId;

use crate::hierarchy::{Hierarchies, Hierarchy};

/// What an attempt may use; what is absent is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processor time: 1000 is one core.
    pub cpu_millis: Option<u32>,
    /// Memory of all its processes together, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads at a time.
    pub processes: Option<u32>,
    /// The largest file that it may write, in bytes; a program that wants more gets SIGXFSZ.
    pub file_bytes: Option<u64>,
}

/// How the daemon groups and limits attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Control groups of version 2, controllers included.
    Unified,
    /// Controllers of version 1; a version 2 tree, if there is one, only ends attempts whole.
    Hybrid,
    /// No control group may be made: process groups and the subreaper alone.
    ProcessGroups,
}

/// Where attempts get their control groups; each part may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroups {
    /// Has `cgroup.kill`.
    pub(crate) kill: Option<Place>,
    pub(crate) memory: Option<Place>,
    pub(crate) processes: Option<Place>,
    pub(crate) cpu: Option<Place>,
    /// The places are the groups of an attempt, which hold its limits already.
    #[serde(default)]
    pub(crate) within: bool,
}

/// Where attempts get the groups of one controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Holds one group for each attempt.
    pub(crate) dir: PathBuf,
    /// The group that the daemon and its supervisors live in.
    pub(crate) home: PathBuf,
    pub(crate) version: Version,
}

/// Of a hierarchy: the names of its files depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Version {
    One,
    Two,
}

/// Why an attempt cannot be limited as asked.
#[derive(Debug, Error)]
pub(crate) enum LimitError {
    #[error("this machine cannot limit {what}")]
    Unsupported { what: &'static str },
    #[error("cannot limit {what} at {path}: {source}")]
    Group { what: &'static str, path: PathBuf, source: io::Error },
}

impl Cgroups {
    /// Finds out what this machine has, and makes a group `name` below the daemon's own.
    ///
    /// Nothing is an error: what cannot be used is not there.
    #[must_use]
    pub fn detect(name: &str) -> Self {
        let hierarchies = Hierarchies::read().unwrap_or_default();
        Self::of(&hierarchies, name)
    }

    fn of(hierarchies: &Hierarchies, name: &str) -> Self {
        let unified = hierarchies.unified.as_ref();
        let mut found = Self {
            kill: unified.and_then(|tree| tree.place(name, "cgroup.kill", Version::Two)),
            ..Self::default()
        };
        let controllers = unified.map(|tree| tree.delegate(name)).unwrap_or_default();
        let place = |controller: &str, one: &str, two: &str| {
            if controllers.contains(controller) {
                return unified.and_then(|tree| tree.place(name, two, Version::Two));
            }
            let tree: Option<&Hierarchy> = hierarchies.legacy.get(controller);
            tree.and_then(|tree| tree.place(name, one, Version::One))
        };
        found.memory = place("memory", "memory.limit_in_bytes", "memory.max");
        found.processes = place("pids", "pids.max", "pids.max");
        found.cpu = place("cpu", "cpu.cfs_quota_us", "cpu.max");
        found
    }

    /// Returns where something that belongs to an attempt gets groups of its own: inside of
    /// the attempt's, so that it counts with the attempt, is limited with it and ends with it.
    #[must_use]
    pub fn within(&self, attempt: &AttemptId) -> Self {
        let name = group_name(attempt);
        let inner = |place: &Option<Place>| {
            let place = place.clone()?;
            Some(Place { dir: place.dir.join(&name), ..place })
        };
        Self {
            kill: inner(&self.kill),
            memory: inner(&self.memory),
            processes: inner(&self.processes),
            cpu: inner(&self.cpu),
            within: true,
        }
    }

    /// Says how attempts are limited.
    #[must_use]
    pub fn backend(&self) -> Backend {
        let controllers = [&self.memory, &self.processes, &self.cpu];
        let mut versions = controllers.into_iter().flatten().map(|place| place.version).peekable();
        if versions.peek().is_none() {
            return Backend::ProcessGroups;
        }
        if versions.all(|version| version == Version::Two) {
            Backend::Unified
        } else {
            Backend::Hybrid
        }
    }

    /// Says whether memory can be limited.
    #[must_use]
    pub fn limits_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Says whether processes can be limited.
    #[must_use]
    pub fn limits_processes(&self) -> bool {
        self.processes.is_some()
    }

    /// Says whether processor time can be limited.
    #[must_use]
    pub fn limits_cpu(&self) -> bool {
        self.cpu.is_some()
    }

    /// Removes the groups of attempts of which no process is left.
    pub fn sweep(&self) {
        for place in self.places() {
            let Ok(groups) = fs::read_dir(&place.dir) else { continue };
            for group in groups.flatten() {
                remove_group(&group.path());
            }
        }
        self.remove_empty();
    }

    /// Removes the groups that hold those of the attempts, if they hold none.
    ///
    /// Those of version 2 stay that were given controllers.
    fn remove_empty(&self) {
        if self.within || self.backend() != Backend::Unified {
            for place in self.places() {
                let _ = fs::remove_dir(&place.dir);
            }
        }
    }

    /// Returns where there are groups to make; a place that serves several ends is there once.
    fn places(&self) -> impl Iterator<Item = &Place> {
        let all = [&self.kill, &self.memory, &self.processes, &self.cpu];
        all.into_iter().enumerate().filter_map(move |(at, place)| {
            let place = place.as_ref()?;
            let is_first = !all[..at].iter().copied().flatten().any(|one| one.dir == place.dir);
            is_first.then_some(place)
        })
    }
}

/// The control groups of one attempt.
#[derive(Debug)]
pub(crate) struct Groups {
    cgroups: Cgroups,
    name: String,
}

impl Groups {
    /// Names the groups of an attempt, whether they are there or not.
    pub(crate) fn of(cgroups: &Cgroups, attempt: &AttemptId) -> Self {
        Self { cgroups: cgroups.clone(), name: group_name(attempt) }
    }

    /// Makes the groups and moves this process, and what it spawns from then on, into them, with
    /// every limit except that of processes.
    ///
    /// A daemon that starts meanwhile removes groups that are empty, so that one may go before
    /// somebody is in it.
    pub(crate) fn enter(&mut self, limits: &Limits) -> Result<(), LimitError> {
        self.enter_once_made(limits, || {})
    }

    /// Does something between the two; tests let the groups go.
    fn enter_once_made(
        &mut self,
        limits: &Limits,
        mut made: impl FnMut(),
    ) -> Result<(), LimitError> {
        let mut races = 0;
        loop {
            let entered = self.make(limits).and_then(|()| {
                made();
                self.join()
            });
            match entered {
                Err(LimitError::Group { source, .. })
                    if is_race(&source) && races < RACES_WITH_REMOVAL_MAX =>
                {
                    races += 1;
                }
                entered => return entered,
            }
        }
    }

    /// Makes the groups and sets the limits.
    ///
    /// Groups that limit nothing of this attempt are not made, but for two: one to end it whole,
    /// one to see how much memory it had. To enter a group is a wait for the whole kernel, in which
    /// nobody can fork. Groups within those of an attempt have its limits without being told.
    fn make(&mut self, limits: &Limits) -> Result<(), LimitError> {
        let (within, of_use) = (self.cgroups.within, true);
        let wanted = [
            ("memory", limits.memory_bytes.is_some(), of_use, &mut self.cgroups.memory),
            ("processes", limits.processes.is_some(), within, &mut self.cgroups.processes),
            ("processor time", limits.cpu_millis.is_some(), within, &mut self.cgroups.cpu),
            ("nothing", false, of_use, &mut self.cgroups.kill),
        ];
        for (what, needed, useful, place) in wanted {
            let Some(there) = place else {
                if needed {
                    return Err(LimitError::Unsupported { what });
                }
                continue;
            };
            // The attempt that it would count with has none of its own there.
            let is_apart = within && !there.dir.exists();
            if is_apart || !(needed || useful) {
                *place = None;
                continue;
            }
            let path = there.dir.join(&self.name);
            if let Err(source) = make_group(&path) {
                if needed {
                    return Err(LimitError::Group { what, path, source });
                }
                *place = None;
            }
        }
        if self.cgroups.within {
            return Ok(());
        }
        if let Some(bytes) = limits.memory_bytes {
            self.limit_memory(bytes)?;
        }
        if let Some(millis) = limits.cpu_millis {
            self.limit_cpu(millis)?;
        }
        Ok(())
    }

    fn join(&self) -> Result<(), LimitError> {
        for place in self.cgroups.places() {
            write(&place.dir.join(&self.name), "cgroup.procs", &std::process::id().to_string())?;
        }
        Ok(())
    }

    /// Moves this process back, and limits how many processes may be left behind.
    pub(crate) fn leave(&self, limits: &Limits) -> Result<(), LimitError> {
        for place in self.cgroups.places() {
            write(&place.home, "cgroup.procs", &std::process::id().to_string())?;
        }
        let limit = limits.processes.filter(|_| !self.cgroups.within);
        match (limit, &self.cgroups.processes) {
            (Some(count), Some(place)) => {
                write(&place.dir.join(&self.name), "pids.max", &count.to_string())
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Kills every process in the groups, however fast they fork.
    pub(crate) fn kill(&self) {
        if let Some(place) = &self.cgroups.kill {
            // Without the group there is nobody in it; whoever is left is killed one by one.
            let _ = write(&place.dir.join(&self.name), "cgroup.kill", "1");
        }
    }

    /// Lists the processes in the groups.
    ///
    /// Nobody but the attempt is ever in them, its supervisor at the start excepted.
    pub(crate) fn members(&self) -> BTreeSet<i32> {
        let list = |place: &Place| {
            let procs = place.dir.join(&self.name).join("cgroup.procs");
            fs::read_to_string(procs).unwrap_or_default()
        };
        let lists: Vec<String> = self.cgroups.places().map(list).collect();
        lists.iter().flat_map(|list| list.lines()).filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Removes the groups; one with a process in it stays until a later sweep.
    pub(crate) fn remove(&self) {
        for place in self.cgroups.places() {
            remove_group(&place.dir.join(&self.name));
        }
        self.cgroups.remove_empty();
    }

    /// Returns the most memory that the attempt had at once, in bytes; unknown without a group.
    pub(crate) fn memory_peak(&self) -> Option<u64> {
        let place = self.cgroups.memory.as_ref()?;
        let name = match place.version {
            Version::One => "memory.max_usage_in_bytes",
            Version::Two => "memory.peak",
        };
        fs::read_to_string(place.dir.join(&self.name).join(name)).ok()?.trim().parse().ok()
    }

    /// Returns how many processes of the attempt the kernel killed for its memory limit.
    pub(crate) fn oom_kills(&self) -> u64 {
        let Some(place) = &self.cgroups.memory else { return 0 };
        let name = match place.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        let text = fs::read_to_string(place.dir.join(&self.name).join(name)).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    /// Returns how often a process of the attempt could not fork because it has reached its
    /// limit of processes; 0 where the kernel does not count it here.
    pub(crate) fn forks_refused(&self) -> u64 {
        let Some(place) = &self.cgroups.processes else { return 0 };
        let events = place.dir.join(&self.name).join("pids.events");
        let text = fs::read_to_string(events).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("max "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    fn limit_memory(&self, bytes: u64) -> Result<(), LimitError> {
        let Some(place) = &self.cgroups.memory else { return Ok(()) };
        let (group, bytes) = (place.dir.join(&self.name), bytes.to_string());
        match place.version {
            Version::One => {
                write(&group, "memory.limit_in_bytes", &bytes)?;
                // Not every kernel counts swap.
                let _ = write(&group, "memory.memsw.limit_in_bytes", &bytes);
            }
            Version::Two => {
                write(&group, "memory.max", &bytes)?;
                let _ = write(&group, "memory.swap.max", "0");
                // A task that lost one of its processes is of no use.
                let _ = write(&group, "memory.oom.group", "1");
            }
        }
        Ok(())
    }

    fn limit_cpu(&self, millis: u32) -> Result<(), LimitError> {
        let Some(place) = &self.cgroups.cpu else { return Ok(()) };
        let group = place.dir.join(&self.name);
        let quota = (u64::from(millis) * CPU_PERIOD_US / 1000).max(CPU_QUOTA_MIN_US);
        match place.version {
            Version::One => {
                write(&group, "cpu.cfs_period_us", &CPU_PERIOD_US.to_string())?;
                write(&group, "cpu.cfs_quota_us", &quota.to_string())
            }
            Version::Two => write(&group, "cpu.max", &format!("{quota} {CPU_PERIOD_US}")),
        }
    }
}

/// Makes a group, and the one that holds it, which the end of another attempt may remove.
fn make_group(path: &Path) -> io::Result<()> {
    for _ in 0..RACES_WITH_REMOVAL_MAX {
        match fs::create_dir_all(path) {
            Err(error) if is_race(&error) => {}
            made => return made,
        }
    }
    fs::create_dir_all(path)
}

/// Says whether a folder was there in one moment and not in the next.
fn is_race(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists)
}

fn group_name(attempt: &AttemptId) -> String {
    format!("{}.{}.{}", attempt.job, attempt.task, attempt.token)
}

/// Removes a group and those within it; one with a process in it stays: the kernel refuses.
fn remove_group(group: &Path) {
    if fs::remove_dir(group).is_ok() {
        return;
    }
    let Ok(entries) = fs::read_dir(group) else { return };
    // The files of a group are no obstacle.
    for inner in entries.flatten().filter(|entry| entry.path().is_dir()) {
        let _ = fs::remove_dir(inner.path());
    }
    let _ = fs::remove_dir(group);
}

fn write(group: &Path, file: &str, text: &str) -> Result<(), LimitError> {
    let path = group.join(file);
    let what = match file.split('.').next() {
        Some("memory") => "memory",
        Some("pids") => "processes",
        Some("cpu") => "processor time",
        Some(_) | None => "an attempt",
    };
    fs::write(&path, text).map_err(|source| LimitError::Group { what, path, source })
}

/// How often a group is made again because it, or the one that holds it, was just removed.
const RACES_WITH_REMOVAL_MAX: u32 = 16;
/// Over which the kernel divides processor time, in microseconds.
const CPU_PERIOD_US: u64 = 100_000;
/// The kernel takes no smaller share of the period.
const CPU_QUOTA_MIN_US: u64 = 1000;

#[cfg(test)]
mod tests;
