//! The account that tasks run as, where the operator names one and the worker is root.
//!
//! It is looked up once, at the start, wherever the machine keeps its accounts.
//! Attempts that run go on as whom they were started.

use std::{
    collections::BTreeMap,
    ffi::CString,
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    thread,
};

use nix::unistd::{Gid, User, getgrouplist};
use rustix::{
    process::geteuid,
    thread::{
        CapabilitySet, capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};
use thiserror::Error;
use votum_process::TaskUser;
use votum_shadow::ProgramUser;

use crate::config::Config;

/// An account other than root's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// By which it logs in.
    pub name: String,
    /// Its user and all its groups.
    pub user: TaskUser,
    /// Its home directory, which need not exist.
    pub home: PathBuf,
    /// Its login shell.
    pub shell: PathBuf,
}

/// Why tasks cannot run as somebody.
#[derive(Debug, Error)]
pub enum AccountError {
    /// Only root can become somebody else.
    #[error(
        "tasks cannot run as {name:?}, because the worker does not run as root; \
         start it as root, or without --task-user"
    )]
    NotRoot {
        /// Who was named.
        name: String,
    },
    /// Root in a container, for one, may lack what it takes.
    #[error(
        "tasks cannot run as {name:?}, because the worker lacks {missing:?}; \
         grant it that, or start it without --task-user"
    )]
    NotCapable {
        /// Who was named.
        name: String,
        /// Which capabilities.
        missing: Vec<&'static str>,
    },
    /// The machine has no such account.
    #[error("tasks cannot run as {name:?}: there is no such user; make it, or name another")]
    Unknown {
        /// Who was named.
        name: String,
    },
    /// That they run as root is what happens when nobody is named.
    #[error(
        "tasks are not to run as {name:?}, who is root by another name; \
         name another user, or leave --task-user out to run them as root"
    )]
    Root {
        /// Who was named.
        name: String,
    },
    /// The accounts of the machine cannot be read.
    #[error("the user {name:?} for tasks cannot be looked up")]
    Lookup {
        /// Who was named.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A directory on the way to where tasks work is closed to the user.
    #[error(
        "tasks cannot run as {name:?}, who may not pass {dir:?} on the way to {to:?}; \
         let others pass it (chmod o+x), or keep the worker's data elsewhere (--data-dir, --staging-dir)"
    )]
    Closed {
        /// Who was named.
        name: String,
        /// The directory.
        dir: PathBuf,
        /// What lies below it.
        to: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory of the worker's cannot be opened to the user.
    #[error("cannot let tasks pass {dir:?}")]
    Unopened {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Account {
    /// Looks up whom tasks shall run as.
    ///
    /// # Errors
    /// [`AccountError`] if this process cannot become that user, or should not.
    pub(crate) fn find(name: &str) -> Result<Self, AccountError> {
        let name = name.to_owned();
        let lookup = |errno: nix::Error| AccountError::Lookup {
            name: name.clone(),
            source: io::Error::from_raw_os_error(errno as i32),
        };
        if !geteuid().is_root() {
            return Err(AccountError::NotRoot { name });
        }
        let found = User::from_name(&name).map_err(lookup)?;
        let user = found.ok_or_else(|| AccountError::Unknown { name: name.clone() })?;
        if user.uid.is_root() {
            return Err(AccountError::Root { name });
        }
        let missing = missing_capabilities()
            .map_err(|source| AccountError::Lookup { name: name.clone(), source })?;
        if !missing.is_empty() {
            return Err(AccountError::NotCapable { name, missing });
        }
        let c_name = CString::new(user.name.clone());
        let c_name = c_name.map_err(|_| AccountError::Unknown { name: name.clone() })?;
        let groups = getgrouplist(&c_name, user.gid).map_err(lookup)?;
        let groups = groups.into_iter().map(Gid::as_raw).collect();
        Ok(Self {
            name: user.name,
            user: TaskUser { uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups },
            home: user.dir,
            shell: user.shell,
        })
    }

    /// Returns the user as the shadow knows it.
    pub(crate) fn program_user(&self) -> ProgramUser {
        ProgramUser { uid: self.user.uid, gid: self.user.gid }
    }

    /// Returns the variables by which a program learns who it is.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        BTreeMap::from([
            ("USER".to_owned(), self.name.clone()),
            ("LOGNAME".to_owned(), self.name.clone()),
            ("HOME".to_owned(), text(&self.home)),
            ("SHELL".to_owned(), text(&self.shell)),
        ])
    }

    /// Lets the user pass the worker's own directories; what it has no business with is closed.
    pub(crate) fn open_way(&self, config: &Config) -> Result<(), AccountError> {
        let modes = [
            (config.journal_dir(), PRIVATE_MODE),
            (config.tools_dir(), READABLE_MODE),
            (config.attempts_dir(), PASSABLE_MODE),
            (config.data_dir.clone(), PASSABLE_MODE),
        ];
        for (dir, mode) in modes {
            set_mode(&dir, mode).map_err(|source| AccountError::Unopened { dir, source })?;
        }
        for to in [config.attempts_dir(), config.tools_dir(), config.staging_dir.clone()] {
            self.can_pass(&to)?;
        }
        Ok(())
    }

    /// Asks the kernel whether the user can pass a directory and all those above it.
    fn can_pass(&self, to: &Path) -> Result<(), AccountError> {
        let mut way: Vec<PathBuf> = to.ancestors().map(Path::to_owned).collect();
        way.reverse();
        let user = self.user.clone();
        // The ids are the thread's alone, and end with it.
        let asking = thread::spawn(move || {
            let closed = |dir: &PathBuf| {
                // The name within it is looked up, and for that it must be passed.
                fs::metadata(dir.join(".")).err().map(|error| (dir.clone(), error))
            };
            match become_user(&user) {
                Ok(()) => way.iter().find_map(closed),
                Err(error) => Some((PathBuf::from("/"), error)),
            }
        });
        match asking.join().expect("asking does not panic") {
            None => Ok(()),
            Some((dir, source)) => {
                let (name, to) = (self.name.clone(), to.to_owned());
                Err(AccountError::Closed { name, dir, to, source })
            }
        }
    }

    /// Lets the user pass an attempt's directory and append to the report in it; nothing else.
    pub(crate) fn open_attempt(&self, dir: &Path, report: &Path) -> io::Result<()> {
        let TaskUser { uid, gid, .. } = self.user;
        chown(report, Some(uid), Some(gid))?;
        if let Some(job) = dir.parent() {
            set_mode(job, PASSABLE_MODE)?;
        }
        chown(dir, None, Some(gid))?;
        set_mode(dir, PASSABLE_BY_GROUP_MODE)
    }

    /// Lets the user run a file of the worker's, and not change it.
    pub(crate) fn let_run(&self, file: &Path) -> io::Result<()> {
        chown(file, None, Some(self.user.gid))?;
        set_mode(file, PROGRAM_MODE)
    }
}

