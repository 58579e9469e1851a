//! Files of ours that a task runs or reads as a program.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use crate::account::Account;

/// Writes a program that the task can run, and cannot change if it runs as somebody else.
pub(crate) fn write(path: &Path, text: &str, account: Option<&Account>) -> io::Result<()> {
    fs::write(path, text)?;
    match account {
        Some(account) => account.let_run(path),
        None => fs::set_permissions(path, Permissions::from_mode(OWN_MODE)),
    }
}

const OWN_MODE: u32 = 0o700;
