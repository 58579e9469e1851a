//! A small disk below one worker, so that it can be filled.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use votum_tests::Cluster;

/// A filesystem in memory with everything that one worker keeps; goes with the value.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts it over the folder of a worker that was not started yet.
    ///
    /// # Errors
    /// Says why this machine does not allow it.
    pub(crate) fn mounted(cluster: &Cluster, worker: &str) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("a filesystem of its own needs root".to_owned());
        }
        let folder = cluster.home().join(worker);
        call("mount", &["-t", "tmpfs", "-o", SIZE, "votum-test", path(&folder)])?;
        let disk = Self { folder };
        let public = fs::create_dir(disk.folder.join("public"));
        public.map_err(|error| error.to_string())?;
        Ok(disk)
    }

    /// Leaves no free byte.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("an empty file needs no block");
        while ballast.write_all(&[0; CHUNK]).is_ok() {}
    }

    /// Gives the space back.
    pub(crate) fn free(&self) {
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

/// Who has it.
pub(crate) const WORKER: &str = "s3";
/// Journal, logs, staging, and what was published and replaced of a long run.
const SIZE: &str = "size=256m";
const CHUNK: usize = 64 << 10;
