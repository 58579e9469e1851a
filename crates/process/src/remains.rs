//! What a killed supervisor left behind, and how it is ended.
//!
//! Nobody reaps these processes for us, so each is proven before it is
//! signalled: by its stamp, by an ancestor that is proven, by its control
//! group, by the numbers of its process group and session, or by the mark that the attempt's environment left
//! on it.

use std::{collections::BTreeSet, io, os::fd::OwnedFd, path::Path, sync::Arc};

use crate::{
    cgroup::Groups,
    identity::{Identity, Stamp, TASK},
    launch::{LAUNCH, Launch, Plan},
    processes::{Process, add_descendants},
    record::{self, RecordError},
    supervised::{blocking, gone, watched},
};

/// What is known of the processes of an attempt.
#[derive(Debug, Clone)]
pub(crate) struct Remains {
    supervisor: Stamp,
    task: Option<Stamp>,
    /// Entries of an environment that only processes of the attempt have.
    mark: Option<[String; 2]>,
    groups: Option<Arc<Groups>>,
}

impl Remains {
    pub(crate) fn read(dir: &Path, identity: &Identity) -> Result<Self, RecordError> {
        let plan: Option<Plan> = record::read(&dir.join(LAUNCH))?;
        Ok(Self {
            supervisor: identity.supervisor,
            task: record::read(&dir.join(TASK))?,
            mark: plan.as_ref().and_then(|plan| mark(&plan.launch)),
            groups: plan
                .map(|plan| Arc::new(Groups::of(&plan.launch.cgroups, &plan.launch.attempt))),
        })
    }

    /// Kills every process of the attempt and waits until all are gone.
    pub(crate) async fn end(&self) -> io::Result<()> {
        loop {
            let remains = self.clone();
            let killed = blocking(move || remains.kill_once()).await?;
            if killed.is_empty() {
                if let Some(groups) = &self.groups {
                    groups.remove();
                }
                return Ok(());
            }
            for pidfd in killed {
                gone(&watched(pidfd)?).await?;
            }
        }
    }

    fn kill_once(&self) -> io::Result<Vec<OwnedFd>> {
        let table = Process::read_all()?;
        let mut killed = Vec::new();
        for stamp in self.members(&table) {
            killed.extend(stamp.kill()?);
        }
        // Whatever was forked meanwhile is found by the next look.
        if let Some(groups) = &self.groups {
            groups.kill();
        }
        Ok(killed)
    }

    /// Returns the living processes of the attempt.
    fn members(&self, table: &[Process]) -> Vec<Stamp> {
        let grouped = self.groups.as_ref().map(|groups| groups.members()).unwrap_or_default();
        let is_proven = |process: &&Process| {
            Some(process.stamp) == self.task
                || grouped.contains(&process.stamp.pid)
                || self.shares_group(process, table)
                || self.mark.as_ref().is_some_and(|mark| process.carries(mark))
        };
        let alive: Vec<Process> =
            table.iter().filter(|process| process.is_alive()).cloned().collect();
        let mut family: BTreeSet<i32> =
            alive.iter().filter(is_proven).map(|process| process.stamp.pid).collect();
        add_descendants(&mut family, &alive);
        let stamps = alive.iter().map(|process| process.stamp);
        stamps.filter(|stamp| family.contains(&stamp.pid)).collect()
    }

    /// Says whether a process is in the group of the task and the session of the supervisor.
    ///
    /// The kernel gives neither number to a stranger while any process has it
    /// as its group or session. If a stranger has one of them as its process
    /// id, the number was free meanwhile, and so the group is not the task's.
    fn shares_group(&self, process: &Process, table: &[Process]) -> bool {
        let Some(task) = self.task else { return false };
        let reused = |stamp: Stamp| {
            table.iter().any(|other| other.stamp.pid == stamp.pid && other.stamp != stamp)
        };
        process.group == task.pid
            && process.session == self.supervisor.pid
            && !reused(task)
            && !reused(self.supervisor)
    }
}

/// Returns the entries that tell an attempt from all others of this machine, if it has them.
fn mark(launch: &Launch) -> Option<[String; 2]> {
    let entry = |name: &str| launch.env.get(name).map(|value| format!("{name}={value}"));
    Some([entry("VOTUM_FENCING_TOKEN")?, entry("VOTUM_WORK_DIR")?])
}
