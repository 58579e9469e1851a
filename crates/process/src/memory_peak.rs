//! The most memory an attempt had at once: counted by its group, or else looked at.

use std::{fs, time::Duration};

use rustix::process::Pid;

use crate::cgroup::Groups;

/// The most memory that was seen so far.
#[derive(Debug)]
pub(crate) struct MemoryPeak {
    counted_by_kernel: bool,
    seen: u64,
}

impl MemoryPeak {
    /// Begins to look, unless the kernel counts.
    pub(crate) fn of(groups: &Groups, task: Pid) -> Self {
        let mut peak = Self { counted_by_kernel: groups.memory_peak().is_some(), seen: 0 };
        peak.look(task);
        peak
    }

    /// Returns how long a look may be put off.
    pub(crate) fn interval(&self) -> Option<Duration> {
        (!self.counted_by_kernel).then_some(LOOK_INTERVAL)
    }

    /// Looks at the task; one that has ended has no memory.
    pub(crate) fn look(&mut self, task: Pid) {
        if self.counted_by_kernel {
            return;
        }
        let status = fs::read_to_string(format!("/proc/{}/status", task.as_raw_pid()));
        let peak = status.ok().and_then(|status| high_water_mark(&status));
        self.seen = self.seen.max(peak.unwrap_or(0));
    }

    /// Returns the peak in bytes; 0 if it is unknown.
    pub(crate) fn bytes(&self, groups: &Groups) -> u64 {
        groups.memory_peak().unwrap_or(self.seen)
    }
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

const LOOK_INTERVAL: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        assert_eq!(high_water_mark("Name:\tsh\nVmHWM:\t    1804 kB\n"), Some(1804 * 1024));
        assert_eq!(high_water_mark("Name:\tsh\nState:\tZ (zombie)\n"), None);
    }
}
