//! A small disk below a folder of a daemon, so that it can be filled.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

/// A filesystem in memory over one folder; goes with the value.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many MiB over an empty folder, which nobody uses yet.
    ///
    /// # Errors
    /// Says why this machine does not allow it.
    pub fn mounted(folder: &Path, mebibytes: u32) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("a filesystem of its own needs root".to_owned());
        }
        let size = format!("size={mebibytes}m");
        call("mount", &["-t", "tmpfs", "-o", &size, "votum-test", path(folder)])?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Leaves no free byte.
    ///
    /// # Panics
    /// If not even an empty file can be made.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("an empty file needs no block");
        while ballast.write_all(&[0; CHUNK]).is_ok() {}
    }

    /// Gives the space back.
    pub fn free(&self) {
        let _ = fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What still uses it is about to end; the folder is empty from here on.
        let _ = call("umount", &["--lazy", path(&self.folder)]);
    }
}

fn call(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn path(folder: &Path) -> &str {
    folder.to_str().expect("folders of tests are UTF-8")
}

const CHUNK: usize = 64 << 10;
