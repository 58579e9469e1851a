//! The user that a task runs as, where that is not the supervisor's own.
//!
//! The supervisor stays root: it must be able to signal the task, to write its
//! records and to end whatever is left. Only the child that becomes the task
//! gives up everything, between its fork and its exec.

use std::{io, os::fd::AsFd};

use rustix::{
    fs::{Gid, Uid, fchown},
    process::{getgid, getgroups, getuid},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs,
        set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};
use serde::{Deserialize, Serialize};

/// A user other than root, in numbers.
///
/// Processes of one user can signal, trace and read each other: two attempts
/// that run as the same user are kept apart from the worker, not from each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskUser {
    /// The user; never 0.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// Every group that it belongs to.
    pub groups: Vec<u32>,
}

impl TaskUser {
    /// Lets the user open by name what it was given: `/dev/stdout`, for one.
    pub(crate) fn own(&self, what: impl AsFd) -> io::Result<()> {
        Ok(fchown(what, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))?)
    }
}

/// This process while a child that it spawns can become the user's with all its groups.
///
/// A child that changes its user by the standard library loses its groups, unless it
/// may not change them. So the groups are changed here, and the capability to change them
/// is laid aside. The real user is changed as well, because `access` answers for it; a process
/// of that user could signal this one meanwhile, as it could signal the task. Dropping
/// it undoes all of it, but for one thing: no process below this one gains
/// privileges by executing a file any more.
pub(crate) struct Switched {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    capabilities: CapabilitySets,
}

impl Switched {
    /// Needs a process of one thread: the ids of others would stay as they are.
    pub(crate) fn to(user: &TaskUser) -> io::Result<Self> {
        set_no_new_privs(true)?;
        let (uid, gid) = (getuid(), getgid());
        let capabilities = capabilities(None)?;
        let before = Self { uid, gid, groups: getgroups()?, capabilities };
        // From here on a return undoes what was done.
        let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
        let gid = Gid::from_raw(user.gid);
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(Uid::from_raw(user.uid), None, None)?;
        let mut fewer = before.capabilities;
        fewer.effective.remove(CapabilitySet::SETGID);
        set_capabilities(None, fewer)?;
        Ok(before)
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        // What was laid aside may be taken up again, and then nothing of this is refused.
        let _ = set_capabilities(None, self.capabilities);
        let _ = set_thread_res_uid(self.uid, None, None);
        let _ = set_thread_res_gid(self.gid, self.gid, self.gid);
        let _ = set_thread_groups(&self.groups);
    }
}