/// Makes the calling thread the user's as far as the filesystem asks.
fn become_user(user: &TaskUser) -> io::Result<()> {
    use rustix::process::{Gid, Uid};
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    set_thread_groups(&groups)?;
    set_thread_res_gid(None, Gid::from_raw(user.gid), None)?;
    // The real user stays root, so that no process of the user's can signal this one.
    set_thread_res_uid(None, Uid::from_raw(user.uid), None)?;
    Ok(())
}

fn missing_capabilities() -> io::Result<Vec<&'static str>> {
    let effective = capabilities(None)?.effective;
    let missing = NEEDED.into_iter().filter(|(needed, _)| !effective.contains(*needed));
    Ok(missing.map(|(_, name)| name).collect())
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// To become the user, to give it files and take them back, and to end what it runs.
const NEEDED: [(CapabilitySet, &str); 6] = [
    (CapabilitySet::SETUID, "CAP_SETUID"),
    (CapabilitySet::SETGID, "CAP_SETGID"),
    (CapabilitySet::CHOWN, "CAP_CHOWN"),
    (CapabilitySet::FOWNER, "CAP_FOWNER"),
    (CapabilitySet::DAC_OVERRIDE, "CAP_DAC_OVERRIDE"),
    (CapabilitySet::KILL, "CAP_KILL"),
];
const PRIVATE_MODE: u32 = 0o700;
const READABLE_MODE: u32 = 0o755;
/// Whoever knows what lies in a directory may go on to it; nobody may look what does.
const PASSABLE_MODE: u32 = 0o711;
/// The same for one group alone.
const PASSABLE_BY_GROUP_MODE: u32 = 0o710;
const PROGRAM_MODE: u32 = 0o750;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_lets_tasks_run_as_somebody_known() {
        if !geteuid().is_root() {
            assert!(matches!(Account::find("nobody"), Err(AccountError::NotRoot { .. })));
            return;
        }
        assert!(matches!(Account::find("root"), Err(AccountError::Root { .. })));
        let unknown = Account::find("no such user");
        assert!(matches!(unknown, Err(AccountError::Unknown { .. })), "{unknown:?}");
        let nobody = Account::find("nobody").unwrap();
        assert!(nobody.user.groups.contains(&nobody.user.gid));
        assert_eq!(nobody.variables()["LOGNAME"], "nobody");
    }

    #[test]
    fn a_closed_directory_on_the_way_is_named() {
        if !geteuid().is_root() {
            return;
        }
        let top = tempfile::tempdir().unwrap();
        set_mode(top.path(), 0o711).unwrap();
        let (open, closed) = (top.path().join("open"), top.path().join("closed"));
        for dir in [open.join("data"), closed.join("data")] {
            fs::create_dir_all(dir).unwrap();
        }
        set_mode(&open, 0o711).unwrap();
        set_mode(&closed, 0o700).unwrap();
        let nobody = Account::find("nobody").unwrap();

        nobody.can_pass(&open.join("data")).unwrap();
        let refused = nobody.can_pass(&closed.join("data")).unwrap_err();

        let AccountError::Closed { dir, .. } = &refused else { panic!("{refused}") };
        assert_eq!(*dir, closed);
        // This thread is root's all the same.
        fs::write(closed.join("data/file"), "").unwrap();
    }
}
