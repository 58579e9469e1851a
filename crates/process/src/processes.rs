//! The kernel's process table, as far as kinship and identity go.

use std::{collections::BTreeSet, fs, io, os::fd::OwnedFd, time::Duration};

use rustix::{
    io::Errno,
    param::clock_ticks_per_second,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use crate::identity::Stamp;

/// One line of the process table.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) stamp: Stamp,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// User and system time of its ended and reaped descendants.
    pub(crate) cpu_of_children: Duration,
    state: u8,
    threads: u64,
}

impl Process {
    /// Reads one process; none if there is no such process, or none that this user may see.
    pub(crate) fn read(pid: i32) -> io::Result<Option<Self>> {
        match fs::read(format!("/proc/{pid}/stat")) {
            Ok(stat) => {
                // Its name may be no UTF-8, and is of no interest.
                let stat = String::from_utf8_lossy(&stat);
                parse(pid, &stat)
                    .map(Some)
                    .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, stat.into_owned()))
            }
            Err(error) if is_out_of_sight(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads all processes.
    pub(crate) fn read_all() -> io::Result<Vec<Self>> {
        let mut table = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(pid) = pid {
                table.extend(Self::read(pid)?);
            }
        }
        Ok(table)
    }

    /// Says whether it may still do something: a zombie may not, unless other threads go on.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x') || self.threads > 1
    }

    /// Says whether its environment has all these entries.
    pub(crate) fn carries(&self, entries: &[String]) -> bool {
        // Unreadable means of another user, or gone: in both cases not provably ours.
        let Ok(environ) = fs::read(format!("/proc/{}/environ", self.stamp.pid)) else {
            return false;
        };
        let carried: BTreeSet<&[u8]> = environ.split(|byte| *byte == 0).collect();
        entries.iter().all(|entry| carried.contains(entry.as_bytes()))
    }
}

impl Stamp {
    /// Opens the process if it is this very one and alive.
    pub(crate) fn open(self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let pidfd = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(pidfd) => pidfd,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Looked up after the descriptor was opened: if the number still means
        // the process that was meant, so does the descriptor.
        let same = |process: &Process| process.stamp == self && process.is_alive();
        Ok(Process::read(self.pid)?.filter(same).map(|_| pidfd))
    }

    /// Kills the process if it is this very one; returns what tells when it is gone.
    pub(crate) fn kill(self) -> io::Result<Option<OwnedFd>> {
        let pidfd = self.open()?;
        if let Some(pidfd) = &pidfd {
            // It may have ended meanwhile, or belong to another user: then waiting is all one can do.
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
        Ok(pidfd)
    }
}

/// Adds to `family` every process whose ancestor is in it.
pub(crate) fn add_descendants(family: &mut BTreeSet<i32>, table: &[Process]) {
    loop {
        let known = family.len();
        family.extend(
            table
                .iter()
                .filter(|process| family.contains(&process.parent))
                .map(|process| process.stamp.pid)
                .collect::<Vec<_>>(),
        );
        if family.len() == known {
            return;
        }
    }
}

/// Returns the time since the machine was booted, as start times are counted.
pub(crate) fn uptime() -> io::Result<Duration> {
    let uptime = fs::read_to_string("/proc/uptime")?;
    let seconds = uptime.split(' ').next().and_then(|seconds| seconds.parse().ok());
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, uptime))
}

/// Turns the kernel's clock ticks into time.
pub(crate) fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(1000) / clock_ticks_per_second())
}

fn parse(pid: i32, stat: &str) -> Option<Process> {
    // The name stands in parentheses and may contain anything, parentheses included.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    // Numbered as in proc_pid_stat(5), where the field after the name is the third.
    let field = |number: usize| fields.get(number - 3).copied();
    let count = |number: usize| field(number)?.parse().ok();
    Some(Process {
        state: *field(3)?.as_bytes().first()?,
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        cpu_of_children: ticks(count(16)?) + ticks(count(17)?),
        threads: count(20)?,
        stamp: Stamp { pid, start: count(22)? },
    })
}

fn is_out_of_sight(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || Errno::from_io_error(error) == Some(Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_hides_no_field() {
        let stat = "7 (a) R 1 (b) S 3 4 5 0 -1 0 0 0 0 0 1 2 30 40 20 0 1 0 900 0 0";

        let process = parse(7, stat).unwrap();

        assert_eq!(process.stamp, Stamp { pid: 7, start: 900 });
        assert_eq!((process.parent, process.group, process.session), (3, 4, 5));
        assert_eq!(process.cpu_of_children, ticks(30) + ticks(40));
        assert!(process.is_alive());
    }

    #[test]
    fn a_zombie_with_living_threads_is_alive() {
        let zombie = |threads| {
            let stat = format!("7 (x) Z 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 9 0");
            parse(7, &stat).unwrap()
        };

        assert!(!zombie(1).is_alive());
        assert!(zombie(2).is_alive());
    }

    #[test]
    fn descendants_are_found_in_any_order() {
        let child = |pid, parent| {
            let stat = format!("{pid} (x) S {parent} 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0");
            parse(pid, &stat).unwrap()
        };
        let table = [child(9, 8), child(8, 5), child(5, 1), child(6, 1)];
        let mut family = BTreeSet::from([5]);

        add_descendants(&mut family, &table);

        assert_eq!(family, BTreeSet::from([5, 8, 9]));
    }

    #[test]
    fn a_process_with_another_start_time_is_not_opened() {
        let myself = Process::read(std::process::id() as i32).unwrap().unwrap().stamp;

        let other = Stamp { start: myself.start + 1, ..myself };

        assert!(myself.open().unwrap().is_some());
        assert!(other.open().unwrap().is_none());
    }
}
