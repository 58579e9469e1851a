//! `@last`: the job this user submitted last, kept below the user's state directory.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use votum_ids::JobId;

/// Remembers a job. Losing it costs a word on the command line, so failures are only passed on.
pub(crate) fn remember(job: &JobId) -> io::Result<()> {
    let path = path().ok_or(io::ErrorKind::NotFound)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, format!("{job}\n"))
}

/// Returns the remembered job.
pub(crate) fn recall() -> Option<JobId> {
    let text = fs::read_to_string(path()?).ok()?;
    JobId::new(text.trim()).ok()
}

fn path() -> Option<PathBuf> {
    state_directory(env::var_os("XDG_STATE_HOME").map(PathBuf::from), env::home_dir())
        .map(|directory| directory.join("votum").join("last"))
}

/// Chooses by the rules of XDG: a relative path is no answer.
fn state_directory(given: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    given
        .filter(|path| path.is_absolute())
        .or_else(|| home.map(|home| home.join(Path::new(".local/state"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_state_directory_is_ignored() {
        let home = || Some(PathBuf::from("/home/ana"));
        assert_eq!(state_directory(Some("/var/state".into()), home()), Some("/var/state".into()));
        assert_eq!(
            state_directory(Some("state".into()), home()),
            Some("/home/ana/.local/state".into())
        );
        assert_eq!(state_directory(None, None), None);
    }
}
