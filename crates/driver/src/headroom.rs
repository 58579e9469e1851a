//! How near this process is to what the system allows it: only looked at, and only shown.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::process::{Resource, getrlimit};

/// How much of something is taken, and how much of it there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headroom {
    /// Taken.
    pub used: u64,
    /// Of so much.
    pub most: u64,
}

impl Headroom {
    /// Says whether it is nearer to its end than another.
    fn is_nearer(self, other: Self) -> bool {
        let (own, others) = (u128::from(self.used), u128::from(other.used));
        own * u128::from(other.most) > others * u128::from(self.most)
    }
}

/// Counts the files, sockets and pipes of this process; `None` where /proc does not tell.
#[must_use]
pub fn open_files() -> Option<Headroom> {
    let used = fs::read_dir("/proc/self/fd").ok()?.count();
    // The one through which they were counted is gone.
    let used = u64::try_from(used).ok()?.saturating_sub(1);
    Some(Headroom { used, most: getrlimit(Resource::Nofile).current? })
}

/// Counts the processes and threads that bound this process: those of its control group or of the
/// machine, whichever are nearer to their end; `None` where neither tells.
#[must_use]
pub fn processes() -> Option<Headroom> {
    let machine = of_machine();
    match (of_control_group(), machine) {
        (Some(group), Some(machine)) if group.is_nearer(machine) => Some(group),
        (group, None) => group,
        (_, machine) => machine,
    }
}

/// Measures the filesystem of a path: its bytes, and its names unless they are not counted.
///
/// # Errors
/// If the filesystem does not answer.
pub fn disk(path: &Path) -> io::Result<(Headroom, Option<Headroom>)> {
    let stat = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    // What only root may still use is neither taken nor to be had.
    let used = bytes(stat.f_blocks.saturating_sub(stat.f_bfree));
    let most = used.saturating_add(bytes(stat.f_bavail));
    let names = Headroom { used: stat.f_files.saturating_sub(stat.f_ffree), most: stat.f_files };
    Ok((Headroom { used, most }, (stat.f_files > 0).then_some(names)))
}

fn of_machine() -> Option<Headroom> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let most = [number("/proc/sys/kernel/threads-max"), number("/proc/sys/kernel/pid_max")];
    let most = most.into_iter().flatten().min()?;
    Some(Headroom { used: threads(&fs::read_to_string("/proc/loadavg").ok()?)?, most })
}

/// Reads how many threads there are, from `0.20 0.18 0.12 1/80 11206`.
fn threads(loadavg: &str) -> Option<u64> {
    let (_running, all) = loadavg.split_whitespace().nth(3)?.split_once('/')?;
    all.parse().ok()
}

/// Looks at the control group of this process and at those around it.
fn of_control_group() -> Option<Headroom> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group = PathBuf::from(UNIFIED).join(path);
    let number = |file: PathBuf| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let bound = |group: &Path| {
        let used = number(group.join("pids.current"))?;
        // Without a bound the file says `max`.
        Some(Headroom { used, most: number(group.join("pids.max"))? })
    };
    let around = group.ancestors().take_while(|group| group.starts_with(UNIFIED));
    around.filter_map(bound).reduce(|a, b| if b.is_nearer(a) { b } else { a })
}

/// Where control groups of version 2 are mounted.
const UNIFIED: &str = "/sys/fs/cgroup";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_within_its_own_limits() {
        let files = open_files().expect("Linux counts them");
        assert!(files.used > 2 && files.used < files.most, "{files:?}");
        let processes = processes().expect("Linux counts them");
        assert!(processes.used > 0 && processes.used < processes.most, "{processes:?}");
        let (bytes, _names) = disk(Path::new("/")).expect("it answers");
        assert!(bytes.used > 0 && bytes.used <= bytes.most, "{bytes:?}");
    }

    #[test]
    fn what_is_more_nearly_used_up_is_nearer_to_its_end() {
        let of = |used, most| Headroom { used, most };
        assert!(of(9, 10).is_nearer(of(800, 1000)));
        assert!(!of(8, 10).is_nearer(of(800, 1000)));
        assert!(of(1, 0).is_nearer(of(u64::MAX, u64::MAX)));
    }

    #[test]
    fn threads_are_read_from_the_load_of_the_machine() {
        assert_eq!(threads("0.20 0.18 0.12 1/80 11206\n"), Some(80));
        assert_eq!(threads("0.20"), None);
    }
}
