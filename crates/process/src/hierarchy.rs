//! The trees of control groups that are mounted here, and this process's place in each.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use crate::cgroup::{Place, Version};

/// The trees of control groups that are mounted here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hierarchies {
    /// Version 2.
    pub(crate) unified: Option<Hierarchy>,
    /// Version 1, by controller.
    pub(crate) legacy: BTreeMap<String, Hierarchy>,
}

/// One tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// The group of this process.
    home: PathBuf,
}

impl Hierarchies {
    /// Reads where this process is.
    pub(crate) fn read() -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        Ok(Self::parse(&mounts, &groups))
    }

    pub(crate) fn parse(mounts: &str, groups: &str) -> Self {
        let mut found = Self::default();
        for mount in mounts.lines().filter_map(Mount::parse) {
            let home = |controller: &str| {
                groups.lines().find_map(|line| {
                    let mut parts = line.splitn(3, ':').skip(1);
                    let (names, path) = (parts.next()?, parts.next()?);
                    names.split(',').any(|name| name == controller).then(|| mount.below(path))?
                })
            };
            if mount.kind == "cgroup2" {
                found.unified = home("").map(|home| Hierarchy { home });
            } else if mount.kind == "cgroup" {
                for &controller in &mount.options {
                    if let Some(home) = home(controller) {
                        found.legacy.insert(controller.to_owned(), Hierarchy { home });
                    }
                }
            }
        }
        found
    }
}

/// One line of `mountinfo`.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: Vec<&'a str>,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ').skip(3);
        let mut back = back.split(' ');
        Some(Self {
            root: front.next()?,
            point: front.next()?,
            kind: back.next()?,
            options: back.nth(1)?.split(',').collect(),
        })
    }

    /// Returns where a group appears below the mount; nowhere if another part is mounted.
    fn below(&self, group: &str) -> Option<PathBuf> {
        let inner = Path::new(group).strip_prefix(self.root).ok()?;
        Some(Path::new(self.point).join(inner))
    }
}

impl Hierarchy {
    /// Makes the group that holds those of the attempts; none unless `file` is in such a group.
    pub(crate) fn place(&self, name: &str, file: &str, version: Version) -> Option<Place> {
        let dir = self.home.join(name);
        let place = Place { dir, home: self.inhabited(name), version };
        let probe = place.dir.join("probe");
        fs::create_dir_all(&probe).ok()?;
        let usable = fs::File::options().write(true).open(probe.join(file)).is_ok();
        // Only this attempt at it is over; a group that stays is swept later.
        let _ = fs::remove_dir(&probe);
        usable.then_some(place)
    }

    /// Lets the groups of attempts have controllers of version 2; returns which.
    ///
    /// Only a group without processes of its own hands its controllers on, so
    /// the daemon moves into one beside those of the attempts if it has to.
    pub(crate) fn delegate(&self, name: &str) -> BTreeSet<String> {
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let there = read(&self.home.join("cgroup.controllers"));
        let wanted: Vec<&str> =
            there.split_whitespace().filter(|one| CONTROLLERS.contains(one)).collect();
        if wanted.is_empty() {
            return BTreeSet::new();
        }
        let order: Vec<String> = wanted.iter().map(|one| format!("+{one}")).collect();
        let hand_on = |dir: &Path| fs::write(dir.join("cgroup.subtree_control"), order.join(" "));
        let attempts = self.home.join(name);
        let handed_on = fs::create_dir_all(&attempts)
            .and_then(|()| {
                hand_on(&self.home).or_else(|_| {
                    let daemon = self.daemon_group(name);
                    fs::create_dir_all(&daemon)?;
                    fs::write(daemon.join("cgroup.procs"), std::process::id().to_string())?;
                    hand_on(&self.home)
                })
            })
            .and_then(|()| hand_on(&attempts));
        match handed_on {
            Ok(()) => wanted.into_iter().map(str::to_owned).collect(),
            Err(_) => BTreeSet::new(),
        }
    }

    fn daemon_group(&self, name: &str) -> PathBuf {
        self.home.join(format!("{name}-daemon"))
    }

    /// Returns the group in which this process is by now.
    fn inhabited(&self, name: &str) -> PathBuf {
        let (daemon, myself) = (self.daemon_group(name), std::process::id().to_string());
        let there = fs::read_to_string(daemon.join("cgroup.procs")).unwrap_or_default();
        if there.lines().any(|pid| pid == myself) { daemon } else { self.home.clone() }
    }
}

/// What attempts are limited by, as version 2 names it.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

#[cfg(test)]
mod tests {
    use super::*;

    fn home(path: &str) -> Hierarchy {
        Hierarchy { home: path.into() }
    }

    #[test]
    fn both_versions_are_found_where_they_are_mounted() {
        let mounts = "\
            33 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:3 - cgroup cgroup rw,memory\n\
            39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let groups = "7:pids:/\n4:memory:/jobs/a:b\n0::/s.slice\n";

        let found = Hierarchies::parse(mounts, groups);

        assert_eq!(found.unified, Some(home("/sys/fs/cgroup/unified/s.slice")));
        let legacy =
            [("memory", "/sys/fs/cgroup/memory/jobs/a:b"), ("pids", "/sys/fs/cgroup/pids/")];
        let legacy = legacy.map(|(name, path)| (name.to_owned(), home(path)));
        assert_eq!(found.legacy, BTreeMap::from(legacy));
    }

    #[test]
    fn a_group_outside_of_the_mount_cannot_be_used() {
        let mounts = "41 31 0:38 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

        let inside = Hierarchies::parse(mounts, "0::/docker/x/y\n");
        let outside = Hierarchies::parse(mounts, "0::/other\n");

        assert_eq!(inside.unified, Some(home("/sys/fs/cgroup/y")));
        assert_eq!(outside.unified, None);
    }
}
