//! A directory of this machine, as the journal of a daemon would use it.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    time::Duration,
};

use votum_driver::headroom::{self, Headroom};

use super::findings::Findings;
use crate::{display::amount, fault::Fault};

/// Writes and syncs there, and looks how much room there is.
pub(super) fn examine(dir: &Path, findings: &mut Findings) {
    let shown = dir.display();
    match synced(dir) {
        Ok(times) => of_syncs(dir, &times, findings),
        Err(error) => {
            let advice = "name a directory that may be written to";
            findings.bad("disk", format!("{shown}: {error}"), advice);
            return;
        }
    }
    match headroom::disk(dir) {
        Ok((bytes, names)) => of_room(dir, bytes, names, findings),
        Err(error) => findings.bad("disk", format!("{shown}: {error}"), "look at the filesystem"),
    }
    if let Some(Headroom { used: _, most }) = headroom::open_files() {
        let found = format!("a process that is started from here may open {most} files");
        if most < OPEN_FILES_LEAST {
            findings.look("limits", found, "raise it, as with `ulimit -n 65536`");
        } else {
            findings.ok("limits", found);
        }
    }
}

fn of_syncs(dir: &Path, times: &[Duration], findings: &mut Findings) {
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let worst = times.last().copied().unwrap_or_default();
    let found = format!(
        "a write and sync in {} takes {} (median of {}), {} at worst",
        dir.display(),
        millis(median),
        times.len(),
        millis(worst)
    );
    if median > SYNC_MAX {
        let advice = "put journals on a faster disk: every decision waits for a sync";
        findings.look("disk", found, advice);
    } else {
        findings.ok("disk", found);
    }
}

fn of_room(dir: &Path, bytes: Headroom, names: Option<Headroom>, findings: &mut Findings) {
    let left = bytes.most.saturating_sub(bytes.used);
    let names_left = names.map(|names| names.most.saturating_sub(names.used));
    let and_names = names_left.map(|left| format!(" and {left} names")).unwrap_or_default();
    let found = format!("{}{and_names} left in {}", amount::size(left), dir.display());
    if left < FREE_LEAST || names_left.is_some_and(|left| left < NAMES_LEAST) {
        findings.look("disk", found, "make room there");
    } else {
        findings.ok("disk", found);
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// Writes and syncs a small file a few times; returns how long each took, sorted.
fn synced(dir: &Path) -> Result<Vec<Duration>, Fault> {
    let path = dir.join(format!(".votum-doctor.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let before = jiff::Timestamp::now();
        let written = file.write_all(&[7; SYNCED_BYTES]).and_then(|()| file.sync_data());
        if let Err(error) = written {
            let _ = fs::remove_file(&path);
            return Err(error.into());
        }
        let took = jiff::Timestamp::now().duration_since(before);
        times.push(Duration::try_from(took).unwrap_or_default());
    }
    fs::remove_file(&path)?;
    times.sort_unstable();
    Ok(times)
}

/// A sync that takes longer makes every commit slow.
const SYNC_MAX: Duration = Duration::from_millis(50);
/// Below this a task of any size may fail for lack of space.
const FREE_LEAST: u64 = 1 << 30;
/// Below this a tree of some size may fail for lack of names.
const NAMES_LEAST: u64 = 10_000;
/// A daemon that may open fewer files runs out of them with many clients or attempts.
const OPEN_FILES_LEAST: u64 = 1024;
const SYNCS: usize = 20;
const SYNCED_BYTES: usize = 4096;
